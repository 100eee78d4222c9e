"""Jobs that hold the same cores at the same time: trimmed, shared, or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gates import END, START, at, build, held, job, node, rows, spans

from footprint import gates, gpu_gates
from footprint.errors import InputError
from footprint.overlaps import losses
from footprint.tables import Allocations, Jobs, Nodes

WHOLE = list(range(8))
SHARED = ["timesharing=*,*"]


def overlaps(
    jobs: list[dict[str, Any]], allocations: list[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    built = gates.build_with_overlaps(
        rows(Jobs, jobs),
        rows(Allocations, allocations),
        rows(Nodes, [node()]),
        start=START,
        end=END,
        policy="reserved",
    )
    return built.overlaps.rows()


class TestTrimming:
    def test_the_job_that_starts_last_has_the_cores(self) -> None:
        jobs, allocations = [job(1, 0, 110), job(2, 100, 200)], [held(1, WHOLE), held(2, WHOLE)]
        pieces = build(jobs, allocations)
        assert spans(pieces) == [(1, 0, 100, 1), (2, 100, 200, 1)]
        assert pieces.sort("job_id")["gpus"].to_list() == [4.0, 4.0]
        assert pieces["closes"].all()
        assert pieces["opens"].all()
        assert overlaps(jobs, allocations) == [(1, "c-1", "trimmed")]

    def test_only_the_cores_in_common_are_trimmed(self) -> None:
        pieces = build([job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1, 2, 3]), held(2, [2, 4])])
        assert spans(pieces) == [(1, 0, 100, 0.5), (1, 100, 110, 0.375), (2, 100, 200, 0.25)]
        first = pieces.filter(pl.col("job_id") == 1).sort("started_at")
        assert first["cores"].to_list() == [4.0, 3.0]
        assert first["gpus"].to_list() == [2.0, 1.5]
        assert first.select("opens", "closes").rows() == [(True, False), (False, True)]

    def test_other_cores_of_the_node_are_not_trimmed(self) -> None:
        jobs, allocations = [job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1]), held(2, [2])]
        assert spans(build(jobs, allocations)) == [(1, 0, 110, 0.25), (2, 100, 200, 0.125)]
        assert overlaps(jobs, allocations) == []

    def test_the_bound_is_a_minute(self) -> None:
        allocations = [held(1, WHOLE), held(2, [0])]
        assert spans(build([job(1, 0, 160), job(2, 100, 200)], allocations))[0] == (1, 0, 100, 1)
        with pytest.raises(
            InputError, match=r"c-1: jobs 1, 2 hold the same cores from .* 00:01:40"
        ):
            build([job(1, 0, 160.001), job(2, 100, 200)], allocations)

    def test_a_short_job_inside_another_interrupts_it(self) -> None:
        pieces = build([job(1, 0, 1000), job(2, 100, 130)], [held(1, WHOLE), held(2, WHOLE)])
        assert spans(pieces) == [(1, 0, 100, 1), (1, 130, 1000, 1), (2, 100, 130, 1)]
        first = pieces.filter(pl.col("job_id") == 1)
        assert first.select("opens", "closes").rows() == [(True, True), (True, True)]

    def test_equal_starts_are_ordered_by_job(self) -> None:
        pieces = build([job(1, 0, 30), job(2, 0, 20)], [held(1, WHOLE), held(2, WHOLE)])
        assert spans(pieces) == [(1, 20, 30, 1), (2, 0, 20, 1)]

    def test_three_jobs_in_a_row_are_all_trimmed(self) -> None:
        jobs = [job(1, 0, 110), job(2, 100, 165), job(3, 105, 300)]
        pieces = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert spans(pieces) == [(1, 0, 100, 1), (2, 100, 105, 1), (3, 105, 300, 1)]

    def test_long_overlaps_of_few_cores_are_refused_although_the_node_is_not_full(self) -> None:
        with pytest.raises(InputError, match="jobs 1, 2 hold the same cores"):
            build([job(1, 0, 900), job(2, 0, 900)], [held(1, [0, 1]), held(2, [1])])

    def test_overlaps_outside_the_study_do_not_matter(self) -> None:
        jobs = [job(1, -900, -100), job(2, -900, 50)]
        assert spans(build(jobs, [held(1, [0]), held(2, [0])])) == [(2, 0, 50, 0.125)]

    def test_suspended_jobs_leave_their_cores(self) -> None:
        pause = [{"started_at": at(100), "stopped_at": at(900)}]
        jobs = [job(1, 0, 1000, suspensions=pause), job(2, 100, 900)]
        pieces = build(jobs, [held(1, WHOLE), held(2, WHOLE)])
        assert spans(pieces) == [(1, 0, 100, 1), (1, 900, 1000, 1), (2, 100, 900, 1)]

    def test_inner_jobs_are_trimmed_inside_their_container(self) -> None:
        jobs = [
            job(1, 0, 1000, types=["container"]),
            job(2, 0, 110, types=["inner=1"]),
            job(3, 100, 200, types=["inner=1"]),
        ]
        pieces = build(jobs, [held(1, WHOLE), held(2, WHOLE), held(3, WHOLE)])
        own = [span for span in spans(pieces) if span[3] > 0]
        assert own == [(1, 200, 1000, 1), (2, 0, 100, 1), (3, 100, 200, 1)]

    def test_a_container_is_trimmed_by_the_next_job(self) -> None:
        jobs = [job(1, 0, 110, types=["container"]), job(2, 0, 90, types=["inner=1"])]
        allocations = [held(1, WHOLE), held(2, [0, 1]), held(3, WHOLE)]
        pieces = build([*jobs, job(3, 100, 200)], allocations)
        assert spans(pieces) == [
            (1, 0, 90, 0.75),
            (1, 90, 100, 1),
            (2, 0, 90, 0.25),
            (3, 100, 200, 1),
        ]

    def test_gpus_are_trimmed_as_nodes_are(self) -> None:
        jobs, allocations = [job(1, 0, 110), job(2, 100, 200)], [held(1, [0, 1]), held(2, [0])]
        parts = gpu_gates.build(
            rows(Jobs, jobs),
            rows(Allocations, allocations),
            rows(Nodes, [node()]),
            start=START,
            end=END,
        )
        assert spans(parts) == [(1, 0, 100, 1), (1, 100, 110, 0.5), (2, 100, 200, 0.5)]


class TestTimesharing:
    def test_jobs_share_their_cores_equally(self) -> None:
        jobs = [job(1, 0, 900, types=SHARED), job(2, 300, 600, types=["timesharing=user,name"])]
        allocations = [held(1, WHOLE), held(2, WHOLE)]
        pieces = build(jobs, allocations)
        assert spans(pieces) == [
            (1, 0, 300, 1),
            (1, 300, 600, 0.5),
            (1, 600, 900, 1),
            (2, 300, 600, 0.5),
        ]
        assert pieces.filter(pl.col("job_id") == 2)["cores"].to_list() == [4.0]
        expected = [(1, "c-1", "shared"), (2, "c-1", "shared")]
        assert overlaps(jobs, allocations) == expected

    def test_only_the_cores_in_common_are_shared(self) -> None:
        jobs = [job(i, 0, 900, types=SHARED) for i in (1, 2)]
        pieces = build(jobs, [held(1, [0, 1, 2, 3]), held(2, [2, 3])])
        assert spans(pieces) == [(1, 0, 900, 0.375), (2, 0, 900, 0.125)]

    def test_three_jobs_have_a_third_each(self) -> None:
        jobs = [job(i, 0, 900, types=SHARED) for i in (1, 2, 3)]
        pieces = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert pieces["share"].to_list() == pytest.approx([1 / 3] * 3, rel=1e-12)
        assert gates.occupancy(pieces.lazy()).collect()["share"].to_list() == [1.0, 0.0]

    def test_a_job_of_another_type_does_not_share(self) -> None:
        jobs = [job(1, 0, 900, types=SHARED), job(2, 300, 600, types=["besteffort"])]
        with pytest.raises(InputError, match="jobs 1, 2 hold the same cores"):
            build(jobs, [held(1, WHOLE), held(2, WHOLE)])

    def test_a_job_of_another_type_trims_all_that_share(self) -> None:
        jobs = [job(1, 0, 310, types=SHARED), job(2, 0, 310, types=SHARED), job(3, 300, 600)]
        pieces = build(jobs, [held(i, WHOLE) for i in (1, 2, 3)])
        assert spans(pieces) == [(1, 0, 300, 0.5), (2, 0, 300, 0.5), (3, 300, 600, 1)]


moments = st.integers(0, 400).map(lambda seconds: START + timedelta(seconds=seconds))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(moments, moments, st.booleans()), min_size=1, max_size=6),
    st.integers(0, 400),
)
def test_of_cores_held_by_several_one_share_is_left(
    jobs: list[tuple[Any, Any, bool]], second: int
) -> None:
    intervals = [
        (min(a, b), job_id, max(a, b), shared)
        for job_id, (a, b, shared) in enumerate(jobs)
        if a != b
    ]
    now = START + timedelta(seconds=second + 0.5)
    active = [each for each in intervals if each[0] <= now < each[2]]
    lost = [loss for loss in losses(intervals) if loss.started_at <= now < loss.stopped_at]
    left = len(active) - sum(loss.fraction for loss in lost)
    assert left == pytest.approx(min(len(active), 1), abs=1e-12)
    assert {loss.job_id for loss in lost} <= {each[1] for each in active}
    assert len({loss.job_id for loss in lost}) == len(lost)
