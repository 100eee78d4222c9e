"""Write the readers' table of the levels."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import energy, formats

logs.log_to_file(snakemake.log[0])

table = energy.levels_table(
    pl.read_parquet(snakemake.input.levels), redistribution=snakemake.params.redistribution
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
