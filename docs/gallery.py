"""Write docs/gallery.md and docs/gallery/ from the results of a run: `make gallery`.

The results, their order and their captions are those of the run's report. Figures are the run's PNG
files with fewer colours. Tables are drawn as pictures of their first rows.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import re
import textwrap
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from footprint.report.figures import style

ROOT = Path(__file__).parents[1]

MAX_BYTES = 100_000
"""Size of a picture, so that a clone stays small."""
MAX_WIDTH_PX = 1417
"""Width of a figure of the pipeline: 180 mm at 200 points an inch."""
N_COLOURS = 64
"""Colours of a picture; the edges of letters need most of them."""

MAX_ROWS = 16
"""Rows of a table; the others are counted below it."""
LINE_PT = 11.0
COLUMN_GAP_PT = 9.0
EDGE_PT = 6.0
MAX_CELL_LETTERS = 48
"""Letters of a cell; longer cells end in an ellipsis."""
HEADER_LETTERS = 10
"""Letters of a line of a header."""

INTRODUCTION = """\
# Gallery

All figures and tables of the default run, which studies a [simulated site](simulated-site.md): its
jobs, people and power are invented. The captions are those of the report. `make gallery` generates
this page.
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A figure or table of the report: path below the results, category, label and caption."""

    path: Path
    category: str
    label: str
    caption: str

    @property
    def is_table(self) -> bool:
        """Whether the result is a table, which has to be drawn."""
        return self.path.suffix == ".html"

    @property
    def picture(self) -> str:
        """File name of the picture; a figure and a table may have the same stem."""
        return f"{self.path.stem}{'_table' if self.is_table else ''}.png"


def results_of_report(report: str) -> list[Result]:
    """Return the results of a report by category, figures before tables.

    Args:
        report: Text of `provenance.html`, which contains its data as JSON.
    """
    results, categories = (_report_data(report, name) for name in ("results", "categories"))
    found = [
        Result(
            path=Path(path).relative_to("results"),
            category=category,
            label=", ".join(results[path]["labels"].values()),
            caption=results[path]["caption"],
        )
        for category, subcategories in categories.items()
        for paths in subcategories.values()
        for path in paths
    ]
    return sorted(found, key=lambda each: (each.category, each.is_table, each.path.stem))


def _report_data(report: str, name: str) -> dict[str, Any]:
    start = re.search(rf'<script id="{name}">\s*var {name} = ', report)
    if start is None:
        raise SystemExit(f"the report has no {name}: run `make provenance` with Snakemake 9")
    data: dict[str, Any] = json.JSONDecoder().raw_decode(report, start.end())[0]
    return data


def caption_to_markdown(caption: str) -> str:
    """Return a caption in Markdown, with its paragraphs, code and emphasis.

    Args:
        caption: Caption as HTML.
    """
    marks = ((r"</?tt[^>]*>", "`"), (r"</?em>", "*"), (r"</?strong>", "**"), (r"<[^>]+>", ""))
    paragraphs = []
    for text in re.findall(r"<p>(.*?)</p>", caption, re.S):
        for tag, mark in marks:
            text = re.sub(tag, mark, text)
        paragraphs.append(textwrap.fill(" ".join(html.unescape(text).split()), 100))
    return "\n\n".join(paragraphs)


def gallery_page(results: list[Result]) -> str:
    """Return the page in Markdown, with links to the pictures.

    Args:
        results: As `results_of_report` returns them.
    """
    parts = [INTRODUCTION]
    category = ""
    for each in results:
        if each.category != category:
            category = each.category
            parts.append(f"## {category.partition(' ')[2]}\n")
        forms = ("csv", "html", "tex") if each.is_table else ("pdf", "png", "svg")
        parts.append(f"### {each.label[:1].upper()}{each.label[1:]}\n")
        parts.append(f"![{each.label}](gallery/{each.picture})\n")
        parts.append(f"{caption_to_markdown(each.caption)}\n")
        parts.append(f"`results/{each.path.with_suffix('')}`: {', '.join(forms)}.\n")
    return "\n".join(parts)


# --- pictures ------------------------------------------------------------------------------------


def encode_small_png(picture: Image.Image) -> bytes:
    """Return a picture as PNG with `N_COLOURS` colours, scaled height_pt to at most `MAX_BYTES`.

    Args:
        picture: Picture of any size.
    """
    colours = picture.convert("RGB")
    width = min(MAX_WIDTH_PX, colours.width)
    while True:
        size = (width, round(colours.height * width / colours.width))
        scaled = colours if size == colours.size else colours.resize(size, Image.Resampling.LANCZOS)
        file = io.BytesIO()
        scaled.quantize(N_COLOURS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
        if file.tell() <= MAX_BYTES:
            return file.getvalue()
        width = int(width * 0.9)


@dataclass
class Row:
    """A row of a table: its cells, and whether it is a total (bold) or a heading."""

    cells: list[str] = field(default_factory=list)
    is_right: list[bool] = field(default_factory=list)
    is_bold: bool = False
    is_heading: bool = False


class Table(HTMLParser):
    """Title, header and rows of a table, parsed from its HTML file.

    Args:
        text: Text of the file.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title = ""
        self.header = Row()
        self.rows: list[Row] = []
        self._open_row: Row | None = None
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell."""
        known = {name: value or "" for name, value in attrs}
        kind = known.get("class", "")
        if tag == "tr":
            self._open_row = self.header if "gt_col_headings" in kind else Row()
            self._open_row.is_heading = "gt_group_heading_row" in kind
        elif tag in ("td", "th") and "gt_title" in kind:
            self._in_title = True
        elif tag in ("td", "th") and self._open_row is not None and "gt_sourcenote" not in kind:
            self._open_row.cells.append("")
            self._open_row.is_right.append("gt_right" in kind)
            self._open_row.is_bold |= "font-weight: bold" in known.get("style", "")

    def handle_endtag(self, tag: str) -> None:
        """Close a row or the title; other elements are ignored."""
        if tag == "tr" and self._open_row is not None:
            self._open_row.cells = [cell.strip() for cell in self._open_row.cells]
            if self._open_row.cells and self._open_row is not self.header:
                self.rows.append(self._open_row)
            self._open_row = None
        self._in_title = self._in_title and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Add text to the open cell or title."""
        if self._in_title:
            self.title += data
        elif self._open_row is not None and self._open_row.cells:
            self._open_row.cells[-1] += data


