"""Draw the estimators against the measurement, by cluster, GPU and duration."""

import polars as pl

from footprint import logs
from footprint.figures import ratios, style

logs.to_file(snakemake.log[0])

drawn = ratios.plot(pl.read_parquet(snakemake.input.ratios), provenance=snakemake.params.provenance)
style.save(drawn, snakemake.output)
