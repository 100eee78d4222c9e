"""Draw the energy at each level of the study."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import levels, style

logs.log_to_file(snakemake.log[0])

drawn = levels.plot(pl.read_parquet(snakemake.input.levels), provenance=snakemake.params.provenance)
style.save_figure(drawn, snakemake.output)