@style.with_style
def draw_table(table: Table) -> Figure:
    """Draw the first rows of a table, in the style of its HTML page.

    Args:
        table: The parsed table.
    """
    rows = table.rows[:MAX_ROWS]
    if rows and rows[-1].is_heading:
        rows = rows[:-1]
    n_more = sum(not row.is_heading for row in table.rows[len(rows) :])
    headers = [_header_lines(text) for text in table.header.cells]
    n_header_lines = max(map(len, headers), default=1)
    canvas = FigureCanvasAgg(Figure(dpi=72))

    def text_width(text: str, *, is_bold: bool) -> float:
        look = mpl.font_manager.FontProperties(size=8, weight="bold" if is_bold else "normal")
        return float(canvas.get_renderer().get_text_width_height_descent(text, look, False)[0])

    columns = [[text_width(line, is_bold=True) for line in lines] for lines in headers]
    for row in rows:
        for column, text in zip([] if row.is_heading else columns, row.cells, strict=False):
            column.append(text_width(_shortened(text), is_bold=row.is_bold))
    widths = [max(column) for column in columns]
    width_pt = sum(widths) + COLUMN_GAP_PT * (len(widths) - 1) + 2 * EDGE_PT
    width_pt = max(width_pt, text_width(table.title, is_bold=True) * 9 / 8 + 2 * EDGE_PT)
    height_pt = (len(rows) + n_header_lines + 2.4 + bool(n_more)) * LINE_PT + 2 * EDGE_PT
    figure = Figure(figsize=(width_pt / 72, height_pt / 72))
    lefts = [sum(widths[:i]) + i * COLUMN_GAP_PT + EDGE_PT for i in range(len(widths))]

    def write(text: str, left: float, line: float, **look: Any) -> None:
        height = 1 - (EDGE_PT + (line + 0.5) * LINE_PT) / height_pt
        figure.text(left / width_pt, height, text, va="center", **({"fontsize": 8} | look))

    def draw_rule(line: float, colour: str) -> None:
        height = 1 - (EDGE_PT + line * LINE_PT) / height_pt
        ends = [EDGE_PT / width_pt, 1 - EDGE_PT / width_pt]
        figure.add_artist(Line2D(ends, [height, height], color=colour, lw=0.6))

    def write_row(texts: list[str], line: float, **look: Any) -> None:
        for i, text in enumerate(texts):
            is_right = table.header.is_right[i]
            edge = lefts[i] + (widths[i] if is_right else 0.0)
            write(text, edge, line, ha="right" if is_right else "left", **look)

    write(table.title, EDGE_PT, 0, fontsize=9, fontweight="bold")
    for depth in range(n_header_lines):
        texts = [
            (["" for _ in range(n_header_lines - len(each))] + each)[depth] for each in headers
        ]
        write_row(texts, 1.4 + depth, color=style.GREY)
    first = 1.8 + n_header_lines
    draw_rule(first - 0.2, style.INK)
    for place, row in enumerate(rows):
        if row.is_heading:
            write(row.cells[0], EDGE_PT, first + place, fontweight="bold", color=style.GREY)
        else:
            if row.is_bold and place:
                draw_rule(first + place, style.INK)
            weight = "bold" if row.is_bold else "normal"
            write_row([_shortened(text) for text in row.cells], first + place, fontweight=weight)
    draw_rule(first + len(rows) + 0.1, style.FAINT)
    if n_more:
        write(
            "1 more row" if n_more == 1 else f"{n_more} more rows",
            EDGE_PT,
            first + len(rows) + 0.2,
            color=style.GREY,
        )
    return figure


