"""Requests for samples, cut: nothing is asked for twice, and nothing is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from footprint.site.grid5000.chunks import SHORTEST, Chunk, groups, spans

DAY = datetime(2025, 3, 31, tzinfo=UTC)
Cut = Callable[[Chunk], list[Chunk]]

moments = st.integers(0, 2_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
names = st.lists(st.integers(1, 99).map("graffiti-{}".format), min_size=1, unique=True)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    start = draw(moments)
    lasts = timedelta(seconds=draw(st.integers(1, 90_000)))
    return Chunk(tuple(draw(names)), start, start + lasts)


def at(clock: str, day: datetime = DAY) -> datetime:
    return datetime.fromisoformat(f"{day:%Y-%m-%d}T{clock}+00:00")


def leaves(chunk: Chunk, cut: Cut) -> list[Chunk]:
    """What is left when everything is cut until nothing can be."""
    parts = cut(chunk)
    if parts == [chunk]:
        return parts
    return [leaf for part in parts for leaf in leaves(part, cut)]


# Spans of time


def test_days_are_cut_at_midnight_and_margins_stand_alone() -> None:
    margin = timedelta(seconds=30)
    start, end = DAY - margin, DAY + timedelta(days=1) + margin
    midnight = DAY + timedelta(days=1)
    assert list(spans(start, end, 24)) == [(start, DAY), (DAY, midnight), (midnight, end)]


def test_months_share_no_span() -> None:
    april = DAY + timedelta(days=1)
    first = set(spans(DAY - timedelta(days=2), april, 6))
    second = set(spans(april, april + timedelta(days=2), 6))
    assert (len(first), len(second)) == (12, 8)
    assert not first & second


def test_no_time_is_no_span() -> None:
    assert list(spans(DAY, DAY, 24)) == []


@given(start=moments, seconds=st.integers(1, 500_000), hours=st.sampled_from([0.25, 1, 5, 7, 24]))
def test_spans_tile_exactly(start: datetime, seconds: int, hours: float) -> None:
    end = start + timedelta(seconds=seconds)
    found = list(spans(start, end, hours))
    assert (found[0][0], found[-1][1]) == (start, end)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(timedelta(0) < last - first <= timedelta(hours=hours) for first, last in found)
    # whichever time one starts from, the same day is asked for by the very same times
    for first, _ in found[1:]:
        assert first.timestamp() % (hours * 3600) == 0


# Groups of nodes


@given(nodes=names, n_nodes=st.integers(1, 25))
def test_groups_keep_every_node_in_order(nodes: list[str], n_nodes: int) -> None:
    found = groups(nodes, n_nodes)
    assert [node for group in found for node in group] == nodes
    assert all(len(group) == n_nodes for group in found[:-1])
    assert 0 < len(found[-1]) <= n_nodes


# Halves


def test_a_chunk_is_halved_in_time() -> None:
    chunk = Chunk(("gruss-1", "gruss-2"), at("08:00:00"), at("09:00:01"))
    assert chunk.in_time() == [
        Chunk(chunk.nodes, at("08:00:00"), at("08:30:00")),
        Chunk(chunk.nodes, at("08:30:00"), at("09:00:01")),
    ]


def test_nothing_is_cut_below_ten_minutes() -> None:
    nodes = ("gruss-1",)
    whole = Chunk(nodes, at("08:00:00"), at("08:20:00"))
    assert [part.end - part.start for part in whole.in_time()] == [SHORTEST, SHORTEST]
    short = Chunk(nodes, at("08:00:00"), at("08:19:59"))
    assert short.in_time() == [short]


def test_a_chunk_is_halved_by_nodes() -> None:
    chunk = Chunk(("gruss-1", "gruss-2", "gruss-3"), DAY, DAY + SHORTEST)
    assert [part.nodes for part in chunk.by_nodes()] == [("gruss-1", "gruss-2"), ("gruss-3",)]
    alone = Chunk(("gruss-1",), DAY, DAY + SHORTEST)
    assert alone.by_nodes() == [alone]


@given(chunk=chunks())
def test_halves_in_time_tile_exactly_down_to_ten_minutes(chunk: Chunk) -> None:
    found = leaves(chunk, Chunk.in_time)
    assert (found[0].start, found[-1].end) == (chunk.start, chunk.end)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(part.nodes == chunk.nodes for part in found)
    assert all(part.end - part.start < 2 * SHORTEST + timedelta(seconds=1) for part in found)
    if len(found) > 1:
        assert all(part.end - part.start >= SHORTEST for part in found)
        assert all(part.start.microsecond == 0 for part in found)


@given(chunk=chunks(), fraction=st.integers(1, 999_999))
@example(chunk=Chunk(("gruss-1",), DAY, DAY + timedelta(seconds=1201)), fraction=900_000)
def test_fractions_of_a_second_make_no_half_shorter(chunk: Chunk, fraction: int) -> None:
    odd = Chunk(chunk.nodes, chunk.start + timedelta(microseconds=fraction), chunk.end)
    parts = odd.in_time() if odd.start < odd.end else [odd]
    assert (parts[0].start, parts[-1].end) == (odd.start, odd.end)
    assert len(parts) == 1 or all(part.end - part.start >= SHORTEST for part in parts)


@given(chunk=chunks())
def test_halves_by_nodes_end_with_each_node_alone(chunk: Chunk) -> None:
    found = leaves(chunk, Chunk.by_nodes)
    assert [part.nodes for part in found] == [(node,) for node in chunk.nodes]
    assert {(part.start, part.end) for part in found} == {(chunk.start, chunk.end)}


@given(chunk=chunks(), seconds=st.lists(st.integers(0, 90_000), min_size=1))
def test_a_sample_at_a_seam_is_of_one_chunk(chunk: Chunk, seconds: list[int]) -> None:
    """Chunks are half-open: each moment is in one of them, that of the seam in the later."""
    found = leaves(chunk, Chunk.in_time)
    seams = [part.start for part in found]
    inside = [chunk.start + timedelta(seconds=each) for each in seconds]
    for moment in [*seams, *(each for each in inside if each < chunk.end)]:
        holding = [part for part in found if part.start <= moment < part.end]
        assert len(holding) == 1
        if moment in seams:
            assert holding[0].start == moment


# Nodes that stand apart


@given(chunk=chunks(), picked=st.sets(st.integers(1, 99).map("graffiti-{}".format)))
def test_nodes_set_apart_are_alone(chunk: Chunk, picked: set[str]) -> None:
    found = chunk.apart(picked)
    assert sorted(node for part in found for node in part.nodes) == sorted(chunk.nodes)
    assert all(part.nodes for part in found)
    for part in found:
        assert len(part.nodes) == 1 or not picked & set(part.nodes)


# As they are written


@given(chunk=chunks())
def test_a_chunk_is_read_as_it_was_written(chunk: Chunk) -> None:
    assert Chunk.from_json(json.loads(json.dumps(chunk.to_json()))) == chunk


def test_a_chunk_says_what_it_is() -> None:
    chunk = Chunk(("gruss-1", "gruss-2", "gruss-4"), at("08:00:00"), at("09:30:00"))
    assert str(chunk) == "gruss-1 to gruss-4, 2025-03-31 08:00 to 2025-03-31 09:30 UTC"
    assert str(chunk.by_nodes()[1]).startswith("gruss-4, ")
    assert chunk.node_seconds == 3 * 5400
