"""States of nodes, from rows of OAR's table `resource_logs`."""

from __future__ import annotations

import polars as pl

from footprint.core.step_functions import sums_over_time
from footprint.schemas.raw import States
from footprint.schemas.writing import conform
from footprint.sources.oar.database_rows import integer_column, nonzero_column

UTC_TIME = pl.Datetime("us", "UTC")
CORE_CONDITIONS = ("alive", "absent", "suspected", "dead", "maintenance", "dormant")
"""Conditions of a core. `dormant`: OAR may switch its node off and on."""

STANDBY_UPTO = 2_147_483_646
"""`available_upto` of a node that OAR switches off, and on again when a job needs it."""


def node_states(changes: pl.DataFrame, *, today: pl.DataFrame) -> pl.DataFrame:
    """Return when nodes were not alive (`schemas.States`), from the changes of their cores.

    A node has the state of its most usable core, in the order alive, absent, suspected, dead. It is
    in `maintenance` while any of its cores is. It is in `standby` while it is absent and OAR may
    wake it by the `available_upto` of any of its cores.

    Args:
        changes: `node`, `attribute`, `value`, `date_start`, `date_stop` (seconds since 1970) of
            OAR's `resource_logs`, the cores of a node together.
        today: `node` and `available_upto`, which hold for nodes without a change of it.
    """
    value, attribute = pl.col("value").str.to_lowercase(), pl.col("attribute")
    name = pl.col("node").str.split(".").list.first()
    logged = changes.select(
        node=name,
        started_at=integer_column("date_start"),
        stopped_at=nonzero_column("date_stop"),
        condition=pl.when(attribute == "state")
        .then(value)
        .when((attribute == "maintenance") & value.is_in(["yes", "on"]))
        .then(pl.lit("maintenance"))
        .when((attribute == "available_upto") & (integer_column("value") == STANDBY_UPTO))
        .then(pl.lit("dormant")),
    )
    changed = changes.filter(attribute == "available_upto").select(node=name)
    always = (
        today.filter(integer_column("available_upto") == STANDBY_UPTO)
        .select(node=name, started_at=pl.lit(0, pl.Int64), stopped_at=pl.lit(None, pl.Int64))
        .join(changed, on="node", how="anti")
        .with_columns(condition=pl.lit("dormant"))
    )
    intervals = pl.concat([logged, always]).lazy()
    has_condition = {
        name: (pl.col("condition") == name).fill_null(False).cast(pl.Int64)
        for name in CORE_CONDITIONS
    }
    state = pl.coalesce(
        pl.when("maintenance").then(pl.lit("maintenance")),
        pl.when("alive").then(pl.lit("alive")),
        pl.when(pl.col("absent") & pl.col("dormant")).then(pl.lit("standby")),
        *(pl.when(name).then(pl.lit(name)) for name in ("absent", "suspected", "dead")),
    )
    found = (
        sums_over_time(intervals.with_columns(**has_condition), CORE_CONDITIONS, by=["node"])
        .with_columns(pl.col(CORE_CONDITIONS) > 0)
        .select("node", "started_at", state=state)
        .filter(pl.col("state").ne_missing(pl.col("state").shift().over("node")))
        .with_columns(stopped_at=pl.col("started_at").shift(-1).over("node"))
        .with_columns((pl.col("started_at", "stopped_at") * 1_000_000).cast(UTC_TIME))
        .filter(pl.col("state") != "alive")
        .select("node", "state", "started_at", "stopped_at")
        .collect()
    )
    table: pl.DataFrame = conform(States, found)
    return table
