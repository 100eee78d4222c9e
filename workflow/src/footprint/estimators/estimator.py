"""Description of an estimator, as the registry keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from footprint.estimators.inputs import EstimatorInputs


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A tool, or a variant of it, at a version.

    Attributes:
        name: Name in the configuration.
        version: Version of the tool that the equation and constants are from.
        tool: Name of the tool, for readers.
        description: Equation in one line, for readers.
        estimate: Function from inputs to `rates.ESTIMATE_COLUMNS`, `energy_kwh` and `covered_kwh`
            of each job.
        parts: Parts that it counts, of `gpu`, `cpu`, `memory`.
        pue: Factor that the tool itself applies to its energies.
        is_default: Whether `all` in the configuration includes it.
        covers_all_jobs: Whether every job has a row; else only jobs with a record have one.
    """

    name: str
    version: str
    tool: str
    description: str
    estimate: Callable[[EstimatorInputs], pl.LazyFrame]
    parts: tuple[str, ...] = ("gpu", "cpu", "memory")
    pue: float = 1.0
    is_default: bool = True
    covers_all_jobs: bool = True

    @property
    def label(self) -> str:
        """Name and version, as in the column `estimator` of tables."""
        return f"{self.name}@{self.version}"
