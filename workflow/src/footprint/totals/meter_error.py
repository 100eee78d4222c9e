"""Error of a cluster's meters: an interval of the gain, or the errors of a calibration.

The *gain* of a meter is true power / reading. Without a calibration it is rectangular from `low` to
`high`, with `mid = (low + high) / 2` and `half = (high - low) / 2`. Meters of one cluster have the
same gain; gains of two clusters correlate by r (docs/uncertainty.md, section 2)::

    g_m = mid + half (sqrt(r) U_0 + sqrt(1 - r) U_m),  U rectangular on [-1, 1]

A calibration has been applied to the readings already, so that its gain is 1. Its error is linear
in the reading and replaces the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from footprint.core.errors import InputError

LOW_POWER_W = 200.0
"""Mean power of nodes (W) to which absolute errors relate where no mean reading is known.

Few nodes draw less while they work, so that relative errors are rather too large (evaluation B).
"""

RUN_RANGE = 0.02
"""Half width of the rectangular error by run: gains change with load (docs/uncertainty.md)."""


@dataclass(frozen=True)
class MeterInterval:
    """Rectangular interval of the gain of meters without calibration.

    Attributes:
        low: Lowest gain.
        high: Highest gain.
        correlation: Correlation r between the gains of two clusters.
    """

    low: float = 0.95
    high: float = 1.15
    correlation: float = 0.5

    @property
    def mid(self) -> float:
        """Centre of the interval."""
        return (self.low + self.high) / 2

    @property
    def common_width(self) -> float:
        """Half width of the part of the error that all clusters share."""
        return (self.high - self.low) / 2 * math.sqrt(self.correlation)

    @property
    def own_width(self) -> float:
        """Half width of the part of the error that belongs to a single cluster."""
        return (self.high - self.low) / 2 * math.sqrt(1 - self.correlation)


@dataclass(frozen=True)
class CalibrationError:
    """Errors of a calibration `power_w = slope * reading_w + offset`.

    Attributes:
        slope: Slope.
        offset: Offset, in W.
        slope_error: Standard error of the slope.
        offset_error: Standard error of the offset, in W.
        covariance: Covariance of the errors of slope and offset, in W. 0, which is conservative,
            where the configuration gives neither covariance, correlation nor mean reading.
        residual_w: Standard deviation of the residuals of the fit, in W. It is taken as an offset
            of all nodes of the cluster, of which one was calibrated (evaluation B).
        mean_reading_w: Mean of the readings of the fit, in W; None: unknown.
        has_residual: Whether the configuration gives the residual.
    """

    slope: float = 1.0
    offset: float = 0.0
    slope_error: float = 0.0
    offset_error: float = 0.0
    covariance: float = 0.0
    residual_w: float = 0.0
    mean_reading_w: float | None = None
    has_residual: bool = False

    @property
    def run_sd(self) -> float:
        """Relative standard deviation of the gain by run; 0 where the residual includes it."""
        return 0.0 if self.has_residual else RUN_RANGE / 3**0.5

    @property
    def typical_power_w(self) -> float:
        """Power at the mean reading of the fit, else `LOW_POWER_W`."""
        if self.mean_reading_w is None:
            return LOW_POWER_W
        return max(self.slope * self.mean_reading_w + self.offset, 1.0)

    @property
    def typical_relative_error(self) -> float:
        """Relative standard error of the power at `typical_power_w`."""
        reading_w = (self.typical_power_w - self.offset) / self.slope
        variance_w2 = (
            (self.slope_error * reading_w) ** 2
            + self.offset_error**2
            + 2 * self.covariance * reading_w
            + self.residual_w**2
        )
        return math.sqrt(max(variance_w2, 0.0)) / self.typical_power_w

    @classmethod
    def from_config(cls, line: Mapping[str, Any], *, cluster: str) -> CalibrationError:
        """Return the errors of a line under `integration.calibration`.

        The covariance of slope and offset is, in this order, `covariance` (W), `correlation` times
        both errors, or `-mean_reading_w * slope_error ** 2`: at the mean reading of a fit by least
        squares the errors of slope and power do not correlate. Without any of the three it is 0.

        Args:
            line: `slope`, `offset`, `slope_error`, `offset_error`, and optionally `covariance` or
                `correlation`, `residual_w`, `mean_reading_w`.
            cluster: Cluster, for the message.

        Raises:
            InputError: The covariance exceeds the product of both errors.
        """
        given = {key: float(value) for key, value in line.items() if value is not None}
        slope_error, offset_error = given.get("slope_error", 0.0), given.get("offset_error", 0.0)
        bound = slope_error * offset_error
        if "covariance" in given:
            covariance = given["covariance"]
        elif "correlation" in given:
            covariance = given["correlation"] * bound
        else:
            covariance = -given.get("mean_reading_w", 0.0) * slope_error**2
        if abs(covariance) > bound * (1 + 1e-3):
            raise InputError(
                f"the covariance of slope and offset is {covariance:.3g} W, more than "
                f"slope_error x offset_error = {bound:.3g} W",
                where=f"integration.calibration.{cluster}",
                do="set covariance, correlation or mean_reading_w, and both errors, from one fit",
            )
        return cls(
            slope=given.get("slope", 1.0),
            offset=given.get("offset", 0.0),
            slope_error=slope_error,
            offset_error=offset_error,
            covariance=max(-bound, min(bound, covariance)),
            residual_w=given.get("residual_w", 0.0),
            mean_reading_w=given.get("mean_reading_w"),
            has_residual="residual_w" in given,
        )


def default_interval(metric: str) -> MeterInterval:
    """Return the interval of the gain of a metric's meters, without a calibration.

    Wattmeters of Grid'5000 have an interval of 1 %; management controllers, and meters of which
    nothing is known, 0.95 to 1.15.

    Args:
        metric: Metric of the power readings, for example `bmc_node_power_watt`.
    """
    return MeterInterval(0.99, 1.01, 0.5) if metric.startswith("wattmetre") else MeterInterval()
