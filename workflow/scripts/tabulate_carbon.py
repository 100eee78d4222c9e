"""Write the readers' table of carbon by named factors."""

import polars as pl

from footprint import logs, report_tables, study_tables

logs.to_file(snakemake.log[0])

table = study_tables.carbon_table(
    pl.read_parquet(snakemake.input.carbon),
    pue=snakemake.params.pue,
    factors=snakemake.params.carbon["factors"],
    embodied=snakemake.params.carbon["embodied"],
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
