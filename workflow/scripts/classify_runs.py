"""Write the kind, role and phase of each run, the run of each job, and the labels that hold."""

import polars as pl

from footprint.core import logs
from footprint.labels import precedence
from footprint.phases import assembly, classifier, energies, group_agreement
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import GroupRuns, PhaseOfJob, Runs
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

given = snakemake.input
phase_tables = assembly.assemble_phase_tables(
    pl.scan_parquet(given.features),
    thresholds=classifier.Thresholds.from_config(snakemake.params.thresholds),
    run_of_job=pl.scan_parquet(given.run_of_job),
    job_energy=pl.scan_parquet(given.job_energy),
    labelled=pl.scan_parquet(given.labels),
    groups=pl.scan_parquet(given.group_labels),
    jobs=pl.scan_parquet(given.records),
    errors=energies.read_errors(
        given.job_nodes, given.job_energy, given.virtual_meter, snakemake.params.meters
    ),
)
write_table(Runs, phase_tables.runs, snakemake.output.runs)
write_table(PhaseOfJob, phase_tables.jobs, snakemake.output.jobs)
write_table(JobLabels, phase_tables.labels, snakemake.output.labels)
write_table(GroupRuns, phase_tables.group_runs, snakemake.output.group_runs)
precedence.log_warnings(
    group_agreement.disagreement_messages(
        phase_tables.group_runs, pl.read_parquet(given.group_labels)
    )
)
