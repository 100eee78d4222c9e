"""Figure of the uncertainty budget: the share of each source, for the site and each paper.

`draw_shares` draws the budget of R as well (`ratio_uncertainty`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from footprint.core.vocabulary import MEASURED_METHOD
from footprint.report import wording
from footprint.report.budget import RATIO_SOURCE_NAMES, sort_sources, source_name
from footprint.report.figures import style

MOST_ROWS = 9
"""Most papers, those with most energy; a line of its own counts the rest."""
ROW_MM = 6.6
KEY_ROW_MM = 4.6

SOURCE_COLOURS: Mapping[str, str] = {
    "classification": "#8a6d3b",
    "meter": "#0b4f8a",
    "meter_by_run": "#7fb8de",
    "estimate_common": "#a6548f",
    "estimate_own": "#d9a5c7",
    "gaps": "#e08214",
    "sampling": "#2f9e73",
    "resolution": "#6b6b6b",
}

Row = dict[str, Any]


def figure_title(uncertainty: pl.DataFrame, levels: pl.DataFrame) -> str:
    """Title of the figure: the interval of the site, and its largest source.

    Args:
        uncertainty: `schemas.Uncertainty`.
        levels: `schemas.Levels`.
    """
    site = levels.filter(pl.col("level") == "site", pl.col("method") == MEASURED_METHOD)
    known = site.filter(pl.col("total_kwh").is_not_null())
    own = uncertainty.filter(pl.col("level") == "site").drop_nulls("share_frac")
    if known.is_empty() or own.is_empty():
        return "The uncertainty of the site's energy is unknown"
    row = known.row(0, named=True)
    total, interval = wording.energy_texts(
        row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
    )
    largest = own.sort("share_frac", "source", descending=[True, False]).row(0, named=True)
    name, _, detail = source_name(largest["source"]).partition(": ")
    return (
        f"Jobs at {row['name'].title()} used {total} (95 %: {interval}); "
        f"{wording.format_percent(largest['share_frac'])} of the variance comes from the {name}"
        + (f" ({detail})" if detail else "")
    )


@style.with_style
def plot(uncertainty: pl.DataFrame, levels: pl.DataFrame, *, provenance: str) -> Figure:
    """Bars of the shares of the variance by source, with the total and its interval.

    Args:
        uncertainty: `schemas.Uncertainty`.
        levels: `schemas.Levels`, for the totals.
        provenance: The foot line.
    """
    return draw_shares(
        _row_lines(uncertainty, levels),
        present_sources(uncertainty),
        title=figure_title(uncertainty, levels),
        of="the total",
        empty="No energy of the study is known.",
        provenance=provenance,
    )


def draw_shares(
    lines: list[Row], sources: list[str], *, title: str, of: str, empty: str, provenance: str
) -> Figure:
    """Draw bars of the shares of the variance by source, beside texts.

    Args:
        lines: Name, shares by source, and text of each row.
        sources: Sources in the order of the key.
        title: Title.
        of: Quantity whose variance it is, in the label of the axis.
        empty: Reason for no rows.
        provenance: The foot line.
    """
    key_rows = -(-len(sources) // 2)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=32 + ROW_MM * max(len(lines), 3) + KEY_ROW_MM * key_rows,
        title=title,
        provenance=provenance,
    )
    if not lines:
        style.draw_empty_panel(drawn.add_subplot(), empty)
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["bars", "numbers"]],
        height_ratios=[KEY_ROW_MM * key_rows, ROW_MM * max(len(lines), 3)],
        width_ratios=[1.3, 1],
    )
    bars, numbers = panels["bars"], panels["numbers"]
    handles = [Patch(color=_colour(name), label=source_name(name)) for name in sources]
    style.draw_key(panels["key"], handles, columns=2)
    for place, line in enumerate(lines):
        left = 0.0
        for name in sources:
            width = 100 * line["shares"].get(name, 0.0)
            bars.barh(place, width, left=left, height=0.7, color=_colour(name))
            left += width
        numbers.text(0.02, place, line["text"], va="center", fontsize=7)
    _format_axes(bars, numbers, lines, of)
    return drawn


def _colour(source: str) -> str:
    return SOURCE_COLOURS.get(source, style.FAINT)


def present_sources(uncertainty: pl.DataFrame) -> list[str]:
    """Sources with a part of the variance, in the order of the key.

    Args:
        uncertainty: `schemas.Uncertainty` or `schemas.RatioUncertainty`.
    """
    found = uncertainty.filter(pl.col("share_frac") > 0)["source"].unique().to_list()
    known = [name for name in RATIO_SOURCE_NAMES if name in found]
    return [*known, *sorted({*found} - {*known})]


def _row_lines(uncertainty: pl.DataFrame, levels: pl.DataFrame) -> list[Row]:
    """The site and the papers with most energy: name, shares by source, and the total in words."""
    totals = {
        (row["level"], row["name"]): row
        for row in levels.filter(
            pl.col("method") == MEASURED_METHOD, pl.col("total_kwh").is_not_null()
        ).iter_rows(named=True)
    }
    shares: dict[tuple[str, str], dict[str, float]] = {}
    for row in sort_sources(uncertainty).drop_nulls("share_frac").iter_rows(named=True):
        shares.setdefault((row["level"], row["name"]), {})[row["source"]] = row["share_frac"]
    keys = [key for key in shares if key in totals]
    site = [key for key in keys if key[0] == "site"]
    papers = sorted(
        (key for key in keys if key[0] == "paper"),
        key=lambda key: (-totals[key]["total_kwh"], key[1]),
    )
    lines = [
        {
            "name": f"jobs of {name}" if level == "site" else name,
            "shares": shares[level, name],
            "text": wording.format_row_total(totals[level, name]),
        }
        for level, name in [*site, *papers[:MOST_ROWS]]
    ]
    if len(papers) > MOST_ROWS:
        rest = f"{len(papers) - MOST_ROWS} more papers"
        lines.append({"name": rest, "shares": {}, "text": "see the table"})
    return lines


def _format_axes(bars: Axes, numbers: Axes, lines: list[Row], of: str) -> None:
    bars.set_yticks(range(len(lines)), [line["name"] for line in lines])
    for axes in (bars, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    bars.tick_params(axis="y", length=0)
    bars.spines["left"].set_visible(False)
    bars.set_xlim(0, 100)
    bars.set_xlabel(f"Part of the variance of {of} (%)")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
