"""What inner jobs and overlapping jobs leave of allocations, against a brute force."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.allocation import node_allocations
from footprint.allocation.remainders import (
    INTERVAL_COLUMNS,
    without_inner_jobs,
    without_overlaps,
)
from tests.allocation.test_node_allocations import START, at, build, held, intervals_of, job

N_S = 16
SCHEMA = {name: node_allocations.ALLOCATION_SCHEMA[name] for name in INTERVAL_COLUMNS}
INNER_SCHEMA = {"job_id": pl.Int64, "container_id": pl.Int64}

Interval = tuple[int, str, int, int, float]
Shares = dict[tuple[int, str], list[float | None]]


def interval_rows(intervals: list[Interval]) -> pl.LazyFrame:
    """Intervals (job, node, start and stop in seconds, share), with 4 GPUs and 8 cores a node."""
    rows = [
        (job_id, name, at(start), at(stop), share, 4 * share, 8 * share)
        for job_id, name, start, stop, share in intervals
    ]
    return pl.LazyFrame(rows, SCHEMA, orient="row")


def pair_rows(*pairs: tuple[int, int]) -> pl.LazyFrame:
    """Pairs of a job and its container."""
    return pl.LazyFrame(pairs, INNER_SCHEMA, orient="row")


def shares_by_second(intervals: list[Interval]) -> Shares:
    """Share of each job and node in each second; None: it does not hold the node."""
    found: Shares = defaultdict(lambda: [None] * N_S)
    for job_id, name, start, stop, share in intervals:
        own = found[job_id, name]
        for second in range(start, stop):
            assert own[second] is None
            own[second] = share
    return found


def seconds(moment: datetime) -> int:
    return round((moment - START).total_seconds())


def intervals_found(rows: pl.DataFrame) -> list[Interval]:
    """Intervals of a result, whose GPUs and cores must have the share of the interval."""
    for row in rows.iter_rows(named=True):
        assert row["gpus"] == pytest.approx(4 * row["share"], abs=1e-9)
        assert row["cores"] == pytest.approx(8 * row["share"], abs=1e-9)
    columns = rows.select("job_id", "node", "started_at", "stopped_at", "share").rows()
    return [(i, name, seconds(a), seconds(b), share) for i, name, a, b, share in columns]


def assert_shares(found: list[Interval], expected: Shares) -> None:
    by_second = shares_by_second(found)
    for key, shares in expected.items():
        for second, share in enumerate(shares):
            value = by_second[key][second]
            assert (value is None) == (share is None), (key, second)
            if value is not None and share is not None:
                assert value == pytest.approx(share, abs=1e-12)
    assert {key for key, shares in by_second.items() if any(s is not None for s in shares)} <= set(
        expected
    )


@st.composite
def held_intervals(draw: st.DrawFn) -> list[Interval]:
    """Up to four jobs on two nodes, each with up to two suspensions."""
    intervals = []
    for job_id in range(draw(st.integers(1, 4))):
        for name in draw(st.sampled_from([["a"], ["b"], ["a", "b"]])):
            bounds = draw(
                st.lists(st.integers(0, N_S), min_size=2, max_size=6, unique=True).map(sorted)
            )
            share = draw(st.sampled_from([1.0, 0.5, 1 / 3, 0.1]))
            pairs = zip(bounds[::2], bounds[1::2], strict=False)
            intervals += [(job_id, name, start, stop, share) for start, stop in pairs]
    return intervals


@settings(deadline=None)
@given(held_intervals(), st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4))
def test_without_inner_jobs_equals_a_brute_force_by_second(
    intervals: list[Interval], pairs: set[tuple[int, int]]
) -> None:
    inner = sorted((inside, container) for inside, container in pairs if inside != container)
    gross = shares_by_second(intervals)
    expected: Shares = {
        (job_id, name): [
            None
            if share is None
            else share
            - sum(
                gross[inside, name][second] or 0.0
                for inside, container in inner
                if container == job_id and (inside, name) in gross
            )
            for second, share in enumerate(shares)
        ]
        for (job_id, name), shares in gross.copy().items()
    }
    left = without_inner_jobs(interval_rows(intervals), pair_rows(*inner)).collect()
    assert left.schema == SCHEMA
    assert_shares(intervals_found(left), expected)


@settings(deadline=None)
@given(held_intervals(), st.data())
def test_without_overlaps_equals_a_brute_force_by_second(
    intervals: list[Interval], data: st.DataObject
) -> None:
    gross = shares_by_second(intervals)
    lost: list[Interval] = []
    for job_id, name, start, stop, share in intervals:
        if stop - start < 2 or not data.draw(st.booleans()):
            continue
        bounds = st.lists(st.integers(start, stop), min_size=2, max_size=3, unique=True)
        first, *others = data.draw(bounds.map(sorted))
        for until in others:  # parts of a third or all of the share, one after the other
            part = share * data.draw(st.sampled_from([1.0, 1 / 3]))
            lost.append((job_id, name, first, until, part))
            first = until
    taken = shares_by_second(lost)
    expected: Shares = {}
    for key, shares in gross.items():
        gone = taken[key]
        left = [None if s is None else s - (gone[i] or 0.0) for i, s in enumerate(shares)]
        expected[key] = [s if s is not None and s > 1e-9 else None for s in left]
    found = without_overlaps(interval_rows(intervals), interval_rows(lost).collect()).collect()
    assert found.schema == SCHEMA
    assert_shares(intervals_found(found), expected)


@settings(deadline=None)
@given(held_intervals(), st.integers(0, N_S), st.integers(1, N_S))
def test_clip_allocations_opens_and_closes_where_the_job_does_not_hold_the_node(
    intervals: list[Interval], first: int, length: int
) -> None:
    # each interval is cut in two: no job opens or closes at the cut
    cut = [
        (job_id, name, *bounds, share * (0.5 if i else 1.0))
        for job_id, name, start, stop, share in intervals
        for i, bounds in enumerate([(start, (start + stop) // 2), ((start + stop) // 2, stop)])
        if bounds[0] < bounds[1]
    ]
    last = min(first + length, N_S)
    holds = shares_by_second(cut)
    clipped = node_allocations.clip_allocations(
        interval_rows(cut), start=at(first), end=at(last)
    ).collect()
    assert clipped.schema == node_allocations.ALLOCATION_SCHEMA
    assert clipped.equals(clipped.sort("node", "started_at", "job_id"))
    expected = sorted((i, n, max(a, first), min(b, last), s) for i, n, a, b, s in cut)
    expected = [each for each in expected if each[2] < each[3]]
    assert sorted(intervals_found(clipped)) == expected
    for row in clipped.iter_rows(named=True):
        own, start = holds[row["job_id"], row["node"]], seconds(row["started_at"])
        stop = seconds(row["stopped_at"])
        assert row["opens"] == (start == 0 or own[start - 1] is None)
        assert row["closes"] == (stop == N_S or own[stop] is None)


def test_without_inner_jobs_ignores_inner_jobs_while_the_container_is_suspended() -> None:
    intervals: list[Interval] = [(1, "a", 0, 4, 1.0), (1, "a", 8, 12, 1.0), (2, "a", 2, 10, 0.25)]
    left = without_inner_jobs(interval_rows(intervals), pair_rows((2, 1))).collect()
    assert sorted(intervals_found(left)) == [
        (1, "a", 0, 2, 1.0),
        (1, "a", 2, 4, 0.75),
        (1, "a", 8, 10, 0.75),
        (1, "a", 10, 12, 1.0),
        (2, "a", 2, 10, 0.25),
    ]


def test_suspension_of_no_length_is_no_start_or_end_of_the_job() -> None:
    pause = [{"started_at": at(40), "stopped_at": at(40)}]
    allocations = build([job(1, 0, 100, suspensions=pause)], [held(1, [0])])
    assert intervals_of(allocations) == [(1, 0, 40, 0.125), (1, 40, 100, 0.125)]
    assert allocations.select("opens", "closes").rows() == [(True, False), (False, True)]


def test_suspension_ends_and_starts_the_job() -> None:
    pause = [{"started_at": at(40), "stopped_at": at(50)}]
    allocations = build([job(1, 0, 100, suspensions=pause)], [held(1, [0])])
    assert allocations.select("opens", "closes").rows() == [(True, True), (True, True)]
    assert allocations["started_at"].to_list() == [START, START + timedelta(seconds=50)]


def test_clip_allocations_compares_intervals_of_the_same_job_and_node_alone() -> None:
    intervals: list[Interval] = [(1, "a", 0, 4, 1.0), (1, "b", 4, 8, 1.0), (2, "b", 8, 12, 1.0)]
    clipped = node_allocations.clip_allocations(
        interval_rows(intervals), start=START, end=at(N_S)
    ).collect()
    assert clipped.select("opens", "closes").rows() == [(True, True)] * 3


def test_suspension_after_the_end_of_the_job_has_no_effect() -> None:
    late = [{"started_at": at(120), "stopped_at": at(150)}]
    allocations = build([job(1, 0, 100, suspensions=late)], [held(1, [0])])
    assert intervals_of(allocations) == [(1, 0, 100, 0.125)]
