"""Uncertainty budgets of the site and of shown papers."""

import polars as pl
import pytest

from footprint.levels import budgets
from footprint.schemas.totals import Uncertainty
from footprint.schemas.writing import conform
from tests.support import study_frames
from tests.support.figure_checks import levels_of_study


def built(study: study_frames.StudyFrames, levels: pl.DataFrame) -> pl.DataFrame:
    rows = budgets.budget_of_levels(
        levels,
        study.job_energy.lazy(),
        study.job_nodes.lazy(),
        study.papers.lazy(),
        site="nancy",
        model=study_frames.ERROR_MODEL,
    )
    return pl.DataFrame(conform(Uncertainty, rows))


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study(n_jobs=120)


def test_budget_has_the_site_and_each_shown_paper(study: study_frames.StudyFrames) -> None:
    levels = levels_of_study(study)
    found = built(study, levels)
    groups = set(found.select("level", "name").iter_rows())
    assert groups == {("site", "nancy"), ("paper", "enhancement-2025")}
    hidden = levels.with_columns(name=pl.col("name").replace("enhancement-2025", "others"))
    assert set(built(study, hidden)["level"]) == {"site"}


def test_budget_agrees_with_the_levels(study: study_frames.StudyFrames) -> None:
    levels = levels_of_study(study)
    of_rows = levels.filter(pl.col("method") == "bmc").select(
        "level", "name", "total_kwh", "total_low_kwh", "total_high_kwh"
    )
    found = built(study, levels).join(of_rows, on=["level", "name"])
    # each source alone has an interval around the total that is no wider than that of all
    assert (found["low_kwh"] <= found["total_kwh"] * (1 + 1e-12)).all()
    assert (found["high_kwh"] >= found["total_kwh"] * (1 - 1e-12)).all()
    widths = found.select(
        part=pl.col("high_kwh") - pl.col("low_kwh"),
        whole=pl.col("total_high_kwh") - pl.col("total_low_kwh"),
    )
    assert (widths["part"] <= 1.01 * widths["whole"]).all()
    shares = found.group_by("level").agg(pl.col("share_frac").sum())
    assert shares["share_frac"].to_list() == pytest.approx([1.0, 1.0])
    meter = found.filter(pl.col("source") == "meter", pl.col("level") == "site").row(0, named=True)
    # the middle of 0.95 to 1.15, of what was measured and of estimates from readings
    assert meter["mean_shift_kwh"] == pytest.approx(0.05 * meter["total_kwh"])
