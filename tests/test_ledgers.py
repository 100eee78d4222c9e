"""What people tracked, the jobs that it was part of, and what is told of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from estimating import of_schema
from polars.testing import assert_frame_equal

from footprint import ledger_table, ledgers, reconciliation, recorded, tables
from footprint.tracker import reading
from footprint.tracker.reading import Energy, Fault, Read, Run
from footprint.vocabulary import STATEMENTS

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)
KWH = 3.6e6


def hours(count: float) -> datetime:
    return T0 + timedelta(hours=count)


def run(identity: str, start: float = 0, long: float | None = 1, **changes: Any) -> Run:
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
    return Run(**given | changes)


JOBS = of_schema(
    tables.Jobs,
    {"job_id": 1, "started_at": T0, "stopped_at": hours(10)},
    {"job_id": 2, "started_at": T0, "stopped_at": hours(10)},
    {"job_id": 3, "started_at": hours(20), "stopped_at": None},
)
ALLOCATIONS = of_schema(
    tables.Allocations,
    {"job_id": 1, "node": "gruss-1"},
    {"job_id": 2, "node": "gruss-2"},
    {"job_id": 2, "node": "gruss-3"},
    {"job_id": 3, "node": "gruss-1"},
)
NODES = of_schema(
    tables.Nodes,
    *({"node": f"gruss-{number}", "max_plausible_power_w": 1000.0} for number in (1, 2, 3)),
)


def match(*runs: Run, faults: list[Fault] | None = None) -> ledgers.Matched:
    table = ledgers.table(Read(list(runs), []))
    return ledgers.match(table, JOBS, ALLOCATIONS, NODES, site="nancy", faults=faults or [])


def job_of(one: Run) -> tuple[int | None, str | None]:
    """Job and reason of a run."""
    found = match(one).runs
    assert tables.Ledger.is_valid(found)
    return found["job_id"].item(), found["reason"].item()


def test_a_run_belongs_to_the_job_that_it_names() -> None:
    assert job_of(run("a")) == (1, None)
    assert job_of(run("a", long=None)) == (1, None)
    assert job_of(run("a", job_id=3, start=25)) == (3, None)
    assert job_of(run("a", start=11)) == (None, recorded.NOT_WHILE)
    # and to no other, even where one held its machine
    assert job_of(run("a", job_id=77)) == (None, recorded.JOB_UNKNOWN)
    assert job_of(run("a", host="gruss-1.lyon.grid5000.fr")) == (None, ledgers.OTHER_SITE)


def test_a_run_without_a_job_belongs_to_the_only_one_on_its_machine() -> None:
    assert job_of(run("a", job_id=None)) == (1, None)
    assert job_of(run("a", job_id=None, start=25, host="gruss-1")) == (3, None)
    assert job_of(run("a", job_id=None, start=15)) == (None, recorded.NO_JOB)
    assert job_of(run("a", job_id=None, host="annes-laptop")) == (None, recorded.NOTHING_NAMED)


def read_of(gpu_kwh: float, covered_frac: float = 1.0, **others: float) -> dict[str, Energy]:
    devices = {"gpu": Energy(gpu_kwh * KWH, covered_frac)}
    return devices | {name: Energy(kwh * KWH, 1.0) for name, kwh in others.items()}


def tracked(*runs: Run) -> list[dict[str, Any]]:
    found = match(*runs).tracked
    assert tables.Tracked.is_valid(found)
    return found.to_dicts()


def test_energy_is_summed_by_job_and_node() -> None:
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


def test_a_container_is_on_the_only_node_of_its_job() -> None:
    assert [row["node"] for row in tracked(run("a", host="3f2c81"))] == ["gruss-1"]
    assert tracked(run("a", host="3f2c81", job_id=2)) == []


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (run("b", 3, 2, devices=read_of(0.5)), ledgers.SEVERAL_AT_ONCE),
        (run("b", 1, 1, devices=read_of(0.5)), ledgers.SEVERAL_AT_ONCE),
        (run("b", 5, 1, devices=read_of(1.5)), recorded.TOO_MUCH),
    ],
)
def test_energy_that_cannot_be_is_set_aside_and_told(second: Run, reason: str) -> None:
    found = match(run("a", 0, 4, devices=read_of(1.0)), second)
    used = [] if reason == ledgers.SEVERAL_AT_ONCE else [pytest.approx(1.0)]
    assert found.tracked["gpu_kwh"].to_list() == used
    assert found.set_aside["reason"].to_list() == [reason]
    assert tables.SetAside.is_valid(found.set_aside)


def test_devices_that_were_read_for_too_short_are_not_known() -> None:
    [row] = tracked(run("a", 0, 4, devices=read_of(1.0, 0.89, cpu=0.5)))
    assert (row["gpu_kwh"], row["cpu_kwh"]) == (None, pytest.approx(0.5))


def test_everything_that_is_not_used_is_counted_with_a_place_to_look_at() -> None:
    own = "20250310-job-1-gruss-1-4711-0a1b2c3d.jsonl"
    faults = [Fault(own, 7, reading.CUT), Fault(own, 9, reading.CUT)]
    found = match(run("a"), run("b", start=30, file="anne.jsonl"), faults=faults).set_aside
    rows = {row["reason"]: (row["n_rows"], row["example"]) for row in found.to_dicts()}
    # whoever names a file by hand may name it after themselves
    assert rows == {reading.CUT: (2, f"{own}:7"), recorded.NOT_WHILE: (1, "line 1")}
    assert set(found["source"]) == {"labels.ledgers"}


def test_an_empty_ledger_is_an_empty_table() -> None:
    found = match()
    for schema, frame in zip((tables.Ledger, tables.Tracked, tables.SetAside), found, strict=True):
        assert_frame_equal(frame, pl.DataFrame(schema.create_empty()))


RUN_OF_JOB = pl.LazyFrame({"job_id": [1, 2, 3], "run_id": [1, 1, 3]})


def test_labels_hold_for_the_runs_of_the_jobs() -> None:
    found = match(
        run("a", 0, 4, labels={"paper": "p", "phase": "training"}),
        run("b", 5, 1, labels={"phase": "inference"}, line=4),
        run("c", 1, 1, labels={"phase": "inference"}, within="a"),
        run("d", 30, 1, labels={"paper": "never"}),
    )
    said = ledgers.labelled(found.runs, RUN_OF_JOB)
    rows = said.labelled.select("job_id", *STATEMENTS).rows()
    assert rows == [(1, "p", None, None, "training"), (2, "p", None, None, "training")]
    assert said.contradictions == [
        "a.jsonl:4: phase 'inference' does not hold: "
        "'training' was said of more of the run of job 1"
    ]


def test_file_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    own = "20250310-job-1-gruss-1-7-0123abcd.jsonl"
    read = ledgers.load([tmp_path / "gone.jsonl", tmp_path / own], unreadable=["anne.jsonl"])
    assert read.runs == []
    assert {each.line for each in read.faults} == {None}
    found = match(run("a"), faults=read.faults).set_aside
    assert tables.SetAside.is_valid(found)
    # files whose names the tracker did not give are named nowhere
    assert found.rows() == [
        ("ledger", "labels.ledgers", reading.UNREADABLE, 3, own),
    ]
    (alone,) = match(run("a"), faults=read.faults[:1]).set_aside["example"]
    assert alone == "a whole file"


# Reconciliation


def energies(*rows: tuple[int, str, float]) -> pl.LazyFrame:
    return of_schema(
        tables.JobEnergy,
        *(
            {"job_id": job, "user": user, "energy_kwh": kwh, "duration_s": 60.0, "gpu_hours": 1.0}
            for job, user, kwh in rows
        ),
    )


PEOPLE = energies((1, "u-a", 5.0), (2, "u-a", 3.0), (3, "u-b", 2.0), (4, "u-b", 1.0))


def reconciled(
    jobs: pl.LazyFrame, *, minimum_group: int = 1, users: list[str] | str = "all"
) -> pl.DataFrame:
    found = match(run("a"), run("b", start=30), run("c", within="a"), faults=[Fault("b", 7, "cut")])
    rows = reconciliation.reconcile(
        found.runs,
        jobs,
        found.set_aside,
        users=users,  # type: ignore[arg-type]
        minimum_group=minimum_group,
    )
    assert tables.Reconciliation.is_valid(rows)
    return rows


def test_what_only_one_side_knows_is_counted() -> None:
    rows = {(row["side"], row["name"]): row for row in reconciled(PEOPLE).to_dicts()}
    assert {key: row["n_rows"] for key, row in rows.items()} == {
        ("ledger", reconciliation.IN_A_JOB): 1,
        ("ledger", recorded.NOT_WHILE): 1,
        ("lines", "cut"): 1,
        ("jobs", reconciliation.TRACKED): 1,
        ("jobs", reconciliation.MISSED): 1,
        ("jobs", reconciliation.OTHERS): 2,
    }
    assert rows["jobs", reconciliation.MISSED]["energy_kwh"] == 3.0
    assert rows["jobs", reconciliation.OTHERS]["gpu_hours"] == 2.0


@pytest.mark.parametrize(
    ("minimum_group", "users", "is_shown"),
    [(1, [], True), (2, [], False), (2, ["u-a"], False), (2, ["u-a", "u-b"], True)],
)
def test_a_small_group_hides_all_unless_it_asked(
    minimum_group: int, users: list[str], is_shown: bool
) -> None:
    jobs = reconciled(PEOPLE, minimum_group=minimum_group, users=users).filter(side="jobs")
    assert (jobs["energy_kwh"].null_count() == 0) == is_shown
    assert (jobs["n_rows"].null_count() == 0) == is_shown


def test_the_table_begins_with_what_fits() -> None:
    table = ledger_table.ledger_table(reconciled(PEOPLE))
    assert table.rows["group"].unique(maintain_order=True).to_list() == list(
        ledger_table.SIDES.values()
    )
    assert table.rows["name"][0] == reconciliation.IN_A_JOB
    assert table.rows.filter(side="jobs")["name"].to_list() == [
        reconciliation.TRACKED,
        reconciliation.MISSED,
        reconciliation.OTHERS,
    ]
