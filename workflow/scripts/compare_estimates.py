"""Write the ratio of each estimator to the measured energy, by group of jobs."""

import polars as pl

from footprint import schemas
from footprint.core import logs
from footprint.estimators import comparison

logs.log_to_file(snakemake.log[0])

rows = comparison.ratios_by_group(
    pl.scan_parquet(snakemake.input.estimates),
    pl.scan_parquet(snakemake.input.job_energy),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.hardware),
)
schemas.write_table(schemas.EstimateRatios, rows, snakemake.output.ratios)
