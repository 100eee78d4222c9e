"""Tests of the ratio of development to training: sums by phase, and groups."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import (
    KINDS,
    MIN_COVERAGE_FRAC,
    NO_PROJECT,
    OTHERS,
    PHASES,
    SMALL_GROUPS,
)
from footprint.phases import ratio, roles
from footprint.schemas.phases import PhaseRatio
from footprint.schemas.writing import conform
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

RUN_SCHEMA = {
    "run_id": pl.Int64(),
    "project": pl.String(),
    "paper": pl.String(),
    "kind": pl.Enum(KINDS),
    "measured_kwh": pl.Float64(),
    "estimated_kwh": pl.Float64(),
    "total_kwh": pl.Float64(),
    "idle_kwh": pl.Float64(),
    "gpu_hours": pl.Float64(),
}
REPORTED = {"role": "reported"}

Row = dict[str, Any]


def run(run_id: int, kind: str | None, kwh: float | None, **more: Any) -> Row:
    usual = {"project": "q", "paper": "p", "idle_kwh": None, "gpu_hours": 1.0}
    energies = {"measured_kwh": kwh, "estimated_kwh": 0.0, "total_kwh": kwh}
    return {"run_id": run_id, "kind": kind} | energies | usual | more


def levels_frame(
    paper: tuple[str, ...] = ("p",), project: tuple[str, ...] = ("q",)
) -> pl.LazyFrame:
    """Names of papers and projects in the levels."""
    rows = [("paper", name, "bmc") for name in paper] + [
        ("project", name, "bmc") for name in project
    ]
    rows += [("paper", "of an estimator alone", "mlco2"), ("site", "nancy", "bmc")]
    return pl.LazyFrame(rows, ["level", "name", "method"], orient="row")


def runs_with_phases(rows: list[Row], labelled: pl.LazyFrame) -> pl.LazyFrame:
    runs = pl.LazyFrame(rows, RUN_SCHEMA)
    return runs.join(roles.assign_roles(runs, labelled), on="run_id")


def ratio_table(rows: list[Row], labels: list[Row] | None = None, **options: Any) -> pl.DataFrame:
    labelled = labels_frame(*(labels or []))
    arguments = {"levels": levels_frame(), "time": time_frame(rows)} | options
    return ratio.compare_development_with_training(
        runs_with_phases(rows, labelled), **arguments
    ).collect()


def time_frame(rows: list[Row], **known_s: float) -> pl.LazyFrame:
    """An hour of each run, known where its energy is or for the seconds of `run_{id}`."""
    known = [(row["run_id"], 0.0 if row["measured_kwh"] is None else 3600.0) for row in rows]
    return pl.LazyFrame(
        [(run_id, 3600.0, known_s.get(f"run_{run_id}", seconds)) for run_id, seconds in known],
        {"run_id": pl.Int64(), "held_s": pl.Float64(), "known_s": pl.Float64()},
        orient="row",
    )


def paper_row(rows: list[Row], labels: list[Row] | None = None, **options: Any) -> Row:
    (row,) = (
        ratio_table(rows, labels, **options).filter(scope="paper", name="p").iter_rows(named=True)
    )
    return row


LABELS = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED, {"run_id": 3} | REPORTED]
PAPER_RUNS = [
    run(1, "training_run", 8.0),
    run(2, "training_run", 2.0),
    run(3, "inference_run", 1.0),
    run(4, "training_run", 30.0),
    run(5, "inference_run", 5.0),
    run(6, "idle_hold", 6.0, idle_kwh=5.5),
    run(7, "interactive", 4.0, idle_kwh=3.0),
    run(8, "training_run", 5.0, idle_kwh=2.5),
    run(9, "unknown", 20.0),
    run(10, None, None),
]


class TestSums:
    def test_ratios_of_paper_equal_hand_computation(self) -> None:
        row = paper_row(PAPER_RUNS, LABELS)
        # development: 30 + 5 + 6 + 4 + 5
        energies = {"training": 10.0, "inference": 1.0, "development": 50.0, "unknown": 20.0}
        for phase, kwh in energies.items():
            assert row[f"{phase}_kwh"] == kwh
        assert row["measured_kwh"] == 81.0
        assert row["ratio"] == 5.0
        assert row["ratio_all_unknown"] == 7.0  # (50 + 20) / 10
        assert (row["n_runs"], row["n_labelled"], row["role_basis"]) == (9, 3, "label")
        # idle energy of the hold and the session, without that of the training
        assert row["idle_kwh"] == 8.5
        assert row["unknown_gpu_h"] == 0.0
        assert (row["ratio_low"], row["ratio_high"], row["baseline_ratio"]) == (None, None, None)

    def test_ratios_conform_to_schema_and_are_sorted(self) -> None:
        rows = conform(PhaseRatio, ratio_table(PAPER_RUNS, LABELS))
        assert rows.select("scope", "name").rows() == [("paper", "p"), ("project", "q")]

    def test_ratio_without_reported_training_is_null(self) -> None:
        row = paper_row(PAPER_RUNS[3:], [{"run_id": 4, "role": "other"}])
        assert (row["training_kwh"], row["inference_kwh"], row["ratio"]) == (None, None, None)
        assert (row["ratio_all_unknown"], row["role_basis"]) == (None, None)
        assert row["development_kwh"] == 50.0

    def test_role_basis_of_assumed_training_is_assumed(self) -> None:
        row = paper_row(PAPER_RUNS)
        # run 4 is assumed; development: 8 + 2 + 1 + 5 + 6 + 4 + 5
        assert (row["role_basis"], row["n_labelled"]) == ("assumed", 0)
        assert (row["training_kwh"], row["inference_kwh"]) == (30.0, None)
        assert row["ratio"] == pytest.approx(31.0 / 30.0, rel=1e-12)

    def test_ratio_of_assumed_training_is_smallest_of_all_single_trainings(self) -> None:
        assumed = paper_row(PAPER_RUNS)["ratio"]
        for run_id in (1, 2, 4, 8):
            assert paper_row(PAPER_RUNS, [{"run_id": run_id} | REPORTED])["ratio"] >= assumed

    def test_phase_of_unknown_energy_is_null_and_its_gpu_hours_are_reported(self) -> None:
        part = [*PAPER_RUNS, run(11, "training_run", None, gpu_hours=70.0)]
        row = paper_row(part, LABELS)
        assert (row["development_kwh"], row["unknown_gpu_h"], row["n_runs"]) == (50.0, 70.0, 10)
        nothing = [run(1, "training_run", 8.0), run(2, "debug", None), run(3, "unknown", None)]
        row = paper_row(nothing, LABELS[:1])
        assert (row["development_kwh"], row["unknown_kwh"], row["ratio"]) == (None, None, None)
        unmeasured = [run(1, "training_run", None), run(2, "debug", 1.0)]
        row = paper_row(unmeasured, LABELS[:1])
        assert (row["training_kwh"], row["role_basis"], row["ratio"]) == (None, "label", None)

    def test_ratio_of_paper_with_one_training_alone_is_zero(self) -> None:
        row = paper_row(PAPER_RUNS[:1], LABELS[:1])
        assert (row["development_kwh"], row["unknown_kwh"], row["ratio"]) == (0.0, 0.0, 0.0)

    def test_baseline_ratio_uses_phases_of_baseline(self) -> None:
        exit_states = pl.LazyFrame(
            {"run_id": [1, 4, 5, 6], "phase": ["development", "training", "unknown", "development"]}
        )
        row = paper_row(PAPER_RUNS, LABELS, baseline=exit_states)
        assert row["baseline_ratio"] == pytest.approx((8.0 + 6.0) / 30.0, rel=1e-12)

    def test_ratio_of_project_includes_runs_of_all_papers_and_without_paper(self) -> None:
        rows = [
            *PAPER_RUNS,
            run(11, "debug", 3.0, paper=None),
            run(12, "debug", 2.0, paper="small"),
        ]
        (row,) = ratio_table(rows, LABELS).filter(scope="project").iter_rows(named=True)
        assert (row["name"], row["development_kwh"], row["training_kwh"]) == ("q", 55.0, 10.0)


class TestNames:
    ROWS = (
        *PAPER_RUNS,
        run(11, "debug", 3.0, paper="small", project=None),
        run(12, "training_run", 2.0, paper="tiny", project="lone"),
    )

    def names(self, levels: pl.LazyFrame, **options: Any) -> dict[tuple[str, str], int]:
        rows = ratio_table(list(self.ROWS), LABELS, levels=levels, **options)
        return {
            (scope, name): n for scope, name, n in rows.select("scope", "name", "n_runs").rows()
        }

    def test_members_merges_names_that_levels_merge(self) -> None:
        merged = levels_frame(("p", SMALL_GROUPS), ("q", OTHERS))
        assert self.names(merged) == {
            ("paper", SMALL_GROUPS): 2,
            ("paper", "p"): 9,
            ("project", OTHERS): 2,
            ("project", "q"): 9,
        }

    def test_members_omits_names_that_levels_omit(self) -> None:
        assert set(self.names(levels_frame())) == {("paper", "p"), ("project", "q")}

    def test_members_of_papers_not_wanted_are_not_in_small_groups(self) -> None:
        shown = levels_frame(("p", SMALL_GROUPS), ("q", OTHERS))
        wanted = self.names(shown, papers_wanted=["p", "tiny"])
        assert wanted[("paper", SMALL_GROUPS)] == 1
        assert wanted[("project", OTHERS)] == 2

    def test_members_without_project_appear_if_levels_have_the_group(self) -> None:
        assert self.names(levels_frame(project=("q", NO_PROJECT)))[("project", NO_PROJECT)] == 1
        assert self.names(levels_frame((), ())) == {}


KINDS_OR_NONE = st.sampled_from([None, *KINDS])
ENERGIES = st.sampled_from([None, 0.0, 0.1, 0.3, 7.0])


@settings(deadline=None)
@given(
    st.lists(st.tuples(KINDS_OR_NONE, ENERGIES), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), max_size=3),
)
def test_ratios_of_any_runs_conserve_energy_in_any_order(
    drawn: list[tuple[str | None, float | None]],
    reported: set[int],
) -> None:
    rows = [run(i, kind, kwh) for i, (kind, kwh) in enumerate(drawn)]
    labels = [{"run_id": i} | REPORTED for i in reported if i < len(rows)]
    table = ratio_table(rows, labels)
    backwards = ratio_table(rows[::-1], labels)
    assert_frame_equal(table, backwards, check_exact=True)
    assert len(table) == (2 if any(kind for kind, _ in drawn) else 0)
    for row in conform(PhaseRatio, table).iter_rows(named=True):
        parts = [row[f"{phase}_kwh"] or 0.0 for phase in PHASES]
        assert sum(parts) == pytest.approx(row["measured_kwh"] or 0.0, rel=1e-12)
        assert (row["ratio"] is None) == (row["ratio_reason"] is not None)
        if row["ratio"] is None:
            assert row["ratio_all_unknown"] is None
            continue
        for phase in ratio.RATIO_PHASES:
            assert (row[f"{phase}_known_frac"] or 1.0) >= MIN_COVERAGE_FRAC
        assert row["ratio_all_unknown"] is None or row["ratio_all_unknown"] >= row["ratio"]
