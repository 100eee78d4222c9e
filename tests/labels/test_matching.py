"""Labels and runs: a label of a job holds for all jobs of its run."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.labels import files, matching
from footprint.labels.files import Label
from footprint.schemas.labels import JobLabels
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from tests.support.rule_scripts import run_script

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)
# Jobs 1, 2 and 4 are one run, and so are 5 and 6; 3 is alone.
RUN_OF_JOB = {1: 1, 2: 1, 3: 3, 4: 1, 5: 5, 6: 5}


@pytest.fixture
def jobs() -> pl.LazyFrame:
    owners = [(1, "amy"), (2, "amy"), (3, "amy"), (4, "amy"), (5, "bob"), (6, "bob")]
    return pl.LazyFrame(owners, {"job_id": pl.Int64, "user": pl.String}, orient="row").with_columns(
        array_id=pl.when(pl.col("job_id") == 6).then(6),
        name=pl.lit("n"),
        command=pl.format("run {}", "job_id"),
        started_at=pl.lit(T0),
        submitted_at=pl.lit(T0),
    )


@pytest.fixture
def run_of_job() -> pl.LazyFrame:
    rows = list(RUN_OF_JOB.items())
    return pl.LazyFrame(rows, {"job_id": pl.Int64, "run_id": pl.Int64}, orient="row").with_columns(
        merged_by=pl.lit("chain")
    )


def of(where: str, **label: Any) -> Label:
    return Label(where=where, **label)


@pytest.mark.parametrize("one", [1, 2, 4])
def test_match_labels_chain_is_selected_by_any_of_its_jobs(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, one: int
) -> None:
    found = matching.match_labels_to_jobs([of("f:1", chain=one, paper="p")], jobs, run_of_job)
    assert found.rows() == [(0, 1), (0, 2), (0, 4)]


def test_match_labels_other_selectors_ignore_the_runs(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame
) -> None:
    rows = [
        of("f:1", jobs=(2,), paper="p"),
        of("f:2", array=6, kind="debug"),
        of("f:3", user="amy", command="run [34]", role="other"),
    ]
    expected = [(0, 2), (1, 6), (2, 3), (2, 4)]
    assert matching.match_labels_to_jobs(rows, jobs, run_of_job).rows() == expected
    assert matching.match_labels_to_jobs(rows, jobs).rows() == expected


def test_match_labels_chain_without_runs_is_an_error(jobs: pl.LazyFrame) -> None:
    with pytest.raises(ValueError, match="need the run of each job"):
        matching.match_labels_to_jobs([of("f:1", chain=1, paper="p")], jobs)


def test_match_labels_chain_without_jobs_is_a_warning(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = matching.match_labels_to_jobs([of("f:1", chain=99, paper="p")], jobs, run_of_job)
    assert found.is_empty()
    assert caplog.messages == [
        "f:1: this label matches no job of the study",
        "1 of 1 labels match no job of the study",
    ]


def test_labels_table_label_of_a_job_holds_for_its_run(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame
) -> None:
    rows = [
        of("f:1", jobs=(2,), kind="training_run"),
        of("f:2", chain=4, role="reported"),
        of("f:3", array=6, paper="p"),
        of("f:4", user="amy", command="run 1", paper="q", phase="training"),
    ]
    found = conform(JobLabels, matching.match_label_files(rows, jobs, run_of_job).single)
    assert found.drop("stage").rows() == [
        (1, "q", "training_run", "reported", "training"),
        (2, "q", "training_run", "reported", "training"),
        (4, "q", "training_run", "reported", "training"),
        (5, "p", None, None, None),
        (6, "p", None, None, None),
    ]
    matched = matching.match_labels_to_jobs(rows, jobs, run_of_job)
    papers = matching.statement_of_jobs(
        rows, matched, statement="paper", run_of_job=run_of_job
    ).collect()
    assert papers.rows() == [(1, "q"), (2, "q"), (4, "q"), (5, "p"), (6, "p")]
    alone = matching.statement_of_jobs(
        rows[2:], matching.match_labels_to_jobs(rows[2:], jobs), statement="paper"
    )
    assert alone.collect().rows() == [(1, "q"), (6, "p")]


def test_labels_table_without_labels_is_empty(jobs: pl.LazyFrame, run_of_job: pl.LazyFrame) -> None:
    assert conform(JobLabels, matching.match_label_files([], jobs, run_of_job).single).is_empty()


@pytest.mark.parametrize(
    ("statement", "one", "other"),
    [
        ("paper", "a", "b"),
        ("kind", "debug", "training_run"),
        ("role", "reported", "other"),
        ("phase", "training", "development"),
    ],
)
def test_labels_table_contradiction_in_a_run_names_both_rows(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, statement: str, one: str, other: str
) -> None:
    rows = [
        of("one.yaml:3", jobs=(4,), **{statement: one}),
        of("two.csv:7", jobs=(2, 3), **{statement: other}),
        of("two.csv:8", jobs=(5,), **{statement: one}),
        of("two.csv:9", jobs=(6,), **{statement: other}),
    ]
    with pytest.raises(
        InputError,
        match=rf"^two\.csv:7: the run of jobs 2 and 4 has two {statement}s: '{other}' here and "
        rf"'{one}' at one\.yaml:3 \(and 1 more runs\); a run has one {statement}: narrow",
    ):
        matching.match_label_files(rows, jobs, run_of_job)
    # by job instead of by run, no job has two values
    assert (
        matching.statement_of_jobs(
            rows, matching.match_labels_to_jobs(rows, jobs), statement=statement
        )
        .collect()
        .height
        == 5
    )


def test_labels_table_contradiction_in_a_job_names_the_job(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame
) -> None:
    rows = [of("f:1", chain=1, kind="debug"), of("f:2", jobs=(1,), kind="unknown")]
    with pytest.raises(InputError, match=r"^f:1: job 1 has two kinds: 'debug' here .* at f:2;"):
        matching.match_label_files(rows, jobs, run_of_job)


def test_match_labels_script_writes_both_tables(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, tmp_path: Path
) -> None:
    projects = pl.Series("project", ["Speech", "speech", "text", None])
    cycled = pl.int_range(pl.len()) % 4
    jobs.with_columns(
        stopped_at="started_at",
        project=cycled.replace_strict(dict(enumerate(projects)), return_dtype=pl.String),
    ).sink_parquet(tmp_path / "jobs.parquet")
    run_of_job.sink_parquet(tmp_path / "run_of_job.parquet")
    written = tmp_path / "labels.csv"
    written.write_text("chain,jobs,paper,kind\n2,,p,\n,3,,debug\n")
    log = run_script(
        "match_labels",
        logs=tmp_path,
        input={
            "jobs": str(tmp_path / "jobs.parquet"),
            "run_of_job": str(tmp_path / "run_of_job.parquet"),
            "labels": [str(written)],
            "ledger": [],
        },
        output={
            name: tmp_path / f"{name}.parquet"
            for name in ("papers", "labels", "group_labels", "rejected")
        },
    )
    assert "the projects 'Speech' and 'speech' differ in case or blanks alone" in log
    assert len(log.splitlines()) == 1
    rejected = pl.read_parquet(tmp_path / "rejected.parquet")
    assert RejectedRows.is_valid(rejected)
    assert rejected.select("stage", "source", "n_rows", "example").rows() == [
        ("labels", "projects", 2, None)
    ]
    papers = pl.read_parquet(tmp_path / "papers.parquet")
    assert_frame_equal(papers, pl.DataFrame({"job_id": [1, 2, 4], "paper": ["p"] * 3}))
    labelled = pl.read_parquet(tmp_path / "labels.parquet")
    assert JobLabels.is_valid(labelled)
    assert labelled.select("job_id", "paper", "kind").rows() == [
        (1, "p", None),
        (2, "p", None),
        (3, None, "debug"),
        (4, "p", None),
    ]


# Extending a label file


ROWS = "\n# a job\n- chain: 1\n  kind: debug\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ROWS),
        ("", ROWS),
        ("# nothing yet", "# nothing yet\n" + ROWS),
        ("- {jobs: 2, paper: p}\n", "- {jobs: 2, paper: p}\n" + ROWS),
        (
            "  - jobs: 2\n    paper: p",
            "  - jobs: 2\n    paper: p\n\n  # a job\n  - chain: 1\n    kind: debug\n",
        ),
    ],
)
def test_append_rows_keeps_existing_text(tmp_path: Path, before: str | None, after: str) -> None:
    path = tmp_path / "new" / "labels.yaml"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    files.append_rows(path, ROWS)
    assert path.read_text() == after
    assert files.read_labels([path])[-1].chain == 1


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("[{jobs: 2, paper: p}]\n", r"rows cannot be appended to the file; begin"),
        ("- {jobs: 2, paper: p}\n...\n", r"rows cannot be appended"),
        ("- {jobs: x, paper: p}\n", r"l\.yaml:1: job id 'x' is not a number"),
        ("jobs: 2\n", r"l\.yaml:1: a label file is a list of rows"),
    ],
)
def test_append_rows_leaves_an_unusable_file_unchanged(
    tmp_path: Path, before: str, message: str
) -> None:
    path = tmp_path / "l.yaml"
    path.write_text(before)
    with pytest.raises(InputError, match=message):
        files.append_rows(path, ROWS)
    assert path.read_text() == before


def test_append_rows_accepts_only_writable_yaml_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"l\.csv: rows are written to YAML files only"):
        files.append_rows(tmp_path / "l.csv", ROWS)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(.+\); name another file"):
        files.append_rows(tmp_path / "file" / "l.yaml", ROWS)
