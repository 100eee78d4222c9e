"""Spells of hours in which a sensor is stuck at one reading, or reports a few watts under jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

Intervals = list[tuple[float, float]]
_HeldInterval = tuple[float, float, Node]

# Spells that are expected on a site of at least some node-days, and in addition per node-day: few
# in the smallest studies, of which one spell would be a large part.
_SPELLS_PER_SITE, _SITE_NODE_DAYS = 0.5, 60.0
_SPELLS_PER_NODE_DAY = 1 / 800
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
    sensor, whether or not jobs run. More get stuck, and others drop out, under random jobs;
    drop-outs end with the jobs.

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
    held = [
        (max(start_s, first_s), min(stop_s, last_s), node)
        for node in metered
        for start_s, stop_s in held_intervals(node)
        if min(stop_s, last_s) - max(start_s, first_s) > HOUR_S
    ]
    fine = [place for place in held if place[2].facts.sensor_step_w <= _MAX_DROP_OUT_STEP_W]
    node_days = len(metered) * (last_s - first_s) / DAY_S
    n_expected = _SPELLS_PER_SITE * min(1.0, node_days / _SITE_NODE_DAYS)
    n_expected += _SPELLS_PER_NODE_DAY * node_days
    for start_s, length_s, place in _draw_within(held, rng, n_expected, _STUCK_HOURS):
        _add(spells[place[2].name], "stuck", start_s, min(start_s + length_s, last_s))
    for start_s, length_s, place in _draw_within(fine, rng, n_expected, _DROP_OUT_HOURS):
        _add(spells[place[2].name], "drop_outs", start_s, min(start_s + length_s, place[1]))
    return spells


def _draw_within(
    places: Sequence[_HeldInterval],
    rng: np.random.Generator,
    n_expected: float,
    hours: tuple[float, float, float],
) -> list[tuple[float, float, _HeldInterval]]:
    """Draw spells that start in an interval with jobs: start, length and interval of each."""
    median, low, high = hours
    drawn = []
    for _ in range(int(rng.poisson(n_expected)) if places else 0):
        place = places[int(rng.integers(len(places)))]
        start_s = place[0] + 0.9 * (place[1] - place[0]) * rng.random()
        length = median * float(np.exp(_LENGTH_SPREAD_LOG * rng.standard_normal()))
        drawn.append((start_s, HOUR_S * min(max(length, low), high), place))
    return drawn


def _add(
    spells: SensorSpells, kind: Literal["stuck", "drop_outs"], start_s: float, stop_s: float
) -> None:
    """Add a spell, unless it is near another of the sensor."""
    if spells.is_free(start_s, stop_s):
        getattr(spells, kind).append((start_s, stop_s))
