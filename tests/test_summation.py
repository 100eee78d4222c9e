"""Sums that do not depend on the order of rows or on threads."""

import os
import subprocess
import sys

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from footprint.summation import by_run, known_sum, total


def summed(values: list[float | None]) -> tuple[float | None, float]:
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    return frame.select(known=known_sum(pl.col("x")), total=total(pl.col("x"))).row(0)


def test_unknown_terms_are_left_out() -> None:
    assert summed([1.0, None, 2.5]) == (3.5, 3.5)
    assert summed([None, None]) == (None, 0.0)
    assert summed([]) == (None, 0.0)


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
