"""Write tracked runs with their jobs, and the energy of their devices."""

import polars as pl

from footprint.core import logs
from footprint.labels import from_ledgers, precedence
from footprint.schemas.labels import Ledger, Tracked
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table

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
write_table(Ledger, matched.runs, snakemake.output.ledger)
write_table(Tracked, matched.tracked, snakemake.output.tracked)
write_table(RejectedRows, matched.rejected, snakemake.output.rejected)
