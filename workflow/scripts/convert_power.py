"""Convert power files of a folder to Parquet, and count their rejected rows."""

from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, folder = snakemake.params, Path(snakemake.output.converted)
start, end = calendar.study_window(params.start, params.end)
site = open_site(params.source, site=params.site)
rejected = [
    site.convert_power(metric=params.metric, directory=folder.parent),
    site.count_outside_study([folder], clusters=params.clusters, start=start, end=end),
]
write_table(RejectedRows, pl.concat(rejected), snakemake.output.rejected)
