"""Write the readers' table of every method against the wattmeter."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, validation
from footprint.validation import against_wattmeter

logs.log_to_file(snakemake.log[0])

summary = against_wattmeter.summarise_methods(pl.read_parquet(snakemake.input.runs))
table = validation.validation_table(summary)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
