"""Write the allocations of nodes and of GPUs, with the overlaps and the occupancy of nodes."""

import polars as pl

from footprint.allocation import gpu_allocations, node_allocations
from footprint.core import calendar, logs

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
jobs = pl.scan_parquet(snakemake.input.jobs)
allocations = pl.scan_parquet(snakemake.input.allocations)
nodes = pl.scan_parquet(snakemake.input.nodes).filter(
    pl.col("cluster").is_in(snakemake.params.clusters)
)
built = node_allocations.build_allocations(
    jobs, allocations, nodes, start=start, end=end, gate=snakemake.params.policy
)
built.allocations.write_parquet(snakemake.output.node_allocations)
built.overlaps.write_parquet(snakemake.output.overlaps)
node_allocations.occupancy(built.allocations.lazy()).collect().write_parquet(
    snakemake.output.occupancy
)
if snakemake.output.gpu_allocations:
    gpu_allocations.build_gpu_allocations(
        jobs, allocations, nodes, start=start, end=end
    ).write_parquet(snakemake.output.gpu_allocations)
