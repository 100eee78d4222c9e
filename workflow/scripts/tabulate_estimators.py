"""Write the readers' table of what each estimator includes and leaves out."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import estimates, formats

logs.log_to_file(snakemake.log[0])

table = estimates.estimators_table(
    pl.read_parquet(snakemake.input.ratios), pl.scan_parquet(snakemake.input.estimates)
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
