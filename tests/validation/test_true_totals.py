"""Totals and ratios of a simulated study against their true values, by hand-computed cases."""

from typing import Any

import polars as pl
import pytest

from footprint.report.truth_sentence import truth_sentences
from footprint.schemas.validation import AgainstTruth
from footprint.schemas.writing import conform
from footprint.validation import true_totals

# two jobs of the project `speech`, one of none; the third is on a node without readings
JOBS = pl.DataFrame(
    {
        "job_id": [1, 2, 3],
        "user": ["u-1", "u-2", "u-2"],
        "project": ["speech", "speech", None],
        "n_nodes": [1, 1, 1],
        "duration_s": [3600.0, 3600.0, 3600.0],
        "total_kwh": [10.0, 4.0, 6.0],
        "total_low_kwh": [9.0, 3.0, 3.0],
        "total_high_kwh": [12.0, 4.5, 9.0],
    }
)
JOB_NODES = pl.DataFrame({"job_id": [1, 2, 3], "node": ["a-1", "a-1", "b-1"]})
TRUTH = pl.DataFrame(
    {
        "job_id": [1, 2, 2, 3],
        "node": ["a-1", "a-1", "z-1", "b-1"],  # z-1 is not in the study
        "true_kwh": [11.0, 5.0, 70.0, 8.0],
        "metered_kwh": [10.0, 4.0, None, None],
    }
)
KINDS = pl.DataFrame({"job_id": [1, 2, 3], "phase": ["training", "development", "development"]})
LABELS = pl.DataFrame({"job_id": [1, 2], "paper": ["singing", "singing"]})


def level_row(
    level: str, name: str, total: float, low: float, high: float, **columns: Any
) -> dict[str, Any]:
    row = {"level": level, "name": name, "method": "bmc", "total_kwh": total}
    return row | {"total_low_kwh": low, "total_high_kwh": high, "unknown_node_h": 0.0} | columns


SITE = level_row("site", "nancy", 20.0, 17.0, 25.0)


def compare(
    *levels: dict[str, Any], ratio: dict[str, Any] | None = None, jobs: pl.DataFrame = JOBS
) -> pl.DataFrame:
    """Comparison of rows of the levels, and of R of the paper `singing`, which is 0.4 if found."""
    energies = true_totals.true_energies(
        jobs.lazy(),
        JOB_NODES.lazy(),
        truth=TRUTH.lazy(),
        kinds=KINDS.lazy(),
        labels=LABELS.lazy(),
    )
    of_paper = {"scope": "paper", "name": "singing", "ratio": 0.4}
    of_paper |= {"ratio_low": 0.3, "ratio_high": 0.44} | (ratio or {})
    found = true_totals.compare_totals(
        energies,
        pl.LazyFrame(levels or [SITE]),
        pl.LazyFrame(
            [of_paper], schema_overrides=dict.fromkeys(("ratio", "ratio_high"), pl.Float64)
        ),
    )
    return conform(AgainstTruth, found)


def row_of(found: pl.DataFrame, level: str, name: str) -> dict[str, Any]:
    own = found.filter(pl.col("level") == level, pl.col("name") == name)
    return own.row(0, named=True)


def test_truth_of_site_is_the_energy_drawn_on_nodes_of_the_study() -> None:
    row = row_of(compare(), "site", "nancy")
    assert (row["truth"], row["unit"], row["is_inside"]) == (24.0, "kWh", True)
    assert (row["n_compared"], row["n_inside"], row["miss_half_widths"]) == (1, 1, 0.0)
    assert row["error_frac"] == pytest.approx(20 / 24 - 1)


@pytest.mark.parametrize(
    ("low", "high", "miss"),
    [(12.0, 15.0, 1 / 1.5), (18.0, 26.0, 0.5), (16.0, 16.0, 0.0), (10.0, 16.0, 0.0)],
)
def test_miss_is_the_distance_from_the_nearer_end_in_half_widths(
    low: float, high: float, miss: float
) -> None:
    found = compare(SITE, level_row("project", "speech", (low + high) / 2, low, high))
    row = row_of(found, "project", "speech")  # 16 kWh are true
    assert row["miss_half_widths"] == pytest.approx(miss)
    assert row["is_inside"] is (miss == 0)
    assert row["n_inside"] == (miss == 0)


