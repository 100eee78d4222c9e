"""Spells of hours in which a sensor is stuck at one reading, or reports a few watts under jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

Intervals = list[tuple[float, float]]

# Spells that are expected on a site, and in addition per node-day of the study.
_SPELLS_PER_SITE = 0.5
_SPELLS_PER_NODE_DAY = 1 / 400
# Median, lowest and highest length, and standard deviation of its logarithm.
_STUCK_HOURS, _DROP_OUT_HOURS = (3.0, 1.0, 12.0), (2.5, 0.5, 8.0)
_LENGTH_SPREAD_LOG = 0.6
_MARGIN_S = 600.0
# Nodes whose sensors resolve a few watts.
_MAX_DROP_OUT_STEP_W = 4.0


class SensorSpells(NamedTuple):
    """Spells of one sensor, in seconds since the simulation's origin; none overlap."""

    stuck: Intervals
    drop_outs: Intervals

    def is_free(self, start_s: float, stop_s: float) -> bool:
        """Whether an interval is apart from every spell."""
        return all(
            stop_s + _MARGIN_S < low_s or start_s > high_s + _MARGIN_S
            for low_s, high_s in (*self.stuck, *self.drop_outs)
        )


def draw_spells(
    nodes: Sequence[Node],
    rng: np.random.Generator,
    *,
    unused_intervals: Callable[[Node], Intervals],
    held_intervals: Callable[[Node], Intervals],
    study_s: tuple[int, int],
) -> dict[str, SensorSpells]:
    """Draw the spells of the sensors of a study, by node.

    One sensor is stuck on an idle node with a fine sensor. One is stuck on a node with a coarse
    sensor, whether or not jobs run. More are stuck, and others drop out, on random nodes.

    Args:
        nodes: Nodes of the site.
        rng: Random numbers.
        unused_intervals: Intervals of a node with neither a job nor an outage.
        held_intervals: Intervals of a node with jobs.
        study_s: Start and end of the study.
    """
    first_s, last_s = float(study_s[0]), float(study_s[1])
    metered = [node for node in nodes if node.sensor_step_w is not None]
    spells = {node.name: SensorSpells([], []) for node in metered}
    coarse = [node for node in metered if (node.sensor_step_w or 0) > 1]
    if coarse:
        start_s = first_s + (last_s - first_s) * 0.8 * rng.random()
        length_s = HOUR_S * (2.5 + 3.0 * rng.random())
        name = coarse[int(rng.integers(len(coarse)))].name
        spells[name].stuck.append((start_s, min(start_s + length_s, last_s)))
    gaps = [
        (start_s, min(stop_s, start_s + 9 * HOUR_S), node.name)
        for node in metered
        if node.sensor_step_w == 1 and not node.facts.sleeps
        for start_s, stop_s in unused_intervals(node)
        if start_s >= first_s and stop_s <= last_s and stop_s - start_s > 4 * HOUR_S
    ]
    if gaps:
        start_s, stop_s, name = gaps[int(rng.integers(len(gaps)))]
        spells[name].stuck.append((start_s + _MARGIN_S, stop_s - _MARGIN_S))
    n_expected = _SPELLS_PER_SITE + _SPELLS_PER_NODE_DAY * len(metered) * (last_s - first_s) / DAY_S
    whole = [(first_s, last_s, node.name) for node in metered]
    for start_s, stop_s, name in _draw_spells_within(whole, rng, n_expected, _STUCK_HOURS):
        if spells[name].is_free(start_s, stop_s):
            spells[name].stuck.append((start_s, stop_s))
    held = [
        (max(start_s, first_s), min(stop_s, last_s), node.name)
        for node in metered
        if (node.sensor_step_w or 0) <= _MAX_DROP_OUT_STEP_W
        for start_s, stop_s in held_intervals(node)
        if min(stop_s, last_s) - max(start_s, first_s) > HOUR_S
    ]
    for start_s, stop_s, name in _draw_spells_within(held, rng, n_expected, _DROP_OUT_HOURS):
        if spells[name].is_free(start_s, stop_s):
            spells[name].drop_outs.append((start_s, stop_s))
    return spells


def _draw_spells_within(
    places: Sequence[tuple[float, float, str]],
    rng: np.random.Generator,
    n_expected: float,
    hours: tuple[float, float, float],
) -> list[tuple[float, float, str]]:
    """Draw spells within intervals of nodes: start, end and node of each."""
    median, low, high = hours
    spells = []
    for _ in range(int(rng.poisson(n_expected)) if places else 0):
        first_s, last_s, name = places[int(rng.integers(len(places)))]
        start_s = first_s + 0.9 * (last_s - first_s) * rng.random()
        length = median * float(np.exp(_LENGTH_SPREAD_LOG * rng.standard_normal()))
        spells.append((start_s, min(start_s + HOUR_S * min(max(length, low), high), last_s), name))
    return spells
