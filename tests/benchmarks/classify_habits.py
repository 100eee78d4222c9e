"""How much energy a classifier gets right on simulated sites whose people have habits.

    python tests/benchmarks/classify_habits.py --sites 20
    python tests/benchmarks/classify_habits.py --sites 20 --classifier package.module:function

Each site is built in one process without its tables of readings (`tests/support/habit_sites.py`).
Seeds follow from the commit, so that nothing can be tuned on them; `--seed` sets the first. The
settings differ in commands, walltimes and power; the jobs are the same. A classifier is a function
from the features of a site (`features.collect_features`) to `run_id`, `kind` and, if it has one,
`confidence`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from cover import first_seed  # noqa: E402
from tests.support.habit_sites import HabitStudy, Withheld, build_study, habit_source  # noqa: E402

from footprint.core.sums import quotient, sum_or_zero  # noqa: E402
from footprint.phases import baseline, classifier, weighed_kinds  # noqa: E402
from footprint.sources.simulated.habits.choice import (  # noqa: E402
    COMMAND_POLICIES,
    WORK_SHARES,
    draw_habits,
)

Classifier = Callable[[pl.LazyFrame], pl.LazyFrame]


def classify_by_rules(features: pl.LazyFrame) -> pl.LazyFrame:
    """Kinds by the rules with their default thresholds."""
    return classifier.classify_runs(features, classifier.Thresholds())


CLASSIFIERS: dict[str, Classifier] = {
    "weights": weighed_kinds.weigh_runs,
    "rules": classify_by_rules,
    "exit_state": baseline.classify_by_exit_state,
    "training": baseline.classify_everything_as_training,
}
"""Classifiers by the name of their column; `training`: everything is training."""

COMMANDS: dict[str, str | None] = {
    "drawn": None,
    "informing": "informing_commands",
    "silent": "silent_commands",
}
"""Style of commands of all people by setting; None: drawn for each of them."""

SETTINGS: dict[str, tuple[str, Withheld]] = {
    "drawn": ("drawn", Withheld()),
    "drawn, a day": ("drawn", Withheld(walltimes="day")),
    "drawn, the limit": ("drawn", Withheld(walltimes="limit")),
    "drawn, no walltime": ("drawn", Withheld(walltimes="none")),
    "drawn, no GPU series": ("drawn", Withheld(power="nodes")),
    "drawn, no power": ("drawn", Withheld(power="none")),
    "informing": ("informing", Withheld()),
    "silent": ("silent", Withheld()),
    "silent, no power": ("silent", Withheld(power="none")),
    "no words": ("drawn", Withheld(words="none")),
}
"""Commands of the site, and what is withheld, by the name of the setting."""

JOBS_SCHEMA = pl.Schema(
    {
        "seed": pl.Int64(),
        "setting": pl.String(),
        "classifier": pl.String(),
        "kind": pl.String(),
        "habit": pl.String(),
        "found": pl.String(),
        "n_jobs": pl.Int64(),
        "kwh": pl.Float64(),
        "level": pl.Int64(),
        "confident_kwh": pl.Float64(),
    }
)
"""`level`: tenth in which the confidence lies; `confident_kwh`: sum of confidence x energy."""

N_LEVELS = 10


def site_habits(seed: int, commands: str, left_out: Sequence[str] = ()) -> list[str]:
    """Names for `source.habits`: those that the seed draws, with one style of commands."""
    style = COMMANDS[commands]
    drawn = [name for name in draw_habits(seed) if name not in left_out]
    if style is None:
        return drawn
    return [*(name for name in drawn if name not in COMMAND_POLICIES), style]


def studies_by_commands(
    seed: int, settings: Sequence[str], *, days: int, jobs: int
) -> Iterator[tuple[list[str], HabitStudy]]:
    """The settings with the same commands, and the study of the site that they share."""
    for commands in COMMANDS:
        own = [name for name in settings if SETTINGS[name][0] == commands]
        if own:
            habits = site_habits(seed, commands)
            yield own, build_study(habit_source(seed, days=days, jobs=jobs, habits=habits))


def classify_site(
    seed: int,
    *,
    classifiers: Mapping[str, Classifier],
    settings: Sequence[str],
    days: int,
    jobs: int,
) -> pl.DataFrame:
    """Energy of the jobs of one site by setting, classifier, true kind, habit and found kind.

    Returns:
        `JOBS_SCHEMA`.
    """
    rows = [pl.DataFrame(schema=JOBS_SCHEMA)]
    for own, study in studies_by_commands(seed, settings, days=days, jobs=jobs):
        for setting in own:
            found = study.runs(SETTINGS[setting][1])
            for name, classify in classifiers.items():
                kinds = _with_confidence(classify(found.features.lazy()))
                keys = ["kind", "habit", "found", "level"]
                rows.append(
                    found.jobs.join(kinds.collect(), on="run_id", how="left")
                    .group_by(keys)
                    .agg(
                        n_jobs=pl.len().cast(pl.Int64),
                        kwh=sum_or_zero(pl.col("true_kwh")),
                        confident_kwh=sum_or_zero(pl.col("true_kwh") * pl.col("confidence")),
                    )
                    .sort(keys)
                    .with_columns(
                        seed=pl.lit(seed, pl.Int64),
                        setting=pl.lit(setting),
                        classifier=pl.lit(name),
                    )
                    .select(JOBS_SCHEMA.names())
                )
    return pl.concat(rows)


def _with_confidence(kinds: pl.LazyFrame) -> pl.LazyFrame:
    """`run_id`, `found`, `confidence` and its `level`, which are null without a confidence."""
    if "confidence" not in kinds.collect_schema():
        kinds = kinds.with_columns(confidence=pl.lit(None, pl.Float64))
    level = (pl.col("confidence") * N_LEVELS).floor().clip(0, N_LEVELS - 1)
    return kinds.select(
        "run_id",
        "confidence",
        found=pl.col("kind").cast(pl.String).fill_null("unknown"),
        level=level.cast(pl.Int64),
    )


def right_fractions(found: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Share of the energy with the right kind, by some columns of `JOBS_SCHEMA`.

    Returns:
        The columns `by`, `n_jobs`, `kwh`, `right_frac` (null without energy), sorted.
    """
    right_kwh = sum_or_zero(pl.col("kwh").filter(pl.col("kind") == pl.col("found")))
    return (
        found.group_by(by)
        .agg(pl.col("n_jobs").sum(), kwh=sum_or_zero(pl.col("kwh")), right_kwh=right_kwh)
        .with_columns(right_frac=quotient(pl.col("right_kwh"), pl.col("kwh")))
        .drop("right_kwh")
        .sort(by, nulls_last=True)
    )


