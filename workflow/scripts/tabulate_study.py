"""Write the readers' table of the study as a whole, and the conclusions in brief."""

from pathlib import Path

import mistune
import polars as pl

from footprint import conclusions, logs, report_tables, study_tables

logs.to_file(snakemake.log[0])

params, inputs = snakemake.params, snakemake.input
frames = [pl.read_parquet(inputs[name]) for name in ("levels", "node_energy", "ratio")]
table = study_tables.study_summary_table(*frames)
report_tables.write(table, snakemake.output, provenance=params.provenance)
brief = conclusions.opening(*frames, site=params.site, simulated=params.simulated)
# names of projects and papers are the users' own: what is HTML in them is shown, not obeyed
page = mistune.create_markdown(escape=True)(brief)
Path(snakemake.output.opening).write_text(str(page), encoding="utf-8")
