"""The style of figures: numbers in words, colours, and reproducible files."""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from footprint.report.figures import style
from footprint.schemas.energy import NODE_CLASSES
from tests.support.figure_checks import rectangles


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        (None, "not measured"),
        (0.0, "0 kWh"),
        (0.00045, "0.450 Wh"),
        (0.48, "480 Wh"),
        (0.99949, "999 Wh"),
        (0.9996, "1.00 kWh"),
        (12.345, "12.3 kWh"),
        (999.4, "999 kWh"),
        (999.6, "1.00 MWh"),
        (8_912.0, "8.91 MWh"),
        (1.2345e6, "1.23 GWh"),
        (1.2345e9, "1 230 GWh"),
    ],
)
def test_energy_text_has_three_digits_and_a_unit(kwh: float | None, expected: str) -> None:
    assert style.format_energy(kwh).replace(style.THIN_SPACE, " ") == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 %"),
        (0.0006, "0.06 %"),
        (0.125, "12 %"),
        (0.9949, "99 %"),
        (0.9978, "99.7 %"),
        (0.9996, "> 99.9 %"),
        (1.0, "100 %"),
        (1.256, "126 %"),
        (-0.05, "−5 %"),
    ],
)
def test_percent_text_has_two_digits_and_never_rounds_to_all(
    fraction: float | None, expected: str
) -> None:
    assert style.format_percent(fraction).replace(style.THIN_SPACE, " ") == expected


def test_number_texts_have_thin_spaces_and_units() -> None:
    assert style.format_count(1234567) == "1\u2009234\u2009567"
    assert style.format_number(-1234.5) == "−1\u2009230"
    assert style.format_duration(0.5) == "30\u2009min"
    assert style.format_duration(5.416) == "5.42\u2009h"
    assert style.format_duration(732.0, of="node ") == "30.5\u2009node days"


def test_class_colours_of_neighbours_differ_in_grey() -> None:
    def grey(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = [grey(colour) for colour in style.CLASS_COLOURS.values()]
    assert all(abs(one - two) > 0.08 for one, two in itertools.pairwise(shades))
    assert set(style.CLASS_COLOURS) == set(style.CLASS_NAMES) == set(NODE_CLASSES)


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
