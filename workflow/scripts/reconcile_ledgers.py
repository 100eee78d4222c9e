"""Write what ledgers know and OAR does not, and the reverse."""

import polars as pl

from footprint import logs, privacy, reconciliation, tables

logs.to_file(snakemake.log[0])

params = snakemake.params
key = privacy.load_key(params.privacy["key"], simulated=params.simulated)
rows = reconciliation.reconcile(
    pl.read_parquet(snakemake.input.ledger),
    pl.scan_parquet(snakemake.input.job_energy),
    pl.read_parquet(snakemake.input.set_aside),
    users=privacy.shown(params.users, key=key),
    minimum_group=params.privacy["minimum_group"],
)
tables.write(tables.Reconciliation, rows, snakemake.output.reconciliation)
