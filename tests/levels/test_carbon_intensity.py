"""Mean carbon intensity over an interval."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from footprint.levels import carbon_intensity

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 3, tzinfo=UTC)


def series(*values: tuple[float, float]) -> pl.DataFrame:
    """Intensity from pairs of hours after the start and grams."""
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(hours=hour) for hour, _ in values],
            "g_per_kwh": [grams for _, grams in values],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )


def interval(low_h: float, high_h: float) -> pl.DataFrame:
    ends = {"started_at": START + timedelta(hours=low_h), "stopped_at": START}
    ends["stopped_at"] += timedelta(hours=high_h)
    return pl.DataFrame([ends], schema=dict.fromkeys(ends, pl.Datetime("us", "UTC")))


def test_mean_intensity_no_values_is_null() -> None:
    found = carbon_intensity.mean_intensity(interval(0, 1), series())
    assert found.select("g_per_kwh", "known_frac").rows() == [(None, 0.0)]
    assert found.schema == carbon_intensity.mean_intensity(interval(0, 1), series((0, 20))).schema


@pytest.mark.parametrize(
    ("low_h", "high_h", "mean", "known"),
    [
        (0.0, 1.0, 20.0, 1.0),
        (0.5, 2.0, (0.5 * 20 + 40) / 1.5, 1.0),
        # 40 holds from 1 h for two hours, then nothing is known until 10 h
        (1.0, 5.0, 40.0, 0.5),
        (4.0, 9.0, None, 0.0),
        # the last value holds for half an hour
        (10.0, 11.0, 60.0, 0.5),
        (-3.0, 0.5, 20.0, 0.5 / 3.5),
        (1.0, 1.0, None, None),
    ],
)
def test_mean_intensity_averages_the_known_part(
    low_h: float, high_h: float, mean: float | None, known: float | None
) -> None:
    found = carbon_intensity.mean_intensity(
        interval(low_h, high_h), series((0, 20), (1, 40), (10, 60))
    )
    (row,) = found.select("g_per_kwh", "known_frac").rows()
    assert row == (
        None if mean is None else pytest.approx(mean),
        None if known is None else pytest.approx(known),
    )


@pytest.mark.parametrize("bound", ["started_at", "stopped_at"])
def test_mean_intensity_unknown_bound_is_null(bound: str) -> None:
    unknown = pl.lit(None, pl.Datetime("us", "UTC")).alias(bound)
    found = carbon_intensity.mean_intensity(
        interval(0, 1).with_columns(unknown), series((0, 20), (1, 40))
    )
    assert found.select("g_per_kwh", "known_frac").rows() == [(None, None)]
