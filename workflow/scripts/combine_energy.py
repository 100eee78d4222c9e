"""Write the energy of jobs and nodes over the study, the quality table, and rejected rows."""

import polars as pl

from footprint.core import calendar, logs, pseudonyms
from footprint.energy import rejected_power, sensor_flags, study_energy
from footprint.energy.study_records import StudyRecords
from footprint.schemas.energy import JobEnergy, JobNodeEnergy, NodeEnergy, Quality
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

window = calendar.study_window(snakemake.params.start, snakemake.params.end)
records = StudyRecords(
    window=window,
    jobs=pl.scan_parquet(snakemake.input.jobs),
    allocations=pl.scan_parquet(snakemake.input.allocations),
    overlaps=pl.read_parquet(snakemake.input.overlaps),
)
nodes = pl.scan_parquet(snakemake.input.nodes)
results = study_energy.build_study_energy(
    records,
    nodes.filter(pl.col("cluster").is_in(snakemake.params.clusters)),
    job_sums=pl.scan_parquet(snakemake.input.job_sums),
    classes=pl.scan_parquet(snakemake.input.classes),
    method=snakemake.params.method,
    key=pseudonyms.load_key(snakemake.params.privacy["key"], simulated=snakemake.params.simulated),
)
flags = sensor_flags.flags_from_files(snakemake.input, end=window.end)
jobs = sensor_flags.with_sensor_flags(results.jobs, flags)
rejected = rejected_power.rejected_power_from_files(
    snakemake.input, clusters=snakemake.params.clusters, metric=snakemake.params.metric
)
write_table(JobEnergy, jobs, snakemake.output.jobs)
write_table(JobNodeEnergy, results.job_nodes, snakemake.output.job_nodes)
write_table(NodeEnergy, results.nodes, snakemake.output.nodes)
write_table(Quality, pl.scan_parquet(snakemake.input.quality), snakemake.output.quality)
write_table(
    RejectedRows,
    pl.concat([pl.scan_parquet(snakemake.input.rejected), results.rejected, rejected.lazy()]),
    snakemake.output.rejected,
)
