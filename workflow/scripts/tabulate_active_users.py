"""Write the readers' table of active users."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, usage

logs.log_to_file(snakemake.log[0])

table = usage.active_users_table(pl.read_parquet(snakemake.input.users), site=snakemake.params.site)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
