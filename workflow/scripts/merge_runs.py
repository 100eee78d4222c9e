"""Write the run of each job; the jobs of a chain are one run."""

import polars as pl

from footprint.core import logs
from footprint.phases import chains
from footprint.schemas.phases import RunOfJob
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

run_of_job = chains.merge_jobs_into_runs(
    pl.scan_parquet(snakemake.input.jobs),
    gap_h=snakemake.params.gap_h,
    arrays=snakemake.params.arrays,
    allocations=pl.scan_parquet(snakemake.input.allocations),
    node_pattern=snakemake.params.node_pattern,
)
write_table(RunOfJob, run_of_job, snakemake.output.run_of_job)
