"""Write the page of the report."""

from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.report.appendix import StudyScope
from footprint.report.page import document, exhibits, run_rows, scopes, timeline, traces

logs.log_to_file(snakemake.log[0])

params, inputs = snakemake.params, snakemake.input
start, end = calendar.study_window(params.start, params.end)
study = StudyScope(site=params.site, simulated=params.simulated, start=start, end=end)
job_energy, levels = (pl.read_parquet(inputs[name]) for name in ("job_energy", "levels"))
runs = run_rows.runs_of_page(
    pl.read_parquet(inputs.runs), job_energy, pl.read_parquet(inputs.papers), levels
)
names = ("ratio", "energies", "carbon", "uncertainty")
tables = scopes.PageTables(
    levels=levels, runs=runs, **{name: pl.read_parquet(inputs[name]) for name in names}
)
page = scopes.page_scopes(tables, study=study, factors=params.factors, pue=params.pue)
bars = timeline.energy_by_bar(runs, job_energy, site=study.site, start=start, end=end)
power = map(pl.scan_parquet, inputs.power)
allocations = pl.read_parquet(inputs.allocations)
shown = traces.power_traces(runs, job_energy, allocations, power, start=start, end=end)
files = zip(params.exhibits, inputs.exhibits, inputs.captions, strict=True)
sections = exhibits.ordered_exhibits(
    ({**each, "path": path, "caption": caption} for each, path, caption in files), params=params
)
data = document.page_data(page, study=study, runs=document.PageRuns(runs, bars, shown))
html = document.page_html(data, sections, study=study, provenance=params.provenance)
Path(snakemake.output.report).write_text(html, encoding="utf-8")
