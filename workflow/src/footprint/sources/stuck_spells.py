"""Spells in which a sensor repeats one reading although the node's power must have changed.

A repeated reading alone proves nothing: 43 to 78 % of the readings of a real BMC repeat, and steady
spells of ten minutes are usual. A spell is stuck only where other readings of the same node show
that its power changes, and that the sensor's steps are fine enough to report the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from footprint.core.arrays import Floats, Integers
from footprint.sources.gpu_movement import gpu_power_moves, sensor_step_w
from footprint.sources.held_time import HeldTime

MIN_DURATION_S = 1200.0
"""Shortest stuck spell, in seconds: twice the steady spells that are usual on real sensors."""

MIN_DURATION_WITHOUT_JOBS_S = 3600.0
"""Shortest stuck spell in which no job began or ended, in seconds."""

MIN_DURATION_RATIO = 10.0
"""Lowest ratio of a stuck spell's duration to any other spell's of the same reading."""

MIN_DURATION_RATIO_WITH_JOBS = 3.0
"""The lowest such ratio where jobs began or ended in the spell."""

MAX_LONG_SPELLS = 3
"""Most stuck spells of one reading in a month."""

MIN_DURATION_RATIO_COARSE = 200.0
"""The ratio required where spells of several readings are long, as on a sensor of coarse steps."""

MIN_OTHER_SPELLS = 100
"""Fewest other spells of the same reading in the same use of the node."""

MIN_OTHER_READINGS_FRAC = 0.2
"""Fewest readings of these other spells together, as a fraction of the readings of the spell."""

MAX_CHANCE = 0.05
"""Highest probability that a working sensor repeats a reading at all bounds of jobs in a spell."""

MIN_MOVED_BOUNDS = 5
"""Fewest other bounds of jobs at which the reading moved."""

MAX_MISSING_S = 900.0
"""Longest time without readings inside a spell, in seconds."""

_EDGE_US, _REACTION_US = 60_000_000, 120_000_000
"""Time between a bound of a job inside a spell and the spell's ends; time in which a reading reacts
to a bound."""


def find_stuck_spells(
    times_us: Integers,
    power_w: Floats,
    *,
    held: HeldTime,
    off_threshold_w: float,
    read_gpu_power: Callable[[], pl.DataFrame] | None = None,
) -> list[tuple[int, int]]:
    """First and last row of each stuck spell of a node in a month, ascending.

    A spell of one reading is stuck if it lasts at least `MIN_DURATION_S` and the power of the
    node's GPUs moved in it by several steps of the sensor (`gpu_movement.gpu_power_moves`).

    It is also stuck if it lasts that long, and several times longer than every other spell of this
    reading in the month that is not stuck (at most `MAX_LONG_SPELLS` are), and if one of two
    conditions holds.

    Jobs: the spell is `MIN_DURATION_RATIO_WITH_JOBS` times longer than these others. k > 0 jobs
    began or ended on the node inside the spell, a minute or more from its ends and with readings in
    the two minutes before and after, and a working sensor would have moved. Let n be the number of
    other bounds of jobs in the month, and m the number of those at which the reading stood still
    for two minutes before and after. Then ((m + 1) / (n + 2)) ** k <= `MAX_CHANCE`, where the base
    is Laplace's rule of succession, and n - m >= `MIN_MOVED_BOUNDS`.

    Other spells: the spell is `MIN_DURATION_RATIO` times longer than these others and lasts at
    least `MIN_DURATION_WITHOUT_JOBS_S`, and the sensor reports that this power moves at other
    times. There are at least `MIN_OTHER_SPELLS` other spells of the same reading with the node in
    the same use (held by a job or free), with `MIN_OTHER_READINGS_FRAC` times the readings of the
    spell. In addition, at most `MAX_LONG_SPELLS` spells of any reading in this use are longer than
    1 / `MIN_DURATION_RATIO` of the spell, or all those others are shorter than
    1 / `MIN_DURATION_RATIO_COARSE` of it. The last condition is for noise below the sensor's step,
    where steady power stands still in the middle of a step and moves at its ends.

    Args:
        times_us: Times of the samples, ascending, in microseconds since 1970.
        power_w: Power at the samples, in W.
        held: Intervals in which jobs held the node.
        off_threshold_w: Readings below it are standby, whose power need not move, in W.
        read_gpu_power: Reads `gpu`, `timestamp`, `power_w` (W) of the node's GPUs; called at most
            once. None: unknown.
    """
    if len(times_us) < 2:
        return []
    is_new = np.diff(power_w) != 0
    is_new |= np.diff(times_us) > MAX_MISSING_S * 1e6
    moves = np.flatnonzero(is_new)
    first = np.append(0, moves + 1)
    last = np.append(moves, len(times_us) - 1)
    lasted_s = (times_us[last] - times_us[first]) / 1e6
    is_on = power_w[first] >= off_threshold_w
    long = np.flatnonzero((lasted_s >= MIN_DURATION_S) & is_on)
    if not len(long):
        return []
    use = _use_of_node(held, times_us[first], times_us[last])

    def is_proven_by_jobs(spell: int) -> bool:
        """Whether jobs began or ended in a spell, and a working sensor would have moved."""
        spell_us = (int(times_us[first[spell]]), int(times_us[last[spell]]))
        return _stood_still_under_jobs(spell_us, times_us, moves, held)

    def is_proven(spell: int, same: Integers) -> bool:
        """Whether other spells, or jobs, show that the power must have changed in a spell."""
        length_s = lasted_s[spell]
        others = same[(use[same] == use[spell]) | (use[spell] == _MIXED)]
        others = others[lasted_s[others] * MIN_DURATION_RATIO <= length_s]
        n_readings = last - first + 1
        is_seen = np.sum(n_readings[others]) >= MIN_OTHER_READINGS_FRAC * n_readings[spell]
        moves_elsewhere = len(others) >= MIN_OTHER_SPELLS and is_seen
        has_same_use = (use == use[spell]) | (use[spell] == _MIXED)
        n_long = np.count_nonzero(has_same_use & is_on & (lasted_s * MIN_DURATION_RATIO > length_s))
        longest_s = np.max(lasted_s[others], initial=0.0)
        is_rare = n_long <= MAX_LONG_SPELLS or length_s >= MIN_DURATION_RATIO_COARSE * longest_s
        if length_s >= MIN_DURATION_WITHOUT_JOBS_S and moves_elsewhere and is_rare:
            return True
        return is_proven_by_jobs(spell)

    found: list[int] = []
    if read_gpu_power is not None:
        gpu_power, step_w = read_gpu_power(), sensor_step_w(power_w)
        for spell in long:
            inside = times_us[first[spell] : last[spell] + 1]
            if gpu_power_moves(gpu_power, inside, step_w=step_w):
                found.append(int(spell))
    for reading_w in np.unique(power_w[first[long]]):
        same = np.flatnonzero(power_w[first] == reading_w)
        for group in _longest_spells(same, lasted_s, MIN_DURATION_RATIO):
            if all(is_proven(spell, same) for spell in group):
                found += group
                break
        for group in _longest_spells(same, lasted_s, MIN_DURATION_RATIO_WITH_JOBS):
            if all(is_proven_by_jobs(spell) for spell in group):
                found += group
                break
    return [(int(first[spell]), int(last[spell])) for spell in sorted(set(found))]


_FREE, _HELD, _MIXED = 0, 1, 2


def _use_of_node(held: HeldTime, first_us: Integers, last_us: Integers) -> Integers:
    """Use of the node in each spell: `_FREE`, `_HELD` or `_MIXED`."""
    bounds_us = held.bounds_us
    n_inside = np.searchsorted(bounds_us, last_us - _EDGE_US) - np.searchsorted(
        bounds_us, first_us + _EDGE_US
    )
    middle_us = first_us + (last_us - first_us) // 2
    return np.where(n_inside > 0, _MIXED, np.where(held.is_held(middle_us), _HELD, _FREE))


def _longest_spells(same: Integers, lasted_s: Floats, ratio: float) -> Iterator[list[int]]:
    """Groups of the longest spells of a reading, `ratio` times the others, largest group first."""
    longest_first = same[np.argsort(-lasted_s[same], kind="stable")][: MAX_LONG_SPELLS + 1]
    lengths_s = np.append(lasted_s[longest_first], 0.0)
    for n in range(min(MAX_LONG_SPELLS, len(longest_first)), 0, -1):
        if lengths_s[n - 1] >= MIN_DURATION_S and lengths_s[n - 1] >= ratio * lengths_s[n]:
            yield longest_first[:n].tolist()


def _stood_still_under_jobs(
    spell_us: tuple[int, int], times_us: Integers, moves: Integers, held: HeldTime
) -> bool:
    """Whether jobs began or ended in a spell, and the reading moves at other bounds of jobs."""
    bounds_us = held.bounds_us
    is_inside = (bounds_us >= spell_us[0] + _EDGE_US) & (bounds_us <= spell_us[1] - _EDGE_US)
    inside_us = bounds_us[is_inside]
    at = np.searchsorted(times_us, inside_us)
    is_read_before = at > np.searchsorted(times_us, inside_us - _REACTION_US)
    is_read_after = np.searchsorted(times_us, inside_us + _REACTION_US, side="right") > at
    n_inside = np.count_nonzero(is_read_before & is_read_after)
    if not n_inside:
        return False
    is_near = (bounds_us >= spell_us[0] - _REACTION_US) & (bounds_us <= spell_us[1] + _REACTION_US)
    others_us = bounds_us[~is_near]
    moved_us = times_us[moves + 1]
    low, high = others_us - _REACTION_US, others_us + _REACTION_US
    has_readings = np.searchsorted(times_us, high) - np.searchsorted(times_us, low) > 2
    is_still = np.searchsorted(moved_us, high) == np.searchsorted(moved_us, low)
    n_others, n_still = np.count_nonzero(has_readings), np.count_nonzero(has_readings & is_still)
    if n_others - n_still < MIN_MOVED_BOUNDS:
        return False
    return bool(((n_still + 1) / (n_others + 2)) ** n_inside <= MAX_CHANCE)
