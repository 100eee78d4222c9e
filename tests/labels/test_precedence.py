"""Precedence of label sources, contradictions within a source, and labels in names of jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import LABEL_FIELDS
from footprint.labels import from_job_names, precedence
from footprint.schemas.labels import JobLabels
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")

RUNS = pl.LazyFrame({"job_id": [1, 2, 3, 4], "run_id": [1, 1, 3, 4]})
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def weighed(*rows: tuple[int, float | None, dict[str, str]]) -> precedence.SourceLabels:
    """Resolved labels of jobs, each with its seconds."""
    filled = [
        {"job_id": job, "where": f"f:{line}", "weight_s": weight_s, **labels}
        for line, (job, weight_s, labels) in enumerate(rows, start=1)
    ]
    return precedence.resolve_contradictions(
        pl.DataFrame(filled, schema=precedence.STATEMENT_SCHEMA), RUNS
    )


def as_rows(frame: pl.DataFrame) -> dict[int, dict[str, str]]:
    """Statements of each job, unknown ones left out."""
    return {
        row["job_id"]: {name: row[name] for name in LABEL_FIELDS if row[name] is not None}
        for row in frame.iter_rows(named=True)
    }


def test_resolve_label_of_a_job_holds_for_its_run() -> None:
    found = weighed((1, 10.0, {"paper": "p"}), (2, 5.0, {"phase": "training"}))
    expected = {"paper": "p", "phase": "training"}
    assert as_rows(found.labels) == {1: expected, 2: expected}
    assert found.contradictions == []
    assert JobLabels.is_valid(found.labels)


def test_resolve_uses_the_longest_value_and_reports_the_others() -> None:
    found = weighed(
        (3, 60.0, {"phase": "inference"}),
        (3, 100.0, {"phase": "training"}),
        (3, 50.0, {"phase": "inference"}),
        (3, None, {"phase": "development"}),
    )
    assert as_rows(found.labels) == {3: {"phase": "inference"}}
    assert found.contradictions == [
        "f:2: phase 'training' is not used: 'inference' labels more of the run of job 3",
        "f:4: phase 'development' is not used: 'inference' labels more of the run of job 3",
    ]


def test_resolve_tie_uses_no_value() -> None:
    found = weighed((3, 60.0, {"paper": "p", "role": "other"}), (3, 60.0, {"paper": "q"}))
    assert as_rows(found.labels) == {3: {"role": "other"}}
    assert [text.split(" is not")[0] for text in found.contradictions] == [
        "f:1: paper 'p'",
        "f:2: paper 'q'",
    ]


def test_resolve_without_labels_gives_an_empty_table() -> None:
    assert_frame_equal(weighed().labels, pl.DataFrame(JobLabels.create_empty()))
    assert as_rows(weighed((9, 1.0, {"paper": "p"})).labels) == {}  # not a job of the study


def labelled(*rows: dict[str, Any]) -> pl.LazyFrame:
    return frame_of_schema(JobLabels, *rows)


def test_precedence_takes_the_first_source_with_a_value() -> None:
    files = labelled({"job_id": 1, "paper": "p"}, {"job_id": 2, "role": "other"})
    ledger = labelled(
        {"job_id": 1, "paper": "q", "kind": "training_run", "phase": "training"},
        {"job_id": 2, "kind": "training_run", "role": "reported", "phase": "training"},
        {"job_id": 3, "phase": "inference"},
    )
    found = precedence.apply_precedence(
        [files, ledger, labelled({"job_id": 3, "role": "other", "paper": "r"})]
    )
    assert as_rows(found) == {
        1: {"paper": "p", "kind": "training_run", "phase": "training"},
        # a role in a file excludes the phase of the ledger
        2: {"kind": "training_run", "role": "other"},
        3: {"phase": "inference", "role": "other", "paper": "r"},
    }


def test_precedence_of_one_source_keeps_it_unchanged() -> None:
    rows = [{"job_id": 1, "paper": "p", "kind": "debug", "role": "other", "phase": "development"}]
    assert_frame_equal(precedence.apply_precedence([labelled(*rows)]), labelled(*rows).collect())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fp:paper=enhancement-2025,phase=training", "paper=enhancement-2025 phase=training"),
        ("big7 fp:role=reported,kind=training_run", "role=reported kind=training_run"),
        ("big7-fp:paper=p", "paper=p"),
        ("fp:paper=p fp:role=other", "paper=p role=other"),
        ("big7", ""),
        ("mfp:paper=p", ""),
        ("speech,ablate,pretrain", "stage=ablate kind=training_run"),
        ("speech,final,evaluate seed 3", "stage=final kind=inference_run"),
        ("speech,explore,debug fp:paper=p", "paper=p stage=explore kind=debug"),
        ("speech,ablate,trains", ""),
        ("speech,lr,train", ""),
        ("a,speech,ablate,train", ""),
        ("speech, ablate, train", ""),
    ],
)
def test_job_name_labels_are_parsed(name: str, expected: str) -> None:
    found, fault = from_job_names.parse_job_name(name)
    assert (" ".join(f"{key}={value}" for key, value in found.items()), fault) == (expected, None)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("fp:", "`fp:` allows paper, kind, role, phase, stage"),
        ("fp:phases=training,paper=p", "`fp:` allows paper, kind, role, phase, stage"),
        ("fp:phase=fun,paper=p", "phase is training, inference, development"),
        ("fp:paper=", "paper is any word"),
        ("fp:paper=p,paper=q", "paper has two values"),
        ("speech,data,train fp:paper=p,stage=final", "stage has two values"),
    ],
)
def test_job_name_fault_is_reported_and_the_rest_is_used(name: str, fault: str) -> None:
    found, found_fault = from_job_names.parse_job_name(name)
    assert found_fault == fault
    assert found.get("paper") == ("p" if "paper=p" in name else None)


def test_job_name_labels_hold_for_the_runs() -> None:
    jobs = pl.LazyFrame(
        {
            "job_id": [1, 2, 3, 4],
            "name": ["fp:paper=p", "fp:paper=q", "fp:secret=anne", None],
            "started_at": [T0] * 4,
            "stopped_at": [T0 + timedelta(hours=hours) for hours in (1, 2, 1, 1)],
        }
    )
    found = from_job_names.labels_of_job_names(jobs, RUNS)
    assert as_rows(found.labels) == {1: {"paper": "q"}, 2: {"paper": "q"}}
    assert found.contradictions == [
        "the name of job 3 has an invalid label: `fp:` allows paper, kind, role, phase, stage",
        "the name of job 1: paper 'p' is not used: 'q' labels more of the run of job 1",
    ]
