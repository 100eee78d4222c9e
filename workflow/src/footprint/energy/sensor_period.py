"""Period and step of a sensor, from the samples of a node."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from footprint.core.arrays import Floats, Integers

NOMINAL_PERIOD_S = {
    "bmc_node_power_watt": 5.0,
    "bmc_power_node_watt": 5.0,
    "wattmetre_power_watt": 1.0,
    "pdu_outlet_power_watt": 1.0,
}
"""Periods of the metrics that Grid'5000 collects by default (Reference API, `metrics[].period`)."""

PROBED_SAMPLES = 5_000
"""Samples from which the period and the step of a sensor are derived, about."""

MIN_SAMPLES = 10
"""Samples below which a sensor has no period of its own."""

MANY_SAMPLES = 60
"""Samples that have a period if half of their distances are alike; fewer need `MIN_ALIKE_FRAC`.

Of ten samples at random, half are often alike.
"""

MIN_ALIKE_FRAC = 0.9
"""Fraction of the distances that must be alike below `MANY_SAMPLES` samples."""

PART_SAMPLES = 500
"""Samples of each part that is examined by itself where the whole has no period."""

MIN_STRETCH_SAMPLES = 60
"""Fewest samples of a stretch with another period."""

ALIKE_FRAC = 0.5
"""Fraction of a period by which distances of samples may differ from it.

At twice the period a reading is missing. Both sides have the same limit, so that jitter does not
move the mean.
"""

DEFAULT_STEP_W = 1.0
"""Step of a sensor that has shown one value only: most BMCs give whole watts."""


def period_and_step(times_us: Integers, power_w: Floats) -> tuple[float, float]:
    """Period (s) and step (W) of a sensor.

    The period is the mean of the first distances that are alike. The step is the most frequent
    distance between neighbouring values, the smallest of these where several are as frequent, and
    `DEFAULT_STEP_W` where there is one value only.

    Args:
        times_us: Times of the samples, ascending, in microseconds.
        power_w: Power at the samples.

    Returns:
        `period_s`, `step_w`.
    """
    distances_us = np.diff(times_us[:PROBED_SAMPLES])
    period_s = _mean_alike_s(distances_us) if len(distances_us) else 0.0
    values = np.sort(power_w[:: max(1, len(power_w) // PROBED_SAMPLES)])
    apart = np.diff(values)
    steps, counts = np.unique(np.round(apart[apart > 0], 6), return_counts=True)
    return period_s, float(steps[counts.argmax()]) if len(steps) else DEFAULT_STEP_W


def usual_period_s(times_us: Integers) -> float | None:
    """Period that a sensor has for most of the time, from all of a node's samples.

    Stretches of another period (50 Hz, for example) may have more samples than the rest. If they
    also last longer together, their period is the usual one. If two periods share the samples so
    that the whole has none, the usual one is the period of the parts of `PART_SAMPLES` samples that
    last longest.

    Args:
        times_us: Times of the samples, ascending, in microseconds.

    Returns:
        The period; None where samples do not show one (`is_regular`).
    """
    if not is_regular(times_us):
        return _median_period_of_parts_s(times_us)
    period_s = _mean_alike_s(np.diff(times_us))
    stretches = stretches_of_another_period(times_us, period_s)
    if not stretches:
        return period_s
    n_others = sum(rows.stop - rows.start for rows, _ in stretches)
    lasting_s = sum((rows.stop - rows.start) * other_s for rows, other_s in stretches)
    if lasting_s <= (len(times_us) - n_others) * period_s:
        return period_s
    return max(stretches, key=lambda each: (each[0].stop - each[0].start) * each[1])[1]


def _median_period_of_parts_s(times_us: Integers) -> float | None:
    """Median, by time, of the periods of regular parts; None if they last less than half of it."""
    if len(times_us) < 2 * PART_SAMPLES:
        return None
    parts = [times_us[low : low + PART_SAMPLES] for low in range(0, len(times_us), PART_SAMPLES)]
    regular = [part for part in parts if is_regular(part)]
    lasting_us = np.array([part[-1] - part[0] for part in regular], dtype=np.float64)
    if 2 * np.sum(lasting_us) < times_us[-1] - times_us[0]:
        return None
    periods_s = np.array([_mean_alike_s(np.diff(part)) for part in regular])
    order = np.argsort(periods_s)
    until_us = lasting_us[order].cumsum()
    return float(periods_s[order][np.searchsorted(until_us, until_us[-1] / 2)])


def stretches_of_another_period(times_us: Integers, period_s: float) -> list[tuple[slice, float]]:
    """Stretches of samples with a period that differs from the sensor's usual one.

    A job may ask for 50 Hz from a sensor that is otherwise read every second. The distance of a
    sample is the smaller one to its two neighbours, so that missed readings make no stretch. A
    stretch has `MIN_STRETCH_SAMPLES` samples or more in a row whose distance differs from
    `period_s` by more than `ALIKE_FRAC` of it, all to the same side, and has a period
    (`is_regular`), the mean of its distances that are alike. Other samples keep the usual period.

    Args:
        times_us: Times of the samples, ascending, in microseconds.
        period_s: The usual period.

    Returns:
        Rows of each stretch and its period in seconds.
    """
    if len(times_us) < MIN_STRETCH_SAMPLES or period_s <= 0:
        return []
    between_us = np.diff(times_us)
    nearest_us = np.minimum(
        np.append(between_us, between_us[-1]), np.append(between_us[0], between_us)
    )
    usual_us = period_s * 1e6
    side = (nearest_us > usual_us * (1 + ALIKE_FRAC)).astype(np.int8)
    side -= nearest_us < usual_us * (1 - ALIKE_FRAC)
    if not side.any():
        return []
    starts = np.flatnonzero(np.append(True, side[1:] != side[:-1]))
    ends = np.append(starts[1:], len(side))
    return [
        (slice(low, high), _mean_alike_s(nearest_us[low:high]))
        for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
        if side[low] and high - low >= MIN_STRETCH_SAMPLES and is_regular(times_us[low:high])
    ]


def is_regular(times_us: Integers) -> bool:
    """Whether samples have a period: there are enough, and most of their distances are alike."""
    if len(times_us) < MIN_SAMPLES:
        return False
    needed = 0.5 if len(times_us) >= MANY_SAMPLES else MIN_ALIKE_FRAC
    return bool(np.mean(_are_alike(np.diff(times_us))) >= needed)


def _are_alike(distances_us: Integers) -> npt.NDArray[np.bool_]:
    """Whether each distance differs from the median by no more than `ALIKE_FRAC` of it."""
    median_us = np.median(distances_us)
    return np.abs(distances_us - median_us) <= ALIKE_FRAC * median_us


def _mean_alike_s(distances_us: Integers) -> float:
    """Mean of the distances that are alike, in seconds.

    The median would be one tick of a coarse clock short or long: distances of 4 s and 6 s by turns,
    5 s on average, have a median of 4 s or 6 s.
    """
    alike_us = distances_us[_are_alike(distances_us)]
    return float(np.mean(alike_us if len(alike_us) else distances_us)) / 1e6
