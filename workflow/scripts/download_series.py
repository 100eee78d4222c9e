"""Write a series of the devices of one cluster and month, as it came."""

from footprint import device_months, logs, windows
from footprint.site import open_site

logs.to_file(snakemake.log[0])

params, wildcards = snakemake.params, snakemake.wildcards
start, end = windows.month_window(wildcards.month, params.start, params.end)
site = open_site(params.source, site=params.site, download=snakemake.config["download"])
series = site.devices(metric=wildcards.series, cluster=wildcards.cluster, start=start, end=end)
n_left_out = device_months.write_series(series, snakemake.output.series)
if n_left_out:
    print(f"{n_left_out} values left out: there is another of the same series and time")
