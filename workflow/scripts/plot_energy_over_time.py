"""Draw where the energy and the time of the nodes went, day by day or week by week."""

import polars as pl

from footprint import logs, windows
from footprint.figures import energy_over_time, style

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
drawn = energy_over_time.plot(
    pl.read_parquet(snakemake.input.node_energy),
    site=snakemake.params.site,
    start=start,
    end=end,
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
