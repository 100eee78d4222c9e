"""Write the paper of each labelled job."""

import polars as pl

from footprint import labels, logs

logs.to_file(snakemake.log[0])

said = labels.read(snakemake.input.labels)
papers = labels.papers(said, pl.scan_parquet(snakemake.input.jobs))
papers.collect().write_parquet(snakemake.output.papers)
