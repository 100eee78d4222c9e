"""Write the estimated energy of the jobs and nodes of one cluster in time without readings."""

import polars as pl

from footprint.core import calendar, logs
from footprint.energy import gap_energy, node_hardware
from footprint.schemas.gaps import ClassGaps, JobGaps, SegmentGaps
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

inputs, params = snakemake.input, snakemake.params
estimated = gap_energy.estimate_gaps(
    pl.read_parquet(inputs.segments),
    pl.read_parquet(inputs.node_allocations),
    calendar.study_window(params.start, params.end),
    gate=params.integration["gate"],
    jobs_complete=params.jobs_complete,
    hardware=node_hardware.summarise_hardware(pl.read_parquet(inputs.hardware)),
    models=pl.read_parquet(inputs.virtual_meter),
    free_power=pl.read_parquet(inputs.free_power),
    series=pl.read_parquet(inputs.series) if inputs.series else None,
)
write_table(JobGaps, estimated.jobs, snakemake.output.jobs)
write_table(ClassGaps, estimated.classes, snakemake.output.classes)
write_table(SegmentGaps, estimated.segments, snakemake.output.segments)
