"""Write R of each paper and project: energy of development over reported training."""

import polars as pl

from footprint.core import calendar, logs
from footprint.phases import baseline, classifier, ratio, recorded_time, roles
from footprint.schemas.phases import PhaseRatio
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

labelled = roles.labels_of_runs(pl.scan_parquet(snakemake.input.labels))
papers = labelled.select("run_id", "paper")
runs = pl.scan_parquet(snakemake.input.runs).join(papers, on="run_id", how="left")
features = pl.scan_parquet(snakemake.input.features)
start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
of_jobs = recorded_time.recorded_time_of_jobs(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.job_nodes),
    start=start,
    end=end,
)
levels = pl.scan_parquet(snakemake.input.levels)
rows = ratio.compare_development_with_training(
    runs,
    levels=levels,
    labelled=labelled,
    time=ratio.time_of_runs(runs, of_jobs),
    variants=classifier.classify_variants(
        features, classifier.Thresholds.from_config(snakemake.params.thresholds)
    ),
    baseline=baseline.classify_by_exit_state(features),
    papers_wanted=snakemake.params.papers,
)
write_table(PhaseRatio, rows, snakemake.output.ratio)
