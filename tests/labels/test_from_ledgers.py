"""Tracked runs of ledgers: jobs, labels, device energy, rejected rows and reconciliation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import LABEL_FIELDS
from footprint.estimators import recorded_runs, run_jobs
from footprint.labels import from_ledgers, reconciliation
from footprint.report.tables import ledger
from footprint.schemas.energy import JobEnergy
from footprint.schemas.labels import Ledger, Reconciliation, Tracked
from footprint.schemas.raw import Allocations, Jobs, Nodes, RejectedRows
from footprint.tracker import reading
from footprint.tracker.reading import DeviceEnergy, Fault, LedgerContents, TrackedRun
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)
KWH = 3.6e6


def hours(count: float) -> datetime:
    return T0 + timedelta(hours=count)


def run(identity: str, start: float = 0, long: float | None = 1, **changes: Any) -> TrackedRun:
    """A run of a node of job 1, from one hour on for so many hours."""
    given: dict[str, Any] = {
        "file": "a.jsonl",
        "line": 1,
        "identity": identity,
        "host": "gruss-1.nancy.grid5000.fr",
        "job_id": 1,
        "started_at": hours(start),
        "duration_s": None if long is None else long * 3600,
        "end": "started" if long is None else "stopped",
    }
    return TrackedRun(**given | changes)


JOBS = frame_of_schema(
    Jobs,
    {"job_id": 1, "started_at": T0, "stopped_at": hours(10)},
    {"job_id": 2, "started_at": T0, "stopped_at": hours(10)},
    {"job_id": 3, "started_at": hours(20), "stopped_at": None},
)
ALLOCATIONS = frame_of_schema(
    Allocations,
    {"job_id": 1, "node": "gruss-1"},
    {"job_id": 2, "node": "gruss-2"},
    {"job_id": 2, "node": "gruss-3"},
    {"job_id": 3, "node": "gruss-1"},
)
NODES = frame_of_schema(
    Nodes,
    *({"node": f"gruss-{number}", "max_plausible_power_w": 1000.0} for number in (1, 2, 3)),
)


def match(*runs: TrackedRun, faults: list[Fault] | None = None) -> from_ledgers.MatchedLedgers:
    table = from_ledgers.runs_table(LedgerContents(list(runs), []))
    return from_ledgers.match_runs_to_jobs(
        table, JOBS, ALLOCATIONS, NODES, site="nancy", faults=faults or []
    )


def job_of(one: TrackedRun) -> tuple[int | None, str | None]:
    """Job and reason of a run."""
    found = match(one).runs
    assert Ledger.is_valid(found)
    return found["job_id"].item(), found["reason"].item()


def test_match_runs_belongs_to_the_job_that_it_names() -> None:
    assert job_of(run("a")) == (1, None)
    assert job_of(run("a", long=None)) == (1, None)
    assert job_of(run("a", job_id=3, start=25)) == (3, None)
    assert job_of(run("a", start=11)) == (None, run_jobs.OUTSIDE_JOB_TIME)
    # and to no other, even where one held its machine
    assert job_of(run("a", job_id=77)) == (None, run_jobs.JOB_UNKNOWN)
    assert job_of(run("a", host="gruss-1.lyon.grid5000.fr")) == (None, from_ledgers.OTHER_SITE)


def test_match_runs_without_a_job_belongs_to_the_only_job_on_its_host() -> None:
    assert job_of(run("a", job_id=None)) == (1, None)
    assert job_of(run("a", job_id=None, start=25, host="gruss-1")) == (3, None)
    assert job_of(run("a", job_id=None, start=15)) == (None, run_jobs.NO_JOB_ON_HOST)
    assert job_of(run("a", job_id=None, host="annes-laptop")) == (
        None,
        run_jobs.NO_JOB_OR_HOST_NAMED,
    )


def read_of(gpu_kwh: float, covered_frac: float = 1.0, **others: float) -> dict[str, DeviceEnergy]:
    devices = {"gpu": DeviceEnergy(gpu_kwh * KWH, covered_frac)}
    return devices | {name: DeviceEnergy(kwh * KWH, 1.0) for name, kwh in others.items()}


def tracked(*runs: TrackedRun) -> list[dict[str, Any]]:
    found = match(*runs).tracked
    assert Tracked.is_valid(found)
    return found.to_dicts()


def test_match_runs_sums_energy_by_job_and_node() -> None:
    [row] = tracked(
        run("a", 0, 4, devices=read_of(1.0, cpu=0.5)),
        run("b", 5, 2, devices=read_of(0.5, cpu=0.25)),
        run("c", 0, 4, devices=read_of(9.0), within="a"),
    )
    assert row == {
        "job_id": 1,
        "node": "gruss-1",
        "n_runs": 2,
        "duration_s": 6 * 3600.0,
        "gpu_kwh": pytest.approx(1.5),
        "cpu_kwh": pytest.approx(0.75),
        "memory_kwh": None,
    }


def test_match_runs_energy_shared_with_other_trackers_is_that_of_the_devices() -> None:
    """The part of the cores that the job held is applied later, to the whole energy."""
    shared = {"cpu": DeviceEnergy(1.8e6, 1.0, shared_j=3.6e6)}
    [row] = tracked(run("a", 0, 4, devices=shared))
    assert row["cpu_kwh"] == pytest.approx(1.0)


def test_match_runs_container_is_on_the_only_node_of_its_job() -> None:
    assert [row["node"] for row in tracked(run("a", host="3f2c81"))] == ["gruss-1"]
    assert tracked(run("a", host="3f2c81", job_id=2)) == []


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (run("b", 3, 2, devices=read_of(0.5)), from_ledgers.OVERLAPPING_RUNS),
        (run("b", 1, 1, devices=read_of(0.5)), from_ledgers.OVERLAPPING_RUNS),
        (run("b", 5, 1, devices=read_of(1.5)), recorded_runs.TOO_MUCH_POWER),
    ],
)
def test_match_runs_rejects_impossible_energy_with_a_reason(
    second: TrackedRun, reason: str
) -> None:
    found = match(run("a", 0, 4, devices=read_of(1.0)), second)
    used = [] if reason == from_ledgers.OVERLAPPING_RUNS else [pytest.approx(1.0)]
    assert found.tracked["gpu_kwh"].to_list() == used
    assert found.rejected["reason"].to_list() == [reason]
    assert RejectedRows.is_valid(found.rejected)


def test_match_runs_device_read_for_too_short_is_null() -> None:
    [row] = tracked(run("a", 0, 4, devices=read_of(1.0, 0.89, cpu=0.5)))
    assert (row["gpu_kwh"], row["cpu_kwh"]) == (None, pytest.approx(0.5))


def test_match_runs_counts_rejected_rows_with_an_example() -> None:
    own = "20250310-job-1-gruss-1-4711-0a1b2c3d.jsonl"
    faults = [Fault(own, 7, reading.LINE_TRUNCATED), Fault(own, 9, reading.LINE_TRUNCATED)]
    found = match(run("a"), run("b", start=30, file="anne.jsonl"), faults=faults).rejected
    rows = {row["reason"]: (row["n_rows"], row["example"]) for row in found.to_dicts()}
    # whoever names a file by hand may name it after themselves
    assert rows == {
        reading.LINE_TRUNCATED: (2, f"{own}:7"),
        run_jobs.OUTSIDE_JOB_TIME: (1, "line 1"),
    }
    assert set(found["source"]) == {"labels.ledgers"}


def test_match_runs_empty_ledger_gives_empty_tables() -> None:
    found = match()
    for schema, frame in zip((Ledger, Tracked, RejectedRows), found, strict=True):
        assert_frame_equal(frame, pl.DataFrame(schema.create_empty()))


RUN_OF_JOB = pl.LazyFrame({"job_id": [1, 2, 3], "run_id": [1, 1, 3]})


def test_labels_of_ledgers_hold_for_all_jobs_of_a_run() -> None:
    found = match(
        run("a", 0, 4, labels={"paper": "p", "phase": "training"}),
        run("b", 5, 1, labels={"phase": "inference"}, line=4),
        run("c", 1, 1, labels={"phase": "inference"}, within="a"),
        run("d", 30, 1, labels={"paper": "never"}),
    )
    labelled = from_ledgers.labels_of_ledgers(found.runs, RUN_OF_JOB)
    rows = labelled.labels.select("job_id", *LABEL_FIELDS).rows()
    assert rows == [(job, "p", None, None, "training", None) for job in (1, 2)]
    assert labelled.contradictions == [
        "a.jsonl:4: phase 'inference' is not used: 'training' labels more of the run of job 1"
    ]


def test_read_ledgers_file_that_cannot_be_read_is_rejected(tmp_path: Path) -> None:
    own = "20250310-job-1-gruss-1-7-0123abcd.jsonl"
    read = from_ledgers.read_ledgers(
        [tmp_path / "gone.jsonl", tmp_path / own], unreadable=["anne.jsonl"]
    )
    assert read.runs == []
    assert {each.line for each in read.faults} == {None}
    found = match(run("a"), faults=read.faults).rejected
    assert RejectedRows.is_valid(found)
    # files whose names the tracker did not give are named nowhere
    assert found.rows() == [
        ("ledger", "labels.ledgers", reading.UNREADABLE, 1, "a whole file"),
        ("ledger", "labels.ledgers", "there is no such file", 2, own),
    ]
    (alone,) = match(run("a"), faults=read.faults[:1]).rejected["example"]
    assert alone == "a whole file"


# Reconciliation


def energies(*rows: tuple[int, str, float]) -> pl.LazyFrame:
    return frame_of_schema(
        JobEnergy,
        *(
            {"job_id": job, "user": user, "measured_kwh": kwh, "duration_s": 60.0, "gpu_hours": 1.0}
            for job, user, kwh in rows
        ),
    )


PEOPLE = energies((1, "u-a", 5.0), (2, "u-a", 3.0), (3, "u-b", 2.0), (4, "u-b", 1.0))


def reconciled(
    jobs: pl.LazyFrame, *, minimum_group: int = 1, users: list[str] | str = "all"
) -> pl.DataFrame:
    found = match(run("a"), run("b", start=30), run("c", within="a"), faults=[Fault("b", 7, "cut")])
    rows = reconciliation.reconcile_ledgers(
        found.runs,
        jobs,
        found.rejected,
        users=users,  # type: ignore[arg-type]
        minimum_group=minimum_group,
    )
    assert Reconciliation.is_valid(rows)
    return rows


def test_reconcile_counts_runs_lines_and_jobs() -> None:
    rows = {(row["side"], row["name"]): row for row in reconciled(PEOPLE).to_dicts()}
    assert {key: row["n_rows"] for key, row in rows.items()} == {
        ("ledger", reconciliation.RUNS_IN_JOBS): 1,
        ("ledger", run_jobs.OUTSIDE_JOB_TIME): 1,
        ("lines", "cut"): 1,
        ("jobs", reconciliation.TRACKED_JOBS): 1,
        ("jobs", reconciliation.MISSED_JOBS): 1,
        ("jobs", reconciliation.JOBS_OF_OTHERS): 2,
    }
    assert rows["jobs", reconciliation.MISSED_JOBS]["measured_kwh"] == 3.0
    assert rows["jobs", reconciliation.JOBS_OF_OTHERS]["gpu_hours"] == 2.0


@pytest.mark.parametrize(
    ("minimum_group", "users", "is_shown"),
    [(1, [], True), (2, [], False), (2, ["u-a"], False), (2, ["u-a", "u-b"], True)],
)
def test_reconcile_small_group_hides_all_groups_unless_it_asked(
    minimum_group: int, users: list[str], is_shown: bool
) -> None:
    jobs = reconciled(PEOPLE, minimum_group=minimum_group, users=users).filter(side="jobs")
    assert (jobs["measured_kwh"].null_count() == 0) == is_shown
    assert (jobs["n_rows"].null_count() == 0) == is_shown


def test_ledger_table_begins_with_runs_in_jobs() -> None:
    table = ledger.ledger_table(reconciled(PEOPLE))
    assert table.rows["group"].unique(maintain_order=True).to_list() == list(
        ledger.SIDE_HEADINGS.values()
    )
    assert table.rows["name"][0] == reconciliation.RUNS_IN_JOBS
    assert table.rows.filter(side="jobs")["name"].to_list() == [
        reconciliation.TRACKED_JOBS,
        reconciliation.MISSED_JOBS,
        reconciliation.JOBS_OF_OTHERS,
    ]
