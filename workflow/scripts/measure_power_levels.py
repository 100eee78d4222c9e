"""Write how long the power of each job on a cluster stood at which level."""

import polars as pl

from footprint import device_use, logs, partitions, tables
from footprint.integration import Calibration
from footprint.phases import power_levels

logs.to_file(snakemake.log[0])

cluster, integration = snakemake.wildcards.cluster, snakemake.params.integration
node_power = pl.read_parquet(snakemake.input.node_power)
gpu_gates = snakemake.input.get("gpu_gates")
table = power_levels.levels(
    node_power["node"].to_list(),
    partitions.reader(*snakemake.input.power),
    power_levels.gpu_reader(list(snakemake.input.get("devices", []))),
    pieces=device_use.of_cluster(pl.read_parquet(snakemake.input.gates), cluster),
    gpu_pieces=device_use.of_cluster(pl.read_parquet(gpu_gates), cluster) if gpu_gates else None,
    node_power=node_power,
    hardware=pl.read_parquet(snakemake.input.hardware),
    max_gap_s=integration["max_gap_s"],
    calibration=Calibration.from_config(integration, cluster=cluster),
)
tables.write(tables.PowerLevels, table, snakemake.output.power_levels)
