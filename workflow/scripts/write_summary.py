"""Write the study's conclusions, with their limits and in brief for the report."""

from pathlib import Path

import mistune
import polars as pl

from footprint.core import calendar, logs
from footprint.report import summary
from footprint.report.appendix import StudyScope

logs.log_to_file(snakemake.log[0])

params, inputs = snakemake.params, snakemake.input
start, end = calendar.study_window(params.start, params.end)
findings = summary.StudyFindings(
    scope=StudyScope(site=params.site, simulated=params.simulated, start=start, end=end),
    levels=pl.read_parquet(inputs.levels),
    node_energy=pl.read_parquet(inputs.node_energy),
    ratio=pl.read_parquet(inputs.ratio),
    sensitivities=pl.read_parquet(inputs.sensitivities),
    against_truth=pl.read_parquet(inputs.against_truth) if inputs.against_truth else None,
)
text = summary.summary_markdown(
    findings,
    pl.read_parquet(inputs.carbon),
    pl.read_parquet(inputs.rejected),
    pue=params.pue,
    factors=params.factors,
    provenance=params.provenance,
)
Path(snakemake.output.summary).write_text(text, encoding="utf-8")
Path(snakemake.output.readme).write_text(summary.FOLDER_NOTICE, encoding="utf-8")
# users choose the names of projects and papers: HTML in them is escaped
page = mistune.create_markdown(escape=True)(summary.opening_markdown(findings))
Path(snakemake.output.opening).write_text(str(page), encoding="utf-8")
