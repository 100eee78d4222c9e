"""Cumulative energy of a node: its samples are integrated once, then read at any moment.

Between two samples no further apart than `max_gap_s` the node is *covered*. Elsewhere its power is
unknown and nothing is added: every cumulative integral is constant over gaps. An interval of time
contributes the difference between the integrals at its ends.

A node and month have half a million samples. NumPy sums the intervals between two moments in
place, block by block. Polars has no sum by slices, and would keep each cumulative integral at every
sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from footprint.core.arrays import Floats, Integers, sorted_distinct
from footprint.energy.sample_intervals import (
    INTERVAL_TERMS,
    STEP_VARIANCE,
    IntegrationMethod,
    IntervalIntegrals,
    WorkArrays,
)
from footprint.energy.sensor_period import (
    PROBED_SAMPLES,
    is_regular,
    period_and_step,
    stretches_of_another_period,
    usual_period_s,
)
from footprint.sources.calibration import Calibration

KERNEL_COLUMNS = (
    "energy_j",  # integral of power
    "covered_s",  # time covered by samples
    "standby_j",  # energy in standby
    "standby_s",  # time in standby
    "idle_energy_j",  # integral of power up to the idle power
    "variance_j2",  # variance of energy_j by changes of power between samples
    "n_probes",  # number of samples probed, and over these samples
    "probe_w",  # sum of power
    "probe_w2",  # sum of its square
    "probe_repeats",  # number of readings equal to the next one
)
"""Integrals and sums from the first sample up to a moment, as `integrals_at` returns them."""

PROBE_SUM_COLUMNS = KERNEL_COLUMNS[-3:]

BRACKET_COLUMNS = ("moment_us", "start_us", "end_us", "start_w", "end_w", "limit_w")
"""A moment, the interval that contains it, and the power up to which `idle_energy_j` integrates."""

PROBE_EVERY = 16
"""Distance, in samples, of the samples from which statistics are taken."""


@dataclass(frozen=True)
class CumulativeEnergy:
    """Samples of a node, ready to be integrated up to any moment.

    Attributes:
        times_us: Times of the samples, in microseconds since 1970.
        power_w: Power at the samples.
        method: How samples are integrated.
        idle_power_w: Power up to which `idle_energy_j` integrates; None: without limit.
        period_s: Period of the sensor.
        step_w: Step of the sensor.
        memory: Arrays to work in, which no other thread uses.
    """

    times_us: Integers
    power_w: Floats
    method: IntegrationMethod
    idle_power_w: float | None
    period_s: float
    step_w: float
    memory: WorkArrays

    def bracket(self, moments_us: Integers) -> dict[str, Any]:
        """Interval of samples around each moment, and the sums up to its start, for `integrals_at`.

        Before the first sample and after the last, the interval is empty.

        Args:
            moments_us: Moments in microseconds since 1970.

        Returns:
            Arrays by name: `BRACKET_COLUMNS`, `INTERVAL_TERMS`, `n_probes`, `PROBE_SUM_COLUMNS`,
            and for `sum_of_samples` the energies.
        """
        last = len(self.times_us) - 1
        counted = self._counted_energy(moments_us) if self.method.name == "sum_of_samples" else {}
        if last < 0:
            names = (*INTERVAL_TERMS, *BRACKET_COLUMNS, "n_probes", *PROBE_SUM_COLUMNS)
            nothing = dict.fromkeys(names, np.zeros(len(moments_us)))
            return nothing | dict.fromkeys(BRACKET_COLUMNS[:3], moments_us) | counted
        row = np.searchsorted(self.times_us, moments_us, side="right") - 1
        start = np.maximum(row, 0)
        end = np.where(row < 0, 0, np.minimum(row + 1, last))
        times_us, power_w = self.times_us, self.power_w
        ends = (times_us[start], times_us[end], power_w[start], power_w[end])
        interval = (moments_us, *ends, np.full(len(row), self._limit_w))
        return {
            **self._sums_up_to(start),
            **dict(zip(BRACKET_COLUMNS, interval, strict=True)),
            **counted,
        }

    @property
    def _limit_w(self) -> float:
        return np.inf if self.idle_power_w is None else self.idle_power_w

    def _sums_up_to(self, samples: Integers) -> dict[str, Floats]:
        """Sums of `INTERVAL_TERMS` over the intervals before each sample, and of the probes."""
        last = len(self.times_us) - 1
        blocks = np.append(np.arange(0, last, self.memory.rows), last)
        starts = sorted_distinct(np.concatenate([blocks, samples]))
        first = np.searchsorted(starts, blocks)
        intervals = IntervalIntegrals(self.method, self.idle_power_w, self.memory)
        sums = np.zeros((len(INTERVAL_TERMS), len(starts)))
        covered, energy, _, idle_energy, *_ = sums
        covered[1:] = np.diff(self.times_us[starts])
        with_limit = 3 if self.idle_power_w is None else 4
        probed = self.memory.probes(len(PROBE_SUM_COLUMNS), -(-last // PROBE_EVERY))
        for block, (low, high) in enumerate(pairwise(blocks.tolist())):
            found = intervals.terms_between(
                self.times_us[low:high],
                self.times_us[low + 1 : high + 1],
                self.power_w[low:high],
                self.power_w[low + 1 : high + 1],
            )
            inside = slice(first[block], first[block + 1])
            ends = slice(inside.start + 1, inside.stop + 1)
            # mostly no time is lost in gaps, and nothing is in standby
            rows = slice(
                0 if intervals.gaps else 1, len(INTERVAL_TERMS) if intervals.asleep else with_limit
            )
            sums[rows, ends] = np.add.reduceat(found[rows], starts[inside] - low, axis=1)
            self._probe_block(low, high, probed)
        if self.idle_power_w is None:
            idle_energy[:] = energy
        reached = sums.cumsum(axis=1)[:, np.searchsorted(starts, samples)]
        np.multiply(probed[0], probed[0], out=probed[1])
        count = np.minimum(samples // PROBE_EVERY, probed.shape[1])
        return {
            **dict(zip(INTERVAL_TERMS, reached, strict=True)),
            "n_probes": count.astype(np.float64),
            **dict(zip(PROBE_SUM_COLUMNS, _sums_before(probed, count), strict=True)),
        }

    def _probe_block(self, low: int, high: int, probed: Floats) -> None:
        """Set the power and the repeats of the probes of a block that is in the cache."""
        power_w, _, repeats = probed[:, low // PROBE_EVERY : -(-high // PROBE_EVERY)]
        power_w[:] = self.power_w[low:high:PROBE_EVERY]
        np.equal(self.power_w[low + 1 : high + 1 : PROBE_EVERY], power_w, out=repeats)

    def weighted_by_period(self, values: Floats) -> Floats:
        """Values of the samples (last dimension) x their own period / `period_s`, in place."""
        for rows, period_s in stretches_of_another_period(self.times_us, self.period_s):
            values[..., rows] *= period_s / self.period_s
        return values

    def _counted_energy(self, moments_us: Integers) -> dict[str, Floats]:
        """Energies by `sum_of_samples`: the samples strictly before a moment, a period each.

        Samples of a stretch with another period count for that period.
        """
        count = np.searchsorted(self.times_us, moments_us, side="left")
        asleep = self.power_w < self.method.off_threshold_w
        idle_w = np.minimum(self.power_w, self._limit_w)
        values = self.weighted_by_period(np.stack([self.power_w, self.power_w * asleep, idle_w]))
        sums = _sums_before(values, count)
        return dict(
            zip(("energy_j", "standby_j", "idle_energy_j"), sums * self.period_s, strict=True)
        )


def integrals_at(bracket: Mapping[str, Any], method: IntegrationMethod) -> dict[str, Floats]:
    """Cumulative integrals (`KERNEL_COLUMNS`) at each moment, interpolated inside intervals.

    They are 0 before the first sample. Inside a gap and after the last sample they keep the value
    of the last sample before.

    Args:
        bracket: Result of `CumulativeEnergy.bracket`, of any nodes.
        method: How samples are integrated.
    """
    moments_us, start_us, end_us, start_w, end_w, limit_w = (
        bracket[name] for name in BRACKET_COLUMNS
    )
    intervals = IntervalIntegrals(method, limit_w, WorkArrays(len(moments_us)))
    terms = intervals.terms_between(start_us, end_us, start_w, end_w)
    whole = dict(zip(INTERVAL_TERMS, terms, strict=True))
    if not intervals.asleep:
        whole |= dict.fromkeys(("standby", "standby_us"), np.zeros(len(moments_us)))
    length_us = whole["covered"]
    elapsed_us = (moments_us - start_us).astype(np.float64)
    part = np.divide(elapsed_us, length_us, out=np.zeros(len(elapsed_us)), where=length_us > 0)
    reached = {name: value * part for name, value in whole.items()}
    # an interval alone counts as a step: it has no neighbour that would show noise
    reached["variance"] = ((end_w - start_w) * length_us) ** 2 * part
    if method.name != "left_hold":
        # linear power: below the interval's mean by half of the change that is still to come
        still_us = (1 - part) * part * length_us
        low_w, end_low_w = (np.minimum(each, limit_w) for each in (start_w, end_w))
        reached["energy"] -= (end_w - start_w) * still_us
        reached["idle_energy"] -= (end_low_w - low_w) * still_us
        reached["standby"] -= np.where(reached["standby"] != 0, (end_w - start_w) * still_us, 0.0)
    total = {name: bracket[name] + reached[name] for name in INTERVAL_TERMS}
    joules = 1e-6 if method.name == "left_hold" else 0.5e-6
    integrals = {
        "energy_j": total["energy"] * joules,
        "covered_s": total["covered"] * 1e-6,
        "standby_j": total["standby"] * joules,
        "standby_s": total["standby_us"] * 1e-6,
        "idle_energy_j": total["idle_energy"] * joules,
        "variance_j2": total["variance"] * (STEP_VARIANCE * 1e-12),
    }
    return {name: bracket[name] if name in bracket else integrals[name] for name in KERNEL_COLUMNS}


def _sums_before(values: Floats, count: Integers) -> Floats:
    """Sums of the first `count` values of each row, a column for each count."""
    bounds = sorted_distinct(np.append(count, 0))
    starts = bounds[bounds < values.shape[1]]
    if not len(starts):
        return np.zeros((len(values), len(count)))
    until = np.zeros((len(values), len(starts) + 1))
    np.add.reduceat(values, starts, axis=1).cumsum(axis=1, out=until[:, 1:])
    return until[:, np.searchsorted(np.append(starts, values.shape[1]), count)]


def cumulative_energy(
    samples: pl.DataFrame,
    *,
    method: IntegrationMethod,
    idle_power_w: float | None = None,
    calibration: Calibration | None = None,
    memory: WorkArrays | None = None,
) -> CumulativeEnergy:
    """Cumulative energy of a node, from its samples.

    Args:
        samples: `timestamp`, `power_w` of one node, strictly ascending in time.
        method: How samples are integrated.
        idle_power_w: Power up to which `idle_energy_j` integrates; None: `idle_energy_j` is
            `energy_j`.
        calibration: Line that is applied to the readings first; None: none.
        memory: Arrays to work in; None: new ones.
    """
    times_us = samples["timestamp"].to_numpy().view(np.int64)
    power_w = samples["power_w"].to_numpy()
    period_s, step_w = period_and_step(times_us, power_w)
    if method.name == "sum_of_samples":
        period_s = usual_period_s(times_us) or method.period_s or period_s
    elif method.period_s is not None and not is_regular(times_us[: PROBED_SAMPLES + 1]):
        period_s = method.period_s
    if calibration is not None:
        power_w = np.maximum(calibration.to_power(power_w), 0.0)
        step_w *= abs(calibration.slope)
    return CumulativeEnergy(
        times_us,
        power_w,
        method,
        idle_power_w,
        period_s,
        step_w,
        memory=memory or WorkArrays(),
    )
