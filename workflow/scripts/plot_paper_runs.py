"""Draw the runs of each paper over time, and the energy that they add up to."""

import polars as pl

from footprint import logs, windows
from footprint.figures import paper_runs, style
from footprint.phases import roles

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
runs = paper_runs.of_papers(
    pl.scan_parquet(snakemake.input.runs),
    roles.of_runs(pl.scan_parquet(snakemake.input.labelled)),
    jobs=pl.scan_parquet(snakemake.input.jobs),
    ratio=pl.scan_parquet(snakemake.input.ratio),
    levels=pl.scan_parquet(snakemake.input.levels),
    end=end,
    papers_wanted=snakemake.params.papers,
)
drawn = paper_runs.plot(runs, start=start, end=end, provenance=snakemake.params.provenance)
style.save(drawn, snakemake.output)
