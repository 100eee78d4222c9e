"""Write the readers' table of the nodes' hardware and the power that they were seen at."""

import polars as pl

from footprint import logs, report_tables, study_tables

logs.to_file(snakemake.log[0])

table = study_tables.hardware_table(
    pl.read_parquet(snakemake.input.hardware), pl.read_parquet(snakemake.input.node_power)
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
