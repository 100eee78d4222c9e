"""Convert exported power files to Parquet, once, and count what of them is set aside."""

from pathlib import Path

import polars as pl

from footprint import logs, tables, windows
from footprint.site import converted
from footprint.site.exports import ExportedSite

logs.to_file(snakemake.log[0])

params, folder = snakemake.params, Path(snakemake.output.converted)
start, end = windows.window(params.start, params.end)
site = ExportedSite.from_config(params.source, site=params.site)
set_aside = [
    site.convert_power(metric=params.metric, directory=folder.parent),
    converted.outside_study(
        folder, clusters=params.clusters, start=start, end=end, pattern=site.pattern
    ),
]
tables.write(tables.SetAside, pl.concat(set_aside), snakemake.output.set_aside)
