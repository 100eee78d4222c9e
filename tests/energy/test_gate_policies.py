"""Energies of jobs under each gate, from segments alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.allocation import node_allocations
from footprint.core.vocabulary import GATES
from footprint.energy import gate_policies
from footprint.schemas.energy import GatePolicies
from footprint.schemas.gaps import SegmentGaps, Segments

START = datetime(2025, 3, 1, tzinfo=UTC)
ORIGIN_US = int(START.timestamp()) * 1_000_000
IDLE_W = 100.0
KWH = 1 / 3.6e6

# Job 1 holds half of c-1 for 0 to 300 s, job 2 a quarter for 100 to 300 s, and a quarter is free.
# The node draws 400 W until 100 s and 500 W until 200 s. Then it has no readings for 100 s, for
# which 600 W are estimated, and at last draws 80 W.
HELD = [(1, "c-1", 0, 300, 0.5), (2, "c-1", 100, 300, 0.25)]
POWER = [(0, 100, 0.5, 400.0), (100, 200, 0.75, 500.0), (200, 300, 0.75, None), (300, 400, 0.0, 80)]
ESTIMATED = [(200, 60_000.0)]
JOULES = {
    ("reserved", 1): 0.5 * (40_000 + 50_000 + 60_000),
    ("reserved", 2): 0.25 * (50_000 + 60_000),
    ("binary", 1): 40_000 + 50_000 + 60_000,
    ("binary", 2): 50_000 + 60_000,
    ("active", 1): 40_000 + (50_000 + 60_000) * 0.5 / 0.75,
    ("active", 2): (50_000 + 60_000) * 0.25 / 0.75,
    ("two_part", 1): 0.5 * 10_000 + 30_000 + 0.5 * 10_000 + 40_000 * 0.5 / 0.75 + 0.5 * 60_000,
    ("two_part", 2): 0.25 * 10_000 + 40_000 * 0.25 / 0.75 + 0.25 * 60_000,
}


def segments(rows: list[tuple[float, float, float, float | None]], node: str = "c-1") -> Any:
    """Segments from (start, end, share, power in W; None: no readings)."""
    return pl.DataFrame(
        [
            {
                "node": node,
                "from_us": ORIGIN_US + round(start_s * 1e6),
                "to_us": ORIGIN_US + round(end_s * 1e6),
                "share": share,
                "is_unavailable": False,
                "duration_s": float(end_s - start_s),
                "covered_s": 0.0 if watts is None else float(end_s - start_s),
                "energy_j": (watts or 0.0) * (end_s - start_s),
                "weight": 1.0,
            }
            for start_s, end_s, share, watts in rows
        ],
        schema=pl.DataFrame(Segments.create_empty()).schema,
    )


def gaps(rows: list[tuple[float, float]], node: str = "c-1") -> pl.DataFrame:
    """Estimates from (start, energy in J)."""
    return pl.DataFrame(
        [(node, ORIGIN_US + round(start_s * 1e6), joules) for start_s, joules in rows],
        schema=pl.DataFrame(SegmentGaps.create_empty()).schema,
        orient="row",
    )


def held(rows: list[tuple[int, str, float, float, float]]) -> pl.DataFrame:
    """Allocations from (job, node, start, stop, share)."""
    return pl.DataFrame(
        [
            {
                "job_id": job,
                "node": node,
                "started_at": START + timedelta(seconds=start_s),
                "stopped_at": START + timedelta(seconds=stop_s),
                "share": share,
                "gpus": 0.0,
                "cores": 16 * share,
                "opens": True,
                "closes": True,
            }
            for job, node, start_s, stop_s, share in rows
        ],
        schema=node_allocations.ALLOCATION_SCHEMA,
    )


def idle_power(watts: float | None = IDLE_W) -> pl.DataFrame:
    return pl.DataFrame(
        [("c-1", watts), ("c-2", IDLE_W)],
        schema={"node": pl.String(), "idle_power_w": pl.Float64()},
        orient="row",
    )


def totals(**kwh: float | None) -> pl.DataFrame:
    """Totals of the study, by `job_1`, `job_2`."""
    return pl.DataFrame(
        [(int(name.removeprefix("job_")), value) for name, value in kwh.items()],
        schema={"job_id": pl.Int64(), "total_kwh": pl.Float64()},
        orient="row",
    )


def compare(
    months: list[pl.DataFrame], jobs: pl.DataFrame, **options: Any
) -> dict[tuple[str, int], float | None]:
    """Totals in kWh by gate and job."""
    given = {
        "gaps": gaps(ESTIMATED),
        "allocations": held(HELD),
        "node_power": idle_power(),
        "gate": "reserved",
    } | options
    found = gate_policies.compare_gates(months, jobs=jobs, **given)
    assert GatePolicies.is_valid(found)
    return {(gate, job): kwh for job, gate, kwh in found.iter_rows()}


def test_shared_node_with_gap_and_free_part_is_divided_by_each_gate() -> None:
    jobs = totals(job_1=75_000 * KWH, job_2=27_500 * KWH)
    found = compare([segments(POWER)], jobs)
    assert found == pytest.approx({key: joules * KWH for key, joules in JOULES.items()}, rel=1e-12)


def test_jobs_across_months_have_the_sum_of_their_months() -> None:
    jobs = totals(job_1=75_000 * KWH, job_2=27_500 * KWH)
    found = compare([segments(POWER[2:]), segments(POWER[:2]), segments([])], jobs)
    assert found == pytest.approx({key: joules * KWH for key, joules in JOULES.items()}, rel=1e-12)


def test_power_below_idle_goes_by_the_share_alone() -> None:
    rows: list[tuple[float, float, float, float | None]] = [(0, 100, 0.5, 60.0)]
    found = compare(
        [segments(rows)],
        totals(job_1=3_000 * KWH),
        gaps=gaps([]),
        allocations=held([(1, "c-1", 0, 100, 0.5)]),
    )
    assert found["two_part", 1] == pytest.approx(3_000 * KWH, rel=1e-12)


def test_configured_gate_has_the_totals_of_the_study() -> None:
    jobs = totals(job_1=1.0, job_2=2.0)
    for gate in GATES:
        found = compare([segments(POWER)], jobs, gate=gate)
        assert (found[gate, 1], found[gate, 2]) == (1.0, 2.0)


def test_binary_gate_has_no_other_gates() -> None:
    found = compare([segments(POWER)], totals(job_1=1.0), gate="binary")
    assert found == {("binary", 1): 1.0}


def test_unknown_total_is_unknown_under_every_gate() -> None:
    found = compare([segments(POWER)], totals(job_1=None, job_2=0.0))
    assert {found[gate, 1] for gate in GATES} == {None}


def test_job_without_nodes_has_no_energy_under_any_gate() -> None:
    found = compare([segments(POWER)], totals(job_9=0.0))
    assert {found[gate, 9] for gate in GATES} == {0.0}


def test_unknown_idle_power_makes_two_part_unknown_on_shared_nodes() -> None:
    found = compare(
        [segments(POWER)], totals(job_1=1.0, job_2=1.0), node_power=idle_power(watts=None)
    )
    assert (found["two_part", 1], found["two_part", 2]) == (None, None)
    assert found["active", 1] == pytest.approx(JOULES["active", 1] * KWH, rel=1e-12)


@pytest.mark.parametrize(
    ("watts", "joules"), [(300.0, 30_000.0), (None, 7_000.0)], ids=["whole_node", "estimated"]
)
def test_two_part_without_idle_power_is_known_where_nothing_is_divided_by_it(
    watts: float | None, joules: float
) -> None:
    share = 1.0 if watts else 0.7
    found = compare(
        [segments([(0, 100, share, watts)])],
        totals(job_1=1.0),
        gaps=gaps([] if watts else [(0, 10_000.0)]),
        allocations=held([(1, "c-1", 0, 100, share)]),
        node_power=idle_power(watts=None),
    )
    assert found["two_part", 1] == pytest.approx(joules * KWH, rel=1e-12)


def test_unknown_jobs_make_two_part_as_reserved_without_active() -> None:
    found = compare(
        [segments(POWER)],
        totals(job_1=1.0),
        jobs_complete=False,
        gate="binary",
    )
    assert set(found) == {("binary", 1)}
    found = compare([segments(POWER)], totals(job_1=75_000 * KWH), jobs_complete=False)
    assert {gate for gate, _ in found} == {"reserved", "binary", "two_part"}
    assert found["two_part", 1] == pytest.approx(75_000 * KWH, rel=1e-12)


def test_container_without_a_share_counts_the_node_under_binary_alone() -> None:
    found = compare(
        [segments(POWER)], totals(job_3=0.0), allocations=held([*HELD, (3, "c-1", 100, 200, 0.0)])
    )
    assert found["binary", 3] == pytest.approx(50_000 * KWH, rel=1e-12)
    assert {found[gate, 3] for gate in ("reserved", "active", "two_part")} == {0.0}


SHARES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(parts=SHARES, measured_w=st.floats(0, 2_000), idle_w=st.floats(0, 500))
def test_gates_are_ordered_and_active_adds_up_to_the_node(
    parts: list[int], measured_w: float, idle_w: float
) -> None:
    shares = [part / 16 for part in parts]
    rows: list[tuple[float, float, float, float | None]] = [(0, 100, sum(shares), measured_w)]
    found = gate_policies.energies_by_gate(
        [segments(rows)],
        gaps([(0, 500.0)]),
        held([(job, "c-1", 0, 100, share) for job, share in enumerate(shares)]),
        idle_power(watts=idle_w),
    )
    assert found["active"].sum() == pytest.approx(measured_w * 100 + 500, rel=1e-9)
    for low, high in [("reserved", "two_part"), ("two_part", "active"), ("active", "binary")]:
        assert (found[low] <= found[high] * (1 + 1e-9)).all()
