"""Power of the nodes of the largest runs, for their own views in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from footprint.core.sums import known_mean

MOST_TRACES = 200
"""Number of runs, the largest first, that have a power trace in the report."""

MOST_POINTS = 160
"""Most points of a trace."""

BIN = timedelta(minutes=5)
MARGIN_FRAC = 0.05
"""Time before and after a run, relative to its length, that a trace shows."""


def power_traces(
    runs: pl.DataFrame,
    job_energy: pl.DataFrame,
    allocations: pl.DataFrame,
    power: Iterable[pl.LazyFrame],
    *,
    start: datetime,
    end: datetime,
) -> list[dict[str, Any]]:
    """Mean power of the nodes of each of the largest runs, before, in and after the run.

    Args:
        runs: Result of `run_rows.runs_of_page`.
        job_energy: `schemas.JobEnergy`.
        allocations: `schemas.Allocations`.
        power: Frames of `schemas.Power`.
        start: First moment of the study.
        end: First moment after the study.

    Returns:
        For each run: `run_id`, `nodes`, `start_s` (epoch of the first point), `step_s`, `power_w`
        (sum over the nodes of their mean power; None: some node has no reading), and `spans`
        (start and end, epoch, of each of its jobs). Runs without a known time are left out.
    """
    largest = runs.head(MOST_TRACES).select("run_id", "job_ids", place=pl.int_range(pl.len()))
    jobs = (
        largest.explode("job_ids")
        .rename({"job_ids": "job_id"})
        .join(job_energy.select("job_id", "started_at", "stopped_at"), on="job_id")
        .with_columns(
            since=pl.max_horizontal("started_at", pl.lit(start)),
            until=pl.min_horizontal(pl.col("stopped_at").fill_null(end), pl.lit(end)),
        )
        .filter(pl.col("until") > pl.col("since"))
        .sort("place", "since", "job_id")
    )
    nodes = (
        jobs.join(allocations.select("job_id", "node"), on="job_id")
        .group_by("run_id")
        .agg(pl.col("node").unique().sort())
    )
    wanted = nodes["node"].explode().unique()
    means = _mean_powers(power, wanted)
    of_node = {name: frame for (name,), frame in means.partition_by("node", as_dict=True).items()}
    nodes_of_run = dict(nodes.iter_rows())
    traces = []
    for (run_id,), own in jobs.group_by("run_id", maintain_order=True):
        if run_id in nodes_of_run:
            spans = own.select("since", "until").rows()
            trace = _trace(spans, nodes_of_run[run_id], of_node, start=start, end=end)
            traces.append({"run_id": run_id, **trace})
    return traces


def _mean_powers(power: Iterable[pl.LazyFrame], nodes: pl.Series) -> pl.DataFrame:
    """Mean power of each node in bins of `BIN`: `node`, `bin`, `power_w`, sorted."""
    frames = [
        frame.filter(pl.col("node").is_in(nodes.implode()))
        .group_by("node", bin=pl.col("timestamp").dt.truncate(BIN))
        .agg(known_mean(pl.col("power_w")))
        .collect(engine="streaming")
        for frame in power
    ]
    schema = pl.Schema(
        {"node": pl.String(), "bin": pl.Datetime("us", "UTC"), "power_w": pl.Float64()}
    )
    if not frames:
        return schema.to_frame()
    return pl.concat(frames).cast(schema).sort("node", "bin")


def _trace(
    spans: list[tuple[datetime, datetime]],
    nodes: list[str],
    of_node: dict[Any, pl.DataFrame],
    *,
    start: datetime,
    end: datetime,
) -> dict[str, Any]:
    first, last = spans[0][0], max(until for _, until in spans)
    margin = max((last - first) * MARGIN_FRAC, BIN)
    first, last = max(first - margin, start), min(last + margin, end)
    n_bins = max(int((last - first) / BIN), 1)
    step = BIN * math.ceil(n_bins / MOST_POINTS)
    points = pl.select(point=pl.int_range(math.ceil((last - first) / step)))
    total = points.with_columns(power_w=pl.lit(0.0))
    for node in nodes:
        known = of_node.get(node)
        if known is None:
            total = total.with_columns(power_w=pl.lit(None, pl.Float64))
            break
        inside = known.filter(pl.col("bin").is_between(first - BIN, last, closed="left"))
        since_first = pl.max_horizontal("bin", pl.lit(first)) - pl.lit(first)
        place = since_first.dt.total_seconds() // int(step.total_seconds())
        means = inside.group_by(point=place).agg(own_w=known_mean(pl.col("power_w")))
        total = total.join(means, on="point", how="left", maintain_order="left").select(
            "point", power_w=pl.col("power_w") + pl.col("own_w")
        )
    powers = total["power_w"].to_list()
    return {
        "nodes": nodes,
        "start_s": round(first.timestamp()),
        "step_s": round(step.total_seconds()),
        "power_w": [None if watts is None else round(watts) for watts in powers],
        "spans": [[round(since.timestamp()), round(until.timestamp())] for since, until in spans],
    }
