"""Write the energy of the jobs, nodes and segments of one cluster and month."""

import polars as pl

from footprint.core import calendar, logs
from footprint.energy import attribution, idle_power
from footprint.energy.gpu_attribution import GpuActivity
from footprint.schemas.gaps import Segments
from footprint.schemas.writing import write_table
from footprint.sources import monthly_files

logs.log_to_file(snakemake.log[0])

cluster, params = snakemake.wildcards.cluster, snakemake.params
start, end = calendar.month_in_study(snakemake.wildcards.month, params.start, params.end)
found = attribution.attribute_with_segments(
    monthly_files.cluster_nodes(snakemake.input.nodes, cluster),
    monthly_files.sample_reader(snakemake.input.power),
    attribution.IntegrationSettings.from_config(
        params.integration, cluster=cluster, jobs_complete=params.jobs_complete
    ),
    attribution.NodeRecords(
        allocations=pl.read_parquet(snakemake.input.node_allocations),
        occupancy=pl.read_parquet(snakemake.input.occupancy),
        states=pl.read_parquet(snakemake.input.states),
        idle_power_w=idle_power.read_idle_power(snakemake.input.get("node_power")),
        gpus=GpuActivity.from_files(
            snakemake.input.get("devices", []),
            gpu_allocations=snakemake.input.get("gpu_allocations"),
            nodes=snakemake.input.nodes,
            cluster=cluster,
        ),
    ),
    start=start,
    end=end,
)
found.jobs.write_parquet(snakemake.output.jobs)
found.classes.write_parquet(snakemake.output.classes)
write_table(Segments, found.segments, snakemake.output.segments)
