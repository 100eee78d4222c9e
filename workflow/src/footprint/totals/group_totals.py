"""Draws and intervals of the total energy of groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.totals.error_draws import (
    N_DRAWS,
    normal_draws,
    rectangular_draws,
    scale_draws,
)
from footprint.totals.error_model import BASES, ErrorModel
from footprint.totals.group_amounts import ENERGY_COLUMNS, VARIANCE_COLUMNS

INDEPENDENT_SOURCES = {
    "meter_by_run": "run_kwh2",
    "sampling": "sampling_kwh2",
    "resolution": "resolution_kwh2",
    "gaps": "gap_kwh2",
    "estimate_own": "own_kwh2",
}
"""Sources of independent errors, with the column of their variance."""

SOURCES = (
    *("meter", "meter_by_run", "sampling", "resolution", "gaps"),
    *("estimate_common", "estimate_own"),
)
"""Sources of uncertainty (docs/uncertainty.md, section 2)."""

TAIL = 0.025


@dataclass(frozen=True)
class GroupDraws:
    """Draws of the true energy of groups.

    Attributes:
        names: Keys of the groups, one row a group, sorted.
        kwh: Draws (kWh), one row a group. The tails of estimates are heavy: take quantiles, not
            moments.
        total_kwh: Measured plus estimated energy (kWh) of each group.
    """

    names: pl.DataFrame
    kwh: Floats
    total_kwh: Floats

    def interval(self) -> pl.DataFrame:
        """Return the keys, `total_kwh`, `total_low_kwh`, `total_high_kwh` (95 %).

        The ends are the 2.5 and 97.5 % quantiles of the draws, widened to contain the total.
        """
        low, high = np.quantile(self.kwh, [TAIL, 1 - TAIL], axis=1)
        return self.names.with_columns(
            total_kwh=pl.Series(self.total_kwh, dtype=pl.Float64),
            total_low_kwh=pl.Series(np.minimum(low, self.total_kwh), dtype=pl.Float64),
            total_high_kwh=pl.Series(np.maximum(high, self.total_kwh), dtype=pl.Float64),
        )


def draw_groups(
    amounts: pl.DataFrame, model: ErrorModel, *, sources: Collection[str] = SOURCES
) -> GroupDraws:
    """Draw the true energy of groups.

    The draws of a group depend on its own amounts alone. Groups of the same call, or of
    another call, share the errors of meters and the common parts of estimates.

    Args:
        amounts: One row a group and cluster (`group_amounts.group_amounts`): columns that make the
            group, `cluster`, `measured_kwh`, `virtual_meter_kwh`, `hardware_kwh`,
            `independent_kwh2`, and optionally `measured_node_h` (else calibrations count at their
            mean reading) and the parts of `independent_kwh2`.
        model: Errors of the study.
        sources: Sources of uncertainty that vary; others keep their expected error, 0. The parts of
            `independent_kwh2` are needed unless all vary.
    """
    amounts = _with_all_columns(amounts)
    keys = [c for c in amounts.columns if c not in _AMOUNT_COLUMNS]
    names = amounts.select(keys).unique().sort(keys)
    index = names.with_row_index("_group")
    amounts = amounts.join(index, on=keys, nulls_equal=True).sort("_group", "cluster")
    kwh = np.zeros((len(names), N_DRAWS))
    errors = _Errors(model, sources)
    for cluster in amounts["cluster"].unique().sort():
        of_cluster = amounts.filter(pl.col("cluster") == cluster)
        where = of_cluster["_group"].to_numpy()
        kwh[where] += errors.measured_kwh(of_cluster, cluster)
        for basis in BASES:
            estimated = of_cluster[f"{basis}_kwh"].to_numpy()
            if estimated.any():
                kwh[where] += estimated[:, None] * errors.estimate_factor(basis, cluster)
    variance = _group_sums(amounts, _variance(sources), len(names))
    total = _group_sums(
        amounts,
        pl.col("measured_kwh") + pl.col("virtual_meter_kwh") + pl.col("hardware_kwh"),
        len(names),
    )
    for at in np.flatnonzero(variance > 0):
        # groups of the same jobs have the same draws under any name
        content = (f"{total[at]:.9g}", f"{variance[at]:.9g}")
        kwh[at] += variance[at] ** 0.5 * normal_draws("group", *content)
    return GroupDraws(names, np.maximum(kwh, 0.0), total)


_AMOUNT_COLUMNS = ("cluster", *ENERGY_COLUMNS, *VARIANCE_COLUMNS, "independent_kwh2")


def _with_all_columns(amounts: pl.DataFrame) -> pl.DataFrame:
    absent = [c for c in ("measured_node_h",) if c not in amounts.columns]
    return amounts.with_columns(pl.lit(None, pl.Float64).alias(c) for c in absent).with_columns(
        pl.col("measured_kwh", "virtual_meter_kwh", "hardware_kwh", "independent_kwh2").fill_null(
            0.0
        )
    )


def _variance(sources: Collection[str]) -> pl.Expr:
    if set(INDEPENDENT_SOURCES) <= set(sources):
        return pl.col("independent_kwh2")
    found = pl.lit(0.0)
    for source, column in INDEPENDENT_SOURCES.items():
        if source in sources:
            found = found + pl.col(column)
    return found


def _group_sums(amounts: pl.DataFrame, value: pl.Expr, n_groups: int) -> Floats:
    """Sum over the rows of each group, in the order of their clusters."""
    rows = amounts.select("_group", value=value)
    sums = np.zeros(n_groups)
    np.add.at(sums, rows["_group"].to_numpy(), rows["value"].to_numpy())
    return sums


class _Errors:
    """Draws of the errors that groups share."""

    def __init__(self, model: ErrorModel, sources: Collection[str]) -> None:
        self._model = model
        self._has_meter = "meter" in sources
        self._has_estimates = "estimate_common" in sources

    def measured_kwh(self, rows: pl.DataFrame, cluster: str) -> Floats:
        """Draws of the true energy that was measured on a cluster, one row a row."""
        energy = rows["measured_kwh"].to_numpy()[:, None]
        line = self._model.calibrations.get(cluster)
        if line is None:
            return energy * self._gain(cluster)
        typical_h = pl.col("measured_kwh") * (1e3 / line.typical_power_w)
        # kWh for each W of error
        time = rows.select(pl.col("measured_node_h").fill_null(typical_h)).to_series().to_numpy()
        time = time[:, None] * 1e-3
        if not self._has_meter:
            return energy + np.zeros(N_DRAWS)
        slope_draws, offset_draws = self._line_errors(cluster)
        reading = (energy - line.offset * time) / line.slope
        return energy + reading * slope_draws + time * offset_draws

    def estimate_factor(self, basis: str, cluster: str) -> Floats:
        """Draws of true / estimated energy of a cluster, without the own part."""
        factor = np.exp(self._mean_log_gain(basis))
        if not self._has_estimates:
            return factor
        error = self._model.estimate_error(basis, cluster)
        normal = error.mean_sd * normal_draws("estimates") + error.cluster_sd * normal_draws(
            "estimate", cluster
        )
        scale = scale_draws(error.degrees_of_freedom, "scale", basis)
        return factor * np.exp(normal * scale)

    def _gain(self, cluster: str) -> Floats:
        interval = self._model.interval
        if not self._has_meter:
            return np.ones(N_DRAWS)
        return (
            interval.mid
            + interval.common_width * rectangular_draws("meters")
            + interval.own_width * rectangular_draws("meter", cluster)
        )

    def _line_errors(self, cluster: str) -> tuple[Floats, Floats]:
        """Draws of the error of the slope, and of the offset with the residual (W)."""
        line = self._model.calibrations[cluster]
        first = normal_draws("slope", cluster)
        second = normal_draws("offset", cluster)
        along = line.covariance / line.slope_error if line.slope_error > 0 else 0.0
        across = max(line.offset_error**2 - along**2, 0.0) ** 0.5
        residual = line.residual_w * normal_draws("residual", cluster)
        return line.slope_error * first, along * first + across * second + residual

    def _mean_log_gain(self, basis: str) -> Floats:
        """Draws of the mean log gain of the clusters that calibrate the estimates of a basis."""
        clusters = self._model.calibrating[basis]
        found = np.zeros(N_DRAWS)
        if not self._has_meter or not clusters:
            return found
        for cluster in clusters:
            line = self._model.calibrations.get(cluster)
            if line is None:
                found += np.log(self._gain(cluster))
            else:
                slope_draws, offset_draws = self._line_errors(cluster)
                power_w = line.typical_power_w
                reading_w = (power_w - line.offset) / line.slope
                found += (reading_w * slope_draws + offset_draws) / power_w
        mean: Floats = found / len(clusters)
        return mean
