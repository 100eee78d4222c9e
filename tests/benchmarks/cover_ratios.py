"""How often R of papers holds the truth when labels are withheld, on simulated sites of many seeds.

    python tests/benchmarks/cover_ratios.py --sites 30
    python tests/benchmarks/cover_ratios.py --settings half --records recorded home opaque

Sites are of four weeks, and their people have habits that the seed draws. Labels give the paper of
all its runs and role and kind of the reported model (`kinds`), paper and role (`reported`), only
the paper (`paper`), or the role of the reported training and the paper of half of the other runs
(`half`). Jobs come from a directory a paper
(`recorded`), all from the home of their owner (`home`), or also with commands that show nothing
(`opaque`). Kinds are those of the weights in the repository, without power. Prints how many of the
95 % intervals of R, of the ranges over the named alternatives (of the reported training in
`paper`, of membership in `half`), of both together, and of the ranges with the interval at each
end (`wide`) hold the true R; and how far the alternatives of membership are from it. Cases are all
papers whose reported model was trained in the study; those without an R are counted with the
reasons. Sites
are built without samples (`tests/support/fast_site.py`); seeds follow from the commit
(`cover.first_seed`).
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

from tests.support.paper_ratios import RECORDS, SETTINGS, compare_ratios  # noqa: E402

KEYS = ("setting", "records")
HABITS = {"habits": "seed", "end": "2025-03-31", "jobs": 2000}
"""Keys of the simulated source. In two weeks, jobs that cross the ends of the study leave less than
90 % of the development of many papers known, so that they have no R."""


def compare_site(
    seed: int, settings: tuple[str, ...], records: tuple[str, ...], draws: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compared ratios and alternatives of the site of a seed, with the column `seed`."""
    source = site_source(seed, correlation=0.5, series="drawn", exact_meters=False) | HABITS
    found = compare_ratios(source, settings=settings, records=records, seed=seed, draws=draws)
    compared, alternatives = (table.with_columns(seed=pl.lit(seed)) for table in found)
    return compared, alternatives


def print_cover(compared: pl.DataFrame) -> None:
    """Numbers of true R inside intervals and ranges, by setting and records."""
    truth, high = pl.col("truth"), pl.col("high").fill_null(float("inf"))
    in_interval = truth.is_between("low", high)
    in_range = truth.is_between("range_low", "range_high")
    # each end of the range with the relative error of R at that end
    in_wide = truth.is_between(
        pl.col("range_low") * pl.col("low") / pl.col("ratio"),
        pl.col("range_high") * high / pl.col("ratio"),
    )
    in_both = truth.is_between(
        pl.min_horizontal("low", "range_low"), pl.max_horizontal(high, "range_high")
    )
    given = compared.filter(pl.col("ratio").is_not_null())
    without = compared.group_by(KEYS).agg(n_without=pl.col("ratio").is_null().sum())
    width = (pl.col("high") - pl.col("low")) / 2 / pl.col("ratio")
    spread = (pl.col("range_high") - pl.col("range_low")) / 2 / pl.col("ratio")
    found = (
        given.group_by(KEYS)
        .agg(
            n=pl.len(),
            in_interval=100 * in_interval.mean(),
            in_range=100 * in_range.mean(),
            in_both=100 * in_both.mean(),
            in_wide=100 * in_wide.mean(),
            no_upper_end=100 * pl.col("high").is_null().mean(),
            half_width=100 * width.median(),
            half_range=100 * spread.median(),
        )
        .join(without, on=KEYS)
        .sort(KEYS)
    )
    print(
        f"{'setting':<10}{'records':<10}{'n':>5}{'no R':>6}{'interval':>10}{'range':>9}"
        f"{'both':>9}{'wide':>9}"
        f"{'no upper':>10}{'half width':>12}{'half range':>12}"
    )
    for row in found.iter_rows(named=True):
        print(
            f"{row['setting']:<10}{row['records']:<10}{row['n']:>5}{row['n_without']:>6}"
            f"{row['in_interval']:>8.1f} %{row['in_range']:>7.1f} %"
            f"{row['in_both']:>7.1f} %{row['in_wide']:>7.1f} %"
            f"{row['no_upper_end']:>8.1f} %{row['half_width'] or 0:>10.1f} %"
            f"{row['half_range'] or 0:>10.1f} %"
        )


def print_reasons(compared: pl.DataFrame) -> None:
    """Numbers of papers without an R by reason."""
    reason = pl.col("reason").str.replace_all(r"\d+ %", "too little")
    without = compared.filter(pl.col("ratio").is_null()).with_columns(reason=reason)
    counts = without.group_by(*KEYS, "reason").len().sort(*KEYS, "reason")
    print("no R because of:")
    for setting, records, why, n in counts.iter_rows():
        print(f"  {setting:<10}{records:<10}{n:>5}  {why}")


def print_alternatives(compared: pl.DataFrame, alternatives: pl.DataFrame) -> None:
    """Median distance of each alternative from the truth where half of the labels are withheld."""
    keys = ["paper", "seed", "draw", *KEYS]
    error = (pl.col("ratio") / pl.col("truth") - 1).abs()
    found = (
        alternatives.filter(setting="half", choice="membership")
        .join(compared.select(*keys, "truth"), on=keys)
        .group_by("records", "value")
        .agg(n=pl.col("ratio").count(), error=100 * error.median())
        .sort("records", "error")
    )
    print("median distance of R from the truth, half of the labels withheld:")
    for records, value, n, distance in found.iter_rows():
        print(f"  {records:<10}{value:<24}{n:>5}{distance:>8.1f} %")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: by commit)")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--records", nargs="+", choices=RECORDS, default=["recorded"])
    parser.add_argument("--draws", type=int, default=1, help="draws of the labels withheld, a site")
    parser.add_argument("--every", type=int, default=0, help="print after every so many sites")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    seed = first_seed() if options.seed is None else options.seed
    began = time.perf_counter()
    compare = partial(
        compare_site,
        settings=tuple(options.settings),
        records=tuple(options.records),
        draws=options.draws,
    )
    with ProcessPoolExecutor(options.processes) as pool:
        found = []
        for tables in pool.map(compare, range(seed, seed + options.sites)):
            found.append(tables)
            if options.every and len(found) % options.every == 0:
                print(f"after {len(found)} sites:")
                print_cover(pl.concat(compared for compared, _ in found))
                sys.stdout.flush()
    compared, alternatives = (pl.concat(tables) for tables in zip(*found, strict=True))
    took = time.perf_counter() - began
    print(f"{options.sites} sites from seed {seed}: {took / options.sites:.1f} s a site")
    print_cover(compared)
    print_reasons(compared)
    if "half" in options.settings:
        print_alternatives(compared, alternatives)


if __name__ == "__main__":
    main()
