"""Figure of the training compute of notable AI models by date of publication, with eras."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl
from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from footprint.report import wording
from footprint.report.figures import style
from footprint.report.notable_models import (
    DEEP_LEARNING_START,
    DOUBLING_MONTHS,
    LARGE_SCALE_START,
    Trend,
    fit_trend,
    list_provenance,
)

DOMAIN_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "language": ("Language",),
    "images and video": ("Vision", "Image generation", "Video"),
    "games": ("Games",),
    "speech and sound": ("Speech", "Audio"),
    "several of these": ("Multimodal",),
    "other": (),
}
"""Domains of models, with the words of Epoch AI's list for each."""

DOMAIN_COLOURS: Final = dict(zip(DOMAIN_WORDS, style.COLOUR_SEQUENCE, strict=True))

TREND_COLOUR: Final = "#1a1a1a"


@dataclass(frozen=True)
class NamePlace:
    """Place of the name of a model beside its mark.

    Attributes:
        also: Names of the model in Epoch AI's list.
        right_pt: Distance from the mark to the end of the name (its start, if positive), in points.
        up_pt: Height of the name above the mark, in points.
    """

    also: tuple[str, ...] = ()
    right_pt: float = -6.0
    up_pt: float = 0.0


# set by hand, because the models of the past do not change
NAME_PLACES: Final[Mapping[str, NamePlace]] = {
    "Perceptron Mark I": NamePlace(right_pt=2, up_pt=12),
    "Neocognitron": NamePlace(right_pt=6, up_pt=-5),
    "NETtalk": NamePlace(("NetTalk (transcription)", "NetTalk"), up_pt=6),
    "TD-Gammon": NamePlace(up_pt=4),
    "LeNet-5": NamePlace(right_pt=6, up_pt=-3),
    "AlexNet": NamePlace(up_pt=2),
    "VGG-16": NamePlace(("VGG16",), up_pt=-1),
    "AlphaGo Lee": NamePlace(up_pt=2),
    "AlphaGo Zero": NamePlace(up_pt=0),
    "Transformer": NamePlace(("Transformer (2017)",), right_pt=5, up_pt=-11),
    "BERT-Large": NamePlace(right_pt=6, up_pt=-7),
    "GPT-2": NamePlace(("GPT-2 (1.5B)", "GPT-2 (1542M)"), right_pt=6, up_pt=-4),
    "GPT-3": NamePlace(("GPT-3 175B (davinci)",), right_pt=-32, up_pt=10),
    "PaLM": NamePlace(("PaLM (540B)",)),
    "GPT-4": NamePlace(("GPT-4 (Mar 2023)",), up_pt=1),
    "Gemini 1.0 Ultra": NamePlace(right_pt=-9, up_pt=10),
}

SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

FIGURE_NOTE: Final = (
    "Lines: least squares on the logarithm of the models drawn. Eras, and their doubling times "
    "after Sevilla et al. 2022 (arXiv:2202.05924), from other models: "
    + ", ".join(f"{name} {months} months" for name, months in DOUBLING_MONTHS.items())
    + "."
)


def figure_title(before: Trend | None, since: Trend | None) -> str:
    """Title of the figure, from the trends before and since 2010."""
    if since is None:
        return "Training compute of notable AI models, by date of publication"
    what = "the training compute of notable AI models"
    text = f"Since 2010, {what} has doubled about every {_format_months(since)}"
    if before is None or before.doubling_months <= since.doubling_months:
        return text
    return f"{text}, not every {_format_months(before)} as before"


@style.with_style
def plot(models: pl.DataFrame) -> Figure:
    """A mark for each model on a logarithmic axis, some with their names.

    Args:
        models: `schemas.NotableModels`; the foot line names the source of the list.
    """
    known = models.filter(pl.col("training_flop").is_not_null()).sort("published_on", "model")
    before, since = (
        fit_trend(known, before=DEEP_LEARNING_START),
        fit_trend(known, since=DEEP_LEARNING_START),
    )
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=112,
        title=figure_title(before, since),
        provenance=list_provenance(models),
    )
    if known.is_empty():
        style.draw_empty_panel(
            drawn.add_subplot(), "No model with a known training compute is listed."
        )
        return drawn
    panels = drawn.subplot_mosaic([["key"], ["models"], ["note"]], height_ratios=[1, 18, 1.6])
    kinds = known["domain"].map_elements(domain_group, return_dtype=pl.String, skip_nulls=False)
    _draw_key(panels["key"], set(kinds))
    axes = panels["models"]
    _format_axes(axes, known)
    _draw_eras(axes)
    for kind, colour in DOMAIN_COLOURS.items():
        own = known.filter(kinds == kind)
        axes.plot(
            _date_numbers(own["published_on"]),
            own["training_flop"].to_list(),
            marker="o",
            markersize=3.5,
            linestyle="none",
            markerfacecolor=colour,
            markeredgecolor="white",
            markeredgewidth=0.3,
        )
    for line in (before, since):
        if line is not None:
            _draw_trend(axes, line)
    _write_names(axes, known)
    style.draw_note(drawn, panels["note"], [FIGURE_NOTE])
    return drawn


