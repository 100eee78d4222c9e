"""Tests of development by stage: rows add up to the development of a paper, with intervals."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from footprint.core.vocabulary import STAGES
from footprint.phases import energies, stages
from footprint.schemas.phases import PhaseStages
from footprint.schemas.writing import conform
from tests.phases.test_ratio import levels_frame
from tests.phases.test_ratio_intervals import job_node

pytestmark = pytest.mark.filterwarnings("error")


def run(run_id: int, kwh: float | None, phase: str = "development") -> dict[str, Any]:
    energy = {"measured_kwh": kwh, "estimated_kwh": 0.0, "total_kwh": kwh}
    row = {"run_id": run_id, "job_ids": [run_id], "project": "q", "kind": "debug", "phase": phase}
    return row | energy


def by_stage(runs: list[dict[str, Any]], labels: dict[int, str | None]) -> pl.DataFrame:
    """Table of runs of the paper `p` with labelled stages; other runs have no paper."""
    labelled = pl.LazyFrame(
        [{"job_id": job, "paper": "p", "stage": stage} for job, stage in labels.items()],
        {"job_id": pl.Int64, "paper": pl.String, "stage": pl.Enum(STAGES)},
    )
    floats = dict.fromkeys(("measured_kwh", "total_kwh"), pl.Float64)
    nodes = [job_node(row["run_id"], "a", row["measured_kwh"]) for row in runs]
    errors = energies.errors_of_study(
        pl.LazyFrame(nodes, infer_schema_length=None),
        job_energy=pl.LazyFrame(schema={"job_id": pl.Int64, "similar": pl.Int64}),
        virtual_meter=None,
        meters=None,
    )
    found = stages.development_by_stage(
        pl.LazyFrame(runs, schema_overrides=floats),
        labelled=labelled,
        levels=levels_frame(),
        errors=errors,
    )
    table: pl.DataFrame = conform(PhaseStages, found)
    return table


def test_development_by_stage_adds_up_to_the_development() -> None:
    runs = [run(1, 1.0), run(2, 2.0), run(3, 4.0), run(4, 8.0), run(5, 16.0, "training")]
    runs += [run(6, 32.0), run(7, 64.0, "unknown")]
    labels = {1: "hyperparam", 2: "data", 3: "data", 4: None, 5: "final"}
    found = by_stage(runs, labels)
    rows = found.select("scope", "name", "stage", "n_runs", "total_kwh").rows()
    assert rows == [
        # the training of the stage `final` is no development
        ("paper", "p", "data", 2, 6.0),
        ("paper", "p", "hyperparam", 1, 1.0),
        ("paper", "p", None, 1, 8.0),
        ("project", "q", "data", 2, 6.0),
        ("project", "q", "hyperparam", 1, 1.0),
        ("project", "q", None, 2, 40.0),
    ]
    assert found["measured_frac"].to_list() == [1.0] * 6


def test_development_by_stage_has_intervals_of_groups() -> None:
    # One run on one cluster: the true energy is the reading x a gain of 1.05 +- 0.1 (both parts
    # rectangular), so that the ends are about 0.94 and 1.16 (test_ratio_intervals).
    row = by_stage([run(1, 10.0)], {1: "ablate"}).row(0, named=True)
    assert row["total_low_kwh"] == pytest.approx(9.40, abs=0.06)
    assert row["total_high_kwh"] == pytest.approx(11.60, abs=0.06)


def test_development_of_unknown_energy_has_a_row_without_energy() -> None:
    row = by_stage([run(1, None)], {1: "explore"}).row(0, named=True)
    assert (row["stage"], row["n_runs"]) == ("explore", 1)
    assert [row[name] for name in ("total_kwh", "total_low_kwh", "measured_frac")] == [None] * 3


def test_study_without_development_has_no_rows() -> None:
    assert by_stage([run(1, 1.0, "training")], {}).is_empty()
