"""Running integrals of a node's power: the samples once, then any interval by binary search.

Between two samples no further apart than `max_gap_s` the node is *covered*; elsewhere its power is
unknown and nothing is added. Every running integral below is therefore a function of time that is
constant over gaps, and what an interval contributes is the difference between its ends.

Half a million samples a node and month pass through here. NumPy sums the intervals between two
moments in place, block by block; Polars has no sum by slices, and would keep a running sum of every
quantity at every sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint.intervals import (
    NAMES,
    STEP_VARIANCE,
    Floats,
    Integers,
    Intervals,
    Memory,
    Method,
    ascending,
)


@dataclass(frozen=True)
class Calibration:
    """Line from readings to power, `slope x reading + offset` (W), with standard errors."""

    slope: float = 1.0
    offset: float = 0.0
    slope_error: float = 0.0
    offset_error: float = 0.0

    def of(self, readings_w: Floats) -> Floats:
        """Power of readings, which a wrong line makes negative."""
        power_w: Floats = readings_w * self.slope + self.offset
        return power_w

    @classmethod
    def from_config(cls, integration: Mapping[str, Any], *, cluster: str) -> Calibration | None:
        """The line that a configuration's `integration` gives for a cluster, if any."""
        line = integration["calibration"].get(cluster)
        return cls(**line) if line else None


# Periods, for nodes with few samples, of the metrics that Grid'5000 collects by default (Reference
# API, `metrics[].period`).
NOMINAL_PERIOD_S = {
    "bmc_node_power_watt": 5.0,
    "bmc_power_node_watt": 5.0,
    "wattmetre_power_watt": 1.0,
    "pdu_outlet_power_watt": 1.0,
}


# What `at` gives for a moment: integrals and sums from the first sample up to it.
QUANTITIES = (
    "energy_j",  # of power
    "covered_s",  # of time within reach of samples
    "standby_j",  # of power while in standby
    "standby_s",  # of time in standby
    "floor_j",  # of power up to the idle power
    "spread_j2",  # variance of energy_j from what the power does between samples
    "n_probes",  # samples probed, and of these the sums of
    "probe_w",  # power
    "probe_w2",  # its square
    "probe_repeats",  # readings equal to the one before
)

PROBED = QUANTITIES[-3:]

# A moment, the interval that it lies in, and the power up to which `floor_j` integrates.
INTERVAL = ("moment_us", "start_us", "end_us", "start_w", "end_w", "limit_w")

# Statistics that need no more than a sample of the samples use every 16th.
PROBE_EVERY = 16

# Sensor period and step are read off about this many samples.
PROBE_ROWS = 5_000

# Below so many samples the period is the nominal one, where the metric has one.
FEW_SAMPLES = 10

# So many samples have a period if half of their distances are alike. Fewer need `MOST_ALIKE`: of
# ten samples at random, half are soon alike.
MANY_SAMPLES = 60
MOST_ALIKE = 0.9

# So many samples in a row are judged alone where the whole has no period.
PART_ROWS = 500

# A stretch with another period has so many samples at least.
SHORTEST_STRETCH = 60

# Distances of samples of one period differ from it by no more than this part of it; at twice the
# period a reading is missing. Alike on both sides, so that jitter does not move the mean.
ALIKE_FRAC = 0.5

# Most BMCs give whole watts: the step of a sensor that has shown one value only.
USUAL_STEP_W = 1.0


