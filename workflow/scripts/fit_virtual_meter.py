"""Write the power models of nodes without readings, fitted on the nodes with readings."""

import polars as pl

from footprint.core import calendar, logs
from footprint.energy import free_power, node_hardware, observed_segments, power_model
from footprint.schemas.gaps import FreePower, VirtualMeter
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

inputs, params = snakemake.input, snakemake.params
observed = observed_segments.observed_segments(
    pl.scan_parquet(inputs.segments),
    pl.scan_parquet(inputs.series) if inputs.series else None,
    pl.scan_parquet(inputs.node_allocations),
    calendar.study_window(params.start, params.end),
)
hardware = node_hardware.summarise_hardware(pl.read_parquet(inputs.hardware))
models = power_model.fit_power_models(observed, hardware)
write_table(VirtualMeter, models, snakemake.output.virtual_meter)
measured = free_power.measure_free_power(pl.read_parquet(inputs.segments), hardware, models)
write_table(FreePower, measured, snakemake.output.free_power)
