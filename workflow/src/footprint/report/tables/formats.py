"""Readers' tables as CSV for computing, HTML for reading and LaTeX for printing.

The other modules of this package make a `ReaderTable` from tables of the pipeline. It carries its
units, totals and note. Numbers are rounded in HTML and LaTeX, and unrounded in CSV. The LaTeX needs
the package booktabs alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from footprint.core.latex import NARROW_SPACE, escape_latex
from footprint.core.light_imports import hide_packages
from footprint.core.names import escape_cell
from footprint.report.wording import format_count, format_number, interval_texts

UNKNOWN_CELL = "–"
"""Cell of an unknown value."""

NO_ROWS = "none"
"""First cell of a table without rows: an empty table looks like a fault."""

MOST_ROWS = 50
"""Rows of a table that fit on a printed page with its caption and note."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a readers' table.

    Attributes:
        name: Column of the rows that has the values.
        header: Header.
        unit: Unit, shown with the header.
        decimals: Decimals of its numbers; None for text, and for `digits`.
        digits: Significant digits of its numbers, in place of decimals.
        interval: Columns of a value and of both ends of its interval. The three columns are rounded
            together (`wording.interval_texts`); without ends, to `digits`.
        scale: Factor from the values to the unit: 100 for fractions shown in per cent.
        printed: Whether LaTeX has the column; a printed page is narrow.
    """

    name: str
    header: str
    unit: str = ""
    decimals: int | None = None
    digits: int | None = None
    interval: tuple[str, str, str] | None = None
    scale: float = 1.0
    printed: bool = True

    @property
    def is_number(self) -> bool:
        """Whether the column has numbers, which are aligned on the right."""
        return self.decimals is not None or self.digits is not None


TOTAL_INTERVAL = ("total_kwh", "total_low_kwh", "total_high_kwh")
"""Columns of a total energy and both ends of its 95 % interval."""


def total_columns(header: str = "Total") -> list[Column]:
    """Columns of a total energy, of both ends of its interval, and of its measured fraction."""
    headers = (header, "Low", "High")
    return [
        *(
            Column(name=name, header=text, unit="kWh", digits=3, interval=TOTAL_INTERVAL)
            for name, text in zip(TOTAL_INTERVAL, headers, strict=True)
        ),
        Column(name="measured_frac", header="Measured", unit="%", decimals=1, scale=100),
    ]


@dataclass(frozen=True, kw_only=True)
class ReaderTable:
    """The printed form of a table.

    Attributes:
        name: Short name, such as `levels`: the anchor in HTML and the label in LaTeX.
        title: Title.
        note: Definitions of the columns and what they cover.
        rows: Rows in order. An optional column `group` has the headings of groups of rows, an
            optional column `is_total` (bool) marks rows of totals.
        columns: Columns of `rows` that the table shows.
        printed_rows: Rows of HTML and LaTeX where `rows` are more than a reader takes in, with the
            same columns; None: all rows. The note then says how many rows the CSV has.
    """

    name: str
    title: str
    note: str
    rows: pl.DataFrame
    columns: Sequence[Column]
    printed_rows: pl.DataFrame | None = None

    def printed(self) -> ReaderTable:
        """The table with the rows of HTML and LaTeX alone."""
        if self.printed_rows is None or self.printed_rows.equals(self.rows):
            return self
        note = f"{self.note} Shortened: the CSV has all {format_count(len(self.rows))} rows."
        return replace(self, rows=self.printed_rows, printed_rows=None, note=note)


def write_table(table: ReaderTable, paths: Mapping[str, str | Path], *, provenance: str) -> None:
    """Write a table to its paths by suffix (csv, html, tex); equal tables give equal bytes."""
    Path(paths["csv"]).write_text(table_csv(table, provenance=provenance), encoding="utf-8")
    Path(paths["html"]).write_text(table_html(table, provenance=provenance), encoding="utf-8")
    Path(paths["tex"]).write_text(table_latex(table, provenance=provenance), encoding="utf-8")


def table_csv(table: ReaderTable, *, provenance: str) -> str:
    """The table as CSV: unrounded values in the units of the headers, empty where unknown.

    A text that a spreadsheet would take for a formula begins with an apostrophe.

    The column `Source` repeats `provenance` in every row.
    """
    group = [pl.col("group")] if "group" in table.rows.columns else []
    texts = cs.string().map_elements(escape_cell, return_dtype=pl.String)
    values = (
        pl.col(column.name)
        if column.scale == 1.0
        else (pl.col(column.name) * column.scale).round_sig_figs(12)
        for column in table.columns
    )
    named = zip(values, table.columns, strict=True)
    return (
        table.rows.select(
            *group,
            *(value.alias(_header_with_unit(column)) for value, column in named),
            pl.lit(provenance).alias("Source"),
        )
        .with_columns(texts)
        .write_csv()
    )


def _header_with_unit(column: Column) -> str:
    return f"{column.header} ({column.unit})" if column.unit else column.header


def _cell_texts(table: ReaderTable, columns: Sequence[Column]) -> list[list[str]]:
    """Text of every cell, one row without any value in a table without rows."""
    if table.rows.is_empty():
        return [[NO_ROWS, *[""] * (len(columns) - 1)]]
    return [
        [_cell_text(row, column) for column in columns] for row in table.rows.iter_rows(named=True)
    ]


def _cell_text(row: Mapping[str, Any], column: Column) -> str:
    value = row[column.name]
    if value is None:
        return UNKNOWN_CELL
    if not column.is_number:
        return str(value)
    number = float(value) * column.scale
    decimals = column.decimals
    if column.interval is not None:
        ends = [row[name] for name in column.interval]
        if None not in ends:
            value, low, high = (float(end) * column.scale for end in ends)
            return interval_texts(value, low, high)[column.interval.index(column.name)]
    if decimals is None:
        return format_number(number, digits=column.digits or 3)
    text = f"{number:,.{decimals}f}".replace(",", NARROW_SPACE)
    smallest = 10.0**-decimals
    if number != 0 and abs(number) < smallest / 2:
        # a value that rounds to 0 is not 0
        text = f"< {smallest:.{decimals}f}"
    return text.replace("-", "\u2212")


def _are_totals(table: ReaderTable) -> list[bool]:
    if "is_total" not in table.rows.columns:
        return [False] * max(1, len(table.rows))
    return [bool(value) for value in table.rows["is_total"]] or [False]


def table_html(table: ReaderTable, *, provenance: str) -> str:
    """The table as an HTML page of its own that loads nothing."""
    table = table.printed()
    # figures, which import the names of this package, need not load it
    from great_tables import GT, loc, style

    names = [column.name for column in table.columns]
    cells = pl.DataFrame(
        _cell_texts(table, table.columns), schema=dict.fromkeys(names, pl.String), orient="row"
    )
    grouped = "group" in table.rows.columns and not table.rows.is_empty()
    if grouped:
        cells = cells.with_columns(table.rows["group"])
    numbers = [column.name for column in table.columns if column.is_number]
    texts = [column.name for column in table.columns if not column.is_number]
    drawn = (
        GT(cells, groupname_col="group" if grouped else None, id=table.name.replace("_", "-"))
        .tab_header(title=table.title)
        .cols_label({column.name: _header_with_unit(column) for column in table.columns})
        .cols_align("right", columns=numbers)
        .cols_align("left", columns=texts)
        .tab_source_note(table.note)
        .tab_source_note(provenance)
        .tab_options(
            table_font_size="13px",
            heading_title_font_size="16px",
            heading_align="left",
            source_notes_font_size="11px",
            row_group_font_weight="bold",
            data_row_padding="3px",
        )
        .tab_style(style.css("font-variant-numeric: tabular-nums;"), loc.body(columns=numbers))
        .tab_style(style.css("white-space: nowrap;"), loc.body(columns=texts))
    )
    totals = [place for place, is_total in enumerate(_are_totals(table)) if is_total]
    if totals:
        drawn = drawn.tab_style(
            [style.text(weight="bold"), style.borders(sides="top", color="#1a1a1a", weight="1px")],
            loc.body(rows=totals),
        )
    with hide_packages("IPython"):  # great_tables would load it to learn that this is no notebook
        return drawn.as_raw_html(make_page=True)


def table_latex(table: ReaderTable, *, provenance: str) -> str:
    r"""The table as one or more floats for a document with `\usepackage{booktabs}`.

    LaTeX does not break a float over pages, so a table of more than `MOST_ROWS` rows is split into
    floats that share one number.
    """
    table = table.printed()
    n_parts = max(1, -(-len(table.rows) // MOST_ROWS))
    size = max(1, -(-len(table.rows) // n_parts))
    parts = [replace(table, rows=table.rows.slice(i * size, size)) for i in range(n_parts)]
    notes = [table.note, provenance]
    return "".join(
        _latex_float(part, notes=notes if i == n_parts - 1 else [], is_continued=i > 0)
        for i, part in enumerate(parts)
    )


def _latex_float(table: ReaderTable, *, notes: Sequence[str], is_continued: bool) -> str:
    columns = [column for column in table.columns if column.printed]
    width = len(columns)
    shape = "".join("r" if column.is_number else "l" for column in columns)
    words = [_header_lines(column.header) for column in columns]
    deep = max(len(lines) for lines in words)
    title = escape_latex(table.title)
    head = [rf"\caption{{{title}}}", rf"\label{{tab:{table.name.replace('_', '-')}}}"]
    if is_continued:
        head = [r"\addtocounter{table}{-1}", rf"\caption{{{title} (continued)}}"]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        *head,
        r"\scriptsize",
        r"\setlength{\tabcolsep}{1.9pt}",
        rf"\begin{{tabular}}{{@{{}}{shape}@{{}}}}",
        r"\toprule",
    ]
    for depth in range(deep):
        # headers of fewer lines are aligned at the bottom, above their unit
        row = [(["" for _ in range(deep - len(each))] + each)[depth] for each in words]
        lines.append(" & ".join(escape_latex(word) for word in row) + r" \\")
    if any(column.unit for column in columns):
        units = [f"({escape_latex(column.unit)})" if column.unit else "" for column in columns]
        lines.append(" & ".join(units) + r" \\")
    groups = table.rows["group"].to_list() if "group" in table.rows.columns else []
    before: str | None = None
    lines.append(r"\midrule")
    for place, (cells, is_total) in enumerate(
        zip(_cell_texts(table, columns), _are_totals(table), strict=True)
    ):
        if groups and groups[place] != before:
            before = groups[place]
            lines += [r"\midrule"] if place else []
            lines.append(
                rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{escape_latex(before or '')}}}}} \\"
            )
        elif is_total and place:
            lines.append(r"\midrule")
        texts = [escape_latex(cell) for cell in cells]
        lines.append(
            " & ".join(rf"\textbf{{{text}}}" if is_total else text for text in texts) + r" \\"
        )
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        folded = [
            textwrap.fill(escape_latex(note), 100, break_long_words=False, break_on_hyphens=False)
            for note in notes
        ]
        lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\raggedright\scriptsize"]
        lines += ["\n\n".join(folded), r"\end{minipage}"]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _header_lines(header: str) -> list[str]:
    """Lines of a header, about as wide as the numbers below."""
    return textwrap.wrap(header, 9, break_long_words=False, break_on_hyphens=False) or [""]
