"""Write the readers' table of measured against true energy."""

import polars as pl

from footprint import logs, reader_tables, report_tables

logs.to_file(snakemake.log[0])

table = reader_tables.simulation_check_table(pl.read_parquet(snakemake.input.check))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
