"""What several sources say of the same runs, and the names of jobs as one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from estimating import of_schema
from polars.testing import assert_frame_equal

from footprint import job_names, tables, told
from footprint.vocabulary import STATEMENTS

pytestmark = pytest.mark.filterwarnings("error")

RUNS = pl.LazyFrame({"job_id": [1, 2, 3, 4], "run_id": [1, 1, 3, 4]})
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def weighed(*rows: tuple[int, float | None, dict[str, str]]) -> told.Weighed:
    """What holds of statements about jobs, each with its seconds."""
    filled = [
        {"job_id": job, "where": f"f:{line}", "weight_s": weight_s, **said}
        for line, (job, weight_s, said) in enumerate(rows, start=1)
    ]
    return told.weighed(pl.DataFrame(filled, schema=told.ROWS), RUNS)


def as_rows(frame: pl.DataFrame) -> dict[int, dict[str, str]]:
    """Statements of each job, unknown ones left out."""
    return {
        row["job_id"]: {name: row[name] for name in STATEMENTS if row[name] is not None}
        for row in frame.iter_rows(named=True)
    }


def test_what_is_said_of_a_job_holds_for_its_run() -> None:
    found = weighed((1, 10.0, {"paper": "p"}), (2, 5.0, {"phase": "training"}))
    said = {"paper": "p", "phase": "training"}
    assert as_rows(found.labelled) == {1: said, 2: said}
    assert found.contradictions == []
    assert tables.Labelled.is_valid(found.labelled)


def test_what_was_said_for_longest_holds_and_the_rest_is_told() -> None:
    found = weighed(
        (3, 60.0, {"phase": "inference"}),
        (3, 100.0, {"phase": "training"}),
        (3, 50.0, {"phase": "inference"}),
        (3, None, {"phase": "development"}),
    )
    assert as_rows(found.labelled) == {3: {"phase": "inference"}}
    assert found.contradictions == [
        "f:2: phase 'training' does not hold: 'inference' was said of more of the run of job 3",
        "f:4: phase 'development' does not hold: 'inference' was said of more of the run of job 3",
    ]


def test_what_was_said_for_as_long_holds_on_neither_side() -> None:
    found = weighed((3, 60.0, {"paper": "p", "role": "other"}), (3, 60.0, {"paper": "q"}))
    assert as_rows(found.labelled) == {3: {"role": "other"}}
    assert [text.split(" does")[0] for text in found.contradictions] == [
        "f:1: paper 'p'",
        "f:2: paper 'q'",
    ]


def test_nothing_said_is_an_empty_table() -> None:
    assert_frame_equal(weighed().labelled, pl.DataFrame(tables.Labelled.create_empty()))
    assert as_rows(weighed((9, 1.0, {"paper": "p"})).labelled) == {}  # not a job of the study


def labelled(*rows: dict[str, Any]) -> pl.LazyFrame:
    return of_schema(tables.Labelled, *rows)


def test_the_first_source_that_speaks_holds() -> None:
    files = labelled({"job_id": 1, "paper": "p"}, {"job_id": 2, "role": "other"})
    ledger = labelled(
        {"job_id": 1, "paper": "q", "kind": "training_run", "phase": "training"},
        {"job_id": 2, "kind": "training_run", "role": "reported", "phase": "training"},
        {"job_id": 3, "phase": "inference"},
    )
    found = told.first_of([files, ledger, labelled({"job_id": 3, "role": "other", "paper": "r"})])
    assert as_rows(found) == {
        1: {"paper": "p", "kind": "training_run", "phase": "training"},
        # a file that says that it is another model leaves no room for the ledger's phase
        2: {"kind": "training_run", "role": "other"},
        3: {"phase": "inference", "role": "other", "paper": "r"},
    }


def test_one_source_stays_as_it_is() -> None:
    rows = [{"job_id": 1, "paper": "p", "kind": "debug", "role": "other", "phase": "development"}]
    assert_frame_equal(told.first_of([labelled(*rows)]), labelled(*rows).collect())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fp:paper=enhancement-2025,phase=training", "paper=enhancement-2025 phase=training"),
        ("big7 fp:role=reported,kind=training_run", "role=reported kind=training_run"),
        ("big7-fp:paper=p", "paper=p"),
        ("fp:paper=p fp:role=other", "paper=p role=other"),
        ("big7", ""),
        ("mfp:paper=p", ""),
    ],
)
def test_names_of_jobs_may_hold_labels(name: str, said: str) -> None:
    found, fault = job_names.said(name)
    assert (" ".join(f"{key}={value}" for key, value in found.items()), fault) == (said, None)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("fp:", "`fp:` knows paper, kind, role, phase"),
        ("fp:phases=training,paper=p", "`fp:` knows paper, kind, role, phase"),
        ("fp:phase=fun,paper=p", "phase is training, inference, development"),
        ("fp:paper=", "paper is any word"),
        ("fp:paper=p,paper=q", "paper is given twice"),
    ],
)
def test_names_that_cannot_be_understood_are_told_and_the_rest_is_used(
    name: str, fault: str
) -> None:
    found, told_of = job_names.said(name)
    assert told_of == fault
    assert found == ({"paper": "p"} if "paper=p" in name else {})


def test_labels_in_names_are_those_of_the_runs() -> None:
    jobs = pl.LazyFrame(
        {
            "job_id": [1, 2, 3, 4],
            "name": ["fp:paper=p", "fp:paper=q", "fp:secret=anne", None],
            "started_at": [T0] * 4,
            "stopped_at": [T0 + timedelta(hours=hours) for hours in (1, 2, 1, 1)],
        }
    )
    found = job_names.labelled(jobs, RUNS)
    assert as_rows(found.labelled) == {1: {"paper": "q"}, 2: {"paper": "q"}}
    assert found.contradictions == [
        "the name of job 3 has a label that is not known: `fp:` knows paper, kind, role, phase",
        "the name of job 1: paper 'p' does not hold: 'q' was said of more of the run of job 1",
    ]
