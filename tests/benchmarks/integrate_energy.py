"""Time the integration of one cluster and month against a scan of the same columns, and peers.

    uv run --group benchmark python tests/benchmarks/integrate_energy.py --nodes 60 --jobs 20000

Writes a partition as the pipeline writes it, then measures, each in a process of its own: the floor
(Polars streams through the columns once and sums them), the same of a copy with Polars' usual
encoding, `energy.integrate`, and other ways to the same energies (`peers`; `--no-peers` leaves them
out). Prints the best time of each, samples per second, peak memory, the ratio to the floor, and the
largest difference of a job's energy from ours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import generating
import measuring
import peers
import polars as pl
from generating import END, START, Partition

from footprint import energy, gates, partitions, tables
from footprint.integration import Method

PEERS = (peers.duckdb_asof, peers.polars_join_asof, peers.pandas_by_job)


def floor(paths: list[Path]) -> float:
    """Stream through the columns once, in a sum each."""
    begin = time.perf_counter()
    pl.scan_parquet(paths).select(
        pl.col("node").len(), pl.col("timestamp").cast(pl.Int64).sum(), pl.col("power_w").sum()
    ).collect(engine="streaming")
    return time.perf_counter() - begin


def ours(parts: list[Partition], written: Path) -> float:
    """The integration of partitions one after the other, reading included, and the jobs' sums."""
    gate = energy.Gate("reserved", Method("trapezoid", peers.MAX_GAP_S, 20, 5.0))
    begin = time.perf_counter()
    jobs = []
    for part in parts:
        held = pl.read_parquet(part.held)
        sums, _ = energy.integrate(
            part.nodes,
            partitions.reader(part.power),
            gate,
            pieces=held,
            occupancy=gates.occupancy(held.lazy()).collect(),
            states=pl.DataFrame(tables.States.create_empty()),
            start=START,
            end=END,
        )
        jobs.append(sums.select("job_id", "energy_j"))
    energies = pl.concat(jobs).group_by("job_id").agg(pl.col("energy_j").sum())
    seconds = time.perf_counter() - begin
    energies.write_parquet(written)
    return seconds


def peer(way: Callable[[Path, Path], pl.DataFrame], part: Partition, written: Path) -> float:
    """Another way to the energies of one partition."""
    begin = time.perf_counter()
    energies = way(part.power, part.held)
    seconds = time.perf_counter() - begin
    energies.write_parquet(written)
    return seconds


def difference(own: Path, other: Path) -> float:
    """Largest relative difference of a job's energy, of jobs that have some."""
    both = pl.read_parquet(own).join(pl.read_parquet(other), on="job_id", suffix="_other")
    assert len(both) == len(pl.read_parquet(own)) > 0
    apart = (pl.col("energy_j") - pl.col("energy_j_other")).abs() / pl.col("energy_j")
    largest = both.filter(pl.col("energy_j") > 1).select(apart.max()).item()
    assert largest is not None
    return float(largest)


def main() -> None:
    """Write the partition, measure each way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        [part] = generating.write(folder, n_nodes=arguments.nodes, n_jobs=arguments.jobs)
        usual, own = folder / "usual.parquet", folder / "ours.parquet"
        pl.scan_parquet(part.power).sink_parquet(usual)
        n = pl.scan_parquet(part.power).select(pl.len()).collect().item()
        sizes = " and ".join(f"{path.stat().st_size / 1e6:.0f}" for path in (part.power, usual))
        print(f"{n / 1e6:.1f} M samples of {len(part.nodes)} nodes; {sizes} MB as Polars writes it")
        print(measuring.HEAD + f"{'difference':>12}")
        lowest = measuring.best(partial(floor, [part.power]), arguments.repeats)
        print(measuring.row("scan", lowest, n=n, floor=lowest))
        cost = measuring.best(partial(floor, [usual]), arguments.repeats)
        print(measuring.row("scan, usual", cost, n=n, floor=lowest))
        cost = measuring.best(partial(ours, [part], own), arguments.repeats)
        print(measuring.row("integrate", cost, n=n, floor=lowest))
        for way in PEERS if arguments.peers else ():
            other = folder / "peer.parquet"
            cost = measuring.best(partial(peer, way, part, other), min(2, arguments.repeats))
            line = measuring.row(way.__name__, cost, n=n, floor=lowest)
            print(line + f"{difference(own, other):>12.0e}")


if __name__ == "__main__":
    main()
