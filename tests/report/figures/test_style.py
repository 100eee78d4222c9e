"""The style of figures: colours, and reproducible files."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from footprint.core.vocabulary import NODE_CLASSES
from footprint.report.figures import style


def test_class_colours_of_neighbours_differ_in_grey() -> None:
    def grey(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = [grey(colour) for colour in style.CLASS_COLOURS.values()]
    assert all(abs(one - two) > 0.08 for one, two in itertools.pairwise(shades))
    assert set(style.CLASS_COLOURS) == set(style.CLASS_NAMES) == set(NODE_CLASSES)


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
