"""Time the integration of clusters and months against a scan of the same columns, and peers.

    uv run --group benchmark python tests/benchmarks/integrate_energy.py --nodes 124 --jobs 40000

Writes two partitions as the pipeline writes them, then measures on two cores, each in processes of
its own: the floor (Polars streams through the columns once and sums them, with two threads), the
integration as the workflow runs it (`energy.integrate`, a partition a process, of one thread), and
other ways to the same energies (`peers`; `--no-peers` leaves them out). Scan and integration also
with one core for both, and on copies in PyArrow's usual encoding. Prints the best time of each,
samples per second, peak memory, the ratio to the scan of the same files, and the largest difference
of a job's energy from ours.
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
from generating import CORES, END, START, Partition
from measuring import Cost

from footprint import energy, partitions, tables
from footprint.intervals import Method

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


def peer(
    way: Callable[[list[Path], list[Path]], pl.DataFrame], parts: list[Partition], written: Path
) -> float:
    """Another way to the energies of all partitions."""
    begin = time.perf_counter()
    energies = way([part.power for part in parts], [part.held for part in parts])
    seconds = time.perf_counter() - begin
    energies.write_parquet(written)
    return seconds


def difference(own: Path, other: Path) -> float:
    """Largest relative difference of a job's energy, of jobs that have some."""
    ours, theirs = (pl.read_parquet(path / "*.parquet") for path in (own, other))
    both = ours.join(theirs, on="job_id", suffix="_other")
    assert len(both) == len(ours) > 0
    apart = (pl.col("energy_j") - pl.col("energy_j_other")).abs() / pl.col("energy_j")
    largest = both.filter(pl.col("energy_j") > 1).select(apart.max()).item()
    assert largest is not None
    return float(largest)


def copied_usually(part: Partition) -> Partition:
    """The same row groups as PyArrow encodes them when it is not told how."""
    copy = replace(part, power=part.power.with_suffix(".usual.parquet"))
    source = pq.ParquetFile(part.power)
    with pq.ParquetWriter(copy.power, source.schema_arrow, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            writer.write_table(source.read_row_group(group))
    return copy


def integrated(parts: list[Partition], folder: Path, *, repeats: int) -> Cost:
    """Integrate the partitions as `snakemake --cores 2` does: two at once, each with one thread."""
    works = [
        partial(ours, parts[i::CORES], folder / f"{i}.parquet")
        for i in range(min(CORES, len(parts)))
    ]
    return measuring.best_at_once(works, repeats, threads=1)


def main() -> None:
    """Write the partitions, measure each way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    repeats = arguments.repeats
    with tempfile.TemporaryDirectory() as name:
        own, usually, other = (Path(name, each) for each in ("own", "usually", "other"))
        for folder in (own, usually, other):
            folder.mkdir()
        parts = generating.write(Path(name), n_nodes=arguments.nodes, n_jobs=arguments.jobs)
        usual = [copied_usually(part) for part in parts]
        power, copies = ([each.power for each in them] for them in (parts, usual))
        n = pl.scan_parquet(power).select(pl.len()).collect().item()
        sizes = [sum(path.stat().st_size for path in paths) / 1e6 for paths in (power, copies)]
        print(
            f"{n / 1e6:.1f} M samples; {sizes[0]:.0f} MB, in the usual encoding {sizes[1]:.0f} MB"
        )
        print(measuring.HEAD + f"{'difference':>12}")

        def show(name: str, cost: Cost, floor: Cost, compared: Path | None = None) -> None:
            end = f"{difference(own, compared):>12.0e}" if compared else ""
            print(measuring.row(name, cost, n=n, floor=floor) + end, flush=True)

        scan = measuring.best(partial(floor, power), repeats)
        show("scan", scan, scan)
        show("integrate", integrated(parts, own, repeats=repeats), scan)
        alone = measuring.best_at_once([partial(floor, power)], repeats, threads=1)
        show("scan, one core", alone, alone)
        work = partial(ours, parts, other / "other.parquet")
        cost = measuring.best_at_once([work], repeats, threads=1)
        show("integrate, one core", cost, alone, other)
        again = measuring.best(partial(floor, copies), repeats)
        show("scan, usual", again, again)
        show("integrate, usual", integrated(usual, usually, repeats=repeats), again, usually)
        for way in PEERS if arguments.peers else ():
            work = partial(peer, way, parts, other / "other.parquet")
            show(way.__name__, measuring.best(work, min(2, repeats)), scan, other)


if __name__ == "__main__":
    main()
