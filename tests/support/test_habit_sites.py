"""Runs of a site without tables of readings against those of the rules of the pipeline."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from footprint.schemas.phases import N_POWER_BINS
from tests.support import rule_chain
from tests.support.habit_sites import HabitSite, Withheld, Words, build_study
from tests.support.rule_chain import RuleChain

pytestmark = pytest.mark.filterwarnings("error")

# Work of hours, since work of days would leave a small site no idle node.
SOURCE = {
    "seed": 6,
    "jobs": 100,
    "nodes": {"grele": 8, "gres": 2},
    "habits": [
        *("late_resume", "array_sweep", "fine_tuning", "inference_server", "evaluation_array"),
        *("processors_on_gpu_nodes", "open_notebook", "crash_loop", "own_system"),
        *("fitted_walltime", "day_walltime", "code_commands", "usual_commands"),
    ],
}
WINDOW = {
    **{"start": rule_chain.START, "end": rule_chain.END},
    "mix": {"chain": 0, "training": 0, "long_inference": 0},
}
WORDS: tuple[Words, ...] = ("drawn", "silent", "none")
MIN_RUN_S = 1800.0
MAX_SHARE_MOVED = 0.03
MAX_ENERGY_ERROR = 0.01


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    rules = RuleChain(tmp_path_factory.mktemp("habits"), source=SOURCE)
    rules.run_to_energies()
    rules.prepare_gpus()
    rules.run_to_features()
    return rules


@pytest.fixture(scope="module")
def fast() -> HabitSite:
    return build_study(SOURCE | WINDOW).runs(Withheld())


def test_withheld_words_keep_waits_and_notebooks_when_silent() -> None:
    study = build_study(SOURCE | WINDOW)
    drawn, silent, unknown = (study.runs(Withheld(words=words)) for words in WORDS)
    worded = pl.col("command_work").is_not_null() | pl.col("name_work").is_not_null()
    assert drawn.features.filter(worded).height > 0
    assert silent.features.filter(worded).is_empty()
    assert drawn.features["prompt"].sum() == silent.features["prompt"].sum() > 0
    assert unknown.features.filter(worded | pl.col("prompt")).is_empty()
    assert drawn.truth["true_kwh"].sum() == pytest.approx(silent.truth["true_kwh"].sum())


def test_withheld_walltimes_and_power_replace_one_feature(fast: HabitSite) -> None:
    study = build_study(SOURCE | WINDOW)
    day, none = (study.runs(Withheld(walltimes=each)).features for each in ("day", "none"))
    assert day["walltime_s"].unique().to_list() == [86400]
    assert none["walltime_s"].null_count() == len(none)
    dark = study.runs(Withheld(power="none")).features
    for name in ("measured_kwh", "node_histogram_s", "gpu_histogram_s"):
        assert dark[name].null_count() == len(dark)
    nodes = study.runs(Withheld(power="nodes")).features
    assert set(nodes["histogram_basis"].drop_nulls()) == {"node"}
    assert dark.drop_nulls("walltime_s")["gpu_hours"].sum() == pytest.approx(
        fast.features["gpu_hours"].sum()
    )


def test_truth_of_run_is_the_kind_with_the_most_energy(fast: HabitSite) -> None:
    assert fast.truth["run_id"].is_unique().all()
    by_run = fast.jobs.group_by("run_id").agg(pl.col("true_kwh").sum(), pl.col("kind").n_unique())
    both = fast.truth.join(by_run, on="run_id")
    assert len(both) == len(fast.truth)
    assert (both["true_kwh"] - both["true_kwh_right"]).abs().max() < 1e-9


def test_site_runs_equal_the_runs_of_the_pipeline(chain: RuleChain, fast: HabitSite) -> None:
    exact = chain.read("run_of_job")
    both = fast.jobs.join(exact, on="job_id", suffix="_exact")
    assert len(both) == len(fast.jobs) > 40
    assert both["run_id"].to_list() == both["run_id_exact"].to_list()
    assert fast.jobs["habit"].n_unique() > 3


def test_features_of_site_runs_equal_those_of_the_pipeline_but_for_readings(
    chain: RuleChain, fast: HabitSite
) -> None:
    exact = chain.read("features").sort("run_id")
    found = fast.features.sort("run_id")
    of_readings = {"measured_kwh", "idle_kwh", "mean_power_frac", "spread", "burst_frac"}
    of_readings |= {"node_histogram_s", "gpu_histogram_s", "histogram_basis", "similar_power_frac"}
    for name in [column for column in exact.columns if column not in of_readings]:
        own, expected = found[name], exact[name]
        if own.dtype.is_float():
            assert np.allclose(own.to_numpy(), expected.to_numpy(), equal_nan=True), name
        else:
            assert own.to_list() == expected.cast(own.dtype).to_list(), name
    both = _long_runs(found, exact)
    assert both["histogram_basis"].to_list() == both["histogram_basis_exact"].to_list()


@pytest.mark.parametrize("device", ["node", "gpu"])
def test_power_histograms_of_long_runs_agree_with_the_pipeline(
    chain: RuleChain, fast: HabitSite, device: str
) -> None:
    column = f"{device}_histogram_s"
    both = _long_runs(fast.features, chain.read("features")).drop_nulls(column)
    assert len(both) > 8
    shares = [
        np.array(both[name].to_list()) / both[name].list.sum().to_numpy()[:, None]
        for name in (column, f"{column}_exact")
    ]
    assert shares[0].shape[1] == N_POWER_BINS
    # the share of the time that lies below any level, which is what thresholds cut
    moved = np.abs(np.cumsum(shares[0], axis=1) - np.cumsum(shares[1], axis=1))
    # levels near a plateau move with the idle power, by at most a bin
    shifted = np.minimum(moved[:, 1:-1], np.minimum(moved[:, :-2], moved[:, 2:]))
    assert np.median(shifted.max(axis=1)) < MAX_SHARE_MOVED
    assert (
        both.select(
            (pl.col("mean_power_frac") - pl.col("mean_power_frac_exact")).abs().max()
        ).item()
        < 0.02
    )


def test_measured_energy_of_long_runs_agrees_with_the_pipeline(
    chain: RuleChain, fast: HabitSite
) -> None:
    both = _long_runs(fast.features, chain.read("features")).drop_nulls("measured_kwh_exact")
    error = (both["measured_kwh"] / both["measured_kwh_exact"] - 1).abs()
    assert len(error) > 8
    assert error.median() < MAX_ENERGY_ERROR


def _long_runs(found: pl.DataFrame, exact: pl.DataFrame) -> pl.DataFrame:
    """Features of runs of half an hour or more, with those of the pipeline as `*_exact`."""
    return found.filter(pl.col("duration_s") >= MIN_RUN_S).join(exact, on="run_id", suffix="_exact")
