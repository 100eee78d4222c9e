"""Intervals of gains and errors of calibrations."""

import math

import pytest

from footprint.core.errors import InputError
from footprint.totals.meter_error import (
    LOW_POWER_W,
    CalibrationError,
    MeterInterval,
    default_interval,
)


def test_default_interval_of_management_controllers_is_wide() -> None:
    assert default_interval("bmc_node_power_watt") == MeterInterval(0.95, 1.15, 0.5)


def test_default_interval_of_wattmeters_is_one_percent() -> None:
    assert default_interval("wattmetre_power_watt") == MeterInterval(0.99, 1.01, 0.5)


def test_interval_is_split_into_common_and_own_width() -> None:
    interval = MeterInterval(0.95, 1.15, 0.36)
    assert interval.mid == pytest.approx(1.05)
    assert interval.common_width == pytest.approx(0.06)
    assert interval.own_width == pytest.approx(0.08)


LINE = {"slope": 1.1, "offset": 5.0, "slope_error": 0.01, "offset_error": 4.0}


def test_calibration_without_covariance_combines_independent_errors() -> None:
    found = CalibrationError.from_config(LINE, cluster="a")
    assert found.covariance == 0
    assert found.typical_power_w == LOW_POWER_W
    reading_w = (200 - 5) / 1.1
    expected = math.hypot(0.01 * reading_w, 4.0) / 200
    assert found.typical_relative_error == pytest.approx(expected)


@pytest.mark.parametrize(
    "given", [{"covariance": -0.03}, {"correlation": -0.75}, {"mean_reading_w": 300.0}]
)
def test_calibration_covariance_is_read_in_three_forms(given: dict[str, float]) -> None:
    found = CalibrationError.from_config(LINE | given, cluster="a")
    assert found.covariance == pytest.approx(-0.03)


def test_calibration_at_its_mean_reading_leaves_the_error_of_the_level() -> None:
    # at the mean reading: sqrt(4^2 - (300 x 0.01)^2) = sqrt(7) W of 1.1 x 300 + 5 = 335 W
    found = CalibrationError.from_config(LINE | {"mean_reading_w": 300.0}, cluster="a")
    assert found.typical_relative_error == pytest.approx(math.sqrt(7) / 335)
    with_residual = CalibrationError.from_config(
        LINE | {"mean_reading_w": 300.0, "residual_w": 3.0}, cluster="a"
    )
    assert with_residual.typical_relative_error == pytest.approx(4 / 335)


def test_calibration_with_residual_has_no_error_by_run() -> None:
    assert CalibrationError.from_config(LINE, cluster="a").run_sd == pytest.approx(0.02 / 3**0.5)
    assert CalibrationError.from_config(LINE | {"residual_w": 2.0}, cluster="a").run_sd == 0


def test_calibration_with_impossible_covariance_is_refused() -> None:
    with pytest.raises(InputError, match="more than") as failure:
        CalibrationError.from_config(LINE | {"mean_reading_w": 900.0}, cluster="gemini")
    assert "integration.calibration.gemini" in str(failure.value)
