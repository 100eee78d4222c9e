"""Energies and variances of groups, by hand."""

import polars as pl
import pytest

from footprint.core.units import Z95
from footprint.totals.group_amounts import VARIANCE_COLUMNS, group_amounts
from tests.support.totals_inputs import error_model, frame, job_node


def variances(*rows: dict, **model: float) -> dict[str, float]:
    """Variances of one group of all rows."""
    found = group_amounts(
        frame(*rows).with_columns(site=pl.lit("s")), ["site"], error_model(**model)
    )
    return found.select(pl.col(*VARIANCE_COLUMNS, "independent_kwh2").sum()).row(0, named=True)


def test_amounts_add_estimates_from_readings_to_measured_energy() -> None:
    rows = frame(
        job_node(1, "a-1", 5.0, own_readings_kwh=1.0, covered_s=3600.0),
        job_node(1, "a-2", None, same_job_kwh=2.0),
        job_node(2, "u-1", None, virtual_meter_kwh=3.0, hardware_kwh=4.0),
    ).with_columns(site=pl.lit("s"))
    found = group_amounts(rows, ["site"], error_model())
    columns = ("cluster", "measured_kwh", "virtual_meter_kwh", "hardware_kwh")
    assert found.select(columns).rows() == [("a", 8.0, 0.0, 0.0), ("u", 0.0, 3.0, 4.0)]


def test_amounts_scale_node_hours_to_the_energy_with_readings() -> None:
    # 1 h of readings for 5 kWh, 1 kWh of a gap: 1.2 h
    rows = frame(job_node(1, "a-1", 5.0, own_readings_kwh=1.0)).with_columns(site=pl.lit("s"))
    assert group_amounts(rows, ["site"], error_model())["measured_node_h"].item() == 1.2


def test_sampling_adds_in_quadrature() -> None:
    found = variances(
        job_node(1, "a-1", 1.0, sampling_kwh=3.0), job_node(1, "a-2", 1.0, sampling_kwh=4.0)
    )
    assert found["sampling_kwh2"] == pytest.approx((5 / Z95) ** 2)


def test_resolution_adds_linearly_within_a_node_and_in_quadrature_over_nodes() -> None:
    found = variances(
        job_node(1, "a-1", 1.0, resolution_kwh=1.0),
        job_node(2, "a-1", 1.0, resolution_kwh=2.0),
        job_node(2, "a-2", 1.0, resolution_kwh=4.0),
    )
    assert found["resolution_kwh2"] == pytest.approx((5 / Z95) ** 2)


def test_gaps_add_linearly_within_a_job_and_correlate_between_similar_jobs() -> None:
    rows = [
        job_node(1, "a-1", 1.0, gap_kwh=1.0),
        job_node(1, "a-2", 1.0, gap_kwh=2.0),
        job_node(2, "a-1", 1.0, gap_kwh=4.0),
    ]
    assert variances(*rows)["gap_kwh2"] == pytest.approx((3**2 + 4**2) / Z95**2)
    similar = [row | {"similar": 9} for row in rows]
    expected = (0.3 * (3**2 + 4**2) + 0.7 * 7**2) / Z95**2
    assert variances(*similar)["gap_kwh2"] == pytest.approx(expected)


def test_meter_by_run_is_one_error_a_job() -> None:
    found = variances(
        job_node(1, "a-1", 10.0), job_node(1, "b-1", 20.0), job_node(2, "a-1", 40.0, similar=1)
    )
    assert found["run_kwh2"] == pytest.approx((30**2 + 40**2) * 0.02**2 / 3)


def test_own_part_of_estimates_correlates_between_similar_jobs() -> None:
    found = variances(
        job_node(1, "u-1", None, virtual_meter_kwh=1.0, hardware_kwh=1.0, similar=5),
        job_node(2, "v-1", None, virtual_meter_kwh=4.0, similar=5),
        job_node(3, "u-1", None, virtual_meter_kwh=5.0),
        run_sd=0.1,
    )
    # job 1: 0.1 x 1 + 0.2 x 1
    expected = 0.3 * (0.3**2 + 0.4**2) + 0.7 * 0.7**2 + 0.5**2
    assert found["own_kwh2"] == pytest.approx(expected)


def test_variances_add_up_to_the_independent_one() -> None:
    found = variances(
        job_node(1, "a-1", 10.0, sampling_kwh=1.0, gap_kwh=1.0, resolution_kwh=1.0),
        job_node(2, "u-1", None, virtual_meter_kwh=1.0),
    )
    assert found["independent_kwh2"] == pytest.approx(sum(found[c] for c in VARIANCE_COLUMNS))


def test_nodes_are_jobs_where_rows_have_no_job() -> None:
    rows = frame(
        job_node(1, "u-1", virtual_meter_kwh=3.0), job_node(2, "u-1", virtual_meter_kwh=4.0)
    )
    found = group_amounts(rows.drop("job_id", "similar"), ["cluster"], error_model(run_sd=0.1))
    assert found["own_kwh2"].item() == pytest.approx(0.7**2)
