"""Write docs/gallery.md and docs/gallery/ from the results of a run: `make gallery`.

What is shown, its order and its captions are those of the report of that run; figures are its PNG
files with fewer colours, tables are drawn anew, the first rows of each.
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

from footprint.figures import style

ROOT = Path(__file__).parents[1]

MOST_BYTES = 100_000
"""Of a picture, so that a clone stays small."""
WIDEST_PX = 1417
"""Width of a figure of the pipeline: 180 mm at 200 points an inch."""
COLOURS = 64
"""Of a picture; edges of letters need most of them."""

MOST_ROWS = 16
"""Of a table; the rest is counted below it."""
LINE_PT = 11.0
COLUMN_GAP_PT = 9.0
EDGE_PT = 6.0
LONGEST_CELL = 48
"""Letters of a cell; longer ones end in an ellipsis."""
HEADER_LETTERS = 10
"""In which headers are broken into lines."""

INTRODUCTION = """\
# Gallery

Every figure and table of the default run, a [simulated site](simulated-site.md): the jobs, people
and powers are invented. The captions are those of the report. Written by `make gallery`.
"""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A figure or table of the report: its path under results, category, labels and caption."""

    path: Path
    category: str
    label: str
    caption: str

    @property
    def is_table(self) -> bool:
        """Whether it is a table; figures are pictures already."""
        return self.path.suffix == ".html"

    @property
    def picture(self) -> str:
        """Name of its picture; a figure and a table may have the same name."""
        return f"{self.path.stem}{'_table' if self.is_table else ''}.png"


