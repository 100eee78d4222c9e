"""Intervals of the part of the energy in the largest jobs, by bootstrap over users."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.levels import concentration
from footprint.totals.largest_shares import MIN_USERS, intervals_of_largest


def jobs(rows: list[tuple[float | None, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"total_kwh": pl.Float64, "user": pl.String}, orient="row")


def test_interval_of_equal_users_has_no_width() -> None:
    same = jobs([(energy, f"u-{user}") for user in range(10) for energy in (1.0, 3.0)])
    # every sample has as many jobs of 3 kWh as of 1 kWh
    assert intervals_of_largest(same, [50, 100]) == [(0.75, 0.75), (1.0, 1.0)]


def test_interval_is_wider_if_a_user_owns_the_large_jobs() -> None:
    energies = [10.0] * 10 + [1.0] * 90
    own = jobs([(kwh, f"u-{i}") for i, kwh in enumerate(energies)])
    together = jobs([(kwh, f"u-{i // 10}") for i, kwh in enumerate(energies)])
    (narrow,), (wide,) = (intervals_of_largest(each, [10]) for each in (own, together))
    # in a third of the samples the user is missing, and the largest tenth has a tenth
    assert wide[0] == pytest.approx(0.1)
    # without users a tenth of the jobs is large in every sample, give or take 6 of 10
    assert narrow[0] == pytest.approx(0.36, abs=0.06)
    assert wide[1] == narrow[1] == pytest.approx(10 / 19)


def test_interval_needs_users_and_energy() -> None:
    few = jobs([(1.0, f"u-{user}") for user in range(MIN_USERS - 1)])
    assert intervals_of_largest(few, [1, 10]) == [(None, None)] * 2
    zero = jobs([(0.0, f"u-{user}") for user in range(9)])
    assert intervals_of_largest(zero, [10]) == [(None, None)]
    assert intervals_of_largest(jobs([(None, "u-1")]), [10]) == [(None, None)]
    assert intervals_of_largest(jobs([]), [10]) == [(None, None)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 100), st.sampled_from([f"u-{i}" for i in range(9)])),
        min_size=1,
        max_size=40,
    )
)
def test_interval_contains_the_part_of_all_jobs_in_any_order(rows: list) -> None:
    found = intervals_of_largest(jobs(rows), [10])
    assert found == intervals_of_largest(jobs(rows[::-1]), [10])
    ((low, high),) = found
    if low is None or high is None:
        return
    known = jobs(rows)["total_kwh"].drop_nulls()
    (part,) = concentration.energy_frac_of_largest(known, [-(-len(known) * 10 // 100)])
    assert part is not None
    assert low - 1e-12 <= part <= high + 1e-12
    assert 0 <= low <= high <= 1 + 1e-12


def test_interval_covers_the_share_of_new_people_of_the_same_kind() -> None:
    inside = 0
    for seed in range(40):
        random = np.random.default_rng(seed)

        def drawn(n_users: int, random: np.random.Generator = random) -> pl.DataFrame:
            sizes = random.lognormal(0, 0.8, n_users)
            return jobs(
                [
                    (float(kwh), f"u-{user}")
                    for user in range(n_users)
                    for kwh in sizes[user] * random.lognormal(0, 1, 10)
                ]
            )

        ((low, high),) = intervals_of_largest(drawn(60), [10])
        many = drawn(1500)["total_kwh"]
        (part,) = concentration.energy_frac_of_largest(many, [len(many) // 10])
        assert low is not None
        assert high is not None
        assert part is not None
        inside += low <= part <= high
    assert inside >= 32
