"""Write the cleaned power of a cluster and month, the account of its readings, and its spells."""

from pathlib import Path

import polars as pl

from footprint import held_time, logs, power_months, tables, windows
from footprint.integration import Calibration
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
accounts = power_months.download(
    site,
    pl.read_parquet(snakemake.input.nodes),
    snakemake.output.power,
    metric=params.metric,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
    off_threshold_w=params.off_threshold_w,
    sum_over=params.sum_over,
    calibration=Calibration(**params.calibration) if params.calibration else None,
    held=held_time.load(snakemake.input, end=windows.window(params.start, params.end)[1]),
)
tables.write(tables.Quality, accounts.quality, snakemake.output.quality)
tables.write(tables.SensorSpells, accounts.spells, snakemake.output.spells)
