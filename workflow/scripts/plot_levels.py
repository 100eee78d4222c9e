"""Draw the energy at each level of the study."""

import polars as pl

from footprint import logs
from footprint.figures import levels, style

logs.to_file(snakemake.log[0])

drawn = levels.plot(pl.read_parquet(snakemake.input.levels), provenance=snakemake.params.provenance)
style.save(drawn, snakemake.output)
