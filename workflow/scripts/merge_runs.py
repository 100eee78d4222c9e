"""Write the run of each job: chains of resumed jobs are one."""

import polars as pl

from footprint import logs, tables
from footprint.phases import runs

logs.to_file(snakemake.log[0])

run_of_job = runs.merge(
    pl.scan_parquet(snakemake.input.jobs),
    gap_h=snakemake.params.gap_h,
    arrays=snakemake.params.arrays,
    allocations=pl.scan_parquet(snakemake.input.allocations),
    node_pattern=snakemake.params.node_pattern,
)
tables.write(tables.RunOfJob, run_of_job, snakemake.output.run_of_job)
