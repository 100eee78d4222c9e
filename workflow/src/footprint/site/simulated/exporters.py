"""What the nodes' exporters report every 15 s while a job holds part of the node.

The power of each GPU, and the load of the processors. Both follow from the same work as the power
of the node. Each day of readings has random numbers of its own, so that a value does not depend on
the days asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.site.kwollect import GPU_POWER_METRIC, LOAD_METRIC
from footprint.site.simulated.clock import US, Clock
from footprint.site.simulated.hardware import Node
from footprint.site.simulated.load import Work, of_gpu
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.signal import Noise, Stack

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SERIES = (GPU_POWER_METRIC, LOAD_METRIC)
_PERIOD_S = 15
_A_DAY = 5760
# Scrapes that are missed, singly and in bursts, and values that DCGM does not know.
_MISSED = 6e-4
_BURSTS_A_DAY = 0.3
_BURST_ENDS = 0.15
_NO_VALUE = 3e-5
_DCGM_NO_VALUE = 2147483632.0
# Standard deviations of what single GPUs do on their own: of idle ones, and as a part of the load.
_OWN_NOISE_W, _OWN_NOISE = 0.3, 0.008
_LOAD_AVERAGE_S = 60.0
# Largest error of it, as a part: processes are counted every 5 s.
_COUNTED = 0.01


class Source(Protocol):
    """What an exporter tells of its node."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of each value of a scrape, as JSON."""

    @property
    def no_value(self) -> float | None:
        """What stands for a value that is not known; None where all are."""

    def values(self, times_s: Floats, even: Floats) -> Floats:
        """Values at some times, which must ascend: a row a time, a column a value.

        Args:
            times_s: Times since the simulation's origin, one at least.
            even: Random numbers from 0 to 1, one a value.
        """


class GpuPower:
    """Power of each GPU of a node, in watts, as DCGM tells it."""

    no_value = _DCGM_NO_VALUE

    def __init__(self, seed: int, node: Node, work: Sequence[Work]) -> None:
        """Take what jobs do on the node."""
        self._seed, self._node = seed, node.name
        self.labels = [f'{{"gpu":"{gpu}"}}' for gpu in range(len(node.gpus))]
        self._idle_w = np.array([gpu.idle_w for gpu in node.gpus])
        self._limit_w = np.array([gpu.limit_w for gpu in node.gpus])
        self._stacks = [
            Stack([of_gpu(its, gpu) for its in work if number in its.gpus])
            for number, gpu in enumerate(node.gpus)
        ]

    def values(self, times_s: Floats, even: Floats) -> Floats:
        """Power: idle and the load's, with the noise of the node and some of the GPU's own."""
        noise = Noise.over(self._seed, self._node, times_s[0], times_s[-1])
        fast, slow = noise.fast(times_s), noise.slow(times_s)
        load_w = np.column_stack([stack.power_w(times_s, fast, slow) for stack in self._stacks])
        own_w = (even - 0.5) * 12**0.5 * (_OWN_NOISE_W + _OWN_NOISE * load_w)
        return np.asarray(np.minimum(self._idle_w + load_w + own_w, self._limit_w).round(3))


class LoadAverage:
    """Damped mean over a minute of the cores that jobs keep busy, as Linux counts it."""

    labels = ("{}",)
    no_value = None

    def __init__(self, work: Sequence[Work]) -> None:
        """Take what jobs do on the node."""
        starts_s = np.concatenate([np.zeros(1), *(its.course.starts_s for its in work)])
        order = np.argsort(starts_s, kind="stable")
        steps = [np.diff(its.n_cores * its.course.cpu, prepend=0.0) for its in work]
        self._breaks_s = starts_s[order]
        self._busy = np.cumsum(np.concatenate([np.zeros(1), *steps])[order])
        kept = np.exp(-np.diff(self._breaks_s) / _LOAD_AVERAGE_S)
        reached = [0.0]
        for busy, part in zip(self._busy.tolist(), kept.tolist(), strict=False):
            reached.append(busy + (reached[-1] - busy) * part)
        self._reached = np.array(reached)

    def values(self, times_s: Floats, even: Floats) -> Floats:
        """Load, in steps of 0.01."""
        here = np.searchsorted(self._breaks_s, times_s, side="right") - 1
        busy, since_s = self._busy[here], times_s - self._breaks_s[here]
        mean = busy + (self._reached[here] - busy) * np.exp(-since_s / _LOAD_AVERAGE_S)
        counted = mean * (1 + _COUNTED * (2 * even[:, 0] - 1))
        # a sum of cancelling steps may end a hair below zero
        return np.asarray(np.abs(counted.round(2))[:, None])


