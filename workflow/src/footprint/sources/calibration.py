"""Calibration: a line from readings to power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from footprint.core.arrays import Floats


@dataclass(frozen=True)
class Calibration:
    """Line from readings to power, `power_w = slope * reading_w + offset`.

    The errors of a line, which a configuration gives too, are for the intervals of totals alone
    (`footprint.totals.meter_error`).

    Attributes:
        slope: Slope, in W of power per W of reading.
        offset: Power at a reading of 0 W, in W.
    """

    slope: float = 1.0
    offset: float = 0.0

    def to_power(self, readings_w: Floats) -> Floats:
        """Power of readings, in W; negative where the line does not fit the readings."""
        power_w: Floats = readings_w * self.slope + self.offset
        return power_w

    @classmethod
    def from_config(cls, integration: Mapping[str, Any], *, cluster: str) -> Calibration | None:
        """The line under `integration.calibration` for a cluster; None without one.

        Args:
            integration: `integration` of the configuration.
            cluster: Cluster.
        """
        line = integration["calibration"].get(cluster)
        if not line:
            return None
        return cls(**{each.name: line[each.name] for each in fields(cls) if each.name in line})
