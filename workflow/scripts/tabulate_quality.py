"""Write the readers' table of power readings and what was set aside."""

import polars as pl

from footprint import logs, reader_tables, report_tables
from footprint.site import kwollect

logs.to_file(snakemake.log[0])

nodes = pl.read_parquet(snakemake.input.nodes)
table = reader_tables.quality_table(
    pl.read_parquet(snakemake.input.quality),
    pl.read_parquet(snakemake.input.set_aside),
    uncollected=kwollect.uncollected(nodes, snakemake.params.metric),
)
report_tables.write(table, snakemake.output, provenance=snakemake.params.provenance)
