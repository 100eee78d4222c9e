"""Write the kind, role and phase of each run, and the run of each job."""

import polars as pl

from footprint.core import logs
from footprint.phases import assembly, classifier
from footprint.schemas.phases import PhaseOfJob, Runs
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

phase_tables = assembly.assemble_phase_tables(
    pl.scan_parquet(snakemake.input.features),
    thresholds=classifier.Thresholds.from_config(snakemake.params.thresholds),
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
    labelled=pl.scan_parquet(snakemake.input.labels),
)
write_table(Runs, phase_tables.runs, snakemake.output.runs)
write_table(PhaseOfJob, phase_tables.jobs, snakemake.output.jobs)
