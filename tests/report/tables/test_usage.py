"""Readers' tables of users, of the largest jobs and of time, against hand calculations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.levels import concentration
from footprint.report.figures import concentration as concentration_figure
from footprint.report.tables import formats, usage
from footprint.report.tables.formats import ReaderTable
from tests.report.figures.test_course_figures import nodes_frame
from tests.report.figures.test_usage_figures import STUDY, frame, part, window, year
from tests.report.tables.test_estimates import cell, headers
from tests.report.tables.test_formats import Page, tex_rows, written
from tests.support import study_frames
from tests.support.study_frames import START

pytestmark = pytest.mark.filterwarnings("error")


def users_table(*rows: dict[str, Any]) -> ReaderTable:
    return usage.active_users_table(frame(*rows), site="nancy")


class TestActiveUsers:
    def test_rows_are_sorted_windows_with_the_meaning_of_their_numbers(self) -> None:
        table = users_table(
            year(2024, 700, basis="statistics", known_frac=None, source="annual report"),
            window(datetime(2025, 4, 28, tzinfo=UTC), 5, **part(0.25)),
            year(2023, 90),
            year(2022, None),
            year(2021, None, **part(0.5)),
        )
        shown = [column.name for column in table.columns]
        assert table.rows.select(shown).rows() == [
            ("2021-01-01", "2021-12-31", None, "not shown, fewer than 3 known", 0.5, None),
            ("2022-01-01", "2022-12-31", None, "not shown, fewer than 3", 1.0, None),
            ("2023-01-01", "2023-12-31", 90, "all", 1.0, None),
            ("2024-04-28", "2025-04-27", 5, "a lower bound", 0.25, None),
            ("2024-01-01", "2024-12-31", 700, "as given", None, "annual report"),
        ]
        assert table.rows["group"].unique(maintain_order=True).to_list() == [
            "Users of Nancy, counted from a history of jobs",
            "The platform's own statistics",
        ]

    def test_column_of_sources_without_sources_is_absent(self) -> None:
        expected = ["First day", "Last day", "People", "The number is", "Time known (%)"]
        assert headers(users_table(STUDY)) == expected

    def test_small_number_of_people_is_not_shown(self, tmp_path: Path) -> None:
        text = written(users_table(year(2024, None)), tmp_path)
        (row,) = (row for row in Page(text["html"]).rows if row[:1] == ["2024-01-01"])
        assert row[2:4] == [formats.UNKNOWN_CELL, "not shown, fewer than 3"]
        assert '2024-01-01,2024-12-31,,"not shown, fewer than 3",100.0' in text["csv"]

    def test_window_ending_inside_a_day_includes_that_day(self) -> None:
        table = users_table(window(datetime(2024, 6, 15, 9, tzinfo=UTC), 8))
        assert table.rows.select("first_day", "last_day").row(0) == ("2023-06-15", "2024-06-15")

    def test_note_without_windows_gives_the_reason(self, tmp_path: Path) -> None:
        table = users_table()
        assert table.note.startswith("No job with a start and an end is known")
        assert "nobody can be counted" in written(table, tmp_path)["html"]


Held = tuple[float, float | None]


def shares_table(jobs: list[Held], runs: list[Held]) -> ReaderTable:
    """Of jobs and runs by hours and energy."""
    schema = {"duration_s": pl.Float64, "total_kwh": pl.Float64}
    held, ran = (
        pl.DataFrame(
            [(3600 * hours, kwh) for hours, kwh in each], schema, orient="row"
        ).with_columns(user=pl.lit("u-1"))
        for each in (jobs, runs)
    )
    return usage.concentration_table(
        held.with_columns(gpu_hours=pl.lit(1.0), n_nodes=(pl.col("duration_s") > 0).cast(pl.Int64)),
        ran,
    )


def group(table: ReaderTable, what: str) -> list[tuple[Any, ...]]:
    """Name, number, part, measured, energy and its part, of the rows of a group."""
    own = table.rows.filter(pl.col("group").str.starts_with(what))
    return own.select([column.name for column in table.columns][:6]).rows()


class TestConcentration:
    # 19 jobs of 1 kWh, one of 20 in 31 h, one unknown, and one that held nothing
    JOBS: tuple[Held, ...] = (*((0.1, 1.0),) * 19, (31.0, 20.0), (2.0, None), (0.0, 7.0))

    def test_rows_of_largest_jobs_match_a_hand_calculation(self) -> None:
        table = shares_table(list(self.JOBS), [(1.0, 6.0), (1.0, 2.0), (5.0, None)])
        near = pytest.approx
        assert group(table, "Jobs, largest") == [
            # a hundredth of 20 jobs is rounded up to one
            ("largest 1 %", 1, near(0.05), 1, near(20.0), near(20 / 39)),
            ("largest 5 %", 1, near(0.05), 1, near(20.0), near(20 / 39)),
            ("largest 10 %", 2, near(0.1), 2, near(21.0), near(21 / 39)),
            ("largest 20 %", 4, near(0.2), 4, near(23.0), near(23 / 39)),
            ("largest 50 %", 10, near(0.5), 10, near(29.0), near(29 / 39)),
            ("fewest with half of the energy", 1, near(0.05), 1, near(20.0), near(20 / 39)),
            ("all of known energy", 20, 1.0, 20, near(39.0), 1.0),
            ("of unknown energy", 1, None, 0, None, None),
        ]
        runs = group(table, "Runs")
        assert runs[0] == ("largest 1 %", 1, 0.5, 1, near(6.0), near(0.75))
        assert runs[-2:] == [
            ("all of known energy", 2, 1.0, 2, near(8.0), 1.0),
            ("of unknown energy", 1, None, 0, None, None),
        ]
        # (-1 x 2 + 1 x 6) / (2 x 8)
        assert table.rows["group"].unique(maintain_order=True).to_list()[1:] == [
            "Runs, largest first: Gini index 0.25",
            "Jobs by the time that they held their nodes",
        ]

    def test_rows_of_largest_jobs_have_intervals_over_users(self) -> None:
        study = study_frames.invented_study()
        table = usage.concentration_table(study.job_energy, study.job_energy.clear())
        ends = ("energy_low_frac", "energy_frac", "energy_high_frac")
        for percent in concentration.LARGEST_JOB_PERCENTS:
            low, part, high = (cell(table, f"largest {percent} %", name) for name in ends)
            assert 0 < low <= part <= high <= 1
            assert low < high
        assert cell(table, "all of known energy", "energy_low_frac") is None

    def test_numbers_of_largest_jobs_are_exact_for_whole_percentages(self) -> None:
        table = shares_table([(1.0, 1.0)] * 300, [])
        counts = dict(
            table.rows.filter(pl.col("name").str.starts_with("l")).select("name", "n").rows()
        )
        assert list(counts.values()) == [3, 15, 30, 60, 150]

    def test_rows_by_duration_match_a_hand_calculation(self) -> None:
        near = pytest.approx
        rows = group(shares_table(list(self.JOBS), []), "Jobs by the time")
        assert [row[0] for row in rows] == [*concentration.DURATION_BOUNDS_S, "all jobs"]
        assert rows[0][1:] == (19, near(19 / 21), 19, near(19.0), near(19 / 39))
        # no job, so no energy; one of unknown energy, so none that is known
        assert rows[1][1:] == (0, 0.0, 0, 0.0, 0.0)
        assert rows[2][1:] == (1, near(1 / 21), 0, None, None)
        assert rows[-1][1:] == (21, 1.0, 20, near(39.0), 1.0)

    def test_rows_of_totals_are_marked(self) -> None:
        table = shares_table(list(self.JOBS), [(1.0, 1.0)])
        totals = table.rows.filter("is_total")["name"].to_list()
        assert totals == ["all of known energy", "all of known energy", "all jobs"]

    def test_number_of_jobs_with_half_of_the_energy_matches_the_figure(self) -> None:
        study = study_frames.invented_study()
        held = study.job_energy.filter(pl.col("duration_s") > 0)
        table = usage.concentration_table(study.job_energy, study.job_energy.clear())
        n = cell(table, "fewest with half of the energy", "n")
        said = concentration_figure.figure_title(
            concentration.jobs_by_duration(held.lazy()), held["total_kwh"]
        )
        assert f"({n} of {cell(table, 'all of known energy', 'n')})" in said

    def test_tables_without_energies_or_jobs_have_unknown_energies(self, tmp_path: Path) -> None:
        dark = shares_table([(1.0, None), (9.0, None)], [(10.0, None)])
        assert dark.note.startswith("No energy of a job is known.")
        assert group(dark, "Jobs, largest")[0] == ("of unknown energy", 2, None, 0, None, None)
        assert group(dark, "Jobs by the time")[-1] == ("all jobs", 2, 1.0, 0, None, None)
        assert "Gini" not in " ".join(dark.rows["group"])
        nothing = shares_table([], [])
        assert group(nothing, "Jobs by the time")[-1] == ("all jobs", 0, None, 0, 0.0, None)
        assert "all jobs" in written(nothing, tmp_path)["tex"]

    def test_jobs_of_zero_energy_are_of_known_energy(self) -> None:
        idle = group(shares_table([(1.0, 0.0)], []), "Jobs")
        assert idle[0] == ("all of known energy", 1, 1.0, 1, 0.0, None)


def time_table(nodes: pl.DataFrame, *, days: int, start: datetime = START) -> ReaderTable:
    end = start + timedelta(days=days)
    return usage.energy_over_time_table(nodes, start=start, end=end)


class TestEnergyOverTime:
    def test_many_days_are_printed_by_week_and_listed_in_the_csv(self) -> None:
        table = time_table(nodes_frame(40), days=40)
        assert len(table.rows) == 41
        assert table.title == "Energy of each week by class"
        weeks = table.printed().rows
        days = weeks.select("first_day", "last_day").rows()
        assert days[0] == ("2025-03-03", "2025-03-09")
        assert days[-2:] == [("2025-04-07", "2025-04-11"), ("all weeks", "")]
        assert weeks["total_kwh"].to_list() == pytest.approx([70.0] * 5 + [50.0, 400.0])
        assert "Shortened: the CSV has all 41 rows." in table.printed().note
        assert time_table(nodes_frame(31), days=31).printed_rows is not None
        assert len(time_table(nodes_frame(31), days=31).printed().rows) == 32

    def test_rows_by_day_end_with_their_sum(self) -> None:
        table = time_table(nodes_frame(2), days=2)
        assert headers(table) == [
            *("Day", "Job (kWh)", "Idle (kWh)", "Standby (kWh)", "All (kWh)"),
            *("Measured (%)", "Without readings (node h)", "Time with readings (%)"),
        ]
        names = [column.name for column in table.columns]
        assert table.rows.select(names).rows() == [
            ("2025-03-03", 6.0, 3.0, 1.0, 10.0, 1.0, pytest.approx(24.0), 0.5),
            ("2025-03-04", 6.0, 3.0, 1.0, 10.0, 1.0, pytest.approx(24.0), 0.5),
            ("all days", 12.0, 6.0, 2.0, 20.0, 1.0, pytest.approx(48.0), 0.5),
        ]
        assert table.rows["is_total"].to_list() == [False, False, True]
        assert table.title == "Energy of each day by class"

    def test_weeks_cut_by_the_study_have_the_days_inside(self) -> None:
        # from a Tuesday to a Saturday
        start = START + timedelta(days=1)
        nodes = nodes_frame(104).filter(pl.col("day") >= start.date())
        table = time_table(nodes, days=103, start=start)
        rows = table.rows.select("first_day", "last_day", "job", "daily_kwh").rows()
        assert rows[0] == ("2025-03-04", "2025-03-09", 36.0, pytest.approx(10.0))
        assert rows[1] == ("2025-03-10", "2025-03-16", 42.0, pytest.approx(10.0))
        assert rows[-2] == ("2025-06-09", "2025-06-14", 36.0, pytest.approx(10.0))
        assert rows[-1] == ("all weeks", "", pytest.approx(618.0), pytest.approx(10.0))
        assert headers(table)[:2] == ["First day", "Last day"]
        assert "All per day (kWh)" in headers(table)
        assert "A week that the study cuts" in table.note

    def test_rows_of_a_long_study_are_months(self) -> None:
        table = time_table(nodes_frame(40), days=1200)
        rows = table.rows.select("first_day", "last_day", "total_kwh").rows()
        assert rows[0] == ("2025-03-03", "2025-03-31", pytest.approx(290.0))
        assert rows[1] == ("2025-04-01", "2025-04-30", pytest.approx(110.0))
        assert rows[2][0] == "all months"

    def test_class_without_time_is_zero_and_day_without_data_is_unknown(
        self, tmp_path: Path
    ) -> None:
        first, second, third = (date(2025, 3, day) for day in (3, 4, 5))
        nodes = study_frames.node_energy_frame(
            [
                ("a-1", first, "job", 4.0, 24.0),
                ("a-1", second, "idle", 2.0, 18.0),
                ("a-1", second, "no_data", None, 6.0),
                ("a-1", third, "no_data", None, 24.0),
            ]
        )
        table = time_table(nodes, days=3)
        found = table.rows.select(
            "job", "idle", "total_kwh", "measured_frac", "coverage_frac"
        ).rows()
        assert found == [
            (4.0, 0.0, 4.0, 1.0, 1.0),
            (0.0, 2.0, 2.0, 1.0, 0.75),
            (None, None, None, None, 0.0),
            (4.0, 2.0, 6.0, 1.0, pytest.approx(42 / 72)),
        ]
        text = written(table, tmp_path)
        (row,) = (row for row in Page(text["html"]).rows if row[:1] == ["2025-03-05"])
        assert row[1:] == [*[formats.UNKNOWN_CELL] * 4, "24.0", "0.0"]
        assert "2025-03-05,,,,,24.0,0.0" in text["csv"]

    def test_note_without_nodes_or_readings_gives_the_reason(self, tmp_path: Path) -> None:
        empty = time_table(nodes_frame(2).clear(), days=2)
        assert empty.note.startswith("The study has no node.")
        assert len(written(empty, tmp_path)["csv"].splitlines()) == 1
        dark = time_table(nodes_frame(2).filter(pl.col("node") == "b-1"), days=2)
        assert dark.note.startswith("The energy of no node of the study is known.")
        assert dark.rows["total_kwh"].null_count() == 3
        assert cell(dark, "all days", "coverage_frac") == 0.0


def test_formats_of_usage_tables_have_every_row(tmp_path: Path) -> None:
    tables = [
        users_table(STUDY, year(2020, 50)),
        shares_table(list(TestConcentration.JOBS), [(1.0, 1.0)]),
        time_table(nodes_frame(92), days=92),
        time_table(nodes_frame(93), days=93),
    ]
    for table in tables:
        text = written(table, tmp_path)
        assert len(text["csv"].splitlines()) == 1 + len(table.rows)
        page = Page(text["html"])
        n_printed = len(table.printed().rows)
        assert len([row for row in page.rows if len(row) == len(table.columns)]) == 1 + n_printed
        floats = text["tex"].count(r"\begin{table}")
        assert floats == -(-n_printed // formats.MOST_ROWS)
        printed = [column for column in table.columns if column.printed]
        for line in tex_rows(text["tex"]):
            assert line.count("&") == len(printed) - 1
        assert text["tex"].isascii()
