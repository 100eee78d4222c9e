"""Write the energy of the jobs and nodes of one cluster and month."""

import polars as pl

from footprint import energy, logs, node_power, partitions, windows
from footprint.activity import Activity

logs.to_file(snakemake.log[0])

cluster, params = snakemake.wildcards.cluster, snakemake.params
start, end = windows.month_window(snakemake.wildcards.month, params.start, params.end)
jobs, classes = energy.integrate(
    partitions.nodes_of(snakemake.input.nodes, cluster),
    partitions.reader(snakemake.input.power),
    energy.Gate.from_config(
        params.integration, cluster=cluster, jobs_complete=params.jobs_complete
    ),
    pieces=pl.read_parquet(snakemake.input.gates),
    occupancy=pl.read_parquet(snakemake.input.occupancy),
    states=pl.read_parquet(snakemake.input.states),
    start=start,
    end=end,
    idle_power_w=node_power.idle_by_node(snakemake.input.get("node_power")),
    gpus=Activity.load(
        snakemake.input.get("devices", []),
        gpu_gates=snakemake.input.get("gpu_gates"),
        nodes=snakemake.input.nodes,
        cluster=cluster,
    ),
)
jobs.write_parquet(snakemake.output.jobs)
classes.write_parquet(snakemake.output.classes)
