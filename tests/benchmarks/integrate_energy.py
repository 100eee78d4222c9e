"""Time the integration of one cluster and month against the scan of the same Parquet columns.

    uv run python tests/benchmarks/integrate_energy.py --nodes 60 --jobs 20000

Writes a partition as the pipeline writes it, then measures, each in a process of its own: the floor
(Polars streams through the columns once and sums them) and `energy.integrate`. Prints the best time
of each, samples per second, peak memory, and the ratio.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from footprint import energy, gates, partitions, tables
from footprint.integration import Method

START, END = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)
PERIOD_S = 5.0007
SLOTS = 4
"""Jobs that hold a quarter of a node each, side by side."""


def samples(node: str, rng: np.random.Generator) -> pl.DataFrame:
    """Thirty days of a node at 1 W steps: plateaus, noise, and a gap now and then."""
    seconds = (END - START).total_seconds()
    times_s = np.arange(-30, seconds + 30, PERIOD_S) + rng.uniform(0, 0.002)
    times_s = times_s[rng.random(len(times_s)) > 0.001]
    plateau_w = np.repeat(rng.uniform(200, 1500, len(times_s) // 720 + 1), 720)[: len(times_s)]
    power_w = np.round(plateau_w * (1 + 0.03 * rng.standard_normal(len(times_s))))
    times_us = (int(START.timestamp() * 1e6) + times_s * 1e6).astype(np.int64)
    return pl.DataFrame(
        {
            "node": pl.repeat(node, len(times_s), eager=True),
            "timestamp": pl.Series(times_us).cast(pl.Datetime("us", "UTC")),
            "power_w": power_w,
        }
    )


def pieces(nodes: list[str], n_jobs: int, rng: np.random.Generator) -> pl.DataFrame:
    """Gates of `n_jobs` jobs, one after the other on each quarter of each node."""
    per_slot = max(1, n_jobs // (len(nodes) * SLOTS))
    seconds = int((END - START).total_seconds())
    rows = []
    for node in nodes:
        for _ in range(SLOTS):
            bounds = np.sort(rng.choice(seconds, 2 * per_slot, replace=False)).tolist()
            for begin, stop in zip(bounds[::2], bounds[1::2], strict=True):
                at = [START + timedelta(seconds=second) for second in (begin, stop)]
                rows.append((len(rows), node, *at, 1 / SLOTS, 1.0, 4.0, True, True))
    return pl.DataFrame(rows, schema=gates.PIECES, orient="row")


def floor(path: Path) -> float:
    """Stream through the columns once, in a sum each."""
    begin = time.perf_counter()
    pl.scan_parquet(path).select(
        pl.col("node").len(), pl.col("timestamp").cast(pl.Int64).sum(), pl.col("power_w").sum()
    ).collect(engine="streaming")
    return time.perf_counter() - begin


def ours(path: Path, held: Path, nodes: list[str]) -> float:
    """The integration of the partition, reading included."""
    gate = energy.Gate("reserved", Method("trapezoid", 30, 20, 5.0))
    found = pl.read_parquet(held)
    occupancy = gates.occupancy(found.lazy()).collect()
    begin = time.perf_counter()
    energy.integrate(
        nodes,
        partitions.reader(path),
        gate,
        pieces=found,
        occupancy=occupancy,
        states=pl.DataFrame(tables.States.create_empty()),
        start=START,
        end=END,
    )
    return time.perf_counter() - begin


def measure(work: Callable[[], float], queue: multiprocessing.Queue[tuple[float, float]]) -> None:
    """Time in seconds and peak memory in GB of `work`."""
    seconds = work()
    queue.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9))


def best(work: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Shortest time and largest memory over `repeats` processes."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(repeats):
        queue: multiprocessing.Queue[tuple[float, float]] = context.Queue()
        process = context.Process(target=measure, args=(work, queue))
        process.start()
        found.append(queue.get())
        process.join()
    return min(seconds for seconds, _ in found), max(memory for _, memory in found)


def main() -> None:
    """Write the partition, measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    nodes = [f"c-{i:03d}" for i in range(arguments.nodes)]
    n_samples = 0

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal n_samples
        for node in nodes:
            frame = samples(node, rng)
            n_samples += len(frame)
            yield frame

    with tempfile.TemporaryDirectory() as folder:
        path, held = Path(folder, "power.parquet"), Path(folder, "gates.parquet")
        partitions.write(frames(), path)
        pieces(nodes, arguments.jobs, rng).write_parquet(held)
        size_mb = path.stat().st_size / 1e6
        print(f"{n_samples / 1e6:.1f} M samples of {len(nodes)} nodes, {size_mb:.0f} MB")
        floor_s, floor_gb = best(partial(floor, path), arguments.repeats)
        work = partial(ours, path, held, nodes)
        ours_s, ours_gb = best(work, arguments.repeats)
    print(f"{'':<12}{'seconds':>9}{'M samples/s':>13}{'peak GB':>9}{'ratio':>7}")
    for name, seconds, memory in (("scan", floor_s, floor_gb), ("integrate", ours_s, ours_gb)):
        rate = n_samples / 1e6 / seconds
        print(f"{name:<12}{seconds:>9.2f}{rate:>13.1f}{memory:>9.2f}{seconds / floor_s:>7.1f}")


if __name__ == "__main__":
    main()
