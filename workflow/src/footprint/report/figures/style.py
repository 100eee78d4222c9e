"""The style of all figures: sizes, colours, and reproducible files.

Figures are independent objects (no pyplot, no shared state). The colours suit red-green
colour-blind readers, and neighbours in a stack also differ in grey.
"""

from __future__ import annotations

import functools
import logging
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, ParamSpec

import matplotlib as mpl
import matplotlib.colors
import numpy as np
from fontTools import subset
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike

from footprint.core import provenance as provenance_lines
from footprint.core.vocabulary import KINDS
from footprint.report import wording

COLUMN_MM: Final = 88.0
TEXT_MM: Final = 180.0

INK: Final = "#1a1a1a"
GREY: Final = "#6b6b6b"
FAINT: Final = "#d5d5d5"
ACCENT: Final = "#c1442d"
COLOUR_SEQUENCE: Final = ("#0b4f8a", "#e08214", "#2f9e73", "#a6548f", "#7fb8de", "#6b6b6b")
"""Colours for items without a fixed one: alternately dark and light when printed in grey."""

CLASS_COLOURS: Final[Mapping[str, str]] = {
    "job": "#0b4f8a",
    "stranded": "#e8912d",
    "idle": "#9ecae1",
    "standby": "#1b5e45",
    "unavailable": "#cf8fb8",
    "unattributed": "#8a6d3b",
    "no_data": "#ffffff",
}
UNKNOWN_LOOK: Final[Mapping[str, Any]] = {
    "hatch": "//////",
    "edgecolor": "#9a9a9a",
    "facecolor": "#ffffff",
    "linewidth": 0.0,
}
"""Look of unknown or unmeasured parts."""

SEPARATOR: Final[Mapping[str, Any]] = {"edgecolor": "#ffffff", "linewidth": 0.5}
"""Look of the edges of neighbours in a stack, which then differ without colours."""

ESTIMATED_MIX: Final = 0.42
"""Part of a colour in the lighter one of estimated energy; the rest is white."""

METHOD_COLOURS: Final[Mapping[str, str]] = {
    "bmc": "#1a1a1a",
    "mlco2": "#56a0d3",
    "green_algorithms": "#2f7d5b",
    "codecarbon": "#e08214",
}

PHASE_COLOURS: Final[Mapping[str, str]] = {
    "training": "#3b2a78",
    "inference": "#f2c14e",
    "development": "#2f8f83",
    "unknown": "#ffffff",
}

KIND_COLOURS: Final[Mapping[str, str]] = dict.fromkeys(KINDS, PHASE_COLOURS["development"]) | {
    "training_run": PHASE_COLOURS["training"],
    "inference_run": PHASE_COLOURS["inference"],
    "unknown": GREY,
}
"""Colours of kinds of runs: those without a phase of their own are development."""

NOTE_PT: Final = 6.5
"""Size of small print in points."""

FULL_COVERAGE: Final = 0.95
"""Least coverage of a filled mark; below it the mark is hollow or in the accent colour."""

RC_PARAMS: Final[Any] = {
    "text.parse_math": False,  # a name may hold `$`
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "axes.titley": 1.0,  # a place that depends on the labels would be computed in every drawing
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "lines.linewidth": 0.8,
    "patch.linewidth": 0.0,
    "hatch.linewidth": 0.5,
    "axes.linewidth": 0.8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.04,
    "figure.dpi": 200.0,
    "savefig.dpi": 200.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "footprint",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    # the PDF embeds one subset of a font for all its letters, not one for each 256 (of ps, not pdf)
    "ps.fonttype": 42,
}

