"""States of nodes from notes (`node,state,from,to`), as intervals of `schemas.States`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.schemas.raw import RejectedRows, States
from footprint.schemas.writing import conform
from footprint.sources import files, node_names
from footprint.sources.kwollect.fields import OFFSET_ADVICE, parse_times

NODE_STATES = ("absent", "suspected", "dead", "maintenance", "standby", "alive")
NOTE_COLUMNS = ("node", "state", "from", "to")
NO_END_VALUES = (None, "", "0", 0)
"""Values of `to` while a state lasts. OAR writes 0."""

NOT_DESCRIBED = "node that is not described"
CONTRADICTION = "another state of the node from the same time on: neither is used"

EXPECTED_COLUMNS = f"states need the columns {', '.join(NOTE_COLUMNS)}"


def read_states(path: Path, *, name: str, site: str | None = None) -> pl.DataFrame:
    """Return the states in a CSV file with a header, or in a JSON list of objects.

    Times are ISO 8601 with an offset, or seconds since 1970. A state that lasts has no `to`. Node
    names may be full. States may be capitalised, as OAR writes them.

    Args:
        path: The file.
        name: The file, for messages.
        site: Site of the study. Nodes of other sites keep their full names
            (`usable_states`).

    Returns:
        Rows of `schemas.States`.

    Raises:
        InputError: The file lacks a column, or a note is invalid (`parse_states`). The message
            contains the line.
    """
    return parse_states(_iter_notes(path, name), site=site)


def parse_states(notes: Iterable[tuple[str, Any]], *, site: str | None = None) -> pl.DataFrame:
    """Return rows of `schemas.States` from notes.

    Args:
        notes: Notes, each after its place (file and line), for messages.
        site: Site of the study. Nodes of other sites keep their full names
            (`usable_states`).

    Raises:
        InputError: A note is not an object, its state is unknown, a time has no offset, or the
            state ends before it starts.
    """
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    for where, row in notes:
        if not isinstance(row, dict):
            raise InputError(f"{row!r:.60} is not an object", where=where, do=EXPECTED_COLUMNS)
        if not row.get("node") or str(row.get("state")).lower() not in NODE_STATES:
            what = f"state {row.get('state')!r} of node {row.get('node')!r}"
            raise InputError(what, where=where, do=f"states are {', '.join(NODE_STATES)}")
        if any("\ud800" <= each <= "\udfff" for key in NOTE_COLUMNS for each in str(row.get(key))):
            raise InputError("half of a surrogate pair", where=where, do="fix the text")
        rows.append(row)
        places.append(where)
    started = parse_times(pl.Series([_stripped(row.get("from")) for row in rows], dtype=pl.String))
    ends = [None if row.get("to") in NO_END_VALUES else _stripped(row["to"]) for row in rows]
    stopped = parse_times(pl.Series(ends, dtype=pl.String))
    for where, row, start, end, to in zip(places, rows, started, stopped, ends, strict=True):
        if start is None or (to is not None and end is None):
            what = f"cannot read the time {row.get('from') if start is None else to!r}"
            raise InputError(what, where=where, do=OFFSET_ADVICE)
        if end is not None and end < start:
            raise InputError("the state ends before it starts", where=where, do="fix the line")
    found = pl.DataFrame(
        {
            "node": [str(row["node"]) for row in rows],
            "started_at": started,
            "stopped_at": stopped,
            "state": [str(row["state"]).lower() for row in rows],
        },
        schema=States.create_empty().schema,
    )
    return found.with_columns(node=node_names.short_names(pl.col("node"), site))


def states_in_window(rows: pl.DataFrame, *, start: datetime, end: datetime) -> pl.LazyFrame:
    """Return the intervals that touch [start, end), each once, by node and start.

    Args:
        rows: Intervals, as `read_states` returns them.
        start: Start of the window.
        end: End of the window, excluded.
    """
    touches = (pl.col("started_at") < end) & (pl.col("stopped_at") > start).fill_null(True)
    return rows.lazy().unique().filter(touches).sort("node", "started_at")


def usable_states(rows: pl.LazyFrame, *, nodes: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return the states of described nodes without contradictions, and the counts of the others.

    Two states of a node from the same time on contradict each other: neither is used.

    Args:
        rows: Intervals of a window, each once.
        nodes: `schemas.Nodes`.

    Returns:
        Rows of `schemas.States`, and of `schemas.RejectedRows`.
    """
    is_described = pl.col("node").is_in(nodes.select("node").collect()["node"].unique().implode())
    reason = (
        pl.when(node_names.is_of_another_site(pl.col("node")))
        .then(pl.lit(node_names.OTHER_SITE_REASON))
        .when(~is_described)
        .then(pl.lit(NOT_DESCRIBED))
        .when(pl.struct("node", "started_at").is_duplicated())
        .then(pl.lit(CONTRADICTION))
    )
    found = rows.with_columns(reason=reason).collect()
    since = pl.col("started_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    is_contradiction = pl.col("reason") == CONTRADICTION
    example = pl.when(is_contradiction).then(pl.format("{} from {} on", "node", since))
    counted = (
        found.drop_nulls("reason")
        .group_by("reason")
        .agg(
            n_rows=pl.len().cast(pl.Int64),
            example=pl.coalesce(example, "node").min(),
        )
        .with_columns(stage=pl.lit("states"), source=pl.lit("states of nodes"))
        .sort("reason")
    )
    rejected: pl.DataFrame = conform(RejectedRows, counted)
    used: pl.DataFrame = conform(States, found.filter(pl.col("reason").is_null()).drop("reason"))
    return used.lazy(), rejected


def _stripped(value: Any) -> str | None:
    return None if value is None else str(value).strip()


def _iter_notes(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the notes of a file, each after its place."""
    content = input_files.read_content(path).decode("utf-8-sig", "replace")
    if content.lstrip()[:1] in ("[", "{"):
        for document in files.read_documents(path):
            items = document.get("items", [document]) if isinstance(document, dict) else document
            if not isinstance(items, list):
                raise InputError("`items` is not a list", where=name, do=EXPECTED_COLUMNS)
            for number, item in enumerate(items, start=1):
                yield f"{name}, item {number}", item
    else:
        reader = csv.DictReader(io.StringIO(content))
        try:
            if missing := set(NOTE_COLUMNS) - set(reader.fieldnames or ()):
                what = f"no column {', '.join(sorted(missing))}"
                raise InputError(what, where=f"{name}:1", do=EXPECTED_COLUMNS)
            for row in reader:
                yield f"{name}:{reader.line_num}", row
        except csv.Error as error:
            where = f"{name}:{reader.line_num}"
            raise InputError(
                f"cannot be read as CSV ({error})", where=where, do=EXPECTED_COLUMNS
            ) from None
