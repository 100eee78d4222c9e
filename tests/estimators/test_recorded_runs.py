"""Jobs of the runs that energy tools recorded, and rejected runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.estimators import recorded_runs
from footprint.schemas.raw import Allocations, Jobs, RejectedRows
from footprint.sources.tool_logs.run_records import RUN_SCHEMA
from tests.support.api_answers import NOON_S, nodes_table, reference_node

pytestmark = pytest.mark.filterwarnings("error")

START = datetime.fromtimestamp(NOON_S, UTC)
LIMIT_W = 1000.0
NODES = nodes_table(reference_node("gros-1"), reference_node("gros-2")).with_columns(
    max_plausible_power_w=LIMIT_W
)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def run(start: float = 0, stop: float = 60, **changes: Any) -> dict[str, Any]:
    """A run of CodeCarbon from a minute to another: 1 Wh of GPUs, 2 of processors."""
    return {
        "source": "emissions.csv",
        "line": 2,
        "tool": "codecarbon",
        "run": "r1",
        "started_at": at(start),
        "stopped_at": at(stop),
        "duration_s": (stop - start) * 60.0,
        "gpu_kwh": 0.001,
        "cpu_kwh": 0.002,
        "memory_kwh": 0.0005,
        "energy_kwh": 0.0035,
    } | changes


def job(
    job_id: int, *hosts: str, start: float | None = 0, stop: float | None = 60
) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "started_at": None if start is None else at(start),
        "stopped_at": None if stop is None else at(stop),
        "hosts": hosts or ("gros-1",),
    }


def matched(
    runs: list[dict[str, Any]], jobs: list[dict[str, Any]], nodes: pl.DataFrame = NODES
) -> recorded_runs.RecordedJobs:
    job_rows = [{key: each[key] for key in ("job_id", "started_at", "stopped_at")} for each in jobs]
    held = [{"job_id": each["job_id"], "node": host} for each in jobs for host in each["hosts"]]
    found = recorded_runs.match_runs_to_jobs(
        pl.DataFrame(runs, schema=RUN_SCHEMA),
        pl.LazyFrame(job_rows, schema=Jobs.create_empty().schema),
        pl.LazyFrame(held, schema=Allocations.create_empty().schema),
        nodes.lazy(),
    )
    assert found.jobs.schema == recorded_runs.RECORDED_JOB_SCHEMA
    assert found.rejected.schema == RejectedRows.create_empty().schema
    return found


def outcome(each: dict[str, Any], *jobs: dict[str, Any]) -> int | str:
    """The job of a run, or why there is none."""
    found = matched([each], list(jobs))
    if found.jobs.height:
        assert found.rejected.is_empty()
        return int(found.jobs["job_id"].item())
    return str(found.rejected["reason"].item())


# By the job that a run names


def test_match_runs_sums_the_runs_of_a_job() -> None:
    found = matched(
        [
            run(0, 20, job_id=7),
            run(30, 45, job_id=7, gpu_kwh=None, energy_kwh=0.0025),
            run(0, 60, job_id=8),
        ],
        [job(8), job(7), job(9)],
    )
    assert found.rejected.is_empty()
    assert found.jobs.rows() == [
        (7, "codecarbon", 2, 2100.0, 2100.0, None, 0.004, 0.001, 0.006),
        (8, "codecarbon", 1, 3600.0, 3600.0, 0.001, 0.002, 0.0005, 0.0035),
    ]


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, 60, 7),
        (-2, 62, 7),
        (-2.01, 60, "not while its job ran"),
        (0, 62.01, "not while its job ran"),
        (90, 95, "not while its job ran"),
    ],
)
def test_match_runs_more_than_two_minutes_outside_its_job_is_rejected(
    start: float, stop: float, expected: Any
) -> None:
    assert outcome(run(start, stop, job_id=7), job(7)) == expected
    by_host = expected if expected == 7 else "no job held its host at the time"
    assert outcome(run(start, stop, host="gros-1"), job(7)) == by_host


def test_match_runs_running_job_has_no_end_and_job_not_started_has_no_runs() -> None:
    assert outcome(run(9000, 9060, job_id=7), job(7, stop=None)) == 7
    assert outcome(run(9000, 9060, host="gros-1"), job(7, stop=None)) == 7
    never = job(7, start=None, stop=None)
    assert outcome(run(job_id=7), never) == "not while its job ran"
    assert outcome(run(host="gros-1"), never) == "no job held its host at the time"


def test_match_runs_uses_the_named_job_whatever_held_the_host() -> None:
    assert outcome(run(job_id=7, host="gros-1"), job(7, "gros-2"), job(8, "gros-1")) == 7
    early = job(7, "gros-2", start=-90, stop=-30)
    assert outcome(run(job_id=7, host="gros-1"), early, job(8)) == "not while its job ran"


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([7], 7),
        ([99, 7, 5], 7),  # of the named jobs, only 7 ran then
        ([7, 8], "several jobs that its names contain ran at the time"),
        ([5], "not while its job ran"),
        ([99], "its job is not known"),
        ([], "neither a job nor a host is named"),
    ],
)
def test_match_runs_candidate_counts_if_it_alone_is_a_job_that_ran_then(
    candidates: list[int], expected: Any
) -> None:
    jobs = [job(7), job(8, "gros-2"), job(5, start=-90, stop=-30)]
    assert outcome(run(job_candidates=candidates), *jobs) == expected
    assert outcome(run(job_candidates=candidates, job_id=8), *jobs) == 8
    unknown = (
        "its job is not known" if expected == "neither a job nor a host is named" else expected
    )
    assert outcome(run(job_candidates=candidates, job_id=98), *jobs) == unknown
    on_host = 7 if candidates != [7, 8] else expected
    assert outcome(run(job_candidates=candidates, host="gros-1"), *jobs) == on_host


# Clocks


@pytest.mark.parametrize("hints", [{"job_id": 7}, {"job_candidates": [7]}])
def test_match_runs_time_that_only_fits_as_utc_is_read_as_utc(hints: dict[str, Any]) -> None:
    # 12:00 of a clock in UTC was taken for 12:00 in Paris, 11:00Z; the job ran from 12:00Z
    early = run(-60, -10, is_local_time=True, **hints)
    found = matched([early, run(30, 60, line=3, is_local_time=True, **hints)], [job(7)])
    assert found.jobs.select("n_runs", "duration_s").row(0) == (1, 3000.0)
    reasons = dict(found.rejected.select("reason", "n_rows").iter_rows())
    clock = "its clock is in UTC, since only then its job ran: read as such"
    assert reasons == {clock: 1, "the same machine, at the same time": 1}
    with_offset = early | {"is_local_time": False}
    assert outcome(with_offset, job(7)) == "not while its job ran"
    assert outcome(run(-90, -70, is_local_time=True, **hints), job(7)) == "not while its job ran"


def test_match_runs_time_in_summer_is_two_hours_from_utc() -> None:
    summer = timedelta(days=150)
    late = job(7) | {"started_at": START + summer, "stopped_at": at(60) + summer}
    early = run(-120, -60, job_id=7, is_local_time=True)
    early |= {key: early[key] + summer for key in ("started_at", "stopped_at")}
    found = matched([early], [late])
    assert found.jobs["duration_s"].to_list() == [3600]


def test_match_runs_host_without_a_job_is_not_assigned_by_a_clock_in_utc() -> None:
    early = run(-60, -10, host="gros-1", is_local_time=True)
    expected = "no job held its host at the time; one did if its clock is in UTC"
    assert outcome(early, job(7)) == expected
    assert outcome(early, job(7, "gros-2")) == "no job held its host at the time"


# By host and time


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        ({"host": "gros-1"}, 7),
        ({"host": "gros-2"}, "several jobs held its host at the time"),
        ({"host": "gros-3"}, "no job held its host at the time"),
        ({}, "neither a job nor a host is named"),
        ({"job_id": 99}, "its job is not known"),
        ({"job_id": 99, "host": "gros-1"}, 7),
        ({"job_id": 99, "host": "gros-2"}, "several jobs held its host at the time"),
        ({"job_id": 99, "host": "gros-3"}, "its job is not known"),
    ],
)
def test_match_runs_without_a_known_job_uses_host_and_time(
    hints: dict[str, Any], expected: Any
) -> None:
    jobs = [job(7, "gros-1", "gros-2"), job(8, "gros-2"), job(9, "gros-1", start=30)]
    assert outcome(run(**hints), *jobs) == expected


def test_match_runs_finds_jobs_over_several_days_on_each_day() -> None:
    day = 24 * 60
    jobs = [job(7, start=-3 * day, stop=3 * day), job(8, start=3 * day + 5, stop=4 * day)]
    runs = [run(day * n, day * n + 60, host="gros-1", line=n + 10) for n in range(-3, 3)]
    # it starts in the margin before its job, on the day before (12 h before noon is midnight)
    runs.append(run(-day / 2 - 1, -day / 2 + 1, host="gros-2"))
    found = matched(runs, [*jobs, job(9, "gros-2", start=-day / 2, stop=0)])
    assert found.jobs.select("job_id", "n_runs").rows() == [(7, 6), (9, 1)]


# What cannot be, and what counts twice


def test_match_runs_rejects_more_energy_than_the_nodes_can_draw() -> None:
    one, two = job(7), job(8, "gros-1", "gros-2")
    expected = "more power than the nodes can draw"
    assert outcome(run(job_id=7, energy_kwh=0.999), one) == 7
    assert outcome(run(job_id=7, energy_kwh=1.001), one) == expected
    assert outcome(run(job_id=8, energy_kwh=1.999), two) == 8
    assert outcome(run(job_id=8, energy_kwh=2.001), two) == expected


def test_match_runs_limit_of_a_changed_node_is_its_highest() -> None:
    later = NODES.with_columns(valid_from=pl.lit(START), max_plausible_power_w=pl.lit(3000.0))
    nodes = pl.concat([NODES, later.select(NODES.columns)])
    assert matched([run(job_id=7, energy_kwh=2.9)], [job(7)], nodes).jobs.height == 1
    assert matched([run(job_id=7, energy_kwh=3.1)], [job(7)], nodes).jobs.is_empty()


def test_match_runs_node_without_description_has_no_limit() -> None:
    assert outcome(run(job_id=7, energy_kwh=99.0), job(7, "gros-1", "grele-1")) == 7


@pytest.mark.parametrize(
    ("start", "stop", "tools", "reason"),
    [
        (10, 20, "codecarbon", "another tool recorded the same time"),
        (-1, 61, "codecarbon", "another tool recorded the same time"),
        (29, 45, "codecarbon", "another tool recorded the same time"),
        (30, 45, "carbontracker+codecarbon", None),
        (45, 50, "carbontracker+codecarbon", None),
    ],
)
def test_match_runs_overlap_of_two_tools_keeps_codecarbon(
    start: float, stop: float, tools: str, reason: str | None
) -> None:
    runs = [
        run(0, 30, job_id=7),
        run(start, stop, job_id=7, tool="carbontracker", source="a.log"),
        run(start, stop, job_id=8, tool="carbontracker", source="b.log"),
    ]
    found = matched(runs, [job(7), job(8)])
    assert found.jobs["tools"].to_list() == [tools, "carbontracker"]
    assert found.rejected["reason"].to_list() == ([reason] if reason else [])


def test_match_runs_rejected_run_does_not_displace_another() -> None:
    runs = [run(job_id=7, energy_kwh=50.0), run(job_id=7, tool="carbontracker", line=3)]
    found = matched(runs, [job(7)])
    assert found.jobs["tools"].to_list() == ["carbontracker"]
    assert found.rejected["reason"].to_list() == ["more power than the nodes can draw"]


@pytest.mark.parametrize(
    ("starts_and_stops", "used"),
    [
        ([(0, 59), (0, 59), (0, 59), (0, 59)], 59),  # four ranks, of which the first counts
        ([(5, 6), (0, 30)], 30),  # the longest counts, whatever stands first
        ([(0, 20), (10, 40), (35, 60)], 30),  # 10 to 40 is the longest: both others overlap it
        ([(0, 20), (20, 40), (40, 60)], 60),
        ([(0, 20.05), (20, 40.05), (40, 60)], 60.1),  # times are cut to seconds
        ([(0, 20.5), (20, 40)], 20.5),
        ([(0, 0.05), (0, 0.05)], 0.05),  # short runs do not hide in that either
        ([(0, 30), (10, 10)], 30),  # no time at all
    ],
)
def test_match_runs_overlapping_runs_of_one_machine_count_once(
    starts_and_stops: list[tuple[float, float]], used: float
) -> None:
    runs = [
        run(
            start,
            stop,
            job_id=7,
            line=line,
            gpu_kwh=(stop - start) / 1e4,
            energy_kwh=(stop - start) / 1e4,
        )
        for line, (start, stop) in enumerate(starts_and_stops, start=2)
    ]
    found = matched(runs, [job(7)])
    assert found.jobs["duration_s"].item() == pytest.approx(used * 60)
    assert found.jobs["gpu_kwh"].item() == pytest.approx(used / 1e4)
    reasons = found.rejected["reason"].to_list()
    assert set(reasons) <= {"the same machine, at the same time"}
    assert found.jobs["n_runs"].item() + found.rejected["n_rows"].sum() == len(runs)


def test_match_runs_runs_with_different_hosts_are_of_different_machines() -> None:
    pair = job(7, "gros-1", "gros-2")
    runs = [run(job_id=7, host="gros-1"), run(5, 60, job_id=7, host="gros-2")]
    found = matched(runs, [pair])
    assert found.rejected.is_empty()
    assert found.jobs.select("n_runs", "duration_s", "least_node_s").row(0) == (2, 6900, 3300)
    again = matched([*runs, run(10, 20, job_id=7, host="gros-2", line=9)], [pair])
    assert again.jobs.equals(found.jobs)
    assert again.rejected["example"].to_list() == ["line 9"]
    # both tools count, each on its node
    other = matched([runs[0], run(job_id=7, host="gros-2", tool="carbontracker")], [pair])
    assert other.jobs["tools"].to_list() == ["carbontracker+codecarbon"]


@pytest.mark.parametrize(
    ("hosts", "n_used", "least_s"),
    [
        (["gros-1"], 1, 0),  # no record of gros-2
        ([None], 1, 0),
        (["gros-1", None], 1, 0),  # the second one may be a rank on gros-1
        ([None, None], 1, 0),
        (["gros-1", "gros-2", None], 2, 3600),
        (["gros-3"], 1, 0),  # a host that the job did not hold
        (["gros-1", "gros-1", "gros-2"], 2, 3600),
    ],
)
def test_match_runs_on_several_nodes_gives_the_time_of_the_least_recorded_node(
    hosts: list[str | None], n_used: int, least_s: float
) -> None:
    runs = [run(job_id=7, host=host, line=line) for line, host in enumerate(hosts)]
    found = matched(runs, [job(7, "gros-1", "gros-2")])
    assert found.jobs.select("n_runs", "least_node_s").row(0) == (n_used, least_s)
    assert found.rejected["n_rows"].sum() == len(hosts) - n_used
    unknown = "the same time as another record, and its node is not known"
    if n_used < len(hosts) and None in hosts:
        assert found.rejected["reason"].to_list() == [unknown]


def test_match_runs_with_one_node_are_of_it_whatever_host_is_named() -> None:
    runs = [run(job_id=7, host="gros-2"), run(job_id=7, host=None, line=3)]
    found = matched(runs, [job(7)])
    assert found.jobs.select("n_runs", "least_node_s").row(0) == (1, 3600)
    assert found.rejected["reason"].to_list() == ["the same machine, at the same time"]


def test_match_runs_used_run_with_a_limit_is_counted_and_used() -> None:
    runs = [run(0, 20, job_id=7, limit="no parts"), run(30, 40, job_id=9, limit="no parts")]
    found = matched(runs, [job(7)])
    assert found.jobs["n_runs"].to_list() == [1]
    assert dict(found.rejected.select("reason", "n_rows").iter_rows()) == {
        "no parts": 1,
        "its job is not known": 1,
    }


def test_match_runs_counts_whole_files_without_a_line() -> None:
    unread = {"source": "README.md", "run": "README.md", "reason": "of no tool that is known"}
    found = matched([unread], [job(7)])
    assert found.rejected.rows() == [
        ("recorded", "README.md", "of no tool that is known", 1, "the whole file")
    ]


# Counts


def test_match_runs_counts_rejected_runs_by_file_and_reason() -> None:
    unread = {"source": "x.log", "line": 1, "tool": "carbontracker", "reason": "no energy"}
    runs = [
        run(job_id=99, line=7),
        run(job_id=99, line=5),
        run(line=3),
        run(job_id=99, source="b.csv"),
        run(job_id=7, reason="negative energy", cpu_kwh=-1.0),
        unread,
    ]
    found = matched(runs, [job(7)])
    assert found.jobs.is_empty()
    assert found.rejected.rows() == [
        ("recorded", "b.csv", "its job is not known", 1, "line 2"),
        ("recorded", "emissions.csv", "its job is not known", 2, "line 5"),
        ("recorded", "emissions.csv", "negative energy", 1, "line 2"),
        ("recorded", "emissions.csv", "neither a job nor a host is named", 1, "line 3"),
        ("recorded", "x.log", "no energy", 1, "line 1"),
    ]


def test_match_runs_without_runs_and_jobs_gives_empty_tables() -> None:
    found = matched([], [])
    assert found.jobs.is_empty()
    assert found.rejected.is_empty()
    assert outcome(run(host="gros-1")) == "no job held its host at the time"


MINUTES = st.integers(-3000, 3000)
HOSTS = st.sampled_from(["gros-1", "gros-2", "grele-1"])
RUN = st.builds(
    lambda start, length, energy, **changes: run(
        start, start + length, energy_kwh=energy, **changes
    ),
    start=MINUTES,
    length=st.integers(0, 2000),
    energy=st.sampled_from([0.0, 0.0035, 40.0]),
    tool=st.sampled_from(["codecarbon", "carbontracker"]),
    source=st.sampled_from(["a", "b"]),
    line=st.integers(1, 9),
    job_id=st.none() | st.integers(0, 5),
    host=st.none() | HOSTS,
    reason=st.none() | st.just("no energy"),
)
JOB = st.builds(
    lambda job_id, start, length, hosts: job(
        job_id, *hosts, start=start, stop=None if length is None else start + length
    ),
    job_id=st.integers(0, 4),
    start=MINUTES,
    length=st.none() | st.integers(0, 4000),
    hosts=st.sets(HOSTS, min_size=1),
)


@given(st.lists(RUN, max_size=12), st.lists(JOB, max_size=5, unique_by=lambda each: each["job_id"]))
def test_match_runs_every_run_is_used_or_rejected_once(
    runs: list[dict[str, Any]], jobs: list[dict[str, Any]]
) -> None:
    found = matched(runs, jobs)
    assert found.jobs["n_runs"].sum() + found.rejected["n_rows"].sum() == len(runs)

    def inside(each: dict[str, Any], of: dict[str, Any]) -> bool:
        margin, end = timedelta(minutes=2), of["stopped_at"]
        begins = each["started_at"] >= of["started_at"] - margin
        return bool(begins and (end is None or each["stopped_at"] <= end + margin))

    expected: dict[int, int] = {}
    by_id = {each["job_id"]: each for each in jobs}
    for each in runs:
        if each["reason"] is not None:
            continue
        if each["job_id"] in by_id:
            candidates = [by_id[each["job_id"]]]
        else:
            candidates = [of for of in jobs if each["host"] in of["hosts"]]
        candidates = [of for of in candidates if inside(each, of)]
        if len(candidates) == 1:
            job_id = candidates[0]["job_id"]
            expected[job_id] = expected.get(job_id, 0) + 1
    later = (
        "more power than the nodes can draw",
        "another tool recorded the same time",
        "the same machine, at the same time",
        "the same time as another record, and its node is not known",
    )
    n_later = found.rejected.filter(pl.col("reason").is_in(later))["n_rows"].sum()
    assert found.jobs["n_runs"].sum() + n_later == sum(expected.values())
    assert all(n <= expected[job_id] for job_id, n in found.jobs[["job_id", "n_runs"]].iter_rows())
