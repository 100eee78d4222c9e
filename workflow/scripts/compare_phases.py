"""Write R of each paper and project, with its interval, and its sensitivities to choices."""

import polars as pl

from footprint.core import calendar, logs
from footprint.phases import (
    baseline,
    classifier,
    energies,
    ratio,
    ratio_intervals,
    recorded_time,
    roles,
    sensitivities,
)
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

given, params = snakemake.input, snakemake.params
labelled = roles.labels_of_runs(pl.scan_parquet(given.labels))
papers = labelled.select("run_id", "paper")
runs = pl.scan_parquet(given.runs).join(papers, on="run_id", how="left")
features = pl.scan_parquet(given.features)
jobs = pl.scan_parquet(given.jobs)
errors = energies.errors_of_study(
    pl.scan_parquet(given.job_nodes),
    virtual_meter=pl.read_parquet(given.virtual_meter) if given.virtual_meter else None,
    meters=params.meters,
)
start, end = calendar.study_window(params.start, params.end)
of_jobs = recorded_time.recorded_time_of_jobs(
    jobs, pl.scan_parquet(given.allocations), errors.job_nodes, start=start, end=end
)
groups = {
    "levels": pl.scan_parquet(given.levels),
    "time": ratio.time_of_runs(runs, of_jobs),
    "papers_wanted": params.papers,
}
rows = ratio.rows_of_groups(runs, **groups)
ratios = ratio.compare_development_with_training(
    runs,
    **groups,
    intervals=ratio_intervals.intervals_of_ratios(rows, runs, errors),
    baseline=baseline.classify_by_exit_state(features),
)
write_table(PhaseRatio, ratios, snakemake.output.ratio)

thresholds = classifier.Thresholds.from_config(params.thresholds)
varied = sensitivities.sensitivities(
    rows,
    pl.scan_parquet(snakemake.output.ratio),
    runs=runs,
    labelled=labelled,
    time=groups["time"],
    alternatives=sensitivities.Alternatives(
        jobs=jobs,
        variants=classifier.classify_variants(features, thresholds),
        by_gate=pl.scan_parquet(given.by_gate) if given.by_gate else None,
        gate=params.gate,
    ),
)
write_table(PhaseSensitivities, varied, snakemake.output.sensitivities)
