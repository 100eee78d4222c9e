"""Uncertainty budgets."""

import math

import pytest

from footprint.schemas.totals import Uncertainty
from footprint.totals.budget import budget_of_groups
from footprint.totals.group_totals import SOURCES
from tests.support.totals_inputs import error_model, frame, job_node

ROWS = frame(
    job_node(1, "a-1", 100.0, sampling_kwh=1.96, resolution_kwh=3.92, gap_kwh=0.98, name="p"),
    job_node(2, "u-1", virtual_meter_kwh=50.0, name="p"),
    job_node(3, "a-1", 100.0, name=None),
)


def by_source(**settings: object) -> dict[str, dict]:
    found = budget_of_groups(ROWS, "name", "paper", error_model(**settings))
    return {row["source"]: row for row in found.rows(named=True)}


def test_budget_fits_its_schema_with_a_row_a_source() -> None:
    found = Uncertainty.validate(budget_of_groups(ROWS, "name", "paper", error_model()), cast=True)
    assert found["source"].to_list() == list(SOURCES)
    assert found["name"].unique().to_list() == ["p"]


def test_budget_shares_add_up_to_one() -> None:
    assert sum(row["share_frac"] for row in by_source().values()) == pytest.approx(1)


def test_budget_standard_uncertainties_by_hand() -> None:
    found = by_source(measured=("a",), cluster_sd=0.12, mean_sd=0.05, df=5, run_sd=0.1)
    assert {
        source: row["standard_uncertainty_kwh"]
        for source, row in found.items()
        if source != "meter"
    } == pytest.approx(
        {
            "meter_by_run": 100 * 0.02 / math.sqrt(3),
            "sampling": 1.0,
            "resolution": 2.0,
            "gaps": 0.5,
            "estimate_common": 50 * 1.05 * 0.13 * math.sqrt(5 / 3),
            "estimate_own": 5.0,
        }
    )
    # 100 kWh measured and 50 kWh estimated from it, both with the common error; those of the
    # clusters add up over a and u by the gain of a
    common = 150 * 0.1 * math.sqrt(0.5)
    rest = (100 * 0.1 * math.sqrt(0.5)) ** 2 + (50 * 0.1 * math.sqrt(0.5)) ** 2
    expected = math.sqrt((common**2 + rest) / 3)
    assert found["meter"]["standard_uncertainty_kwh"] == pytest.approx(expected)
    assert found["meter"]["mean_shift_kwh"] == pytest.approx(7.5)


def test_budget_interval_of_one_source_is_narrower_than_of_all() -> None:
    found = by_source()
    assert found["sampling"]["low_kwh"] == pytest.approx(150 - 1.96, abs=0.01)
    assert found["sampling"]["high_kwh"] == pytest.approx(150 + 1.96, abs=0.01)
    assert found["meter"]["low_kwh"] < 150 < 157.5 < found["meter"]["high_kwh"]
    assert found["estimate_common"]["degrees_of_freedom"] == 5


def test_budget_of_calibrated_meters_is_from_data() -> None:
    line = {"slope": 1.1, "slope_error": 0.05, "offset": 0.0, "offset_error": 2.0}
    found = by_source(calibration={"a": line}, measured=("a",))
    assert found["meter"]["evaluation"] == "A"
    assert found["meter"]["distribution"] == "normal"
    assert by_source()["meter"]["evaluation"] == "B"


def test_budget_of_a_prior_alone_is_from_other_knowledge() -> None:
    assert by_source(df=3)["estimate_common"]["evaluation"] == "B"
    assert by_source(df=4)["estimate_common"]["evaluation"] == "B"  # one measured cluster
    assert by_source(df=5)["estimate_common"]["evaluation"] == "A"
