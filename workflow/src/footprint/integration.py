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
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

METHODS = ("trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples")


@dataclass(frozen=True)
class Calibration:
    """Line from readings to power, `slope x reading + offset` (W), with standard errors."""

    slope: float = 1.0
    offset: float = 0.0
    slope_error: float = 0.0
    offset_error: float = 0.0

    @classmethod
    def from_config(cls, integration: Mapping[str, Any], *, cluster: str) -> Calibration | None:
        """The line that a configuration's `integration` gives for a cluster, if any."""
        line = integration["calibration"].get(cluster)
        return cls(**line) if line else None


@dataclass(frozen=True)
class Method:
    """How power becomes energy.

    Attributes:
        name: `trapezoid`: power is linear between samples, and bounds are interpolated.
            `inner_trapezoid`: the same, from the first to the last sample inside a job.
            `left_hold`: a sample holds until the next.
            `sum_of_samples`: each sample inside counts for one period of the sensor.
        max_gap_s: Longest time between samples that is not a gap.
        off_threshold_w: Between two samples below it the node is in standby.
        period_s: Nominal period of the sensor; None to take the median distance of samples.
    """

    name: str
    max_gap_s: float
    off_threshold_w: float
    period_s: float | None = None


# Periods of the metrics that Grid'5000 collects by default (Reference API, `metrics[].period`).
NOMINAL_PERIOD_S = {
    "bmc_node_power_watt": 5.0,
    "bmc_power_node_watt": 5.0,
    "wattmetre_power_watt": 1.0,
    "pdu_outlet_power_watt": 1.0,
}


# What `Running.at` gives for a moment: integrals and sums from the first sample up to it.
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

# Statistics that need no more than a sample of the samples use every 16th.
PROBE_EVERY = 16

# Intervals are summed in blocks that stay in a core's cache, and that are small enough (128 KiB a
# column) for the allocator to use the same memory again.
BLOCK_ROWS = 16_000

# Sensor period and step are read off about this many samples.
PROBE_ROWS = 5_000

# Most BMCs give whole watts: the step of a sensor that has shown one value only.
USUAL_STEP_W = 1.0

