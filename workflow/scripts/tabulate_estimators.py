"""Write the readers' table of what each estimator counts and leaves out."""

import polars as pl

from footprint import estimate_tables, logs, report_tables

logs.to_file(snakemake.log[0])

table = estimate_tables.estimators_table(
    pl.read_parquet(snakemake.input.ratios), pl.scan_parquet(snakemake.input.estimates)
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
