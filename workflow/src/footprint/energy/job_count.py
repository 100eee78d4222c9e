"""The jobs that tables count, so that all tables of a study print the same number.

A job counts when it held a node of the study inside its window. Jobs that never started, ended in
the second in which they began, or ran outside the window or on other nodes held none. They have a
row in `results/energy/jobs.parquet` with an energy of 0, and are in no count.
"""

from __future__ import annotations

from typing import Final

import polars as pl

JOB_COUNT_NOTE: Final = "Jobs: those that held a node of the study in its window."
"""Sentence for the note of a table."""


def has_held_node() -> pl.Expr:
    """Whether a job of `schemas.JobEnergy` counts."""
    return pl.col("n_nodes") > 0
