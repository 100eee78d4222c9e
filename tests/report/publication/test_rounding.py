"""Digits of published numbers against the job list."""

from typing import Any

import polars as pl
import pytest

from footprint.report.publication import rounding
from footprint.report.publication.groups import Disclosure
from footprint.report.publication.rounding import Interval, JobList

NOBODY = Disclosure(minimum=3, named=frozenset())


def job_list(
    *rows: tuple[str, float], disclosure: Disclosure = NOBODY, apart: bool = False
) -> JobList:
    """A list of jobs of one run each, by owner and energy, all measured.

    Args:
        rows: Owner and energy in kWh.
        disclosure: Who may be shown.
        apart: Whether each job has a project and a paper of its own.
    """
    jobs = pl.DataFrame(
        {
            "job_id": range(len(rows)),
            "user": [user for user, _ in rows],
            "project": [f"project {place if apart else 0}" for place in range(len(rows))],
            "gpu_hours": 1.0,
            "core_hours": 4.0,
            "measured_kwh": [kwh for _, kwh in rows],
            "estimated_kwh": 0.0,
            "total_kwh": [kwh for _, kwh in rows],
        },
        schema_overrides={"job_id": pl.Int64},
    )
    phases = jobs.select("job_id", run_id="job_id", phase=pl.lit("training"))
    papers = jobs.select("job_id", paper="project")
    return JobList.of_study(jobs, phases, papers, disclosure)


@pytest.mark.parametrize(
    ("value", "digits", "low", "high"),
    [
        (204.0, 3, 203.5, 204.5),
        (200.0, 1, 150.0, 250.0),
        (0.0123, 2, 0.0115, 0.0125),
        (10.0, 1, 9.5, 15.0),
        (0.998, 2, 0.995, 1.05),
        (-10.0, 1, -15.0, -9.5),
    ],
)
def test_interval_of_printed_number(value: float, digits: int, low: float, high: float) -> None:
    printed = rounding.round_number(value, digits)
    assert rounding.interval_of(printed, digits) == pytest.approx((low, high))
    assert rounding.interval_of(0.0, digits) == Interval(0.0, 0.0)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_interval_has_the_numbers_that_are_printed_alike(digits: int) -> None:
    values = [0.0951 * 1.003**n for n in range(2000)]
    for value in values:
        printed = rounding.round_number(value, digits)
        low, high = rounding.interval_of(printed, digits)
        assert low <= value <= high
        middle, margin = (low + high) / 2, (high - low) * 1e-6
        for near in (low + margin, middle, high - margin):
            assert rounding.round_number(near, digits) == printed


def test_row_that_fits_nobody_has_three_digits() -> None:
    assert job_list(("a", 1.0), ("b", 2.0), ("c", 4.0)).digits_of_row({"total_kwh": 987.6}) == 3


def test_row_of_one_run_has_fewer_digits_where_others_fit() -> None:
    known = job_list(("a", 123.0), ("b", 124.0), ("c", 121.0), ("d", 118.0), ("e", 116.0))
    # 123 is a alone; 120, taken for 120 +- 0.5, +- 5 and +- 50, is nobody or all
    assert known.digits_of_row({"total_kwh": 123.0}) == 2


def test_row_of_one_run_without_neighbours_is_withheld() -> None:
    assert (
        job_list(("a", 123.0), ("b", 0.5), ("c", 0.7)).digits_of_row({"total_kwh": 123.0}) is None
    )


def test_row_of_a_person_who_agreed_has_three_digits() -> None:
    agreed = Disclosure(minimum=3, named=frozenset("a"))
    known = job_list(("a", 123.0), ("b", 0.5), ("c", 0.7), disclosure=agreed)
    assert known.digits_of_row({"total_kwh": 123.0}) == 3


def test_sum_of_one_persons_jobs_is_withheld() -> None:
    known = job_list(("a", 123.0), ("a", 456.0), ("b", 0.5), ("c", 0.7))
    assert known.digits_of_row({"total_kwh": 579.0}) is None
    assert known.digits_of_row({"total_kwh": 579.0, "n_jobs": 2}) is None


def test_sum_of_one_persons_jobs_in_two_projects_is_withheld() -> None:
    known = job_list(("a", 123.0), ("a", 456.0), ("b", 0.5), ("c", 0.7), apart=True)
    assert known.digits_of_row({"total_kwh": 579.0}) is None


