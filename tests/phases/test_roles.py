"""Tests of roles: roles come from labels; without any, one training is assumed and marked."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.vocabulary import KINDS, PHASES, ROLES
from footprint.phases import roles

pytestmark = pytest.mark.filterwarnings("error")

RUN_SCHEMA = {
    "run_id": pl.Int64(),
    "project": pl.String(),
    "paper": pl.String(),
    "kind": pl.Enum(KINDS),
    "total_kwh": pl.Float64(),
    "gpu_hours": pl.Float64(),
}
LABEL_SCHEMA = {
    "run_id": pl.Int64(),
    "paper": pl.String(),
    "kind": pl.Enum(KINDS),
    "role": pl.Enum(ROLES),
    "phase": pl.Enum(PHASES[:3]),
}


def run(run_id: int, kind: str | None, kwh: float | None = 1.0, **more: Any) -> dict[str, Any]:
    """A run of the paper `p` in the project `q`, with the given changes."""
    usual = {"project": "q", "paper": "p", "gpu_hours": 1.0}
    return {"run_id": run_id, "kind": kind, "total_kwh": kwh} | usual | more


def runs_frame(*rows: dict[str, Any]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, RUN_SCHEMA)


def labels_frame(*rows: dict[str, Any]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [{name: row.get(name) for name in LABEL_SCHEMA} for row in rows], LABEL_SCHEMA
    )


def assigned(
    *rows: dict[str, Any], labels: list[dict[str, Any]] | None = None
) -> dict[int, tuple[Any, Any, Any]]:
    """Role, basis and phase by run."""
    found = roles.assign_roles(runs_frame(*rows), labels_frame(*(labels or []))).collect()
    return {run_id: tuple(rest) for run_id, *rest in found.iter_rows()}


class TestLabels:
    def test_labelled_role_reported_gives_training_and_inference(self) -> None:
        found = assigned(
            run(1, "training_run"),
            run(2, "inference_run"),
            run(3, "training_run"),
            run(4, "inference_run"),
            labels=[
                {"run_id": 1, "role": "reported"},
                {"run_id": 2, "role": "reported"},
                {"run_id": 3, "role": "other"},
            ],
        )
        assert found == {
            1: ("reported", "label", "training"),
            2: ("reported", "label", "inference"),
            3: ("other", "label", "development"),
            4: (None, None, "development"),
        }

    @pytest.mark.parametrize("kind", ["interactive", "debug", "idle_hold", "preprocessing"])
    def test_other_kinds_with_role_reported_are_development(self, kind: str) -> None:
        found = assigned(run(1, kind), labels=[{"run_id": 1, "role": "reported"}])
        assert found == {1: ("reported", "label", "development")}

    @pytest.mark.parametrize("role", ["reported", "other"])
    def test_unknown_kind_with_any_role_is_unknown(self, role: str) -> None:
        found = assigned(run(1, "unknown"), run(2, "unknown"), labels=[{"run_id": 1, "role": role}])
        assert found == {1: (role, "label", "unknown"), 2: (None, None, "unknown")}

    @pytest.mark.parametrize("phase", PHASES[:3])
    @pytest.mark.parametrize("kind", KINDS)
    def test_labelled_phase_overrides_kind(self, kind: str, phase: str) -> None:
        found = assigned(run(1, kind), labels=[{"run_id": 1, "phase": phase}])
        assert found[1][2] == phase

    def test_labelled_phase_training_or_inference_implies_role_reported(self) -> None:
        phases = {1: "training", 2: "inference", 3: "development"}
        found = assigned(
            *(run(run_id, "interactive") for run_id in phases),
            labels=[{"run_id": run_id, "phase": phase} for run_id, phase in phases.items()],
        )
        assert [found[run_id][:2] for run_id in phases] == [
            ("reported", "label"),
            ("reported", "label"),
            (None, None),
        ]

    def test_labelled_kind_overrides_kind_of_rules(self) -> None:
        label = {"run_id": 1, "kind": "training_run", "role": "reported"}
        assert assigned(run(1, "unknown"), labels=[label])[1][2] == "training"

    def test_run_that_never_started_has_no_role_and_no_phase(self) -> None:
        label = {"run_id": 1, "kind": "training_run", "role": "reported", "phase": "training"}
        found = assigned(run(1, None), labels=[label])
        assert found == {1: (None, None, None)}


class TestAssumptions:
    def test_training_with_most_energy_is_assumed_without_labelled_role(self) -> None:
        found = assigned(
            run(1, "training_run", 3.0),
            run(2, "training_run", 7.0),
            run(3, "interactive", 90.0),
            run(4, "inference_run", 1.0),
        )
        assert found == {
            1: (None, None, "development"),
            2: ("reported", "assumed", "training"),
            3: (None, None, "development"),
            # its model is unknown
            4: (None, None, "development"),
        }

    def test_labels_of_paper_and_kind_keep_the_assumption(self) -> None:
        labels = [{"run_id": 1, "paper": "p", "kind": "training_run"}]
        assert assigned(run(1, "unknown"), labels=labels)[1] == ("reported", "assumed", "training")

    def test_any_labelled_role_in_paper_ends_its_assumption(self) -> None:
        rows = [run(1, "training_run", 3.0), run(2, "training_run", 7.0), run(3, None, None)]
        for label in (
            {"run_id": 1, "role": "other"},
            {"run_id": 1, "phase": "inference"},
            {"run_id": 3, "role": "reported"},
        ):
            assert assigned(*rows, labels=[label])[2] == (None, None, "development")
        development = [{"run_id": 1, "phase": "development"}]
        assert assigned(*rows, labels=development)[2][1] == "assumed"

    def test_run_with_labelled_phase_is_never_assumed(self) -> None:
        rows = [run(1, "training_run", 3.0), run(2, "training_run", 7.0)]
        found = assigned(*rows, labels=[{"run_id": 2, "phase": "development"}])
        assert found == {
            1: ("reported", "assumed", "training"),
            2: (None, None, "development"),
        }

    def test_assumed_training_is_of_known_energy_then_by_gpu_hours_then_first_run(self) -> None:
        alike = {"gpu_hours": 50.0}
        unknown = [
            run(1, "training_run", None, gpu_hours=40.0),
            run(3, "training_run", None, **alike),
            run(2, "training_run", None, **alike),
        ]
        assert [r for r, (_, basis, _) in assigned(*unknown).items() if basis] == [2]
        known = run(4, "training_run", 0.1, gpu_hours=0.1)
        assert [r for r, (_, basis, _) in assigned(*unknown, known).items() if basis] == [4]

    def test_each_paper_has_its_own_assumed_training(self) -> None:
        found = assigned(
            run(1, "training_run", 3.0),
            run(2, "training_run", 7.0, paper="other"),
            run(3, "training_run", 9.0, paper="labelled"),
            run(4, "training_run", 1.0, paper="labelled"),
            labels=[{"run_id": 4, "role": "reported"}],
        )
        assert {run_id for run_id, (_, basis, _) in found.items() if basis == "assumed"} == {1, 2}

    def test_project_has_assumed_training_only_without_labelled_role_or_paper(self) -> None:
        without_paper = [
            run(1, "training_run", 3.0, paper=None),
            run(2, "training_run", 2.0, paper=None),
        ]
        assert assigned(*without_paper)[1] == ("reported", "assumed", "training")
        with_paper = assigned(*without_paper, run(3, "training_run", 1.0))
        assert {run_id for run_id, (_, basis, _) in with_paper.items() if basis} == {3}
        with_role = assigned(*without_paper, labels=[{"run_id": 2, "role": "other"}])
        assert {
            run_id for run_id, (_, basis, _) in with_role.items() if basis == "assumed"
        } == set()
        without_project = assigned(run(1, "training_run", paper=None, project=None))
        assert without_project == {1: (None, None, "development")}

    def test_nothing_is_assumed_without_trainings(self) -> None:
        assert assigned(run(1, "inference_run"), run(2, "unknown"))[1] == (
            None,
            None,
            "development",
        )


def test_labels_of_runs_are_those_of_the_first_job() -> None:
    # labels.table gives each job of the chain 1, 2 the same labels
    of_jobs = labels_frame(
        {"run_id": 1, "paper": "p", "role": "reported"},
        {"run_id": 2, "paper": "p", "role": "reported"},
    ).rename({"run_id": "job_id"})
    runs = runs_frame(run(1, "training_run"), run(3, "training_run", 9.0))
    found = roles.assign_roles(runs, roles.labels_of_runs(of_jobs)).collect()
    assert found.select("run_id", "role").rows() == [(1, "reported"), (3, None)]
    none = roles.assign_roles(runs, roles.labels_of_runs(of_jobs.head(0))).collect()
    assert none.select("run_id", "role_basis").rows() == [(1, None), (3, "assumed")]


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    size = draw(st.integers(1, 12))
    names = st.sampled_from([None, "a", "b"])
    rows = [
        run(
            run_id,
            draw(st.sampled_from([None, *KINDS])),
            draw(st.sampled_from([None, 1.0, 2.0, 3.0])),
            paper=draw(names),
            project=draw(names),
        )
        for run_id in range(size)
    ]
    labelled_runs = draw(st.lists(st.integers(0, size - 1), unique=True, max_size=3))
    labels = [
        {
            "run_id": run_id,
            "role": draw(st.sampled_from([None, *ROLES])),
            "phase": draw(st.sampled_from([None, *PHASES[:3]])),
        }
        for run_id in labelled_runs
    ]
    return rows, labels


@given(studies())
def test_assign_roles_is_independent_of_row_order(
    study: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    rows, labels = study
    found = assigned(*rows, labels=labels)
    assert found == assigned(*reversed(rows), labels=labels[::-1])
    for each in rows:
        role, basis, phase = found[each["run_id"]]
        assert (phase is None) == (each["kind"] is None)
        assert (role is None) == (basis is None)
        if basis == "assumed":
            assert (each["kind"], phase) == ("training_run", "training")
    assert sum(basis == "assumed" for _, basis, _ in found.values()) <= 4
