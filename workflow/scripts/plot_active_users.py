"""Draw the number of users in the 12 months before each point in time."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import active_users, style

logs.log_to_file(snakemake.log[0])

drawn = active_users.plot(
    pl.read_parquet(snakemake.input.users),
    site=snakemake.params.site,
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
