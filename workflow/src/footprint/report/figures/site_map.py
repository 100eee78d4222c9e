"""Small map of the sites of Grid'5000, with the site of the study marked."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from footprint.report import sites
from footprint.report.figures import style

TRUE_LATITUDE_DEG: Final = 46.5
"""Latitude at which the map has the true length of a degree of longitude."""

LAND_COLOUR: Final = "#eeeeee"


class NamePlace(NamedTuple):
    """Place of a name beside its dot, in points, and its alignment."""

    right: float
    up: float
    ha: str
    va: str


RIGHT_OF_DOT: Final = NamePlace(5, 0, "left", "center")
LEFT_OF_DOT: Final = NamePlace(-5, 0, "right", "center")
NAME_PLACES: Final = {
    "lille": LEFT_OF_DOT,
    "orsay": LEFT_OF_DOT,
    "sophia": LEFT_OF_DOT,
    "toulouse": LEFT_OF_DOT,
    "strasbourg": LEFT_OF_DOT._replace(right=-4, up=-7),
    "nancy": LEFT_OF_DOT,
    "reims": LEFT_OF_DOT,
}
"""Places of names that would cover another name or leave the map on the right."""


def figure_title(site: str) -> str:
    """Title of the map: the number of towns with clusters, and the site of the study."""
    known = sites.site_table()
    n_open = known.filter("has_clusters").height
    text = f"Grid'5000 has clusters in {n_open} towns; "
    if site not in known["site"].to_list():
        return text + f"the place of this study's site ({site}) is unknown here"
    return text + f"this study is of {sites.town_name(site)}"


@style.with_style
def plot(*, site: str, provenance: str) -> Figure:
    """Sites as dots on a sketch of the countries, the site of the study large and in colour.

    Args:
        site: Site of the study.
        provenance: The foot line.
    """
    drawn = style.new_figure(
        width_mm=style.COLUMN_MM, height_mm=100, title=figure_title(site), provenance=provenance
    )
    panels = drawn.subplot_mosaic([["map"], ["key"]], height_ratios=[14, 1])
    axes = panels["map"]
    axes.set_aspect(1 / math.cos(math.radians(TRUE_LATITUDE_DEG)))
    axes.set_axis_off()
    for _, shape in sites.outline_corners().group_by("outline", maintain_order=True):
        corners = shape.select("longitude_deg", "latitude_deg").to_numpy()
        axes.add_patch(Polygon(corners, facecolor=LAND_COLOUR, edgecolor="white", linewidth=0.8))
    axes.set_xlim(-5.2, 9.8)
    axes.set_ylim(41.2, 51.6)
    for row in sites.site_table().iter_rows(named=True):
        _draw_site(axes, row, studied=row["site"] == site)
    axes.text(-5.1, 42.0, "Outlines are a sketch.", fontsize=6, color=style.GREY)
    _draw_key(panels["key"], known=bool((sites.site_table()["site"] == site).any()))
    return drawn


def _draw_site(axes: Axes, row: dict[str, Any], *, studied: bool) -> None:
    colour = style.ACCENT if studied else style.COLOUR_SEQUENCE[0]
    at = (row["longitude_deg"], row["latitude_deg"])
    axes.plot(*at, **_dot_look(colour, studied=studied, filled=row["has_clusters"]))
    place = NAME_PLACES.get(row["site"], RIGHT_OF_DOT)
    axes.annotate(
        row["town"],
        at,
        xytext=(place.right, place.up),
        textcoords="offset points",
        ha=place.ha,
        va=place.va,
        fontsize=8 if studied else 7,
        fontweight="bold" if studied else "normal",
        color=style.ACCENT if studied else style.INK,
    )


def _dot_look(colour: str, *, studied: bool, filled: bool) -> dict[str, Any]:
    return {
        "marker": "o",
        "linestyle": "none",
        "markersize": 7 if studied else 4.5,
        "markerfacecolor": colour if filled else "white",
        "markeredgecolor": colour,
    }


def _draw_key(axes: Axes, *, known: bool) -> None:
    other = style.COLOUR_SEQUENCE[0]
    handles = [
        Line2D([], [], label="site", **_dot_look(other, studied=False, filled=True)),
        Line2D([], [], label="no clusters today", **_dot_look(other, studied=False, filled=False)),
    ]
    if known:
        mark = _dot_look(style.ACCENT, studied=True, filled=True)
        handles.insert(0, Line2D([], [], label="this study", **mark))
    style.draw_key(axes, handles, columns=3)
