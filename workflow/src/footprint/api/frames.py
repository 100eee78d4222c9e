"""Checks of the two frames of `integrate`: each fault is one line with its row and its fix."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl

from footprint.allocation.node_allocations import (
    ALLOCATION_SCHEMA,
    check_shares,
    continues_previous_row,
)
from footprint.allocation.shares import SHARE_TOLERANCE
from footprint.core.errors import InputError

SAMPLE_SCHEMA = pl.Schema(
    {"node": pl.String(), "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64()}
)
"""Samples as the engine takes them."""

ALLOCATION_DEFAULTS = {"share": 1.0, "opens": True, "closes": True}
"""Columns of `ALLOCATION_SCHEMA` that a frame may lack, with their values."""

UNUSED_COLUMNS = ("gpus", "cores")
"""Columns of `ALLOCATION_SCHEMA` that change no energy. They are lists in other tables."""

YEARS = (1970, 2100)
"""First year of a timestamp, and the year after the last. Others mark an unknown end."""


def read_allocations(frame: pl.DataFrame | pl.LazyFrame, *, gate: str) -> pl.DataFrame:
    """Allocations in the types of `ALLOCATION_SCHEMA`, sorted by node and start.

    Allocations of no duration are left out. Under the gate `binary` the shares are 1.

    Args:
        frame: `job_id`, `node`, `started_at`, `stopped_at`, and any of `ALLOCATION_DEFAULTS`.
        gate: The gate.

    Raises:
        InputError: A column is missing or has another type, a row cannot be used, a job holds a
            node twice at the same time, or jobs hold more than a node.
    """
    name = "allocations"
    used = pl.Schema(
        {
            column: type_
            for column, type_ in ALLOCATION_SCHEMA.items()
            if column not in UNUSED_COLUMNS
        }
    )
    rows = _typed_rows(frame, name, used, defaults=ALLOCATION_DEFAULTS)
    if gate == "binary":
        rows = rows.with_columns(share=pl.lit(1.0))
    unknown = pl.any_horizontal(pl.all().is_null())
    start, stop, share = pl.col("started_at"), pl.col("stopped_at"), pl.col("share")
    is_odd_time = ~pl.all_horizontal(
        pl.col("started_at", "stopped_at").dt.year().is_between(*YEARS, closed="left")
    )
    for condition, what, do in (
        (unknown, "lacks a value", "fill it, or remove the job if it never started"),
        (is_odd_time, f"is not between the years {YEARS[0]} and {YEARS[1]}", "set the real times"),
        (stop < start, "stops before it starts", "fix its times"),
        (~share.is_between(0, 1 + SHARE_TOLERANCE), "has a share outside 0 to 1", "fix its share"),
    ):
        _refuse(rows.filter(condition), name, what, do)
    rows = rows.filter(stop > start).sort("node", "job_id", "started_at", "stopped_at")
    again = start < stop.shift().over("node", "job_id")
    _refuse(rows.filter(again), name, "overlaps with another of the same job", "merge the two")
    continues = continues_previous_row()
    rows = rows.with_columns(
        opens=pl.col("opens") & ~continues,
        closes=pl.col("closes") & ~continues.shift(-1, fill_value=False),
    )
    if gate != "binary":
        try:
            check_shares(rows)
        except InputError as error:
            raise InputError(
                error.what, where=name, do='fix the shares or times, or use the gate "binary"'
            ) from None
    unused = dict.fromkeys(UNUSED_COLUMNS, pl.lit(0.0))
    return rows.with_columns(**unused).sort("node", "started_at", "job_id")


def read_samples(
    frame: pl.DataFrame | pl.LazyFrame, nodes: Collection[str]
) -> dict[str, pl.DataFrame]:
    """Samples of each node, strictly ascending in time: `timestamp`, `power_w`.

    Rows without power (null or NaN) and repeated rows are left out.

    Args:
        frame: `node`, `timestamp`, `power_w`.
        nodes: Nodes to read.

    Raises:
        InputError: A column is missing or has another type, a row cannot be used, a node has two
            powers at one time, or no node has a sample.
    """
    rows = _typed_rows(frame, "power", SAMPLE_SCHEMA, nodes=nodes)
    time, power_w = pl.col("timestamp"), pl.col("power_w")
    _refuse(rows.filter(time.is_null()), "power", "has no time", "fill it or remove the row")
    is_odd = (power_w < 0) | power_w.is_infinite()
    _refuse(rows.filter(is_odd), "power", "is not a power", "fix it or remove the row")
    rows = rows.filter(power_w.is_not_nan())
    if rows.is_empty() and nodes:
        raise InputError(
            f"has no sample of the {len(nodes)} nodes of the allocations, as {min(nodes)}",
            where="power",
            do="use the same names of nodes in both frames, and nodes with samples",
        )
    of_nodes = {node: rows.clear().drop("node") for node in nodes}
    for (node,), own in rows.partition_by("node", as_dict=True).items():
        if not own.select((time.diff().drop_nulls() > pl.duration()).all()).item():
            own = own.unique().sort("timestamp", "power_w")
            _refuse(
                own.filter(time == time.shift()),
                "power",
                "has another power at the same time",
                "keep one series a node, and one value at a time",
            )
        of_nodes[node] = own.drop("node")
    return of_nodes


def _typed_rows(
    frame: pl.DataFrame | pl.LazyFrame,
    name: str,
    schema: pl.Schema,
    *,
    defaults: dict[str, Any] | None = None,
    nodes: Collection[str] | None = None,
) -> pl.DataFrame:
    """Columns of a schema, in its types; a lazy frame is collected without its other columns."""
    if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
        raise InputError(
            f"is {type(frame).__module__}.{type(frame).__name__}, not a frame of polars",
            where=name,
            do=f"convert it, as with polars.from_pandas({name})",
        )
    found = frame.lazy().collect_schema()
    columns = []
    for column, wanted in schema.items():
        if column in found:
            _check_type(name, column, found[column], wanted)
            columns.append(_in_utc(column) if wanted.is_temporal() else pl.col(column).cast(wanted))
        elif defaults and column in defaults:
            columns.append(pl.lit(defaults[column], wanted).alias(column))
        else:
            raise InputError(
                f"has no column {column}, only {', '.join(found) or 'none'}",
                where=name,
                do="rename or add it",
            )
    rows = frame.lazy().select(columns)
    return (rows if nodes is None else rows.filter(pl.col("node").is_in(nodes))).collect()


def _in_utc(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))


def _check_type(name: str, column: str, found: pl.DataType, wanted: pl.DataType) -> None:
    """Refuse a type whose values cannot be read as meant."""
    if isinstance(found, pl.Datetime) and found.time_zone is None and wanted.is_temporal():
        raise InputError(
            "has times without a time zone",
            where=f"{name}.{column}",
            do='set their zone, as with pl.col(...).dt.replace_time_zone("UTC")',
        )
    is_readable = {
        pl.String: isinstance(found, pl.String | pl.Categorical | pl.Enum),
        pl.Datetime: isinstance(found, pl.Datetime),
        pl.Float64: found.is_numeric(),
        pl.Int64: found.is_integer(),
        pl.Boolean: isinstance(found, pl.Boolean),
    }
    if not is_readable[wanted.base_type()]:
        raise InputError(f"is {found}", where=f"{name}.{column}", do=f"convert it to {wanted}")


def _refuse(wrong: pl.DataFrame, name: str, what: str, do: str) -> None:
    """Raise an error that shows the first row, if there is one."""
    if len(wrong):
        cells = wrong.row(0, named=True).items()
        row = ", ".join(f"{column} {value}" for column, value in cells if value is not True)
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(f"{what}{others}", where=f"{name}, row with {row}", do=do)
