"""Series of the nodes' exporters, scraped every 15 s while jobs have an allocation on the node.

The series are the power of each GPU and the load of the processors. Both derive from the same work
as the power of the node. Each day has its own random numbers, so that a value does not depend on
the window requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.sources.kwollect.metrics import GPU_POWER_METRIC, LOAD_METRIC
from footprint.sources.simulated.clock import US_PER_S, ReadingClock
from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.hidden_hardware import HiddenHardware
from footprint.sources.simulated.job_power import JobWork, power_added_to_gpu
from footprint.sources.simulated.power_function import NodeNoise, SummedPower
from footprint.sources.simulated.random_numbers import random_generator

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_PERIOD_S = 15
_SCRAPES_PER_DAY = 5760
# Scrapes that are missed, singly and in bursts, and values that DCGM cannot read.
_MISSED_PROBABILITY = 6e-4
_BURSTS_PER_DAY = 0.3
_BURST_END_PROBABILITY = 0.15
_NO_VALUE_PROBABILITY = 3e-5
_DCGM_NO_VALUE = 2147483632.0
# Standard deviations of the noise of a single GPU: when idle, and as a fraction of its load.
_OWN_NOISE_W, _OWN_NOISE_FRAC = 0.3, 0.008
_LOAD_AVERAGE_S = 60.0
# Largest relative error of the load average: Linux counts processes every 5 s.
_COUNT_ERROR_FRAC = 0.01


class ExportedValues(Protocol):
    """Values that an exporter reports of its node."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the values of a scrape, each as JSON."""

    @property
    def no_value(self) -> float | None:
        """Code of an unknown value; None if all values are known."""

    def values(self, times_s: Floats, uniform: Floats) -> Floats:
        """Values at ascending times, of shape (times, labels).

        Args:
            times_s: Times since the simulation's origin, at least one.
            uniform: Random numbers from 0 to 1, of shape (times, labels).
        """


class GpuPower:
    """Power of each GPU of a node as DCGM reports it, in watts.

    It differs from the power that the GPU draws by a factor of the cluster's
    (`hidden_hardware.HiddenHardware.series_factor`).
    """

    no_value = _DCGM_NO_VALUE

    def __init__(
        self, seed: int, node: Node, work: Sequence[JobWork], hidden: HiddenHardware
    ) -> None:
        """Sum the work of the node's jobs by GPU."""
        self._seed, self._node, self._factor = seed, node.name, hidden.series_factor
        self.labels = [f'{{"gpu":"{gpu}"}}' for gpu in range(len(node.gpus))]
        self._idle_w = np.array([gpu.idle_w for gpu in node.gpus])
        self._limit_w = np.array([gpu.limit_w for gpu in node.gpus])
        self._stacks = [
            SummedPower(
                [
                    power_added_to_gpu(work_item, gpu)
                    for work_item in work
                    if number in work_item.gpus
                ]
            )
            for number, gpu in enumerate(node.gpus)
        ]

    def values(self, times_s: Floats, uniform: Floats) -> Floats:
        """Power, of shape (times, GPUs): idle power, load, noise of the node and of the GPU."""
        noise = NodeNoise.over(self._seed, self._node, times_s[0], times_s[-1])
        fast, slow = noise.fast(times_s), noise.slow(times_s)
        load_w = np.column_stack([stack.power_w(times_s, fast, slow) for stack in self._stacks])
        own_w = (uniform - 0.5) * 12**0.5 * (_OWN_NOISE_W + _OWN_NOISE_FRAC * load_w)
        drawn_w = np.minimum(self._idle_w + load_w + own_w, self._limit_w)
        return np.asarray((self._factor * drawn_w).round(3))


class LoadAverage:
    """Load average over one minute: exponentially damped mean of busy cores, as in Linux."""

    labels = ("{}",)
    no_value = None

    def __init__(self, work: Sequence[JobWork]) -> None:
        """Sum the busy cores of the node's jobs."""
        starts_s = np.concatenate([np.zeros(1), *(work_item.course.starts_s for work_item in work)])
        order = np.argsort(starts_s, kind="stable")
        steps = [
            np.diff(work_item.n_cores * work_item.course.cpu, prepend=0.0) for work_item in work
        ]
        self._breaks_s = starts_s[order]
        self._busy = np.cumsum(np.concatenate([np.zeros(1), *steps])[order])
        kept = np.exp(-np.diff(self._breaks_s) / _LOAD_AVERAGE_S)
        reached = [0.0]
        for busy, part in zip(self._busy.tolist(), kept.tolist(), strict=False):
            reached.append(busy + (reached[-1] - busy) * part)
        self._reached = np.array(reached)

    def values(self, times_s: Floats, uniform: Floats) -> Floats:
        """Load at times, of shape (times, 1), in steps of 0.01."""
        index = np.searchsorted(self._breaks_s, times_s, side="right") - 1
        busy, since_s = self._busy[index], times_s - self._breaks_s[index]
        mean = busy + (self._reached[index] - busy) * np.exp(-since_s / _LOAD_AVERAGE_S)
        counted = mean * (1 + _COUNT_ERROR_FRAC * (2 * uniform[:, 0] - 1))
        # a sum of cancelling steps may be slightly negative
        return np.asarray(np.abs(counted.round(2))[:, None])


