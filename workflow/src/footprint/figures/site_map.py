"""A small map: where the sites of Grid'5000 are, and which of them is studied."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from footprint import sites
from footprint.figures import style

MIDDLE_DEG: Final = 46.5
"""Latitude at which a degree of longitude has its true length on the map."""

LAND: Final = "#eeeeee"


class Place(NamedTuple):
    """Where a name stands beside its dot, in points, and how it is aligned."""

    right: float
    up: float
    ha: str
    va: str


BESIDE: Final = Place(5, 0, "left", "center")
LEFT: Final = Place(-5, 0, "right", "center")
PLACES: Final = {
    "lille": LEFT,
    "orsay": LEFT,
    "sophia": LEFT,
    "toulouse": LEFT,
    "strasbourg": LEFT._replace(right=-4, up=-7),
    "nancy": LEFT,
    "reims": LEFT,
}
"""Those whose name would cover another's, or leave the map, to the right."""


def message(site: str) -> str:
    """What the map shows, in a sentence."""
    known = sites.known()
    n_open = known.filter("has_clusters").height
    text = f"Grid'5000 has clusters in {n_open} towns; "
    if site not in known["site"].to_list():
        return text + f"where the site of this study ({site}) is, is not known here"
    return text + f"this study is of {sites.town(site)}"


@style.styled
def plot(*, site: str, provenance: str) -> Figure:
    """Sites as dots on a sketch of the countries, that of the study large and in colour.

    Args:
        site: Site of the study.
        provenance: The foot line.
    """
    drawn = style.figure(
        width_mm=style.COLUMN_MM, height_mm=100, title=message(site), provenance=provenance
    )
    panels = drawn.subplot_mosaic([["map"], ["key"]], height_ratios=[14, 1])
    axes = panels["map"]
    axes.set_aspect(1 / math.cos(math.radians(MIDDLE_DEG)))
    axes.set_axis_off()
    for _, shape in sites.outline().group_by("outline", maintain_order=True):
        corners = shape.select("longitude_deg", "latitude_deg").to_numpy()
        axes.add_patch(Polygon(corners, facecolor=LAND, edgecolor="white", linewidth=0.8))
    axes.set_xlim(-5.2, 9.8)
    axes.set_ylim(41.2, 51.6)
    for row in sites.known().iter_rows(named=True):
        _site(axes, row, studied=row["site"] == site)
    axes.text(-5.1, 42.0, "Outlines are a sketch.", fontsize=6, color=style.GREY)
    _key(panels["key"], known=bool((sites.known()["site"] == site).any()))
    return drawn


def _site(axes: Axes, row: dict[str, Any], *, studied: bool) -> None:
    colour = style.ACCENT if studied else style.SEQUENCE[0]
    at = (row["longitude_deg"], row["latitude_deg"])
    axes.plot(*at, **_mark(colour, studied=studied, filled=row["has_clusters"]))
    place = PLACES.get(row["site"], BESIDE)
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


def _mark(colour: str, *, studied: bool, filled: bool) -> dict[str, Any]:
    return {
        "marker": "o",
        "linestyle": "none",
        "markersize": 7 if studied else 4.5,
        "markerfacecolor": colour if filled else "white",
        "markeredgecolor": colour,
    }


def _key(axes: Axes, *, known: bool) -> None:
    other = style.SEQUENCE[0]
    handles = [
        Line2D([], [], label="site", **_mark(other, studied=False, filled=True)),
        Line2D([], [], label="no clusters today", **_mark(other, studied=False, filled=False)),
    ]
    if known:
        mark = _mark(style.ACCENT, studied=True, filled=True)
        handles.insert(0, Line2D([], [], label="this study", **mark))
    style.key(axes, handles, columns=3)
