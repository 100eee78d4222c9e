"""Write a series of the devices of one cluster and month, without cleaning."""

from pathlib import Path

from footprint.core import calendar, logs
from footprint.sources import device_download
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, wildcards = snakemake.params, snakemake.wildcards
converted = snakemake.input.get("converted")
start, end = calendar.month_in_study(wildcards.month, params.start, params.end)
site = open_site(
    params.source,
    site=params.site,
    download=snakemake.config["download"],
    converted=Path(converted) if converted else None,
)
series = site.devices(metric=wildcards.series, cluster=wildcards.cluster, start=start, end=end)
n_left_out = device_download.write_device_series(series, snakemake.output.series)
if n_left_out:
    print(f"{n_left_out} values rejected: another value of the same series has the same time")
