"""Time the reading of generic tables in CSV, against Polars' own scan of the same files.

    uv run python tests/benchmarks/read_tables.py --samples 100_000_000 --jobs 1_000_000

Writes tables of 300 nodes, then measures, each in a process of its own: *scan*, Polars' streaming
engine, which parses the same columns and times and adds them up; *read*, the source's reader with
its checks, and the same sums; *convert*, the rule's work, to Parquet files by node and time, sorted
and with an index. Of jobs, *tables* is all of `GenericSite.jobs`, with lists of nodes, places of
cores and rejected records. Prints the best time of each, rows per second, peak memory, and the
ratio of the speed to that of the scan.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from measuring import best_cost

from footprint.sources.generic import hardware, jobs, readings, rows
from footprint.sources.generic.site import GenericSite
from footprint.sources.node_names import GENERIC_PATTERN

N_NODES, PERIOD_S, ROWS_PER_FILE = 300, 5, 10_000_000
START_S = 1_740_787_200
ISO = "%Y-%m-%dT%H:%M:%SZ"


def write_tables(folder: Path, *, n_samples: int, n_jobs: int, iso: bool) -> None:
    """Write nodes, jobs and power; readings are in the order of time."""
    rng = np.random.default_rng(1)
    names = pl.Series([f"node{number:03d}" for number in range(N_NODES)])
    names.to_frame("node").with_columns(n_cores=64).write_csv(folder / "nodes.csv")
    (folder / "power").mkdir()
    for first in range(0, n_samples, ROWS_PER_FILE):
        number = pl.Series(np.arange(first, min(n_samples, first + ROWS_PER_FILE)))
        seconds = START_S + number // N_NODES * PERIOD_S
        frame = pl.DataFrame(
            {
                "node": names.gather(number % N_NODES),
                "timestamp": seconds,
                "power_w": rng.integers(10, 60, len(number)) * 10.0,
            }
        )
        if iso:
            at = pl.from_epoch("timestamp", time_unit="s").dt.strftime(ISO)
            frame = frame.with_columns(timestamp=at)
        frame.write_csv(folder / f"power/{first // ROWS_PER_FILE:04d}.csv")
    if n_jobs:
        # of each node one job after another, of half an hour
        job = np.arange(n_jobs)
        start_s = START_S + job // N_NODES * 1800
        pl.DataFrame(
            {
                "job_id": job,
                "user": pl.Series([f"user{number}" for number in range(200)]).gather(job % 200),
                "started_at": start_s,
                "stopped_at": start_s + rng.integers(60, 1800, n_jobs),
                "nodes": names.gather(job % N_NODES),
                "n_cores": rng.choice([16, 32, 64], n_jobs),
                "state": pl.Series(["COMPLETED", "FAILED"]).gather(job % 2),
                "name": pl.Series([f"train_{number}" for number in range(1000)]).gather(job % 1000),
            }
        ).write_csv(folder / "jobs.csv")


def power_sums(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sums that need every cell of the columns."""
    return pl.concat(frame.select(_sums()) for frame in frames)


def _sums() -> list[pl.Expr]:
    return [
        pl.col("node").str.len_bytes().sum(),
        pl.col("timestamp").cast(pl.Int64).sum(),
        pl.col("power_w").sum(),
    ]


def scan_power(folder: Path, iso: bool) -> float:
    begun = time.perf_counter()
    schema = {"node": pl.String, "timestamp": pl.String if iso else pl.Int64, "power_w": pl.Float64}
    at = (
        pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", time_zone="UTC")
        if iso
        else pl.from_epoch("timestamp", time_unit="s").cast(pl.Datetime("us", "UTC"))
    )
    found = pl.scan_csv(folder / "power/*.csv", schema=schema).with_columns(timestamp=at)
    found.select(_sums()).collect(engine="streaming")
    return time.perf_counter() - begun


def read_power(folder: Path) -> float:
    begun = time.perf_counter()
    paths = sorted((folder / "power").iterdir())
    power_sums(
        block for path in paths for block in rows.read_rows(path, table="power", where=path.name)
    )
    return time.perf_counter() - begun


def convert_power(folder: Path) -> float:
    begun = time.perf_counter()
    nodes = hardware.read_nodes(folder, site="here", pattern=GENERIC_PATTERN)
    with tempfile.TemporaryDirectory(dir=folder.parent) as target:
        readings.convert_power(
            folder, Path(target), nodes=nodes, pattern=GENERIC_PATTERN, power="watts"
        )
    return time.perf_counter() - begun


def scan_jobs(folder: Path) -> float:
    begun = time.perf_counter()
    at = pl.from_epoch(pl.col("started_at", "stopped_at"), time_unit="s")
    pl.scan_csv(folder / "jobs.csv").with_columns(at.cast(pl.Datetime("us", "UTC"))).collect(
        engine="streaming"
    )
    return time.perf_counter() - begun


def read_jobs(folder: Path) -> float:
    begun = time.perf_counter()
    jobs.read_jobs(folder)
    return time.perf_counter() - begun


def job_tables(folder: Path) -> float:
    begun = time.perf_counter()
    window = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(2099, 1, 1, tzinfo=UTC)}
    records = GenericSite(folder, site="here").jobs(**window)
    assert records.allocations.collect().height == records.jobs.collect().height
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iso", action="store_true", help="times as ISO 8601, not as seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tables"
        folder.mkdir()
        write_tables(folder, n_samples=options.samples, n_jobs=options.jobs, iso=options.iso)
        works = {
            "samples": (
                options.samples,
                {
                    "scan": partial(scan_power, folder, options.iso),
                    "read": partial(read_power, folder),
                    "convert": partial(convert_power, folder),
                },
            ),
            "jobs": (
                options.jobs,
                {
                    "scan": partial(scan_jobs, folder),
                    "read": partial(read_jobs, folder),
                    "tables": partial(job_tables, folder),
                },
            ),
        }
        for of, (n_rows, measured) in works.items():
            if not n_rows:
                continue
            scan_s = None
            for name, work in measured.items():
                cost = best_cost(work, options.repeats)
                scan_s = scan_s or cost.seconds
                print(
                    f"{of:8} {name:8} {cost.seconds:8.2f} s {n_rows / cost.seconds / 1e6:8.2f} M/s "
                    f"{cost.memory_gb:6.2f} GB   speed / scan {scan_s / cost.seconds:5.2f}"
                )


if __name__ == "__main__":
    main()
