"""Convert exported series of GPUs and processors to Parquet, and count their rejected rows."""

from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table
from footprint.sources.exports import conversion
from footprint.sources.exports.site import ExportedSite
from footprint.sources.kwollect.metrics import EXPORTED_SERIES

logs.log_to_file(snakemake.log[0])

params, folder = snakemake.params, Path(snakemake.output.converted)
start, end = calendar.study_window(params.start, params.end)
site = ExportedSite.from_config(params.source, site=params.site)
rejected = [
    site.convert_devices(directory=folder),
    conversion.count_outside_study(
        [folder / metric for metric in EXPORTED_SERIES],
        clusters=params.clusters,
        start=start,
        end=end,
        stage="devices",
        pattern=site.pattern,
    ),
]
write_table(RejectedRows, pl.concat(rejected), snakemake.output.rejected)
