"""Time the integration of clusters and months, and compare it with a scan and with peers.

    uv run --group benchmark python tests/benchmarks/integrate_energy.py --nodes 124 --jobs 40000

Writes two monthly files in the workflow's form, then measures on two cores, each in processes of
its own: the floor (Polars streams through the columns once and sums them, with two threads), the
integration as the workflow runs it (one process of one thread for each monthly file), and
other ways to the same energies (`peers`; omitted with `--no-peers`). Scan and integration also
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
from generating import CORES, END, START, MonthlySamples
from measuring import Cost

from footprint.energy import attribution
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.sources import monthly_files

PEERS = (peers.duckdb_asof, peers.polars_join_asof, peers.pandas_by_job)


def time_scan(paths: list[Path]) -> float:
    """Seconds to stream through the columns once, with a sum of each."""
    begin = time.perf_counter()
    pl.scan_parquet(paths).select(
        pl.col("node").len(), pl.col("timestamp").cast(pl.Int64).sum(), pl.col("power_w").sum()
    ).collect(engine="streaming")
    return time.perf_counter() - begin


def time_integration(parts: list[MonthlySamples], written: Path) -> float:
    """Seconds to read and integrate monthly files in sequence, and to sum by job."""
    gate = attribution.IntegrationSettings(
        "reserved", IntegrationMethod("trapezoid", peers.MAX_GAP_S, 20, 5.0)
    )
    begin = time.perf_counter()
    jobs = []
    for part in parts:
        sums, _ = attribution.attribute_energy(
            part.nodes,
            monthly_files.sample_reader(part.power),
            gate,
            attribution.NodeRecords(
                pl.read_parquet(part.held), occupancy=pl.read_parquet(part.occupancy)
            ),
            start=START,
            end=END,
        )
        jobs.append(sums.select("job_id", "energy_j"))
    energies = pl.concat(jobs).group_by("job_id").agg(pl.col("energy_j").sum())
    seconds = time.perf_counter() - begin
    energies.write_parquet(written)
    return seconds


def time_peer(
    way: Callable[[list[Path], list[Path]], pl.DataFrame],
    parts: list[MonthlySamples],
    written: Path,
) -> float:
    """Seconds of another way to the energies of all monthly files."""
    begin = time.perf_counter()
    energies = way([part.power for part in parts], [part.held for part in parts])
    seconds = time.perf_counter() - begin
    energies.write_parquet(written)
    return seconds


def largest_difference(own: Path, other: Path) -> float:
    """Largest relative difference of a job's energy, among jobs of more than 1 J."""
    time_integration, theirs = (pl.read_parquet(path / "*.parquet") for path in (own, other))
    both = time_integration.join(theirs, on="job_id", suffix="_other")
    assert len(both) == len(time_integration) > 0
    apart = (pl.col("energy_j") - pl.col("energy_j_other")).abs() / pl.col("energy_j")
    largest = both.filter(pl.col("energy_j") > 1).select(apart.max()).item()
    assert largest is not None
    return float(largest)


def copy_in_usual_encoding(part: MonthlySamples) -> MonthlySamples:
    """Copy of the monthly file with the same row groups in PyArrow's default encoding."""
    copy = replace(part, power=part.power.with_suffix(".usual.parquet"))
    source = pq.ParquetFile(part.power)
    with pq.ParquetWriter(copy.power, source.schema_arrow, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            writer.write_table(source.read_row_group(group))
    return copy


def integration_cost(parts: list[MonthlySamples], folder: Path, *, repeats: int) -> Cost:
    """Cost of integration as in `snakemake --cores 2`: two concurrent processes of one thread."""
    works = [
        partial(time_integration, parts[i::CORES], folder / f"{i}.parquet")
        for i in range(min(CORES, len(parts)))
    ]
    return measuring.best_concurrent_cost(works, repeats, threads=1)


def main() -> None:
    """Write the monthly files, measure each way, and print the table."""
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
        parts = generating.write_months(Path(name), n_nodes=arguments.nodes, n_jobs=arguments.jobs)
        usual = [copy_in_usual_encoding(part) for part in parts]
        power, copies = ([each.power for each in them] for them in (parts, usual))
        n = pl.scan_parquet(power).select(pl.len()).collect().item()
        sizes = [sum(path.stat().st_size for path in paths) / 1e6 for paths in (power, copies)]
        print(
            f"{n / 1e6:.1f} M samples; {sizes[0]:.0f} MB, in the usual encoding {sizes[1]:.0f} MB"
        )
        print(measuring.TABLE_HEAD + f"{'difference':>12}")

        def print_row(name: str, cost: Cost, scan: Cost, compared: Path | None = None) -> None:
            end = f"{largest_difference(own, compared):>12.0e}" if compared else ""
            print(measuring.table_row(name, cost, n=n, floor=scan) + end, flush=True)

        scan = measuring.best_cost(partial(time_scan, power), repeats)
        print_row("scan", scan, scan)
        print_row("integrate", integration_cost(parts, own, repeats=repeats), scan)
        alone = measuring.best_concurrent_cost([partial(time_scan, power)], repeats, threads=1)
        print_row("scan, one core", alone, alone)
        work = partial(time_integration, parts, other / "other.parquet")
        cost = measuring.best_concurrent_cost([work], repeats, threads=1)
        print_row("integrate, one core", cost, alone, other)
        again = measuring.best_cost(partial(time_scan, copies), repeats)
        print_row("scan, usual", again, again)
        print_row(
            "integrate, usual", integration_cost(usual, usually, repeats=repeats), again, usually
        )
        for way in PEERS if arguments.peers else ():
            work = partial(time_peer, way, parts, other / "other.parquet")
            print_row(way.__name__, measuring.best_cost(work, min(2, repeats)), scan, other)


if __name__ == "__main__":
    main()
