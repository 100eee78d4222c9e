"""Draw training, inference and development of each paper and project."""

import polars as pl

from footprint import logs
from footprint.figures import phases, style

logs.to_file(snakemake.log[0])

drawn = phases.plot(pl.read_parquet(snakemake.input.ratio), provenance=snakemake.params.provenance)
style.save(drawn, snakemake.output)
