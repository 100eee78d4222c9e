"""Write the readers' table of energy by cluster and class."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import energy, formats

logs.log_to_file(snakemake.log[0])

table = energy.energy_by_class_table(pl.read_parquet(snakemake.input.node_energy))
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
