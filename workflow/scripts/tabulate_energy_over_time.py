"""Write the readers' table of energy by class over time."""

import polars as pl

from footprint import logs, report_tables, usage_tables, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
table = usage_tables.energy_over_time_table(
    pl.read_parquet(snakemake.input.node_energy), start=start, end=end
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
