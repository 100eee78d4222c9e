"""Draw every method against the wattmeter, run by run."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import style, validation

logs.log_to_file(snakemake.log[0])

drawn = validation.plot(
    pl.read_parquet(snakemake.input.runs), provenance=snakemake.params.provenance
)
style.save_figure(drawn, snakemake.output)
