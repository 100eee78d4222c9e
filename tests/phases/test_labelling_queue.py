"""Tests of the order of the runs that labels do not settle."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from footprint.phases import labelling_queue
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import Runs
from footprint.schemas.writing import conform

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def run_row(run_id: int, total_kwh: float | None, **changes: Any) -> dict[str, Any]:
    """Row of `schemas.Runs`: an assumed training of one job, unless changed."""
    usual: dict[str, Any] = {
        "run_id": run_id,
        "job_ids": [run_id],
        "merged_by": "single",
        "user": f"u-0000000{run_id}",
        "project": "speech",
        "paper": None,
        "started_at": T0,
        "stopped_at": None,
        "duration_s": 7200.0,
        "gpu_hours": 4.0,
        "measured_kwh": None,
        "estimated_kwh": None,
        "total_kwh": total_kwh,
        "total_low_kwh": None,
        "total_high_kwh": None,
        "measured_frac": None,
        "idle_kwh": None,
        "kind": "training_run",
        "role": "other",
        "role_basis": "assumed",
        "phase": "development",
        "rule": "plateau",
        "features": "{}",
        "confidence": 0.9,
        "rule_set": "1",
        **dict.fromkeys(PROBABILITY_COLUMNS),
    }
    return usual | changes


def study_tables(
    runs: list[dict[str, Any]], labels_by_job: dict[int, dict[str, str]] | None = None
) -> Any:
    """Tables of a study with labels, in which run 1 belongs to login `a`, run 2 to `b`, ..."""
    table = conform(
        Runs,
        pl.DataFrame(runs, schema_overrides=dict.fromkeys(("total_kwh",), pl.Float64)),
    )
    jobs = table.lazy().select("run_id", job_id="job_ids").explode("job_id")
    no_label = dict.fromkeys(("paper", "kind", "role", "phase", "stage"))
    labelled = pl.DataFrame(
        [{"job_id": job, **no_label, **label} for job, label in (labels_by_job or {}).items()],
        schema={"job_id": pl.Int64, **dict.fromkeys(no_label, pl.String)},
    )
    letters = pl.Series([chr(ord("a") + i) for i in range(26)])
    owners = jobs.select(
        "job_id",
        user=pl.lit(letters.implode()).list.get(pl.col("run_id") - 1),
        name=pl.lit(None, pl.String),
        command=pl.format("./train.sh {}", "job_id"),
    )
    return table.lazy(), conform(JobLabels, labelled).lazy(), owners


def ranked_runs(study: Any, **only: str) -> pl.DataFrame:
    return labelling_queue.rank_unlabelled_runs(*study, **only).collect()


def test_rank_unlabelled_runs_sorts_by_energy_with_cumulated_share() -> None:
    # 6 + 3 + 1 = 10 kWh: the first run has 0.6 of it, the first two 0.9. Runs of unknown energy
    # come last.
    runs = [
        run_row(1, 1.0),
        run_row(2, None, gpu_hours=1.0),
        run_row(3, 6.0, job_ids=[3, 9]),
        run_row(4, 3.0),
        run_row(5, None, gpu_hours=2.0),
        run_row(6, None, kind=None, role=None, role_basis=None, phase=None),  # never ran
    ]
    found = ranked_runs(study_tables(runs))
    assert found.select("rank", "run_id", "n_jobs", "user").rows() == [
        (1, 3, 2, "c"),
        (2, 4, 1, "d"),
        (3, 1, 1, "a"),
        (4, 5, 1, "e"),
        (5, 2, 1, "b"),
    ]
    assert found["cumulated_frac"].to_list() == [*map(pytest.approx, (0.6, 0.9, 1.0)), None, None]
    assert found["command"][0] == "./train.sh 3"


@pytest.mark.parametrize(
    ("label", "settled"),
    [
        ({"phase": "development"}, True),
        ({"kind": "training_run", "role": "reported"}, True),
        ({"kind": "training_run"}, False),
        ({"kind": "inference_run"}, False),
        ({"kind": "debug"}, True),
        ({"kind": "unknown"}, True),  # a person looked, and the kind stays unknown
        ({"role": "reported"}, False),
        ({"paper": "p"}, False),
        ({}, False),
    ],
)
def test_rank_unlabelled_runs_omits_runs_whose_labels_give_a_phase(
    label: dict[str, str], settled: bool
) -> None:
    found = ranked_runs(study_tables([run_row(1, 1.0)], {1: label}))
    assert found.is_empty() is settled
    if not settled:
        assert found["role"].to_list() == [label.get("role")]


def test_rank_unlabelled_runs_filters_by_user_project_and_paper() -> None:
    study = study_tables(
        [run_row(1, 3.0, project="text"), run_row(2, 1.0), run_row(3, 1.0, project=None)],
        {2: {"paper": "p"}},
    )
    assert ranked_runs(study, project="text")["run_id"].to_list() == [1]
    assert ranked_runs(study, user="b")["run_id"].to_list() == [2]
    assert ranked_runs(study, user="u-00000003")["run_id"].to_list() == [3]
    assert ranked_runs(study, paper="p")["run_id"].to_list() == [2]
    assert ranked_runs(study, paper="p", user="a").is_empty()
    # the share refers to the listed runs
    assert ranked_runs(study, project="speech")["cumulated_frac"].to_list() == [1.0]


def test_rank_unlabelled_runs_without_energy_returns_null_shares() -> None:
    assert (
        ranked_runs(study_tables([run_row(1, 0.0), run_row(2, None)]))["cumulated_frac"].to_list()
        == [None] * 2
    )
