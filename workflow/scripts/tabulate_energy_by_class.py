"""Write the readers' table of energy by cluster and class."""

import polars as pl

from footprint import logs, reader_tables, report_tables

logs.to_file(snakemake.log[0])

table = reader_tables.energy_by_class_table(pl.read_parquet(snakemake.input.node_energy))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
