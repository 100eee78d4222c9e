"""Types of NumPy arrays, and the sorted distinct values of an array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def sorted_distinct(values: Integers) -> Integers:
    """Return the distinct values in ascending order; faster than `np.unique`, which hashes them."""
    values = np.sort(values)
    distinct: Integers = values[np.append(True, values[1:] != values[:-1])]
    return distinct
