"""Write the readers' table of power readings and rejected rows."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import energy, formats
from footprint.sources.kwollect import answers

logs.log_to_file(snakemake.log[0])

nodes = pl.read_parquet(snakemake.input.nodes)
table = energy.quality_table(
    pl.read_parquet(snakemake.input.quality),
    pl.read_parquet(snakemake.input.rejected),
    uncollected=answers.uncollected_nodes(nodes, snakemake.params.metric),
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
