"""Figure of the uncertainty budget of R: the share of each source, for each paper and project."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from footprint.levels.levels import is_named
from footprint.phases.ratio import SCOPES
from footprint.report import wording
from footprint.report.budget import source_name
from footprint.report.figures import style
from footprint.report.figures import uncertainty as shares_figure

MOST_ROWS = 9
"""Most papers and projects, those whose R is most uncertain; a line of its own counts the rest."""

NO_RATIO = "No paper and no project has an R."


def figure_title(uncertainty: pl.DataFrame) -> str:
    """Title of the figure: the largest source of the paper whose R is most uncertain.

    Args:
        uncertainty: `schemas.RatioUncertainty`.
    """
    known = uncertainty.drop_nulls("share_frac").filter(is_named())
    if known.is_empty():
        return "The uncertainty of R is unknown"
    largest = known.sort(
        pl.col("scope").cast(pl.Enum(SCOPES)),
        "standard_uncertainty_frac",
        "name",
        "source",
        descending=[False, True, False, False],
    ).row(0, named=True)
    name, _, detail = source_name(largest["source"]).partition(": ")
    return (
        f"R of {largest['name']} is uncertain mostly by the {name}"
        + (f" ({detail})" if detail else "")
        + f": {wording.format_percent(largest['share_frac'])} of its variance"
    )


@style.with_style
def plot(uncertainty: pl.DataFrame, ratio: pl.DataFrame, *, provenance: str) -> Figure:
    """Bars of the shares of the variance of R by source, with R and its interval.

    Args:
        uncertainty: `schemas.RatioUncertainty`.
        ratio: `schemas.PhaseRatio`, for R and its intervals.
        provenance: The foot line.
    """
    return shares_figure.draw_shares(
        _row_lines(uncertainty, ratio),
        shares_figure.present_sources(uncertainty),
        title=figure_title(uncertainty),
        of="R",
        empty=NO_RATIO,
        provenance=provenance,
    )


def _row_lines(uncertainty: pl.DataFrame, ratio: pl.DataFrame) -> list[shares_figure.Row]:
    """Papers and projects, the most uncertain first: name, shares by source, and R in words."""
    of_ratios = {
        (row["scope"], row["name"]): row
        for row in ratio.filter(pl.col("ratio").is_not_null()).iter_rows(named=True)
    }
    shares: dict[tuple[str, str], dict[str, float]] = {}
    variances: dict[tuple[str, str], float] = {}
    for row in uncertainty.drop_nulls("share_frac").iter_rows(named=True):
        key = (row["scope"], row["name"])
        shares.setdefault(key, {})[row["source"]] = row["share_frac"]
        variances[key] = variances.get(key, 0.0) + row["standard_uncertainty_frac"] ** 2
    keys = sorted(
        (key for key in shares if key in of_ratios),
        key=lambda key: (SCOPES.index(key[0]), -variances[key], key[1]),
    )
    lines: list[shares_figure.Row] = [
        {
            "name": name if scope == "paper" else f"project {name}",
            "shares": shares[scope, name],
            "text": _ratio_text(of_ratios[scope, name]),
        }
        for scope, name in keys[:MOST_ROWS]
    ]
    if len(keys) > MOST_ROWS:
        rest = f"{len(keys) - MOST_ROWS} more"
        lines.append({"name": rest, "shares": {}, "text": "see the table"})
    return lines


def _ratio_text(row: shares_figure.Row) -> str:
    value, interval = wording.ratio_texts(row["ratio"], row["ratio_low"], row["ratio_high"])
    return f"R = {value}" + (f" (95 %: {interval})" if interval else "")
