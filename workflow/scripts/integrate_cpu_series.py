"""Write load and power of a cluster's processors over the allocations of jobs."""

import polars as pl

from footprint.core import calendar, logs
from footprint.estimators import device_use
from footprint.schemas.estimates import CpuSeries
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

cluster = snakemake.wildcards.cluster
start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
table = device_use.integrate_cpu_series(
    device_use.allocations_on_cluster(
        pl.read_parquet(snakemake.input.node_allocations), cluster, snakemake.params.node_pattern
    ),
    pl.read_parquet(snakemake.input.hardware).filter(pl.col("cluster") == cluster),
    load=list(snakemake.input.load),
    package=list(snakemake.input.package),
    policy=snakemake.params.policy,
    start=start,
    end=end,
)
write_table(CpuSeries, table, snakemake.output.cpu_series)
