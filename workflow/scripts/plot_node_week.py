"""Draw the busiest week of the busiest node, with the jobs that held it."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import node_week, style

logs.log_to_file(snakemake.log[0])

power = pl.scan_parquet(snakemake.input.power)
allocations = pl.scan_parquet(snakemake.input.node_allocations)
week = node_week.busiest_week(pl.read_parquet(snakemake.input.node_energy), allocations)
print(week)
drawn = node_week.plot(
    power.head(0).collect() if week is None else node_week.samples_of_week(power, week),
    allocations.filter(pl.col("node") == (week.node if week else "")).collect(),
    week,
    max_gap_s=snakemake.params.max_gap_s,
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
