"""Every number of the energy tables, against sums by hand.

These tests must find the faults of tests/support/mutations.yaml.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from footprint.energy import job_energy
from footprint.schemas.energy import JobNodeEnergy
from footprint.schemas.writing import conform
from footprint.totals.study_totals import add_job_totals
from tests.energy.test_job_energy import (
    KWH,
    START,
    allocations,
    job_gaps,
    records,
    sums,
    whole,
)
from tests.support.integrations import EVERY_5_S, STEADY, allocated, by_job, integrate, samples
from tests.support.totals_inputs import EXACT

pytestmark = pytest.mark.filterwarnings("error")

NODES = pl.LazyFrame(
    {
        "node": ["a-1", "a-2", "a-3", "b-1"],
        "cluster": ["a", "a", "a", "b"],
        "has_gpu": [True, True, True, False],
    }
)


def probe_sums(mean_w: float, deviation_w: float = 0.0) -> dict[str, float]:
    """Columns of sums over 90 readings of a node's power during a job."""
    square = mean_w**2 + deviation_w**2
    return {"n_probes": 90.0, "probe_w": 90 * mean_w, "probe_w2": 90 * square}


def job_rows(*rows: dict[str, Any], gaps: pl.LazyFrame | None = None) -> dict[int, dict[str, Any]]:
    energies = job_energy.job_node_energies(sums(*rows), NODES, method="trapezoid", gaps=gaps)
    per_node = conform(JobNodeEnergy, add_job_totals(energies, EXACT))
    jobs = sorted({row["job_id"] for row in rows})
    held = allocations(*{(row["job_id"], row["node"]) for row in rows})
    return whole(per_node, records(*({"job_id": job} for job in jobs)), held)


def test_energy_of_job_on_four_nodes_equals_hand_sums() -> None:
    # a-1: two hours, a quarter of which without readings, at 2 kW
    first = {"duration_s": 7200.0, "covered_s": 5400.0, "share_s": 7200.0}
    first |= {"share_covered_s": 5400.0, "energy_j": 3 * KWH, "gpu_s": 4 * 7200.0}
    first |= {"core_s": 16 * 7200.0, "quantisation_j": 0.03 * KWH}
    first |= {"variance_j2": (0.3 * KWH / 1.96) ** 2, **probe_sums(2000.0, 100.0)}
    # a-2: on average half of it for an hour, half of this without readings, at 800 W a share
    second = {"duration_s": 3600.0, "covered_s": 1200.0, "share_s": 1800.0}
    second |= {"share_covered_s": 900.0, "energy_j": 0.2 * KWH, "gpu_s": 2 * 3600.0}
    second |= {"core_s": 8 * 3600.0, "quantisation_j": 0.01 * KWH, **probe_sums(800.0)}
    # half an hour each without readings, on a cluster where the job was measured and on another one
    dark = {"unmeasured": True, "duration_s": 1800.0, "share_s": 1800.0, "core_s": 4 * 1800.0}
    found = job_rows(
        {"job_id": 1, "node": "a-1"} | first,
        {"job_id": 1, "node": "a-2"} | second,
        {"job_id": 1, "node": "a-3", "gpu_s": 1800.0} | dark,
        {"job_id": 1, "node": "b-1", "gpu_s": 0.0} | dark,
        {"job_id": 2, "node": "b-1"} | probe_sums(1000.0),
        {"job_id": 3, "node": "a-3", "energy_j": 9 * KWH} | probe_sums(9000.0),
        gaps=job_gaps(
            {"job_id": 1, "node": "a-1", "own_readings_j": 1.0 * KWH},
            {"job_id": 1, "node": "a-2", "own_readings_j": 0.2 * KWH},
            {"job_id": 1, "node": "a-3", "same_job_j": 0.9 * KWH},
            {"job_id": 1, "node": "b-1", "hardware_j": 0.5 * KWH},
        ),
    )
    job = found[1]
    assert (job["n_nodes"], job["clusters"]) == (4, ["a", "b"])
    assert job["duration_s"] == 7200.0
    assert job["gpu_hours"] == pytest.approx(4 * 2 + 2 * 1 + 0.5)
    assert job["core_hours"] == pytest.approx(16 * 2 + 8 * 1 + 4 * 0.5 + 4 * 0.5)
    assert job["measured_kwh"] == pytest.approx(3.2)
    # share x time: 5400 + 900 s of 7200 + 1800 + 1800 + 1800 s
    assert job["coverage_frac"] == pytest.approx(0.5)
    assert job["covered_s"] == pytest.approx(3600.0)
    assert job["estimated_kwh"] == pytest.approx(2.6)
    assert job["total_kwh"] == pytest.approx(5.8)
    assert job["measured_frac"] == pytest.approx(3.2 / 5.8)
    assert job["estimate_basis"] == "own_readings"
    # Errors of steps are those of two sensors. Gaps add up over the nodes of a job: 5 % of 1 kWh on
    # a-1; on a-3 the deviation of the readings of both nodes, whose mean is 1400 W and mean square
    # (2000^2 + 100^2 + 800^2) / 2.
    on_both_w = math.sqrt((2000**2 + 100**2 + 800**2) / 2 - 1400**2)
    gaps = (1.96 * 0.05 * 1.0, 1.96 * on_both_w / 1400 * 0.9)
    half = math.hypot(0.03, 0.01, 0.3, sum(gaps))
    assert job["total_low_kwh"] == pytest.approx(5.8 - half)
    assert job["total_high_kwh"] == pytest.approx(5.8 + half)


