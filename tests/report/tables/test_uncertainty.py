"""Readers' tables and figure of the uncertainty budget, and the table of the virtual meter."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from matplotlib.colors import to_hex

from footprint.report import budget
from footprint.report.figures import uncertainty as budget_figure
from footprint.report.tables import formats, uncertainty
from footprint.schemas.gaps import VirtualMeter
from footprint.schemas.levels import Levels
from footprint.schemas.totals import Uncertainty
from footprint.totals.group_totals import SOURCES
from tests.report.test_summary import frame, level
from tests.support.figure_checks import assert_legible, title_text, written_text
from tests.support.study_frames import PROVENANCE


def source(level: str, name: str, source: str, share_frac: float) -> dict[str, Any]:
    row = {"level": level, "name": name, "source": source, "share_frac": share_frac}
    row |= {"evaluation": "B", "distribution": "rectangular", "mean_shift_kwh": 5.0}
    row |= {"standard_uncertainty_kwh": 12.34, "low_kwh": 90.0, "high_kwh": 120.0}
    return row | {"correlated_over": "nodes of a cluster"}


BUDGET = frame(
    Uncertainty,
    [
        source("paper", "singing", "estimate_common", 1.0),
        source("site", "nancy", "sampling", 0.05),
        source("site", "nancy", "meter", 0.7),
        source("site", "nancy", "estimate_common", 0.25),
    ],
)
LEVELS = frame(
    Levels, [level("site", "nancy", 1000.0), level("paper", "singing", 52.0, measured_frac=0.3)]
)


def test_every_source_of_the_budget_has_a_name_and_a_colour() -> None:
    assert set(SOURCES) == set(budget.SOURCE_NAMES) <= set(budget_figure.SOURCE_COLOURS)


def test_budget_table_has_the_site_first_and_the_meters_before_estimates() -> None:
    table = uncertainty.uncertainty_table(BUDGET)
    assert table.rows.select("group", "source", "share_frac").rows() == [
        ("Jobs of nancy", "meters: true power over reading", 0.7),
        ("Jobs of nancy", "estimates: common error", 0.25),
        ("Jobs of nancy", "time between readings", 0.05),
        ("singing", "estimates: common error", 1.0),
    ]
    for text in (formats.table_html, formats.table_csv, formats.table_latex):
        assert text(table, provenance="p")
        assert text(uncertainty.uncertainty_table(BUDGET.clear()), provenance="p")


def test_budget_figure_has_shares_and_the_printed_totals() -> None:
    figure = budget_figure.plot(BUDGET, LEVELS, provenance=PROVENANCE)
    (axes,) = (axes for axes in figure.axes if axes.get_label() == "bars")
    widths = {
        to_hex(bar.get_facecolor()): bar.get_width() for bar in axes.patches[::2] if bar.get_y() < 0
    }
    assert widths[budget_figure.SOURCE_COLOURS["meter"]] == pytest.approx(70.0)
    assert "1.00 MWh (95 %: 0.90 to 1.20; 75 % measured)" in written_text(figure)
    assert "an estimated 52 kWh (95 %: 47 to 62; 30 % measured)" in written_text(figure)
    assert title_text(figure) == (
        "Jobs at Nancy used 1.00 MWh (95 %: 0.90 to 1.20); 70 % of the variance comes from the "
        "meters (true power over reading)"
    )
    assert_legible(figure)


def test_budget_figure_without_energy_gives_the_reason() -> None:
    for budget_rows, levels in ((BUDGET, LEVELS.clear()), (BUDGET.clear(), LEVELS)):
        figure = budget_figure.plot(budget_rows, levels, provenance=PROVENANCE)
        assert title_text(figure) == "The uncertainty of the site's energy is unknown"
        assert "No energy of the study is known." in written_text(figure)
        assert_legible(figure)


def cluster(cluster: str, basis: str, **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"basis": basis, "cluster": cluster, "is_measured": True}
    row |= {"is_extrapolated": False, "measured_kwh": 200.0, "predicted_kwh": 210.0}
    return row | {"cluster_sd_log": 0.1, "run_sd_log": 0.05} | columns


def test_virtual_meter_table_has_the_error_of_each_cluster_left_out() -> None:
    nothing = {"is_measured": False, "measured_kwh": None, "predicted_kwh": None}
    table = uncertainty.virtual_meter_table(
        frame(
            VirtualMeter,
            [
                cluster("dark", "hardware", **nothing, is_extrapolated=True),
                cluster("gros", "hardware", predicted_kwh=150.0),
                cluster("dark", "virtual_meter", **nothing),
                cluster("gros", "virtual_meter"),
            ],
        )
    )
    # 210 instead of 200 kWh; 150 instead of 200 kWh
    assert table.rows.select("cluster", "readings", "error_frac").rows() == [
        ("gros", "with readings", pytest.approx(0.05)),
        ("dark", "none", None),
        ("gros", "with readings", pytest.approx(-0.25)),
        ("dark", "none, outside the range", None),
    ]
    assert table.rows["group"].n_unique() == 2
    assert formats.table_latex(table, provenance="p").isascii()
    empty = uncertainty.virtual_meter_table(pl.DataFrame(schema=table.rows.schema).head(0))
    assert empty.rows.is_empty()
