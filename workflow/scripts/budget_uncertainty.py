"""Write the uncertainty budget of the site and of each shown paper."""

import polars as pl

from footprint.core import logs
from footprint.levels import budgets
from footprint.schemas.totals import Uncertainty
from footprint.schemas.writing import write_table
from footprint.totals.error_model import ErrorModel

logs.log_to_file(snakemake.log[0])

inputs = snakemake.input
rows = budgets.budget_of_levels(
    pl.read_parquet(inputs.levels),
    pl.scan_parquet(inputs.job_energy),
    pl.scan_parquet(inputs.job_nodes),
    pl.scan_parquet(inputs.papers),
    site=snakemake.params.site,
    model=ErrorModel.of_study(
        pl.read_parquet(inputs.virtual_meter),
        snakemake.params.meters,
    ),
)
write_table(Uncertainty, rows, snakemake.output.uncertainty)
