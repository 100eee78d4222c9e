"""Fit of the line from readings to power: hand-computed cases, and real recordings."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from footprint.config import settings
from footprint.core.errors import InputError
from footprint.core.units import Z95
from footprint.sources.calibration import Calibration
from footprint.totals.error_model import ErrorModel
from footprint.totals.study_totals import group_intervals
from footprint.validation import against_wattmeter, line_fit, recordings
from tests.support.cli import run_cli

START = datetime(2025, 3, 3, tzinfo=UTC)


def windows(readings: list[float], powers: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"reading_w": readings, "power_w": powers})


def test_fit_of_exact_line_has_no_error() -> None:
    readings = [100.0 + 20 * i for i in range(12)]
    fit = line_fit.fit_line(windows(readings, [1.1 * r + 7 for r in readings]))
    assert fit.slope == pytest.approx(1.1, rel=1e-12)
    assert fit.offset == pytest.approx(7, rel=1e-9)
    assert fit.mean_reading_w == pytest.approx(210)
    assert fit.slope_error == pytest.approx(0, abs=1e-9)
    assert fit.residual_w == pytest.approx(0, abs=1e-9)


def test_fit_errors_are_those_of_least_squares_by_hand() -> None:
    # readings 90 and 110, six each, with residuals of +1 and -1 W in turn: slope 1, offset 0;
    # spread 12 x 100, deviation sqrt(12 / 10)
    fit = line_fit.fit_line(
        windows([90.0] * 6 + [110.0] * 6, [91.0, 89.0] * 3 + [111.0, 109.0] * 3)
    )
    deviation = 1.2**0.5
    assert (fit.slope, fit.offset) == (pytest.approx(1), pytest.approx(0, abs=1e-9))
    assert fit.slope_error == pytest.approx(deviation / 1200**0.5)
    assert fit.covariance == pytest.approx(-100 * 1.2 / 1200)
    assert fit.offset_error == pytest.approx((1.2 / 12 + 1e4 * 1.2 / 1200) ** 0.5)
    # at the mean reading, the line is off by deviation / sqrt(n) alone
    assert fit.power_error_w(100.0) == pytest.approx((1.2 / 12 + fit.residual_w**2) ** 0.5)
    assert fit.residual_w == pytest.approx(deviation)


def test_fit_of_steady_readings_goes_through_the_origin() -> None:
    fit = line_fit.fit_line(windows([100.0, 100.5] * 6, [110.0, 110.55] * 6))
    assert (fit.slope, fit.offset, fit.covariance) == (pytest.approx(1.1), 0.0, 0.0)


def test_fit_residual_grows_with_heavy_tails() -> None:
    powers = [100.0 + 10 * i for i in range(20)]
    far = [p + (15.0 if i in (3, 12) else 0.0) for i, p in enumerate(powers)]
    fit = line_fit.fit_line(windows(powers, far))
    residuals = [abs(b - fit.power_w(a)) for a, b in zip(powers, far, strict=True)]
    inside = sum(r <= Z95 * fit.residual_w + 1e-9 for r in residuals)
    assert inside >= 0.95 * len(residuals)


def test_fit_of_few_windows_is_refused() -> None:
    with pytest.raises(InputError, match="9 windows"):
        line_fit.fit_line(windows([1.0] * 9, [1.0] * 9))


def test_mean_powers_leave_out_windows_that_one_meter_misses() -> None:
    def samples(seconds: list[int], power_w: float) -> pl.DataFrame:
        return pl.DataFrame(
            {"timestamp": [START + timedelta(seconds=s) for s in seconds], "power_w": power_w},
            schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
        )

    slow = samples([*range(0, 60, 5), *range(120, 180, 5)], 90.0)
    fast = samples([*range(60), *range(120, 140)], 100.0)
    found = line_fit.mean_powers(slow, fast, window_s=60)
    assert found.rows() == [(START, 90.0, 100.0)]


@pytest.fixture(scope="module")
def recorded_windows(shared_data: Path) -> pl.DataFrame:
    """Windows of gemini-1: `job_id`, `reading_w`, `power_w`, `duration_s`."""
    recorded = recordings.read_recordings(shared_data / "gemini-2022-11")
    found = against_wattmeter.compare_methods(recorded, estimators=[])
    power = pl.col("energy_kwh", "wattmeter_kwh") * 3.6e6 / pl.col("duration_s")
    return (
        found.filter(pl.col("method") == "bmc")
        .with_columns(power)
        .select("duration_s", job_id="run_id", reading_w="energy_kwh", power_w="wattmeter_kwh")
        .drop_nulls()
    )


def test_command_prints_a_line_that_a_configuration_takes(shared_data: Path) -> None:
    folder = shared_data / "gemini-2022-11" / "power"
    result = run_cli("calibrate", folder, "--node", "gemini-1")
    assert result.exit_code == 0, result.output
    written = yaml.safe_load(result.output)
    line = written["integration"]["calibration"]["gemini"]
    assert Calibration.from_config(written["integration"], cluster="gemini") == Calibration(
        line["slope"], line["offset"]
    )
    study = {"site": "lyon", "start": "2022-11-07", "end": "2022-11-09", "clusters": "all"}
    source = {"kind": "simulated"}
    checked = settings.prepare_configuration({"study": study, "source": source} | written)
    assert checked["integration"]["calibration"]["gemini"]["residual_w"] == line["residual_w"]
    document = (Path(__file__).parents[2] / "docs" / "calibration.md").read_text()
    for text in result.output.splitlines():
        assert f"    {text}" in document


def test_command_names_a_metric_without_readings(shared_data: Path) -> None:
    folder = shared_data / "gemini-2022-11" / "power"
    result = run_cli("calibrate", folder, "--node", "gemini-1", "--metric", "pdu_watt")
    assert result.exit_code == 1
    assert "no reading of pdu_watt of gemini-1" in result.output


def _totals(windows: pl.DataFrame, line: dict[str, float] | None, by: list[str]) -> pl.DataFrame:
    """Totals of windows with a calibration, or with the default interval."""
    slope, offset = (line["slope"], line["offset"]) if line else (1.0, 0.0)
    kwh = (pl.col("reading_w") * slope + offset) * pl.col("duration_s") / 3.6e6
    rows = windows.lazy().select(
        "job_id",
        site=pl.lit("lyon"),
        node=pl.lit("gemini-1"),
        cluster=pl.lit("gemini"),
        share=1.0,
        covered_s="duration_s",
        measured_kwh=kwh,
        estimated_kwh=0.0,
        unknown_node_h=0.0,
    )
    meters = {"low": 0.95, "high": 1.15, "correlation": 0.5}
    meters["calibration"] = {"gemini": line} if line else {}  # type: ignore[assignment]
    return group_intervals(rows, by, ErrorModel.of_study(None, meters))


def test_calibration_by_half_of_the_windows_holds_the_other_half(
    recorded_windows: pl.DataFrame,
) -> None:
    """Over 100 splits: each window and their sum; five times narrower than the default."""
    generator = random.Random(20221107)
    n_sums, n_windows, n_inside, narrower = 0, 0, 0, []
    for _ in range(100):
        order = generator.sample(range(len(recorded_windows)), len(recorded_windows))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        fit = line_fit.fit_line(recorded_windows[first])
        other = recorded_windows[second]
        line = dict(vars(fit))
        site = _totals(other, line, ["site"]).row(0, named=True)
        default = _totals(other, None, ["site"]).row(0, named=True)
        true_kwh = float((other["power_w"] * other["duration_s"]).sum()) / 3.6e6
        n_sums += site["total_low_kwh"] <= true_kwh <= site["total_high_kwh"]
        widths = [row["total_high_kwh"] - row["total_low_kwh"] for row in (default, site)]
        narrower.append(widths[0] / widths[1])
        for reading_w, power_w in other.select("reading_w", "power_w").iter_rows():
            n_windows += 1
            error_w = abs(power_w - fit.power_w(reading_w))
            n_inside += error_w <= Z95 * fit.power_error_w(reading_w)
    assert n_sums >= 95
    assert n_inside / n_windows >= 0.95
    assert min(narrower) >= 5.0
