"""Write who held which part of which GPU of the study's nodes."""

import polars as pl

from footprint import gpu_gates, logs, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
pieces = gpu_gates.build(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes).filter(
        pl.col("cluster").is_in(snakemake.params.clusters)
    ),
    start=start,
    end=end,
)
pieces.write_parquet(snakemake.output.gates)
