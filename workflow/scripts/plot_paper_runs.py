"""Draw the runs of each paper over time, and their cumulative energy."""

import polars as pl

from footprint.core import calendar, logs
from footprint.phases import roles
from footprint.report.figures import paper_energy, paper_runs, style

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
runs = paper_energy.runs_of_papers(
    pl.scan_parquet(snakemake.input.runs),
    roles.labels_of_runs(pl.scan_parquet(snakemake.input.labels)),
    jobs=pl.scan_parquet(snakemake.input.jobs),
    ratio=pl.scan_parquet(snakemake.input.ratio),
    levels=pl.scan_parquet(snakemake.input.levels),
    end=end,
    papers_wanted=snakemake.params.papers,
)
drawn = paper_runs.plot(runs, start=start, end=end, provenance=snakemake.params.provenance)
style.save_figure(drawn, snakemake.output)
