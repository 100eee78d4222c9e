"""Division of requests for readings: no part is repeated or left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from footprint.sources.grid5000.chunks import SHORTEST_CHUNK, Chunk, group_nodes, split_window

DAY = datetime(2025, 3, 31, tzinfo=UTC)
Cut = Callable[[Chunk], list[Chunk]]

moments = st.integers(0, 2_000_000_000).map(lambda at_s: datetime.fromtimestamp(at_s, UTC))
names = st.lists(st.integers(1, 99).map("graffiti-{}".format), min_size=1, unique=True)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    start = draw(moments)
    lasts = timedelta(seconds=draw(st.integers(1, 90_000)))
    return Chunk(tuple(draw(names)), start, start + lasts)


def time_of_day(clock: str, day: datetime = DAY) -> datetime:
    return datetime.fromisoformat(f"{day:%Y-%m-%d}T{clock}+00:00")


def smallest_parts(chunk: Chunk, cut: Cut) -> list[Chunk]:
    """Return the parts of a chunk after repeated cuts."""
    parts = cut(chunk)
    if parts == [chunk]:
        return parts
    return [leaf for part in parts for leaf in smallest_parts(part, cut)]


# Windows


def test_split_window_cuts_days_at_midnight_with_margins_apart() -> None:
    margin = timedelta(seconds=30)
    start, end = DAY - margin, DAY + timedelta(days=1) + margin
    midnight = DAY + timedelta(days=1)
    assert list(split_window(start, end, 24)) == [(start, DAY), (DAY, midnight), (midnight, end)]


def test_split_window_of_two_months_has_no_window_in_common() -> None:
    april = DAY + timedelta(days=1)
    first = set(split_window(DAY - timedelta(days=2), april, 6))
    second = set(split_window(april, april + timedelta(days=2), 6))
    assert (len(first), len(second)) == (12, 8)
    assert not first & second


def test_split_window_without_duration_is_empty() -> None:
    assert list(split_window(DAY, DAY, 24)) == []


@given(start=moments, seconds=st.integers(1, 500_000), hours=st.sampled_from([0.25, 1, 5, 7, 24]))
def test_split_window_covers_the_window_without_overlap(
    start: datetime, seconds: int, hours: float
) -> None:
    end = start + timedelta(seconds=seconds)
    found = list(split_window(start, end, hours))
    assert (found[0][0], found[-1][1]) == (start, end)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(timedelta(0) < last - first <= timedelta(hours=hours) for first, last in found)
    # windows that start at another time request a day by the same times
    for first, _ in found[1:]:
        assert first.timestamp() % (hours * 3600) == 0


# Groups of nodes


@given(nodes=names, n_nodes=st.integers(1, 25))
def test_group_nodes_keeps_every_node_in_order(nodes: list[str], n_nodes: int) -> None:
    found = group_nodes(nodes, n_nodes)
    assert [node for group in found for node in group] == nodes
    assert all(len(group) == n_nodes for group in found[:-1])
    assert 0 < len(found[-1]) <= n_nodes


# Halves


def test_halves_in_time_split_at_the_middle() -> None:
    chunk = Chunk(("gruss-1", "gruss-2"), time_of_day("08:00:00"), time_of_day("09:00:01"))
    assert chunk.halves_in_time() == [
        Chunk(chunk.nodes, time_of_day("08:00:00"), time_of_day("08:30:00")),
        Chunk(chunk.nodes, time_of_day("08:30:00"), time_of_day("09:00:01")),
    ]


def test_halves_in_time_of_under_twenty_minutes_are_the_chunk() -> None:
    nodes = ("gruss-1",)
    whole = Chunk(nodes, time_of_day("08:00:00"), time_of_day("08:20:00"))
    assert [part.end - part.start for part in whole.halves_in_time()] == [
        SHORTEST_CHUNK,
        SHORTEST_CHUNK,
    ]
    short = Chunk(nodes, time_of_day("08:00:00"), time_of_day("08:19:59"))
    assert short.halves_in_time() == [short]


def test_halves_by_nodes_split_the_nodes() -> None:
    chunk = Chunk(("gruss-1", "gruss-2", "gruss-3"), DAY, DAY + SHORTEST_CHUNK)
    assert [part.nodes for part in chunk.halves_by_nodes()] == [
        ("gruss-1", "gruss-2"),
        ("gruss-3",),
    ]
    alone = Chunk(("gruss-1",), DAY, DAY + SHORTEST_CHUNK)
    assert alone.halves_by_nodes() == [alone]


@given(chunk=chunks())
def test_repeated_halves_in_time_cover_the_chunk_without_overlap(chunk: Chunk) -> None:
    found = smallest_parts(chunk, Chunk.halves_in_time)
    assert (found[0].start, found[-1].end) == (chunk.start, chunk.end)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(part.nodes == chunk.nodes for part in found)
    assert all(part.end - part.start < 2 * SHORTEST_CHUNK + timedelta(seconds=1) for part in found)
    if len(found) > 1:
        assert all(part.end - part.start >= SHORTEST_CHUNK for part in found)
        assert all(part.start.microsecond == 0 for part in found)


@given(chunk=chunks(), fraction=st.integers(1, 999_999))
@example(chunk=Chunk(("gruss-1",), DAY, DAY + timedelta(seconds=1201)), fraction=900_000)
def test_halves_in_time_with_fractions_of_a_second_last_ten_minutes(
    chunk: Chunk, fraction: int
) -> None:
    odd = Chunk(chunk.nodes, chunk.start + timedelta(microseconds=fraction), chunk.end)
    parts = odd.halves_in_time() if odd.start < odd.end else [odd]
    assert (parts[0].start, parts[-1].end) == (odd.start, odd.end)
    assert len(parts) == 1 or all(part.end - part.start >= SHORTEST_CHUNK for part in parts)


@given(chunk=chunks())
def test_repeated_halves_by_nodes_have_one_node_each(chunk: Chunk) -> None:
    found = smallest_parts(chunk, Chunk.halves_by_nodes)
    assert [part.nodes for part in found] == [(node,) for node in chunk.nodes]
    assert {(part.start, part.end) for part in found} == {(chunk.start, chunk.end)}


@given(chunk=chunks(), seconds=st.lists(st.integers(0, 90_000), min_size=1))
def test_moment_between_two_halves_belongs_to_the_later_one(
    chunk: Chunk, seconds: list[int]
) -> None:
    """Chunks are half-open windows."""
    found = smallest_parts(chunk, Chunk.halves_in_time)
    seams = [part.start for part in found]
    inside = [chunk.start + timedelta(seconds=each) for each in seconds]
    for moment in [*seams, *(each for each in inside if each < chunk.end)]:
        containing = [part for part in found if part.start <= moment < part.end]
        assert len(containing) == 1
        if moment in seams:
            assert containing[0].start == moment


# Separated nodes


@given(chunk=chunks(), picked=st.sets(st.integers(1, 99).map("graffiti-{}".format)))
def test_separated_nodes_have_chunks_of_their_own(chunk: Chunk, picked: set[str]) -> None:
    found = chunk.separate_nodes(picked)
    assert sorted(node for part in found for node in part.nodes) == sorted(chunk.nodes)
    assert all(part.nodes for part in found)
    for part in found:
        assert len(part.nodes) == 1 or not picked & set(part.nodes)


# JSON and text


@given(chunk=chunks())
def test_chunk_from_json_equals_the_written_one(chunk: Chunk) -> None:
    assert Chunk.from_json(json.loads(json.dumps(chunk.to_json()))) == chunk


def test_chunk_text_has_its_nodes_and_window() -> None:
    chunk = Chunk(
        ("gruss-1", "gruss-2", "gruss-4"), time_of_day("08:00:00"), time_of_day("09:30:00")
    )
    assert str(chunk) == "gruss-1 to gruss-4, 2025-03-31 08:00 to 2025-03-31 09:30 UTC"
    assert str(chunk.halves_by_nodes()[1]).startswith("gruss-4, ")
    assert chunk.node_seconds == 3 * 5400
