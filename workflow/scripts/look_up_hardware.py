"""Write what estimators need to know of the study's nodes."""

import polars as pl

from footprint import hardware, logs, tables

logs.to_file(snakemake.log[0])

nodes = pl.scan_parquet(snakemake.input.nodes).filter(
    pl.col("cluster").is_in(snakemake.params.clusters)
)
tables.write(tables.Hardware, hardware.look_up(nodes), snakemake.output.hardware)
