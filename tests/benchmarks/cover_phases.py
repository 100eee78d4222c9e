"""How often the intervals of phases and kinds hold the true energy, on sites of many seeds.

    python tests/benchmarks/cover_phases.py --sites 20
    python tests/benchmarks/cover_phases.py --sites 20 --setting paper

Labels give the paper and the reported model (`reported`) or only the paper (`paper`); kinds are
those of the weights without power. Prints, for the phases of papers and the kinds of papers and of
the site, how many of the 95 % intervals hold the true energy, and the same with the kinds as found
(errors of meters and estimates alone). Sites are built without samples
(`tests/support/fast_site.py`); seeds follow from the commit (`cover.first_seed`).
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import polars as pl
from cover import first_seed, site_source

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.paper_phases import compare_phases  # noqa: E402


def compare_site(seed: int, setting: str) -> pl.DataFrame:
    """Compared parts of the site of a seed."""
    source = site_source(seed, correlation=0.5, series="drawn", exact_meters=False)
    return compare_phases(source, setting=setting).with_columns(seed=pl.lit(seed))


def print_cover(found: pl.DataFrame) -> None:
    """Numbers of true energies inside intervals, with and without the uncertainty of kinds."""
    truth = pl.col("truth")
    rows = (
        found.group_by("scope", "division", "part")
        .agg(
            n=pl.len(),
            inside=100 * truth.is_between("low", "high").mean(),
            fixed=100 * truth.is_between("fixed_low", "fixed_high").mean(),
            width=100
            * ((pl.col("high") - pl.col("low")) / 2 / pl.max_horizontal("total", truth)).median(),
        )
        .sort("scope", "division", "part")
    )
    print(f"{'scope':<8}{'part':<26}{'n':>5}{'inside':>10}{'kinds fixed':>13}{'half width':>12}")
    for row in rows.iter_rows(named=True):
        print(
            f"{row['scope']:<8}{row['division'] + ' ' + row['part']:<26}{row['n']:>5}"
            f"{row['inside']:>8.1f} %{row['fixed']:>11.1f} %{row['width']:>10.1f} %"
        )
    for scope, division in (("paper", "phase"), ("paper", "kind"), ("site", "kind")):
        own = found.filter(scope=scope, division=division)
        inside = own.select(truth.is_between("low", "high").mean()).item()
        print(f"all of {scope}, {division}: {len(own)}, {100 * inside:.1f} % inside")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: by commit)")
    parser.add_argument("--setting", choices=["reported", "paper"], default="reported")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    seed = first_seed() if options.seed is None else options.seed
    began = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        compare = partial(compare_site, setting=options.setting)
        found = pl.concat(pool.map(compare, range(seed, seed + options.sites)))
    took = time.perf_counter() - began
    print(f"{options.sites} sites from seed {seed}: {took / options.sites:.1f} s a site")
    print_cover(found)


if __name__ == "__main__":
    main()