# Error of the trapezoid between two samples, in units of (change of power x time between them)^2. A
# step at an unknown moment: uniform within +/- 1/2, variance 1/12. Noise faster than the sampling:
# it makes successive changes opposite, E[d_i d_(i-1)] = -variance, and E[max(0, -d_i d_(i-1))] is
# 1.218 times the variance for normal noise, of which a step's 1/12 of E[d^2] = 2 variances is
# already counted.
STEP_VARIANCE = 1 / 12
NOISE_VARIANCE = (1 - 2 / 12) / 1.218


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
    """

    times_us: Integers
    power_w: Floats
    method: Method
    idle_power_w: float | None
    period_s: float
    step_w: float

    def at(self, moments_us: pl.Series) -> pl.DataFrame:
        """Running integrals (`QUANTITIES`) at each moment, interpolated inside intervals.

        A moment before the first sample has 0; one inside a gap or after the last sample has what
        the last sample before it has.
        """
        moments = moments_us.to_numpy()
        if len(self.times_us) < 2:
            values = {name: np.zeros(len(moments)) for name in QUANTITIES}
        else:
            values = self._integrals(moments)
        if self.method.name == "sum_of_samples":
            values |= self._counted(moments)
        return pl.DataFrame(values)

    def _integrals(self, moments_us: Integers) -> dict[str, Floats]:
        last = len(self.times_us) - 1
        row = np.searchsorted(self.times_us, moments_us, side="right") - 1
        sample = np.clip(row, 0, last)
        bounds = np.unique(np.concatenate([[0], sample]))
        sums = self._sums_between(bounds)
        place = np.searchsorted(bounds, sample)

        # the interval that a moment lies in, up to the moment: none after the last sample
        ahead = np.minimum(sample, last - 1)
        whole = self._intervals(ahead, ahead + 1)
        whole = {name: np.where(sample < last, value, 0.0) for name, value in whole.items()}
        elapsed_us = (moments_us - self.times_us[sample]).astype(np.float64)
        length_us = whole["covered"]
        part = np.divide(elapsed_us, length_us, out=np.zeros(len(row)), where=length_us > 0)
        start_w, end_w = self.power_w[ahead], self.power_w[ahead + 1]
        reached = {name: value * part for name, value in whole.items()}
        # alone, an interval has no neighbour that tells noise from steps
        reached["spread"] = ((end_w - start_w) * length_us) ** 2 * part
        if self.method.name != "left_hold":
            # linear power: short of the interval's mean by half of what is still to change
            for name, limit_w in (("energy", None), ("floor", self.idle_power_w)):
                if name in reached:
                    change_w = _capped(end_w, limit_w) - _capped(start_w, limit_w)
                    short = change_w * (1 - part) * part * length_us
                    reached[name] -= short
                    if name == "energy" and "standby" in reached:
                        reached["standby"] -= np.where(reached["standby"] != 0, short, 0.0)

        after = (row >= 0).astype(np.float64)
        found = {name: (sums[name][place] + reached[name]) * after for name in sums}
        zeros = np.zeros(len(row))
        joules = 1e-6 if self.method.name == "left_hold" else 0.5e-6
        return {
            "energy_j": found["energy"] * joules,
            "covered_s": found["covered"] * 1e-6,
            "standby_j": found.get("standby", zeros) * joules,
            "standby_s": found.get("standby_us", zeros) * 1e-6,
            "floor_j": found.get("floor", found["energy"]) * joules,
            "spread_j2": found["spread"] * (STEP_VARIANCE * 1e-12),
            **{name: value * after for name, value in self._probes(sample).items()},
        }

    def _sums_between(self, bounds: Integers) -> dict[str, Floats]:
        """Running sums of each quantity at samples `bounds` (ascending, from 0)."""
        last = len(self.times_us) - 1
        blocks = np.arange(0, last, BLOCK_ROWS)
        starts = np.union1d(blocks, bounds[bounds < last])
        parts: dict[str, list[Floats]] = {}
        for low in blocks.tolist():
            high = min(low + BLOCK_ROWS, last)
            inside = starts[np.searchsorted(starts, low) : np.searchsorted(starts, high)] - low
            for name, values in self._intervals(slice(low, high), slice(low + 1, high + 1)).items():
                parts.setdefault(name, []).append(np.add.reduceat(values, inside))
        places = np.searchsorted(np.append(starts, last), bounds)
        return {
            name: np.concatenate([[0.0], np.cumsum(np.concatenate(sums))])[places]
            for name, sums in parts.items()
        }

    def _intervals(self, start: slice | Integers, end: slice | Integers) -> dict[str, Floats]:
        """What each interval between samples `start` and `end` adds.

        Energies in the unit of `_energy`, times in us, `spread` in `STEP_VARIANCE` (W us)^2.
        """
        before_w, after_w = self.power_w[start], self.power_w[end]
        distance_us = self.times_us[end] - self.times_us[start]
        longest_us = self.method.max_gap_s * 1e6
        if distance_us.max() > longest_us:
            distance_us[distance_us > longest_us] = 0
        length_us = distance_us.astype(np.float64)
        step = after_w - before_w
        step *= length_us
        values = {
            "energy": self._energy(before_w, after_w, length_us),
            "covered": length_us,
            "spread": _spread(step),
        }
        if self.idle_power_w is not None:
            limit_w = self.idle_power_w
            low = self._energy(_capped(before_w, limit_w), _capped(after_w, limit_w), length_us)
            values["floor"] = low
        if self.sleeps:
            off_w = self.method.off_threshold_w
            asleep = (before_w < off_w) & (after_w < off_w)
            values["standby"] = values["energy"] * asleep
            values["standby_us"] = length_us * asleep
        return values

    @cached_property
    def sleeps(self) -> bool:
        """Whether any sample is below the threshold of standby."""
        return bool(self.power_w.min() < self.method.off_threshold_w)

    def _energy(self, before_w: Floats, after_w: Floats, length_us: Floats) -> Floats:
        """In W us for `left_hold`, else twice that: halved once, when all is summed."""
        if self.method.name == "left_hold":
            return before_w * length_us
        energy = before_w + after_w
        energy *= length_us
        return energy

    def _probes(self, row: Integers) -> dict[str, Floats]:
        """Sums over every `PROBE_EVERY`-th sample up to the samples `row`."""
        power_w = self.power_w[:-1:PROBE_EVERY]
        repeats = (self.power_w[1::PROBE_EVERY] == power_w).astype(np.float64)
        count = np.minimum(row // PROBE_EVERY, len(power_w))
        each = {"probe_w": power_w, "probe_w2": power_w * power_w, "probe_repeats": repeats}
        sums = {name: _sums_before(values, count) for name, values in each.items()}
        return {"n_probes": count.astype(np.float64), **sums}

    def _counted(self, moments_us: Integers) -> dict[str, Floats]:
        """Energies by `sum_of_samples`: the samples strictly before a moment, a period each."""
        count = np.searchsorted(self.times_us, moments_us, side="left")
        asleep = self.power_w < self.method.off_threshold_w
        each = {
            "energy_j": self.power_w,
            "standby_j": self.power_w * asleep,
            "floor_j": _capped(self.power_w, self.idle_power_w),
        }
        return {name: _sums_before(value, count) * self.period_s for name, value in each.items()}


def _capped(power_w: Floats, limit_w: float | None) -> Floats:
    return power_w if limit_w is None else np.minimum(power_w, limit_w)


def _spread(step: Floats) -> Floats:
    """Variance of the trapezoid of successive intervals, from change of power x length of each.

    In units of `STEP_VARIANCE`; `step` is overwritten. The first interval has none before it to
    tell noise from steps, and counts as a step.
    """
    opposed = np.zeros(len(step))
    np.multiply(step[1:], step[:-1], out=opposed[1:])
    np.minimum(opposed, 0.0, out=opposed)
    opposed *= -NOISE_VARIANCE / STEP_VARIANCE
    step *= step
    step += opposed
    return step


def _sums_before(values: Floats, count: Integers) -> Floats:
    """Sum of the first `count` values, for each count."""
    bounds = np.unique(count)
    starts = np.concatenate([[0], bounds[(bounds > 0) & (bounds < len(values))]]).astype(np.int64)
    if not len(values):
        return np.zeros(len(count))
    until = np.concatenate([[0.0], np.cumsum(np.add.reduceat(values, starts))])
    ends = np.concatenate([starts, [len(values)]])
    found: Floats = until[np.searchsorted(ends, count)]
    return found


def running(
    samples: pl.DataFrame,
    *,
    method: Method,
    idle_power_w: float | None = None,
    calibration: Calibration | None = None,
) -> Running:
    """The intervals between a node's samples.

    Args:
        samples: `timestamp`, `power_w` of one node, strictly ascending in time.
        method: How power becomes energy.
        idle_power_w: Power up to which `floor_j` integrates; without it `floor_j` is `energy_j`.
        calibration: Applied to the readings first.
    """
    times_us = samples["timestamp"].cast(pl.Int64).to_numpy()
    power_w = samples["power_w"].to_numpy()
    median_s, step_w = probe(times_us, power_w)
    if calibration is not None:
        power_w = np.maximum(power_w * calibration.slope + calibration.offset, 0.0)
        step_w *= abs(calibration.slope)
    return Running(
        times_us,
        power_w,
        method,
        idle_power_w,
        median_s if method.period_s is None else method.period_s,
        step_w,
    )


def probe(times_us: Integers, power_w: Floats) -> tuple[float, float]:
    """Period and step of a sensor, from samples spread over the partition.

    The period is the median distance between samples, to the hundredth of a second. The step is the
    most frequent distance between neighbouring values (the smallest of these), `USUAL_STEP_W` when
    there is but one value.

    Returns:
        `period_s`, `step_w`.
    """
    distances_us = np.diff(times_us[:PROBE_ROWS])
    period_s = round(float(np.median(distances_us)) / 1e6, 2) if len(distances_us) else 0.0
    values = np.unique(power_w[:: max(1, len(power_w) // PROBE_ROWS)])
    steps, counts = np.unique(np.round(np.diff(values), 6), return_counts=True)
    return period_s, float(steps[counts.argmax()]) if len(steps) else USUAL_STEP_W