def source_of(metric: str, node: Node, work: Sequence[Work], *, seed: int) -> Source | None:
    """What a node's exporter tells under a metric, None where there is no such series."""
    if metric == GPU_POWER_METRIC and node.gpus:
        return GpuPower(seed, node, work)
    return LoadAverage(work) if metric == LOAD_METRIC else None


class _Luck(NamedTuple):
    """What chance does to readings: scrapes that are missed, noise, values that are not known."""

    missed: Flags
    even: NDArray[np.float32]
    unknown: Flags


class Exporter:
    """A series of one node. Scrapes are numbered from the simulation's origin."""

    def __init__(
        self,
        seed: int,
        node: str,
        metric: str,
        source: Source,
        *,
        watched_s: Sequence[tuple[float, float]],
        end_s: float,
    ) -> None:
        """Draw the clock of the scrapes.

        Args:
            seed: Seed.
            node: Name of the node.
            metric: Name of the series.
            source: What is read.
            watched_s: When it is read, in seconds since the origin; spells may overlap.
            end_s: End of the simulation.
        """
        self._seed, self._node, self._metric, self._source = seed, node, metric, source
        self._clock = Clock(
            generator(seed, "scrapes", node, metric), period_s=_PERIOD_S, end_s=end_s
        )
        self._begins_us, self._ends_us = (
            np.sort(np.array([spell_s[bound] for spell_s in watched_s]) * US) for bound in (0, 1)
        )

    def frame(self, *, start_s: float, end_s: float, origin_us: int) -> pl.DataFrame | None:
        """What was reported in [start_s, end_s), None where nothing was.

        Args:
            start_s: Start, in seconds since the origin.
            end_s: End.
            origin_us: The origin, in microseconds since 1970.

        Returns:
            `node`, `labels`, `timestamp`, `value`, in the order of the scrapes.
        """
        first, last = self._clock.between(start_s, end_s)
        times_us = self._clock.times_us(first, last)
        there = self._watched(times_us)
        if not there.any():
            return None
        luck = self._luck(first, last)
        there &= ~luck.missed
        if not there.any():
            return None
        values = self._source.values(times_us[there] / US, luck.even[there].astype(np.float64))
        if self._source.no_value is not None:
            values[luck.unknown[there]] = self._source.no_value
        n_scrapes, n_values = values.shape
        return pl.DataFrame(
            {
                "labels": pl.Series(self._source.labels).gather(
                    np.tile(range(n_values), n_scrapes)
                ),
                "timestamp": np.repeat(times_us[there] + origin_us, n_values),
                "value": values.ravel(),
            }
        ).select(
            pl.lit(self._node).alias("node"),
            "labels",
            pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
            "value",
        )

    def _watched(self, times_us: NDArray[np.int64]) -> Flags:
        begun = np.searchsorted(self._begins_us, times_us, side="right")
        return np.asarray(begun > np.searchsorted(self._ends_us, times_us, side="right"))

    def _luck(self, first: int, last: int) -> _Luck:
        """What befalls the scrapes from `first` to before `last`."""
        days = range(first // _A_DAY, (last - 1) // _A_DAY + 1)
        inside = slice(first - days.start * _A_DAY, last - days.start * _A_DAY)
        parts = zip(*(self._luck_of_day(day) for day in days), strict=True)
        return _Luck(*(np.concatenate(part)[inside] for part in parts))

    def _luck_of_day(self, day: int) -> _Luck:
        rng = generator(self._seed, "scrape luck", self._node, self._metric, day)
        missed = rng.random(_A_DAY) < _MISSED
        for start in rng.integers(0, _A_DAY, rng.poisson(_BURSTS_A_DAY)):
            missed[start : start + int(rng.geometric(_BURST_ENDS))] = True
        shape = (_A_DAY, len(self._source.labels))
        even = rng.random(shape, dtype=np.float32)
        return _Luck(missed, even, rng.random(shape, dtype=np.float32) < _NO_VALUE)
