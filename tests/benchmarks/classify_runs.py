"""Time the classification of a million jobs against reading its input and writing as many rows.

    uv run python tests/benchmarks/classify_runs.py --jobs 1000000

Writes the tables that the rules read (jobs of 400 people on nodes of a site, with histograms of
power), then measures, each in a process of its own: the floor (Polars reads the tables and writes a
row a job), the merging into runs, the features with all earlier steps, and the kinds by rules and
by weights with all earlier steps. Prints the best time of each, jobs per second, peak memory and
the ratio.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from measuring import best_cost

from footprint.phases import chains, classifier, features, weighed_kinds
from footprint.schemas.phases import N_POWER_BINS

START = datetime(2025, 1, 1, tzinfo=UTC)
N_PEOPLE = 400
COMMANDS = (
    *("./run.sh --stage {s} conf/exp_{n}.yaml", "python train.py --config conf/exp_{n}.yaml"),
    *("./job.oar conf/exp_{n}.yaml", "python decode.py conf/exp_{n}.yaml", "sleep infinity", ""),
)


def write_inputs(folder: Path, n_jobs: int) -> dict[str, str]:
    """Write tables of `n_jobs` jobs; paths by argument of `features.collect_features`."""
    rng = np.random.default_rng(1)
    job_id = np.arange(1, n_jobs + 1)
    which, number = rng.integers(0, len(COMMANDS), n_jobs), rng.integers(0, 5000, n_jobs)
    stage = rng.integers(1, 8, n_jobs)
    made = [COMMANDS[c].format(s=s, n=n) for c, s, n in zip(which, stage, number, strict=True)]
    user = rng.zipf(1.3, n_jobs) % N_PEOPLE
    hours = np.minimum(rng.lognormal(-1.5, 2, n_jobs), 168)
    submitted = START + pl.duration(seconds=pl.Series(np.sort(rng.integers(0, 3e7, n_jobs))))
    code = np.where(rng.random(n_jobs) < 0.6, 0, 256)
    jobs = (
        pl.DataFrame({"job_id": job_id, "command": made, "hours": hours, "user": user})
        .with_columns(
            site=pl.lit("nancy"),
            user=pl.format("login{}", "user"),
            project=pl.format("team{}", pl.col("user") % 12),
            queue=pl.lit("production"),
            name=pl.lit(None, pl.String),
            directory=pl.lit("/home"),
            request=pl.lit("-l host=1"),
            job_type=pl.lit("PASSIVE"),
            types=pl.lit([], dtype=pl.List(pl.String)),
            state=pl.lit("terminated"),
            array_id="job_id",
            array_index=pl.lit(1, pl.Int64),
            submitted_at=submitted.cast(pl.Datetime("us", "UTC")),
            walltime_s=pl.Series(rng.choice([3600, 43200, 86400, 604800], n_jobs)),
            exit_code=pl.Series(code),
            events=pl.lit(["SWITCH_INTO_TERMINATE_STATE"]),
            suspensions=pl.lit(None, pl.List(pl.Struct({"started_at": pl.Datetime("us", "UTC")}))),
        )
        .with_columns(started_at=pl.col("submitted_at") + pl.duration(seconds=20))
        .with_columns(
            stopped_at=pl.col("started_at") + pl.duration(seconds=(pl.col("hours") * 3600).round())
        )
        .drop("hours")
    )
    gpus = rng.choice([0, 1, 2, 4], n_jobs)
    held = pl.DataFrame(
        {"job_id": job_id, "duration_s": hours * 3600, "gpu_hours": hours * gpus, "gpus": gpus}
    ).with_columns(measured_kwh=pl.col("duration_s") * 1e-4, node=pl.lit("grele-1"))
    shape = rng.random((64, N_POWER_BINS))
    level_s = shape[rng.integers(0, 64, n_jobs)] * hours[:, None] * 180
    levels = pl.Series(level_s, dtype=pl.Array(pl.Float64, N_POWER_BINS)).arr.to_list()
    files = {
        "jobs": jobs,
        "job_energy": held.select("job_id", "duration_s", "gpu_hours", "measured_kwh"),
        "job_nodes": held.select(
            *("job_id", "node", "duration_s", "gpu_hours", "measured_kwh"),
            covered_s="duration_s",
            share=pl.max_horizontal("gpus", 1) / 4,
        ),
        "power_histograms": held.select(
            *("job_id", "node"),
            idle_power_w=pl.lit(200.0),
            max_power_w=pl.lit(1200.0),
            node_histogram_s=levels,
            gpu_histogram_s=pl.when(pl.col("gpus") > 0).then(levels),
        ),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in files}
    for name, frame in files.items():
        frame.write_parquet(paths[name])
    return paths


def time_floor(paths: dict[str, str], folder: Path) -> float:
    """Seconds to read the tables, and to write five columns with a row for each job."""
    begin = time.perf_counter()
    for path in paths.values():
        pl.read_parquet(path)
    rows = pl.read_parquet(paths["jobs"], columns=["job_id", "command", "started_at", "user"])
    rows.with_columns(confidence=1.0).write_parquet(folder / "floor.parquet")
    return time.perf_counter() - begin


def time_classification(paths: dict[str, str], folder: Path, until: str) -> float:
    """Compute runs, features and kinds, up to the stage `until`."""
    begin = time.perf_counter()
    tables = {name: pl.scan_parquet(path) for name, path in paths.items()}
    merged = chains.merge_jobs_into_runs(tables["jobs"], gap_h=48.0)
    if until != "runs":
        of_runs = features.collect_features(run_of_job=merged, **tables)
        if until == "features":
            of_runs.collect()
        else:
            table = of_runs.collect().lazy()
            classified = (
                weighed_kinds.weigh_runs(table)
                if until == "weights"
                else classifier.classify_runs(table, classifier.Thresholds())
            )
            classified.collect().write_parquet(folder / "kinds.parquet")
    return time.perf_counter() - begin


def main() -> None:
    """Write the tables, measure each part, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(folder, arguments.jobs)
        measured = {"floor": best_cost(partial(time_floor, paths, folder), arguments.repeats)}
        for until in ("runs", "features", "kinds", "weights"):
            measured[until] = best_cost(
                partial(time_classification, paths, folder, until), arguments.repeats
            )
    print(f"{arguments.jobs} jobs")
    print(f"{'':<12}{'seconds':>9}{'k jobs/s':>13}{'peak GB':>9}{'ratio':>7}")
    for what, (seconds, memory) in measured.items():
        rate, ratio = arguments.jobs / 1e3 / seconds, seconds / measured["floor"][0]
        print(f"{what:<12}{seconds:>9.2f}{rate:>13.1f}{memory:>9.2f}{ratio:>7.1f}")


if __name__ == "__main__":
    main()
