"""Write the readers' table of kinds found against true kinds."""

import polars as pl

from footprint import logs, phase_tables, report_tables

logs.to_file(snakemake.log[0])

table = phase_tables.evaluation_table(pl.read_parquet(snakemake.input.evaluation))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