def print_accuracy(found: pl.DataFrame, names: Sequence[str], settings: Sequence[str]) -> None:
    """Share of the energy with the right kind by setting, pooled and of the worst site."""
    print(f"{'right of the energy, %':<24}" + "".join(f"{name:>22}" for name in names))
    pooled = _by(right_fractions(found, ["setting", "classifier"]))
    of_sites = right_fractions(found, ["setting", "classifier", "seed"])
    lowest = _by(of_sites.group_by("setting", "classifier").agg(pl.col("right_frac").min()))
    for setting in settings:
        cells = "".join(
            f"{_percent(pooled[setting, name]):>9} (least {_percent(lowest[setting, name])})".rjust(
                22
            )
            for name in names
        )
        print(f"{setting:<24}{cells}")


def print_margins(found: pl.DataFrame, name: str, settings: Sequence[str]) -> None:
    """Difference to "everything is training" at the worst site, and the calibration error.

    The expected calibration error is the mean of |right - confidence| over tenths of confidence,
    weighted by energy.
    """
    of_sites = right_fractions(found, ["setting", "seed", "classifier"])
    margins = of_sites.filter(classifier=name).join(
        of_sites.filter(classifier="training"), on=["setting", "seed"], suffix="_training"
    )
    levels = (
        found.filter(pl.col("classifier") == name, pl.col("level").is_not_null())
        .group_by("setting", "level")
        .agg(
            right_kwh=sum_or_zero(pl.col("kwh").filter(pl.col("kind") == pl.col("found"))),
            confident_kwh=sum_or_zero(pl.col("confident_kwh")),
            kwh=sum_or_zero(pl.col("kwh")),
        )
    )
    print(f"\n{name:<24}{'least above training':>22}{'calibration error':>20}")
    for setting in settings:
        own, tenths = margins.filter(setting=setting), levels.filter(setting=setting)
        least = (own["right_frac"] - own["right_frac_training"]).min()
        off_kwh = (tenths["right_kwh"] - tenths["confident_kwh"]).abs().sum()
        error = off_kwh / tenths["kwh"].sum() if len(tenths) else None
        print(f"{setting:<24}{_percent(least):>22}{_percent(error):>20}")


