"""Time all estimators over a million jobs, and compare with reading input and writing output.

    uv run python tests/benchmarks/estimate_jobs.py --jobs 1000000

Writes the tables that estimators read (jobs on one to four nodes of all clusters of Nancy, with
series of GPUs and loads), then measures, each in a process of its own: the floor (Polars reads the
columns that are used and writes a table as long and as wide as the estimates), and all usual
estimators with everything that `estimate_energy` does. Prints the best time of each, jobs per
second, peak memory, and the ratio.
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

from footprint.estimators import inputs, registry
from footprint.hardware import catalogue, topology
from footprint.schemas.raw import Nodes

START = datetime(2025, 1, 1, tzinfo=UTC)
NODES_A_CLUSTER = 20


def described_nodes() -> pl.DataFrame:
    """Nodes of every catalogued cluster (`schemas.Nodes`)."""
    limits = dict(catalogue.read_gpus().select("gpu_model", "power_limit_w").iter_rows())
    rows = []
    for facts_of in catalogue.read_clusters().iter_rows(named=True):
        n_cores, n_gpus = facts_of["n_cores"], facts_of["n_gpus"]
        limit_w = [limits[facts_of["gpu_model"]]] * n_gpus if n_gpus else []
        cores = [core * n_gpus // n_cores if n_gpus else None for core in range(n_cores)]
        rows += [
            {
                "node": f"{facts_of['cluster']}-{number}",
                "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
                "site": "nancy",
                "cluster": facts_of["cluster"],
                "cpu_model": facts_of["cpu_model"],
                "n_cpus": facts_of["n_cpus"],
                "n_cores": n_cores,
                "n_threads": facts_of["n_threads"],
                "memory_bytes": facts_of["memory_gib"] * 2**30,
                "cores": list(range(n_cores)),
                "core_gpus": cores,
                "gpus": list(range(n_gpus)),
                "gpu_reservable": [True] * n_gpus,
                "gpu_models": [facts_of["gpu_model"]] * n_gpus,
                "gpu_generations": [None] * n_gpus,
                "gpu_power_limits_w": limit_w,
                "gpu_memory_bytes": [None] * n_gpus,
                "queues": ["production"],
                "max_plausible_power_w": topology.max_plausible_power_w(
                    gpu_power_limits_w=limit_w, n_cores=n_cores, memory_bytes=None
                ),
            }
            for number in range(1, NODES_A_CLUSTER + 1)
        ]
    empty = Nodes.create_empty()
    return pl.concat([empty, pl.DataFrame(rows, schema_overrides=empty.schema)], how="diagonal")


def write_inputs(folder: Path, n_jobs: int) -> dict[str, str]:
    """Tables of `n_jobs` jobs, by the names of `inputs.InputTables`."""
    rng = np.random.default_rng(1)
    known = described_nodes()
    of_job = rng.choice([1, 1, 1, 1, 1, 1, 1, 2, 4], n_jobs)
    job_id = np.repeat(np.arange(n_jobs), of_job)
    place = (rng.integers(0, len(known), n_jobs).repeat(of_job) + _within(of_job)) % len(known)
    held = pl.DataFrame({"job_id": job_id, "place": place}).join(
        known.select("node", "cluster", "n_cores", n_gpus=pl.col("gpus").list.len())
        .with_row_index("place")
        .cast({"place": pl.Int64}),
        on="place",
        maintain_order="left",
    )
    hours = rng.lognormal(-1, 2, n_jobs).repeat(of_job)
    share = rng.choice([0.25, 0.5, 1.0], n_jobs).repeat(of_job)
    covered = rng.choice([0.0, 0.9, 1.0], n_jobs).repeat(of_job)
    rows = held.with_columns(
        duration_s=pl.Series(hours * 3600),
        share=pl.Series(share),
        coverage_frac=pl.Series(covered),
        has_gpu=pl.col("n_gpus") > 0,
        gpu_hours=pl.Series(hours * share) * pl.col("n_gpus"),
        core_hours=pl.Series(hours * share) * pl.col("n_cores"),
    )
    started = START + pl.duration(seconds=pl.col("job_id"))
    jobs = rows.group_by("job_id", maintain_order=True).agg(
        pl.col("duration_s", "coverage_frac").first(), pl.col("gpu_hours", "core_hours").sum()
    )
    gpu = rows.filter("has_gpu")
    files = {
        "job_nodes": rows,
        "job_energy": jobs.with_columns(flags=pl.lit([], dtype=pl.List(pl.String))),
        "records": jobs.select("job_id", started_at=started),
        "allocations": held.select("job_id", "node", cores=pl.lit([0], dtype=pl.List(pl.UInt16))),
        "nodes": known,
        "hardware": catalogue.look_up_hardware(known.lazy()),
        "gpu_power": gpu.select(
            "job_id",
            "node",
            "gpu_hours",
            covered_gpu_hours="gpu_hours",
            measured_kwh=pl.col("gpu_hours") * 0.2,
        ),
        "cpu_series": rows.select(
            "job_id",
            "node",
            "duration_s",
            load_covered_s="duration_s",
            core_use_frac=0.3,
            thread_load_cubed=0.01,
            package_covered_s=0.0,
            package_power_w=pl.lit(None, pl.Float64),
        ),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in files}
    for name, frame in files.items():
        frame.write_parquet(paths[name])
    return paths


def _within(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... within each group of the given sizes."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def time_floor(paths: dict[str, str], folder: Path, n_estimators: int) -> float:
    """Seconds to read the amounts held, and to write numbers in the size of the estimates."""
    begin = time.perf_counter()
    amounts = pl.read_parquet(paths["job_nodes"], columns=["job_id", "gpu_hours", "core_hours"])
    per_job = amounts.group_by("job_id", maintain_order=True).sum()
    wide = per_job.with_columns((pl.col("gpu_hours") * k).alias(f"c{k}") for k in range(11))
    for number in range(n_estimators):
        wide.write_parquet(folder / f"floor-{number}.parquet", compression="zstd")
    return time.perf_counter() - begin


def time_estimation(paths: dict[str, str], folder: Path) -> float:
    """Seconds of the computations of the rule `estimate_energy`."""
    begin = time.perf_counter()
    known = inputs.scan_inputs(paths)
    registry.write_estimates(known, registry.select_estimators("all"), folder / "estimates.parquet")
    return time.perf_counter() - begin


def main() -> None:
    """Write the tables, measure both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    chosen = registry.select_estimators("all")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(folder, arguments.jobs)
        measured = {
            "floor": best_cost(partial(time_floor, paths, folder, len(chosen)), arguments.repeats),
            "estimate": best_cost(partial(time_estimation, paths, folder), arguments.repeats),
        }
    print(f"{arguments.jobs} jobs by {len(chosen)} estimators")
    print(f"{'':<12}{'seconds':>9}{'k jobs/s':>13}{'peak GB':>9}{'ratio':>7}")
    for what, (seconds, memory) in measured.items():
        rate, ratio = arguments.jobs / 1e3 / seconds, seconds / measured["floor"][0]
        print(f"{what:<12}{seconds:>9.2f}{rate:>13.1f}{memory:>9.2f}{ratio:>7.1f}")


if __name__ == "__main__":
    main()
