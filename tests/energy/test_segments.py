"""Cuts of a node's time, and the segments between them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.allocation import node_allocations
from footprint.energy import segments
from footprint.energy.kernel import NodeSamples, cumulative_integrals
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.segments import IntegrationWindow
from footprint.schemas.raw import States

START = datetime(2025, 3, 31, tzinfo=UTC)
WINDOW = IntegrationWindow.of(START, START + timedelta(days=2))
US = 1_000_000
DAY_US = 86_400 * US
US_UTC = pl.Datetime("us", "UTC")


def us(seconds: float) -> int:
    """Microseconds since 1970 of seconds after START."""
    return WINDOW.start_us + round(seconds * US)


def since_start(values: Iterable[int]) -> list[float]:
    return [(value - WINDOW.start_us) / US for value in values]


def allocated(*rows: tuple[int, float, float], **same: Any) -> pl.DataFrame:
    """Allocations from (job, start, stop) in seconds, each of half of node c-1."""
    return pl.DataFrame(
        [
            {
                "job_id": job,
                "node": "c-1",
                "started_at": START + timedelta(seconds=start),
                "stopped_at": START + timedelta(seconds=stop),
                "share": 0.5,
                "gpus": 1.0,
                "cores": 8.0,
                "opens": True,
                "closes": True,
                **same,
            }
            for job, start, stop in rows
        ],
        schema=node_allocations.ALLOCATION_SCHEMA,
    )


def states(*rows: tuple[str, float, float | None, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "node": node,
                "started_at": START + timedelta(seconds=start),
                "stopped_at": None if stop is None else START + timedelta(seconds=stop),
                "state": state,
            }
            for node, start, stop, state in rows
        ],
        schema=States.create_empty().schema,
    )


def times(*seconds: float) -> pl.Series:
    return pl.Series([us(each) for each in seconds], dtype=pl.Int64)


def bounds(frame: pl.DataFrame) -> list[tuple[float, float]]:
    return list(zip(since_start(frame["from_us"]), since_start(frame["to_us"]), strict=True))


def test_midnights_include_the_end_of_the_window() -> None:
    assert since_start(WINDOW.midnights_us()) == [0, 86_400, 172_800]


def test_in_microseconds_leaves_out_allocations_that_only_touch_the_window() -> None:
    held = allocated((1, -10, 0), (2, -10, 1), (3, 172_799, 172_900), (4, 172_800, 172_900))
    inside = segments.with_bounds_in_microseconds(held, WINDOW)
    assert inside["job_id"].to_list() == [2, 3]
    assert bounds(inside) == [(-10, 1), (172_799, 172_900)]


@pytest.mark.parametrize(
    ("start", "stop", "samples", "expected"),
    [
        (10, 30, (8, 13, 18, 23, 28, 33), (13, 28)),
        (13, 28, (8, 13, 18, 23, 28, 33), (13, 28)),  # samples at the bounds are inside
        (14, 17, (8, 13, 18, 23), (18, 18)),  # none inside: no length
        (10, 30, (), (172_800, 172_800)),
        (10, 30, (40, 45), (40, 40)),
        (10, 30, (-5, 0), (172_800, 172_800)),
        (-20, 30, (-12, -2, 8, 28), (0, 28)),  # snapped before the window, then clipped
        (172_700, 172_900, (172_703, 172_803), (172_703, 172_800)),
    ],
)
def test_snap_moves_bounds_inward_to_samples(
    start: float, stop: float, samples: tuple[float, ...], expected: tuple[float, float]
) -> None:
    held = segments.with_bounds_in_microseconds(allocated((1, start, stop)), WINDOW)
    snapped = segments.clip_to_window(segments.snap_to_samples(held, times(*samples)), WINDOW)
    assert bounds(snapped) == [expected]
    kept = (max(start, 0), min(stop, 172_800))
    assert since_start(snapped["held_from_us"])[0] == kept[0]
    assert since_start(snapped["held_to_us"])[0] == kept[1]


def test_snap_keeps_bounds_that_are_not_the_job_s_own() -> None:
    held = segments.with_bounds_in_microseconds(
        allocated((1, 10, 30), opens=False, closes=False), WINDOW
    )
    assert bounds(segments.snap_to_samples(held, times(13, 28))) == [(10, 30)]


def test_cuts_contain_each_change_once_inside_the_window() -> None:
    held = segments.clip_to_window(
        segments.with_bounds_in_microseconds(allocated((1, -5, 10), (2, 10, 20)), WINDOW), WINDOW
    )
    away = segments.unavailable_intervals(states(("c-1", 15, 20, "absent")), WINDOW)
    cuts = segments.cuts_of_node(held, away, WINDOW)
    assert since_start(cuts) == [0, 10, 15, 20, 86_400, 172_800]


def test_unavailable_keeps_only_states_without_use() -> None:
    rows = [
        ("c-1", 0, 10, "absent"),
        ("c-1", 20, 30, "suspected"),
        ("c-1", 40, 50, "dead"),
        ("c-1", 60, None, "maintenance"),
        ("c-1", 70, 80, "standby"),
        ("c-1", 90, 95, "alive"),
        ("c-2", -20, -10, "absent"),
        ("c-2", -20, 5, "absent"),
    ]
    away = segments.unavailable_intervals(states(*rows), WINDOW)
    assert away["node"].to_list() == ["c-1"] * 4 + ["c-2"]
    assert bounds(away) == [(0, 10), (20, 30), (40, 50), (60, 172_800), (0, 5)]


def test_between_cuts_gives_shares_states_and_energy_of_each_segment() -> None:
    """A node at 100 W; jobs of half of it from 10 to 30 s and from 20 s on; away 50 to 60 s.

    The second job's first sample counts from 25 s on, as if it had been snapped.
    """
    every_5_s = [5.0 * i for i in range(-1, 34_600)]
    frame = pl.DataFrame(
        {
            "timestamp": times(*every_5_s).cast(US_UTC),
            "power_w": [100.0] * len(every_5_s),
        }
    )
    method = IntegrationMethod("trapezoid", 30, 20, 5.0)
    held = allocated((1, 10, 30), (2, 20, 40))
    own = segments.clip_to_window(segments.with_bounds_in_microseconds(held, WINDOW), WINDOW)
    own = own.with_columns(from_us=pl.when(pl.col("job_id") == 2).then(us(25)).otherwise("from_us"))
    away = segments.unavailable_intervals(states(("c-1", 50, 60, "dead")), WINDOW)
    cuts = segments.cuts_of_node(own, away, WINDOW)
    integrals = cumulative_integrals(NodeSamples.from_frame(frame, method), cuts, method)
    at_cuts = segments.integrals_at_cuts(["c-1", "c-2"], [cuts] * 2, [integrals.of_node] * 2)
    found = segments.segments_between_cuts(
        at_cuts, own, node_allocations.occupancy(held.lazy()).collect(), away
    )
    mine = found.filter(pl.col("node") == "c-1")
    assert since_start(mine["from_us"]) == [0, 10, 20, 25, 30, 40, 50, 60, 86_400]
    assert since_start(mine["to_us"]) == [10, 20, 25, 30, 40, 50, 60, 86_400, 172_800]
    assert mine["share"].to_list() == [0, 0.5, 1, 1, 0.5, 0, 0, 0, 0]
    assert mine["counted"].to_list() == [0, 0.5, 0.5, 1, 0.5, 0, 0, 0, 0]
    assert mine["unavailable"].to_list() == [False] * 6 + [True] + [False] * 2
    assert mine["duration_s"].to_list() == [10, 10, 5, 5, 10, 10, 10, 86_340, 86_400]
    assert mine["energy_j"].to_list() == pytest.approx(
        [100 * each for each in mine["duration_s"]], rel=1e-12
    )
    assert mine["day"].to_list() == [START.date()] * 8 + [START.date() + timedelta(days=1)]
    # another node with the same cuts has none of this
    assert found.filter(pl.col("node") == "c-2")["share"].sum() == 0
    assert len(found) == 2 * len(mine)


def test_energy_between_counts_from_zero_where_no_segment_ends() -> None:
    """At the window's start, and for a node without segments."""
    sums = pl.DataFrame(
        {
            "node": ["c-2", "c-2", "c-1", "c-1"],
            "to_us": [us(10), us(400 * 86_400), us(10), us(400 * 86_400)],
            "x": [1.0, 3.0, 10.0, 30.0],
        }
    )
    own = allocated((1, 0, 10), (2, 10, 400 * 86_400), (3, 0, 400 * 86_400), (4, 0, 10))
    own = own.with_columns(
        node=pl.Series(["c-1", "c-2", "c-1", "c-3"]),
        begins=pl.col("started_at").cast(pl.Int64),
        stops=pl.col("stopped_at").cast(pl.Int64),
    )
    found = segments.energy_between(own, sums, ["x"], bounds=("begins", "stops"))
    assert found["x"].to_list() == [10, 2, 30, 0]
    assert segments.energy_between(own.clear(), sums, ["x"], bounds=("begins", "stops")).shape == (
        0,
        1,
    )
