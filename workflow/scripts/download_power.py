"""Write the cleaned power of one cluster and month, and the account of its readings."""

from pathlib import Path

import polars as pl

from footprint import logs, power_months, tables, windows
from footprint.site import open_site

logs.to_file(snakemake.log[0])

params, converted = snakemake.params, snakemake.input.get("converted")
start, end = windows.month_window(snakemake.wildcards.month, params.start, params.end)
site = open_site(
    params.source,
    site=params.site,
    download=snakemake.config["download"],
    converted=Path(converted).parent if converted else None,
)
account = power_months.download(
    site,
    pl.read_parquet(snakemake.input.nodes),
    snakemake.output.power,
    metric=params.metric,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
)
tables.write(tables.Quality, account, snakemake.output.quality)
