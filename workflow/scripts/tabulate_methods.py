"""Write the readers' table of the methods at each level."""

import polars as pl

from footprint import estimate_tables, logs, report_tables

logs.to_file(snakemake.log[0])

table = estimate_tables.methods_table(
    pl.read_parquet(snakemake.input.levels), pue=snakemake.params.pue
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
