"""Jobs that hold the same cores at the same time: trimmed, shared, or refused."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.allocation import containers, gpu_allocations, node_allocations
from footprint.allocation.overlaps import losses_of_jobs, losses_on_cores
from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, Nodes
from tests.allocation.test_node_allocations import (
    END,
    START,
    at,
    build,
    held,
    intervals_of,
    job,
    node,
    rows,
)

WHOLE = list(range(8))
SHARED = ["timesharing=*,*"]


def overlaps(jobs: list[dict[str, Any]], reserved: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    built = node_allocations.build_allocations(
        rows(Jobs, jobs),
        rows(Allocations, reserved),
        rows(Nodes, [node()]),
        start=START,
        end=END,
        gate="reserved",
    )
    return built.overlaps.rows()


class TestTrimming:
    def test_trim_gives_the_cores_to_the_job_that_started_last(self) -> None:
        jobs, reserved = [job(1, 0, 110), job(2, 100, 200)], [held(1, WHOLE), held(2, WHOLE)]
        allocations = build(jobs, reserved)
        assert intervals_of(allocations) == [(1, 0, 100, 1), (2, 100, 200, 1)]
        assert allocations.sort("job_id")["gpus"].to_list() == [4.0, 4.0]
        assert allocations["closes"].all()
        assert allocations["opens"].all()
        assert overlaps(jobs, reserved) == [(1, "c-1", "trimmed")]

    def test_trim_takes_only_the_common_cores(self) -> None:
        allocations = build(
            [job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1, 2, 3]), held(2, [2, 4])]
        )
        assert intervals_of(allocations) == [
            (1, 0, 100, 0.5),
            (1, 100, 110, 0.375),
            (2, 100, 200, 0.25),
        ]
        first = allocations.filter(pl.col("job_id") == 1).sort("started_at")
        assert first["cores"].to_list() == [4.0, 3.0]
        assert first["gpus"].to_list() == [2.0, 1.5]
        assert first.select("opens", "closes").rows() == [(True, False), (False, True)]

    def test_trim_leaves_jobs_on_other_cores_of_the_node_unchanged(self) -> None:
        jobs, reserved = [job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1]), held(2, [2])]
        assert intervals_of(build(jobs, reserved)) == [(1, 0, 110, 0.25), (2, 100, 200, 0.125)]
        assert overlaps(jobs, reserved) == []

    def test_trim_allows_a_minute_and_refuses_more(self) -> None:
        reserved = [held(1, WHOLE), held(2, [0])]
        assert intervals_of(build([job(1, 0, 160), job(2, 100, 200)], reserved))[0] == (
            1,
            0,
            100,
            1,
        )
        with pytest.raises(
            InputError, match=r"c-1: jobs 1, 2 hold the same cores from .* 00:01:40"
        ):
            build([job(1, 0, 160.001), job(2, 100, 200)], reserved)

    def test_trim_by_a_short_job_splits_the_longer_one(self) -> None:
        allocations = build([job(1, 0, 1000), job(2, 100, 130)], [held(1, WHOLE), held(2, WHOLE)])
        assert intervals_of(allocations) == [(1, 0, 100, 1), (1, 130, 1000, 1), (2, 100, 130, 1)]
        first = allocations.filter(pl.col("job_id") == 1)
        assert first.select("opens", "closes").rows() == [(True, True), (True, True)]

    def test_trim_of_equal_starts_keeps_the_higher_job_id(self) -> None:
        allocations = build([job(1, 0, 30), job(2, 0, 20)], [held(1, WHOLE), held(2, WHOLE)])
        assert intervals_of(allocations) == [(1, 20, 30, 1), (2, 0, 20, 1)]

    def test_trim_of_three_jobs_in_a_row_trims_each_by_the_next(self) -> None:
        jobs = [job(1, 0, 110), job(2, 100, 165), job(3, 105, 300)]
        allocations = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert intervals_of(allocations) == [(1, 0, 100, 1), (2, 100, 105, 1), (3, 105, 300, 1)]

    def test_long_overlap_of_few_cores_on_a_free_node_is_refused(self) -> None:
        with pytest.raises(InputError, match="jobs 1, 2 hold the same cores"):
            build([job(1, 0, 900), job(2, 0, 900)], [held(1, [0, 1]), held(2, [1])])

    def test_overlap_outside_the_study_is_ignored(self) -> None:
        jobs = [job(1, -900, -100), job(2, -900, 50)]
        assert intervals_of(build(jobs, [held(1, [0]), held(2, [0])])) == [(2, 0, 50, 0.125)]

    def test_suspended_job_does_not_overlap(self) -> None:
        pause = [{"started_at": at(100), "stopped_at": at(900)}]
        jobs = [job(1, 0, 1000, suspensions=pause), job(2, 100, 900)]
        allocations = build(jobs, [held(1, WHOLE), held(2, WHOLE)])
        assert intervals_of(allocations) == [(1, 0, 100, 1), (1, 900, 1000, 1), (2, 100, 900, 1)]

    def test_trim_of_inner_jobs_stays_inside_their_container(self) -> None:
        jobs = [
            job(1, 0, 1000, types=["container"]),
            job(2, 0, 110, types=["inner=1"]),
            job(3, 100, 200, types=["inner=1"]),
        ]
        allocations = build(jobs, [held(1, WHOLE), held(2, WHOLE), held(3, WHOLE)])
        own = [span for span in intervals_of(allocations) if span[3] > 0]
        assert own == [(1, 200, 1000, 1), (2, 0, 100, 1), (3, 100, 200, 1)]

    def test_trim_of_a_container_by_the_next_job(self) -> None:
        jobs = [job(1, 0, 110, types=["container"]), job(2, 0, 90, types=["inner=1"])]
        reserved = [held(1, WHOLE), held(2, [0, 1]), held(3, WHOLE)]
        allocations = build([*jobs, job(3, 100, 200)], reserved)
        assert intervals_of(allocations) == [
            (1, 0, 90, 0.75),
            (1, 90, 100, 1),
            (2, 0, 90, 0.25),
            (3, 100, 200, 1),
        ]

    def test_trim_of_gpu_allocations_equals_that_of_nodes(self) -> None:
        jobs, reserved = [job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1]), held(2, [0])]
        parts = gpu_allocations.build_gpu_allocations(
            rows(Jobs, jobs),
            rows(Allocations, reserved),
            rows(Nodes, [node()]),
            start=START,
            end=END,
        )
        assert intervals_of(parts) == [(1, 0, 100, 1), (1, 100, 110, 0.5), (2, 100, 200, 0.5)]


class TestTimesharing:
    def test_timesharing_splits_cores_equally(self) -> None:
        jobs = [job(1, 0, 900, types=SHARED), job(2, 300, 600, types=["timesharing=user,name"])]
        reserved = [held(1, WHOLE), held(2, WHOLE)]
        allocations = build(jobs, reserved)
        assert intervals_of(allocations) == [
            (1, 0, 300, 1),
            (1, 300, 600, 0.5),
            (1, 600, 900, 1),
            (2, 300, 600, 0.5),
        ]
        assert allocations.filter(pl.col("job_id") == 2)["cores"].to_list() == [4.0]
        expected = [(1, "c-1", "shared"), (2, "c-1", "shared")]
        assert overlaps(jobs, reserved) == expected

    def test_timesharing_splits_only_the_common_cores(self) -> None:
        jobs = [job(i, 0, 900, types=SHARED) for i in (1, 2)]
        allocations = build(jobs, [held(1, [0, 1, 2, 3]), held(2, [2, 3])])
        assert intervals_of(allocations) == [(1, 0, 900, 0.375), (2, 0, 900, 0.125)]

    def test_timesharing_of_three_jobs_gives_a_third_each(self) -> None:
        jobs = [job(i, 0, 900, types=SHARED) for i in (1, 2, 3)]
        allocations = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert allocations["share"].to_list() == pytest.approx([1 / 3] * 3, rel=1e-12)
        assert node_allocations.occupancy(allocations.lazy()).collect()["share"].to_list() == [
            1.0,
            0.0,
        ]

    def test_timesharing_with_a_job_of_another_type_is_refused(self) -> None:
        jobs = [job(1, 0, 900, types=SHARED), job(2, 300, 600, types=["besteffort"])]
        with pytest.raises(InputError, match="jobs 1, 2 hold the same cores"):
            build(jobs, [held(1, WHOLE), held(2, WHOLE)])

    def test_timesharing_jobs_are_trimmed_by_a_job_of_another_type(self) -> None:
        jobs = [job(1, 0, 310, types=SHARED), job(2, 0, 310, types=SHARED), job(3, 300, 600)]
        allocations = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert intervals_of(allocations) == [(1, 0, 300, 0.5), (2, 0, 300, 0.5), (3, 300, 600, 1)]


moments = st.integers(0, 400).map(lambda seconds: START + timedelta(seconds=seconds))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(moments, moments, st.booleans()), min_size=1, max_size=6),
    st.integers(0, 400),
)
def test_losses_leave_one_share_of_cores_held_by_several_jobs(
    jobs: list[tuple[Any, Any, bool]], second: int
) -> None:
    intervals = [
        (min(a, b), job_id, max(a, b), shared)
        for job_id, (a, b, shared) in enumerate(jobs)
        if a != b
    ]
    now = START + timedelta(seconds=second + 0.5)
    active = [each for each in intervals if each[0] <= now < each[2]]
    lost = [loss for loss in losses_on_cores(intervals) if loss.started_at <= now < loss.stopped_at]
    left = len(active) - sum(loss.fraction for loss in lost)
    assert left == pytest.approx(min(len(active), 1), abs=1e-12)
    assert {loss.job_id for loss in lost} <= {each[1] for each in active}
    assert len({loss.job_id for loss in lost}) == len(lost)


def test_overlap_is_settled_once_when_the_node_has_a_container() -> None:
    jobs = [
        job(1, 0, 650),
        job(2, 600, 900),
        job(3, 5000, 6000, types=["container"]),
        job(4, 5995, 6055),
        job(5, 5000, 5500, types=["inner=3"]),
    ]
    reserved = [held(1, WHOLE), held(2, [0, 1, 2, 3]), held(3, [0]), held(4, [0]), held(5, [0])]
    first = [span for span in intervals_of(build(jobs, reserved)) if span[0] == 1]
    assert first == [(1, 0, 600, 1), (1, 600, 650, 0.5)]


def test_timesharing_is_settled_once_when_the_node_has_a_container() -> None:
    jobs = [
        job(1, 0, 900, types=SHARED),
        job(2, 300, 600, types=SHARED),
        job(3, 5000, 6000, types=["container"]),
        job(4, 4000, 5005),
    ]
    inner = job(5, 5000, 5500, types=["inner=3"])
    few = [0, 1, 2, 3]
    reserved = [held(1, WHOLE), held(2, WHOLE), held(3, few), held(4, few), held(5, [0])]
    found = intervals_of(build([*jobs, inner], reserved))
    assert [span for span in found if span[0] == 2] == [(2, 300, 600, 0.5)]
    assert [span for span in found if span[0] == 4] == [(4, 4000, 5000, 0.5)]


def test_job_loses_its_cores_once_to_a_container_and_its_inner_job() -> None:
    jobs = [
        job(1, 0, 110),
        job(2, 100, 900, types=["container"]),
        job(3, 105, 900, types=["inner=2"]),
    ]
    found = intervals_of(build(jobs, [held(i, WHOLE) for i in (1, 2, 3)]))
    assert found == [(1, 0, 100, 1), (2, 100, 105, 1), (2, 105, 900, 0), (3, 105, 900, 1)]


def test_short_overlaps_of_one_job_above_a_minute_in_all_are_refused() -> None:
    short = [job(i, 60 * i, 60 * i + 60) for i in range(2, 12)]
    reserved = [held(i, WHOLE) for i in range(1, 12)]
    with pytest.raises(InputError, match=r"c-1: jobs 1, 2, 3, .*11 hold the same cores"):
        build([job(1, 0, 3600), *short], reserved)
    halves = [job(2, 60, 90), job(3, 120, 150)]
    found = build([job(1, 0, 3600), *halves], reserved[:3])
    assert [span[1:3] for span in intervals_of(found) if span[0] == 1] == [
        (0, 60),
        (90, 120),
        (150, 3600),
    ]


kinds = st.sampled_from([[], SHARED, ["container"], ["inner=0"], ["inner=1"], [*SHARED, "inner=0"]])
requests = st.tuples(
    moments, moments, kinds, st.lists(st.integers(0, 3), min_size=1, unique=True).map(sorted)
)


def on_core(active: list[dict[str, Any]]) -> dict[int, float]:
    """Share of one core of each job that holds it, by brute force; containers without the rest."""
    ids = {each["job_id"] for each in active}
    groups: dict[int, list[dict[str, Any]]] = {}
    for each in active:
        inner = [int(t[6:]) for t in each["types"] if t.startswith("inner=")]
        around = [
            other["job_id"]
            for other in active
            if other["job_id"] in inner and "container" in other["types"]
        ]
        groups.setdefault(around[0] if around else each["job_id"], []).append(each)
    result = dict.fromkeys(ids, 0.0)

    def settle(rivals: dict[int, list[dict[str, Any]]], had: float) -> dict[int, float]:
        if not rivals:
            return {}
        newest = {k: max((j["started_at"], j["job_id"]) for j in v) for k, v in rivals.items()}
        last = max(rivals, key=lambda k: newest[k])
        heads = {k: next(j for j in v if j["job_id"] == k) for k, v in rivals.items()}
        equal = [k for k in rivals if SHARED[0] in heads[k]["types"]]
        winners = equal if last in equal else [last]
        return {k: had / len(winners) for k in winners}

    for head, had in settle(groups, 1.0).items():
        inner_jobs = {j["job_id"]: [j] for j in groups[head] if j["job_id"] != head}
        kept = settle(inner_jobs, had)
        result |= kept
        result[head] = 0.0 if kept else had
    return result


@settings(deadline=None, max_examples=80)
@given(st.lists(requests, min_size=2, max_size=7))
def test_losses_of_jobs_equal_a_brute_force_by_core(requested: list[tuple[Any, ...]]) -> None:
    jobs = []
    for job_id, (a, b, types, _) in enumerate(requested):
        own = [each for each in types if each != f"inner={job_id}"]
        seconds = [int((each - START).total_seconds()) for each in (min(a, b), max(a, b))]
        jobs.append(job(job_id, seconds[0], seconds[1] + 1, types=own))
    parts = {each["job_id"]: requested[each["job_id"]][3] for each in jobs}
    inner = containers.inner_jobs(rows(Jobs, jobs))
    inside: dict[int, list[int]] = {}
    for job_id, container_id in inner.collect().iter_rows():
        inside.setdefault(job_id, []).append(container_id)
    held_rows = pl.DataFrame(
        [(i, "c-1", core, 0.25, 0.0, 1.0) for i, cores in parts.items() for core in cores],
        schema=["job_id", "node", "core", "share", "gpus", "cores"],
        orient="row",
        schema_overrides={"job_id": pl.Int64},
    )
    spans_ = pl.DataFrame(jobs).select("job_id", "started_at", "stopped_at", node=pl.lit("c-1"))
    lost = losses_of_jobs(
        spans_.lazy(), held_rows.lazy(), rows(Jobs, jobs), inner, start=START, end=END
    )
    for now in sorted({each["started_at"] for each in jobs}):
        active = [each for each in jobs if each["started_at"] <= now < each["stopped_at"]]
        expected = {each["job_id"]: 0.0 for each in active}
        for core in range(4):
            shares = on_core([each for each in active if core in parts[each["job_id"]]])
            assert sum(shares.values()) <= 1 + 1e-12
            for job_id, share in shares.items():
                expected[job_id] += share
        kept = {each["job_id"]: float(len(parts[each["job_id"]])) for each in active}
        for loss in lost.rows(named=True):
            if loss["started_at"] <= now < loss["stopped_at"]:
                kept[loss["job_id"]] -= loss["cores"]
        for job_id, cores in kept.items():
            # `losses_of_jobs` leaves to a container what jobs inside it have, `on_core` does not
            around = {i for i in kept if i in inside.get(job_id, ())}
            for i in around & {c for c in around if set(parts[job_id]) <= set(parts[c])}:
                expected[i] += expected[job_id]
            if around and not set(parts[job_id]) <= set(parts[min(around)]):
                expected |= dict.fromkeys(around, math.nan)
            assert cores >= -1e-12
        known = [i for i in kept if not math.isnan(expected[i])]
        assert [kept[i] for i in known] == pytest.approx([expected[i] for i in known])
