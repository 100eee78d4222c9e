"""Rows of label files as texts by column, from YAML and CSV, with their place in the file."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from footprint.core import input_files, yaml_text
from footprint.core.errors import InputError
from footprint.core.names import clean_name
from footprint.core.vocabulary import LABEL_FIELDS

SELECTOR_COLUMNS = (
    *("jobs", "job_id", "array", "chain"),
    *("user", "group", "name", "command", "from", "to"),
)
"""Columns that select jobs."""

LABEL_COLUMNS = (*LABEL_FIELDS, "run_type")
"""Columns that label jobs."""


COMMENT_COLUMNS = ("comment", "comments", "note", "notes", "remark", "remarks", "commentaire")
"""Columns that hold any text, which is not read."""

ID_COLUMNS = ("jobs", "job_id", "array", "chain")
PATTERN_COLUMNS = ("group", "name", "command")

SEPARATORS = ",;\t|"
"""Separators of CSV, the usual one first."""

DECIMAL = re.compile(r"([1-9]\d*)[.,]0+")
"""A whole number that was written as a decimal one."""


def read_rows(path: Path, shown: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """Rows of a file as `file:line` and texts by column, without null and blank cells."""
    readers = {".yaml": yaml_rows, ".yml": yaml_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
    text = read_text(path, shown)
    if path.suffix.lower() not in readers:
        raise InputError(
            "a label file ends in .yaml, .yml, .csv or .tsv", where=shown, do="rename it"
        )
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
    lines = text.split("\n", 1)
    hint = re.fullmatch(r"sep=(.)\r?", lines[0])  # Excel's own
    separator = hint[1] if hint else _find_separator(lines[0])
    body = lines[-1] if hint else text
    first = 1 + bool(hint)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True)
    after = first - 1
    try:
        columns = [_column_name(column) for column in next(reader, [])]
        _check_columns([column for column in columns if column], where=f"{file}:{first}")
        after = reader.line_num + first - 1
        for cells in reader:
            where, after = f"{file}:{after + 1}", reader.line_num + first - 1
            if not any(cell.strip() for cell in cells):
                continue
            _check_cells(cells, columns, separator, where=where)
            row = {c: v.strip() for c, v in zip(columns, cells, strict=False) if c and v.strip()}
            yield where, _clean_row({c: [v] for c, v in row.items()})
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", where=f"{file}:{after + 1}") from None


def _find_separator(header: str) -> str:
    """The separator under which the most columns of a header are known; the comma before others."""
    known = {*SELECTOR_COLUMNS, *LABEL_COLUMNS, *COMMENT_COLUMNS}

    def n_known(separator: str) -> int:
        return sum(
            _column_name(name.strip().strip('"')) in known for name in header.split(separator)
        )

    return max(SEPARATORS, key=n_known)


def _column_name(text: str) -> str:
    """A column as `SELECTOR_COLUMNS` and `LABEL_COLUMNS` write it: `job_id` for `Job ID`."""
    return "_".join(text.split()).casefold()


def _check_cells(
    cells: Sequence[str], columns: Sequence[str], separator: str, *, where: str
) -> None:
    """Refuse a row with another number of cells than columns, or a value in a column without name.

    Empty cells at the end of a row, as spreadsheets write them, are no fault.
    """
    if len(cells) < len(columns) or any(cell.strip() for cell in cells[len(columns) :]):
        raise InputError(
            f"{len(cells)} cells under {len(columns)} columns",
            where=where,
            do=f"quote cells that hold `{separator}`",
        )
    for number, (column, cell) in enumerate(zip(columns, cells, strict=False), start=1):
        if not column and cell.strip():
            raise InputError(
                f"column {number} has a value ({cell.strip()!r}) and no name",
                where=where,
                do="name the column in the first line; `comment` holds any text",
            )


def _clean_row(row: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """A row with its texts in one form, and lists of ids split; without comments."""
    cleaned: dict[str, list[str]] = {}
    for column, texts in row.items():
        if column in PATTERN_COLUMNS:
            cleaned[column] = [unicodedata.normalize("NFC", text) for text in texts]
        elif column in ID_COLUMNS:
            cleaned[column] = [each for text in texts for each in _split_ids(text)]
        elif column not in COMMENT_COLUMNS:
            cleaned[column] = [clean_name(text) for text in texts]
    return {column: texts for column, texts in cleaned.items() if texts}


def _split_ids(text: str) -> list[str]:
    """Ids of a list as people write it: `1 2`, `1, 2`, `1;2` or `[1, 2]`.

    `4288294.0` and `4288294,0`, as pandas and spreadsheets write a column of numbers with an empty
    cell, are one id.
    """
    parts = [text] if DECIMAL.fullmatch(text) else re.split(r"[\s,;]+", text.strip("[](){} "))
    return [DECIMAL.sub(r"\1", part) for part in parts if part]


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
        columns = [_yaml_column(key) for key, _ in node.value]
        _check_columns(columns, where=where)
        values = (_texts_of_node(value, file) for _, value in node.value)
        yield where, _clean_row(dict(zip(columns, values, strict=True)))


def _yaml_column(key: yaml.Node) -> str:
    return _column_name(key.value) if isinstance(key, yaml.ScalarNode) else str(key.value)


def _texts_of_node(node: yaml.Node, file: str) -> list[str]:
    """Texts of a cell as they were typed: `user: no` and `name: 1e3` are not converted."""
    if isinstance(node, yaml.ScalarNode):
        empty = node.tag == "tag:yaml.org,2002:null" or not node.value.strip()
        return [] if empty else [node.value.strip()]
    if isinstance(node, yaml.SequenceNode):
        return [text for item in node.value for text in _texts_of_node(item, file)]
    raise InputError("a value is text or a list", where=f"{file}:{node.start_mark.line + 1}")


def _check_columns(columns: Sequence[object], *, where: str) -> None:
    known = (*SELECTOR_COLUMNS, *LABEL_COLUMNS)
    for column in columns:
        if column not in (*known, *COMMENT_COLUMNS):
            do = f"columns are {', '.join(known)}, and comment for any text"
            raise InputError(f"unknown column {column!r}", where=where, do=do)
        if columns.count(column) > 1:
            raise InputError(f"column {column!r} occurs twice", where=where, do="remove one")
