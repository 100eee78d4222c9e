"""How often the intervals of totals and R hold the truth, on simulated sites of many seeds.

    python tests/benchmarks/cover.py --sites 200
    python tests/benchmarks/cover.py --sites 100 --correlation 1     # gains wholly common
    python tests/benchmarks/cover.py --sites 60 --exact-meters       # accuracy of estimates alone

Each site is built in one process from integrals without samples (`tests/support/fast_site.py`).
Seeds follow from the commit, so that nothing can be tuned on them; `--seed` sets the first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.site_totals import DEFAULT_METERS, LEVELS, compare_totals  # noqa: E402

DAYS = 14
BOOTSTRAP_DRAWS = 1000


def site_source(
    seed: int, *, correlation: float, series: str, exact_meters: bool
) -> dict[str, Any]:
    """Configuration of the site of a seed: which clusters lack meters and series is drawn too."""
    width = 0.0 if exact_meters else 0.10
    centre = 1.0 if exact_meters else 1.05
    without = {"drawn": "seed", "all": [], "none": None}[series]
    source: dict[str, Any] = {
        "kind": "simulated",
        "seed": seed,
        "start": "2025-03-03",
        "end": f"2025-03-{3 + DAYS:02d}",
        "without_meters": "seed",
        "without_series": without,
        "meter": {"low": centre - width, "high": centre + width, "correlation": correlation},
    }
    if series == "none":
        from footprint.sources.simulated import hardware

        source["without_series"] = hardware.cluster_names(source)
    return source


def compare_site(seed: int, options: Mapping[str, Any]) -> pl.DataFrame:
    """Totals and truth of one site (`site_totals.COMPARED_SCHEMA`)."""
    meters = dict(DEFAULT_METERS)
    if options["exact_meters"]:
        meters |= {"low": 1.0, "high": 1.0}
    return compare_totals(site_source(seed, **options), meters).compared.with_columns(
        seed=pl.lit(seed)
    )


def first_seed() -> int:
    """A seed that follows from the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return int(commit[:7], 16) % 1_000_000


def print_cover(found: pl.DataFrame) -> None:
    """Cover, bootstrap interval over sites, median half width, ranks, by level."""
    held = pl.col("truth").is_between("low", "high")
    found = found.with_columns(
        inside=held,
        half_width=(pl.col("high") - pl.col("low")) / 2 / pl.col("total"),
        headline=pl.col("total").is_between("low", "high"),
    )
    print(
        f"{'level':<16}{'n':>6}{'inside':>9}{'95 % over sites':>18}{'>30 % est.':>12}"
        f"{'half width':>12}{'rank mean':>11}{'sd':>6}  ranks in ten bins"
    )
    generator = np.random.default_rng(1)
    for level in LEVELS:
        own = found.filter(pl.col("level") == level)
        if own.is_empty():
            continue
        by_site = own.group_by("seed").agg(n=pl.len(), inside=pl.col("inside").sum()).sort("seed")
        counts = by_site.select("n", "inside").to_numpy()
        draws = generator.integers(0, len(counts), (BOOTSTRAP_DRAWS, len(counts)))
        shares = counts[draws, 1].sum(axis=1) / counts[draws, 0].sum(axis=1)
        low, high = np.quantile(shares, [0.025, 0.975])
        guessed = own.filter(pl.col("estimated_frac") > 0.3)
        of_guessed = f"{100 * guessed['inside'].mean():.1f} %" if len(guessed) else "-"
        ranks = own["rank_frac"].drop_nulls().to_numpy()
        bins = np.histogram(ranks, bins=10, range=(0, 1))[0]
        text = ""
        if len(ranks):
            text = f"{ranks.mean():>11.2f}{ranks.std():>6.2f}  {' '.join(map(str, bins))}"
        print(
            f"{level:<16}{len(own):>6}{100 * own['inside'].mean():>7.1f} %"
            f"{100 * low:>9.1f} to {100 * high:.1f}{of_guessed:>12}"
            f"{100 * own['half_width'].median():>10.1f} %{text}"
        )
    print(f"headline inside its interval: {found['headline'].sum()} of {len(found)}")


def print_accuracy(found: pl.DataFrame) -> None:
    """Median error of what was not measured, of jobs and of sites."""
    error = (pl.col("estimated_kwh") / pl.col("true_estimated_kwh") - 1).abs()
    for level in ("unmeasured job", "site"):
        own = found.filter(pl.col("level") == level, pl.col("true_estimated_kwh") > 0)
        median = own.select(error.median()).item()
        if median is not None:
            print(f"error of the estimate, {level}: median {100 * median:.1f} % of {len(own)}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: by commit)")
    parser.add_argument("--correlation", type=float, default=0.5, help="true correlation of gains")
    parser.add_argument("--series", choices=["drawn", "all", "none"], default="drawn")
    parser.add_argument("--exact-meters", action="store_true", help="all gains are 1")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seed = first_seed() if options.seed is None else options.seed
    began = time.perf_counter()
    compare = partial(
        compare_site,
        options={
            "correlation": options.correlation,
            "series": options.series,
            "exact_meters": options.exact_meters,
        },
    )
    with ProcessPoolExecutor(options.processes) as pool:
        found = pl.concat(pool.map(compare, range(seed, seed + options.sites)))
    took = time.perf_counter() - began
    print(f"{options.sites} sites from seed {seed}: {took / options.sites:.1f} s a site")
    print_cover(found)
    print_accuracy(found)


if __name__ == "__main__":
    main()
