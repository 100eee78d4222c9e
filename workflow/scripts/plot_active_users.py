"""Draw how many people used the site in the 12 months before each point in time."""

import polars as pl

from footprint import logs
from footprint.figures import active_users, style

logs.to_file(snakemake.log[0])

drawn = active_users.plot(
    pl.read_parquet(snakemake.input.users),
    site=snakemake.params.site,
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