def domain_group(listed: str | None) -> str:
    """The one of `DOMAIN_WORDS` to which the listed domains of a model belong."""
    words = {word.strip() for word in (listed or "").split(",")}
    found = {name for name, own in DOMAIN_WORDS.items() if words & set(own)}
    if len(found) > 1:
        return "several of these"
    return found.pop() if found else "other"


def power_of_ten(flop: float) -> str:
    """A power of ten with a superscript, such as 10²⁴."""
    return f"10{str(round(math.log10(flop))).translate(SUPERSCRIPTS)}"


def _format_months(line: Trend) -> str:
    """The doubling time in whole months, the precision of a list chosen by hand."""
    months = max(1, round(line.doubling_months))
    return f"{wording.format_count(months)}{wording.NARROW_SPACE}months" if months > 1 else "month"


def _date_numbers(column: pl.Series) -> list[float]:
    return [float(mdates.date2num(day)) for day in column.to_list()]


def _date_number(day: date) -> float:
    return float(mdates.date2num(day))


def _draw_key(axes: Axes, kinds: set[Any]) -> None:
    marks = [
        Line2D([], [], marker="o", markersize=4, linestyle="none", color=colour, label=name)
        for name, colour in DOMAIN_COLOURS.items()
        if name in kinds
    ]
    style.draw_key(axes, marks, columns=len(marks))


def _format_axes(axes: Axes, known: pl.DataFrame) -> None:
    logs = known["training_flop"].log10()
    low, high = float(logs.min() or 0.0), float(logs.max() or 0.0)  # type: ignore[arg-type]
    # room above for the name of the largest
    bottom, top = 3 * math.floor((low - 0.5) / 3), high + 2
    axes.set_yscale("log")
    axes.set_ylim(10.0**bottom, 10.0**top)
    majors = range(bottom, math.floor(top) + 1, 3)
    axes.yaxis.set_major_locator(FixedLocator([10.0**each for each in majors]))
    axes.yaxis.set_minor_locator(
        FixedLocator([10.0**n for n in range(bottom, math.floor(top) + 1)])
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda flop, _: power_of_ten(flop)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Operations of the training (FLOP)")
    years = known["published_on"].dt.year()
    first, last = int(years.min() or 0), int(years.max() or 0)  # type: ignore[arg-type]
    axes.set_xlim(
        _date_number(date(min(first - 2, 1955), 1, 1)),
        _date_number(date(max(last + 3, 2027), 1, 1)),
    )
    axes.xaxis.set_major_locator(mdates.YearLocator(10))
    axes.xaxis.set_minor_locator(mdates.YearLocator(1))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))
    axes.set_xlabel("Published")


def _draw_eras(axes: Axes) -> None:
    """Draw a band for each era, with its name in one line or several."""
    left, right = axes.get_xlim()
    starts = [left, _date_number(DEEP_LEARNING_START), _date_number(LARGE_SCALE_START), right]
    for place, name in enumerate(DOUBLING_MONTHS):
        low, high = starts[place : place + 2]
        if place:
            axes.axvspan(low, high, color=style.GREY, alpha=0.06 * place, lw=0, zorder=0)
            axes.axvline(low, color=style.GREY, lw=0.6, linestyle=":", zorder=0.5)
        axes.text(
            (low + high) / 2,
            1.01,
            name.replace(" ", "\n") if place else name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=7,
            color=style.GREY,
            linespacing=1.1,
        )


def _draw_trend(axes: Axes, line: Trend) -> None:
    (first, start), (last, end) = line.ends
    axes.plot(
        [_date_number(first), _date_number(last)],
        [start, end],
        color=TREND_COLOUR,
        lw=0.8,
        zorder=1.5,
    )


def _write_names(axes: Axes, known: pl.DataFrame) -> None:
    listed = {row["model"]: row for row in reversed(known.to_dicts())}
    for name, place in NAME_PLACES.items():
        row = next((listed[each] for each in (name, *place.also) if each in listed), None)
        if row is None:
            continue
        at = (_date_number(row["published_on"]), row["training_flop"])
        ring: dict[str, Any] = {
            "markerfacecolor": DOMAIN_COLOURS[domain_group(row["domain"])],
            "markeredgecolor": style.INK,
        }
        axes.plot(*at, marker="o", markersize=3.8, markeredgewidth=0.7, zorder=4, **ring)
        offset: dict[str, Any] = {
            "xytext": (place.right_pt, place.up_pt),
            "textcoords": "offset points",
        }
        if abs(place.right_pt) > 10 or abs(place.up_pt) > 8:
            look = {"arrowstyle": "-", "color": style.INK, "lw": 0.5, "shrinkA": 0, "shrinkB": 2}
            axes.annotate("", at, arrowprops=look, zorder=4, **offset)
        axes.annotate(
            name,
            at,
            ha="left" if place.right_pt > 0 else "right",
            va="center",
            fontsize=7,
            zorder=5,
            # an outline would turn the text into paths in the SVG
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "alpha": 0.65, "lw": 0},
            **offset,
        )
