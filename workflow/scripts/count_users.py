"""Count the distinct users in the 12 months before each point in time."""

import polars as pl

from footprint.core import calendar, logs
from footprint.levels import active_users, usage_files
from footprint.schemas.raw import RejectedRows
from footprint.schemas.usage import ActiveUsers
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

params = snakemake.params
found = usage_files.read_usage(
    history=params.usage["history"], statistics=params.usage["statistics"]
)
users = active_users.active_users_table(
    pl.scan_parquet(snakemake.input.jobs),
    window=calendar.study_window(params.start, params.end),
    history=found.history,
    statistics=found.statistics,
    every=params.usage["every"],
    minimum_group=params.privacy["minimum_group"],
)
write_table(ActiveUsers, users, snakemake.output.users)
write_table(RejectedRows, found.rejected, snakemake.output.rejected)
