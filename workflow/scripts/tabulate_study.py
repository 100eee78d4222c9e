"""Write the readers' table of the study as a whole."""

import polars as pl

from footprint import logs, report_tables, study_tables

logs.to_file(snakemake.log[0])

table = study_tables.study_summary_table(
    pl.read_parquet(snakemake.input.levels),
    pl.read_parquet(snakemake.input.node_energy),
    pl.read_parquet(snakemake.input.ratio),
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
