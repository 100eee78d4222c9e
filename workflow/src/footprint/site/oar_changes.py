"""Rows of OAR's own `resource_logs` -> when nodes were not alive."""

from __future__ import annotations

import polars as pl

from footprint import tables
from footprint.site.oar_rows import integer, nonzero
from footprint.summation import exact_sum

UTC = pl.Datetime("us", "UTC")
FACTS = ("alive", "absent", "suspected", "dead", "maintenance", "dormant")
STANDBY_UPTO = 2_147_483_646
"""`available_upto` of a node that OAR switches off, and on again when a job needs it."""


def node_states(changes: pl.DataFrame, *, today: pl.DataFrame) -> pl.DataFrame:
    """When nodes were not alive (`tables.States`), from the changes of their cores.

    A node has the state of its most usable core, in the order alive, absent, suspected, dead; it is
    in `maintenance` while any of its cores is, and in `standby` while it is absent and the
    `available_upto` of any of its cores says that OAR may wake it.

    Args:
        changes: `node`, `attribute`, `value`, `date_start`, `date_stop` of OAR's `resource_logs`,
            the cores of a node together.
        today: `node` and `available_upto`, which hold where no change tells another.
    """
    value, attribute = pl.col("value").str.to_lowercase(), pl.col("attribute")
    name = pl.col("node").str.split(".").list.first()
    logged = changes.select(
        node=name,
        start=integer("date_start"),
        stop=nonzero("date_stop"),
        fact=pl.when(attribute == "state")
        .then(value)
        .when((attribute == "maintenance") & value.is_in(["yes", "on"]))
        .then(pl.lit("maintenance"))
        .when((attribute == "available_upto") & (integer("value") == STANDBY_UPTO))
        .then(pl.lit("dormant")),
    )
    told = changes.filter(attribute == "available_upto").select(node=name)
    always = (
        today.filter(integer("available_upto") == STANDBY_UPTO)
        .select(node=name, start=pl.lit(0, pl.Int64), stop=pl.lit(None, pl.Int64))
        .join(told, on="node", how="anti")
        .with_columns(fact=pl.lit("dormant"))
    )
    facts = pl.concat([logged, always])
    opened = facts.select("node", "fact", at="start", n=pl.lit(1))
    closed = facts.drop_nulls("stop").select("node", "fact", at="stop", n=pl.lit(-1))
    holds = {fact: exact_sum(pl.col("n").filter(pl.col("fact") == fact)) for fact in FACTS}
    state = pl.coalesce(
        pl.when("maintenance").then(pl.lit("maintenance")),
        pl.when("alive").then(pl.lit("alive")),
        pl.when(pl.col("absent") & pl.col("dormant")).then(pl.lit("standby")),
        *(pl.when(fact).then(pl.lit(fact)) for fact in ("absent", "suspected", "dead")),
    )
    found = (
        pl.concat([opened, closed])
        .group_by("node", "at")
        .agg(**holds)
        .sort("node", "at")
        .select("node", "at", *(pl.col(fact).cum_sum().over("node") > 0 for fact in FACTS))
        .select("node", "at", state=state)
        .filter(pl.col("state").ne_missing(pl.col("state").shift().over("node")))
        .select("node", "state", started_at="at", stopped_at=pl.col("at").shift(-1).over("node"))
        .with_columns((pl.col("started_at", "stopped_at") * 1_000_000).cast(UTC))
        .filter(pl.col("state") != "alive")
    )
    table: pl.DataFrame = tables.conform(tables.States, found)
    return table
