"""Write what estimators need to know of the study's nodes, and count what is not known."""

import polars as pl

from footprint import hardware, logs, tables

logs.to_file(snakemake.log[0])

nodes = pl.scan_parquet(snakemake.input.nodes).filter(
    pl.col("cluster").is_in(snakemake.params.clusters)
)
given = snakemake.params.hardware
found = hardware.look_up(nodes, given)
tables.write(tables.Hardware, found, snakemake.output.hardware)
tables.write(tables.SetAside, hardware.set_aside(found, given), snakemake.output.set_aside)
