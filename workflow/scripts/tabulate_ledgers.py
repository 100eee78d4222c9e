"""Write the readers' table of tracked runs against OAR's jobs."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, ledger

logs.log_to_file(snakemake.log[0])

table = ledger.ledger_table(pl.read_parquet(snakemake.input.reconciliation))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
