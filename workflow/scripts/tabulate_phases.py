"""Write the readers' table of the phases."""

import polars as pl

from footprint import logs, phase_tables, report_tables

logs.to_file(snakemake.log[0])

table = phase_tables.phases_table(pl.read_parquet(snakemake.input.ratio))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
