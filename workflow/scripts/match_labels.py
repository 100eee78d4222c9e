"""Write what labels say of each job, and the paper of each that has one."""

import polars as pl

from footprint import job_names, labels, ledgers, logs, tables, told

logs.to_file(snakemake.log[0])

jobs = pl.scan_parquet(snakemake.input.jobs)
run_of_job = pl.scan_parquet(snakemake.input.run_of_job)
by_file = labels.table(labels.read(snakemake.input.labels), jobs, run_of_job)
tracked = [ledgers.labelled(pl.read_parquet(each), run_of_job) for each in snakemake.input.ledger]
by_name = job_names.labelled(jobs, run_of_job)
labelled = told.first_of([by_file, *map(told.heard, [*tracked, by_name])])
tables.write(tables.Labelled, labelled, snakemake.output.labelled)
papers = labelled.select("job_id", "paper").drop_nulls()
papers.write_parquet(snakemake.output.papers)
