"""Draw the ratios of the estimators by cluster, GPU and duration."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import ratios, style

logs.log_to_file(snakemake.log[0])

drawn = ratios.plot(pl.read_parquet(snakemake.input.ratios), provenance=snakemake.params.provenance)
style.save_figure(drawn, snakemake.output)
