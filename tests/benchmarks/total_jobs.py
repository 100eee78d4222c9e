"""Time the totals and intervals of a million jobs against reading and writing their rows.

    uv run python tests/benchmarks/total_jobs.py --jobs 1000000

Writes rows of jobs on nodes of 20 clusters (one job in ten holds two to four nodes, one row in
four has no readings), then measures, each in a process of its own: the floor (Polars reads the rows
and writes them), the intervals of jobs on nodes, the intervals of jobs, and the intervals of users
and of the site. Prints the best time of each, its peak memory and the ratio to the floor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from measuring import best_cost

from footprint.totals.error_model import ErrorModel
from footprint.totals.study_totals import add_job_totals, add_totals_of_jobs, group_intervals

CLUSTERS = [f"cluster{number}" for number in range(20)]


def study_model() -> ErrorModel:
    """Errors of a study in which one cluster in four has no meters."""
    table = pl.DataFrame(
        {
            "cluster": CLUSTERS * 2,
            "basis": ["virtual_meter"] * 20 + ["hardware"] * 20,
            "is_measured": [number % 4 > 0 for number in range(20)] * 2,
        }
    ).with_columns(
        n_clusters=15,
        cluster_sd_log=0.1,
        mean_sd_log=0.03,
        degrees_of_freedom=18,
        run_sd_log=0.1,
    )
    meters = {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}}
    return ErrorModel.of_study(table, meters)


def write_rows(path: Path, n_jobs: int) -> None:
    """Write the rows of `n_jobs` jobs."""
    rng = np.random.default_rng(1)
    n_nodes = np.where(rng.random(n_jobs) < 0.9, 1, rng.integers(2, 5, n_jobs))
    job_id = np.repeat(np.arange(n_jobs), n_nodes)
    cluster = np.repeat(rng.integers(0, 20, n_jobs), n_nodes)
    node = np.arange(len(job_id)) % 15
    kwh = rng.lognormal(0, 2, len(job_id))
    is_measured = cluster % 4 > 0
    pl.DataFrame(
        {
            "job_id": job_id,
            "node": [f"cluster{c}-{n}" for c, n in zip(cluster, node, strict=True)],
            "cluster": [f"cluster{c}" for c in cluster],
            "share": 1.0,
            "covered_s": np.where(is_measured, kwh * 3600, 0.0),
            "measured_kwh": pl.Series(np.where(is_measured, kwh, np.nan)).fill_nan(None),
            "estimated_kwh": np.where(is_measured, 0.0, kwh),
            "virtual_meter_kwh": np.where(is_measured, 0.0, kwh * 0.8),
            "hardware_kwh": np.where(is_measured, 0.0, kwh * 0.2),
            "sampling_kwh": kwh * 0.01,
            "resolution_kwh": kwh * 0.01,
            "gap_kwh": 0.0,
            "similar": np.repeat(rng.integers(0, n_jobs // 5 + 1, n_jobs), n_nodes),
            "user": np.repeat(rng.integers(0, 400, n_jobs), n_nodes),
        }
    ).with_columns(
        own_readings_kwh=0.0, same_job_kwh=0.0, unknown_node_h=0.0, site=pl.lit("nancy")
    ).write_parquet(path)


def time_work(path: Path, work: str) -> float:
    """Seconds of one part of the work, with reading the rows and writing the result."""
    begin = time.perf_counter()
    rows, model = pl.scan_parquet(path), study_model()
    if work == "floor":
        found = rows.collect()
    elif work == "jobs on nodes":
        found = add_job_totals(rows, model).collect()
    elif work == "jobs":
        sums = pl.col("measured_kwh", "estimated_kwh").sum()
        jobs = rows.group_by("job_id", maintain_order=True).agg(sums)
        found = add_totals_of_jobs(jobs, rows, model).collect()
    else:
        of_users = group_intervals(rows, ["user"], model)
        found = pl.concat([of_users, group_intervals(rows, ["site"], model)], how="diagonal")
    found.write_parquet(path.with_name("result.parquet"))
    return time.perf_counter() - begin


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, arguments.jobs)
        floor = None
        for work in ("floor", "jobs on nodes", "jobs", "users and site"):
            cost = best_cost(partial(time_work, path, work), arguments.repeats)
            floor = floor or cost.seconds
            ratio = cost.seconds / floor
            print(f"{work:15} {cost.seconds:6.2f} s {cost.memory_gb:5.2f} GB {ratio:5.1f} x floor")


if __name__ == "__main__":
    main()
