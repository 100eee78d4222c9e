"""Write the cleaned power of one cluster and month, the account of its readings, and its spells."""

from pathlib import Path

import polars as pl

from footprint import held_time, logs, power_months, tables, windows
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
nodes = pl.read_parquet(snakemake.input.nodes)
_, study_end = windows.window(params.start, params.end)
held = held_time.by_node(
    held_time.intervals(
        pl.scan_parquet(snakemake.input.jobs),
        pl.scan_parquet(snakemake.input.allocations),
        end=study_end,
    ),
    pl.read_parquet(snakemake.input.states),
    nodes=nodes.filter(pl.col("cluster") == snakemake.wildcards.cluster)["node"].unique(),
    end=study_end,
)
accounts = power_months.download(
    site,
    nodes,
    snakemake.output.power,
    metric=params.metric,
    cluster=snakemake.wildcards.cluster,
    start=start,
    end=end,
    max_gap_s=params.max_gap_s,
    off_threshold_w=params.off_threshold_w,
    sum_over=params.sum_over,
    held=held,
)
tables.write(tables.Quality, accounts.quality, snakemake.output.quality)
tables.write(tables.SensorSpells, accounts.spells, snakemake.output.spells)
