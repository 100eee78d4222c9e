"""Draw energy and time of the nodes by class, for each day, week or month."""

import polars as pl

from footprint.core import calendar, logs
from footprint.report.figures import energy_over_time, style

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
drawn = energy_over_time.plot(
    pl.read_parquet(snakemake.input.node_energy),
    site=snakemake.params.site,
    start=start,
    end=end,
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
