"""Write the readers' table of every method against the wattmetre."""

import polars as pl

from footprint import logs, report_tables, validation_table
from footprint.validation import against_wattmetre

logs.to_file(snakemake.log[0])

summary = against_wattmetre.summary(pl.read_parquet(snakemake.input.runs))
table = validation_table.validation_table(summary)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
