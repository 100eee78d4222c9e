"""Write the readers' table of assigned against true kinds."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, phases

logs.log_to_file(snakemake.log[0])

table = phases.evaluation_table(pl.read_parquet(snakemake.input.evaluation))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
