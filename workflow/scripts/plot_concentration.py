"""Draw how much of the energy how few of the jobs, and of the runs, took."""

import polars as pl

from footprint import logs
from footprint.figures import concentration, style

logs.to_file(snakemake.log[0])

drawn = concentration.plot(
    pl.read_parquet(snakemake.input.job_energy),
    pl.read_parquet(snakemake.input.runs),
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
