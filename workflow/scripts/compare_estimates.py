"""Write the ratio of each estimator to the measured energy, by group of jobs."""

import polars as pl

from footprint.core import logs
from footprint.estimators import comparison
from footprint.schemas.estimates import EstimateRatios
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

rows = comparison.ratios_by_group(
    pl.scan_parquet(snakemake.input.estimates),
    pl.scan_parquet(snakemake.input.job_energy),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.hardware),
)
write_table(EstimateRatios, rows, snakemake.output.ratios)
