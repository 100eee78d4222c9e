"""Write the readers' table of what was tracked beside what OAR knows."""

import polars as pl

from footprint import ledger_table, logs, report_tables

logs.to_file(snakemake.log[0])

table = ledger_table.ledger_table(pl.read_parquet(snakemake.input.reconciliation))
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
