"""Spells in which a sensor repeats one reading although the node's power must have changed.

A repeated reading alone shows nothing: 43 to 78 % of the readings of a real BMC repeat, and steady
spells of ten minutes are usual. A spell is stuck only where other readings of the same node show
that power changes and that the sensor's steps are fine enough to show it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from footprint.held_time import HeldTime
from footprint.intervals import Floats, Integers

SHORTEST_S = 1200.0
"""Shorter spells are never stuck: twice the steady spells that are usual on real sensors."""

SHORTEST_ALONE_S = 3600.0
"""Shorter spells are stuck only where jobs began or ended in them."""

OUTLASTS = 10.0
"""A stuck spell lasts so many times longer than any other spell of the same reading."""

LONGEST_FEW = 3
"""So many stuck spells of one reading are found in a month."""

OUTLASTS_BY_FAR = 200.0
"""The same where spells of several readings are long, as on a sensor of coarse steps."""

FEWEST_OTHERS = 100
"""Other spells of the same reading, in the same use of the node, that show how it usually moves."""

SEEN_FRAC = 0.2
"""Part of the spell's number of readings that these other spells have together at least."""

CHANCE = 0.05
"""Probability that the reading stands still at all jobs' bounds of a spell, for it to be stuck."""

FEWEST_MOVED = 5
"""Other bounds of jobs at which the reading moved, for standing still at one to show anything."""

BRIDGED_S = 900.0
"""Missing readings for so long do not end a spell, if the reading is the same afterwards."""

_EDGE_US, _REACTION_US = 60_000_000, 120_000_000


def find(
    times_us: Integers, power_w: Floats, *, held: HeldTime, off_threshold_w: float
) -> list[tuple[int, int]]:
    """First and last row of each stuck spell of a node in a month, ascending.

    A spell of one reading is stuck if it lasts `SHORTEST_S` or more and `OUTLASTS` times longer
    than every other spell of this reading in the month that is not stuck too (at most `LONGEST_FEW`
    are), and one of these holds:

    - jobs began or ended on the node in it, a minute or more from its ends, and the reading would
      have moved: of n other bounds of jobs in the month the reading stood still for two minutes
      before and after at m, and ((m + 1) / (n + 2)) ** k <= `CHANCE` for the k bounds in the spell
      (rule of succession), and at `FEWEST_MOVED` of them it moved;
    - it lasts `SHORTEST_ALONE_S` or more, and there are `FEWEST_OTHERS` other spells of the same
      reading with the node in the same use (held by a job or free), of `SEEN_FRAC` as many readings
      in all: the sensor shows this power moving at other times. At most `LONGEST_FEW` spells of
      any reading in this use are longer than a part 1 / `OUTLASTS` of it, or those others are all
      shorter than a part 1 / `OUTLASTS_BY_FAR`: where the noise is below the sensor's step, steady
      power stands still in the middle of a step and moves at its ends.

    Args:
        times_us: Times of the samples, ascending, in microseconds since 1970.
        power_w: Power at the samples.
        held: When jobs held the node.
        off_threshold_w: Readings below it are standby, of which nothing is known to move.
    """
    if len(times_us) < 2:
        return []
    is_new = np.diff(power_w) != 0
    is_new |= np.diff(times_us) > BRIDGED_S * 1e6
    moves = np.flatnonzero(is_new)
    first = np.append(0, moves + 1)
    last = np.append(moves, len(times_us) - 1)
    lasted_s = (times_us[last] - times_us[first]) / 1e6
    is_on = power_w[first] >= off_threshold_w
    long = np.flatnonzero((lasted_s >= SHORTEST_S) & is_on)
    if not len(long):
        return []
    use = _use(held, times_us[first], times_us[last])

    def is_shown(run: int, same: Integers) -> bool:
        """Whether other readings show that the power must have changed in a spell."""
        length_s = lasted_s[run]
        others = same[(use[same] == use[run]) | (use[run] == _MIXED)]
        others = others[lasted_s[others] * OUTLASTS <= length_s]
        n_readings = last - first + 1
        is_seen = np.sum(n_readings[others]) >= SEEN_FRAC * n_readings[run]
        moves_else = len(others) >= FEWEST_OTHERS and is_seen
        alike = (use == use[run]) | (use[run] == _MIXED)
        n_long = np.count_nonzero(alike & is_on & (lasted_s * OUTLASTS > length_s))
        longest_s = np.max(lasted_s[others], initial=0.0)
        is_rare = n_long <= LONGEST_FEW or length_s >= OUTLASTS_BY_FAR * longest_s
        if length_s >= SHORTEST_ALONE_S and moves_else and is_rare:
            return True
        span_us = (int(times_us[first[run]]), int(times_us[last[run]]))
        return _stood_still_under_jobs(span_us, times_us, moves, held)

    found: list[int] = []
    for reading_w in np.unique(power_w[first[long]]):
        same = np.flatnonzero(power_w[first] == reading_w)
        for group in _outlasting(same, lasted_s):
            if all(is_shown(run, same) for run in group):
                found += group
                break
    return [(int(first[run]), int(last[run])) for run in sorted(found)]


_FREE, _HELD, _MIXED = 0, 1, 2


def _use(held: HeldTime, first_us: Integers, last_us: Integers) -> Integers:
    """Whether the node was free, held, or both, in each spell."""
    bounds_us = held.bounds_us
    within = np.searchsorted(bounds_us, last_us - _EDGE_US) - np.searchsorted(
        bounds_us, first_us + _EDGE_US
    )
    middle_us = first_us + (last_us - first_us) // 2
    return np.where(within > 0, _MIXED, np.where(held.is_held(middle_us), _HELD, _FREE))


def _outlasting(same: Integers, lasted_s: Floats) -> Iterator[list[int]]:
    """Groups of the longest spells of one reading that outlast all others of it, largest first."""
    longest_first = same[np.argsort(-lasted_s[same], kind="stable")][: LONGEST_FEW + 1]
    lengths_s = np.append(lasted_s[longest_first], 0.0)
    for n in range(min(LONGEST_FEW, len(longest_first)), 0, -1):
        if lengths_s[n - 1] >= SHORTEST_S and lengths_s[n - 1] >= OUTLASTS * lengths_s[n]:
            yield longest_first[:n].tolist()


def _stood_still_under_jobs(
    span_us: tuple[int, int], times_us: Integers, moves: Integers, held: HeldTime
) -> bool:
    """Whether jobs began or ended in a spell, and the reading moves when they do."""
    bounds_us = held.bounds_us
    inside = (bounds_us >= span_us[0] + _EDGE_US) & (bounds_us <= span_us[1] - _EDGE_US)
    n_inside = np.count_nonzero(inside)
    if not n_inside:
        return False
    around = (bounds_us >= span_us[0] - _REACTION_US) & (bounds_us <= span_us[1] + _REACTION_US)
    others_us = bounds_us[~around]
    moved_us = times_us[moves + 1]
    low, high = others_us - _REACTION_US, others_us + _REACTION_US
    seen = np.searchsorted(times_us, high) - np.searchsorted(times_us, low) > 2
    stood = np.searchsorted(moved_us, high) == np.searchsorted(moved_us, low)
    n_others, n_still = np.count_nonzero(seen), np.count_nonzero(seen & stood)
    if n_others - n_still < FEWEST_MOVED:
        return False
    return bool(((n_still + 1) / (n_others + 2)) ** n_inside <= CHANCE)
