"""Tests of merging jobs into runs: chains of resumed jobs, and arrays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.phases import chains
from footprint.schemas.phases import RunOfJob
from footprint.schemas.raw import Jobs
from footprint.schemas.writing import conform
from footprint.sources.simulated import SimulatedSite

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 3, tzinfo=UTC)
WALLTIME_EVENTS = ["FRAG_JOB_REQUEST", "WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
PREEMPTION_EVENTS = [
    "BESTEFFORT_KILL",
    "FRAG_JOB_REQUEST",
    "SEND_KILL_JOB",
    "SWITCH_INTO_ERROR_STATE",
]
DELETION_EVENTS = ["FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
SCHEMA = Jobs.create_empty().schema


def job(job_id: int, start_h: float | None, stop_h: float | None, **changes: Any) -> dict[str, Any]:
    """A job that its walltime of 24 h ended, unless changed; times in hours from `START`."""

    def hours_after_start(hours: float | None) -> datetime | None:
        return None if hours is None else START + timedelta(hours=hours)

    usual: dict[str, Any] = {
        "job_id": job_id,
        "user": "amy",
        "project": "speech",
        "directory": "/home/amy/exp",
        "command": "./train.sh",
        "job_type": "PASSIVE",
        "types": [],
        "state": "error",
        "array_id": job_id,
        "array_index": 1,
        "submitted_at": hours_after_start(start_h),
        "started_at": hours_after_start(start_h),
        "stopped_at": hours_after_start(stop_h),
        "walltime_s": 24 * 3600,
        "exit_code": None,
        "events": WALLTIME_EVENTS,
    }
    return usual | changes


def completed_job(job_id: int, start_h: float, stop_h: float, **changes: Any) -> dict[str, Any]:
    """A job that ended by itself with exit code 0, unless changed."""
    events = ["SWITCH_INTO_TERMINATE_STATE"]
    usual = {"state": "terminated", "exit_code": 0, "events": events}
    return job(job_id, start_h, stop_h, **usual | changes)


def merged(
    *rows: dict[str, Any], gap_h: float = 48, nodes: dict[int, list[str]] | None = None, **how: Any
) -> dict[int, tuple[int, str]]:
    """Run of each job, and how it was merged, by job id."""
    allocations = None
    if nodes is not None:
        held = [(each, node) for each, names in nodes.items() for node in names]
        allocations = pl.LazyFrame(held, {"job_id": pl.Int64, "node": pl.String}, orient="row")
    found = chains.merge_jobs_into_runs(
        pl.LazyFrame(rows, schema=SCHEMA), gap_h=gap_h, allocations=allocations, **how
    )
    checked = conform(RunOfJob, found)
    return {each: (run, str(by)) for each, run, by in checked.iter_rows()}


def linked(first: dict[str, Any], second: dict[str, Any], **how: Any) -> bool:
    """Whether two jobs are one run."""
    found = merged(first, second, **how)
    return len({run for run, _ in found.values()}) == 1


def test_merge_of_jobs_resumed_after_walltime_returns_one_run_with_smallest_id() -> None:
    # Jobs of 24 h, 1 h and 47 h apart; job 8 ends by itself, so that job 9 is another run.
    found = merged(job(7, 0, 24), job(5, 25, 49), completed_job(8, 96, 99), job(9, 100, 124))
    assert found == {
        5: (5, "chain"),  # the smallest id, although it started second
        7: (5, "chain"),
        8: (5, "chain"),
        9: (9, "single"),
    }


def test_merge_without_jobs_returns_no_runs() -> None:
    assert merged() == {}


@pytest.mark.parametrize(
    ("stop_h", "start_h", "one"),
    [(24, 72, True), (24, 72.001, False), (24, 24, True), (24, 23.999, False)],
    ids=["after 48 h", "later", "at once", "overlapping"],
)
def test_link_requires_start_within_gap_after_the_end(
    stop_h: float, start_h: float, one: bool
) -> None:
    assert linked(job(1, 0, stop_h), job(2, start_h, 90)) is one


@pytest.mark.parametrize(
    "difference",
    [
        {"user": "bob"},
        {"project": "text"},
        {"project": None},
        {"command": "./train.sh --lr 2"},
        {"directory": "/home/amy/other"},
        {"job_type": "INTERACTIVE"},
    ],
    ids=lambda each: "-".join(map(str, each)),
)
def test_link_requires_same_identity(difference: dict[str, Any]) -> None:
    assert not linked(job(1, 0, 24), job(2, 25, 49) | difference)
    assert linked(job(1, 0, 24, project=None), job(2, 25, 49, project=None))


@pytest.mark.parametrize(
    "command",
    [None, "", "sleep infinity", "bash -c 'while true; do sleep 60; done'", "jupyter lab"],
)
def test_link_excludes_commands_that_only_hold_nodes(command: str | None) -> None:
    assert not linked(job(1, 0, 24, command=command), job(2, 25, 49, command=command))


def test_link_requires_same_clusters() -> None:
    pair = job(1, 0, 24), job(2, 25, 49)
    assert linked(*pair, nodes={1: ["grue-1", "grue-2"], 2: ["grue-5", "grue-1"]})
    assert not linked(*pair, nodes={1: ["grue-1"], 2: ["gres-1"]})
    assert not linked(*pair, nodes={1: ["grue-1"], 2: ["grue-1", "gres-1"]})
    assert linked(*pair, nodes={})


@pytest.mark.parametrize(
    ("previous", "one"),
    [
        (job(1, 0, 0.1, events=PREEMPTION_EVENTS, types=["besteffort"]), True),
        (job(1, 0, 24, events=["WALLTIME"]), True),
        (
            job(1, 0, 24, exit_code=0, state="terminated"),
            True,
        ),  # it wrote a checkpoint at the signal
        (completed_job(1, 0, 9, exit_code=256), False),
        (completed_job(1, 0, 24), False),  # it lasted its walltime, but ended by itself
        (completed_job(1, 0, 9, exit_code=99 * 256, types=["idempotent"]), True),
        (completed_job(1, 0, 9, exit_code=99 * 256), False),
        (job(1, 0, 9, events=DELETION_EVENTS), True),
        (job(1, 0, 1, events=DELETION_EVENTS), True),
        (job(1, 0, 0.99, events=DELETION_EVENTS), False),  # an attempt, deleted within an hour
        (job(1, 0, 9, events=["SOMETHING"]), True),  # state `error`, no exit code
        (job(1, 0, 0, events=WALLTIME_EVENTS), False),  # it stopped as it started
        (job(1, 0, None, state="running", events=[]), False),
    ],
)
def test_link_requires_interrupted_previous_job(previous: dict[str, Any], one: bool) -> None:
    assert linked(previous, job(2, 25, 49)) is one


@pytest.mark.parametrize("events", [None, []])
@pytest.mark.parametrize(
    ("stop_h", "changes", "one"),
    [
        # walltime 24 h = 86 400 s; 60 s are 1/60 h
        (24, {"state": "terminated"}, True),
        (24 - 1 / 60, {"state": "terminated"}, True),
        (24 - 1 / 59, {"state": "terminated"}, False),
        (24, {"state": "terminated", "exit_code": 0}, False),
        (24, {"state": "terminated", "walltime_s": None}, False),
        (0.1, {"types": ["besteffort"]}, True),
        (0.1, {"types": ["besteffort"], "state": "terminated"}, False),
        (0.1, {"types": None}, False),
        (2, {"types": None}, True),
    ],
)
def test_link_without_events_uses_walltime_type_and_state(
    events: list[str] | None, stop_h: float, changes: dict[str, Any], one: bool
) -> None:
    assert linked(job(1, 0, stop_h, events=events, **changes), job(2, 25, 49)) is one


def test_merge_of_overlapping_chains_keeps_them_apart() -> None:
    # 1 and 2 overlap, and so do 3 and 4: 3 resumes 2, which stopped last.
    found = merged(job(1, 0, 24), job(2, 1, 25), job(3, 26, 50), job(4, 27, 51))
    assert {each: run for each, (run, _) in found.items()} == {1: 1, 2: 2, 3: 2, 4: 1}


def test_merge_with_attempt_in_between_links_around_overlapping_attempt_only() -> None:
    # 2 resumes 1 and fails, so that 3 resumes no job: two runs.
    # 5 overlaps 4, and 6 resumes 4.
    found = merged(job(1, 0, 24), completed_job(2, 25, 25.1, exit_code=256), job(3, 26, 50))
    assert [run for run, _ in found.values()] == [1, 1, 3]
    found = merged(job(4, 0, 24), completed_job(5, 2, 3, exit_code=256), job(6, 25, 49))
    assert [run for run, _ in found.values()] == [4, 5, 4]


def array_line(job_id: int, array: int, index: int | None, start_h: float, **changes: Any) -> Any:
    """A line of an array, which its walltime of 1 h ended, unless changed."""
    start = {"array_id": array, "array_index": index, "walltime_s": 3600}
    return job(job_id, start_h, start_h + 1, **start | changes)


@pytest.mark.parametrize("indexed", [True, False])
def test_merge_of_array_lines_chains_resumed_lines_of_same_index(indexed: bool) -> None:
    # Arrays 10 and 20 have lines 1 and 2: each line of 20 resumes the same line of 10.
    # Without indices, lines follow from job ids.
    rows = [
        array_line(array + i, array, i + 1 if indexed else None, start_h + i)
        for array, start_h in ((10, 0), (20, 9))
        for i in (0, 1)
    ]
    assert merged(*rows) == {
        10: (10, "chain"),
        11: (11, "chain"),
        20: (10, "chain"),
        21: (11, "chain"),
    }


def test_link_excludes_other_lines_of_the_array() -> None:
    rows = [array_line(10, 10, 1, 0), array_line(11, 10, 2, 2)]
    assert [run for run, _ in merged(*rows).values()] == [10, 11]
    # Without array ids the submission counts: no job waited for the end of another.
    without_array = {"array_id": None, "array_index": None, "submitted_at": START}
    assert [run for run, _ in merged(*(row | without_array for row in rows)).values()] == [10, 11]


@pytest.mark.parametrize(
    ("previous", "one"),
    [
        (job(1, 0, 24), True),
        (job(1, 0, 24, events=None), True),
        (job(1, 0, 9, events=DELETION_EVENTS), False),  # a deletion cannot be foreseen
        (job(1, 0, 9, events=PREEMPTION_EVENTS), False),
        (job(1, 0, 24, array_id=None, array_index=None), False),  # it may be a line of an array
    ],
)
def test_link_of_job_submitted_before_the_end_requires_end_by_walltime(
    previous: dict[str, Any], one: bool
) -> None:
    assert linked(previous, job(2, 25, 49, submitted_at=START)) is one
    unknown = {"submitted_at": None}
    assert linked(previous, job(2, 25, 49, **unknown))


def test_link_of_preempted_line_accepts_job_outside_arrays() -> None:
    rows = [
        array_line(10, 10, 1, 0, events=PREEMPTION_EVENTS),
        completed_job(11, 0, 1, array_id=10, array_index=2),
    ]
    again = completed_job(15, 3, 4)
    assert merged(*rows, again) == {10: (10, "chain"), 11: (11, "single"), 15: (10, "chain")}


def test_merge_with_arrays_together_returns_one_run_an_array() -> None:
    never = job(12, None, None, array_id=10, array_index=3, events=["FRAG_JOB_REQUEST"])
    rows = [
        completed_job(10, 0, 1, array_id=10, array_index=1),
        array_line(11, 10, 2, 0),
        never,
        completed_job(20, 3, 4),  # resumes line 2
        completed_job(30, 90, 91),
    ]
    assert merged(*rows, arrays="together") == {
        10: (10, "array"),
        11: (10, "array"),
        12: (12, "single"),
        20: (10, "array"),
        30: (30, "single"),
    }
    assert merged(*rows)[10] == (10, "single")


def test_merge_of_interactive_and_unstarted_jobs_returns_single() -> None:
    rows = [
        job(1, 0, 24, job_type="INTERACTIVE"),
        job(2, 25, 49, job_type="INTERACTIVE"),
        job(3, None, None),
        job(4, 50, 60),
    ]
    assert {by for _, by in merged(*rows).values()} == {"single"}


JOB_ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 60),
        st.integers(0, 30),
        st.sampled_from(["killed", "deleted", "ended", "running"]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([0, 0, 5]),
    ),
    max_size=14,
)


@given(JOB_ROWS, st.sampled_from(["lines", "together"]), st.randoms())
@settings(max_examples=60)
def test_merge_of_any_jobs_returns_each_once_in_runs_without_overlap(
    drawn: list[Any], arrays: chains.ArrayMode, shuffle: Any
) -> None:
    rows = []
    for i, (command, start, lasts, how, index, waited_h) in enumerate(drawn):
        make = completed_job if how == "ended" else job
        row = make(i + 1, start, start + lasts, command=command)
        if how == "deleted":
            row["events"] = DELETION_EVENTS
        row["submitted_at"] -= timedelta(hours=waited_h)
        if how == "running":
            row |= {"stopped_at": None, "state": "running", "events": []}
        if index is not None:
            row |= {"array_id": 100 + i // 4, "array_index": index}
        rows.append(row)
    found = merged(*rows, arrays=arrays)
    assert sorted(found) == [row["job_id"] for row in rows]
    shuffled = rows[:]
    shuffle.shuffle(shuffled)
    assert merged(*shuffled, arrays=arrays) == found
    members: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        members.setdefault(found[row["job_id"]][0], []).append(row)
    for run, jobs in members.items():
        assert run == min(row["job_id"] for row in jobs)
        assert (len(jobs) == 1) == (found[run][1] == "single")
        if arrays == "lines" and len(jobs) > 1:
            assert {found[row["job_id"]][1] for row in jobs} == {"chain"}
            jobs.sort(key=lambda row: (row["started_at"], row["stopped_at"] is None))
            for one, other in pairwise(jobs):
                gap = other["started_at"] - one["stopped_at"]
                assert (
                    other["submitted_at"] >= one["stopped_at"] or one["events"] == WALLTIME_EVENTS
                )
                assert timedelta() <= gap <= timedelta(hours=48)
                assert one["command"] == other["command"]


@pytest.mark.parametrize("unknown", [(), ("events", "exit_code"), ("array_id", "array_index")])
def test_link_resumed_jobs_finds_chains_of_simulated_site(unknown: tuple[str, ...]) -> None:
    source = {"start": "2025-03-03", "end": "2025-04-28", "seed": 31}
    site = SimulatedSite.from_config(source, site="nancy")
    records = site.jobs(start=START, end=datetime(2025, 4, 28, tzinfo=UTC))
    jobs = records.jobs.with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in unknown)
    found = chains.link_resumed_jobs(chains.linkable_jobs(jobs, records.allocations), gap_h=48)
    ran = records.jobs.filter(pl.col("started_at").is_not_null()).select("job_id", "started_at")
    true = (
        site.true_kinds()
        .filter(pl.col("chain_id").is_not_null())
        .join(ran, on="job_id")
        .sort("chain_id", "started_at")
        .select(previous=pl.col("job_id").shift(1).over("chain_id"), next="job_id")
        .drop_nulls()
        .collect()
    )
    right = found.join(true, on=["previous", "next"], how="semi").height
    # Of 108 true links, three waited for nodes for over 48 h. Eight more were found: decodings that
    # reached their walltime, and lines of besteffort arrays, which the truth does not chain.
    assert (right, found.height, true.height) == (105, 113, 108)
