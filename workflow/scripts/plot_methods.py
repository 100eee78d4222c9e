"""Draw energy at each level by the four methods of the study."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import methods, style

logs.log_to_file(snakemake.log[0])

drawn = methods.plot(
    pl.read_parquet(snakemake.input.levels),
    pue=snakemake.params.pue,
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
