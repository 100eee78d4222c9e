"""Write the readers' table of energy by class over time."""

import polars as pl

from footprint.core import calendar, logs
from footprint.report.tables import formats, usage

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
table = usage.energy_over_time_table(
    pl.read_parquet(snakemake.input.node_energy), start=start, end=end
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
