"""Count the distinct users in the 12 months before each point in time."""

import polars as pl

from footprint import logs, tables, usage, windows
from footprint.tables.usage import ActiveUsers

logs.to_file(snakemake.log[0])

params = snakemake.params
start, end = windows.window(params.start, params.end)
users = usage.table(
    pl.scan_parquet(snakemake.input.jobs),
    start=start,
    end=end,
    history=params.usage["history"],
    statistics=params.usage["statistics"],
    every=params.usage["every"],
    minimum_group=params.privacy["minimum_group"],
)
tables.write(ActiveUsers, users, snakemake.output.users)
