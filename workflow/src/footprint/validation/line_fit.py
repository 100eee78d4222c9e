"""Fit of the line from the readings of a meter to the power of a reference meter.

The line is a fit by least squares to mean powers over windows, `power_w = slope x reading_w +
offset`. Errors of slope and offset correlate strongly: at the mean reading the error is smallest,
at 0 W, far from all readings, largest. The fit therefore gives their covariance (JCGM 100:2008,
H.3). The residual tells how far the power of a window lies from the line for other reasons, as
load, temperature, and the sensors of other nodes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import sum_or_zero
from footprint.core.units import Z95
from footprint.sources import files
from footprint.sources.kwollect import answers

MIN_WINDOWS = 10
"""Fewer windows than this give no useful standard errors."""

MIN_SPREAD = 0.02
"""Least standard deviation of the readings, relative to their mean, for a slope of its own."""

MIN_COVERED_FRAC = 0.9
"""Part of a window that both meters must cover."""


@dataclass(frozen=True, kw_only=True)
class LineFit:
    """A line from readings to power, as under `integration.calibration` of a configuration.

    Attributes:
        slope: Slope, in W of power per W of reading.
        offset: Power at a reading of 0 W, in W.
        slope_error: Standard error of the slope.
        offset_error: Standard error of the offset, in W.
        covariance: Covariance of the errors of slope and offset, in W.
        residual_w: Standard deviation of the residuals, in W; larger where 95 % of the absolute
            residuals need more than 1.96 of it.
        mean_reading_w: Mean of the readings, in W.
    """

    slope: float
    offset: float
    slope_error: float
    offset_error: float
    covariance: float
    residual_w: float
    mean_reading_w: float

    def power_w(self, reading_w: float) -> float:
        """Return the power at a reading, in W."""
        return self.slope * reading_w + self.offset

    def power_error_w(self, reading_w: float) -> float:
        """Return the standard uncertainty of the power of a window at a reading, in W."""
        variance = (
            (self.slope_error * reading_w) ** 2
            + self.offset_error**2
            + 2 * self.covariance * reading_w
            + self.residual_w**2
        )
        return math.sqrt(max(variance, 0.0))

    def to_yaml(self, cluster: str) -> str:
        """Return the lines of a configuration file for a cluster."""
        values = "".join(f"      {name}: {value:.8g}\n" for name, value in asdict(self).items())
        return f"integration:\n  calibration:\n    {cluster}:\n{values}"


def fit_line(windows: pl.DataFrame) -> LineFit:
    """Fit the line to windows by least squares, each window counting alike.

    Where the readings hardly vary, a slope cannot be told from an offset: the line then goes
    through the origin (`offset` 0).

    Args:
        windows: `reading_w`, `power_w`: mean power by the meter and by the reference.

    Raises:
        InputError: Fewer than `MIN_WINDOWS` windows.
    """
    n = len(windows)
    if n < MIN_WINDOWS:
        raise InputError(
            f"{n} windows with readings of both meters; a fit needs {MIN_WINDOWS}",
            where="calibrate",
            do="record longer, or use shorter windows",
        )
    x, y = windows["reading_w"].to_list(), windows["power_w"].to_list()
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    spread = math.fsum((each - mean_x) ** 2 for each in x)
    square = math.fsum(each**2 for each in x)
    has_slope = math.sqrt(spread / n) >= MIN_SPREAD * mean_x
    if has_slope:
        product = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
        slope = product / spread
    else:
        slope = math.fsum(a * b for a, b in zip(x, y, strict=True)) / square
    offset = mean_y - slope * mean_x if has_slope else 0.0
    residuals = sorted(abs(b - offset - slope * a) for a, b in zip(x, y, strict=True))
    deviation = math.sqrt(math.fsum(r**2 for r in residuals) / (n - (2 if has_slope else 1)))
    # the bound that holds the residual of one more window with 95 % (conformal prediction)
    largest = residuals[min(n, math.ceil(0.95 * (n + 1))) - 1]
    slope_error = deviation / math.sqrt(spread if has_slope else square)
    offset_error = math.sqrt(deviation**2 / n + (slope_error * mean_x) ** 2) if has_slope else 0.0
    return LineFit(
        slope=slope,
        offset=offset,
        slope_error=slope_error,
        offset_error=offset_error,
        covariance=-mean_x * slope_error**2 if has_slope else 0.0,
        residual_w=max(deviation, largest / Z95),
        mean_reading_w=mean_x,
    )


def mean_powers(
    readings: pl.DataFrame, reference: pl.DataFrame, *, window_s: float
) -> pl.DataFrame:
    """Mean power by both meters in windows of equal length that both cover.

    A window counts where each meter has a reading in at least `MIN_COVERED_FRAC` of its parts of
    the length of the slower meter's period. Means are of readings.

    Args:
        readings: `timestamp` (UTC), `power_w` of the meter to calibrate.
        reference: The same of the reference.
        window_s: Length of a window, in seconds.

    Returns:
        `started_at`, `reading_w`, `power_w`, sorted.
    """
    every = f"{round(window_s * 1e6)}us"

    def by_window(samples: pl.DataFrame, name: str) -> pl.DataFrame:
        ordered = samples.filter(pl.col("power_w") > 0).sort("timestamp")
        period_us = ordered["timestamp"].diff().dt.total_microseconds().median()
        expected = window_s * 1e6 / float(period_us) if period_us else math.inf  # type: ignore[arg-type]
        return (
            ordered.group_by(pl.col("timestamp").dt.truncate(every).alias("started_at"))
            .agg((sum_or_zero(pl.col("power_w")) / pl.len()).alias(name), pl.len().alias("n"))
            .filter(pl.col("n") >= MIN_COVERED_FRAC * expected)
            .drop("n")
        )

    return (
        by_window(readings, "reading_w")
        .join(by_window(reference, "power_w"), on="started_at")
        .sort("started_at")
    )


def read_samples(folder: Path, *, node: str, metric: str) -> pl.DataFrame:
    """Read the readings of a node from saved answers of Kwollect.

    Args:
        folder: Folder of the files, as `power/` of the exports (docs/exports.md).
        node: Name of the node.
        metric: Metric of its power.

    Returns:
        `timestamp`, `power_w`, sorted, one reading a time.

    Raises:
        InputError: There is no such reading, or a file cannot be read.
    """
    own = [
        frame.filter(pl.col("device") == node, pl.col("metric") == metric)
        for path in files.list_files(folder.parent, folder.name, content="answers of Kwollect")
        for frame in answers.read_file(path)
    ]
    found = (
        pl.concat(own)
        .select("timestamp", power_w="value")
        .filter(pl.col("power_w").is_finite() & (pl.col("power_w") > 0))
        .sort("timestamp", "power_w")
        .unique("timestamp", keep="first", maintain_order=True)
    )
    if found.is_empty():
        raise InputError(
            f"no reading of {metric} of {node}",
            where=str(folder),
            do="save answers with both metrics of one node",
        )
    return found
