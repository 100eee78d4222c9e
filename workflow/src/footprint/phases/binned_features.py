"""Put the features of runs into the bins of `footprint.phases.feature_bins`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint.phases.feature_bins import CROSSED, FEATURES
from footprint.phases.power_shape import power_shapes

Bins = npt.NDArray[np.uint8]

_BY_NAME = {feature.name: i for i, feature in enumerate(FEATURES)}


def feature_names() -> tuple[str, ...]:
    """Names of all features, the crossed ones last; the columns of `bin_features`."""
    return (*(each.name for each in FEATURES), *(each.name for each in CROSSED))


def bin_counts() -> tuple[int, ...]:
    """Number of bins of each feature, in the order of `feature_names`."""
    pairs = ((FEATURES[_BY_NAME[x.first]], FEATURES[_BY_NAME[x.second]]) for x in CROSSED)
    return (
        *(each.n_bins for each in FEATURES),
        *(first.n_bins * second.n_bins for first, second in pairs),
    )


def bin_texts() -> list[list[str]]:
    """Words for each bin of each feature, in the order of `feature_names`."""
    texts = [each.bin_texts() for each in FEATURES]
    crossed = [
        [
            f"{first}, {second}"
            for first in texts[_BY_NAME[x.first]]
            for second in texts[_BY_NAME[x.second]]
        ]
        for x in CROSSED
    ]
    return [*texts, *crossed]


def columns_of_group(group: str) -> list[int]:
    """Columns of `bin_features` with features of a group, without the crossed ones."""
    return [i for i, each in enumerate(FEATURES) if each.group == group]


def bin_features(features: pl.LazyFrame | pl.DataFrame) -> Bins:
    """Bins of each run: one row a run in the order given, one column a feature.

    Args:
        features: Result of `features.collect_features`.
    """
    table = features.lazy().collect()
    table = table.hstack(power_shapes(table))
    bins = np.zeros((len(table), len(FEATURES)), dtype=np.uint8)
    for i, feature in enumerate(FEATURES):
        value = table.select(value=feature.value)["value"]
        if feature.categories:
            numbers = {name: number for number, name in enumerate(feature.categories, 1)}
            found = value.replace_strict(numbers, default=0, return_dtype=pl.UInt8)
            bins[:, i] = found.fill_null(0).to_numpy()
        else:
            numeric = value.cast(pl.Float64).fill_nan(None)
            above = np.searchsorted(feature.edges, numeric.fill_null(0.0).to_numpy(), side="right")
            bins[:, i] = np.where(numeric.is_null().to_numpy(), 0, above + 1)
    return cross_bins(bins)


def cross_bins(bins: Bins) -> Bins:
    """Bins of `FEATURES` with those of the crossed features beside them."""
    crossed = [
        bins[:, _BY_NAME[x.first]] * np.uint8(FEATURES[_BY_NAME[x.second]].n_bins)
        + bins[:, _BY_NAME[x.second]]
        for x in CROSSED
    ]
    return np.column_stack([bins[:, : len(FEATURES)], *crossed])


def withhold(bins: Bins, groups: Sequence[str]) -> Bins:
    """Bins in which all features of some groups are unknown."""
    reduced = bins.copy()
    for group in groups:
        reduced[:, columns_of_group(group)] = 0
    return cross_bins(reduced)
