"""Time the integration of one cluster and month against a scan of the same columns, and peers.

    uv run --group benchmark python tests/benchmarks/integrate_energy.py --nodes 60 --jobs 20000

Writes a partition as the pipeline writes it, then measures, each in a process of its own: the floor
(Polars streams through the columns once and sums them) and `energy.integrate`, both again on a copy
in PyArrow's usual encoding, and other ways to the same energies (`peers`; `--no-peers` leaves them
out). Prints the best time of each, samples per second, peak memory, the ratio to the scan of the
same file, and the largest difference of a job's energy from ours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import generating
import measuring
import peers
import polars as pl
import pyarrow.parquet as pq
from generating import END, START, Partition
from measuring import Cost

from footprint import energy, partitions, tables
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
        sums, _ = energy.integrate(
            part.nodes,
            partitions.reader(part.power),
            gate,
            pieces=pl.read_parquet(part.held),
            occupancy=pl.read_parquet(part.occupancy),
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


def copy_usually(power: Path, copy: Path) -> None:
    """The same row groups as PyArrow encodes them when it is not told how."""
    source = pq.ParquetFile(power)
    with pq.ParquetWriter(copy, source.schema_arrow, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            writer.write_table(source.read_row_group(group))


def scan_and_integrate(name: str, part: Partition, written: Path, *, n: int, repeats: int) -> Cost:
    """Measure both on one file, print their lines, give the scan."""
    scan = measuring.best(partial(floor, [part.power]), repeats)
    print(measuring.row(f"scan{name}", scan, n=n, floor=scan), flush=True)
    integration = measuring.best(partial(ours, [part], written), repeats)
    print(measuring.row(f"integrate{name}", integration, n=n, floor=scan), flush=True)
    return scan


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
        usual = replace(part, power=folder / "usual.parquet")
        copy_usually(part.power, usual.power)
        n = pl.scan_parquet(part.power).select(pl.len()).collect().item()
        sizes = " and ".join(f"{each.power.stat().st_size / 1e6:.0f}" for each in (part, usual))
        print(f"{n / 1e6:.1f} M samples of {len(part.nodes)} nodes; {sizes} MB in usual encoding")
        print(measuring.HEAD + f"{'difference':>12}")
        own, other = folder / "ours.parquet", folder / "other.parquet"
        scanned = scan_and_integrate("", part, own, n=n, repeats=arguments.repeats)
        scan_and_integrate(", usual", usual, other, n=n, repeats=arguments.repeats)
        assert difference(own, other) == 0
        for way in PEERS if arguments.peers else ():
            cost = measuring.best(partial(peer, way, part, other), min(2, arguments.repeats))
            line = measuring.row(way.__name__, cost, n=n, floor=scanned)
            print(line + f"{difference(own, other):>12.0e}")


if __name__ == "__main__":
    main()
