"""Means over 5 minutes, replaced by readings every 5 s."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from footprint.sources.kwollect import means

START = datetime(2025, 3, 3, 10, tzinfo=UTC)
WINDOW = {"start": START - timedelta(hours=1), "end": START + timedelta(hours=2)}


def readings(*rows: tuple[float, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(seconds=second) for second, _ in rows],
            "power_w": [value for _, value in rows],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
    )


def power_by_second(frame: pl.DataFrame) -> list[tuple[float, float | None]]:
    return [
        ((time - START).total_seconds(), power)
        for time, power in frame.sort("timestamp").select("timestamp", "power_w").iter_rows()
    ]


def test_means_are_expanded_to_readings_every_5_s_from_the_start_of_their_bucket() -> None:
    frame = means.replace_means(readings((300, 100), (0, 200), (900, 50)), **WINDOW)
    assert frame["from_summary"].all()
    expected = {0: 200, 300: 100, 900: 50}
    assert power_by_second(frame) == [
        (start + second, power) for start, power in expected.items() for second in range(0, 300, 5)
    ]


def test_expanded_means_are_cut_at_the_window() -> None:
    frame = means.replace_means(
        readings((0, 200), (300, 100)),
        start=START + timedelta(seconds=290),
        end=START + timedelta(seconds=305),
    )
    assert power_by_second(frame) == [(290, 200), (295, 200), (300, 100)]


def test_single_readings_are_not_taken_for_means() -> None:
    # on multiples of 5 minutes with others between, off them, or alone
    for rows in (
        [(second, 100.0) for second in range(0, 601, 5)],
        [(1.0, 100.0), (301.0, 100.0)],
        [(0.0, 100.0)],
        [(0.0, 100.0), (299.0, 100.0), (600.0, 100.0)],
        [(295.0, 100.0), (300.0, 100.0), (600.0, 100.0), (605.0, 100.0)],
    ):
        frame = means.replace_means(readings(*rows), **WINDOW)
        assert "from_summary" not in frame.columns
        assert power_by_second(frame) == rows


def test_means_beside_single_readings_are_expanded_in_their_own_buckets_alone() -> None:
    rows = [(0.0, 100.0), (300.0, 100.0), (700.0, 50.0), (705.0, 60.0)]
    frame = means.replace_means(readings(*rows), **WINDOW)
    assert frame["from_summary"].sum() == 120
    assert power_by_second(frame.filter(~pl.col("from_summary"))) == rows[2:]


def test_means_without_a_number_are_kept_for_the_counts() -> None:
    frame = means.replace_means(readings((0, 200), (300, None), (600, 100), (600, None)), **WINDOW)
    assert frame["from_summary"].sum() == 120
    assert power_by_second(frame.filter(~pl.col("from_summary"))) == [(300, None), (600, None)]
