"""Sums that do not depend on the order of rows or on threads."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import unordered_sums

from footprint.summation import by_run, exact_sum, known_sum, mean, standard_deviation, total


def summed(values: list[float | None]) -> tuple[float | None, float]:
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    return frame.select(known=known_sum(pl.col("x")), total=total(pl.col("x"))).row(0)


def test_unknown_terms_are_left_out() -> None:
    assert summed([1.0, None, 2.5]) == (3.5, 3.5)
    assert summed([None, None]) == (None, 0.0)
    assert summed([]) == (None, 0.0)


def test_mean_and_standard_deviation_leave_unknown_values_out() -> None:
    frame = pl.DataFrame(
        {"g": ["a"] * 4 + ["b", "c"], "x": [2.0, 4.0, None, 9.0, 5.0, None]},
        schema={"g": pl.String, "x": pl.Float64},
    )
    found = frame.group_by("g").agg(mean=mean(pl.col("x")), sd=standard_deviation(pl.col("x")))
    # (9 + 1 + 16) / 2 = 13
    assert found.sort("g").rows() == [("a", 5.0, 13**0.5), ("b", 5.0, None), ("c", None, None)]


def test_exact_sum_counts_conditions() -> None:
    frame = pl.DataFrame({"n": [2, 3, None]})
    assert frame.select(n=exact_sum(pl.col("n")), two=exact_sum(pl.col("n") > 2)).row(0) == (5, 1)


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(values: list[float | None], random) -> None:
    assert summed(values) == summed(random.sample(values, len(values)))


def test_runs_are_summed_where_any_part_of_their_key_changes() -> None:
    rows = pl.DataFrame(
        {
            "node": ["a", "a", "a", "b", "b"],
            "day": [1, 1, 2, 2, 2],
            "x": [1.0, 2.0, 4.0, None, 16.0],
            "bits": [1, 4, 2, 2, 3],
        }
    )
    found = by_run(rows, ["node", "day"], sums=["x"], unions=["bits"])
    assert found.rows() == [("a", 1, 3.0, 5), ("a", 2, 4.0, 2), ("b", 2, None, 3)]
    assert by_run(rows.clear(), ["node"], sums=["x"]).shape == (0, 2)


GROUPED = """
import polars as pl
from footprint.summation import total
x = (pl.int_range(200_000, eager=True).cast(pl.Float64) * 0.1).sin().exp()
frame = pl.LazyFrame({"x": x, "group": pl.int_range(200_000, eager=True) % 7})
sums = frame.filter(pl.col("x") > 0.4).group_by("group").agg(total(pl.col("x"))).sort("group")
print([value.hex() for value in sums.collect()["x"]])
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", GROUPED],
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
def test_lint_finds_sums_without_an_order(source: str, found: list[str]) -> None:
    findings = unordered_sums.findings(source, Path("module.py"))
    assert [finding.text for finding in findings] == found


def test_no_sum_of_the_pipeline_depends_on_threads() -> None:
    workflow = Path(__file__).parents[1] / "workflow"
    assert [str(finding) for finding in unordered_sums.search(workflow)] == []
