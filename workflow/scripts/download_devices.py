"""Write the cleaned power of the GPUs of one cluster and month, and what was set aside."""

from pathlib import Path

from footprint import device_months, logs, tables, windows
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
set_aside = device_months.download(
    site,
    snakemake.output.devices,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
)
tables.write(tables.SetAside, set_aside, snakemake.output.set_aside)
