"""Intervals in which nodes cannot be used: maintenance, failures, nodes removed for repair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

# Maintenance is announced two days ahead: jobs whose walltime reaches into it do not start.
MAINTENANCE_NOTICE_S = 2 * DAY_S
_STATES = pl.Schema(
    {
        "node": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "stopped_at": pl.Datetime("us", "UTC"),
        "state": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class Outage:
    """Interval in which a node cannot be used, in seconds since the simulation's origin.

    Attributes:
        stop_s: End; if not before the simulation's end, the node has not come back.
        off_s: Seconds from the start during which the node is switched off.
    """

    node: str
    state: str
    start_s: int
    stop_s: int
    off_s: int


def draw_outages(
    nodes: Sequence[Node],
    rng: np.random.Generator,
    *,
    origin: datetime,
    study_s: tuple[int, int],
    end_s: int,
) -> list[Outage]:
    """Draw the outages of a study, sorted by node and time; those of a node do not overlap.

    Args:
        nodes: Nodes of the site.
        rng: Random numbers.
        origin: Start of the simulation, at midnight UTC.
        study_s: First and last second of the study since the origin.
        end_s: Last second of the simulation.
    """
    first_s, last_s = study_s
    days = (last_s - first_s) / DAY_S
    outages: list[Outage] = []

    def add(node: str, state: str, start_s: int, length_s: int, off_s: int) -> None:
        stop_s = min(start_s + length_s, end_s)
        others = (other for other in outages if other.node == node)
        if all(
            stop_s < other.start_s - HOUR_S or start_s > other.stop_s + HOUR_S for other in others
        ):
            outages.append(Outage(node, state, start_s, stop_s, min(off_s, stop_s - start_s)))

    if days >= 5:
        for day in _maintenance_days(rng, origin=origin, first_s=first_s, days=int(days)):
            names = sorted({node.cluster for node in nodes})
            cluster = names[int(rng.integers(len(names)))]
            start_s, length_s = day * DAY_S + 6 * HOUR_S, 11 * HOUR_S
            for node in nodes:
                if node.cluster == cluster:
                    add(node.name, "maintenance", start_s, length_s, int(rng.integers(4)) * HOUR_S)
    for node in nodes:
        for _ in range(int(rng.poisson(0.25 * days / 56))):
            start_s = int(rng.integers(first_s, last_s))
            length_s = round(HOUR_S * float(np.exp(1.0 + 1.1 * rng.standard_normal())))
            add(node.name, "suspected", start_s, max(length_s, 600), 0)
    sizes = Counter(node.cluster for node in nodes)
    removable = [node for node in nodes if sizes[node.cluster] > 3]
    if days >= 5 and removable:
        start_s = int(first_s + (last_s - first_s) * rng.random() * 0.8)
        length_s = int(3 * DAY_S * (0.5 + rng.random()))
        add(
            removable[int(rng.integers(len(removable)))].name, "absent", start_s, length_s, length_s
        )
        # the node does not come back: its interval has no end
        gone_s = last_s - int(2 * DAY_S * (0.5 + rng.random()))
        add(removable[int(rng.integers(len(removable)))].name, "dead", gone_s, end_s, end_s)
    return sorted(outages, key=lambda outage: (outage.node, outage.start_s))


def _maintenance_days(
    rng: np.random.Generator, *, origin: datetime, first_s: int, days: int
) -> list[int]:
    """Draw the days of maintenance since the origin: about one a month, Tuesday to Thursday."""
    first_day = first_s // DAY_S
    candidates = [
        day
        for day in range(first_day + 2, first_day + days - 1)
        if 1 <= (origin + timedelta(days=day)).weekday() <= 3
    ]
    n_days = min(len(candidates), max(1, round(days / 28)))
    return sorted(int(day) for day in rng.choice(candidates, size=n_days, replace=False))


def states_frame(outages: Sequence[Outage], *, origin: datetime, end_s: int) -> pl.LazyFrame:
    """Outages as rows of OAR's log of node states (`schemas.States`)."""
    rows = [
        {
            "node": outage.node,
            "started_at": origin + timedelta(seconds=outage.start_s),
            "stopped_at": None
            if outage.stop_s >= end_s
            else origin + timedelta(seconds=outage.stop_s),
            "state": outage.state,
        }
        for outage in outages
    ]
    return pl.LazyFrame(rows, schema=_STATES)
