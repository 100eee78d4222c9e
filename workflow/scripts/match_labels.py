"""Write what labels say of each job, and the paper of each that has one."""

import polars as pl

from footprint import labels, logs, tables

logs.to_file(snakemake.log[0])

labelled = labels.table(
    labels.read(snakemake.input.labels),
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.run_of_job),
)
tables.write(tables.Labelled, labelled, snakemake.output.labelled)
papers = labelled.select("job_id", "paper").drop_nulls().collect()
papers.write_parquet(snakemake.output.papers)
