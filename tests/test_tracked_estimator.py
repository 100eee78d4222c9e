"""Device energy of tracked jobs as an estimator, beside what the nodes drew."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from estimating import GROS, GRUSS, facts_of, held, of_schema

from footprint import tables
from footprint.estimators import registry

pytestmark = pytest.mark.filterwarnings("error")

HALF = held(GRUSS, hours=1, cores=24, gpus=1)
WHOLE = held(GROS, hours=1, cores=18)


def estimates(
    name: str, *tracked: dict[str, Any], jobs: dict[int, list[dict[str, Any]]] | None = None
) -> dict[int, dict[str, Any]]:
    """What an estimator says of each job: job 1 held half of a node with GPUs."""
    usual = {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 3600.0}
    facts = facts_of(jobs or {1: [HALF]})._replace(
        tracked=of_schema(tables.Tracked, *(usual | row for row in tracked))
    )
    rows = registry.estimate(facts, registry.ESTIMATORS[name])
    return {row["job_id"]: row for row in rows.iter_rows(named=True)}


READ = {"gpu_kwh": 0.2, "cpu_kwh": 0.1, "memory_kwh": 0.02}


def test_gpus_are_the_jobs_and_processors_are_shared() -> None:
    row = estimates("tracker_nvml", READ)[1]
    assert (row["energy_kwh"], row["covered_kwh"]) == (0.2, 0.2)
    assert (row["cpu_kwh"], row["basis"], row["gpu_power_w"]) == (0.0, "recorded", 200.0)
    row = estimates("tracker_rapl", READ)[1]
    assert row["energy_kwh"] == pytest.approx((0.1 + 0.02) / 2)
    row = estimates("tracker_devices", READ)[1]
    assert row["energy_kwh"] == pytest.approx(0.2 + 0.06)


def test_what_was_not_read_is_unknown_and_not_nothing() -> None:
    without_cpu = READ | {"cpu_kwh": None}
    assert estimates("tracker_nvml", without_cpu)[1]["energy_kwh"] == 0.2
    assert estimates("tracker_rapl", without_cpu)[1]["energy_kwh"] is None
    assert estimates("tracker_devices", without_cpu)[1]["energy_kwh"] is None
    without_memory = READ | {"memory_kwh": None}
    assert estimates("tracker_rapl", without_memory)[1]["energy_kwh"] == pytest.approx(0.05)


def test_jobs_that_were_not_tracked_have_no_row() -> None:
    assert list(estimates("tracker_nvml", READ, jobs={1: [HALF], 2: [HALF]})) == [1]
    assert estimates("tracker_nvml", jobs={1: [HALF]}) == {}


def test_every_node_of_a_job_must_be_tracked() -> None:
    jobs = {1: [HALF, WHOLE]}
    assert estimates("tracker_rapl", READ, jobs=jobs)[1]["energy_kwh"] is None
    both = estimates("tracker_rapl", READ, READ | {"node": "node-2"}, jobs=jobs)[1]
    assert both["energy_kwh"] == pytest.approx(0.12 / 2 + 0.12)


@pytest.mark.parametrize(
    ("tracked_s", "is_compared"), [(3200.0, False), (3300.0, True), (3900.0, True), (4100.0, False)]
)
def test_only_jobs_that_were_tracked_throughout_are_compared(
    tracked_s: float, is_compared: bool
) -> None:
    row = estimates("tracker_nvml", READ | {"duration_s": tracked_s})[1]
    assert row["energy_kwh"] == 0.2
    assert row["covered_kwh"] == (0.2 if is_compared else None)


def test_a_job_outside_of_the_study_says_nothing_of_its_share() -> None:
    facts = facts_of({1: [HALF]}, changes={1: {"duration_s": 0.0}})._replace(
        tracked=of_schema(
            tables.Tracked,
            READ | {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 10.0},
        )
    )
    rows = registry.estimate(facts, registry.ESTIMATORS["tracker_rapl"])
    assert rows["energy_kwh"].to_list() == [None]
    assert isinstance(rows, pl.DataFrame)