def test_reader_may_take_a_number_for_one_of_three_digits() -> None:
    """122.6 is printed as 120 for five people, and 120.1 is the run of one of them."""
    known = job_list(*zip("abcde", (122.6, 120.1, 118.0, 117.0, 116.0), strict=True))
    assert known.digits_of_row({"total_kwh": 122.6}) == 1


def test_row_is_joined_on_the_total_alone_too() -> None:
    """One table prints the total without the number of jobs, by which no person would fit."""
    known = job_list(("a", 123.0), ("b", 0.5), ("c", 0.7))
    assert known.digits_of_row({"total_kwh": 123.0, "n_jobs": 9, "gpu_hours": 50.0}) is None


def ratio_row(training: float, development: float, **changes: Any) -> dict[str, Any]:
    return {
        "training_kwh": training,
        "development_kwh": development,
        "inference_kwh": None,
        "unknown_kwh": 0.0,
        "total_kwh": training + development,
        "training_measured_frac": 1.0,
        "development_measured_frac": 1.0,
        "ratio": development / training,
        **changes,
    }


def test_ratio_with_the_training_of_one_person_is_withheld() -> None:
    known = job_list(("a", 100.0), ("b", 2000.0), ("c", 3000.0), ("d", 1500.0))
    assert known.digits_of_ratio(ratio_row(100.0, 6500.0)) is None


def test_ratio_with_trainings_of_enough_people_is_shown() -> None:
    known = job_list(*((user, 100.0) for user in "abcd"), ("e", 2000.0))
    assert known.digits_of_ratio(ratio_row(100.0, 7000.0)) == 3


def test_training_follows_from_ratio_and_development() -> None:
    """Training is printed as 200, R as 9, development as 1000, and the total says less."""
    row = ratio_row(152.0, 1410.0, total_kwh=1600.0)
    found = rounding._training_energy(row, 1, 1)
    assert rounding.interval_of(200.0, 1) == Interval(150.0, 250.0)
    assert found == pytest.approx((150.0, 1500 / 8.5))


def test_training_follows_from_the_total_and_small_phases() -> None:
    row = ratio_row(204.0, 12.0, ratio=None)
    printed = rounding.interval_of(200.0, 2)
    found = rounding._training_energy(row, 2, 2)
    assert found.low > printed.low
    assert found.low <= 204.0 <= found.high


def test_other_ratio_gives_the_energy_of_the_other_training() -> None:
    # 10 for training, 90 for development; by another choice 40 and 60
    found = rounding.training_of_other_ratio(ratio_row(10.0, 90.0), 1.5, 3)
    assert found.low < 40.0 < found.high
    assert found.high - found.low < 0.5


def test_rows_are_rounded_to_their_own_digits() -> None:
    frame = pl.DataFrame(
        {
            "level": ["site", "paper", "paper"],
            "name": ["nancy", "one", "two"],
            "n_jobs": [1234, 1234, 1234],
            "total_kwh": [1234.5, 0.12345, 1234.5],
            "digits": [3, 2, None],
        }
    )
    found = rounding.round_rows("levels", frame, pl.col("digits"))
    assert found["n_jobs"].to_list() == [1230, 1200, None]
    assert found["total_kwh"].to_list() == [1230.0, 0.12, None]


@pytest.mark.parametrize(
    ("digits", "ends"),
    [(3, [115.0, 141.0]), (2, [110.0, 150.0]), (1, [100.0, 200.0])],
)
def test_ends_of_intervals_are_rounded_outwards(digits: int, ends: list[float]) -> None:
    frame = pl.DataFrame(
        {"total_low_kwh": [115.2], "total_kwh": [122.0], "total_high_kwh": [141.4]}
    )
    found = rounding.round_rows("levels", frame, digits).row(0, named=True)
    assert [found["total_low_kwh"], found["total_high_kwh"]] == ends
    again = rounding.round_rows("levels", pl.DataFrame([found]), digits).row(0, named=True)
    assert again == found


def test_unknown_and_zero_ends_stay() -> None:
    frame = pl.DataFrame({"total_low_kwh": [0.0, None], "total_high_kwh": [0.0, None]})
    assert rounding.round_rows("levels", frame, 1).equals(frame)


def test_rounded_interval_contains_the_rounded_total() -> None:
    """Rounding keeps the order, so that the total stays inside of its interval."""
    values = [0.0949, 0.0951, 9.95, 9.951, 99.4, 100.2]
    for digits in (1, 2, 3):
        rounded = [rounding.round_number(value, digits) for value in values]
        assert rounded == sorted(rounded)
