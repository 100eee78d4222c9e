"""Write what people tracked, with its jobs and the energy of its devices."""

import polars as pl

from footprint import ledgers, logs, tables, told

logs.to_file(snakemake.log[0])

read = ledgers.load(snakemake.input.files, unreadable=snakemake.params.unreadable)
matched = ledgers.match(
    ledgers.table(read),
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes),
    site=snakemake.params.site,
    faults=read.faults,
)
told.warn(map(str, read.faults))
print(f"{len(matched.runs)} were tracked; {matched.runs['job_id'].count()} are part of a job")
tables.write(tables.Ledger, matched.runs, snakemake.output.ledger)
tables.write(tables.Tracked, matched.tracked, snakemake.output.tracked)
tables.write(tables.SetAside, matched.set_aside, snakemake.output.set_aside)
