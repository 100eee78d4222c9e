"""Notes on the states of nodes (`node,state,from,to`) -> intervals when they could not be used."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint import node_names, tables
from footprint.errors import InputError
from footprint.node_names import GRID5000, cluster_of
from footprint.site import files
from footprint.site.kwollect import OFFSET, utc
from footprint.site.reference import SAVE_NODE

STATES = ("absent", "suspected", "dead", "maintenance", "standby", "alive")
COLUMNS = ("node", "state", "from", "to")
NO_END = (None, "", "0", 0)
"""What stands in `to` while a state lasts; 0 is OAR's."""

EXPECTED = f"states need the columns {', '.join(COLUMNS)}"


def read_states(path: Path, *, name: str, site: str | None = None) -> pl.DataFrame:
    """Rows of `tables.States` in a CSV file with a header, or a JSON list of objects.

    Times are ISO with an offset, or seconds since 1970; a state that lasts has no `to`. Node names
    may be full; states may be capitalised, as OAR writes them.

    Args:
        path: The file.
        name: The file as messages should name it.
        site: Site of the study; nodes of others keep their full names (`of_described`).

    Raises:
        InputError: A column is missing, or see `parse_states`; the message names the line.
    """
    return parse_states(_rows(path, name), site=site)


def parse_states(notes: Iterable[tuple[str, Any]], *, site: str | None = None) -> pl.DataFrame:
    """Rows of `tables.States` from notes with the place that each comes from.

    Args:
        notes: Notes, each with its place.
        site: As of `read_states`.

    Raises:
        InputError: A note is no object or its state unknown, a time has no offset or ends before it
            starts.
    """
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    for where, row in notes:
        if not isinstance(row, dict):
            raise InputError("this is no state", where=where, do=EXPECTED)
        if not row.get("node") or str(row.get("state")).lower() not in STATES:
            what = f"state {row.get('state')!r} of node {row.get('node')!r}"
            raise InputError(what, where=where, do=f"states are {', '.join(STATES)}")
        if any("\ud800" <= each <= "\udfff" for key in COLUMNS for each in str(row.get(key))):
            raise InputError("half of a surrogate pair", where=where, do="mend the text")
        rows.append(row)
        places.append(where)
    started = utc(pl.Series([_text(row.get("from")) for row in rows], dtype=pl.String))
    ends = [None if row.get("to") in NO_END else _text(row["to"]) for row in rows]
    stopped = utc(pl.Series(ends, dtype=pl.String))
    for where, row, start, end, to in zip(places, rows, started, stopped, ends, strict=True):
        if start is None or (to is not None and end is None):
            what = f"cannot tell the time of {row.get('from') if start is None else to!r}"
            raise InputError(what, where=where, do=OFFSET)
        if end is not None and end < start:
            raise InputError("the state ends before it starts", where=where, do="mend the line")
    found = pl.DataFrame(
        {
            "node": [str(row["node"]) for row in rows],
            "started_at": started,
            "stopped_at": stopped,
            "state": [str(row["state"]).lower() for row in rows],
        },
        schema=tables.States.create_empty().schema,
    )
    return found.with_columns(node=node_names.of_site(pl.col("node"), site))


def in_window(
    rows: pl.DataFrame,
    *,
    nodes: pl.DataFrame,
    where: str,
    start: datetime,
    end: datetime,
    pattern: str = GRID5000,
) -> pl.LazyFrame:
    """Intervals that touch [start, end), each once (`tables.States`).

    Args:
        rows: Intervals, as `read_states` gives them.
        nodes: `tables.Nodes` of the study's clusters.
        where: Where the intervals come from, for messages.
        start: Start of the window.
        end: End of the window, excluded.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A node of a described cluster has no description, or a node has two states from
            the same time on.
    """
    rows = rows.unique()
    clusters = set(nodes["cluster"])
    stray = [
        f"node {node} is not described"
        for node in sorted(set(rows["node"]) - set(nodes["node"]))
        if "." not in node and cluster_of(node, pattern) in clusters
    ]
    if stray:
        raise InputError(", ".join(stray), where=where, do=SAVE_NODE)
    key = ["node", "started_at"]
    twice = rows.filter(pl.struct(key).is_duplicated()).select(key).unique().sort(key)
    contradictions = [
        f"node {node} has two states from {since:%Y-%m-%dT%H:%M:%SZ} on"
        for node, since in twice.iter_rows()
    ]
    if contradictions:
        raise InputError(", ".join(contradictions), where=where, do="keep one of them")
    touches = (pl.col("started_at") < end) & (pl.col("stopped_at") > start).fill_null(True)
    found: pl.DataFrame = tables.conform(tables.States, rows.filter(touches))
    return found.lazy()


def of_described(rows: pl.LazyFrame, *, nodes: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """States of the nodes that are described, and the count of the others (`tables.SetAside`).

    Args:
        rows: `tables.States` of a window.
        nodes: `tables.Nodes`.
    """
    known = nodes.select("node").unique()
    stray = rows.join(known, on="node", how="anti").collect()
    reason = (
        pl.when(node_names.is_of_another_site(pl.col("node")))
        .then(pl.lit(node_names.OTHER_SITE))
        .otherwise(pl.lit("node that is not described"))
    )
    counted = (
        stray.group_by(reason=reason)
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("node").min())
        .with_columns(stage=pl.lit("states"), source=pl.lit("states of nodes"))
        .sort("reason")
    )
    set_aside: pl.DataFrame = tables.conform(tables.SetAside, counted)
    return rows.join(known, on="node", how="semi"), set_aside


def _text(value: Any) -> str | None:
    return None if value is None else str(value).strip()


def _rows(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Rows with the place that each comes from."""
    content = b"".join(files.blocks(path)).decode("utf-8-sig", "replace")
    if content.lstrip()[:1] in ("[", "{"):
        for document in files.documents(path):
            items = document.get("items", [document]) if isinstance(document, dict) else document
            if not isinstance(items, list):
                raise InputError("`items` is no list", where=name, do=EXPECTED)
            for number, item in enumerate(items, start=1):
                yield f"{name}, item {number}", item
    else:
        reader = csv.DictReader(io.StringIO(content))
        try:
            if missing := set(COLUMNS) - set(reader.fieldnames or ()):
                what = f"no column {', '.join(sorted(missing))}"
                raise InputError(what, where=f"{name}:1", do=EXPECTED)
            for row in reader:
                yield f"{name}:{reader.line_num}", row
        except csv.Error as error:
            where = f"{name}:{reader.line_num}"
            raise InputError(f"cannot be read as CSV ({error})", where=where, do=EXPECTED) from None
