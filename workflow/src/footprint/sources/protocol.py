"""The protocol that every source of nodes, jobs and power implements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

import polars as pl


class JobRecords(NamedTuple):
    """Jobs of a window, their allocations, and rejected records.

    Attributes:
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        rejected: `schemas.RejectedRows`.
    """

    jobs: pl.LazyFrame
    allocations: pl.LazyFrame
    rejected: pl.LazyFrame


class Site(Protocol):
    """A source of nodes, jobs and power, in the tables of `footprint.schemas`."""

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node of the source (`schemas.Nodes`)."""

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a node in [start, end), or were submitted in it and never started."""

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Intervals in which nodes could not be used (`schemas.States`).

        None when the source has no record of states.
        """

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame a node, sorted by the nodes' names.

        Columns `node`, `timestamp` (UTC, microseconds) and `power_w` (W; NaN or null as the sensor
        reported them). Rows are in any order and may repeat: cleaning follows.
        """

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings of GPUs or node exporters in [start, end), one frame a node, by name.

        Columns `node`, `labels` (JSON text with sorted keys, as in `{"gpu":"0"}`), `timestamp`
        (UTC, microseconds) and `value` (unit of the metric). Rows are in any order and may repeat.
        """
