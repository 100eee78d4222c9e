"""Write the power histograms of the jobs on a cluster."""

import polars as pl

from footprint.core import logs
from footprint.estimators import device_use
from footprint.phases import power_histograms
from footprint.schemas.phases import PowerHistograms
from footprint.schemas.writing import write_table
from footprint.sources import monthly_files
from footprint.sources.calibration import Calibration

logs.log_to_file(snakemake.log[0])

cluster, integration = snakemake.wildcards.cluster, snakemake.params.integration
node_power = pl.read_parquet(snakemake.input.node_power)
gpu_allocations = snakemake.input.get("gpu_allocations")
devices = snakemake.input.get("devices", [])
table = power_histograms.measure_power_histograms(
    node_power["node"].to_list(),
    monthly_files.sample_reader(*snakemake.input.power),
    monthly_files.gpu_power_reader(*devices) if devices else None,
    allocations=device_use.allocations_on_cluster(
        pl.read_parquet(snakemake.input.node_allocations), cluster
    ),
    gpu_allocations=device_use.allocations_on_cluster(pl.read_parquet(gpu_allocations), cluster)
    if gpu_allocations
    else None,
    node_power=node_power,
    hardware=pl.read_parquet(snakemake.input.hardware),
    max_gap_s=integration["max_gap_s"],
    calibration=Calibration.from_config(integration, cluster=cluster),
)
write_table(PowerHistograms, table, snakemake.output.power_histograms)
