"""Write what each run was, what it was for, and the run of each job."""

import polars as pl

from footprint import logs, tables
from footprint.phases import decided, kinds

logs.to_file(snakemake.log[0])

found = decided.decide(
    pl.scan_parquet(snakemake.input.evidence),
    thresholds=kinds.Thresholds.from_config(snakemake.params.thresholds),
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
    labelled=pl.scan_parquet(snakemake.input.labelled),
)
tables.write(tables.Runs, found.runs, snakemake.output.runs)
tables.write(tables.PhaseOfJob, found.jobs, snakemake.output.jobs)
