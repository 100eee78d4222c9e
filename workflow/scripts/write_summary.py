"""Write the study's conclusions with their limits, and the sentence for an appendix."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.report import summary

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
names = ("levels", "node_energy", "ratio", "carbon", "rejected")
text = summary.summary_markdown(
    *(pl.read_parquet(snakemake.input[name]) for name in names),
    site=snakemake.params.site,
    days=(end - start) / timedelta(days=1),
    simulated=snakemake.params.simulated,
    pue=snakemake.params.pue,
    factors=snakemake.params.factors,
    provenance=snakemake.params.provenance,
)
Path(snakemake.output.summary).write_text(text, encoding="utf-8")
