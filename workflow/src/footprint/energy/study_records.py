"""Records of a study that the energy of its jobs is computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from footprint.allocation.overlaps import OVERLAPS_SCHEMA
from footprint.core.calendar import Window


@dataclass(frozen=True, kw_only=True)
class StudyRecords:
    """Records of the jobs of a study, and of what they held.

    Attributes:
        window: Window of the study.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`, those on nodes outside the study included.
        overlaps: Jobs that hold less of a node than they reserved (`overlaps.OVERLAPS_SCHEMA`).
    """

    window: Window
    jobs: pl.LazyFrame
    allocations: pl.LazyFrame
    overlaps: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OVERLAPS_SCHEMA))

    @classmethod
    def from_files(cls, files: Any, window: Window) -> StudyRecords:
        """Records of a study, from its files.

        Args:
            files: Paths of `jobs`, `allocations` and `overlaps`.
            window: Window of the study.
        """
        return cls(
            window=window,
            jobs=pl.scan_parquet(files.jobs),
            allocations=pl.scan_parquet(files.allocations),
            overlaps=pl.read_parquet(files.overlaps),
        )

    def trimmed_jobs(self) -> pl.Series:
        """Jobs that lose seconds to another job on the same cores, once for each node."""
        return self.overlaps.filter(pl.col("kind") == "trimmed")["job_id"]
