"""Write the readers' table of the whole study, and the conclusions in brief."""

from pathlib import Path

import mistune
import polars as pl

from footprint.core import logs
from footprint.report import summary
from footprint.report.tables import formats, study

logs.log_to_file(snakemake.log[0])

params, inputs = snakemake.params, snakemake.input
frames = {name: pl.read_parquet(inputs[name]) for name in ("levels", "node_energy", "ratio")}
table = study.study_summary_table(**frames)
formats.write_table(table, snakemake.output, provenance=params.provenance)
findings = summary.StudyFindings(site=params.site, simulated=params.simulated, **frames)
brief = summary.opening_markdown(findings)
# users choose the names of projects and papers: HTML in them is escaped
page = mistune.create_markdown(escape=True)(brief)
Path(snakemake.output.opening).write_text(str(page), encoding="utf-8")
