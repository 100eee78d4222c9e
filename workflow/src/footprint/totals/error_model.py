"""Errors of the meters and estimates of all clusters of a study.

The energy of a group is, with measured energies B and estimates E (docs/uncertainty.md, section
2)::

    X = sum_m g_m B_m + exp(mean log g) sum_u exp(M + d_u) E_u + own part

`g_m` is the gain of the meters of cluster m, `mean log g` its mean over the clusters that calibrate
the estimates, M their common error and `d_u` that of cluster u. M and all `d_u` of a basis share
the estimate of their scale, so that they are multivariate t: `M = mean_sd S Z` and
`d_u = sd_u S Z_u` with `S = sqrt(df / chi2)`. Both bases take the same Z, which counts their
errors as fully correlated.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from footprint.totals.meter_error import (
    LOW_POWER_W,
    RUN_RANGE,
    CalibrationError,
    MeterInterval,
)
from footprint.totals.student_t import t_quantile

BASES = ("virtual_meter", "hardware")
"""Bases of estimates for nodes without readings."""

OWN_CORRELATION = 0.7
"""Correlation of the residuals of similar jobs (same user and same name or command)."""

MIN_DEGREES_OF_FREEDOM = 3


@dataclass(frozen=True)
class EstimateError:
    """Error of the estimates of a cluster on one basis; standard deviations are of logarithms.

    Attributes:
        cluster_sd: Standard deviation (scale of t) of the error of the cluster.
        mean_sd: Standard deviation (scale of t) of the error common to all clusters.
        degrees_of_freedom: Degrees of freedom of t.
        run_sd: Standard deviation of the own part of a run.
        n_clusters: Number of measured clusters that calibrate the estimates.
    """

    cluster_sd: float
    mean_sd: float
    degrees_of_freedom: int
    run_sd: float
    n_clusters: int = 0


FALLBACK = {
    "virtual_meter": EstimateError(0.24, 0.0, MIN_DEGREES_OF_FREEDOM, 0.15),
    "hardware": EstimateError(0.50, 0.0, MIN_DEGREES_OF_FREEDOM, 0.30),
}
"""Errors of a cluster that the table of the virtual meter lacks: the prior, doubled (B)."""


@dataclass(frozen=True)
class ErrorModel:
    """Errors of the meters and estimates of a study.

    Attributes:
        interval: Gain of the meters without calibration.
        calibrations: Errors of the calibrations, by cluster.
        estimates: Errors of the estimates, by basis and cluster.
        calibrating: Measured clusters that calibrate the estimates, by basis, sorted.
    """

    interval: MeterInterval
    calibrations: Mapping[str, CalibrationError]
    estimates: Mapping[tuple[str, str], EstimateError]
    calibrating: Mapping[str, tuple[str, ...]]

    @classmethod
    def of_study(cls, virtual_meter: pl.DataFrame | None, meters: Mapping[str, Any]) -> ErrorModel:
        """Return the errors of a study.

        Args:
            virtual_meter: `schemas.gaps.VirtualMeter`: `basis`, `cluster`, `is_measured`,
                `n_clusters`, `cluster_sd_log`, `mean_sd_log`, `degrees_of_freedom`, `run_sd_log`;
                None where nothing is estimated.
            meters: `low`, `high`, `correlation`, and `calibration` by cluster (`STUDY.meters`).

        Raises:
            InputError: A calibration with an impossible covariance.
        """
        calibration = meters.get("calibration") or {}
        rows = [] if virtual_meter is None else virtual_meter.rows(named=True)
        return cls(
            interval=MeterInterval(meters["low"], meters["high"], meters["correlation"]),
            calibrations={
                cluster: CalibrationError.from_config(line, cluster=cluster)
                for cluster, line in sorted(calibration.items())
                if line
            },
            estimates={
                (str(row["basis"]), row["cluster"]): EstimateError(
                    row["cluster_sd_log"],
                    row["mean_sd_log"],
                    max(MIN_DEGREES_OF_FREEDOM, round(row["degrees_of_freedom"])),
                    row["run_sd_log"],
                    row["n_clusters"],
                )
                for row in rows
            },
            calibrating={
                basis: tuple(
                    sorted(r["cluster"] for r in rows if r["basis"] == basis and r["is_measured"])
                )
                for basis in BASES
            },
        )

    def estimate_error(self, basis: str, cluster: str) -> EstimateError:
        """Return the error of the estimates of a cluster; `FALLBACK` where none is known."""
        return self.estimates.get((basis, cluster), FALLBACK[basis])

    def log_shift(self, basis: str) -> float:
        """Return the expected logarithm of the gain that estimates carry from their calibration."""
        clusters = self.calibrating[basis]
        shifts = [math.log(self.interval.mid) for c in clusters if c not in self.calibrations]
        return sum(shifts) / len(clusters) if clusters else 0.0

    def run_sd(self, cluster: str) -> float:
        """Return the relative standard deviation of the gain of a cluster's meters by run."""
        line = self.calibrations.get(cluster)
        return RUN_RANGE / 3**0.5 if line is None else line.run_sd

    def cluster_table(self, clusters: Collection[str]) -> pl.DataFrame:
        """Return the errors of clusters as columns, for intervals in closed form.

        Args:
            clusters: Clusters, with or without meters.

        Returns:
            `cluster`; `mid`, `common_width`, `own_width` (of the gain: 1, 0 and 0 with a
            calibration); `slope`, `offset`, `slope_var`, `offset_var` (W^2, with the residual),
            `covariance` (W), `typical_power_w` of the calibration; `meter_run_sd`; and for each
            basis `log_shift`, `common_width`, `own_width`, `rest_sd` (relative errors from the
            gains of calibrating clusters: that of all, of the cluster itself, of the others), `sd`,
            `mean_sd`, `df`, `quantile` (97.5 % of t) and `run_sd`, with the basis before.
        """
        rows = [self._row(cluster) for cluster in sorted(set(clusters))]
        if not rows:
            return pl.DataFrame([self._row("")]).clear()
        return pl.DataFrame(rows)

    def _row(self, cluster: str) -> dict[str, str | float]:
        line = self.calibrations.get(cluster, CalibrationError(mean_reading_w=LOW_POWER_W))
        is_calibrated = cluster in self.calibrations
        row: dict[str, str | float] = {
            "cluster": cluster,
            "mid": 1.0 if is_calibrated else self.interval.mid,
            "common_width": 0.0 if is_calibrated else self.interval.common_width,
            "own_width": 0.0 if is_calibrated else self.interval.own_width,
            "slope": line.slope,
            "offset": line.offset,
            "slope_var": line.slope_error**2,
            "offset_var": line.offset_error**2 + line.residual_w**2,
            "covariance": line.covariance,
            "typical_power_w": line.typical_power_w,
            "meter_run_sd": self.run_sd(cluster),
        }
        for basis in BASES:
            row |= {f"{basis}_{k}": v for k, v in self._estimate_row(basis, cluster).items()}
        return row

    def _estimate_row(self, basis: str, cluster: str) -> dict[str, float]:
        error, calibrating = self.estimate_error(basis, cluster), self.calibrating[basis]
        n = max(len(calibrating), 1)
        plain = [c for c in calibrating if c not in self.calibrations]
        own_width = self.interval.own_width / self.interval.mid / n
        others = [c for c in plain if c != cluster]
        lines = [self.calibrations[c] for c in calibrating if c in self.calibrations]
        rest_var = len(others) * own_width**2 / 3
        rest_var += sum((line.typical_relative_error / n) ** 2 for line in lines)
        return {
            "log_shift": self.log_shift(basis),
            "common_width": self.interval.common_width / self.interval.mid * len(plain) / n,
            "own_width": own_width if cluster in plain else 0.0,
            "rest_sd": rest_var**0.5,
            "sd": error.cluster_sd,
            "mean_sd": error.mean_sd,
            "df": float(error.degrees_of_freedom),
            "quantile": t_quantile(0.975, error.degrees_of_freedom),
            "run_sd": error.run_sd,
        }
