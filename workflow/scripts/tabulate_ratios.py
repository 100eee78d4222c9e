"""Write the readers' table of the ratios of the estimators."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import estimates, formats

logs.log_to_file(snakemake.log[0])

table = estimates.ratios_table(pl.read_parquet(snakemake.input.ratios))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
