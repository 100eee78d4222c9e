"""Write the reconciliation of tracked runs with OAR's jobs."""

import polars as pl

from footprint.core import logs, pseudonyms
from footprint.labels import reconciliation
from footprint.schemas.labels import Reconciliation
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

params = snakemake.params
key = pseudonyms.load_key(params.privacy["key"], simulated=params.simulated)
rows = reconciliation.reconcile_ledgers(
    pl.read_parquet(snakemake.input.ledger),
    pl.scan_parquet(snakemake.input.job_energy),
    pl.read_parquet(snakemake.input.rejected),
    users=pseudonyms.shown_pseudonyms(params.users, key=key),
    minimum_group=params.privacy["minimum_group"],
)
write_table(Reconciliation, rows, snakemake.output.reconciliation)
