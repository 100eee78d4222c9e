"""Nodes and window of one request for readings, and its division into smaller requests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

SHORTEST_CHUNK = timedelta(minutes=10)
"""Shortest half of a chunk: the API answers ten minutes of any node."""


@dataclass(frozen=True)
class Chunk:
    """Some nodes in [start, end)."""

    nodes: tuple[str, ...]
    start: datetime
    end: datetime

    def __str__(self) -> str:
        names = self.nodes[0] if len(self.nodes) == 1 else f"{self.nodes[0]} to {self.nodes[-1]}"
        return f"{names}, {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"

    @property
    def node_seconds(self) -> float:
        """Number of nodes times duration (s); the number of samples is proportional to it."""
        return len(self.nodes) * (self.end - self.start).total_seconds()

    def halves_in_time(self) -> list[Chunk]:
        """Return two halves in time, or the chunk itself if they would last under ten minutes."""
        # whole seconds, so that each run requests the same times
        middle = (self.start + (self.end - self.start) / 2).replace(microsecond=0)
        if middle - self.start < SHORTEST_CHUNK:
            return [self]
        return [Chunk(self.nodes, self.start, middle), Chunk(self.nodes, middle, self.end)]

    def halves_by_nodes(self) -> list[Chunk]:
        """Return two halves of the nodes, or the chunk itself if it has one node."""
        if len(self.nodes) == 1:
            return [self]
        middle = (len(self.nodes) + 1) // 2
        return [
            Chunk(nodes, self.start, self.end)
            for nodes in (self.nodes[:middle], self.nodes[middle:])
        ]

    def halves(self, *, in_time_first: bool) -> list[Chunk]:
        """Return two halves in time or of the nodes, or the chunk itself if it cannot be cut."""
        cuts = [self.halves_in_time, self.halves_by_nodes]
        if not in_time_first:
            cuts.reverse()
        return next((halves for cut in cuts if len(halves := cut()) > 1), [self])

    def separate_nodes(self, nodes: Collection[str]) -> list[Chunk]:
        """Return the chunk without these nodes, and a chunk for each of them."""
        groups = [tuple(node for node in self.nodes if node not in nodes)]
        groups += [(node,) for node in self.nodes if node in nodes]
        return [Chunk(group, self.start, self.end) for group in groups if group]

    def to_json(self) -> list[Any]:
        """Return the chunk as JSON, for the kept answers."""
        return [list(self.nodes), self.start.isoformat(), self.end.isoformat()]

    @classmethod
    def from_json(cls, document: Sequence[Any]) -> Self:
        """Return the chunk that `to_json` wrote."""
        nodes, start, end = document
        times = (datetime.fromisoformat(each).astimezone(UTC) for each in (start, end))
        return cls(tuple(nodes), *times)


def group_nodes(nodes: Sequence[str], n_nodes: int) -> list[tuple[str, ...]]:
    """Return nodes in groups of at most `n_nodes`, in their order."""
    return [tuple(nodes[first : first + n_nodes]) for first in range(0, len(nodes), n_nodes)]


def split_window(
    start: datetime, end: datetime, hours: float
) -> Iterator[tuple[datetime, datetime]]:
    """Divide [start, end) into windows of at most `hours`, cut at their multiples since 1970.

    Days are cut at midnight UTC, so that two months share no window. A rest at either end, such as
    the margin of a month, is a window of its own.
    """
    length = timedelta(hours=hours)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    while start < end:
        following = epoch + ((start - epoch) // length + 1) * length
        yield start, min(following, end)
        start = min(following, end)
