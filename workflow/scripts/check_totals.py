"""Write the totals and ratios of the simulated site beside their true values."""

import polars as pl

from footprint.core import logs
from footprint.schemas.validation import AgainstTruth
from footprint.schemas.writing import write_table
from footprint.validation import true_totals

logs.log_to_file(snakemake.log[0])

given = snakemake.input
jobs = true_totals.true_energies(
    pl.scan_parquet(given.job_energy),
    pl.scan_parquet(given.job_nodes),
    truth=pl.scan_parquet(given.truth),
    kinds=pl.scan_parquet(given.kinds),
    labels=pl.scan_parquet(given.labels),
)
table = true_totals.compare_totals(
    jobs, pl.scan_parquet(given.levels), pl.scan_parquet(given.ratio)
)
write_table(AgainstTruth, table, snakemake.output.totals)
