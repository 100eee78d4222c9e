"""Write the hardware data of the study's nodes for the estimators, and count missing values."""

import polars as pl

from footprint.core import logs
from footprint.hardware import catalogue
from footprint.schemas.estimates import Hardware
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

nodes = pl.scan_parquet(snakemake.input.nodes).filter(
    pl.col("cluster").is_in(snakemake.params.clusters)
)
given = snakemake.params.hardware
found = catalogue.look_up_hardware(nodes, given)
write_table(Hardware, found, snakemake.output.hardware)
write_table(RejectedRows, catalogue.rejected_hardware(found, given), snakemake.output.rejected)
