"""Write tracked runs with their jobs, and the energy of their devices."""

import polars as pl

from footprint import schemas
from footprint.core import logs
from footprint.labels import from_ledgers, precedence

logs.log_to_file(snakemake.log[0])

read = from_ledgers.read_ledgers(snakemake.input.files, unreadable=snakemake.params.unreadable)
matched = from_ledgers.match_runs_to_jobs(
    from_ledgers.runs_table(read),
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes),
    site=snakemake.params.site,
    faults=read.faults,
)
precedence.log_warnings(map(str, read.faults))
print(f"{len(matched.runs)} tracked runs; {matched.runs['job_id'].count()} are part of a job")
schemas.write_table(schemas.Ledger, matched.runs, snakemake.output.ledger)
schemas.write_table(schemas.Tracked, matched.tracked, snakemake.output.tracked)
schemas.write_table(schemas.RejectedRows, matched.rejected, snakemake.output.rejected)
