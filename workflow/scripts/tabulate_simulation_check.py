"""Write the readers' table of measured against true energy."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import energy, formats

logs.log_to_file(snakemake.log[0])

table = energy.simulation_check_table(pl.read_parquet(snakemake.input.check))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