@dataclass(frozen=True)
class Running:
    """A node's samples, ready to be integrated up to any moment.

    Attributes:
        times_us: Times of the samples, in microseconds since 1970.
        power_w: Power at the samples.
        method: How power becomes energy.
        idle_power_w: Power up to which `floor_j` integrates; None: without limit.
        period_s: The sensor's period.
        step_w: The sensor's step.
        memory: Arrays to work in, which no other thread uses.
    """

    times_us: Integers
    power_w: Floats
    method: Method
    idle_power_w: float | None
    period_s: float
    step_w: float
    memory: Memory

    def before(self, moments_us: Integers) -> dict[str, Any]:
        """For each moment, what `at` needs: the interval that it lies in, and sums up to there.

        Before the first sample and after the last, that interval has no length.
        """
        last = len(self.times_us) - 1
        counted = self._counted(moments_us) if self.method.name == "sum_of_samples" else {}
        if last < 0:
            names = (*NAMES, *INTERVAL, "n_probes", *PROBED)
            nothing = dict.fromkeys(names, np.zeros(len(moments_us)))
            return nothing | dict.fromkeys(INTERVAL[:3], moments_us) | counted
        row = np.searchsorted(self.times_us, moments_us, side="right") - 1
        start = np.maximum(row, 0)
        end = np.where(row < 0, 0, np.minimum(row + 1, last))
        times_us, power_w = self.times_us, self.power_w
        ends = (times_us[start], times_us[end], power_w[start], power_w[end])
        interval = (moments_us, *ends, np.full(len(row), self._limit_w))
        return {
            **self._sums_up_to(start),
            **dict(zip(INTERVAL, interval, strict=True)),
            **counted,
        }

    @property
    def _limit_w(self) -> float:
        return np.inf if self.idle_power_w is None else self.idle_power_w

    def _sums_up_to(self, samples: Integers) -> dict[str, Floats]:
        """What all intervals before each of `samples` add, and what was probed of them."""
        last = len(self.times_us) - 1
        blocks = np.append(np.arange(0, last, self.memory.rows), last)
        starts = ascending(np.concatenate([blocks, samples]))
        first = np.searchsorted(starts, blocks)
        intervals = Intervals(self.method, self.idle_power_w, self.memory)
        sums = np.zeros((len(NAMES), len(starts)))
        covered, energy, _, floor, *_ = sums
        covered[1:] = np.diff(self.times_us[starts])
        with_limit = 3 if self.idle_power_w is None else 4
        probed = self.memory.probes(len(PROBED), -(-last // PROBE_EVERY))
        for block, (low, high) in enumerate(pairwise(blocks.tolist())):
            found = intervals.between(
                self.times_us[low:high],
                self.times_us[low + 1 : high + 1],
                self.power_w[low:high],
                self.power_w[low + 1 : high + 1],
            )
            inside = slice(first[block], first[block + 1])
            ends = slice(inside.start + 1, inside.stop + 1)
            # mostly no time is lost in gaps, and nothing is in standby
            rows = slice(0 if intervals.gaps else 1, len(NAMES) if intervals.asleep else with_limit)
            sums[rows, ends] = np.add.reduceat(found[rows], starts[inside] - low, axis=1)
            self._probe(low, high, probed)
        if self.idle_power_w is None:
            floor[:] = energy
        reached = sums.cumsum(axis=1)[:, np.searchsorted(starts, samples)]
        np.multiply(probed[0], probed[0], out=probed[1])
        count = np.minimum(samples // PROBE_EVERY, probed.shape[1])
        return {
            **dict(zip(NAMES, reached, strict=True)),
            "n_probes": count.astype(np.float64),
            **dict(zip(PROBED, _sums_before(probed, count), strict=True)),
        }

    def _probe(self, low: int, high: int, probed: Floats) -> None:
        """Power, and whether the next reading is equal, of a block that is in the cache."""
        power_w, _, repeats = probed[:, low // PROBE_EVERY : -(-high // PROBE_EVERY)]
        power_w[:] = self.power_w[low:high:PROBE_EVERY]
        np.equal(self.power_w[low + 1 : high + 1 : PROBE_EVERY], power_w, out=repeats)

    def weighted(self, values: Floats) -> Floats:
        """Values of the samples in the last dimension, times their own period over `period_s`."""
        for rows, period_s in stretches_of_another_period(self.times_us, self.period_s):
            values[..., rows] *= period_s / self.period_s
        return values

    def _counted(self, moments_us: Integers) -> dict[str, Floats]:
        """Energies by `sum_of_samples`: the samples strictly before a moment, a period each.

        Samples of a stretch with another period count for that period.
        """
        count = np.searchsorted(self.times_us, moments_us, side="left")
        asleep = self.power_w < self.method.off_threshold_w
        floor_w = np.minimum(self.power_w, self._limit_w)
        values = self.weighted(np.stack([self.power_w, self.power_w * asleep, floor_w]))
        sums = _sums_before(values, count)
        return dict(zip(("energy_j", "standby_j", "floor_j"), sums * self.period_s, strict=True))


def at(before: Mapping[str, Any], method: Method) -> dict[str, Floats]:
    """Running integrals (`QUANTITIES`) at each moment, interpolated inside intervals.

    A moment before the first sample has 0; one inside a gap or after the last sample has what the
    last sample before it has.

    Args:
        before: Result of `Running.before`, of any nodes.
        method: How power becomes energy.
    """
    moments_us, start_us, end_us, start_w, end_w, limit_w = (before[name] for name in INTERVAL)
    intervals = Intervals(method, limit_w, Memory(len(moments_us)))
    whole = dict(zip(NAMES, intervals.between(start_us, end_us, start_w, end_w), strict=True))
    if not intervals.asleep:
        whole |= dict.fromkeys(("standby", "standby_us"), np.zeros(len(moments_us)))
    length_us = whole["covered"]
    elapsed_us = (moments_us - start_us).astype(np.float64)
    part = np.divide(elapsed_us, length_us, out=np.zeros(len(elapsed_us)), where=length_us > 0)
    reached = {name: value * part for name, value in whole.items()}
    # alone, an interval has no neighbour that tells noise from steps
    reached["spread"] = ((end_w - start_w) * length_us) ** 2 * part
    if method.name != "left_hold":
        # linear power: short of the interval's mean by half of what is still to change
        still_us = (1 - part) * part * length_us
        low_w, end_low_w = (np.minimum(each, limit_w) for each in (start_w, end_w))
        reached["energy"] -= (end_w - start_w) * still_us
        reached["floor"] -= (end_low_w - low_w) * still_us
        reached["standby"] -= np.where(reached["standby"] != 0, (end_w - start_w) * still_us, 0.0)
    total = {name: before[name] + reached[name] for name in NAMES}
    joules = 1e-6 if method.name == "left_hold" else 0.5e-6
    integrals = {
        "energy_j": total["energy"] * joules,
        "covered_s": total["covered"] * 1e-6,
        "standby_j": total["standby"] * joules,
        "standby_s": total["standby_us"] * 1e-6,
        "floor_j": total["floor"] * joules,
        "spread_j2": total["spread"] * (STEP_VARIANCE * 1e-12),
    }
    return {name: before[name] if name in before else integrals[name] for name in QUANTITIES}


def _sums_before(values: Floats, count: Integers) -> Floats:
    """Sums of the first `count` values of each row, a column for each count."""
    bounds = ascending(np.append(count, 0))
    starts = bounds[bounds < values.shape[1]]
    if not len(starts):
        return np.zeros((len(values), len(count)))
    until = np.zeros((len(values), len(starts) + 1))
    np.add.reduceat(values, starts, axis=1).cumsum(axis=1, out=until[:, 1:])
    return until[:, np.searchsorted(np.append(starts, values.shape[1]), count)]


def running(
    samples: pl.DataFrame,
    *,
    method: Method,
    idle_power_w: float | None = None,
    calibration: Calibration | None = None,
    memory: Memory | None = None,
) -> Running:
    """The intervals between a node's samples.

    Args:
        samples: `timestamp`, `power_w` of one node, strictly ascending in time.
        method: How power becomes energy.
        idle_power_w: Power up to which `floor_j` integrates; without it `floor_j` is `energy_j`.
        calibration: Applied to the readings first.
        memory: Arrays to work in; new ones without.
    """
    times_us = samples["timestamp"].to_numpy().view(np.int64)
    power_w = samples["power_w"].to_numpy()
    period_s, step_w = probe(times_us, power_w)
    if method.name == "sum_of_samples":
        period_s = usual_period_s(times_us) or method.period_s or period_s
    elif method.period_s is not None and not is_regular(times_us[: PROBE_ROWS + 1]):
        period_s = method.period_s
    if calibration is not None:
        power_w = np.maximum(calibration.of(power_w), 0.0)
        step_w *= abs(calibration.slope)
    return Running(
        times_us,
        power_w,
        method,
        idle_power_w,
        period_s,
        step_w,
        memory=memory or Memory(),
    )


def probe(times_us: Integers, power_w: Floats) -> tuple[float, float]:
    """Period and step of a sensor, from samples spread over the partition.

    The period is that of `_period_s`. The step is the most frequent distance between neighbouring
    values (the smallest of these), `USUAL_STEP_W` when there is but one value.

    Returns:
        `period_s`, `step_w`.
    """
    distances_us = np.diff(times_us[:PROBE_ROWS])
    period_s = _period_s(distances_us) if len(distances_us) else 0.0
    values = np.sort(power_w[:: max(1, len(power_w) // PROBE_ROWS)])
    apart = np.diff(values)
    steps, counts = np.unique(np.round(apart[apart > 0], 6), return_counts=True)
    return period_s, float(steps[counts.argmax()]) if len(steps) else USUAL_STEP_W


def usual_period_s(times_us: Integers) -> float | None:
    """Period that a sensor has for most of the time, from all of a node's samples.

    Where stretches of another period (as at 50 Hz) have more samples than the rest but last longer
    together, theirs is the usual one. Where two periods share the samples so that the whole has
    none, the usual one is that of the parts of `PART_ROWS` samples which last longest.

    Args:
        times_us: Times of the samples, ascending, in microseconds.

    Returns:
        The period; None where samples do not show one (`is_regular`).
    """
    if not is_regular(times_us):
        return _of_parts(times_us)
    period_s = _period_s(np.diff(times_us))
    stretches = stretches_of_another_period(times_us, period_s)
    if not stretches:
        return period_s
    n_others = sum(rows.stop - rows.start for rows, _ in stretches)
    lasting_s = sum((rows.stop - rows.start) * other_s for rows, other_s in stretches)
    if lasting_s <= (len(times_us) - n_others) * period_s:
        return period_s
    return max(stretches, key=lambda each: (each[0].stop - each[0].start) * each[1])[1]


def _of_parts(times_us: Integers) -> float | None:
    """Median, by time, of the periods of regular parts that last half of the time together."""
    if len(times_us) < 2 * PART_ROWS:
        return None
    parts = [times_us[low : low + PART_ROWS] for low in range(0, len(times_us), PART_ROWS)]
    regular = [part for part in parts if is_regular(part)]
    lasting_us = np.array([part[-1] - part[0] for part in regular], dtype=np.float64)
    if 2 * np.sum(lasting_us) < times_us[-1] - times_us[0]:
        return None
    periods_s = np.array([_period_s(np.diff(part)) for part in regular])
    order = np.argsort(periods_s)
    until_us = lasting_us[order].cumsum()
    return float(periods_s[order][np.searchsorted(until_us, until_us[-1] / 2)])


def stretches_of_another_period(times_us: Integers, period_s: float) -> list[tuple[slice, float]]:
    """Stretches of samples with a period that differs from the sensor's usual one.

    As where a job asked for a sensor at 50 Hz that is read every second otherwise. A sample's
    distance is the smaller one to its two neighbours, so that missed readings make no stretch. A
    stretch has `SHORTEST_STRETCH` samples or more in a row whose distance differs from `period_s`
    by more than `ALIKE_FRAC` of it, all to the same side, and which have a period (`is_regular`),
    that of `_period_s`. Other samples keep the usual period.

    Args:
        times_us: Times of the samples, ascending, in microseconds.
        period_s: The usual period.

    Returns:
        Rows of each stretch and its period in seconds.
    """
    if len(times_us) < SHORTEST_STRETCH or period_s <= 0:
        return []
    between_us = np.diff(times_us)
    nearest_us = np.minimum(
        np.append(between_us, between_us[-1]), np.append(between_us[0], between_us)
    )
    usual_us = period_s * 1e6
    kind = (nearest_us > usual_us * (1 + ALIKE_FRAC)).astype(np.int8)
    kind -= nearest_us < usual_us * (1 - ALIKE_FRAC)
    if not kind.any():
        return []
    starts = np.flatnonzero(np.append(True, kind[1:] != kind[:-1]))
    ends = np.append(starts[1:], len(kind))
    return [
        (slice(low, high), _period_s(nearest_us[low:high]))
        for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
        if kind[low] and high - low >= SHORTEST_STRETCH and is_regular(times_us[low:high])
    ]


def is_regular(times_us: Integers) -> bool:
    """Whether samples are enough and most of their distances alike, so that they have a period."""
    if len(times_us) < FEW_SAMPLES:
        return False
    needed = 0.5 if len(times_us) >= MANY_SAMPLES else MOST_ALIKE
    return bool(np.mean(_alike(np.diff(times_us))) >= needed)


def _alike(distances_us: Integers) -> npt.NDArray[np.bool_]:
    """Which distances differ from their median by no more than `ALIKE_FRAC` of it."""
    median_us = np.median(distances_us)
    return np.abs(distances_us - median_us) <= ALIKE_FRAC * median_us


def _period_s(distances_us: Integers) -> float:
    """Mean of the distances that are alike.

    The median is one tick of a coarse clock short or long: distances of 4 s and 6 s by turns that
    average 5 s have a median of 4 s or 6 s.
    """
    alike_us = distances_us[_alike(distances_us)]
    return float(np.mean(alike_us if len(alike_us) else distances_us)) / 1e6
