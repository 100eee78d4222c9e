"""Fit the weights of the kinds of runs on simulated sites with habits, and score them.

    uv run --group fit python tests/benchmarks/fit_kinds.py --write
    uv run --group fit python tests/benchmarks/fit_kinds.py --evaluate 20 --folder /tmp/sites

Fits `footprint.phases.kind_weights` on the runs of `--sites` sites with habits, whose seeds start
at `--seed`, and of a quarter as many without. On a quarter of the sites all commands inform, on
another quarter none does. Parts of the features are withheld at random. The temperatures are set on
sites that a fit has not seen, with a group of habits left out of the fit, each group in turn.
`--write` writes the weights of the repository.

`--evaluate` scores the weights on other sites, whose seeds follow from the commit, with all habits
in the fit and with each group left out; accuracies are shares of energy. `--folder` keeps the runs
of the sites for another call.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from classify_habits import site_habits  # noqa: E402
from cover import first_seed  # noqa: E402
from tests.support import kind_fits, kind_scores  # noqa: E402
from tests.support.habit_groups import HABIT_GROUPS, is_of_group  # noqa: E402
from tests.support.habit_sites import Withheld, build_study, habit_source  # noqa: E402
from tests.support.kind_fits import LabelledRuns  # noqa: E402

from footprint.phases.kind_weights import (  # noqa: E402
    SETTINGS,
    WEIGHED_KINDS,
    WEIGHTS_FILE,
    KindWeights,
)

NO_HABITS = "usual"
"""Commands of the sites without habits."""

FIT_STYLES = ("drawn", "informing", "drawn", "silent")
"""Commands of the sites of the fit, in turn."""

TESTS: dict[str, tuple[str, Withheld]] = {
    "drawn": ("drawn", Withheld()),
    "a day for all": ("drawn", Withheld(walltimes="day")),
    "the limit for all": ("drawn", Withheld(walltimes="limit")),
    "no walltime": ("drawn", Withheld(walltimes="none")),
    "no GPU series": ("drawn", Withheld(power="nodes")),
    "no power": ("drawn", Withheld(power="none")),
    "informing": ("informing", Withheld()),
    "silent": ("silent", Withheld()),
    "silent, no power": ("silent", Withheld(power="none")),
    "no habits": (NO_HABITS, Withheld()),
}
"""Commands and what is withheld, by the name of the setting, on which weights are scored."""

LEFT_OUT_TESTS = ("drawn", "informing", "silent")
N_CALIBRATION_SITES = 12


def runs_of_site(
    seed: int, *, commands: str, tests: Sequence[str], folder: Path | None
) -> dict[str, LabelledRuns]:
    """Runs of a site by setting of `tests`, read from the folder where they are there."""
    paths = {
        name: None if folder is None else folder / f"{commands}-{name}-{seed}" for name in tests
    }
    study = None
    found = {}
    for name, path in paths.items():
        if path is None or not path.with_suffix(".truth").is_file():
            if study is None:
                habits = None if commands == NO_HABITS else site_habits(seed, commands)
                study = build_study(habit_source(seed, habits=habits))
            runs = study.runs(TESTS[name][1])
            features, truth = runs.features, runs.truth
            if path is not None:
                features.write_parquet(path.with_suffix(".features"))
                truth.write_parquet(path.with_suffix(".truth"))
        else:
            features = pl.read_parquet(path.with_suffix(".features"))
            truth = pl.read_parquet(path.with_suffix(".truth"))
        renamed = truth.rename({"true_kwh": "total_kwh"})
        site = -seed if commands == NO_HABITS else seed
        found[name] = kind_fits.labelled_runs(features, renamed, site=site)
    return found


def fit_sites(seeds: range, folder: Path | None, processes: int) -> LabelledRuns:
    """Runs of the sites of the fit."""
    commands = [FIT_STYLES[seed % len(FIT_STYLES)] for seed in seeds]
    plain = seeds[:: len(FIT_STYLES)]
    with ProcessPoolExecutor(processes) as pool:
        parts = pool.map(
            partial(_fit_site, folder=folder),
            [*seeds, *plain],
            [*commands, *(NO_HABITS for _ in plain)],
        )
        return kind_fits.concatenate([each["drawn"] for each in parts])


def _fit_site(seed: int, commands: str, folder: Path | None) -> dict[str, LabelledRuns]:
    return runs_of_site(seed, commands=commands, tests=["drawn"], folder=folder)


def scored_sites(
    seeds: Sequence[int], folder: Path | None, processes: int
) -> dict[str, LabelledRuns]:
    """Runs of the sites of the scores, by setting of `TESTS`."""
    parts: dict[str, list[LabelledRuns]] = {name: [] for name in TESTS}
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(partial(_scored_site, folder=folder), seeds):
            for name, runs in found.items():
                parts[name].append(runs)
    return {name: kind_fits.concatenate(runs) for name, runs in parts.items()}


def _scored_site(seed: int, folder: Path | None) -> dict[str, LabelledRuns]:
    found = {}
    for commands in dict.fromkeys(style for style, _ in TESTS.values()):
        tests = [name for name, (style, _) in TESTS.items() if style == commands]
        found |= runs_of_site(seed, commands=commands, tests=tests, folder=folder)
    return found


def calibrated(runs: LabelledRuns, *, seed: int, origin: Mapping[str, object]) -> KindWeights:
    """Weights of all runs, with temperatures of sites and habits that a fit has not seen."""
    sites = np.unique(np.abs(runs.sites))
    n_held_out = min(N_CALIBRATION_SITES, len(sites) // 3)
    is_held_out = np.isin(np.abs(runs.sites), sites[-n_held_out:])
    held_out = runs.take(is_held_out)
    sums = [
        weights.sums(held_out.bins)
        for _, weights in left_out_weights(runs.take(~is_held_out), seed=seed)
    ]
    n = len(sums)
    temperatures = kind_fits.calibrate(
        np.concatenate(sums),
        np.tile(held_out.bins, (n, 1)),
        np.tile(held_out.kinds, n),
        np.tile(held_out.kwh, n),
    )
    weights = kind_fits.fit_weights(runs, seed=seed, origin=dict(origin))
    return kind_fits.with_version(weights, temperatures)


def left_out_weights(runs: LabelledRuns, *, seed: int) -> Iterator[tuple[str, KindWeights]]:
    """Weights without each group of habits in turn, by group."""
    for group in HABIT_GROUPS:
        without = runs.take(~is_of_group(runs, group))
        yield group, kind_fits.fit_weights(without, seed=seed, origin={})


def print_scores(weights: KindWeights, tests: Mapping[str, LabelledRuns]) -> None:
    """Scores with all habits in the fit: by setting, kind and habit, and the reliability."""
    scores = [
        (name, kind_scores.score(runs, weights.probabilities(runs.bins)))
        for name, runs in tests.items()
    ]
    print("\nall habits in the fit, other sites (% of the energy)")
    print("\n".join(kind_scores.score_lines(scores)))
    runs = tests["drawn"]
    probabilities = weights.probabilities(runs.bins)
    table = 100 * kind_scores.confusion(runs, probabilities) / runs.kwh.sum()
    print("\ntrue kind by row, most probable kind by column, % of the energy")
    print(f"{'':<16}" + "".join(f"{kind:>15}" for kind in WEIGHED_KINDS))
    for kind, row in zip(WEIGHED_KINDS, table, strict=True):
        print(f"{kind:<16}" + "".join(f"{value:>15.1f}" for value in row))
    print("\nhabit: kWh, right %")
    for habit, (kwh, right) in kind_scores.recall_by_habit(runs, probabilities).items():
        print(f"{habit:<26}{kwh:>9.0f}{100 * right:>8.1f}")


def print_left_out_scores(
    runs: LabelledRuns,
    temperatures: Mapping[str, float],
    tests: Mapping[str, LabelledRuns],
    seed: int,
) -> None:
    """Scores of full mixes with each group of habits left out of the fit, and their mean."""
    print("\na group of habits left out of the fit, full mixes of other sites (% of the energy)")
    pooled: dict[str, list[tuple[LabelledRuns, np.ndarray]]] = {n: [] for n in LEFT_OUT_TESTS}
    rows = []
    for group, fitted in left_out_weights(runs, seed=seed):
        weights = replace(fitted, temperatures=dict(temperatures))
        for name in LEFT_OUT_TESTS:
            tested = tests[name]
            probabilities = weights.probabilities(tested.bins)
            pooled[name].append((tested, probabilities))
            own = is_of_group(tested, group)
            is_right = probabilities.argmax(axis=1) == tested.kinds
            right = 100 * kind_scores.share(tested.kwh[own], is_right[own])
            label = f"{name}: {group} ({right:.0f})"
            rows.append((label[:44], kind_scores.score(tested, probabilities)))
    for name, parts in pooled.items():
        tested = kind_fits.concatenate([each for each, _ in parts])
        probabilities = np.concatenate([each for _, each in parts])
        rows.append((f"{name}: pooled", kind_scores.score(tested, probabilities)))
        if name == "drawn":
            found = probabilities.argmax(axis=1) == tested.kinds
            table = kind_scores.reliability(probabilities.max(axis=1), found, tested.kwh)
    print("(in parentheses: right of the group itself)")
    print("\n".join(kind_scores.score_lines(rows)))
    print("\nreliability with groups left out, drawn: share of the energy, confidence, right (%)")
    whole = sum(mass for mass, _, _ in table)
    for mass, confidence, right in table:
        print(f"{100 * mass / whole:>8.1f}{100 * confidence:>8.1f}{100 * right:>8.1f}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="first seed of the fit")
    parser.add_argument("--evaluate", type=int, default=0, metavar="SITES")
    parser.add_argument("--test-seed", type=int, default=None, help="first seed of the scores")
    parser.add_argument("--folder", type=Path, default=None, help="where runs of sites are kept")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS_FILE.name}")
    options = parser.parse_args()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    seeds = range(options.seed, options.seed + options.sites)
    runs = fit_sites(seeds, options.folder, options.processes)
    print(f"{len(runs.kinds)} runs of {options.sites} sites: {time.perf_counter() - began:.0f} s")
    origin = {
        "command": "uv run --group fit python tests/benchmarks/fit_kinds.py "
        f"--sites {options.sites} --seed {options.seed} --write",
        "seeds": [seeds[0], seeds[-1]],
        "runs": len(runs.kinds),
        "scikit-learn": metadata.version("scikit-learn"),
        "penalty": kind_fits.PENALTY,
    }
    weights = calibrated(runs, seed=options.seed, origin=origin)
    temperatures = ", ".join(f"{name} {weights.temperatures[name]:g}" for name in SETTINGS)
    print(f"version {weights.version}, temperatures: {temperatures}")
    print(f"fitted after {time.perf_counter() - began:.0f} s")
    if options.write:
        WEIGHTS_FILE.write_text(weights.to_json(), encoding="utf-8")
    if options.evaluate:
        first = first_seed() if options.test_seed is None else options.test_seed
        tested = range(first, first + options.evaluate)
        print(f"scores on {options.evaluate} sites from seed {first}")
        tests = scored_sites(tested, options.folder, options.processes)
        print_scores(weights, tests)
        print_left_out_scores(runs, weights.temperatures, tests, options.seed)


if __name__ == "__main__":
    main()