def shown_in(report: str) -> list[Shown]:
    """What a report shows, by category, figures before tables.

    Args:
        report: The text of `report.html`, whose data Snakemake writes as JSON.
    """
    results, categories = (_data(report, name) for name in ("results", "categories"))
    found = [
        Shown(
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


def _data(report: str, name: str) -> dict[str, Any]:
    start = re.search(rf'<script id="{name}">\s*var {name} = ', report)
    if start is None:
        raise SystemExit(f"the report has no {name}: is it one of Snakemake 9? Run `make results`")
    data: dict[str, Any] = json.JSONDecoder().raw_decode(report, start.end())[0]
    return data


def markdown(caption: str) -> str:
    """A caption of the report, which is HTML, in Markdown: paragraphs, code and emphasis.

    Args:
        caption: As in the report.
    """
    marks = ((r"</?tt[^>]*>", "`"), (r"</?em>", "*"), (r"</?strong>", "**"), (r"<[^>]+>", ""))
    paragraphs = []
    for text in re.findall(r"<p>(.*?)</p>", caption, re.S):
        for tag, mark in marks:
            text = re.sub(tag, mark, text)
        paragraphs.append(textwrap.fill(" ".join(html.unescape(text).split()), 100))
    return "\n\n".join(paragraphs)


def page(shown: list[Shown]) -> str:
    """The page, with links to the pictures beside it.

    Args:
        shown: As `shown_in` gives them.
    """
    parts = [INTRODUCTION]
    category = ""
    for each in shown:
        if each.category != category:
            category = each.category
            parts.append(f"## {category.partition(' ')[2]}\n")
        forms = ("csv", "html", "tex") if each.is_table else ("pdf", "png", "svg")
        parts.append(f"### {each.label[:1].upper()}{each.label[1:]}\n")
        parts.append(f"![{each.label}](gallery/{each.picture})\n")
        parts.append(f"{markdown(each.caption)}\n")
        parts.append(f"`results/{each.path.with_suffix('')}`: {', '.join(forms)}.\n")
    return "\n".join(parts)


# --- pictures ------------------------------------------------------------------------------------


def small(picture: Image.Image) -> bytes:
    """A picture as PNG with few colours, made narrower until it is small enough.

    Args:
        picture: In any size.
    """
    colours = picture.convert("RGB")
    width = min(WIDEST_PX, colours.width)
    while True:
        size = (width, round(colours.height * width / colours.width))
        scaled = colours if size == colours.size else colours.resize(size, Image.Resampling.LANCZOS)
        file = io.BytesIO()
        scaled.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
        if file.tell() <= MOST_BYTES:
            return file.getvalue()
        width = int(width * 0.9)


@dataclass
class Row:
    """A row of a table: its cells, and whether it is set apart as a total or as a heading."""

    cells: list[str] = field(default_factory=list)
    is_right: list[bool] = field(default_factory=list)
    is_bold: bool = False
    is_heading: bool = False


class Table(HTMLParser):
    """Title, header and rows of a table of the pipeline, from its page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title = ""
        self.header = Row()
        self.rows: list[Row] = []
        self._into: Row | None = None
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell."""
        known = {name: value or "" for name, value in attrs}
        kind = known.get("class", "")
        if tag == "tr":
            self._into = self.header if "gt_col_headings" in kind else Row()
            self._into.is_heading = "gt_group_heading_row" in kind
        elif tag in ("td", "th") and "gt_title" in kind:
            self._in_title = True
        elif tag in ("td", "th") and self._into is not None and "gt_sourcenote" not in kind:
            self._into.cells.append("")
            self._into.is_right.append("gt_right" in kind)
            self._into.is_bold |= "font-weight: bold" in known.get("style", "")

    def handle_endtag(self, tag: str) -> None:
        """Close a row or the title; what else a page holds is no part of the table."""
        if tag == "tr" and self._into is not None:
            self._into.cells = [cell.strip() for cell in self._into.cells]
            if self._into.cells and self._into is not self.header:
                self.rows.append(self._into)
            self._into = None
        self._in_title = self._in_title and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Add to the cell that is open."""
        if self._in_title:
            self.title += data
        elif self._into is not None and self._into.cells:
            self._into.cells[-1] += data


@style.styled
def drawn(table: Table) -> Figure:
    """The first rows of a table, as a page shows them.

    Args:
        table: What was read.
    """
    rows = table.rows[:MOST_ROWS]
    if rows and rows[-1].is_heading:
        rows = rows[:-1]
    more = sum(not row.is_heading for row in table.rows[len(rows) :])
    headers = [_broken(text) for text in table.header.cells]
    deep = max(map(len, headers), default=1)
    canvas = FigureCanvasAgg(Figure(dpi=72))

    def width(text: str, *, is_bold: bool) -> float:
        look = mpl.font_manager.FontProperties(size=8, weight="bold" if is_bold else "normal")
        return float(canvas.get_renderer().get_text_width_height_descent(text, look, False)[0])

    columns = [[width(line, is_bold=True) for line in lines] for lines in headers]
    for row in rows:
        for column, text in zip([] if row.is_heading else columns, row.cells, strict=False):
            column.append(width(_short(text), is_bold=row.is_bold))
    widths = [max(column) for column in columns]
    across = sum(widths) + COLUMN_GAP_PT * (len(widths) - 1) + 2 * EDGE_PT
    across = max(across, width(table.title, is_bold=True) * 9 / 8 + 2 * EDGE_PT)
    down = (len(rows) + deep + 2.4 + bool(more)) * LINE_PT + 2 * EDGE_PT
    figure = Figure(figsize=(across / 72, down / 72))
    lefts = [sum(widths[:i]) + i * COLUMN_GAP_PT + EDGE_PT for i in range(len(widths))]

    def write(text: str, left: float, line: float, **look: Any) -> None:
        height = 1 - (EDGE_PT + (line + 0.5) * LINE_PT) / down
        figure.text(left / across, height, text, va="center", **({"fontsize": 8} | look))

    def rule(line: float, colour: str) -> None:
        height = 1 - (EDGE_PT + line * LINE_PT) / down
        ends = [EDGE_PT / across, 1 - EDGE_PT / across]
        figure.add_artist(Line2D(ends, [height, height], color=colour, lw=0.6))

    def row_of(texts: list[str], line: float, **look: Any) -> None:
        for i, text in enumerate(texts):
            is_right = table.header.is_right[i]
            edge = lefts[i] + (widths[i] if is_right else 0.0)
            write(text, edge, line, ha="right" if is_right else "left", **look)

    write(table.title, EDGE_PT, 0, fontsize=9, fontweight="bold")
    for depth in range(deep):
        texts = [(["" for _ in range(deep - len(each))] + each)[depth] for each in headers]
        row_of(texts, 1.4 + depth, color=style.GREY)
    first = 1.8 + deep
    rule(first - 0.2, style.INK)
    for place, row in enumerate(rows):
        if row.is_heading:
            write(row.cells[0], EDGE_PT, first + place, fontweight="bold", color=style.GREY)
        else:
            if row.is_bold and place:
                rule(first + place, style.INK)
            weight = "bold" if row.is_bold else "normal"
            row_of([_short(text) for text in row.cells], first + place, fontweight=weight)
    rule(first + len(rows) + 0.1, style.FAINT)
    if more:
        write(
            "1 more row" if more == 1 else f"{more} more rows",
            EDGE_PT,
            first + len(rows) + 0.2,
            color=style.GREY,
        )
    return figure


def _broken(header: str) -> list[str]:
    # a unit of two words, as (node h), stays together
    whole = re.sub(r"\([^)]*\)$", lambda unit: unit[0].replace(" ", "\u00a0"), header)
    return textwrap.wrap(whole, HEADER_LETTERS, break_long_words=False) or [""]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1].rstrip() + "…"


def table_picture(table: Table) -> Image.Image:
    """A table as a picture.

    Args:
        table: What was read.
    """
    file = io.BytesIO()
    with mpl.rc_context(style.RC):
        drawn(table).savefig(file, format="png", metadata=style.METADATA["png"])
    return Image.open(file)


def pictures(shown: list[Shown], results: Path) -> dict[str, bytes]:
    """The picture of each figure and table, by its name.

    Args:
        shown: As `shown_in` gives them.
        results: Folder of the results.
    """
    return {
        each.picture: small(
            table_picture(Table((results / each.path).read_text(encoding="utf-8")))
            if each.is_table
            else Image.open(results / each.path.with_suffix(".png"))
        )
        for each in shown
    }


def main(results: Path, docs: Path) -> None:
    """Write the page and its pictures; those of figures that are no more go.

    Args:
        results: Folder of the results.
        docs: Where `gallery.md` and `gallery/` lie.
    """
    shown = shown_in((results / "report.html").read_text(encoding="utf-8"))
    folder = docs / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    made = pictures(shown, results)
    for stale in set(folder.glob("*.png")) - {folder / name for name in made}:
        stale.unlink()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    (docs / "gallery.md").write_text(page(shown), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/gallery.md and its pictures.")
    parser.add_argument("results", type=Path, nargs="?", default=ROOT / "results")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    main(options.results, options.docs)
