"""Device energy of tracked jobs as an estimator, beside what the nodes drew."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from footprint.estimators import registry
from footprint.schemas.labels import Tracked
from tests.support.estimator_inputs import GROS, GRUSS, frame_of_schema, inputs_of_jobs, job_node

pytestmark = pytest.mark.filterwarnings("error")

HALF = job_node(GRUSS, hours=1, cores=24, gpus=1)
WHOLE = job_node(GROS, hours=1, cores=18)


def estimates(
    name: str, *tracked: dict[str, Any], jobs: dict[int, list[dict[str, Any]]] | None = None
) -> dict[int, dict[str, Any]]:
    """What an estimator says of each job: job 1 held half of a node with GPUs."""
    usual = {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 3600.0}
    inputs = inputs_of_jobs(jobs or {1: [HALF]})._replace(
        tracked=frame_of_schema(Tracked, *(usual | row for row in tracked))
    )
    rows = registry.estimate_jobs(inputs, registry.ESTIMATORS[name])
    return {row["job_id"]: row for row in rows.iter_rows(named=True)}


READ = {"gpu_kwh": 0.2, "cpu_kwh": 0.1, "memory_kwh": 0.02}


def test_tracked_gpus_count_whole_and_processors_by_share() -> None:
    row = estimates("tracker_nvml", READ)[1]
    assert (row["energy_kwh"], row["covered_kwh"]) == (0.2, 0.2)
    assert (row["cpu_kwh"], row["basis"], row["gpu_power_w"]) == (0.0, "recorded", 200.0)
    row = estimates("tracker_rapl", READ)[1]
    assert row["energy_kwh"] == pytest.approx((0.1 + 0.02) / 2)
    row = estimates("tracker_devices", READ)[1]
    assert row["energy_kwh"] == pytest.approx(0.2 + 0.06)


def test_tracked_part_that_was_not_read_is_null() -> None:
    without_cpu = READ | {"cpu_kwh": None}
    assert estimates("tracker_nvml", without_cpu)[1]["energy_kwh"] == 0.2
    assert estimates("tracker_rapl", without_cpu)[1]["energy_kwh"] is None
    assert estimates("tracker_devices", without_cpu)[1]["energy_kwh"] is None
    without_memory = READ | {"memory_kwh": None}
    assert estimates("tracker_rapl", without_memory)[1]["energy_kwh"] == pytest.approx(0.05)


def test_tracked_job_without_tracking_has_no_row() -> None:
    assert list(estimates("tracker_nvml", READ, jobs={1: [HALF], 2: [HALF]})) == [1]
    assert estimates("tracker_nvml", jobs={1: [HALF]}) == {}


def test_tracked_job_with_an_untracked_node_is_null() -> None:
    jobs = {1: [HALF, WHOLE]}
    assert estimates("tracker_rapl", READ, jobs=jobs)[1]["energy_kwh"] is None
    both = estimates("tracker_rapl", READ, READ | {"node": "node-2"}, jobs=jobs)[1]
    assert both["energy_kwh"] == pytest.approx(0.12 / 2 + 0.12)


@pytest.mark.parametrize(
    ("tracked_s", "is_compared"), [(3200.0, False), (3300.0, True), (3900.0, True), (4100.0, False)]
)
def test_tracked_job_is_compared_if_tracked_throughout(tracked_s: float, is_compared: bool) -> None:
    row = estimates("tracker_nvml", READ | {"duration_s": tracked_s})[1]
    assert row["energy_kwh"] == 0.2
    assert row["covered_kwh"] == (0.2 if is_compared else None)


def test_tracked_job_outside_the_study_has_no_share() -> None:
    inputs = inputs_of_jobs({1: [HALF]}, changes={1: {"duration_s": 0.0}})._replace(
        tracked=frame_of_schema(
            Tracked,
            READ | {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 10.0},
        )
    )
    rows = registry.estimate_jobs(inputs, registry.ESTIMATORS["tracker_rapl"])
    assert rows["energy_kwh"].to_list() == [None]
    assert isinstance(rows, pl.DataFrame)
