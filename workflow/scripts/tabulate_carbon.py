"""Write the readers' table of carbon by named factors."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, study

logs.log_to_file(snakemake.log[0])

table = study.carbon_table(
    pl.read_parquet(snakemake.input.carbon),
    pue=snakemake.params.pue,
    factors=snakemake.params.carbon["factors"],
    embodied=snakemake.params.carbon["embodied"],
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
