"""States of nodes, from the generic table `states`."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import States
from footprint.sources.generic import folders, rows
from footprint.sources.state_notes import NODE_STATES


def read_states(directory: Path) -> pl.DataFrame | None:
    """Intervals of states, as rows of `schemas.States`; None without a table.

    Raises:
        InputError: A file cannot be read or has a faulty cell, a state is unknown, or ends before
            it starts.
    """
    found = []
    for path in folders.table_files(directory, "states"):
        name = folders.relative_name(path, directory)
        for block in rows.read_rows(path, table="states", where=name):
            given = block.select(
                pl.col("node").str.split(".").list.first(),
                started_at="from",
                stopped_at="to",
                state=pl.col("state").str.to_lowercase(),
            )
            unknown = given.filter(~pl.col("state").is_in(NODE_STATES)).head(1)
            for node, *_, state in unknown.iter_rows():
                do = f"states are {', '.join(NODE_STATES)}"
                raise InputError(f"state {state!r} of node {node!r}", where=name, do=do)
            for node, *_ in given.filter(pl.col("stopped_at") < pl.col("started_at")).iter_rows():
                what = f"a state of node {node!r} ends before it starts"
                raise InputError(what, where=name, do="fix the row")
            found.append(given)
    return pl.concat(found).select(States.create_empty().columns) if found else None
