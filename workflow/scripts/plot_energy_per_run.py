"""Draw what a run of each kind takes against how often such runs come."""

from datetime import timedelta

import polars as pl

from footprint import logs, windows
from footprint.figures import energy_per_run, style

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
drawn = energy_per_run.plot(
    pl.read_parquet(snakemake.input.runs),
    weeks=(end - start) / timedelta(days=7),
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
