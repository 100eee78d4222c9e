"""Energy over time by hand, and its conservation."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.report.page import run_rows, timeline
from tests.report.page.inputs import END, START, job_energy_of, level, levels_frame, run, runs_frame

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = levels_frame(level("speech", "project", 40.0), level("u-1", "user", 40.0))
NO_PAPERS = pl.DataFrame(schema={"job_id": pl.Int64, "paper": pl.String})


def bars_of(*rows: dict, end: datetime = END) -> pl.DataFrame:
    frame = runs_frame(*rows)
    jobs = job_energy_of(frame)
    runs = run_rows.runs_of_page(frame, jobs, NO_PAPERS, LEVELS)
    return timeline.energy_by_bar(runs, jobs, site="nancy", start=START, end=end)


def test_energy_is_spread_evenly_over_the_days_of_a_job() -> None:
    # 18 h of the first day, 24 h of the second, 6 h of the third
    found = bars_of(run(1, 48.0, 48.0, at_h=6.0)).filter(scope="site:nancy")
    days = [date(2025, 3, day) for day in (3, 4, 5)]
    assert found["bar"].to_list() == days
    assert found["kwh"].to_list() == pytest.approx([18.0, 24.0, 6.0])


def test_time_outside_of_the_study_has_no_energy() -> None:
    found = bars_of(run(1, 48.0, 48.0, at_h=-24.0)).filter(scope="site:nancy")
    assert found.rows() == [("site:nancy", date(2025, 3, 3), "development", 48.0)]


def test_job_that_still_runs_lasts_to_the_end_of_the_study() -> None:
    found = bars_of(run(1, 14.0, stopped_at=None)).filter(scope="site:nancy")
    assert found["kwh"].to_list() == pytest.approx([2.0] * 7)


@pytest.mark.parametrize(
    ("days", "length"), [(7, "1d"), (120, "1d"), (121, "1w"), (1120, "1w"), (1121, "1mo")]
)
def test_bars_grow_with_the_study(days: int, length: str) -> None:
    assert timeline.bar_length(START, START + timedelta(days=days)) == length


def test_months_keep_the_energy() -> None:
    end = datetime(2029, 1, 1, tzinfo=UTC)
    found = bars_of(run(1, 62.0, 24 * 31, at_h=24 * 12), end=end).filter(scope="site:nancy")
    # 15 March to 15 April: 17 and 14 days
    assert found["kwh"].to_list() == pytest.approx([34.0, 28.0])


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1e4), st.floats(0.1, 300), st.floats(0, 160)),
        min_size=1,
        max_size=6,
    )
)
def test_energy_of_all_bars_is_that_of_the_jobs(jobs: list[tuple[float, float, float]]) -> None:
    rows = [run(i, kwh, hours, at_h=at_h) for i, (kwh, hours, at_h) in enumerate(jobs, 1)]
    found = bars_of(*rows)
    for scope in ("site:nancy", "project:speech", "user:u-1"):
        total = found.filter(scope=scope)["kwh"].sum()
        assert total == pytest.approx(sum(kwh for kwh, _, _ in jobs), rel=1e-9)
