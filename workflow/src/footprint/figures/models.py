"""Training compute of notable AI models against their publication, with the eras of it."""

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

from footprint.figures import style
from footprint.models import DEEP_LEARNING, DOUBLING_MONTHS, LARGE_SCALE, Trend, trend

DOMAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "language": ("Language",),
    "images and video": ("Vision", "Image generation", "Video"),
    "games": ("Games",),
    "speech and sound": ("Speech", "Audio"),
    "several of these": ("Multimodal",),
    "other": (),
}
"""What models are for, by the words that Epoch AI's list has for it."""

COLOURS: Final = dict(zip(DOMAINS, style.SEQUENCE, strict=True))

TREND: Final = "#1a1a1a"


@dataclass(frozen=True)
class Named:
    """A model whose name is written beside its mark.

    Attributes:
        also: What Epoch AI's list calls it.
        right_pt: Where its name ends (or starts, if positive) from the mark, in points.
        up_pt: How far above the mark it stands.
    """

    also: tuple[str, ...] = ()
    right_pt: float = -6.0
    up_pt: float = 0.0


# Where names stand is set by hand: the past does not move.
NAMED: Final[Mapping[str, Named]] = {
    "Perceptron Mark I": Named(right_pt=2, up_pt=12),
    "Neocognitron": Named(right_pt=6, up_pt=-5),
    "NETtalk": Named(("NetTalk (transcription)", "NetTalk"), up_pt=6),
    "TD-Gammon": Named(up_pt=4),
    "LeNet-5": Named(right_pt=6, up_pt=-3),
    "AlexNet": Named(up_pt=2),
    "VGG-16": Named(("VGG16",), up_pt=-1),
    "AlphaGo Lee": Named(up_pt=2),
    "AlphaGo Zero": Named(up_pt=0),
    "Transformer": Named(("Transformer (2017)",), right_pt=5, up_pt=-11),
    "BERT-Large": Named(right_pt=6, up_pt=-7),
    "GPT-2": Named(("GPT-2 (1.5B)", "GPT-2 (1542M)"), right_pt=6, up_pt=-4),
    "GPT-3": Named(("GPT-3 175B (davinci)",), right_pt=-32, up_pt=10),
    "PaLM": Named(("PaLM (540B)",)),
    "GPT-4": Named(("GPT-4 (Mar 2023)",), up_pt=1),
    "Gemini 1.0 Ultra": Named(right_pt=-9, up_pt=10),
}

SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

NOTE: Final = (
    "Lines: least squares on the logarithm of the models drawn. Eras, and their doubling times "
    "after Sevilla et al. 2022 (arXiv:2202.05924), from other models: "
    + ", ".join(f"{name} {months} months" for name, months in DOUBLING_MONTHS.items())
    + "."
)


def message(before: Trend | None, since: Trend | None) -> str:
    """What the figure shows, in a sentence, from the trends before and since 2010."""
    if since is None:
        return "Training compute of notable AI models, by date of publication"
    what = "the training compute of notable AI models"
    text = f"Since 2010, {what} has doubled about every {_months(since)}"
    if before is None or before.doubling_months <= since.doubling_months:
        return text
    return f"{text}, not every {_months(before)} as before"


