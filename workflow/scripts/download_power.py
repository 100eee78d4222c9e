"""Write the cleaned power of a cluster and month, its counts of readings, and sensor spells."""

from pathlib import Path

import polars as pl

from footprint.allocation.held_intervals import read_held_time
from footprint.core import calendar, logs
from footprint.schemas.energy import Quality, SensorSpells
from footprint.schemas.writing import write_table
from footprint.sources import monthly_files, power_download
from footprint.sources.calibration import Calibration
from footprint.sources.cleaning import CleaningSettings
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, converted = snakemake.params, snakemake.input.get("converted")
devices = snakemake.input.get("devices")
site = open_site(
    params.source,
    site=params.site,
    download=snakemake.config["download"],
    converted=Path(converted).parent if converted else None,
)
line = Calibration(**params.calibration) if params.calibration else None
accounts = power_download.download_power(
    site,
    pl.read_parquet(snakemake.input.nodes),
    snakemake.output.power,
    metric=params.metric,
    cluster=snakemake.wildcards.cluster,
    window=calendar.month_in_study(snakemake.wildcards.month, params.start, params.end),
    settings=CleaningSettings(params.max_gap_s, params.off_threshold_w, line),
    sum_over=params.sum_over,
    held=read_held_time(snakemake.input, end=calendar.study_window(params.start, params.end)[1]),
    gpu_power=monthly_files.gpu_power_reader(devices) if devices else None,
)
write_table(Quality, accounts.quality, snakemake.output.quality)
write_table(SensorSpells, accounts.spells, snakemake.output.spells)
