"""Label files: reading rows and appending rows (docs/labels.md has the format).

This module uses no table of jobs; `matching` finds the jobs that a row selects. Every label keeps
its file and line for error messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from footprint.core.errors import InputError
from footprint.core.vocabulary import KIND_OF_RUN_TYPE, LABEL_FIELDS, LABEL_VALUES
from footprint.labels import file_rows

COLUMN_VALUES = {**LABEL_VALUES, "run_type": tuple(KIND_OF_RUN_TYPE)}
"""Allowed values of the columns that label jobs; a column that is not listed is free text."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """One row of a label file: the jobs that it selects, and their labels.

    A row selects jobs in one of four ways: by `jobs`, by `array`, by `chain` (any job of a run), or
    by `user` with at least one of `group`, `name`, `command` (patterns), `start` and `end`.

    Attributes:
        where: File and line, as `file:line`.
        jobs: Job ids.
        array: Array id.
        chain: Id of any job of a run.
        user: Login.
        group: Command; it selects the commands of its group (`commands.group_of_command`).
        name: Pattern of the job's name.
        command: Pattern of the job's command.
        start: Earliest start of the job.
        end: Latest start of the job, excluded.
        paper: Paper.
        kind: Kind of the run.
        role: Role of the run.
        phase: Phase of the run.
        stage: Stage of the work.
    """

    where: str
    jobs: tuple[int, ...] = ()
    array: int | None = None
    chain: int | None = None
    user: str | None = None
    group: str | None = None
    name: str | None = None
    command: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    paper: str | None = None
    kind: str | None = None
    role: str | None = None
    phase: str | None = None
    stage: str | None = None

    @property
    def has_label(self) -> bool:
        """Whether the row labels its jobs; a draft does not until it is filled in."""
        return any(getattr(self, name) is not None for name in LABEL_FIELDS)


def read_labels(files: Sequence[str | Path]) -> list[Label]:
    """Read the labels of every file, in the order of the files and their rows.

    Raises:
        InputError: At `file:line`: a file that cannot be read, an unknown column, a value that is
            not allowed, a row that selects no job or has no label.
    """
    labels = read_drafts(files)
    for label in labels:
        _check_is_filled(label)
    return labels


def read_drafts(files: Sequence[str | Path]) -> list[Label]:
    """Read the rows of every file as `read_labels` does, also those without a label yet.

    Raises:
        InputError: As for `read_labels`, except for a row that has no label.
    """
    return [
        _parse_label(row, where=where)
        for file in files
        for where, row in file_rows.read_rows(Path(file), str(file))
    ]


def parse_labels(text: str, *, shown: str) -> list[Label]:
    """Labels in the text of a YAML label file.

    Args:
        text: The text.
        shown: Name of the text in error messages.

    Raises:
        InputError: As for `read_labels`.
    """
    labels = [_parse_label(row, where=where) for where, row in file_rows.yaml_rows(text, shown)]
    for label in labels:
        _check_is_filled(label)
    return labels


def append_rows(file: str | Path, rows: str) -> None:
    """Append rows to a YAML label file, or write a new one. Existing text stays as it is.

    Args:
        file: Label file.
        rows: YAML text of the rows, each beginning with `- ` in the first column; they may be
            drafts.

    Raises:
        InputError: The file is not a YAML label file, or would not be one with the rows. It then
            stays unchanged.
    """
    path, shown = Path(file), str(file)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(
            "rows are written to YAML files only", where=shown, do="name a file that ends in .yaml"
        )
    before = file_rows.read_text(path, shown) if path.exists() else ""
    for where, row in file_rows.yaml_rows(before, shown):
        _parse_label(row, where=where)
    first = re.search(r"^( *)- ", before, re.M)
    added = ("" if not before or before.endswith("\n") else "\n") + "".join(
        f"{first[1] if first and line.strip() else ''}{line}" for line in rows.splitlines(True)
    )
    try:
        for where, row in file_rows.yaml_rows(before + added, shown):
            _parse_label(row, where=where)
    except InputError:
        raise InputError(
            "rows cannot be appended to the file",
            where=shown,
            do="begin each row with `- ` on a line of its own, or name another file",
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(added)
    except OSError as error:
        raise InputError(
            f"the label file cannot be written ({error.strerror})",
            where=shown,
            do="name another file",
        ) from None


def shell_pattern_to_regex(pattern: str) -> str:
    """Convert a shell pattern to a regular expression.

    `*` matches any text, `?` one character, `[ab]` one of the characters, `[!ab]` any other one.
    `fnmatch.translate` is not used: Polars' engine lacks the groups that it writes.
    """
    parts, i = [], 0
    while i < len(pattern):
        negated = pattern.startswith("[!", i)
        close = pattern.find("]", i + 2 + negated) if pattern[i] == "[" else -1
        if close > 0:
            body = pattern[i + 1 + negated : close]
            escaped = "".join(f"\\{c}" if c in "\\[]^&~" else c for c in body)
            parts.append(f"[{'^' if negated else ''}{escaped}]")
            i = close + 1
            continue
        parts.append({"*": ".*", "?": "."}.get(pattern[i]) or pl.escape_regex(pattern[i]))
        i += 1
    return rf"(?s)\A{''.join(parts)}\z"


def _parse_label(row: Mapping[str, list[str]], *, where: str) -> Label:
    for column, texts in row.items():
        if len(texts) > 1 and column not in ("jobs", "job_id"):
            raise InputError(
                f"{column} is one value, not a list", where=where, do="add a row for each value"
            )
    one = {column: texts[0] for column, texts in row.items()}
    _check_selection(set(one), where=where)
    for column, allowed in COLUMN_VALUES.items():
        if column in one:
            # `Training run` as a person writes it, for `training_run`
            folded = re.sub(r"[\s-]+", "_", one[column]).casefold()
            one[column] = folded if folded in allowed else one[column]
        if column in one and one[column] not in allowed:
            raise InputError(
                f"{column} {one[column]!r} is not allowed",
                where=where,
                do=f"use {', '.join(allowed)}",
            )
    for column in ("name", "command"):
        if column in one:
            _check_pattern(one[column], column, where=where)
    start, end = (_parse_instant(one.get(column), column, where=where) for column in ("from", "to"))
    if start is not None and end is not None and end <= start:
        raise InputError(
            f"`to` ({one['to']}) is not after `from` ({one['from']})",
            where=where,
            do="set `to` to the day after the last one: it is excluded",
        )
    if "run_type" in one:
        _set_kind_of_run_type(one, where=where)
    jobs = [*row.get("jobs", []), *row.get("job_id", [])]
    return Label(
        where=where,
        jobs=tuple(dict.fromkeys(_parse_number(job, "job id", where=where) for job in jobs)),
        array=_parse_number(one["array"], "array id", where=where) if "array" in one else None,
        chain=_parse_number(one["chain"], "job id", where=where) if "chain" in one else None,
        start=start,
        end=end,
        **{c: one.get(c) for c in ("user", "group", "name", "command", *LABEL_FIELDS)},
    )


def _check_is_filled(label: Label) -> None:
    if not label.has_label:
        raise InputError(
            "this row has no label for its jobs",
            where=label.where,
            do=f"add {', '.join(file_rows.LABEL_COLUMNS)}, or remove the row",
        )


def _set_kind_of_run_type(one: dict[str, str], *, where: str) -> None:
    """Set the kind that the run type of a row implies."""
    run_type, kind = one["run_type"], KIND_OF_RUN_TYPE[one["run_type"]]
    if one.setdefault("kind", kind) != kind:
        raise InputError(
            f"run_type {run_type!r} is the kind {kind}, and the row has {one['kind']!r}",
            where=where,
            do="remove one of the two",
        )


def _check_selection(columns: set[str], *, where: str) -> None:
    """Refuse a row that does not select jobs in exactly one complete way."""
    refined = columns & {"group", "name", "command", "from", "to"}
    by_id, by_user = columns & {"jobs", "job_id"}, columns & {"user"} | refined
    ways = [
        sorted(way) for way in (by_id, columns & {"array"}, columns & {"chain"}, by_user) if way
    ]
    if not ways:
        raise InputError(
            "this row selects no job",
            where=where,
            do="add jobs, array, chain, or user with group, name, command, from or to",
        )
    if len(ways) > 1 or len(by_id) > 1:
        both = " and ".join(ways[0] if len(ways) == 1 else [way[0] for way in ways])
        raise InputError(
            f"this row selects jobs in two ways, by {both}",
            where=where,
            do="add a row for each way",
        )
    if by_user and "user" not in columns:
        raise InputError(
            f"{' and '.join(sorted(refined))} without user would select other people's jobs",
            where=where,
            do="add user",
        )
    if by_user and not refined:
        raise InputError(
            "user alone selects all jobs of that user",
            where=where,
            do="add group, name, command, from or to",
        )


def _check_pattern(pattern: str, column: str, *, where: str) -> None:
    try:
        pl.Series([""]).str.contains(shell_pattern_to_regex(pattern))
    except pl.exceptions.ComputeError:
        raise InputError(
            f"{column} {pattern!r} is not a pattern",
            where=where,
            do="fix its [...]; * is any text, ? one character",
        ) from None


MAX_DIGITS = 18
"""Digits of the longest number that a column of 64 bits holds for certain."""


def _parse_number(text: str, what: str, *, where: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not (is_number and int(text) > 0):
        kind = "a whole number over 0" if re.fullmatch(r"-?\d+\.?\d*", text) else "a number"
        raise InputError(
            f"{what} {text!r:.60} is not {kind}", where=where, do="write as in 2041586"
        )
    return int(text)


def _parse_instant(text: str | None, column: str, *, where: str) -> datetime | None:
    """Start of a day in UTC, or a timestamp; a timestamp without an offset is in UTC."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{column} {text!r} is not a day or a timestamp",
            where=where,
            do="write 2025-03-10 or 2025-03-10T08:00:00Z",
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)
