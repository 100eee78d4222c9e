"""Write the cleaned power of the GPUs of one cluster and month, and its rejected rows."""

from pathlib import Path

from footprint.core import calendar, logs
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table
from footprint.sources import device_download
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, converted = snakemake.params, snakemake.input.get("converted")
start, end = calendar.month_in_study(snakemake.wildcards.month, params.start, params.end)
site = open_site(
    params.source,
    site=params.site,
    download=snakemake.config["download"],
    converted=Path(converted) if converted else None,
)
rejected = device_download.download_gpu_power(
    site,
    snakemake.output.devices,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
)
write_table(RejectedRows, rejected, snakemake.output.rejected)
