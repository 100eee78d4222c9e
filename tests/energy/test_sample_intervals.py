"""Moments and sums in a series of samples."""

import numpy as np

from footprint.energy import sample_intervals

TIMES_US = np.array([10, 20, 40])


def test_last_samples_are_at_or_before_the_moments() -> None:
    moments_us = np.array([0, 9, 10, 19, 20, 39, 40, 99])
    rows = sample_intervals.last_samples(TIMES_US, moments_us)
    assert rows.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]


def test_covered_since_is_zero_before_the_sample_and_ends_with_the_covered_time() -> None:
    start_us, covered_us = np.array([10, 10, 10, 10]), np.array([5, 5, 5, 0])
    moments_us = np.array([3, 12, 99, 99])
    assert sample_intervals.covered_since(start_us, covered_us, moments_us).tolist() == [0, 2, 5, 0]


def test_sums_before_counts_are_of_the_first_values() -> None:
    values = np.array([[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]])
    found = sample_intervals.sums_before(values, np.array([0, 3, 1, 1]))
    assert found.tolist() == [[0, 7, 1, 1], [0, 70, 10, 10]]
    nothing = sample_intervals.sums_before(np.empty((2, 0)), np.array([0, 0]))
    assert nothing.tolist() == [[0, 0], [0, 0]]


def test_held_integrals_grow_while_a_value_holds() -> None:
    # 3 from 10 to 20, 7 from 20 to 25, 1 from 40 to 45
    found = sample_intervals.held_integrals(
        np.array([[3.0, 7.0, 1.0]]),
        TIMES_US,
        np.array([10, 5, 5]),
        np.array([0, 10, 14, 20, 22, 25, 39, 40, 41, 99]),
    )
    assert found.tolist() == [[0, 0, 12, 30, 44, 65, 65, 65, 66, 70]]
