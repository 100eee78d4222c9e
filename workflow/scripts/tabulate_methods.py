"""Write the readers' table of the methods at each level."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import estimates, formats

logs.log_to_file(snakemake.log[0])

table = estimates.methods_table(pl.read_parquet(snakemake.input.levels), pue=snakemake.params.pue)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