def test_total_with_unknown_time_has_no_upper_end() -> None:
    found = compare(SITE | {"unknown_node_h": 2.0, "total_high_kwh": 21.0})
    row = row_of(found, "site", "nancy")
    assert (row["high"], row["is_inside"]) == (None, True)
    assert row_of(compare(SITE | {"total_high_kwh": 21.0}), "site", "nancy")["is_inside"] is False


def test_merged_projects_have_the_truth_of_the_groups_that_are_not_shown() -> None:
    merged = level_row("project", "others (small groups)", 6.0, 3.0, 9.0)
    found = compare(SITE, level_row("project", "speech", 14.0, 13.0, 17.0), merged)
    assert row_of(found, "project", "others (small groups)")["truth"] == 8.0
    alone = compare(SITE, level_row("project", "(no project)", 6.0, 3.0, 9.0))
    assert row_of(alone, "project", "(no project)")["truth"] == 8.0


def test_papers_are_compared_by_labels_and_merged_papers_are_left_out() -> None:
    found = compare(
        SITE,
        level_row("paper", "singing", 14.0, 13.0, 17.0),
        level_row("paper", "others (small groups)", 6.0, 3.0, 9.0),
        level_row("user", "u-2", 10.0, 9.0, 12.0),
    )
    of_papers = found.filter(pl.col("level") == "paper")
    assert of_papers.select("name", "truth").rows() == [("singing", 16.0)]
    assert row_of(found, "user", "u-2")["miss_half_widths"] == pytest.approx(1 / 1.5)


def test_levels_by_estimators_and_without_energy_are_not_compared() -> None:
    found = compare(
        SITE,
        SITE | {"method": "green_algorithms@3.0"},
        SITE | {"level": "project", "name": "speech", "total_kwh": None},
        SITE | {"level": "overhead", "name": "idle"},
    )
    assert found["level"].to_list() == ["site", "ratio", "job"]


def test_true_ratio_is_that_of_true_energies_of_true_phases() -> None:
    row = row_of(compare(), "ratio", "singing")
    assert (row["truth"], row["unit"]) == (pytest.approx(5 / 11), "1")
    assert row["is_inside"] is False
    assert row["miss_half_widths"] == pytest.approx((5 / 11 - 0.44) / 0.07)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ratio": None}, []),
        ({"scope": "project"}, []),
        ({"name": "others (small groups)"}, []),
        ({"ratio_high": None}, [(True, 0.0)]),
    ],
)
def test_ratio_is_compared_for_papers_that_have_one(
    changes: dict[str, Any], expected: list[tuple[bool, float]]
) -> None:
    own = compare(ratio=changes).filter(pl.col("level") == "ratio")
    assert own.select("is_inside", "miss_half_widths").rows() == expected


def test_jobs_are_counted_with_those_whose_interval_contains_the_truth() -> None:
    row = row_of(compare(), "job", "all jobs")
    assert (row["n_compared"], row["n_inside"], row["is_inside"]) == (3, 2, None)
    assert (row["total"], row["truth"], row["low"]) == (20.0, 24.0, None)
    unknown = JOBS.with_columns(total_kwh=pl.Series([None, 4.0, 6.0]))
    assert row_of(compare(jobs=unknown), "job", "all jobs")["n_compared"] == 2


def test_sentence_counts_totals_and_ratios() -> None:
    found = compare(SITE, level_row("project", "speech", 14.0, 13.0, 15.0))
    assert truth_sentences(found) == [
        "The 95 % intervals of 1 of 2 totals (site, projects, users and papers) and 0 of 1 R of "
        "this run contain the true value, which is known only on a simulated site."
    ]
    without = compare(ratio={"ratio": None})
    assert truth_sentences(without)[0].startswith("The 95 % intervals of 1 of 1 totals (site, ")
    assert " R " not in truth_sentences(without)[0]
    assert truth_sentences(None) == truth_sentences(found.clear()) == []
