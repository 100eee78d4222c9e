"""Write the readers' table of the levels."""

import polars as pl

from footprint import logs, reader_tables, report_tables

logs.to_file(snakemake.log[0])

table = reader_tables.levels_table(
    pl.read_parquet(snakemake.input.levels), redistribution=snakemake.params.redistribution
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
