"""Write the energy of jobs and nodes over the study, the quality table, and rejected rows."""

import polars as pl

from footprint.core import calendar, logs, pseudonyms
from footprint.energy import rejected_power, sensor_flags, study_energy
from footprint.energy.study_records import StudyRecords
from footprint.schemas.energy import JobEnergy, JobNodeEnergy, NodeEnergy, Quality
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table
from footprint.totals import study_totals
from footprint.totals.error_model import ErrorModel

logs.log_to_file(snakemake.log[0])

params, inputs, output = snakemake.params, snakemake.input, snakemake.output
window = calendar.study_window(params.start, params.end)
results = study_energy.build_study_energy(
    StudyRecords.from_files(inputs, window),
    pl.scan_parquet(inputs.nodes).filter(pl.col("cluster").is_in(params.clusters)),
    job_sums=pl.scan_parquet(inputs.job_sums),
    classes=pl.scan_parquet(inputs.classes),
    job_gaps=pl.scan_parquet(inputs.job_gaps),
    class_gaps=pl.scan_parquet(inputs.class_gaps),
    method=params.method,
    key=pseudonyms.load_key(params.privacy["key"], simulated=params.simulated),
)
model = ErrorModel.of_study(pl.read_parquet(inputs.virtual_meter), params.meters)
job_nodes = study_totals.add_job_totals(results.job_nodes.lazy(), model).collect()
jobs = study_totals.add_totals_of_jobs(results.jobs.lazy(), job_nodes.lazy(), model).collect()
flags = sensor_flags.flags_from_files(inputs, end=window.end)
rejected = rejected_power.rejected_power_from_files(
    inputs, clusters=params.clusters, metric=params.metric
)
rejected_rows = [pl.scan_parquet(inputs.rejected), results.rejected, rejected.lazy()]
write_table(JobEnergy, sensor_flags.with_sensor_flags(jobs, flags), output.jobs)
write_table(JobNodeEnergy, job_nodes, output.job_nodes)
write_table(NodeEnergy, results.nodes, output.nodes)
write_table(Quality, pl.scan_parquet(inputs.quality), output.quality)
write_table(RejectedRows, pl.concat(rejected_rows), output.rejected)
