"""Readings of the BMCs: every 5 s, true power over the meter's gain, rounded, with faults.

Real collectors read each node at its own phase, slightly less often than every 5 s, and miss
readings, so that gaps are multiples of the period. Readings are repeated, NaN, null, zero,
implausible, constant for hours, or of a few watts for hours. The faults of a sensor are drawn once
for the whole simulation, so that they do not depend on the window requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.sources.simulated.clock import US_PER_S, ReadingClock
from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.power_function import PowerFunction
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.sensor_spells import SensorSpells
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

_PERIOD_S = 5
FAULT_KINDS = ("missed", "duplicate", "nan", "null", "not_positive", "spike", "stuck", "drop_out")
# Probabilities are per reading; bursts and outages are per day.
_MISSED_PROBABILITY = 4e-4
_BURSTS_PER_DAY = 1.0
_OUTAGES_PER_DAY = 0.008
_DUPLICATE_PROBABILITY = 2e-4
_LATE_PROBABILITY = 1e-4
_FAULT_PROBABILITIES = {"nan": 1e-4, "null": 3e-5, "not_positive": 4e-5, "spike": 2e-5}
_SPIKE_VALUES_W = (65535.0, 32767.0, 99999.0)
# A slow BMC misses more readings by this factor.
_SLOW_SENSOR_FACTOR = 6.0
# Length of an outage of the collector: median, lowest and highest (h), sigma of the logarithm.
_COLLECTOR_HOURS = (0.8, 0.15, 10.0)
_COLLECTOR_SPREAD_LOG = 1.2
# Readings of a sensor that has dropped out, and their deviation from the spell's level.
_DROP_OUT_W = (2.0, 15.0)
_DROP_OUT_VARIATION_W = 1.0
_MAX_DELAY_ROWS = 20


class FaultyReadings(NamedTuple):
    """Readings that are not power: their numbers, the values reported, the codes of the kinds."""

    number: NDArray[np.int64]
    value_w: NDArray[np.float64]
    kind: NDArray[np.int64]


class BmcSensor:
    """BMC of one node, whose readings are numbered from the simulation's origin."""

    def __init__(
        self,
        seed: int,
        node: Node,
        signal: PowerFunction,
        *,
        step_w: float,
        gain: float,
        spells: SensorSpells,
        end_s: float,
    ) -> None:
        """Draw the sensor's clock and its faults.

        Args:
            seed: Seed.
            node: Node.
            signal: Power of the node.
            step_w: Resolution of the readings.
            gain: True power over reading, without resolution and faults.
            spells: Intervals in which one reading is repeated, or a few watts are reported.
            end_s: End of the simulation.
        """
        rng = random_generator(seed, "sensor", node.name)
        self._node, self._signal, self._step_w, self._gain = node, signal, step_w, gain
        self._clock = ReadingClock(rng, period_s=_PERIOD_S, end_s=end_s)
        self._stuck = [self._clock.between(*interval_s) for interval_s in spells.stuck]
        self._drop_outs = self._draw_drop_outs(seed, spells.drop_outs)
        self._copies = self._draw_copies(seed, rng, end_s=end_s)
        self._faulty = self._draw_faulty(rng)
        late = _draw_indices(rng, self._clock.n_readings, _LATE_PROBABILITY)
        self._late = np.sort(late[self._copies[late] > 0])
        self._delays = rng.integers(1, _MAX_DELAY_ROWS, len(self._late))

    def _draw_copies(
        self, seed: int, rng: np.random.Generator, *, end_s: float
    ) -> NDArray[np.uint8]:
        """Draw how often each reading is reported: 1, 0 if missed, 2 if repeated."""
        n, days = self._clock.n_readings, end_s / DAY_S
        slow = _SLOW_SENSOR_FACTOR if self._node.facts.slow_sensor else 1.0
        copies = np.ones(n, dtype=np.uint8)
        copies[_draw_indices(rng, n, _DUPLICATE_PROBABILITY)] = 2
        copies[_draw_indices(rng, n, _MISSED_PROBABILITY * slow)] = 0
        for start in rng.integers(0, n, rng.poisson(_BURSTS_PER_DAY * slow * days)):
            copies[start : start + int(rng.geometric(0.08))] = 0
        for start in rng.integers(0, n, rng.poisson(_OUTAGES_PER_DAY * days)):
            copies[start : start + int(rng.integers(720, 6000))] = 0
        # the collector of all nodes stops about every four weeks, now and then for hours
        common = random_generator(seed, "collector")
        for _ in range(max(1, round(days / 28))):
            start_s = common.random() * end_s
            median, low, high = _COLLECTOR_HOURS
            hours = median * float(np.exp(_COLLECTOR_SPREAD_LOG * common.standard_normal()))
            stop_s = start_s + HOUR_S * min(max(hours, low), high)
            first, last = self._clock.between(start_s, stop_s)
            copies[first:last] = 0
        return copies

    def _draw_drop_outs(
        self, seed: int, intervals_s: Sequence[tuple[float, float]]
    ) -> list[tuple[int, NDArray[np.float64]]]:
        """Draw the readings of the intervals in which a few watts are reported.

        Returns:
            Number of the first reading of each interval, and its readings.
        """
        rng = random_generator(seed, "drop-outs", self._node.name)
        low_w, high_w = _DROP_OUT_W
        step_w = self._step_w
        drop_outs = []
        for interval_s in intervals_s:
            first, last = self._clock.between(*interval_s)
            level_w = rng.uniform(low_w, high_w)
            values_w = level_w + _DROP_OUT_VARIATION_W * rng.uniform(-1, 1, last - first)
            rounded_w = np.rint(values_w / step_w) * step_w
            highest_w = high_w // step_w * step_w
            drop_outs.append((first, np.clip(rounded_w, max(low_w, step_w), highest_w)))
        return drop_outs

    def _draw_faulty(self, rng: np.random.Generator) -> FaultyReadings:
        n = self._clock.n_readings
        index = _draw_indices(rng, n, sum(_FAULT_PROBABILITIES.values()))
        index = np.sort(index[self._copies[index] == 1])
        kinds = list(_FAULT_PROBABILITIES)
        weights = np.cumsum(list(_FAULT_PROBABILITIES.values()))
        drawn = np.searchsorted(weights, rng.random(len(index)) * weights[-1], side="right")
        value_w = np.full(len(index), np.nan)
        zeros = drawn == kinds.index("not_positive")
        value_w[zeros] = np.where(rng.random(np.count_nonzero(zeros)) < 0.85, 0.0, -1.0)
        spikes = drawn == kinds.index("spike")
        worst_w = 1.2 * self._node.max_plausible_power_w
        absurd_w = np.array([*_SPIKE_VALUES_W, np.rint(worst_w)])
        value_w[spikes] = absurd_w[rng.integers(len(absurd_w), size=np.count_nonzero(spikes))]
        return FaultyReadings(index, value_w, drawn.astype(np.int64))

    def _exact_readings_w(self, times_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Readings of a sensor without faults."""
        power_w = self._signal.power_w(times_us / US_PER_S)
        return np.asarray(np.rint(power_w / self._gain / self._step_w) * self._step_w)

    def frame(self, *, start_s: float, end_s: float, origin_us: int) -> pl.DataFrame:
        """Readings reported in [start_s, end_s): `node`, `timestamp`, `power_w`.

        Args:
            start_s: Start, in seconds since the origin.
            end_s: End.
            origin_us: The origin, in microseconds since 1970.
        """
        first, last = self._clock.between(start_s, end_s)
        times_us = self._clock.times_us(first, last)
        values_w = self._exact_readings_w(times_us)
        for start, stop in self._stuck:
            low, high = max(start, first), min(stop, last)
            if low < high:
                values_w[low - first : high - first] = self._exact_readings_w(
                    self._clock.times_us(start, start + 1)
                )[0]
        for start, dropped_w in self._drop_outs:
            low, high = max(start, first), min(start + len(dropped_w), last)
            if low < high:
                values_w[low - first : high - first] = dropped_w[low - start : high - start]
        inside = _index_slice(self._faulty.number, first, last)
        rows_at = self._faulty.number[inside] - first
        values_w[rows_at] = self._faulty.value_w[inside]
        null_rows = rows_at[self._faulty.kind[inside] == list(_FAULT_PROBABILITIES).index("null")]

        unknown = np.zeros(last - first, dtype=bool)
        unknown[null_rows] = True

        rows = np.repeat(np.arange(last - first), self._copies[first:last])
        self._delay(rows, first=first, last=last)
        return pl.DataFrame(
            {
                "timestamp": (times_us + origin_us)[rows],
                "power_w": values_w[rows],
                "unknown": unknown[rows],
            }
        ).select(
            pl.lit(self._node.name).alias("node"),
            pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
            pl.when("unknown").then(None).otherwise("power_w").alias("power_w"),
        )

    def _delay(self, rows: NDArray[np.int64], *, first: int, last: int) -> None:
        """Exchange delayed rows with later ones, in place."""
        inside = _index_slice(self._late, first, last)
        early = np.searchsorted(rows, self._late[inside] - first)
        behind = early + self._delays[inside]
        # exchanges are far enough apart not to touch the same rows
        apart = np.diff(early, prepend=-_MAX_DELAY_ROWS) >= _MAX_DELAY_ROWS
        possible = (behind < len(rows)) & apart
        early, behind = early[possible], behind[possible]
        rows[early], rows[behind] = rows[behind], rows[early]

    def faults(self, *, start_s: float, end_s: float) -> dict[str, int]:
        """Number of readings in [start_s, end_s) by kind of fault (`FAULT_KINDS`)."""
        first, last = self._clock.between(start_s, end_s)
        copies = self._copies[first:last]
        kinds = self._faulty.kind[_index_slice(self._faulty.number, first, last)]
        n_missed, n_duplicate = (int(np.count_nonzero(copies == n)) for n in (0, 2))
        counted = {"missed": n_missed, "duplicate": n_duplicate}
        counted |= {
            name: int(np.count_nonzero(kinds == code))
            for code, name in enumerate(_FAULT_PROBABILITIES)
        }
        drop_outs = [(start, start + len(values_w)) for start, values_w in self._drop_outs]
        for kind, spells in (("stuck", self._stuck), ("drop_out", drop_outs)):
            inside = [
                self._copies[max(start, first) : max(first, min(stop, last))]
                for start, stop in spells
            ]
            counted[kind] = sum(int(np.sum(spell)) for spell in inside)
        return counted


def _draw_indices(rng: np.random.Generator, n: int, rate: float) -> NDArray[np.int64]:
    """Draw distinct indices below `n`, each with probability `rate`."""
    return rng.choice(n, size=min(n, int(rng.poisson(rate * n))), replace=False, shuffle=False)


def _index_slice(index: NDArray[np.int64], first: int, last: int) -> slice:
    """Slice of an ascending array with the numbers from `first` to `last` (excluded)."""
    low, high = np.searchsorted(index, (first, last))
    return slice(int(low), int(high))
