"""What the BMCs report: readings every 5 s in the steps of the sensor, and all that goes wrong.

Real collectors read each node at a phase of its own, a little slower than every 5 s, and miss
ticks, so that gaps are multiples of the period; readings are repeated, not a number, null, zero,
absurd, or the same for hours. Each sensor's faults are drawn once for the whole simulation, so that
they do not depend on the period asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.site.simulated.clock import US, Clock
from footprint.site.simulated.hardware import Node
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.signal import NodeSignal
from footprint.site.simulated.timetable import DAY_S, HOUR_S

_PERIOD_S = 5
FAULTS = ("missed", "duplicate", "nan", "null", "not_positive", "spike", "stuck")
# Per reading, but for the bursts and outages, which are per day.
_MISSED = 4e-4
_BURSTS_A_DAY = 1.0
_OUTAGES_A_DAY = 0.008
_DUPLICATE = 2e-4
_LATE = 1e-4
_BAD = {"nan": 1e-4, "null": 3e-5, "not_positive": 4e-5, "spike": 2e-5}
_SPIKES_W = (65535.0, 32767.0, 99999.0)
# A BMC that answers slowly misses more.
_SLOW_SENSOR = 6.0
_MOST_LATE_BY = 20


class Bad(NamedTuple):
    """Readings that are not power: which, the value reported, and the kind of fault."""

    number: NDArray[np.int64]
    value_w: NDArray[np.float64]
    kind: NDArray[np.int64]


class Sensor:
    """The BMC of one node. Readings are numbered from the simulation's origin."""

    def __init__(
        self,
        seed: int,
        node: Node,
        signal: NodeSignal,
        *,
        step_w: float,
        stuck_s: Sequence[tuple[float, float]],
        end_s: float,
    ) -> None:
        """Draw the sensor's clock and its faults.

        Args:
            seed: Seed.
            node: Node.
            signal: Its power.
            step_w: What readings are multiples of.
            stuck_s: Spells in which it repeats one reading, in seconds since the origin.
            end_s: End of the simulation.
        """
        rng = generator(seed, "sensor", node.name)
        self._node, self._signal, self._step_w = node, signal, step_w
        self._clock = Clock(rng, period_s=_PERIOD_S, end_s=end_s)
        self._stuck = [self._clock.between(*spell_s) for spell_s in stuck_s]
        self._copies = self._draw_copies(seed, rng, end_s=end_s)
        self._bad = self._draw_bad(rng)
        late = _some(rng, self._clock.n_readings, _LATE)
        self._late = np.sort(late[self._copies[late] > 0])
        self._late_by = rng.integers(1, _MOST_LATE_BY, len(self._late))

    def _draw_copies(
        self, seed: int, rng: np.random.Generator, *, end_s: float
    ) -> NDArray[np.uint8]:
        """How often each reading is reported: 1, 0 when it was missed, 2 when it is repeated."""
        n, days = self._clock.n_readings, end_s / DAY_S
        slow = _SLOW_SENSOR if self._node.facts.slow_sensor else 1.0
        copies = np.ones(n, dtype=np.uint8)
        copies[_some(rng, n, _DUPLICATE)] = 2
        copies[_some(rng, n, _MISSED * slow)] = 0
        for start in rng.integers(0, n, rng.poisson(_BURSTS_A_DAY * slow * days)):
            copies[start : start + int(rng.geometric(0.08))] = 0
        for start in rng.integers(0, n, rng.poisson(_OUTAGES_A_DAY * days)):
            copies[start : start + int(rng.integers(720, 6000))] = 0
        # the collector of all nodes stops for a while in every four weeks
        common = generator(seed, "collector")
        for _ in range(max(1, round(days / 28))):
            start_s = common.random() * end_s
            stop_s = start_s + HOUR_S * (0.2 + 0.6 * common.random())
            first, last = self._clock.between(start_s, stop_s)
            copies[first:last] = 0
        return copies

    def _draw_bad(self, rng: np.random.Generator) -> Bad:
        n = self._clock.n_readings
        index = _some(rng, n, sum(_BAD.values()))
        index = np.sort(index[self._copies[index] == 1])
        kinds = list(_BAD)
        weights = np.cumsum(list(_BAD.values()))
        drawn = np.searchsorted(weights, rng.random(len(index)) * weights[-1], side="right")
        value_w = np.full(len(index), np.nan)
        zeros = drawn == kinds.index("not_positive")
        value_w[zeros] = np.where(rng.random(np.count_nonzero(zeros)) < 0.85, 0.0, -1.0)
        spikes = drawn == kinds.index("spike")
        worst_w = 1.2 * self._node.max_plausible_power_w
        absurd_w = np.array([*_SPIKES_W, np.rint(worst_w)])
        value_w[spikes] = absurd_w[rng.integers(len(absurd_w), size=np.count_nonzero(spikes))]
        return Bad(index, value_w, drawn.astype(np.int64))

    def _readings_w(self, times_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Readings as a sensor without faults would give them."""
        power_w = self._signal.power_w(times_us / US)
        return np.asarray(np.rint(power_w / self._step_w) * self._step_w)

    def frame(self, *, start_s: float, end_s: float, origin_us: int) -> pl.DataFrame:
        """What was reported in [start_s, end_s): `node`, `timestamp`, `power_w`.

        Args:
            start_s: Start, in seconds since the origin.
            end_s: End.
            origin_us: The origin, in microseconds since 1970.
        """
        first, last = self._clock.between(start_s, end_s)
        times_us = self._clock.times_us(first, last)
        values_w = self._readings_w(times_us)
        for start, stop in self._stuck:
            low, high = max(start, first), min(stop, last)
            if low < high:
                values_w[low - first : high - first] = self._readings_w(
                    self._clock.times_us(start, start + 1)
                )[0]
        inside = _inside(self._bad.number, first, last)
        at = self._bad.number[inside] - first
        values_w[at] = self._bad.value_w[inside]
        nothing = at[self._bad.kind[inside] == list(_BAD).index("null")]

        unknown = np.zeros(last - first, dtype=bool)
        unknown[nothing] = True

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
        """Let some rows arrive later than those behind them, in place."""
        inside = _inside(self._late, first, last)
        early = np.searchsorted(rows, self._late[inside] - first)
        behind = early + self._late_by[inside]
        # two exchanges never touch the same rows
        apart = np.diff(early, prepend=-_MOST_LATE_BY) >= _MOST_LATE_BY
        possible = (behind < len(rows)) & apart
        early, behind = early[possible], behind[possible]
        rows[early], rows[behind] = rows[behind], rows[early]

    def faults(self, *, start_s: float, end_s: float) -> dict[str, int]:
        """Readings in [start_s, end_s) by kind of fault (`FAULTS`)."""
        first, last = self._clock.between(start_s, end_s)
        copies = self._copies[first:last]
        kinds = self._bad.kind[_inside(self._bad.number, first, last)]
        n_missed, n_duplicate = (int(np.count_nonzero(copies == n)) for n in (0, 2))
        counted = {"missed": n_missed, "duplicate": n_duplicate}
        counted |= {name: int(np.count_nonzero(kinds == code)) for code, name in enumerate(_BAD)}
        stuck = [
            self._copies[max(start, first) : max(first, min(stop, last))]
            for start, stop in self._stuck
        ]
        return counted | {"stuck": sum(int(np.sum(spell)) for spell in stuck)}


def _some(rng: np.random.Generator, n: int, rate: float) -> NDArray[np.int64]:
    """Different numbers below `n`, each with the same small chance."""
    return rng.choice(n, size=min(n, int(rng.poisson(rate * n))), replace=False, shuffle=False)


def _inside(index: NDArray[np.int64], first: int, last: int) -> slice:
    """Where the numbers from `first` to before `last` stand in an ascending array."""
    low, high = np.searchsorted(index, (first, last))
    return slice(int(low), int(high))
