"""What one request for samples asks for, and how it is cut where that is too much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

SHORTEST = timedelta(minutes=10)
"""Chunks are not halved below it: the API answers ten minutes of any node."""


@dataclass(frozen=True)
class Chunk:
    """Samples of some nodes in [start, end)."""

    nodes: tuple[str, ...]
    start: datetime
    end: datetime

    def __str__(self) -> str:
        some = self.nodes[0] if len(self.nodes) == 1 else f"{self.nodes[0]} to {self.nodes[-1]}"
        return f"{some}, {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"

    @property
    def node_seconds(self) -> float:
        """Size: what the number of samples is in proportion to."""
        return len(self.nodes) * (self.end - self.start).total_seconds()

    def in_time(self) -> list[Chunk]:
        """Its two halves in time, or itself where they would be shorter than ten minutes."""
        # whole seconds, so that a chunk is asked for by the very same times in each run
        middle = (self.start + (self.end - self.start) / 2).replace(microsecond=0)
        if middle - self.start < SHORTEST:
            return [self]
        return [Chunk(self.nodes, self.start, middle), Chunk(self.nodes, middle, self.end)]

    def by_nodes(self) -> list[Chunk]:
        """Its two halves by nodes, or itself where there is one node."""
        if len(self.nodes) == 1:
            return [self]
        middle = (len(self.nodes) + 1) // 2
        return [
            Chunk(nodes, self.start, self.end)
            for nodes in (self.nodes[:middle], self.nodes[middle:])
        ]

    def apart(self, nodes: Collection[str]) -> list[Chunk]:
        """The chunk without these nodes, and each of them alone."""
        groups = [tuple(node for node in self.nodes if node not in nodes)]
        groups += [(node,) for node in self.nodes if node in nodes]
        return [Chunk(group, self.start, self.end) for group in groups if group]

    def to_json(self) -> list[Any]:
        """The chunk as it is written among the answers."""
        return [list(self.nodes), self.start.isoformat(), self.end.isoformat()]

    @classmethod
    def from_json(cls, written: Sequence[Any]) -> Self:
        """The chunk that `to_json` wrote."""
        nodes, start, end = written
        times = (datetime.fromisoformat(each).astimezone(UTC) for each in (start, end))
        return cls(tuple(nodes), *times)


def groups(nodes: Sequence[str], n_nodes: int) -> list[tuple[str, ...]]:
    """Nodes in groups of at most `n_nodes`, in their order."""
    return [tuple(nodes[first : first + n_nodes]) for first in range(0, len(nodes), n_nodes)]


def spans(start: datetime, end: datetime, hours: float) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) in spans of at most `hours`, cut at whole multiples of them since 1970.

    Days are cut at midnight UTC, so that months share no span; what stands over at either end, as
    the margins of a month do, is a span of its own.
    """
    length = timedelta(hours=hours)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    while start < end:
        following = epoch + ((start - epoch) // length + 1) * length
        yield start, min(following, end)
        start = min(following, end)
