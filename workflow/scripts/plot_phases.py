"""Draw the shares of training, inference and development of each paper and project."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import phases, style

logs.log_to_file(snakemake.log[0])

drawn = phases.plot(pl.read_parquet(snakemake.input.ratio), provenance=snakemake.params.provenance)
style.save_figure(drawn, snakemake.output)
