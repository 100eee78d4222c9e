"""Tests of kinds drawn from probabilities, and of the energy that they move in R."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.core.vocabulary import KINDS
from footprint.phases import kind_draws, ratio, ratio_intervals, roles
from footprint.phases.kind_probabilities import kind_probabilities
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.schemas.raw import Jobs
from footprint.totals.error_draws import N_DRAWS
from tests.phases.test_ratio import RUN_SCHEMA, Row, levels_frame, run, time_frame
from tests.phases.test_ratio_intervals import job_node, ratio_row
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

REPORTED = {"role": "reported"}


def probable(run_id: int, kind: str | None, kwh: float | None, **more: Any) -> Row:
    """A run with the probabilities of kinds in `more` (`training_run=0.6`); others are 0."""
    chances = {f"p_{name}": more.pop(name, 0.0) for name in WEIGHED_KINDS}
    return run(run_id, kind, kwh, **more) | chances


def moves_of(
    rows: list[Row], labels: list[Row], commands: dict[int, str] | None = None
) -> kind_draws.Moves:
    """Moved energies; each run has a command of its own, unless `commands` has one."""
    labelled = labels_frame(*labels)
    extra = dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64())
    runs = pl.LazyFrame(rows, RUN_SCHEMA | extra)
    runs = runs.join(roles.assign_roles(runs, labelled), on="run_id")
    of_groups = ratio.rows_of_groups(runs, levels=levels_frame(), time=time_frame(rows))
    found = ratio_intervals.moves_of_kinds(of_groups, runs, labelled, jobs_frame(rows, commands))
    assert isinstance(found, dict)
    return found


def jobs_frame(rows: list[Row], commands: dict[int, str] | None = None) -> pl.LazyFrame:
    schema = Jobs.create_empty().schema
    commands = commands or {}
    jobs = [
        (row["run_id"], "a", commands.get(row["run_id"], f"command-{chr(96 + row['run_id'])}"))
        for row in rows
    ]
    names = ("job_id", "user", "command")
    return pl.LazyFrame(jobs, {name: schema[name] for name in names}, orient="row")


class TestProbabilities:
    def test_probabilities_of_started_runs_are_scaled_to_one(self) -> None:
        rows = [probable(1, "debug", 1.0, debug=0.2, training_run=0.2), probable(2, None, None)]
        extra = dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64())
        (found,) = kind_probabilities(pl.LazyFrame(rows, RUN_SCHEMA | extra)).collect().to_dicts()
        assert (found["run_id"], found["p_debug"], found["p_training_run"]) == (1, 0.5, 0.5)


class TestMoves:
    def test_runs_without_reported_role_move_nothing(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=1.0),
            probable(2, "debug", 30.0, debug=0.5, training_run=0.5),
        ]
        assert moves_of(rows, [{"run_id": 1} | REPORTED]) == {}

    def test_unknown_run_is_development_in_every_draw(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=1.0),
            probable(2, "unknown", 5.0, debug=0.5, training_run=0.5),
        ]
        development, training, _ = moves_of(rows, [{"run_id": 1} | REPORTED])["paper", "p"]
        assert (development == 5.0).all()
        assert not training.any()

    def test_run_that_a_label_calls_unknown_stays_unknown(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=1.0),
            probable(2, "unknown", 5.0, debug=1.0),
        ]
        labels = [{"run_id": 1} | REPORTED, {"run_id": 2, "kind": "unknown"}]
        assert moves_of(rows, labels) == {}

    def test_reported_run_is_training_inference_or_development_by_its_kind(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=1.0),
            probable(2, "inference_run", 4.0, training_run=0.3, inference_run=0.5, debug=0.2),
        ]
        labels = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED]
        for scope, name in (("paper", "p"), ("project", "q")):
            development, training, inference = moves_of(rows, labels)[scope, name]
            assert np.mean(training) == pytest.approx(0.3 * 4.0)
            assert np.mean(development) == pytest.approx(0.2 * 4.0)
            assert np.mean(inference) == pytest.approx((0.5 - 1) * 4.0)
            assert not ((training > 0) & (development > 0)).any()

    def test_only_reported_run_is_the_training_whatever_is_drawn(self) -> None:
        rows = [probable(1, "training_run", 10.0, training_run=0.6, inference_run=0.4)]
        assert moves_of(rows, [{"run_id": 1} | REPORTED]) == {}

    def test_draws_without_training_are_drawn_again(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=0.6, inference_run=0.4),
            probable(2, "inference_run", 4.0, training_run=0.3, inference_run=0.7),
        ]
        labels = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED]
        # one command and size, so one draw u: training comes before inference, so that run 1 is one
        # for u < 0.6 and run 2 for u < 0.3, which is half of the draws with a training
        shared = moves_of(rows, labels, {1: "c", 2: "c"})["paper", "p"]
        assert set(np.unique(shared[1])) == {0.0, 4.0}
        assert np.mean(shared[1]) == pytest.approx(0.5 * 4.0, abs=0.02)
        # apart: 0.42 run 1 alone, 0.18 both, 0.12 run 2 alone, of 0.72
        apart = moves_of(rows, labels)["paper", "p"]
        assert np.mean(apart[1] == 4.0) == pytest.approx(0.18 / 0.72, abs=0.03)
        assert np.mean(apart[1] == -6.0) == pytest.approx(0.12 / 0.72, abs=0.03)
        assert set(np.unique(apart[1])) == {-6.0, 0.0, 4.0}

    def test_less_likely_run_of_a_command_may_be_the_only_training(self) -> None:
        rows = [
            probable(1, "training_run", 40.0, training_run=0.6, inference_run=0.4),
            probable(2, "inference_run", 4.0, training_run=0.3, inference_run=0.7),
        ]
        labels = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED]
        # half of the draws: u < 0.6, of which half have both; the other half as apart. Before draws
        # are drawn again, 0.5 x 0.3 + 0.5 x 0.18 have both, 0.5 x 0.12 run 2 alone, of 0.66.
        _, training, _ = moves_of(rows, labels, {1: "c", 2: "c"})["paper", "p"]
        assert np.mean(training == -36.0) == pytest.approx(0.06 / 0.66, abs=0.02)
        assert np.mean(training == 4.0) == pytest.approx(0.24 / 0.66, abs=0.03)

    def test_reported_trainings_of_one_size_and_command_train_together(self) -> None:
        rows = [
            probable(i, "training_run", 10.0 + i, training_run=0.4, inference_run=0.6)
            for i in range(1, 6)
        ]
        labels = [{"run_id": i} | REPORTED for i in range(1, 6)]
        # found as trainings, and never anything else: a draw without them is drawn again
        assert moves_of(rows, labels, dict.fromkeys(range(1, 6), "c")) == {}

    def test_runs_that_cannot_train_leave_no_training(self) -> None:
        rows = [
            probable(1, "inference_run", 10.0, inference_run=1.0),
            probable(2, "debug", 4.0, debug=1.0),
        ]
        labels = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED]
        assert moves_of(rows, labels) == {}

    def test_labelled_phase_of_training_leaves_nothing_to_force(self) -> None:
        rows = [
            probable(1, "debug", 10.0, debug=1.0),
            probable(2, "inference_run", 4.0, training_run=0.25, inference_run=0.75),
        ]
        labels = [{"run_id": 1, "phase": "training"}, {"run_id": 2} | REPORTED]
        development, training, _ = moves_of(rows, labels)["paper", "p"]
        assert np.mean(training) == pytest.approx(1.0)
        assert not development.any()

    def test_labelled_kind_is_certain(self) -> None:
        rows = [
            probable(1, "training_run", 10.0, training_run=0.5, debug=0.5),
            probable(2, "inference_run", 4.0, training_run=0.5, debug=0.5),
        ]
        labels = [
            {"run_id": 1, "kind": "training_run"} | REPORTED,
            {"run_id": 2, "kind": "inference_run"} | REPORTED,
        ]
        assert moves_of(rows, labels) == {}

    def test_assumed_training_is_the_largest_of_each_draw(self) -> None:
        rows = [
            probable(1, "inference_run", 20.0, training_run=0.25, inference_run=0.75),
            probable(2, "training_run", 10.0, training_run=0.5, debug=0.5),
            probable(3, "training_run", 5.0, training_run=1.0),
        ]
        # nominal: run 2 trains, 25 kWh of development
        development, training, _ = moves_of(rows, [])["paper", "p"]
        assert set(np.unique(training)) == {10.0, 0.0, -5.0}
        assert np.mean(training == 10.0) == 0.25
        assert np.mean(training == -5.0) == pytest.approx(0.75 * 0.5, abs=0.02)
        assert (development == -training).all()

    def test_assumed_training_of_unknown_kind_was_not_development(self) -> None:
        rows = [
            probable(1, "unknown", 20.0, training_run=0.25, inference_run=0.75),
            probable(2, "training_run", 10.0, training_run=1.0),
        ]
        development, training, _ = moves_of(rows, [])["paper", "p"]
        # run 1 in training: 20 - 10, with run 2 in development; else run 1 in development
        assert set(zip(development.tolist(), training.tolist(), strict=True)) == {
            (10.0, 10.0),
            (20.0, 0.0),
        }
        assert np.mean(training > 0) == 0.25

    @settings(max_examples=40)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*KINDS, None]),
                st.integers(0, 50),
                st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(any),
                st.sampled_from([None, "reported", "other"]),
                st.sampled_from([None, "training_run", "debug"]),
                st.sampled_from("xyz"),
            ),
            min_size=1,
            max_size=7,
        )
    )
    def test_energies_of_phases_stay_within_those_of_the_group(self, drawn: list[Any]) -> None:
        rows, labels, commands = [], [], {}
        for i, (kind, kwh, chances, role, label_kind, command) in enumerate(drawn, 1):
            by_kind = dict(zip(WEIGHED_KINDS, chances, strict=True))
            rows.append(probable(i, label_kind or kind if kind else None, float(kwh), **by_kind))
            labels.append({"run_id": i, "role": role, "kind": label_kind})
            commands[i] = command
        found = moves_of(rows, labels, commands)
        frame = pl.LazyFrame(rows, RUN_SCHEMA)
        phases = frame.join(roles.assign_roles(frame, labels_frame(*labels)), on="run_id")
        sums = {
            phase: phases.filter(pl.col("phase").cast(pl.String) == phase)
            .select(pl.col("total_kwh").sum())
            .collect()
            .item()
            for phase in ("development", "training", "inference", "unknown")
        }
        for development, training, inference in found.values():
            new_development = sums["development"] + development
            new_training = sums["training"] + training
            new_inference = sums["inference"] + inference
            assert development.shape == training.shape == (N_DRAWS,)
            assert (new_development >= -1e-9).all()
            assert (new_training >= -1e-9).all()
            assert (new_inference >= -1e-9).all()
            drawn_kwh = new_development + new_training + new_inference
            assert (drawn_kwh <= sum(sums.values()) + 1e-9).all()
        assert {k: [s.tobytes() for s in v] for k, v in found.items()} == {
            k: [s.tobytes() for s in v]
            for k, v in moves_of(rows[::-1], labels[::-1], commands).items()
        }


EXACT = {"low": 1.0, "high": 1.0, "correlation": 0.0}
NODES = [job_node(1, "a", 10.0), job_node(2, "a", 30.0)]


class TestIntervals:
    def test_unknown_run_raises_the_upper_end_to_that_of_all_unknown(self) -> None:
        rows = [
            run(1, "training_run", 10.0),
            run(2, "debug", 30.0),
            run(3, "unknown", 20.0),
        ]
        nodes = [*NODES, job_node(3, "a", 20.0)]
        moves = {("paper", "p"): (np.full(N_DRAWS, 20.0), np.zeros(N_DRAWS))}
        row = ratio_row(nodes, runs=rows, meters=EXACT, moves=moves)
        assert (row["ratio"], row["ratio_all_unknown"]) == (3.0, 5.0)
        assert row["ratio_low"] == 3.0
        # the gain by run moves both sides by 1 %
        assert row["ratio_high"] == pytest.approx(5.0, rel=0.04)
        assert row["development_low_kwh"] == 30.0
        assert row["development_high_kwh"] == pytest.approx(50.0, rel=0.03)

    def test_training_that_moves_in_a_tenth_of_the_draws_is_in_the_interval(self) -> None:
        moved = np.zeros(N_DRAWS)
        moved[: N_DRAWS // 10] = 5.0
        moves = {("paper", "p"): (moved, -moved)}
        row = ratio_row(NODES, meters=EXACT, moves=moves)
        assert row["ratio"] == 3.0
        # 35 / 5
        assert row["ratio_high"] == pytest.approx(7.0, rel=0.08)
        assert row["training_low_kwh"] == pytest.approx(5.0, rel=0.05)
        assert row["training_high_kwh"] == pytest.approx(10.0, rel=0.03)

    def test_moved_energy_has_the_error_of_the_meters(self) -> None:
        meters = {"low": 1.2, "high": 1.2, "correlation": 0.0}
        moves = {("paper", "p"): (np.full(N_DRAWS, 30.0), np.zeros(N_DRAWS))}
        row = ratio_row(NODES, meters=meters, moves=moves)
        assert row["development_high_kwh"] == pytest.approx(60.0 * 1.2, rel=0.03)
        assert row["ratio_high"] == pytest.approx(6.0, rel=0.05)

    def test_paper_without_development_may_have_some(self) -> None:
        moves = {("paper", "p"): (np.full(N_DRAWS, 20.0), np.zeros(N_DRAWS))}
        nodes = [job_node(1, "a", 10.0)]
        row = ratio_row(nodes, runs=[run(1, "training_run", 10.0)], moves=moves)
        assert row["ratio"] == 0.0
        assert row["ratio_high"] == pytest.approx(2.0, rel=0.05)
