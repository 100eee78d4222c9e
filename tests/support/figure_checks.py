"""Checks of figures: that their texts are legible, and that their files are reproducible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from footprint.levels import levels as study_levels
from footprint.levels.selection import LevelSelection
from footprint.report import wording
from footprint.report.figures import style
from footprint.schemas.levels import Levels
from footprint.schemas.writing import conform
from tests.support import study_frames


def levels_of_study(study: study_frames.StudyFrames, **options) -> pl.DataFrame:
    redistribution = options.pop("redistribution", "none")
    usual = {"users": {"u-00000001", "u-00000002"}, "minimum_group": 5}
    rows = study_levels.energy_by_level(
        study.energy,
        study.papers.lazy(),
        study.estimates.lazy(),
        site="nancy",
        selection=LevelSelection(**(usual | options)),
        redistribution=redistribution,
        model=study_frames.ERROR_MODEL,
    )
    return conform(Levels, rows)


def visible_texts(figure: Figure) -> list[Text]:
    """Texts that are seen: not those of ticks outside their axis."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    hidden |= {tick.label1, tick.label2}
        if not axes.axison:
            hidden |= set(axes.xaxis.findobj(Text)) | set(axes.yaxis.findobj(Text))
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text.get_text().strip() and text not in hidden]


def written_text(figure: Figure) -> str:
    """What is written in a figure, a line a text."""
    lines = (text.get_text().replace("\n", " ") for text in visible_texts(figure))
    return "\n".join(lines).replace(wording.NARROW_SPACE, " ")


def title_text(figure: Figure) -> str:
    """The title without the mark of a simulated site, in one line."""
    text = figure.get_suptitle().replace("\n", " ").removeprefix(style.SIMULATED)
    return text.replace(wording.NARROW_SPACE, " ").replace("\u00a0", " ")


def rectangles(axes: Axes, *, hatched: bool) -> list[Bbox]:
    """Rectangles of `style.draw_rectangles` with or without a hatch, in the units of the axes."""
    return [
        path.get_extents()
        for drawn in axes.collections
        if isinstance(drawn, PolyCollection) and (drawn.get_hatch() is not None) == hatched
        for path in drawn.get_paths()
    ]


def assert_column(figure: Figure) -> None:
    """The figure is legible in one column of a journal, and says that it is simulated."""
    assert figure.get_figwidth() * 25.4 == pytest.approx(style.COLUMN_MM, abs=1e-6)
    assert figure.get_suptitle().startswith(style.SIMULATED)
    assert_legible(figure)
    sizes = {text.get_fontsize() for text in visible_texts(figure)}
    assert 6 <= min(sizes) <= max(sizes) <= 8


def assert_legible(figure: Figure) -> None:
    """Every text lies inside the figure, is 6 pt or more, and covers no other."""
    with mpl.rc_context(style.RC_PARAMS):
        renderer = FigureCanvasAgg(figure).get_renderer()
        style.fix_layout(figure)
        # a legend places its texts when it is drawn
        figure.draw_without_rendering()
        boxes = [(text, text.get_window_extent(renderer)) for text in visible_texts(figure)]
    assert boxes
    page = figure.bbox
    for text, box in boxes:
        assert text.get_fontsize() >= 6
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{text.get_text()!r} is cut"
    for i, (text, box) in enumerate(boxes):
        for other, other_box in boxes[i + 1 :]:
            apart = (
                box.x1 <= other_box.x0 + 1
                or other_box.x1 <= box.x0 + 1
                or box.y1 <= other_box.y0 + 2
                or other_box.y1 <= box.y0 + 2
            )
            assert apart, f"{text.get_text()!r} covers {other.get_text()!r}"


def assert_same_file(figures: Mapping[str, Figure], folder: Path, form: str, *, least: int) -> None:
    """Each figure gives the same bytes when it is saved again, and at least so many."""
    for figure in figures.values():
        style.save_figure(figure, [folder / f"one.{form}", folder / f"two.{form}"])
        one, two = ((folder / f"{n}.{form}").read_bytes() for n in ("one", "two"))
        assert one == two
        assert len(one) > least


def assert_same_elsewhere(figures: Mapping[str, Figure], folder: Path, *, module: str) -> None:
    """Assert that another process writes the same SVG of each figure.

    Args:
        figures: Figures by name.
        folder: An empty folder.
        module: Test module whose function `save_figures` saves the figures, in their order, to the
            paths of its arguments.
    """
    there = {name: folder / f"{name}.svg" for name in figures}
    code = f"import sys\nsys.path[:0] = [{str(Path(__file__).parents[2])!r}]\n"
    code += f"from {module} import save_figures\nsave_figures(*sys.argv[1:])\n"
    subprocess.run([sys.executable, "-c", code, *map(str, there.values())], check=True)
    for name, path in there.items():
        style.save_figure(figures[name], [folder / "here.svg"])
        assert (folder / "here.svg").read_bytes() == path.read_bytes()
