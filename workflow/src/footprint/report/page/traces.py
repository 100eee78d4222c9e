"""Power of the nodes of the largest runs, for their own views in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

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
        (sum over the nodes of the job of that time, or of the job before or, at first, after it;
        None: some node has no reading), and `spans`
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
        .group_by("job_id")
        .agg(pl.col("node").unique().sort())
    )
    means = _mean_powers(power, nodes["node"].explode().unique())
    of_node = {name: frame for (name,), frame in means.partition_by("node", as_dict=True).items()}
    nodes_of_job = dict(nodes.iter_rows())
    traces = []
    for (run_id,), own in jobs.group_by("run_id", maintain_order=True):
        spans = [
            _Span(since, until, nodes_of_job[job_id])
            for job_id, since, until in own.select("job_id", "since", "until").iter_rows()
            if job_id in nodes_of_job
        ]
        if spans:
            traces.append({"run_id": run_id, **_trace(spans, of_node, start=start, end=end)})
    return traces


class _Span(NamedTuple):
    """Time of a job of a run, and its nodes."""

    since: datetime
    until: datetime
    nodes: list[str]


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
    spans: list[_Span], of_node: dict[Any, pl.DataFrame], *, start: datetime, end: datetime
) -> dict[str, Any]:
    """Trace of a run; each job's nodes count from its start to the start of the next job."""
    first, last = spans[0].since, max(span.until for span in spans)
    margin = max((last - first) * MARGIN_FRAC, BIN)
    first, last = max(first - margin, start), min(last + margin, end)
    step = BIN * math.ceil(max(math.ceil((last - first) / BIN), 1) / MOST_POINTS)
    starts = [first, *(span.since for span in spans[1:])]
    powers = pl.concat(
        _summed_power(span.nodes, of_node, since, until)
        for span, since, until in zip(spans, starts, [*starts[1:], last], strict=True)
    )
    since_first = pl.max_horizontal("bin", pl.lit(first)) - pl.lit(first)
    place = since_first.dt.total_seconds() // int(step.total_seconds())
    means = powers.group_by(point=place).agg(power_w=known_mean(pl.col("power_w")))
    points = pl.select(point=pl.int_range(math.ceil((last - first) / step)))
    shown = points.join(means, on="point", how="left", maintain_order="left")
    return {
        "nodes": sorted({node for span in spans for node in span.nodes}),
        "start_s": round(first.timestamp()),
        "step_s": round(step.total_seconds()),
        "power_w": [None if watts is None else round(watts) for watts in shown["power_w"]],
        "spans": [[round(span.since.timestamp()), round(span.until.timestamp())] for span in spans],
    }


def _summed_power(
    nodes: list[str], of_node: dict[Any, pl.DataFrame], since: datetime, until: datetime
) -> pl.DataFrame:
    """Power of some nodes together in the bins in which all have readings: `bin`, `power_w`."""
    known = [of_node[node] for node in nodes if node in of_node]
    total = pl.Schema({"bin": pl.Datetime("us", "UTC"), "power_w": pl.Float64()}).to_frame()
    if len(known) < len(nodes):
        return total
    for number, frame in enumerate(known):
        # a bin belongs to the job that holds most of it
        middle = pl.col("bin") + BIN / 2
        own = frame.filter((middle >= since) & (middle < until)).select("bin", own_w="power_w")
        if number == 0:
            total = own.rename({"own_w": "power_w"})
        else:
            total = total.join(own, on="bin", maintain_order="left").select(
                "bin", power_w=pl.col("power_w") + pl.col("own_w")
            )
    return total
