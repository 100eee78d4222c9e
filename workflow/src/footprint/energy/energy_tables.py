"""The tables of a study's energy, which later stages read together."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class EnergyTables(NamedTuple):
    """Energy of the jobs and nodes of a study.

    Attributes:
        jobs: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy` of the same jobs.
        nodes: `schemas.NodeEnergy`.
    """

    jobs: pl.LazyFrame
    job_nodes: pl.LazyFrame
    nodes: pl.LazyFrame
