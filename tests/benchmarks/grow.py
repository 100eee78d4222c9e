"""Measure how time and memory of the integration grow with samples and with jobs.

    uv run python tests/benchmarks/grow.py --samples 1e9 --jobs 1e6 --figure docs/performance.png

Samples grow tenfold at 10 000 jobs a cluster and month, up to `--samples`, jobs tenfold from 1000
on 31 M samples, up to `--jobs`; each is measured in a process of its own, beside a scan of the same
columns. The samples lie on disk for the time (1.5 GB for 1e9) and are written once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import generating
import measuring
from integrate_energy import integration_cost, time_scan
from matplotlib.figure import Figure
from measuring import Cost

from footprint.report.figures import style

JOBS_A_MONTH = 10_000
NODES_FOR_JOBS = 60


def tenfold_sizes(most: float, *, first: float) -> list[int]:
    """Sizes in steps of ten from `first`, and `most` itself."""
    found = []
    while first < most * 0.999:
        found.append(round(first))
        first *= 10
    return [*found, round(most)]


def growth_by_samples(most: float, folder: Path, repeats: int) -> Iterator[tuple[int, Cost, Cost]]:
    """Yield the number of samples, and the costs of scan and integration."""
    for n in tenfold_sizes(most, first=1e6):
        n_nodes = max(1, round(n / generating.SAMPLES_A_NODE))
        n_jobs = max(1, JOBS_A_MONTH * n_nodes // generating.MOST_NODES)
        yield measure_both(n_nodes, n_jobs, folder, repeats if n < 1e8 else 1)


def growth_by_jobs(most: float, folder: Path, repeats: int) -> Iterator[tuple[int, Cost, Cost]]:
    """Yield the number of jobs, and the costs of scan and integration."""
    for n in tenfold_sizes(most, first=1e3):
        _, scan, integration = measure_both(NODES_FOR_JOBS, n, folder, repeats)
        yield n, scan, integration


def measure_both(n_nodes: int, n_jobs: int, folder: Path, repeats: int) -> tuple[int, Cost, Cost]:
    """Write node-months; the number of samples, and the costs of scan and integration."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        parts = generating.write_months(Path(name), n_nodes=n_nodes, n_jobs=n_jobs)
        scan = measuring.best_cost(partial(time_scan, [part.power for part in parts]), repeats)
        integration = integration_cost(parts, Path(name), repeats=repeats)
    return n_nodes * generating.SAMPLES_A_NODE, scan, integration


@style.with_style
def plot(rows: dict[str, list[tuple[int, Cost, Cost]]]) -> Figure:
    """Seconds against samples and against jobs, both axes logarithmic."""
    [(_, first), *_] = rows.items()
    last = first[-1]
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=70,
        title=f"{last[0] / last[2].seconds / 1e6:.0f} million samples a second, up to "
        f"{last[0] / 1e9:.2g} billion of them",
        provenance="tests/benchmarks/grow.py, two cores",
    )
    panels = drawn.subplots(1, 2, sharey=True)
    for panel, (what, found) in zip(panels, rows.items(), strict=True):
        n = [row[0] for row in found]
        for place, name, colour in (
            (1, "scan", style.GREY),
            (2, "integrate", style.COLOUR_SEQUENCE[0]),
        ):
            seconds = [row[place].seconds for row in found]
            panel.plot(n, seconds, marker="o", markersize=3, color=colour)
            at = (n[-1], seconds[-1])
            panel.annotate(name, at, (5, -2), textcoords="offset points", color=colour)
        panel.set(xscale="log", yscale="log", xlabel=what)
        panel.margins(x=0.12)
    panels[0].set_ylabel("Time (s)")
    return drawn


def main() -> None:
    """Measure both growths, print their tables, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=float, default=1e8)
    parser.add_argument("--jobs", type=float, default=1e6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="Where samples lie meanwhile")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    growths = {
        "Samples": (growth_by_samples, arguments.samples),
        "Jobs": (growth_by_jobs, arguments.jobs),
    }
    rows: dict[str, list[tuple[int, Cost, Cost]]] = {}
    for what, (growth, most) in growths.items():
        print(f"{what:>14}{'scan s':>9}{'integrate s':>13}{'peak GB':>9}{'ratio':>7}", flush=True)
        rows[what] = []
        for n, scan, own in growth(most, arguments.folder, arguments.repeats):
            rows[what].append((n, scan, own))
            ratio = own.seconds / scan.seconds
            print(
                f"{n:>14,}{scan.seconds:>9.2f}{own.seconds:>13.2f}{own.memory_gb:>9.2f}{ratio:>7.1f}",
                flush=True,
            )
    if arguments.figure:
        style.save_figure(plot(rows), [arguments.figure])


if __name__ == "__main__":
    main()
