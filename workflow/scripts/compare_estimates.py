"""Write how far each estimator is from the measurement, by group of jobs."""

import polars as pl

from footprint import comparison, logs, tables

logs.to_file(snakemake.log[0])

rows = comparison.ratios(
    pl.scan_parquet(snakemake.input.estimates),
    pl.scan_parquet(snakemake.input.job_energy),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.hardware),
)
tables.write(tables.EstimateRatios, rows, snakemake.output.ratios)
