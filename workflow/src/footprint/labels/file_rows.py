"""Rows of label files as texts by column, from YAML and CSV, with their place in the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from footprint.core import input_files, yaml_text
from footprint.core.errors import InputError
from footprint.core.vocabulary import LABEL_FIELDS

SELECTOR_COLUMNS = (
    *("jobs", "job_id", "array", "chain"),
    *("user", "group", "name", "command", "from", "to"),
)
"""Columns that select jobs."""

LABEL_COLUMNS = (*LABEL_FIELDS, "run_type")
"""Columns that label jobs."""


def read_rows(path: Path, shown: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """Rows of a file as `file:line` and texts by column, without null and blank cells."""
    readers = {".yaml": yaml_rows, ".yml": yaml_rows, ".csv": _csv_rows}
    text = read_text(path, shown)
    if path.suffix.lower() not in readers:
        raise InputError("a label file ends in .yaml, .yml or .csv", where=shown, do="rename it")
    return readers[path.suffix.lower()](text, shown)


def read_text(path: Path, shown: str) -> str:
    """Text of a label file, which is UTF-8.

    Args:
        path: Label file.
        shown: Name of the file in error messages.

    Raises:
        InputError: The file cannot be read, or is not UTF-8.
    """
    return input_files.read_text(path, where=shown)


def _csv_rows(text: str, file: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    after = 0
    try:
        columns = [column.strip() for column in next(lines, [])]
        _check_separator(columns, where=f"{file}:1")
        _check_columns(columns, where=f"{file}:1")
        after = lines.line_num
        for cells in lines:
            where, after = f"{file}:{after + 1}", lines.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{len(cells)} cells under {len(columns)} columns",
                    where=where,
                    do="quote cells that hold commas",
                )
            row = {c: v.strip() for c, v in zip(columns, cells, strict=True) if v.strip()}
            yield where, {c: v.split() if c == "jobs" else [v] for c, v in row.items()}
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", where=f"{file}:{after + 1}") from None


def yaml_rows(text: str, file: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """Rows in the text of a YAML label file, as `file:line` and texts by column.

    Args:
        text: The text.
        file: Name of the text in error messages.

    Raises:
        InputError: The text is no list of rows, or a row has an unknown or repeated column.
    """
    root = yaml_text.compose_yaml(text, where=file)
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        raise InputError(
            "a label file is a list of rows",
            where=f"{file}:{root.start_mark.line + 1}",
            do="begin each row with `- `",
        )
    for node in root.value:
        where = f"{file}:{node.start_mark.line + 1}"
        if not isinstance(node, yaml.MappingNode):
            raise InputError("a row is `column: value` lines", where=where, do="see docs/labels.md")
        _check_columns([key.value for key, _ in node.value], where=where)
        cells = {key.value: _texts_of_node(value, file) for key, value in node.value}
        yield where, {column: texts for column, texts in cells.items() if texts}


def _texts_of_node(node: yaml.Node, file: str) -> list[str]:
    """Texts of a cell as they were typed: `user: no` and `name: 1e3` are not converted."""
    if isinstance(node, yaml.ScalarNode):
        empty = node.tag == "tag:yaml.org,2002:null" or not node.value.strip()
        return [] if empty else [node.value.strip()]
    if isinstance(node, yaml.SequenceNode):
        return [text for item in node.value for text in _texts_of_node(item, file)]
    raise InputError("a value is text or a list", where=f"{file}:{node.start_mark.line + 1}")


def _check_separator(columns: Sequence[str], *, where: str) -> None:
    """Refuse a header that a spreadsheet saved with another separator, or with empty columns."""
    known = {*SELECTOR_COLUMNS, *LABEL_COLUMNS}
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        parts = {part.strip() for column in columns for part in column.split(separator)}
        if any(separator in column for column in columns) and parts & known:
            raise InputError(
                f"the columns are separated by {name} (`{separator.strip() or 'tab'}`)",
                where=where,
                do="save the file with commas (`,`) as separator",
            )
    if columns and "" in columns:
        raise InputError(
            f"column {columns.index('') + 1} has no name",
            where=where,
            do="remove the column, or the comma at the end of each line",
        )


def _check_columns(columns: Sequence[object], *, where: str) -> None:
    known = (*SELECTOR_COLUMNS, *LABEL_COLUMNS)
    for column in columns:
        if column not in known:
            raise InputError(
                f"unknown column {column!r}", where=where, do=f"columns are {', '.join(known)}"
            )
        if columns.count(column) > 1:
            raise InputError(f"column {column!r} occurs twice", where=where, do="remove one")
