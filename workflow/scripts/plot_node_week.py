"""Draw the busiest week of the busiest node, with the jobs that held it."""

import polars as pl

from footprint import logs
from footprint.figures import node_week, style

logs.to_file(snakemake.log[0])

power = pl.scan_parquet(snakemake.input.power)
gates = pl.scan_parquet(snakemake.input.gates)
week = node_week.busiest(pl.read_parquet(snakemake.input.node_energy), gates)
print(week)
drawn = node_week.plot(
    power.head(0).collect() if week is None else node_week.samples(power, week),
    gates.filter(pl.col("node") == (week.node if week else "")).collect(),
    week,
    max_gap_s=snakemake.params.max_gap_s,
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
