"""Draw every method against the wattmetre, run by run."""

import polars as pl

from footprint import logs
from footprint.figures import style, validation

logs.to_file(snakemake.log[0])

drawn = validation.plot(
    pl.read_parquet(snakemake.input.runs), provenance=snakemake.params.provenance
)
style.save(drawn, snakemake.output)
