"""Gaps between samples."""

import numpy as np
import polars as pl

from footprint.core import gaps


def test_is_gap_only_beyond_the_longest_time() -> None:
    distance_us = [0, 29_999_999, 30_000_000, 30_000_001]
    expected = [False, False, False, True]
    assert gaps.is_gap(np.array(distance_us), 30).tolist() == expected
    frame = pl.DataFrame({"distance_us": distance_us})
    assert frame.select(gaps.is_gap(pl.col("distance_us"), 30)).to_series().to_list() == expected


def test_is_gap_of_an_unknown_distance_is_unknown() -> None:
    frame = pl.DataFrame({"distance_us": pl.Series([None], dtype=pl.Int64)})
    assert frame.select(gaps.is_gap(pl.col("distance_us"), 30)).item() is None


def test_covered_time_is_the_distance_and_zero_in_a_gap() -> None:
    distance_us = np.array([1, 500_000, 500_001])
    assert gaps.covered_us(distance_us, 0.5).tolist() == [1, 500_000, 0]
