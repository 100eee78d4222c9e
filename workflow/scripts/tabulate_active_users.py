"""Write the readers' table of how many people used the site."""

import polars as pl

from footprint import logs, report_tables, usage_tables

logs.to_file(snakemake.log[0])

table = usage_tables.active_users_table(
    pl.read_parquet(snakemake.input.users), site=snakemake.params.site
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
