"""What the registry knows of an estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from footprint.estimators.facts import Facts


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A tool, or a variant of it, at a version.

    Attributes:
        name: As configuration names it.
        version: Version of the tool whose equation and constants these are.
        tool: Name of the tool, for readers.
        says: What it multiplies, in one line for readers.
        estimate: Gives `rates.PARTS` of each job.
        sees: Parts that it counts, of `gpu`, `cpu`, `memory`.
        pue: Factor that the tool itself adds to its energies.
        usual: Whether it is computed unasked.
        of_all: Whether it tells of every job; else only those with a record have a row.
    """

    name: str
    version: str
    tool: str
    says: str
    estimate: Callable[[Facts], pl.LazyFrame]
    sees: tuple[str, ...] = ("gpu", "cpu", "memory")
    pue: float = 1.0
    usual: bool = True
    of_all: bool = True

    @property
    def label(self) -> str:
        """Name with version, as tables have it."""
        return f"{self.name}@{self.version}"
