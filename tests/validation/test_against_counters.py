from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.report.tables.counters import counters_table
from footprint.schemas.validation import AgainstCounters
from footprint.schemas.writing import conform
from footprint.validation import against_counters

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def job_nodes(**changes: Any) -> pl.DataFrame:
    row = {
        "job_id": 1,
        "node": "n1",
        "cluster": "n",
        "share": 1.0,
        "duration_s": 600.0,
        "coverage_frac": 1.0,
        "measured_kwh": 0.05,
    }
    return pl.DataFrame([row | changes])


def allocations(*intervals: tuple[int, int], share: float = 1.0) -> pl.DataFrame:
    rows = [
        {
            "job_id": 1,
            "node": "n1",
            "started_at": NOON + timedelta(seconds=start),
            "stopped_at": NOON + timedelta(seconds=stop),
            "share": share,
        }
        for start, stop in intervals
    ]
    return pl.DataFrame(rows)


def readings(energy_of: Any, *, every_s: int = 10, until_s: int = 1000) -> pl.DataFrame:
    seconds = range(-60, until_s, every_s)
    return pl.DataFrame(
        {
            "node": "n1",
            "timestamp": [NOON + timedelta(seconds=each) for each in seconds],
            "energy_j": [float(energy_of(each)) for each in seconds],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


def compare(
    jobs: pl.DataFrame, held: pl.DataFrame, *frames: pl.DataFrame, max_gap_s: float = 30
) -> pl.DataFrame:
    found = against_counters.compare_with_counters(jobs, held, frames, max_gap_s=max_gap_s)
    table: pl.DataFrame = conform(AgainstCounters, found)
    return table


def test_counter_energy_is_interpolated_at_the_bounds() -> None:
    found = compare(job_nodes(), allocations((5, 605)), readings(lambda s: 1e6 + 300 * s))
    row = found.row(0, named=True)
    assert row["counter_kwh"] == pytest.approx(0.05)
    assert row["ratio"] == pytest.approx(1.0)
    assert row["compared"]
    half_width = (1 - 0.05**0.5) * 3000 / 3.6e6
    assert row["counter_high_kwh"] - row["counter_kwh"] == pytest.approx(half_width)
    assert row["counter_kwh"] - row["counter_low_kwh"] == pytest.approx(half_width)


def test_allocations_of_a_suspended_job_add_up() -> None:
    held = allocations((0, 100), (200, 300))
    found = compare(job_nodes(), held, readings(lambda s: 1e6 + 300 * s))
    assert found["counter_kwh"].to_list() == pytest.approx([200 * 300 / 3.6e6])


@pytest.mark.parametrize(
    ("jobs", "frame"),
    [
        (job_nodes(duration_s=50.0), readings(lambda s: 1e6 + 300 * s)),
        (job_nodes(coverage_frac=0.9), readings(lambda s: 1e6 + 300 * s)),
        (job_nodes(), readings(lambda s: 1e6 + 300 * s if s < 300 else 300 * s)),
        (job_nodes(), readings(lambda s: 1e6 + 300 * s, every_s=60)),
    ],
    ids=["short", "not covered", "reset", "gap"],
)
def test_jobs_that_cannot_be_compared_are_marked(jobs: pl.DataFrame, frame: pl.DataFrame) -> None:
    assert compare(jobs, allocations((0, 600)), frame)["compared"].to_list() == [False]


def test_shared_nodes_and_nodes_without_counter_are_left_out() -> None:
    frame = readings(lambda s: 1e6 + 300 * s)
    assert compare(job_nodes(share=0.5), allocations((0, 600), share=0.5), frame).is_empty()
    assert compare(job_nodes(), allocations((0, 600))).is_empty()
    assert compare(job_nodes(), allocations((0, 600)), frame[:1]).is_empty()


def test_table_has_median_and_spread_of_jobs_compared() -> None:
    parts = [
        compare(
            job_nodes(measured_kwh=0.05 * ratio, cluster=cluster),
            allocations((5, 605)),
            readings(lambda s: 1e6 + 300 * s),
        ).with_columns(job_id=pl.lit(number))
        for number, (ratio, cluster) in enumerate([(0.98, "a"), (1.0, "b"), (1.1, "b")])
    ]
    rows = counters_table(pl.concat(parts)).rows
    assert rows["cluster"].to_list() == ["a", "b", "all"]
    assert rows["n_compared"].to_list() == [1, 2, 3]
    assert rows["ratio_p50"].to_list() == pytest.approx([0.98, 1.05, 1.0])
    assert counters_table(pl.concat(parts)[:0]).rows.is_empty()
