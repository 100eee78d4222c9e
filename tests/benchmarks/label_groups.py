"""How much energy is right after a few groups are labelled as `footprint labels` proposes.

    python tests/benchmarks/label_groups.py --sites 8
    python tests/benchmarks/label_groups.py --settings drawn "silent, no power" --groups 40

Each site has habits and four weeks of jobs, and is built without its tables of readings
(`tests/support/habit_sites.py`). The first groups of the proposals get the true kind of most of
their energy, by rows of a label file. Prints shares of energy, as the mean over the sites and the
worst site: what is labelled; right of what is not labelled, as found and recalibrated; right of
all. An unknown kind is not right. Seeds follow from the commit (`cover.first_seed`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from classify_habits import SETTINGS, studies_by_commands  # noqa: E402
from cover import first_seed  # noqa: E402
from tests.support.labelled_sites import LabelledHabitSite, Outcome  # noqa: E402

DEFAULT_SETTINGS = ("drawn", "drawn, no power", "informing", "silent", "silent, no power")


def label_site(
    seed: int, settings: Sequence[str], groups: int, days: int, jobs: int
) -> pl.DataFrame:
    """`seed`, `setting` and the shares of `labelled_sites.Outcome` of one site."""
    rows = []
    for own, study in studies_by_commands(seed, settings, days=days, jobs=jobs):
        for setting in own:
            with TemporaryDirectory() as folder:
                site = LabelledHabitSite(study, SETTINGS[setting][1])
                found = site.label(groups, Path(folder))
            rows.append({"seed": seed, "setting": setting} | found._asdict())
    return pl.DataFrame(rows)


def print_outcomes(found: pl.DataFrame, settings: Sequence[str]) -> None:
    """Mean over the sites and worst site of each share, in %."""
    names = [name.removesuffix("_frac") for name in Outcome._fields]
    print(f"{'mean (worst site), %':<22}" + "".join(f"{name:>18}" for name in names))
    for setting in settings:
        own = found.filter(setting=setting)
        cells = [
            f"{100 * own[name].mean():.1f} ({100 * own[name].min():.1f})"
            for name in Outcome._fields
        ]
        print(f"{setting:<22}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sites", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: by commit)")
    parser.add_argument(
        "--settings", nargs="+", choices=list(SETTINGS), default=list(DEFAULT_SETTINGS)
    )
    parser.add_argument("--groups", type=int, default=20, help="number of groups labelled")
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--jobs", type=int, default=2000, help="number of jobs aimed at, by site")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seed = first_seed() if options.seed is None else options.seed
    began = time.perf_counter()
    label = partial(
        label_site,
        settings=options.settings,
        groups=options.groups,
        days=options.days,
        jobs=options.jobs,
    )
    with ProcessPoolExecutor(options.processes) as pool:
        found = pl.concat(pool.map(label, range(seed, seed + options.sites)))
    took = time.perf_counter() - began
    print(f"{options.sites} sites from seed {seed}: {took / options.sites:.1f} s a site")
    print_outcomes(found, options.settings)


if __name__ == "__main__":
    main()
