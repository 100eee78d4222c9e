"""Write the allocations of every job on the study's nodes, their overlaps, and occupancy."""

import polars as pl

from footprint.allocation import node_allocations
from footprint.core import calendar, logs

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
built = node_allocations.build_allocations(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes).filter(
        pl.col("cluster").is_in(snakemake.params.clusters)
    ),
    start=start,
    end=end,
    gate=snakemake.params.policy,
)
built.allocations.write_parquet(snakemake.output.node_allocations)
built.overlaps.write_parquet(snakemake.output.overlaps)
node_allocations.occupancy(built.allocations.lazy()).collect().write_parquet(
    snakemake.output.occupancy
)
