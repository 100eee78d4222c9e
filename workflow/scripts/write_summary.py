"""Write the study's conclusions with their limits, and the sentence for an appendix."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.report import summary

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
findings = summary.StudyFindings(
    site=snakemake.params.site,
    simulated=snakemake.params.simulated,
    levels=pl.read_parquet(snakemake.input.levels),
    node_energy=pl.read_parquet(snakemake.input.node_energy),
    ratio=pl.read_parquet(snakemake.input.ratio),
)
text = summary.summary_markdown(
    findings,
    pl.read_parquet(snakemake.input.carbon),
    pl.read_parquet(snakemake.input.rejected),
    days=(end - start) / timedelta(days=1),
    pue=snakemake.params.pue,
    factors=snakemake.params.factors,
    provenance=snakemake.params.provenance,
)
Path(snakemake.output.summary).write_text(text, encoding="utf-8")
