"""Gaps between samples: the one definition of time without measurement."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

Distances = TypeVar("Distances", npt.NDArray[Any], pl.Expr)


def is_gap(distance_us: Distances, max_gap_s: float) -> Distances:
    """Whether the time between two successive samples is a gap.

    Args:
        distance_us: Time between two samples, in microseconds.
        max_gap_s: Longest time between samples that is not a gap, in seconds.
    """
    return distance_us > max_gap_s * 1e6


def covered_us(distance_us: npt.NDArray[np.int64], max_gap_s: float) -> npt.NDArray[np.int64]:
    """Covered time between two successive samples: their distance, and 0 in a gap.

    Args:
        distance_us: Time between two samples, in microseconds.
        max_gap_s: Longest time between samples that is not a gap, in seconds.
    """
    return np.where(is_gap(distance_us, max_gap_s), 0, distance_us)
