"""Write the readers' table of estimators against the measurement."""

import polars as pl

from footprint import estimate_tables, logs, report_tables

logs.to_file(snakemake.log[0])

table = estimate_tables.ratios_table(pl.read_parquet(snakemake.input.ratios))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
