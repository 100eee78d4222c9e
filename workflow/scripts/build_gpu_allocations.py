"""Write the allocations of the GPUs of the study's nodes."""

import polars as pl

from footprint.allocation import gpu_allocations
from footprint.core import calendar, logs

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
allocations_of_gpus = gpu_allocations.build_gpu_allocations(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes).filter(
        pl.col("cluster").is_in(snakemake.params.clusters)
    ),
    start=start,
    end=end,
)
allocations_of_gpus.write_parquet(snakemake.output.gpu_allocations)