@style.styled
def plot(models: pl.DataFrame, *, provenance: str) -> Figure:
    """A mark for each model, on a logarithmic axis, some with their names.

    Args:
        models: `tables.NotableModels`.
        provenance: The foot line.
    """
    known = models.filter(pl.col("training_flop").is_not_null()).sort("published_on", "model")
    before, since = trend(known, before=DEEP_LEARNING), trend(known, since=DEEP_LEARNING)
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=112,
        title=message(before, since),
        provenance=provenance,
    )
    if known.is_empty():
        style.empty(drawn.add_subplot(), "No model with a known training compute is listed.")
        return drawn
    panels = drawn.subplot_mosaic([["key"], ["models"], ["note"]], height_ratios=[1, 18, 1.6])
    kinds = known["domain"].map_elements(domain, return_dtype=pl.String, skip_nulls=False)
    _key(panels["key"], set(kinds))
    axes = panels["models"]
    _axes(axes, known)
    _eras(axes)
    for kind, colour in COLOURS.items():
        own = known.filter(kinds == kind)
        axes.plot(
            _days(own["published_on"]),
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
            _trend(axes, line)
    _names(axes, known)
    style.note(drawn, panels["note"], [NOTE], letter_pt=3.6)
    return drawn


def domain(listed: str | None) -> str:
    """Which of `DOMAINS` a model belongs to, from all that its source lists."""
    words = {word.strip() for word in (listed or "").split(",")}
    found = {name for name, own in DOMAINS.items() if words & set(own)}
    if len(found) > 1:
        return "several of these"
    return found.pop() if found else "other"


def power(flop: float) -> str:
    """A power of ten as it is written: 10²⁴."""
    return f"10{str(round(math.log10(flop))).translate(SUPERSCRIPTS)}"


def _months(line: Trend) -> str:
    """The doubling time in whole months: more is not known of models chosen by hand."""
    months = max(1, round(line.doubling_months))
    return f"{style.count(months)}{style.THIN_SPACE}months" if months > 1 else "month"


def _days(column: pl.Series) -> list[float]:
    return [float(mdates.date2num(day)) for day in column.to_list()]


def _day(day: date) -> float:
    return float(mdates.date2num(day))


def _key(axes: Axes, kinds: set[Any]) -> None:
    marks = [
        Line2D([], [], marker="o", markersize=4, linestyle="none", color=colour, label=name)
        for name, colour in COLOURS.items()
        if name in kinds
    ]
    style.key(axes, marks, columns=len(marks))


def _axes(axes: Axes, known: pl.DataFrame) -> None:
    logs = known["training_flop"].log10()
    low, high = float(logs.min() or 0.0), float(logs.max() or 0.0)  # type: ignore[arg-type]
    # Room above for the name of the largest.
    bottom, top = 3 * math.floor((low - 0.5) / 3), high + 2
    axes.set_yscale("log")
    axes.set_ylim(10.0**bottom, 10.0**top)
    majors = range(bottom, math.floor(top) + 1, 3)
    axes.yaxis.set_major_locator(FixedLocator([10.0**each for each in majors]))
    axes.yaxis.set_minor_locator(
        FixedLocator([10.0**n for n in range(bottom, math.floor(top) + 1)])
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda flop, _: power(flop)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Operations of the training (FLOP)")
    years = known["published_on"].dt.year()
    first, last = int(years.min() or 0), int(years.max() or 0)  # type: ignore[arg-type]
    axes.set_xlim(_day(date(min(first - 2, 1955), 1, 1)), _day(date(max(last + 3, 2027), 1, 1)))
    axes.xaxis.set_major_locator(mdates.YearLocator(10))
    axes.xaxis.set_minor_locator(mdates.YearLocator(1))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))
    axes.set_xlabel("Published")


def _eras(axes: Axes) -> None:
    """Bands with their names, which do not all fit on a line."""
    left, right = axes.get_xlim()
    starts = [left, _day(DEEP_LEARNING), _day(LARGE_SCALE), right]
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


def _trend(axes: Axes, line: Trend) -> None:
    (first, start), (last, end) = line.ends
    axes.plot([_day(first), _day(last)], [start, end], color=TREND, lw=0.8, zorder=1.5)


def _names(axes: Axes, known: pl.DataFrame) -> None:
    listed = {row["model"]: row for row in reversed(known.to_dicts())}
    for name, place in NAMED.items():
        row = next((listed[each] for each in (name, *place.also) if each in listed), None)
        if row is None:
            continue
        at = (_day(row["published_on"]), row["training_flop"])
        ring: dict[str, Any] = {
            "markerfacecolor": COLOURS[domain(row["domain"])],
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
            # not an outline: it would make the text a drawing in the SVG
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "alpha": 0.65, "lw": 0},
            **offset,
        )
