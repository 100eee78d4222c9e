"""Draw the energy of a run of each kind against the frequency of such runs."""

from datetime import timedelta

import polars as pl

from footprint.core import calendar, logs
from footprint.report.figures import energy_per_run, style

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
drawn = energy_per_run.plot(
    pl.read_parquet(snakemake.input.runs),
    weeks=(end - start) / timedelta(days=7),
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
