"""Tests of ratios under other choices: trainings, holds, unknown kinds, thresholds and gates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import KINDS
from footprint.phases import ratio, roles, sensitivities
from footprint.phases.sensitivities import Alternatives
from footprint.schemas.phases import PhaseSensitivities
from footprint.schemas.writing import conform
from tests.phases.test_ratio import (
    ENERGIES,
    KINDS_OR_NONE,
    LABELS,
    PAPER_RUNS,
    REPORTED,
    RUN_SCHEMA,
    Row,
    levels_frame,
    run,
    time_frame,
)
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 10, tzinfo=UTC)
TIMES = {
    "duration_s": pl.Float64(),
    "started_at": pl.Datetime("us", "UTC"),
    "stopped_at": pl.Datetime("us", "UTC"),
    "job_ids": pl.List(pl.Int64()),
}
Ratios = dict[str, float | None]


def variants_frame(*rows: tuple[int, int, str]) -> pl.LazyFrame:
    return pl.LazyFrame(
        rows, {"run_id": pl.Int64(), "variant": pl.Int64(), "kind": pl.String()}, orient="row"
    )


def sensitivity_table(
    rows: list[Row],
    labels: list[Row] | None = None,
    *,
    time: pl.LazyFrame | None = None,
    **alternatives: Any,
) -> pl.DataFrame:
    labelled = labels_frame(*(labels or []))
    usual = {"duration_s": 3600.0}
    complete = [
        usual
        | {"started_at": T0 + timedelta(hours=row["run_id"]), "job_ids": [row["run_id"]]}
        | {"stopped_at": T0 + timedelta(hours=row["run_id"] + 1)}
        | row
        for row in rows
    ]
    runs = pl.LazyFrame(complete, RUN_SCHEMA | TIMES)
    runs = runs.join(roles.assign_roles(runs, labelled), on="run_id")
    groups = {"levels": levels_frame(), "time": time_frame(rows) if time is None else time}
    return sensitivities.sensitivities(
        ratio.rows_of_groups(runs, **groups),
        ratio.compare_development_with_training(runs, **groups),
        runs=runs,
        labelled=labelled,
        time=groups["time"],
        alternatives=Alternatives(**alternatives),
    ).collect()


def ratios_of(choice: str, *args: Any, **options: Any) -> Ratios:
    """Ratios of the paper `p` by value, the headline first."""
    rows = sensitivity_table(*args, **options)
    own = rows.filter(pl.col("choice") == choice, scope="paper", name="p")
    assert own["is_headline"].to_list() == [True] + [False] * (len(own) - 1)
    return dict(own.select("value", "ratio").iter_rows())


def test_sensitivities_conform_to_schema_and_headlines_equal_ratio() -> None:
    rows = conform(PhaseSensitivities, sensitivity_table(PAPER_RUNS, LABELS))
    assert set(rows.filter("is_headline")["ratio"]) == {5.0}
    assert rows["choice"].cast(pl.String).unique().sort().to_list() == [
        "idle_holds",
        "reported_training",
        "unknown_kinds",
    ]


def test_sensitivities_of_paper_without_ratio_are_empty() -> None:
    found = sensitivity_table(PAPER_RUNS[3:], [{"run_id": 4, "role": "other"}])
    assert found.is_empty()
    assert PhaseSensitivities.is_valid(conform(PhaseSensitivities, found))


def test_idle_holds_left_out_lower_the_ratio() -> None:
    # 50 kWh of development, of which 6 are a hold; 10 of training
    assert ratios_of("idle_holds", PAPER_RUNS, LABELS) == {"in": 5.0, "out": 4.4}


def test_unknown_kinds_in_development_raise_the_ratio() -> None:
    expected = {"left_out": 5.0, "development": 7.0}
    assert ratios_of("unknown_kinds", PAPER_RUNS, LABELS) == expected


def test_other_reported_training_moves_the_labelled_ones_to_development() -> None:
    rows = [
        run(1, "training_run", 8.0, duration_s=100.0),
        run(2, "training_run", 2.0, duration_s=900.0),
        run(3, "training_run", 5.0, duration_s=200.0),
        run(4, "debug", 10.0),
        run(5, "inference_run", 1.0),
    ]
    labels = [{"run_id": 3} | REPORTED, {"run_id": 5} | REPORTED]
    assert ratios_of("reported_training", rows, labels) == {
        "label": 20.0 / 5.0,
        "largest": 17.0 / 8.0,
        "last": 20.0 / 5.0,
        "longest": 23.0 / 2.0,
        "smallest": 23.0 / 2.0,
    }
    assert ratios_of("reported_training", rows)["assumed"] == pytest.approx(18.0 / 8.0)


def test_small_trainings_are_none_that_a_paper_reports() -> None:
    rows = [
        run(1, "training_run", 40.0),
        run(2, "training_run", 4.0),
        # less than a tenth of the largest, and the last of all
        run(3, "training_run", 3.0),
    ]
    found = ratios_of("reported_training", rows, [{"run_id": 1} | REPORTED])
    assert found["largest"] == pytest.approx(7.0 / 40.0)
    assert found["smallest"] == found["last"] == pytest.approx(43.0 / 4.0)


def test_reported_training_may_be_all_those_of_the_command_of_the_largest() -> None:
    rows = [run(i, "training_run", kwh) for i, kwh in enumerate([40.0, 20.0, 10.0, 5.0, 8.0], 1)]
    commands = [("a", "x"), ("a", "x"), ("b", "x"), ("a", "y"), (None, "x")]
    jobs = pl.LazyFrame(
        [
            {"job_id": i, "user": user, "command": command, "directory": None}
            for i, (user, command) in enumerate(commands, 1)
        ],
        {"job_id": pl.Int64, "user": pl.String, "command": pl.String, "directory": pl.String},
    )
    labels = [{"run_id": 1} | REPORTED]
    found = ratios_of("reported_training", rows, labels, jobs=jobs)
    assert found["same_command"] == pytest.approx(23.0 / 60.0)
    assert "same_command" not in ratios_of("reported_training", rows, labels)


def test_gate_policy_uses_energies_of_each_gate() -> None:
    rows = [run(1, "training_run", 10.0), run(2, "debug", 30.0)]
    by_gate = pl.LazyFrame(
        [(1, "two_part", 10.0), (2, "two_part", 30.0), (1, "binary", 20.0), (2, "binary", 30.0)],
        ["job_id", "gate", "total_kwh"],
        orient="row",
    )
    found = ratios_of("gate_policy", rows, LABELS[:1], by_gate=by_gate, gate="two_part")
    assert found == {"two_part": 3.0, "binary": 1.5}


class TestThresholds:
    def bounds(self, *varied: tuple[int, int, str], **options: Any) -> tuple[float | None, ...]:
        """Lowest ratio, ratio and highest ratio of the paper."""
        arguments = {"rows": PAPER_RUNS, "labels": LABELS} | options
        rows, labels = arguments.pop("rows"), arguments.pop("labels")
        found = ratios_of("thresholds", rows, labels, variants=variants_frame(*varied), **arguments)
        return found["lowest"], found["configured"], found["highest"]

    def test_bounds_cover_every_variant(self) -> None:
        found = self.bounds(
            (4, 0, "unknown"),  # 20 / 10
            (9, 1, "training_run"),  # 70 / 10
            (9, 2, "training_run"),
            (4, 2, "unknown"),  # 40 / 10
            (4, 3, "training_run"),  # as it is
        )
        assert found == (2.0, 5.0, 7.0)

    @pytest.mark.parametrize("kind", ["debug", "inference_run", "training_run"])
    def test_bounds_with_kinds_varied_inside_a_phase_are_equal(self, kind: str) -> None:
        assert self.bounds((4, 0, kind), (6, 0, "interactive")) == (5.0, 5.0, 5.0)

    def test_bounds_with_varied_kind_of_reported_run_move_it_between_phases(self) -> None:
        # run 2 becomes inference: 50 / 8; run 3 becomes training: 50 / 11
        low, _, high = self.bounds((2, 0, "inference_run"), (3, 1, "training_run"))
        assert low == pytest.approx(50.0 / 11.0, rel=1e-12)
        assert high == 6.25

    def test_bounds_exclude_variants_of_labelled_kinds_and_phases(self) -> None:
        labels = [
            *LABELS,
            {"run_id": 4, "kind": "training_run"},
            {"run_id": 5, "phase": "development"},
        ]
        found = self.bounds((4, 0, "unknown"), (5, 0, "unknown"), labels=labels)
        assert found == (5.0, 5.0, 5.0)

    def test_highest_with_variant_without_training_is_null(self) -> None:
        varied = ((1, 0, "unknown"), (2, 0, "unknown"), (9, 1, "debug"), (4, 2, "unknown"))
        assert self.bounds(*varied) == (2.0, 5.0, None)

    def test_bounds_assume_training_anew_in_each_variant(self) -> None:
        # Without run 4, run 1 is the largest with 8 kWh: (2 + 1 + 5 + 6 + 4 + 5) / 8.
        # With run 9 (20 kWh) a training as well, it stays run 4: (31 + 20) / 30.
        low, _, high = self.bounds((4, 0, "unknown"), (9, 1, "training_run"), labels=[])
        assert low == pytest.approx(31.0 / 30.0, rel=1e-12)
        assert high == pytest.approx(23.0 / 8.0, rel=1e-12)
        # Both at once: run 9 is the largest, and 23 + 8 kWh are development.
        both = self.bounds((4, 0, "unknown"), (9, 0, "training_run"), labels=[])
        assert both[2] == pytest.approx(31.0 / 20.0, rel=1e-12)

    def test_bounds_with_variant_of_unknown_energy_are_null(self) -> None:
        # run 9 is unknown, also in energy; a variant makes it development: 5.1 of 6 hours
        time = time_frame(PAPER_RUNS, run_9=360.0)
        found = self.bounds((9, 1, "debug"), (4, 2, "unknown"), time=time)
        assert found == (None, 5.0, None)
        assert self.bounds((4, 2, "unknown"), time=time) == (2.0, 5.0, 5.0)
        rows = [run(1, "training_run", 8.0), run(2, "unknown", None)]
        assert self.bounds((2, 1, "debug"), rows=rows, labels=LABELS[:1]) == (None, 0.0, None)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(KINDS_OR_NONE, ENERGIES), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), max_size=3),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 4), st.sampled_from(KINDS)), max_size=12),
)
def test_sensitivities_of_any_runs_bound_the_ratio_in_any_order(
    drawn: list[tuple[str | None, float | None]],
    reported: set[int],
    varied: list[tuple[int, int, str]],
) -> None:
    rows = [run(i, kind, kwh) for i, (kind, kwh) in enumerate(drawn)]
    labels = [{"run_id": i} | REPORTED for i in reported if i < len(rows)]
    variants = variants_frame(*{(i, v): (i, v, kind) for i, v, kind in varied}.values())
    table = sensitivity_table(rows, labels, variants=variants)
    backwards = sensitivity_table(rows[::-1], labels, variants=variants)
    assert_frame_equal(table, backwards, check_exact=True)
    conform(PhaseSensitivities, table)
    for _, own in table.group_by("scope", "name"):
        by_value = {(row["choice"], row["value"]): row["ratio"] for row in own.to_dicts()}
        headline = by_value["thresholds", "configured"]
        assert headline is not None
        low, high = by_value["thresholds", "lowest"], by_value["thresholds", "highest"]
        assert low is None or low <= headline
        assert high is None or high >= headline
        all_unknown = by_value["unknown_kinds", "development"]
        assert all_unknown is None or all_unknown >= headline
        without_holds = by_value["idle_holds", "out"]
        assert without_holds is None or without_holds <= headline
