"""Write the study's conclusions, with their limits and in brief for the report."""

from datetime import timedelta
from pathlib import Path

import mistune
import polars as pl

from footprint.core import calendar, logs
from footprint.report import summary

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
names = ("levels", "node_energy", "ratio", "carbon", "rejected")
frames = {name: pl.read_parquet(snakemake.input[name]) for name in names}
text = summary.summary_markdown(
    *frames.values(),
    site=snakemake.params.site,
    days=(end - start) / timedelta(days=1),
    simulated=snakemake.params.simulated,
    pue=snakemake.params.pue,
    factors=snakemake.params.factors,
    provenance=snakemake.params.provenance,
)
Path(snakemake.output.summary).write_text(text, encoding="utf-8")
brief = summary.opening_markdown(
    *(frames[name] for name in ("levels", "node_energy", "ratio")),
    site=snakemake.params.site,
    simulated=snakemake.params.simulated,
)
# users choose the names of projects and papers: HTML in them is escaped
page = mistune.create_markdown(escape=True)(brief)
Path(snakemake.output.opening).write_text(str(page), encoding="utf-8")
