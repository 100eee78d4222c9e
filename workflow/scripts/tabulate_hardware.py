"""Write the readers' table of the nodes' hardware and measured power."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, study

logs.log_to_file(snakemake.log[0])

table = study.hardware_table(
    pl.read_parquet(snakemake.input.hardware), pl.read_parquet(snakemake.input.node_power)
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
