"""Intervals between samples: methods of integration, and moments and sums in a series.

The kernel, the power histograms of phases and the mean carbon intensity all find moments between
samples here, and decide by `core.gaps` what is covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from footprint.core.arrays import Floats, Integers, sorted_distinct

INTEGRATION_METHODS = ("trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples")
"""Methods for samples of power."""

COUNTER_METHOD = "counter"
"""Method for power between the moves of an energy counter."""

HOLDING_METHODS = ("left_hold", COUNTER_METHOD)
"""Methods by which a sample holds until the next."""
"""Values of the key `integration.method`."""


@dataclass(frozen=True)
class IntegrationMethod:
    """How samples of power are integrated.

    Attributes:
        name: `trapezoid`: power is linear between samples, and bounds are interpolated.
            `inner_trapezoid`: linear, from the first to the last sample inside a job.
            `left_hold`: a sample holds until the next.
            `sum_of_samples`: each sample inside counts for one period of the sensor.
            `counter`: a sample is the mean power until the next, so that only the energy at the
            bounds of an interval has an error.
        max_gap_s: Longest time between samples that is not a gap.
        off_threshold_w: A node is in standby between two samples below this power.
        period_s: Nominal period of the sensor, for nodes whose samples are too few or too irregular
            to show one; None: the period is always derived from the samples.
    """

    name: str
    max_gap_s: float
    off_threshold_w: float
    period_s: float | None = None


def last_samples(times_us: Integers, moments_us: Integers) -> Integers:
    """Row of the last sample at or before each moment; before the first sample, the first.

    Args:
        times_us: Times of the samples, ascending, one at least.
        moments_us: The moments.
    """
    return np.maximum(np.searchsorted(times_us, moments_us, side="right") - 1, 0)


def covered_since(start_us: Integers, covered_us: Integers, moments_us: Integers) -> Integers:
    """Covered time from the sample before each moment to the moment.

    Args:
        start_us: Time of the sample.
        covered_us: Covered time from the sample to the next; 0 before a gap and after the last.
        moments_us: The moments.
    """
    elapsed_us: Integers = np.clip(moments_us - start_us, 0, covered_us)
    return elapsed_us


def sums_before(values: Floats, count: Integers) -> Floats:
    """Sums of the first `count` values of each row, a column for each count."""
    bounds = sorted_distinct(np.append(count, 0))
    starts = bounds[bounds < values.shape[1]]
    if not len(starts):
        return np.zeros((len(values), len(count)))
    until = np.zeros((len(values), len(starts) + 1))
    np.add.reduceat(values, starts, axis=1).cumsum(axis=1, out=until[:, 1:])
    return until[:, np.searchsorted(np.append(starts, values.shape[1]), count)]


def held_integrals(
    values: Floats, times_us: Integers, covered_us: Integers, moments_us: Integers
) -> Floats:
    """Cumulative integrals of values that hold for a time from their sample on.

    Args:
        values: A row for each series, a column for each sample.
        times_us: Times of the samples, ascending, one at least.
        covered_us: Time for which each sample holds, at most until the next.
        moments_us: Moments up to which values are integrated.

    Returns:
        A row for each series and a column for each moment, in microseconds x unit of the values.
    """
    row = last_samples(times_us, moments_us)
    elapsed_us = covered_since(times_us[row], covered_us[row], moments_us)
    return sums_before(values * covered_us, row) + values[:, row] * elapsed_us
