"""Lorenz curve, Gini index and jobs by duration, against cases computed by hand."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.levels import concentration
from footprint.report.figures import concentration as drawing

pytestmark = pytest.mark.filterwarnings("error")


def kwh(*values: float | None) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def jobs(*rows: tuple[float, float | None, float]) -> pl.LazyFrame:
    """Jobs by duration in hours, energy and GPU hours."""
    schema = {"duration_s": pl.Float64, "total_kwh": pl.Float64, "gpu_hours": pl.Float64}
    held = [(hours * 3600, energy, gpu_hours) for hours, energy, gpu_hours in rows]
    return pl.LazyFrame(held, schema, orient="row")


def test_lorenz_sums_the_smallest_energies_first() -> None:
    curve = concentration.lorenz_curve(kwh(6.0, 1.0, None, 3.0, 0.0))
    # 0, 1, 3, 6 of 10 kWh together; what was not measured is not there
    assert curve["item_frac"].to_list() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert curve["energy_frac"].to_list() == pytest.approx([0.0, 0.0, 0.1, 0.4, 1.0])


@pytest.mark.parametrize(
    ("energies", "index"),
    [
        ((2.0, 2.0, 2.0), 0.0),
        # (-3 x 0 - 1 x 1 + 1 x 3 + 3 x 6) / (4 x 10)
        ((0.0, 1.0, 3.0, 6.0), 0.5),
        # all with one of four: 1 - 1/4
        ((0.0, 0.0, 0.0, 8.0), 0.75),
        ((5.0,), 0.0),
        ((None, 6.0, 1.0, 3.0, 0.0), 0.5),
        ((), None),
        ((None, None), None),
        ((0.0, 0.0), None),
    ],
)
def test_gini_gives_the_index_computed_by_hand(
    energies: tuple[float | None, ...], index: float | None
) -> None:
    found = concentration.gini_index(kwh(*energies))
    assert found == (None if index is None else pytest.approx(index, abs=1e-12))


def test_gini_is_twice_the_area_between_diagonal_and_curve() -> None:
    energies = kwh(*(1.7**i % 13 for i in range(200)))
    curve = concentration.lorenz_curve(energies)
    # trapezoids under n points of distance 1/n: exact, for the curve is made of lines
    heights = curve["energy_frac"]
    area = (heights.sum() - heights[-1] / 2) / len(energies)
    assert concentration.gini_index(energies) == pytest.approx(1 - 2 * area, rel=1e-12)


def test_n_jobs_with_energy_frac_counts_the_largest_jobs() -> None:
    assert concentration.n_jobs_with_energy_frac(kwh(1.0, 1.0, 1.0, 1.0)) == 2
    assert concentration.n_jobs_with_energy_frac(kwh(1.0, 1.0, 1.0)) == 2
    assert concentration.n_jobs_with_energy_frac(kwh(0.0, 1.0, 3.0, 6.0)) == 1
    assert concentration.n_jobs_with_energy_frac(kwh(0.0, 1.0, 3.0, 6.0), energy_frac=0.9) == 2
    assert concentration.n_jobs_with_energy_frac(kwh(0.0, 1.0, 3.0, 6.0), energy_frac=1.0) == 3
    # a tenth is no binary fraction
    assert concentration.n_jobs_with_energy_frac(kwh(*[0.1] * 10)) == 5
    assert concentration.n_jobs_with_energy_frac(kwh(None)) == 0


def test_lorenz_without_energy_has_no_rows() -> None:
    for energies in (kwh(), kwh(None, None), kwh(0.0, 0.0)):
        curve = concentration.lorenz_curve(energies)
        assert curve.is_empty()
        assert curve.columns == ["item_frac", "energy_frac"]


def test_jobs_by_duration_sum_jobs_and_energy() -> None:
    found = concentration.jobs_by_duration(
        jobs(
            (0.1, 1.0, 0.0),
            (0.1, None, 1.0),
            # exactly 10 minutes and exactly one hour belong to the class above
            (1 / 6, 3.0, 1.0),
            (1.0, 6.0, 2.0),
            (100.0, None, 16.0),
            (0.0, 0.0, 0.0),
        )
    )
    assert found["duration"].to_list() == list(concentration.DURATION_BOUNDS_S)
    assert found["n_jobs"].to_list() == [2, 1, 1, 0, 0, 1]
    assert found["n_known"].to_list() == [1, 1, 1, 0, 0, 0]
    assert found["job_frac"].to_list() == pytest.approx([0.4, 0.2, 0.2, 0.0, 0.0, 0.2])
    assert found["known_frac"].to_list() == pytest.approx([0.2, 0.2, 0.2, 0.0, 0.0, 0.0])
    assert found["total_kwh"].to_list() == [1.0, 3.0, 6.0, None, None, None]
    # no job: none of the energy; a job of unknown energy: unknown
    assert found["energy_frac"].to_list()[:5] == pytest.approx([0.1, 0.3, 0.6, 0.0, 0.0])
    assert found["energy_frac"][5] is None
    assert found["gpu_hour_frac"].to_list() == pytest.approx([0.05, 0.05, 0.1, 0.0, 0.0, 0.8])


def test_jobs_by_duration_without_jobs_have_groups_of_0() -> None:
    found = concentration.jobs_by_duration(jobs())
    assert found["n_jobs"].to_list() == [0] * 6
    assert found["job_frac"].null_count() == found["gpu_hour_frac"].null_count() == 6


def test_gini_and_lorenz_ignore_the_order_of_rows() -> None:
    energies = kwh(*(1.7**i % 13 for i in range(500)))
    backwards = energies.reverse()
    assert concentration.gini_index(energies) == concentration.gini_index(backwards)
    assert concentration.lorenz_curve(energies).equals(concentration.lorenz_curve(backwards))


def test_thinned_curve_stays_within_a_step_of_the_whole() -> None:
    curve = concentration.lorenz_curve(kwh(*(1.001**i for i in range(20000))))
    thin = drawing.thin_curve(curve)
    assert len(thin) <= drawing.MOST_POINTS + 1
    assert thin.row(0) == (0.0, 0.0)
    assert thin.row(-1) == (1.0, 1.0)
    steps = thin.select(pl.all().diff().max()).row(0)
    assert max(steps) < 2.1 * 2 / drawing.MOST_POINTS
    few = curve.head(9)
    assert drawing.thin_curve(few).equals(few)