def exported_values(
    metric: str, node: Node, work: Sequence[JobWork], hidden: HiddenHardware, *, seed: int
) -> ExportedValues | None:
    """Values of a series of a node; None if the node has no such series."""
    if metric == GPU_POWER_METRIC and node.gpus:
        return GpuPower(seed, node, work, hidden)
    return LoadAverage(work) if metric == LOAD_METRIC else None


class _ScrapeFaults(NamedTuple):
    """Random numbers of scrapes: which are missed, noise, which values are unknown."""

    missed: Flags
    uniform: NDArray[np.float32]
    unknown: Flags


class Exporter:
    """A series of one node, whose scrapes are numbered from the simulation's origin."""

    def __init__(
        self,
        seed: int,
        node: str,
        metric: str,
        source: ExportedValues,
        *,
        scraped_s: Sequence[tuple[float, float]],
        end_s: float,
    ) -> None:
        """Draw the clock of the scrapes.

        Args:
            seed: Seed.
            node: Name of the node.
            metric: Name of the series.
            source: Values of the series.
            scraped_s: Intervals in which the node is scraped, in seconds since the origin; they may
                overlap.
            end_s: End of the simulation.
        """
        self._seed, self._node, self._metric, self._source = seed, node, metric, source
        self._clock = ReadingClock(
            random_generator(seed, "scrapes", node, metric), period_s=_PERIOD_S, end_s=end_s
        )
        self._begins_us, self._ends_us = (
            np.sort(np.array([interval_s[bound] for interval_s in scraped_s]) * US_PER_S)
            for bound in (0, 1)
        )

    def frame(self, *, start_s: float, end_s: float, origin_us: int) -> pl.DataFrame | None:
        """Values reported in [start_s, end_s); None if there are none.

        Args:
            start_s: Start, in seconds since the origin.
            end_s: End.
            origin_us: The origin, in microseconds since 1970.

        Returns:
            `node`, `labels`, `timestamp`, `value`, in the order of the scrapes.
        """
        first, last = self._clock.between(start_s, end_s)
        times_us = self._clock.times_us(first, last)
        reported = self._is_scraped(times_us)
        if not reported.any():
            return None
        faults = self._faults(first, last)
        reported &= ~faults.missed
        if not reported.any():
            return None
        values = self._source.values(
            times_us[reported] / US_PER_S, faults.uniform[reported].astype(np.float64)
        )
        if self._source.no_value is not None:
            values[faults.unknown[reported]] = self._source.no_value
        n_scrapes, n_values = values.shape
        return pl.DataFrame(
            {
                "labels": pl.Series(self._source.labels).gather(
                    np.tile(range(n_values), n_scrapes)
                ),
                "timestamp": np.repeat(times_us[reported] + origin_us, n_values),
                "value": values.ravel(),
            }
        ).select(
            pl.lit(self._node).alias("node"),
            "labels",
            pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
            "value",
        )

    def _is_scraped(self, times_us: NDArray[np.int64]) -> Flags:
        begun = np.searchsorted(self._begins_us, times_us, side="right")
        return np.asarray(begun > np.searchsorted(self._ends_us, times_us, side="right"))

    def _faults(self, first: int, last: int) -> _ScrapeFaults:
        """Random numbers of scrapes `first` to `last` (excluded)."""
        days = range(first // _SCRAPES_PER_DAY, (last - 1) // _SCRAPES_PER_DAY + 1)
        inside = slice(first - days.start * _SCRAPES_PER_DAY, last - days.start * _SCRAPES_PER_DAY)
        parts = zip(*(self._draw_faults_of_day(day) for day in days), strict=True)
        return _ScrapeFaults(*(np.concatenate(part)[inside] for part in parts))

    def _draw_faults_of_day(self, day: int) -> _ScrapeFaults:
        rng = random_generator(self._seed, "scrape luck", self._node, self._metric, day)
        missed = rng.random(_SCRAPES_PER_DAY) < _MISSED_PROBABILITY
        for start in rng.integers(0, _SCRAPES_PER_DAY, rng.poisson(_BURSTS_PER_DAY)):
            missed[start : start + int(rng.geometric(_BURST_END_PROBABILITY))] = True
        shape = (_SCRAPES_PER_DAY, len(self._source.labels))
        uniform = rng.random(shape, dtype=np.float32)
        return _ScrapeFaults(
            missed, uniform, rng.random(shape, dtype=np.float32) < _NO_VALUE_PROBABILITY
        )