COLUMN_RC_PARAMS: Final[Any] = RC_PARAMS | dict.fromkeys(
    (
        *("font.size", "axes.labelsize", "axes.titlesize"),
        *("xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    ),
    7.0,
)
"""Parameters of a figure of one column of a journal, which is printed in its size."""

SIMULATED: Final = "SIMULATED · "
"""Words before the title of a figure of a simulated site."""

# without a date and a version of the drawing library, equal data give equal files
FILE_METADATA: Final[Mapping[str, dict[str, None]]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}

# A PDF places each glyph itself and needs no tables for shaping text (ISO 32000-1, 9.9), which take
# half of the time of its fonts; matplotlib has no parameter for the options of the subset.
subset.Options._drop_tables_default += ["GDEF", "GPOS", "GSUB", "MATH"]

P = ParamSpec("P")


def with_style(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws a figure, so that it draws in this style.

    With `width_mm=COLUMN_MM`, texts have the sizes of one column.
    """

    @functools.wraps(plot)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        if kwargs.get("width_mm") != COLUMN_MM:
            with mpl.rc_context(RC_PARAMS):
                return plot(*args, **kwargs)
        with mpl.rc_context(COLUMN_RC_PARAMS):
            drawn = plot(*args, **kwargs)
        for axes in drawn.axes:
            # ticks that are made later have the size of their axis
            axes.tick_params(which="both", labelsize=COLUMN_RC_PARAMS["xtick.labelsize"])
        return drawn

    return wrapped


def new_figure(*, width_mm: float, height_mm: float, title: str, provenance: str) -> Figure:
    """An empty figure with its title above and its provenance below.

    The title of a simulated site begins with `SIMULATED`.
    """
    drawn = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")
    # an interval is not broken between lines
    title = re.sub(r"(?<=\d) to (?=\d)", "\u00a0to\u00a0", title)
    if provenance_lines.is_simulated(provenance):
        title = SIMULATED + title
    size = mpl.rcParams["font.size"] + 1
    drawn.suptitle(
        wrap_text(drawn, title, fontsize=size, fontweight="bold"),
        x=0.01,
        ha="left",
        fontsize=size,
        fontweight="bold",
    )
    foot = wrap_text(drawn, provenance, fontsize=6)
    drawn.supxlabel(foot, x=0.99, ha="right", fontsize=6, color=GREY)
    return drawn


def wrap_text(
    drawn: Figure,
    text: str,
    *,
    fontsize: float,
    fontweight: str = "normal",
    width_frac: float = 0.97,
) -> str:
    """Break a text at its spaces into lines that fit into a figure.

    Args:
        drawn: The figure.
        text: Text; its own line breaks are kept, no-break spaces do not break.
        fontsize: Size in points.
        fontweight: Weight.
        width_frac: Width of a line as a fraction of the width of the figure.
    """
    renderer = FigureCanvasAgg(drawn).get_renderer()
    look = FontProperties(size=fontsize, weight=fontweight)
    most = width_frac * drawn.bbox.width
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            width, _, _ = renderer.get_text_width_height_descent(longer, look, ismath=False)
            if line and width > most:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def draw_empty_panel(axes: Axes, why: str) -> None:
    """Write the reason into a panel without data, in place of its axes."""
    axes.set_axis_off()
    width = axes.get_window_extent().width * 72 / axes.figure.dpi
    axes.text(
        0.5,
        0.5,
        textwrap.fill(why, max(20, int(width / 5.5))),
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=GREY,
    )


def draw_key(axes: Axes, handles: Iterable[Patch | Line2D], *, columns: int) -> None:
    """Draw the key of colours and marks in a panel of its own.

    In the first column it begins at the left edge of the figure.
    """
    axes.set_axis_off()
    place = axes.get_subplotspec()
    is_first = place is not None and place.colspan.start == 0
    x = axes.figure.transFigure if is_first else axes.transAxes
    key = axes.legend(
        handles=list(handles),
        loc="center left",
        bbox_to_anchor=(0.01 if is_first else 0.0, 0.5),
        bbox_transform=blended_transform_factory(x, axes.transAxes),
        ncols=columns,
        handlelength=1.4,
        handleheight=0.8,
        columnspacing=1.4,
        borderaxespad=0.0,
        borderpad=0.0,
    )
    # the key is as wide as the figure: the layout must not narrow the panels for it
    key.set_in_layout(False)


def class_look(name: str, *, is_estimate: bool = False) -> dict[str, Any]:
    """Look of the bars of a class of a node's energy: measured, or estimated and lighter.

    Unavailable nodes are hatched, since no grey is left for a sixth class.
    """
    if name == "no_data":
        return dict(UNKNOWN_LOOK)
    colour = CLASS_COLOURS[name]
    look: dict[str, Any] = {"facecolor": lighter(colour) if is_estimate else colour}
    if name == "unavailable":
        look |= {"hatch": "xxxxx", "edgecolor": "#ffffff", "linewidth": 0.0}
    return look


def class_patch(name: str) -> Patch:
    """Patch of a class of a node's energy in a key."""
    return Patch(label=wording.CLASS_NAMES[name], **class_look(name))


def lighter(colour: str) -> tuple[float, float, float]:
    """Colour for the estimated part of what `colour` shows, as red, green, blue from 0 to 1."""
    red, green, blue = mpl.colors.to_rgb(colour)
    mixed = (ESTIMATED_MIX * part + 1 - ESTIMATED_MIX for part in (red, green, blue))
    return next(mixed), next(mixed), next(mixed)


def estimated_patch() -> Patch:
    """Patch of estimated energy in a key, which has a lighter colour than measured energy."""
    return Patch(color=lighter(CLASS_COLOURS["job"]), label="lighter: estimated")


def draw_rectangles(
    axes: Axes,
    lefts: ArrayLike,
    bottoms: ArrayLike,
    rights: ArrayLike,
    tops: ArrayLike,
    **look: Any,
) -> None:
    """Draw rectangles of one look as one artist, which is faster than a patch for each."""
    corners = [(lefts, bottoms), (rights, bottoms), (rights, tops), (lefts, tops)]
    outlines = np.moveaxis(np.array(corners, dtype=np.float64), 2, 0)
    axes.add_collection(PolyCollection(list(outlines), **look), autolim=False)


def draw_note(drawn: Figure, axes: Axes, paragraphs: Iterable[str]) -> None:
    """Write small print over the whole width of a figure, in a panel of its own.

    Args:
        drawn: The figure.
        axes: The panel.
        paragraphs: Paragraphs, one line or more each.
    """
    axes.set_axis_off()
    lines = (wrap_text(drawn, each, fontsize=NOTE_PT) for each in paragraphs)
    text = axes.text(
        *(0.01, 1.0, "\n".join(lines)),
        transform=blended_transform_factory(drawn.transFigure, axes.transAxes),
        va="top",
        fontsize=NOTE_PT,
        color=GREY,
        linespacing=1.3,
    )
    # the text is as wide as the figure: the layout must not widen its panel for it
    text.set_in_layout(False)


def fix_layout(drawn: Figure) -> None:
    """Fix the layout of a figure, once, so that its files are alike whatever their order."""
    engine = drawn.get_layout_engine()
    if engine is None or not drawn.axes:
        return
    # the layout and the PNG measure the texts on one canvas, which remembers their sizes
    FigureCanvasAgg(drawn)
    with mpl.rc_context(RC_PARAMS):
        # a layout starts from the last one: the second pass has the size of every text
        for _ in range(2):
            engine.execute(drawn)
        # with an engine, the layout would be computed again for each file, in a drawing of its own
        drawn.set_layout_engine(None)
    # the last bits of the layout differ between processes, and names of clips are hashes of them
    for axes in drawn.axes:
        left, bottom, width, height = (round(edge, 6) for edge in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def save_figure(drawn: Figure, paths: Iterable[str | Path]) -> None:
    """Write a figure to each path in the format of its suffix; equal figures give equal bytes."""
    fix_layout(drawn)
    # fontTools logs each table of each font that it leaves out of a PDF
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    with mpl.rc_context(RC_PARAMS):
        for path in map(Path, paths):
            form = path.suffix.removeprefix(".")
            drawn.savefig(path, format=form, metadata=FILE_METADATA[form])