def print_recall(found: pl.DataFrame, name: str, settings: Sequence[str]) -> None:
    """Share of the energy with the right kind by true kind and habit, of one classifier."""
    own = found.filter(classifier=name)
    for column in ("kind", "habit"):
        table = right_fractions(own, ["setting", column])
        cells = {
            (setting, value): fraction
            for setting, value, fraction in table.select(
                "setting", column, "right_frac"
            ).iter_rows()
        }
        sizes = right_fractions(own.filter(setting=settings[0]), [column])
        print(f"\nrecall of {name} by {column}, % of the energy")
        width = max(len(setting) for setting in settings) + 2
        heading = "".join(f"{setting:>{width}}" for setting in settings)
        print(f"{'':<26}{'jobs':>7}{'kWh':>9}{heading}")
        for value, n_jobs, kwh in sizes.select(column, "n_jobs", "kwh").iter_rows():
            line = "".join(f"{_percent(cells.get((each, value))):>{width}}" for each in settings)
            print(f"{value or 'usual work':<26}{n_jobs:>7}{kwh:>9.0f}{line}")


def print_confusion(found: pl.DataFrame, name: str, setting: str) -> None:
    """Energy by true and found kind of one classifier in one setting, in % of all energy."""
    own = found.filter(classifier=name, setting=setting)
    total_kwh = own["kwh"].sum()
    kinds = own.group_by("kind", "found").agg(frac=sum_or_zero(pl.col("kwh")) / total_kwh)
    wide = kinds.sort("found").pivot(on="found", index="kind", values="frac").sort("kind")
    columns = [column for column in wide.columns if column != "kind"]
    print(f"\n{name}, {setting}: true kind by row, found kind by column, % of all energy")
    print(f"{'':<16}" + "".join(f"{column:>16}" for column in columns))
    for row in wide.iter_rows(named=True):
        print(f"{row['kind']:<16}" + "".join(f"{_percent(row[each]):>16}" for each in columns))


def _by(table: pl.DataFrame) -> dict[tuple[str, str], float | None]:
    return {
        (setting, name): fraction
        for setting, name, fraction in table.select(
            "setting", "classifier", "right_frac"
        ).iter_rows()
    }


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def load_classifier(name: str) -> Classifier:
    """Classifier by its name in `CLASSIFIERS`, or by `module:function`."""
    if name in CLASSIFIERS:
        return CLASSIFIERS[name]
    module, _, function = name.partition(":")
    loaded: Classifier = getattr(import_module(module), function)
    return loaded


def compare_site(seed: int, options: Mapping[str, Any]) -> pl.DataFrame:
    """Result of `classify_site` for the options of the command."""
    names = dict.fromkeys([options["classifier"], "rules", "exit_state", "training"])
    return classify_site(
        seed,
        classifiers={name: load_classifier(name) for name in names},
        settings=options["settings"],
        days=options["days"],
        jobs=options["jobs"],
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: by commit)")
    parser.add_argument("--classifier", default="weights", help="name, or module:function")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--jobs", type=int, default=1000, help="number of jobs aimed at, by site")
    parser.add_argument("--processes", type=int, default=2)
    options = vars(parser.parse_args())
    seed = first_seed() if options["seed"] is None else options["seed"]
    began = time.perf_counter()
    with ProcessPoolExecutor(options["processes"]) as pool:
        sites = pool.map(
            partial(compare_site, options=options), range(seed, seed + options["sites"])
        )
        found = pl.concat(sites)
    took_s = time.perf_counter() - began
    print(f"{options['sites']} sites from seed {seed}: {took_s / options['sites']:.1f} s a site")
    names, settings = found["classifier"].unique(maintain_order=True).to_list(), options["settings"]
    print_accuracy(found, names, settings)
    print_margins(found, options["classifier"], settings)
    print_recall(found, options["classifier"], settings)
    print_confusion(found, options["classifier"], settings[0])
    absent = [name for name in WORK_SHARES if name not in found["habit"].unique()]
    if absent:
        print(f"\nno jobs of {', '.join(absent)}")


if __name__ == "__main__":
    main()
