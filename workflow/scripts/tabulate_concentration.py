"""Write the readers' table of how much of the energy how few jobs and runs took."""

import polars as pl

from footprint import logs, report_tables, usage_tables

logs.to_file(snakemake.log[0])

table = usage_tables.concentration_table(
    pl.read_parquet(snakemake.input.job_energy), pl.read_parquet(snakemake.input.runs)
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
