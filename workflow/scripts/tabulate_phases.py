"""Write the readers' table of the phases."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, phases

logs.log_to_file(snakemake.log[0])

table = phases.phases_table(pl.read_parquet(snakemake.input.ratio))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
