"""Write what the processors of a cluster did while jobs held them."""

import polars as pl

from footprint import device_use, logs, tables, windows

logs.to_file(snakemake.log[0])

cluster = snakemake.wildcards.cluster
start, end = windows.window(snakemake.params.start, snakemake.params.end)
table = device_use.cpu_series(
    device_use.of_cluster(
        pl.read_parquet(snakemake.input.gates), cluster, snakemake.params.node_pattern
    ),
    pl.read_parquet(snakemake.input.hardware).filter(pl.col("cluster") == cluster),
    load=list(snakemake.input.load),
    package=list(snakemake.input.package),
    policy=snakemake.params.policy,
    start=start,
    end=end,
)
tables.write(tables.CpuSeries, table, snakemake.output.cpu_series)
