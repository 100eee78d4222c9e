"""The style of figures: colours, and reproducible files."""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from footprint.core.provenance import describe_study
from footprint.core.vocabulary import NODE_CLASSES
from footprint.report import wording
from footprint.report.figures import style
from tests.support.figure_checks import rectangles


def test_class_colours_of_neighbours_differ_in_grey() -> None:
    def grey(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = [grey(colour) for colour in style.CLASS_COLOURS.values()]
    assert all(abs(one - two) > 0.08 for one, two in itertools.pairwise(shades))
    assert set(style.CLASS_COLOURS) == set(wording.CLASS_NAMES) == set(NODE_CLASSES)


def test_title_of_a_simulated_site_begins_with_simulated() -> None:
    def title(provenance: str) -> str:
        drawn = style.new_figure(width_mm=180, height_mm=50, title="Power", provenance=provenance)
        return drawn.get_suptitle()

    config: dict[str, Any] = {"study": {"site": "nancy", "start": 1, "end": 2}}
    of_kind = {
        kind: describe_study(config | {"source": {"kind": kind}})
        for kind in ("simulated", "grid5000", "exports")
    }
    assert {kind: title(each) for kind, each in of_kind.items()} == {
        "simulated": "SIMULATED · Power",
        "grid5000": "Power",
        "exports": "Power",
    }


def test_title_is_broken_only_where_a_line_is_full() -> None:
    text = "Development took 22.2 to 82.9 times the best training in " * 4
    for width_mm in (88, 180):
        drawn = style.new_figure(width_mm=width_mm, height_mm=60, title=text, provenance="here")
        drawn.canvas.draw()
        lines = drawn.get_suptitle().split("\n")
        widths = []
        for line in lines:
            drawn.suptitle(line, fontsize=9, fontweight="bold")
            title: Any = drawn._suptitle
            widths.append(title.get_window_extent().width / drawn.bbox.width)
        assert max(widths) <= 0.98
        assert min(widths[:-1]) > (0.75 if width_mm == 180 else 0.6)
        assert not any(line.endswith(" to") or line.startswith("to ") for line in lines)


def test_figure_of_one_column_has_smaller_text_for_ticks_and_key() -> None:
    @style.with_style
    def plot(*, width_mm: float) -> Figure:
        drawn = style.new_figure(width_mm=width_mm, height_mm=50, title="A", provenance="here")
        axes = drawn.add_subplot()
        axes.set_xlabel("Energy")
        return drawn

    for width_mm, size in ((style.TEXT_MM, 8.0), (style.COLUMN_MM, 7.0)):
        (axes,) = plot(width_mm=width_mm).axes
        axes.set_xlim(0, 1000)  # new ticks
        sizes = {text.get_fontsize() for text in (axes.xaxis.label, *axes.get_xticklabels())}
        assert sizes == {size}


def test_rectangles_have_their_bounds_and_one_artist() -> None:
    axes = Figure().add_subplot()
    style.draw_rectangles(axes, [0.0, 2.0], [1.0, 0.0], [1.5, 5.0], [3.0, 4.0], color="#0b4f8a")
    bounds = [box.extents.tolist() for box in rectangles(axes, hatched=False)]
    assert bounds == [[0.0, 1.0, 1.5, 3.0], [2.0, 0.0, 5.0, 4.0]]
    outline = axes.collections[0].get_paths()[0].vertices.tolist()
    assert outline == [[0.0, 1.0], [1.5, 1.0], [1.5, 3.0], [0.0, 3.0], [0.0, 1.0]]
    assert len(axes.collections) == 1
    assert to_hex(axes.collections[0].get_facecolor()[0]) == "#0b4f8a"
    style.draw_rectangles(axes, [], [], [], [], **style.UNKNOWN_LOOK)
    assert rectangles(axes, hatched=True) == []


def test_fonts_in_pdf_have_no_layout_tables(tmp_path: Path) -> None:
    drawn = style.new_figure(width_mm=88, height_mm=50, title="Title", provenance="office")
    drawn.add_subplot()
    style.save_figure(drawn, [tmp_path / "title.pdf"])
    streams = re.findall(rb"stream\r?\n(.*?)endstream", (tmp_path / "title.pdf").read_bytes(), re.S)
    contents = [zlib.decompress(each) for each in streams if each.startswith(b"x")]
    fonts = [each for each in contents if b"glyf" in each[:400]]
    assert len(fonts) >= 2  # plain and bold
    assert all(b"hmtx" in font and b"GSUB" not in font and b"GPOS" not in font for font in fonts)


def test_save_draws_the_figure_once_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = style.new_figure(width_mm=88, height_mm=50, title="Power", provenance="nobody")
    drawn.add_subplot().plot([0, 1], [2, 3])
    calls: list[object] = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda *args: (calls.append(args), draw(*args)))
    style.save_figure(drawn, [tmp_path / f"power.{form}" for form in style.FILE_METADATA])
    assert len(calls) == len(style.FILE_METADATA)


def save_figure(path: str) -> None:
    """Save a figure of two panels, and print the hash of the file."""
    with mpl.rc_context(style.RC_PARAMS):
        drawn = Figure(figsize=(4, 3), layout="constrained")
        for axes in drawn.subplots(2, 1, sharex=True):
            axes.plot([0, 1, 2.7], [3.1, 1000.3, 2])
            axes.set(xlabel="Time", ylabel="Power (W)")
    style.save_figure(drawn, [path])
    print(hashlib.sha256(Path(path).read_bytes()).hexdigest())


def test_save_in_each_process_gives_equal_bytes(tmp_path: Path) -> None:
    code = f"import sys\nsys.path[:0] = [{str(Path(__file__).parents[3])!r}]\n"
    code += f"from {__name__} import save_figure\nsave_figure(sys.argv[1])\n"
    found = set()
    for i in range(6):
        command = [sys.executable, "-c", code, str(tmp_path / f"{i}.svg")]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1
