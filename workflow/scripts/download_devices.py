"""Write the cleaned power of the GPUs of one cluster and month, and what was set aside."""

from pathlib import Path

from footprint import device_months, logs, tables, windows
from footprint.site.exports import ExportedSite

logs.to_file(snakemake.log[0])

params, converted = snakemake.params, Path(snakemake.input.converted)
start, end = windows.month_window(snakemake.wildcards.month, params.start, params.end)
set_aside = device_months.download(
    ExportedSite.from_config({**params.source, "converted": converted.parent}, site=params.site),
    snakemake.output.devices,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
)
tables.write(tables.SetAside, set_aside, snakemake.output.set_aside)
