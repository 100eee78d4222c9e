"""Draw the four methods of the study beside each other, at each level."""

import polars as pl

from footprint import logs
from footprint.figures import methods, style

logs.to_file(snakemake.log[0])

drawn = methods.plot(
    pl.read_parquet(snakemake.input.levels),
    pue=snakemake.params.pue,
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
