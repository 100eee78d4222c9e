"""Tables for readers, as CSV to compute with, HTML to look at and LaTeX to print.

A `ReaderTable` (`reader_tables` makes them from the tables of the pipeline) carries its units,
totals and a note; here it is written, numbers rounded for people but in CSV. The LaTeX needs the
package booktabs alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from great_tables import GT, loc, style

from footprint.tex import THIN_SPACE, escaped

__all__ = ["THIN_SPACE", "UNKNOWN", "Column", "ReaderTable", "csv", "html", "latex", "write"]

UNKNOWN = "–"

MOST_ROWS = 50
"""Of a table on a printed page, below its caption and above its note."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: where its values stand, its header and unit, and its decimals (None: text).

    `scale` turns the values into the unit: 100 for fractions shown in per cent. A column that is
    not `printed` is left out of LaTeX, where a page is narrow.
    """

    name: str
    header: str
    unit: str = ""
    decimals: int | None = None
    scale: float = 1.0
    printed: bool = True


@dataclass(frozen=True, kw_only=True)
class ReaderTable:
    """A table as people read it.

    Attributes:
        name: Short name, as in `levels`: the anchor in HTML and the label in LaTeX.
        title: What it shows.
        note: How its columns are defined and what they cover.
        rows: Its rows in order. A column `group` heads groups of rows, a column `is_total` (bool)
            sets rows apart.
        columns: What is shown of `rows`.
    """

    name: str
    title: str
    note: str
    rows: pl.DataFrame
    columns: Sequence[Column]


def write(table: ReaderTable, paths: Mapping[str, str | Path], *, provenance: str) -> None:
    """Write a table to the paths of `csv`, `html` and `tex`: the same table, the same bytes."""
    Path(paths["csv"]).write_text(csv(table, provenance=provenance), encoding="utf-8")
    Path(paths["html"]).write_text(html(table, provenance=provenance), encoding="utf-8")
    Path(paths["tex"]).write_text(latex(table, provenance=provenance), encoding="utf-8")


def csv(table: ReaderTable, *, provenance: str) -> str:
    """Values in the units of the headers, unrounded; empty where unknown; each with its source."""
    group = [pl.col("group")] if "group" in table.rows.columns else []
    values = (
        pl.col(column.name)
        if column.scale == 1.0
        else (pl.col(column.name) * column.scale).round_sig_figs(12)
        for column in table.columns
    )
    named = zip(values, table.columns, strict=True)
    return table.rows.select(
        *group,
        *(value.alias(_header(column)) for value, column in named),
        pl.lit(provenance).alias("Source"),
    ).write_csv()


def _header(column: Column) -> str:
    return f"{column.header} ({column.unit})" if column.unit else column.header


def _cells(table: ReaderTable, columns: Sequence[Column]) -> list[list[str]]:
    """Text of every cell: fixed decimals in a column, so that numbers align on the point."""
    return [
        [_cell(row[column.name], column) for column in columns]
        for row in table.rows.iter_rows(named=True)
    ]


def _cell(value: object, column: Column) -> str:
    if value is None:
        return UNKNOWN
    if column.decimals is None:
        return str(value)
    number = float(value) * column.scale  # type: ignore[arg-type]
    text = f"{number:,.{column.decimals}f}".replace(",", THIN_SPACE)
    smallest = 10.0**-column.decimals
    if number != 0 and abs(number) < smallest / 2:
        # A column has one number of decimals; what it cannot show is not nothing.
        text = f"< {smallest:.{column.decimals}f}"
    return text.replace("-", "\u2212")


def _totals(table: ReaderTable) -> list[bool]:
    if "is_total" not in table.rows.columns:
        return [False] * len(table.rows)
    return [bool(value) for value in table.rows["is_total"]]


def html(table: ReaderTable, *, provenance: str) -> str:
    """A page with the table alone, which loads nothing."""
    names = [column.name for column in table.columns]
    cells = pl.DataFrame(
        _cells(table, table.columns), schema=dict.fromkeys(names, pl.String), orient="row"
    )
    grouped = "group" in table.rows.columns and not table.rows.is_empty()
    if grouped:
        cells = cells.with_columns(table.rows["group"])
    numbers = [column.name for column in table.columns if column.decimals is not None]
    texts = [column.name for column in table.columns if column.decimals is None]
    drawn = (
        GT(cells, groupname_col="group" if grouped else None, id=table.name.replace("_", "-"))
        .tab_header(title=table.title)
        .cols_label({column.name: _header(column) for column in table.columns})
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
    totals = [place for place, is_total in enumerate(_totals(table)) if is_total]
    if totals:
        drawn = drawn.tab_style(
            [style.text(weight="bold"), style.borders(sides="top", color="#1a1a1a", weight="1px")],
            loc.body(rows=totals),
        )
    return drawn.as_raw_html(make_page=True)


def latex(table: ReaderTable, *, provenance: str) -> str:
    r"""Floating tables for a document with `\usepackage{booktabs}`: one, or as many as it fills.

    LaTeX breaks no float over pages, so that a table of many rows is given in parts of one number.
    """
    n_parts = max(1, -(-len(table.rows) // MOST_ROWS))
    size = max(1, -(-len(table.rows) // n_parts))
    parts = [replace(table, rows=table.rows.slice(i * size, size)) for i in range(n_parts)]
    notes = [table.note, provenance]
    return "".join(
        _float(part, notes=notes if i == n_parts - 1 else [], is_continued=i > 0)
        for i, part in enumerate(parts)
    )


def _float(table: ReaderTable, *, notes: Sequence[str], is_continued: bool) -> str:
    columns = [column for column in table.columns if column.printed]
    width = len(columns)
    shape = "".join("l" if column.decimals is None else "r" for column in columns)
    words = [_broken(column.header) for column in columns]
    deep = max(len(lines) for lines in words)
    title = escaped(table.title)
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
        # Headers stand on the last line, above their unit.
        row = [(["" for _ in range(deep - len(each))] + each)[depth] for each in words]
        lines.append(" & ".join(escaped(word) for word in row) + r" \\")
    if any(column.unit for column in columns):
        units = [f"({escaped(column.unit)})" if column.unit else "" for column in columns]
        lines.append(" & ".join(units) + r" \\")
    groups = table.rows["group"].to_list() if "group" in table.rows.columns else []
    before: str | None = None
    lines.append(r"\midrule")
    for place, (cells, is_total) in enumerate(
        zip(_cells(table, columns), _totals(table), strict=True)
    ):
        if groups and groups[place] != before:
            before = groups[place]
            lines += [r"\midrule"] if place else []
            lines.append(
                rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{escaped(before or '')}}}}} \\"
            )
        elif is_total and place:
            lines.append(r"\midrule")
        texts = [escaped(cell) for cell in cells]
        lines.append(
            " & ".join(rf"\textbf{{{text}}}" if is_total else text for text in texts) + r" \\"
        )
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        folded = [
            textwrap.fill(escaped(note), 100, break_long_words=False, break_on_hyphens=False)
            for note in notes
        ]
        lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\raggedright\scriptsize"]
        lines += ["\n\n".join(folded), r"\end{minipage}"]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _broken(header: str) -> list[str]:
    """A header in lines no wider than numbers are."""
    return textwrap.wrap(header, 9, break_long_words=False, break_on_hyphens=False) or [""]
