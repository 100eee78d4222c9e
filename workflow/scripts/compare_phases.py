"""Write what development cost beside the training of the reported model, by paper and project."""

import polars as pl

from footprint import logs, tables, windows
from footprint.phases import baseline, kinds, ratios, recorded_time, roles

logs.to_file(snakemake.log[0])

labelled = roles.of_runs(pl.scan_parquet(snakemake.input.labelled))
papers = labelled.select("run_id", "paper")
runs = pl.scan_parquet(snakemake.input.runs).join(papers, on="run_id", how="left")
evidence = pl.scan_parquet(snakemake.input.evidence)
start, end = windows.window(snakemake.params.start, snakemake.params.end)
of_jobs = recorded_time.of_jobs(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.job_nodes),
    start=start,
    end=end,
)
levels = pl.scan_parquet(snakemake.input.levels)
rows = ratios.ratios(
    runs,
    levels=levels,
    labelled=labelled,
    time=ratios.time_of_runs(runs, of_jobs),
    variants=kinds.variants(evidence, kinds.Thresholds.from_config(snakemake.params.thresholds)),
    baseline=baseline.kinds(evidence),
    papers_wanted=snakemake.params.papers,
)
tables.write(tables.PhaseRatio, rows, snakemake.output.ratio)
