"""Which jobs are one run: chains of resumed jobs, and arrays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint import tables
from footprint.phases import runs
from footprint.site.simulated import SimulatedSite

pytestmark = pytest.mark.filterwarnings("error")

T0 = datetime(2025, 3, 3, tzinfo=UTC)
KILLED = ["FRAG_JOB_REQUEST", "WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
PUSHED = ["BESTEFFORT_KILL", "FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
DELETED = ["FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
SCHEMA = tables.Jobs.create_empty().schema


def job(job_id: int, start_h: float | None, stop_h: float | None, **changes: Any) -> dict[str, Any]:
    """A job of 24 h of walltime that was killed by it, unless changed; times in hours from T0."""

    def at(hours: float | None) -> datetime | None:
        return None if hours is None else T0 + timedelta(hours=hours)

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
        "submitted_at": at(start_h),
        "started_at": at(start_h),
        "stopped_at": at(stop_h),
        "walltime_s": 24 * 3600,
        "exit_code": None,
        "events": KILLED,
    }
    return usual | changes


def ended(job_id: int, start_h: float, stop_h: float, **changes: Any) -> dict[str, Any]:
    """A job that ended by itself."""
    events = ["SWITCH_INTO_TERMINATE_STATE"]
    usual = {"state": "terminated", "exit_code": 0, "events": events}
    return job(job_id, start_h, stop_h, **usual | changes)


def merged(
    *rows: dict[str, Any], gap_h: float = 48, nodes: dict[int, list[str]] | None = None, **how: Any
) -> dict[int, tuple[int, str]]:
    """Run of each job, and how it was merged."""
    allocations = None
    if nodes is not None:
        held = [(each, node) for each, names in nodes.items() for node in names]
        allocations = pl.LazyFrame(held, {"job_id": pl.Int64, "node": pl.String}, orient="row")
    found = runs.merge(
        pl.LazyFrame(rows, schema=SCHEMA), gap_h=gap_h, allocations=allocations, **how
    )
    checked = tables.conform(tables.RunOfJob, found)
    return {each: (run, str(by)) for each, run, by in checked.iter_rows()}


def linked(first: dict[str, Any], second: dict[str, Any], **how: Any) -> bool:
    """Whether two jobs are one run."""
    found = merged(first, second, **how)
    return len({run for run, _ in found.values()}) == 1


def test_jobs_resumed_after_each_walltime_are_one_run_named_by_the_first() -> None:
    # 3 links of 24 h, 1 h and 47 h apart, the last of which ends by itself; job 9 comes after it.
    found = merged(job(7, 0, 24), job(5, 25, 49), ended(8, 96, 99), job(9, 100, 124))
    assert found == {
        5: (5, "chain"),  # the smallest id, though it started second
        7: (5, "chain"),
        8: (5, "chain"),
        9: (9, "single"),
    }


def test_no_jobs_no_runs() -> None:
    assert merged() == {}


@pytest.mark.parametrize(
    ("stop_h", "start_h", "one"),
    [(24, 72, True), (24, 72.001, False), (24, 24, True), (24, 23.999, False)],
    ids=["after 48 h", "later", "at once", "overlapping"],
)
def test_the_next_starts_after_the_end_and_not_too_late(
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
def test_jobs_that_differ_are_two_runs(difference: dict[str, Any]) -> None:
    assert not linked(job(1, 0, 24), job(2, 25, 49) | difference)
    assert linked(job(1, 0, 24, project=None), job(2, 25, 49, project=None))


@pytest.mark.parametrize(
    "command",
    [None, "", "sleep infinity", "bash -c 'while true; do sleep 60; done'", "jupyter lab"],
)
def test_what_only_holds_nodes_is_never_resumed(command: str | None) -> None:
    assert not linked(job(1, 0, 24, command=command), job(2, 25, 49, command=command))


def test_a_chain_stays_on_its_clusters() -> None:
    pair = job(1, 0, 24), job(2, 25, 49)
    assert linked(*pair, nodes={1: ["grue-1", "grue-2"], 2: ["grue-5", "grue-1"]})
    assert not linked(*pair, nodes={1: ["grue-1"], 2: ["gres-1"]})
    assert not linked(*pair, nodes={1: ["grue-1"], 2: ["grue-1", "gres-1"]})
    assert linked(*pair, nodes={})


@pytest.mark.parametrize(
    ("previous", "one"),
    [
        (job(1, 0, 0.1, events=PUSHED, types=["besteffort"]), True),
        (job(1, 0, 24, events=["WALLTIME"]), True),
        (job(1, 0, 24, exit_code=0, state="terminated"), True),  # a last checkpoint at the signal
        (ended(1, 0, 9, exit_code=256), False),
        (ended(1, 0, 24), False),  # as long as its walltime, but it ended by itself
        (ended(1, 0, 9, exit_code=99 * 256, types=["idempotent"]), True),
        (ended(1, 0, 9, exit_code=99 * 256), False),
        (job(1, 0, 9, events=DELETED), True),
        (job(1, 0, 1, events=DELETED), True),
        (job(1, 0, 0.99, events=DELETED), False),  # an attempt, deleted within the hour
        (job(1, 0, 9, events=["SOMETHING"]), True),  # state `error`, no exit code
        (job(1, 0, 0, events=KILLED), False),  # it never did anything
        (job(1, 0, None, state="running", events=[]), False),
    ],
)
def test_the_previous_one_was_cut_short(previous: dict[str, Any], one: bool) -> None:
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
def test_sources_without_events_fall_back_to_walltime_type_and_state(
    events: list[str] | None, stop_h: float, changes: dict[str, Any], one: bool
) -> None:
    assert linked(job(1, 0, stop_h, events=events, **changes), job(2, 25, 49)) is one


def test_two_chains_side_by_side_stay_two() -> None:
    # 1 and 2 overlap, and so do 3 and 4: 3 goes on with 2, which stopped last.
    found = merged(job(1, 0, 24), job(2, 1, 25), job(3, 26, 50), job(4, 27, 51))
    assert {each: run for each, (run, _) in found.items()} == {1: 1, 2: 2, 3: 2, 4: 1}


def test_an_attempt_in_between_does_not_break_a_chain() -> None:
    # 2 takes the place behind 1, fails, and 3 has nothing to go on with: two runs.
    # 5 ran beside 4 all along, and is no reason to part 4 and 6.
    found = merged(job(1, 0, 24), ended(2, 25, 25.1, exit_code=256), job(3, 26, 50))
    assert [run for run, _ in found.values()] == [1, 1, 3]
    found = merged(job(4, 0, 24), ended(5, 2, 3, exit_code=256), job(6, 25, 49))
    assert [run for run, _ in found.values()] == [4, 5, 4]


def line(job_id: int, array: int, index: int | None, start_h: float, **changes: Any) -> Any:
    start = {"array_id": array, "array_index": index, "walltime_s": 3600}
    return job(job_id, start_h, start_h + 1, **start | changes)


@pytest.mark.parametrize("indexed", [True, False])
def test_lines_of_arrays_are_runs_unless_they_were_resumed(indexed: bool) -> None:
    # Array 10 with lines 1 and 2, and array 20 with the same: each line goes on with its like.
    # Without indices, they follow from the ids.
    rows = [
        line(array + i, array, i + 1 if indexed else None, start_h + i)
        for array, start_h in ((10, 0), (20, 9))
        for i in (0, 1)
    ]
    assert merged(*rows) == {
        10: (10, "chain"),
        11: (11, "chain"),
        20: (10, "chain"),
        21: (11, "chain"),
    }


def test_a_line_is_no_sequel_to_another_line() -> None:
    rows = [line(10, 10, 1, 0), line(11, 10, 2, 2)]
    assert [run for run, _ in merged(*rows).values()] == [10, 11]
    # A source without array ids knows by their submission: none waited for the end of another.
    nameless = {"array_id": None, "array_index": None, "submitted_at": T0}
    assert [run for run, _ in merged(*(row | nameless for row in rows)).values()] == [10, 11]


@pytest.mark.parametrize(
    ("previous", "one"),
    [
        (job(1, 0, 24), True),
        (job(1, 0, 24, events=None), True),
        (job(1, 0, 9, events=DELETED), False),  # nobody foresees that
        (job(1, 0, 9, events=PUSHED), False),
        (job(1, 0, 24, array_id=None, array_index=None), False),  # it may be a line of an array
    ],
)
def test_only_the_end_of_the_walltime_is_waited_for(previous: dict[str, Any], one: bool) -> None:
    assert linked(previous, job(2, 25, 49, submitted_at=T0)) is one
    unknown = {"submitted_at": None}
    assert linked(previous, job(2, 25, 49, **unknown))


def test_a_line_that_was_pushed_aside_goes_on_as_a_job_of_its_own() -> None:
    rows = [line(10, 10, 1, 0, events=PUSHED), ended(11, 0, 1, array_id=10, array_index=2)]
    again = ended(15, 3, 4)
    assert merged(*rows, again) == {10: (10, "chain"), 11: (11, "single"), 15: (10, "chain")}


def test_arrays_together_are_one_run_each() -> None:
    never = job(12, None, None, array_id=10, array_index=3, events=["FRAG_JOB_REQUEST"])
    rows = [
        ended(10, 0, 1, array_id=10, array_index=1),
        line(11, 10, 2, 0),
        never,
        ended(20, 3, 4),  # goes on with line 2
        ended(30, 90, 91),
    ]
    assert merged(*rows, arrays="together") == {
        10: (10, "array"),
        11: (10, "array"),
        12: (12, "single"),
        20: (10, "array"),
        30: (30, "single"),
    }
    assert merged(*rows)[10] == (10, "single")


def test_interactive_jobs_and_those_that_never_started_are_single() -> None:
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
def test_runs_hold_every_job_once_and_never_overlap(
    drawn: list[Any], arrays: runs.Arrays, shuffle: Any
) -> None:
    rows = []
    for i, (command, start, lasts, how, index, waited_h) in enumerate(drawn):
        make = ended if how == "ended" else job
        row = make(i + 1, start, start + lasts, command=command)
        if how == "deleted":
            row["events"] = DELETED
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
                assert other["submitted_at"] >= one["stopped_at"] or one["events"] == KILLED
                assert timedelta() <= gap <= timedelta(hours=48)
                assert one["command"] == other["command"]


@pytest.mark.parametrize("unknown", [(), ("events", "exit_code"), ("array_id", "array_index")])
def test_chains_of_the_simulated_site_are_found(unknown: tuple[str, ...]) -> None:
    source = {"start": "2025-03-03", "end": "2025-04-28", "seed": 31}
    site = SimulatedSite.from_config(source, site="nancy")
    records = site.jobs(start=T0, end=datetime(2025, 4, 28, tzinfo=UTC))
    jobs = records.jobs.with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in unknown)
    links = runs.links(jobs, gap_h=48, allocations=records.allocations)
    ran = records.jobs.filter(pl.col("started_at").is_not_null()).select("job_id", "started_at")
    true = (
        site.truth_of_jobs()
        .filter(pl.col("chain_id").is_not_null())
        .join(ran, on="job_id")
        .sort("chain_id", "started_at")
        .select(previous=pl.col("job_id").shift(1).over("chain_id"), next="job_id")
        .drop_nulls()
        .collect()
    )
    right = links.join(true, on=["previous", "next"], how="semi").height
    # Of 108 links, three waited for their nodes for over 48 h. Eight more were found: decodings
    # cut at their walltime, and lines of besteffort arrays, which the truth does not chain.
    assert (right, links.height, true.height) == (105, 113, 108)
