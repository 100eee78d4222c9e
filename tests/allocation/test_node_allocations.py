"""Allocations on nodes: shares, suspensions, containers, clipping, and refused overlaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.allocation import containers, node_allocations
from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, Nodes

START = datetime(2025, 3, 1, tzinfo=UTC)
END = datetime(2025, 3, 3, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rows(schema: Any, records: list[dict[str, Any]]) -> pl.LazyFrame:
    """Records as a table; columns not given are null, or empty lists."""
    empty = pl.DataFrame(schema.create_empty())
    frame = pl.DataFrame(
        [{name: record.get(name) for name in empty.columns} for record in records],
        schema=empty.schema,
    )
    return frame.lazy()


def node(name: str = "c-1", cores: int = 8, gpus: int = 4, **more: Any) -> dict[str, Any]:
    per_gpu = cores // gpus if gpus else cores
    return {
        "node": name,
        "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
        "site": "nancy",
        "cluster": name.rsplit("-", 1)[0],
        "n_cores": cores,
        "cores": list(range(cores)),
        "core_gpus": [core // per_gpu if gpus else None for core in range(cores)],
        "gpus": list(range(gpus)),
        "gpu_reservable": [True] * gpus,
    } | more


def job(job_id: int, start: float | None, stop: float | None, **more: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "site": "nancy",
        "user": "amaro",
        "types": [],
        "state": "terminated",
        "started_at": None if start is None else at(start),
        "stopped_at": None if stop is None else at(stop),
    } | more


def held(job_id: int, cores: list[int], name: str = "c-1") -> dict[str, Any]:
    return {"job_id": job_id, "node": name, "cores": cores, "gpus": [], "basis": "cores"}


def build(
    jobs: list[dict[str, Any]],
    reserved: list[dict[str, Any]],
    nodes: list[dict[str, Any]] | None = None,
    gate: str = "reserved",
) -> pl.DataFrame:
    return node_allocations.build_allocations(
        rows(Jobs, jobs),
        rows(Allocations, reserved),
        rows(Nodes, nodes or [node()]),
        start=START,
        end=END,
        gate=gate,
    ).allocations


def intervals_of(allocations: pl.DataFrame) -> list[tuple[int, float, float, float]]:
    return [
        (
            row["job_id"],
            (row["started_at"] - START).total_seconds(),
            (row["stopped_at"] - START).total_seconds(),
            round(row["share"], 9),
        )
        for row in allocations.sort("job_id", "started_at", "share").iter_rows(named=True)
    ]


class TestShares:
    def test_share_of_all_cores_of_a_gpu_is_one_gpu_of_the_node(self) -> None:
        allocations = build([job(1, 0, 10)], [held(1, [2, 3])])
        assert intervals_of(allocations) == [(1, 0, 10, 0.25)]
        assert allocations["gpus"].to_list() == [1.0]
        assert allocations["cores"].to_list() == [2.0]

    def test_share_of_half_the_cores_of_a_gpu_is_half_a_gpu(self) -> None:
        allocations = build([job(1, 0, 10)], [held(1, [2])])
        assert allocations["share"].to_list() == [0.125]
        assert allocations["gpus"].to_list() == [0.5]

    def test_share_of_gpus_with_uneven_cores_is_equal_by_gpu(self) -> None:
        # GPU 0 has 6 cores and GPU 1 has 2: a core of GPU 1 is worth three of GPU 0
        uneven = node(gpus=2, core_gpus=[0, 0, 0, 0, 0, 0, 1, 1])
        allocations = build([job(1, 0, 10), job(2, 0, 10)], [held(1, [0]), held(2, [7])], [uneven])
        assert allocations.sort("job_id")["share"].to_list() == pytest.approx([1 / 12, 1 / 4])

    def test_share_on_a_node_without_gpus_is_by_cores(self) -> None:
        allocations = build([job(1, 0, 10)], [held(1, [0, 1, 2])], [node(gpus=0)])
        assert intervals_of(allocations) == [(1, 0, 10, 0.375)]
        assert allocations["gpus"].to_list() == [0.0]

    def test_share_on_a_node_with_a_core_without_gpu_is_by_cores(self) -> None:
        partial = node(gpus=2, core_gpus=[0, 0, 0, 1, 1, 1, None, None])
        allocations = build([job(1, 0, 10)], [held(1, [6, 7])], [partial])
        assert intervals_of(allocations) == [(1, 0, 10, 0.25)]

    def test_share_of_all_cores_is_exactly_one(self) -> None:
        whole = node(cores=48, gpus=3)
        allocations = build([job(1, 0, 10)], [held(1, list(range(48)))], [whole])
        assert allocations["share"].to_list() == [1.0]

    def test_binary_gate_gives_each_job_the_whole_node(self) -> None:
        jobs = [job(1, 0, 10), job(2, 5, 15)]
        allocations = build(jobs, [held(1, [0]), held(2, [7])], gate="binary")
        assert intervals_of(allocations) == [(1, 0, 10, 1.0), (2, 5, 15, 1.0)]

    def test_share_uses_the_hardware_at_the_start_of_the_job(self) -> None:
        change = START + timedelta(seconds=100)
        before = node(gpus=4, valid_until=change)
        after = node(gpus=2, valid_from=change)
        allocations = build(
            [job(1, 0, 10), job(2, 100, 110)], [held(1, [0]), held(2, [0])], [after, before]
        )
        assert intervals_of(allocations) == [(1, 0, 10, 0.125), (2, 100, 110, 0.125)]
        assert allocations.sort("job_id")["gpus"].to_list() == [0.5, 0.25]

    def test_build_core_that_the_node_lacks_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"job 1: holds core 99 of c-1"):
            build([job(1, 0, 10)], [held(1, [99])])

    def test_build_leaves_out_nodes_outside_the_study(self) -> None:
        allocations = build([job(1, 0, 10)], [held(1, [0]), held(1, [0], "other-1")])
        assert allocations["node"].to_list() == ["c-1"]


class TestIntervals:
    def test_build_clips_bounds_to_the_study_and_marks_them(self) -> None:
        allocations = build([job(1, -100, 3 * 86_400)], [held(1, [0])])
        assert intervals_of(allocations) == [(1, 0, 2 * 86_400, 0.125)]
        assert allocations.select("opens", "closes").row(0) == (False, False)

    def test_build_jobs_outside_never_started_or_without_length_have_no_allocation(self) -> None:
        jobs = [job(1, -100, 0), job(2, None, None), job(3, 7, 7), job(4, 2 * 86_400, 3 * 86_400)]
        assert build(jobs, [held(i, [0]) for i in (1, 2, 3, 4)]).is_empty()

    def test_build_running_job_ends_at_its_walltime_or_the_end_of_the_study(self) -> None:
        jobs = [
            job(1, 0, None, walltime_s=3600),
            job(2, 0, None),
            job(3, 0, None, walltime_s=10**7),
        ]
        allocations = build(jobs, [held(1, [0]), held(2, [1]), held(3, [2])])
        assert [stop for _, _, stop, _ in intervals_of(allocations)] == [
            3600,
            2 * 86_400,
            2 * 86_400,
        ]

    def test_build_accepts_suspensions_in_any_order(self) -> None:
        pauses = [
            {"started_at": at(50), "stopped_at": at(60)},
            {"started_at": at(10), "stopped_at": at(20)},
        ]
        allocations = build([job(1, 0, 100, suspensions=pauses)], [held(1, [0])])
        assert [(start, stop) for _, start, stop, _ in intervals_of(allocations)] == [
            (0, 10),
            (20, 50),
            (60, 100),
        ]

    def test_build_cuts_out_suspensions_also_without_an_end(self) -> None:
        pauses = [
            {"started_at": at(10), "stopped_at": at(20)},
            {"started_at": at(50), "stopped_at": None},
        ]
        allocations = build([job(1, 0, 100, suspensions=pauses)], [held(1, [0])])
        assert intervals_of(allocations) == [(1, 0, 10, 0.125), (1, 20, 50, 0.125)]


class TestContainers:
    def test_container_has_its_share_less_the_shares_of_inner_jobs(self) -> None:
        jobs = [
            job(1, 0, 100, types=["container"]),
            job(2, 20, 60, types=["inner=1"], user="bruno"),
        ]
        allocations = build(jobs, [held(1, list(range(8))), held(2, [0, 1])])
        assert intervals_of(allocations) == [
            (1, 0, 20, 1.0),
            (1, 20, 60, 0.75),
            (1, 60, 100, 1.0),
            (2, 20, 60, 0.25),
        ]
        left = allocations.filter(pl.col("share") == 0.75)
        assert left.select("gpus", "cores", "opens", "closes").row(0) == (3.0, 6.0, False, False)
        assert allocations.filter(pl.col("job_id") == 1)["opens"].to_list() == [True, False, False]

    def test_container_with_a_name_contains_jobs_of_that_name(self) -> None:
        jobs = [
            job(1, 0, 100, types=["container=lab"]),
            job(2, 20, 160, types=["deploy", "inner=lab"]),
        ]
        allocations = build(jobs, [held(1, list(range(8))), held(2, [0, 1])])
        # the inner job outlives its container, which gives up only what it holds
        assert intervals_of(allocations) == [
            (1, 0, 20, 1.0),
            (1, 20, 100, 0.75),
            (2, 20, 160, 0.25),
        ]

    def test_full_container_keeps_an_allocation_of_share_zero(self) -> None:
        third = node(cores=3, gpus=3)
        jobs = [job(1, 0, 100, types=["container"])]
        jobs += [job(i, 0, 100, types=["inner=1"]) for i in (2, 3, 4)]
        allocations = build(
            jobs, [held(1, [0, 1, 2]), *(held(i, [i - 2]) for i in (2, 3, 4))], [third]
        )
        assert allocations.filter(pl.col("job_id") == 1)["share"].to_list() == [0.0]

    def test_binary_gate_counts_cores_of_a_container_once(self) -> None:
        jobs = [job(1, 0, 100, types=["container"]), job(2, 0, 100, types=["inner=1"])]
        allocations = build(jobs, [held(1, list(range(8))), held(2, [0, 1])], gate="binary")
        assert allocations["cores"].sum() == 8
        assert (allocations["share"] == 1).all()

    def test_inner_jobs_holding_more_than_their_container_are_refused(self) -> None:
        jobs = [job(1, 0, 100, types=["container"]), job(2, 20, 60, types=["inner=1"])]
        with pytest.raises(InputError, match=r"container job 1: its inner jobs hold more of c-1"):
            build(jobs, [held(1, [0]), held(2, [0, 1, 2])])

    def test_inner_jobs_on_other_nodes_leave_the_container_whole(self) -> None:
        jobs = [job(1, 0, 100, types=["container"]), job(2, 20, 60, types=["inner=1"])]
        nodes = [node("c-1"), node("c-2")]
        allocations = build(jobs, [held(1, list(range(8))), held(2, [0], "c-2")], nodes)
        assert (allocations["share"] > 0).all()


class TestOccupancy:
    def test_occupancy_is_the_sum_of_shares_at_each_step(self) -> None:
        allocations = build([job(1, 0, 10), job(2, 5, 20)], [held(1, [0, 1]), held(2, [2, 3])])
        steps = node_allocations.occupancy(allocations.lazy()).collect()
        assert [
            ((row["at"] - START).total_seconds(), row["share"])
            for row in steps.iter_rows(named=True)
        ] == [(0, 0.25), (5, 0.5), (10, 0.25), (20, 0.0)]

    def test_occupancy_of_thirds_returns_to_exactly_zero(self) -> None:
        third = node(cores=3, gpus=3)
        jobs = [job(i, i, 10 + i) for i in range(3)]
        allocations = build(jobs, [held(i, [i]) for i in range(3)], [third])
        assert node_allocations.occupancy(allocations.lazy()).collect()["share"][-1] == 0.0

    def test_build_allows_one_job_directly_after_another(self) -> None:
        build([job(1, 0, 10), job(2, 10, 20)], [held(1, list(range(8))), held(2, [0])])

    def test_build_overlapping_jobs_are_refused_with_nodes_and_times(self) -> None:
        jobs = [job(1, 0, 100), job(2, 5, 200), job(3, 0, 61), job(4, 0, 61)]
        reserved = [held(1, list(range(8))), held(2, [0])]
        reserved += [held(3, [0, 1], "c-2"), held(4, [1], "c-2")]
        with pytest.raises(InputError) as error:
            build(jobs, reserved, [node("c-1"), node("c-2")])
        assert str(error.value) == (
            "c-1: jobs 1, 2 hold the same cores from 2025-03-01 00:00:05 UTC, "
            "c-2: jobs 3, 4 hold the same cores from 2025-03-01 00:00:00 UTC"
            " (for more than 60 s in all); "
            "fix the jobs' times or cores, or set integration.gate to binary"
        )

    def test_binary_gate_allows_overlapping_jobs(self) -> None:
        jobs = [job(1, 0, 10), job(2, 5, 20)]
        build(jobs, [held(1, list(range(8))), held(2, [0])], gate="binary")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({1: ["inner=1"], 2: []}, [1]),
        ({1: ["container", "inner=1"], 2: ["inner=1"]}, [1]),
        ({1: ["container", "inner=2"], 2: ["container", "inner=1"], 3: ["inner=2"]}, [1, 2]),
        ({1: ["container=a", "inner=b"], 2: ["container=b", "inner=a"]}, [1, 2]),
        (
            {
                1: ["container", "inner=3"],
                2: ["container", "inner=1"],
                3: ["container", "inner=2"],
            },
            [1, 2, 3],
        ),
        ({1: ["container"], 2: ["container", "inner=1"], 3: ["inner=2"]}, []),
    ],
)
def test_inner_jobs_leave_out_circular_containers(
    types: dict[int, list[str]], expected: list[int]
) -> None:
    jobs = rows(Jobs, [job(i, 0, 100, types=each) for i, each in types.items()])
    assert containers.circular_container_jobs(jobs) == expected
    pairs = set(containers.inner_jobs(jobs).collect().iter_rows())
    assert not {(a, b) for a, b in pairs if {a, b} <= set(expected)}
    if 3 in types and expected != [1, 2, 3]:
        assert (3, 2) in pairs
