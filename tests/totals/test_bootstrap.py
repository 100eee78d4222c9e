"""Tests of intervals by cluster bootstrap."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.totals.bootstrap import share_interval

pytestmark = pytest.mark.filterwarnings("error")


def interval(right: list[float], whole: list[float], users: list[str]) -> tuple[float | None, ...]:
    cases = pl.DataFrame({"right": right, "whole": whole, "user": users})
    return share_interval(cases, part="right", whole="whole", cluster="user")


def test_share_of_equal_clusters_has_no_width() -> None:
    assert interval([1.0, 2.0], [2.0, 4.0], ["a", "b"]) == (0.5, 0.5)


def test_share_without_clusters_or_whole_has_no_interval() -> None:
    assert interval([1.0, 2.0], [2.0, 4.0], ["a", "a"]) == (None, None)
    assert interval([0.0, 0.0], [0.0, 0.0], ["a", "b"]) == (None, None)


def test_share_of_many_clusters_has_the_normal_interval() -> None:
    # 400 clusters, half of them right: standard error sqrt(0.25 / 400) = 0.025
    n = 400
    low, high = interval([float(i % 2) for i in range(n)], [1.0] * n, [str(i) for i in range(n)])
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_clusters_are_drawn_and_not_cases() -> None:
    # 20 clusters of 20 equal cases: standard error sqrt(0.25 / 20) = 0.112, not 0.025
    users = [str(i // 20) for i in range(400)]
    right = [float((i // 20) % 2) for i in range(400)]
    low, high = interval(right, [1.0] * 400, users)
    assert low == pytest.approx(0.5 - 1.96 * 0.112, abs=0.04)
    assert high == pytest.approx(0.5 + 1.96 * 0.112, abs=0.04)
    assert interval(right[::-1], [1.0] * 400, users[::-1]) == (low, high)