def test_mean_power_of_job_is_total_energy_over_allocated_time() -> None:
    most = {"covered_s": 2700.0, "share_covered_s": 2700.0, "energy_j": 1.5 * KWH}
    gap = job_gaps({"job_id": 1, "node": "a-1", "own_readings_j": 0.5 * KWH})
    found = job_rows({"job_id": 1, "node": "a-1"} | most, gaps=gap)[1]
    assert found["mean_power_w"] == pytest.approx(2000.0)


def test_job_energy_keeps_columns_of_the_record() -> None:
    record = {"job_id": 1, "project": "speech", "queue": "production"}
    record |= {"started_at": START, "stopped_at": START + timedelta(hours=2)}
    nodes = job_energy.job_node_energies(
        sums({"job_id": 1, "node": "a-1"}), NODES, method="trapezoid"
    )
    found = whole(nodes.collect(), records(record), allocations((1, "a-1")))[1]
    assert found == found | record | {"site": "nancy"}


def test_integrate_quarter_of_node_with_gap_equals_hand_sums() -> None:
    # 200 W every 5 s, but for 1000 s of the 1200 s that the job held 1 of 4 GPUs and 4 of 16 cores
    gap = pl.col("timestamp").is_between(
        START + timedelta(seconds=1001), START + timedelta(seconds=1999)
    )
    jobs, _ = integrate(STEADY.filter(~gap), allocated((1, 900, 2100, 0.25)))
    expected = {
        "duration_s": 1200.0,
        "covered_s": 200.0,
        "gpu_s": 1200.0,
        "core_s": 4800.0,
        "share_s": 300.0,
        "share_covered_s": 50.0,
        "energy_j": 0.25 * 200 * 200,
        # half a period of 5 s at each end
        "edge_j": 0.25 * 200 * 5,
    }
    assert {name: by_job(jobs, name)[1] for name in expected} == pytest.approx(expected)


def test_variance_of_job_scales_with_square_of_share() -> None:
    power_w = [200.0 + 50 * (place % 3) for place in range(len(EVERY_5_S))]
    (whole, half) = (
        by_job(
            integrate(samples(EVERY_5_S, power_w), allocated((1, 0, 600, share)))[0],
            "variance_j2",
        )
        for share in (1.0, 0.5)
    )
    assert whole[1] > 0
    assert half[1] == pytest.approx(whole[1] / 4)


def test_stranded_and_idle_energy_are_the_remainder() -> None:
    _, classes = integrate(STEADY, allocated((1, 0, 3600, 0.25)))
    energies = dict(classes.select("class", "energy_j").iter_rows())
    assert energies == pytest.approx(
        {"job": 0.25 * KWH / 5, "stranded": 0.75 * KWH / 5, "idle": 23 * KWH / 5}
    )