def _header_lines(header: str) -> list[str]:
    # a unit of two words, such as (node h), is not broken
    whole = re.sub(r"\([^)]*\)$", lambda unit: unit[0].replace(" ", "\u00a0"), header)
    return textwrap.wrap(whole, HEADER_LETTERS, break_long_words=False) or [""]


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CELL_LETTERS else text[: MAX_CELL_LETTERS - 1].rstrip() + "…"


def table_picture(table: Table) -> Image.Image:
    """Return the picture of a table.

    Args:
        table: The parsed table.
    """
    file = io.BytesIO()
    with mpl.rc_context(style.RC_PARAMS):
        draw_table(table).savefig(file, format="png", metadata=style.FILE_METADATA["png"])
    return Image.open(file)


def encode_pictures(results: list[Result], folder: Path) -> dict[str, bytes]:
    """Return the picture of each figure and table as PNG, by its file name.

    Args:
        results: As `results_of_report` returns them.
        folder: Folder of the results.
    """
    return {
        each.picture: encode_small_png(
            table_picture(Table((folder / each.path).read_text(encoding="utf-8")))
            if each.is_table
            else Image.open(folder / each.path.with_suffix(".png"))
        )
        for each in results
    }


def main(results: Path, docs: Path) -> None:
    """Write the page and its pictures; delete pictures of results that no longer exist.

    Args:
        results: Folder of the results.
        docs: Folder of `gallery.md` and `gallery/`.
    """
    shown = results_of_report((results / "provenance.html").read_text(encoding="utf-8"))
    folder = docs / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = encode_pictures(shown, results)
    for stale in set(folder.glob("*.png")) - {folder / name for name in pictures}:
        stale.unlink()
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    (docs / "gallery.md").write_text(gallery_page(shown), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/gallery.md and its pictures.")
    parser.add_argument("results", type=Path, nargs="?", default=ROOT / "results")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    main(options.results, options.docs)
