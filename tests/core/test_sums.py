"""Sums of floats that do not depend on the order of rows or on threads."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.sums import (
    exact_sum,
    known_mean,
    known_sum,
    standard_deviation,
    sum_consecutive,
    sum_or_zero,
)
from tests.support import unordered_sums


def sums_of(values: list[float | None]) -> tuple[float | None, float]:
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    return frame.select(known=known_sum(pl.col("x")), total=sum_or_zero(pl.col("x"))).row(0)


def test_known_sum_and_sum_or_zero_skip_nulls() -> None:
    assert sums_of([1.0, None, 2.5]) == (3.5, 3.5)
    assert sums_of([None, None]) == (None, 0.0)
    assert sums_of([]) == (None, 0.0)


def test_known_mean_and_standard_deviation_skip_nulls() -> None:
    frame = pl.DataFrame(
        {"g": ["a"] * 4 + ["b", "c"], "x": [2.0, 4.0, None, 9.0, 5.0, None]},
        schema={"g": pl.String, "x": pl.Float64},
    )
    found = frame.group_by("g").agg(
        mean=known_mean(pl.col("x")), sd=standard_deviation(pl.col("x"))
    )
    # (9 + 1 + 16) / 2 = 13
    assert found.sort("g").rows() == [("a", 5.0, 13**0.5), ("b", 5.0, None), ("c", None, None)]


def test_exact_sum_sums_integers_and_counts_conditions() -> None:
    frame = pl.DataFrame({"n": [2, 3, None]})
    assert frame.select(n=exact_sum(pl.col("n")), two=exact_sum(pl.col("n") > 2)).row(0) == (5, 1)


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=20), st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_the_order_of_rows(values: list[float | None], random) -> None:
    assert sums_of(values) == sums_of(random.sample(values, len(values)))


def test_sum_consecutive_starts_a_new_sum_where_any_key_column_changes() -> None:
    rows = pl.DataFrame(
        {
            "node": ["a", "a", "a", "b", "b"],
            "day": [1, 1, 2, 2, 2],
            "x": [1.0, 2.0, 4.0, None, 16.0],
            "bits": [1, 4, 2, 2, 3],
        }
    )
    found = sum_consecutive(rows, ["node", "day"], sums=["x"], unions=["bits"])
    assert found.rows() == [("a", 1, 3.0, 5), ("a", 2, 4.0, 2), ("b", 2, None, 3)]
    assert sum_consecutive(rows.clear(), ["node"], sums=["x"]).shape == (0, 2)


GROUPED_SUM_SCRIPT = """
import polars as pl
from footprint.core.sums import sum_or_zero
x = (pl.int_range(200_000, eager=True).cast(pl.Float64) * 0.1).sin().exp()
frame = pl.LazyFrame({"x": x, "group": pl.int_range(200_000, eager=True) % 7})
sums = frame.filter(pl.col("x") > 0.4).group_by("group").agg(sum_or_zero(pl.col("x"))).sort("group")
print([value.hex() for value in sums.collect()["x"]])
"""


def test_sum_or_zero_by_group_does_not_depend_on_the_number_of_threads() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", GROUPED_SUM_SCRIPT],
            env=os.environ | {"POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "7")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("pl.col('kwh').sum()", ["pl.col('kwh').sum()"]),
        ("frame['kwh'].mean() + 1", ["frame['kwh'].mean()"]),
        ("frame.group_by('a').sum()", ["frame.group_by('a').sum()"]),
        ("pl.sum('kwh') / pl.corr('a', 'b')", ["pl.sum('kwh')", "pl.corr('a', 'b')"]),
        ("x.sort().std()", ["x.sort().std()"]),
        ("(a == b).sum()", ["(a == b).sum()"]),
        ("pl.col('watts').list.sum() + pl.sum_horizontal('a', 'b')", []),
        ("np.sum(values) + values.sum(axis=1) + sum(values)", []),
        ("total(pl.col('kwh')) + pl.col('kwh').cum_sum()", []),
    ],
)
def test_unordered_sums_lint_finds_sums_without_fixed_order(source: str, found: list[str]) -> None:
    findings = unordered_sums.find_unordered_sums(source, Path("module.py"))
    assert [finding.text for finding in findings] == found


def test_unordered_sums_lint_finds_nothing_in_the_workflow() -> None:
    workflow = Path(__file__).parents[2] / "workflow"
    assert [str(finding) for finding in unordered_sums.search_folder(workflow)] == []
