"""Tests of the energies of phases and kinds, with intervals computed by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.phases import energies, part_energies, ratio, ratio_intervals, roles
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.schemas.phases import PhaseEnergies
from tests.phases.test_kind_draws import jobs_frame, probable
from tests.phases.test_ratio import RUN_SCHEMA, Row, levels_frame, time_frame
from tests.phases.test_ratio_intervals import job_node
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

EXACT = {"low": 1.0, "high": 1.0, "correlation": 0.0}
RUNS = [
    probable(1, "training_run", 10.0, training_run=1.0),
    probable(2, "training_run", 30.0, training_run=0.8, inference_run=0.2),
    probable(3, "unknown", 20.0, debug=0.5, inference_run=0.5),
    probable(4, "inference_run", 4.0, inference_run=0.5, training_run=0.5),
]
LABELS = [
    {"run_id": 1, "kind": "training_run", "role": "reported"},
    {"run_id": 4, "role": "reported"},
]
NODES = [job_node(row["run_id"], "a", row["total_kwh"]) for row in RUNS]


def parts(
    rows: list[Row] | None = None, labels: list[Row] | None = None, **settings: Any
) -> pl.DataFrame:
    """Energies of the parts, by the runs of one paper."""
    rows = RUNS if rows is None else rows
    labelled = labels_frame(*(LABELS if labels is None else labels))
    extra = dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64())
    runs = pl.LazyFrame(rows, RUN_SCHEMA | extra).with_columns(job_ids=pl.concat_list("run_id"))
    runs = runs.join(roles.assign_roles(runs, labelled), on="run_id")
    of_groups = ratio.rows_of_groups(runs, levels=levels_frame(), time=time_frame(rows))
    errors = energies.errors_of_study(
        pl.LazyFrame(settings.get("nodes", NODES), infer_schema_length=None),
        job_energy=pl.LazyFrame(schema={"job_id": pl.Int64, "similar": pl.Int64}),
        virtual_meter=None,
        meters=settings.get("meters", EXACT),
    )
    found = part_energies.energies_of_parts(
        of_groups,
        runs,
        labelled=labelled,
        jobs=jobs_frame(rows, settings.get("commands")),
        errors=errors,
        site="nancy",
    )
    moves = ratio_intervals.moves_of_kinds(
        of_groups, runs, labelled, jobs_frame(rows, settings.get("commands"))
    )
    ends = ratio_intervals.intervals_of_ratios(of_groups, runs, errors, moves).collect()
    own = ends.filter(scope="paper").row(0, named=True)
    for row in found.filter(scope="paper", division="phase").iter_rows(named=True):
        # one energy has one interval, in this table and beside R
        low, high = (own[f"{row['part']}_{end}_kwh"] for end in ("low", "high"))
        if row["total_kwh"] is None:
            continue
        assert row["total_low_kwh"] == min(low, row["total_kwh"])
        assert row["total_high_kwh"] == max(high, row["total_kwh"])
    PhaseEnergies.validate(found, cast=True)
    return found


def ends_of(
    found: pl.DataFrame, division: str, scope: str = "site"
) -> dict[str, tuple[float, ...]]:
    own = found.filter(division=division, scope=scope)
    columns = ("total_kwh", "total_low_kwh", "total_high_kwh")
    return {row["part"]: tuple(row[c] for c in columns) for row in own.iter_rows(named=True)}


def test_interval_of_each_kind_by_hand() -> None:
    found = ends_of(parts(), "kind")
    # gains of 1, so that meters move an energy by 2 % at most (the gain by run) and kinds in steps.
    # Training: 10 and, in 0.8 of the draws, 30, and in half of them 4: from 10 to 44 kWh.
    assert found["training_run"] == pytest.approx((40.0, 10.0, 44.0), rel=0.04)
    # Inference: 4 in half of the draws, 20 in half and 30 in a fifth: no energy in 0.2 of them, and
    # all of it in 0.05
    assert found["inference_run"] == pytest.approx((4.0, 0.0, 54.0), rel=0.04)
    assert found["debug"] == pytest.approx((0.0, 0.0, 20.0), rel=0.04)
    # the 20 kWh of the run of unknown kind, whatever it is
    assert found["unknown"] == pytest.approx((20.0, 20.0, 20.0), rel=0.03)
    assert "interactive" not in found


def test_interval_of_each_phase_by_hand() -> None:
    found = ends_of(parts(), "phase", "paper")
    # run 4 is reported: inference, or in half of the draws a second training
    assert found["training"] == pytest.approx((10.0, 10.0, 14.0), rel=0.03)
    assert found["inference"] == pytest.approx((4.0, 0.0, 4.0), rel=0.03)
    # run 2 is development of whatever kind it is, and so is run 3 in every draw
    assert found["development"] == pytest.approx((30.0, 30.0, 50.0), rel=0.03)
    assert found["unknown"] == pytest.approx((20.0, 20.0, 20.0), rel=0.03)


def test_alike_runs_of_a_command_widen_the_interval_of_their_kind() -> None:
    chances = {"training_run": 0.95, "inference_run": 0.05}
    runs = [probable(i, "training_run", 10.0, **chances) for i in range(1, 9)]
    nodes = [job_node(i, "a", 10.0) for i in range(1, 9)]
    apart = ends_of(parts(runs, [], nodes=nodes), "kind")["inference_run"]
    alike = ends_of(parts(runs, [], nodes=nodes, commands=dict.fromkeys(range(1, 9), "c")), "kind")[
        "inference_run"
    ]
    # Alike, all or none. Apart in three quarters of the draws, binomial (8, 0.05), and all or none
    # in the others: 5.5 % have more than one run, 1.7 % more than two.
    assert apart == pytest.approx((0.0, 0.0, 20.0), rel=0.04)
    assert alike == pytest.approx((0.0, 0.0, 80.0), rel=0.04)


def test_energies_of_a_division_add_up_and_runs_are_counted_once() -> None:
    found = parts()
    for (scope, division), own in found.group_by("scope", "division"):
        assert own["total_kwh"].sum() == pytest.approx(64.0), (scope, division)
        assert own["n_runs"].sum() == 4
    assert found["scope"].unique().sort().to_list() == ["paper", "project", "site"]
    assert found.filter(scope="site")["name"].unique().to_list() == ["nancy"]
    assert_frame_equal(found, parts())


def test_inference_that_no_label_names_is_unknown() -> None:
    found = parts(RUNS[:2], LABELS[:1], nodes=NODES[:2])
    assert "inference" not in ends_of(found, "phase", "paper")
    assert ends_of(found, "kind", "paper")["inference_run"][0] == 0.0


def test_runs_of_unknown_energy_have_no_interval() -> None:
    runs = [RUNS[0], probable(2, "debug", None, debug=1.0)]
    found = ends_of(parts(runs, LABELS[:1], nodes=NODES[:1]), "kind")
    assert found["debug"] == (None, None, None)
