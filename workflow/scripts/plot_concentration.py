"""Draw the share of energy against the share of jobs, and of runs."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import concentration, style

logs.log_to_file(snakemake.log[0])

drawn = concentration.plot(
    pl.read_parquet(snakemake.input.job_energy),
    pl.read_parquet(snakemake.input.runs),
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
