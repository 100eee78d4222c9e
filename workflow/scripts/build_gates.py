"""Write the gates of every job on the study's nodes, and how much of each node is held."""

import polars as pl

from footprint import gates, logs, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
built = gates.build_with_overlaps(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes).filter(
        pl.col("cluster").is_in(snakemake.params.clusters)
    ),
    start=start,
    end=end,
    policy=snakemake.params.policy,
)
built.pieces.write_parquet(snakemake.output.gates)
built.overlaps.write_parquet(snakemake.output.overlaps)
gates.occupancy(built.pieces.lazy()).collect().write_parquet(snakemake.output.occupancy)
