"""Figure of a week of one node: its power, the part of its jobs, and its allocations by kind."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import DayLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from footprint.core.gaps import is_gap
from footprint.core.step_functions import sums_over_time
from footprint.core.sums import exact_sum, sum_or_zero
from footprint.core.vocabulary import KINDS
from footprint.report import wording
from footprint.report.figures import style, time_axis
from footprint.report.figures.busiest_week import Week, busiest_week, samples_of_week

POWER_STEP = timedelta(minutes=10)
"""Step of the line of power: half a point on a page."""

SHARE_TOLERANCE = 1e-9
NAMED_H = 10.0
"""Hours of the shortest job with a text."""
LETTER_H = 1.5
"""Hours of a week that a letter of such a text takes."""

log = logging.getLogger(__name__)


def job_lanes(allocations: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Places between 0 and 1 at which the shares of the jobs are drawn without overlap.

    Allocations of a job add up (those of a container subtract its inner jobs). A share takes the
    lowest places that are free at its start, in several parts if no single place is wide enough.
    Under the gate `binary` it can exceed 1.

    Args:
        allocations: Allocations of the node: `job_id`, `started_at`, `stopped_at`, `share`.
        week: The week drawn.

    Returns:
        `job_id`, `started_at`, `stopped_at`, `low`, `high`.
    """
    held = _share_intervals(allocations, week)
    busy: list[tuple[float, float, datetime]] = []
    rows: list[tuple[int, datetime, datetime, float, float]] = []
    for job, start, stop, share in held.iter_rows():
        busy = sorted(place for place in busy if place[2] > start)
        left, low = share, 0.0
        for taken_low, taken_high, _ in [*busy, (math.inf, math.inf, start)]:
            width = min(left, taken_low - low)
            if width > SHARE_TOLERANCE:
                rows.append((job, start, stop, low, low + width))
                busy.append((low, low + width, stop))
                left -= width
            if left <= SHARE_TOLERANCE:
                break
            low = max(low, taken_high)
    schema = {"job_id": pl.Int64(), "started_at": _UTC, "stopped_at": _UTC}
    return pl.DataFrame(rows, schema | {"low": pl.Float64(), "high": pl.Float64()}, orient="row")


_UTC = pl.Datetime("us", "UTC")


def _share_intervals(allocations: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Intervals of constant share of each job inside the week, in the order of their starts."""
    start, stop = (pl.lit(end, _UTC) for end in (week.start, week.end))
    inside = allocations.filter(
        pl.col("started_at") < week.end, pl.col("stopped_at") > week.start
    ).with_columns(pl.max_horizontal("started_at", start), pl.min_horizontal("stopped_at", stop))
    return (
        sums_over_time(inside.lazy(), ["share"], by=["job_id"])
        .with_columns(pl.col("share").round(9))
        .filter(pl.col("share") > SHARE_TOLERANCE)
        .select("job_id", "started_at", "stopped_at", "share")
        .sort("started_at", "job_id")
        .collect()
    )


def gated_power(power: pl.DataFrame, allocations: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Mean power of the node, and the part of its jobs, in steps of ten minutes.

    Args:
        power: Samples of the node, `schemas.Power`.
        allocations: Allocations of the node: `job_id`, `started_at`, `stopped_at`, `share`.
        week: The week drawn.

    Returns:
        `at` (start of the step), `power_w`, `job_w` (W, both null without samples): a row for each
        step of the week.
    """
    # the shares of a node add up to at most 1, whatever the gate
    shares = _share_intervals(allocations, week).with_columns(pl.col("share").clip(0.0, 1.0))
    of_jobs = sums_over_time(shares.lazy().with_columns(node=1), ["share"], by=["node"])
    changes = of_jobs.select(timestamp="started_at", share=pl.col("share").clip(0.0, 1.0)).collect()
    bins = pl.datetime_range(
        week.start, week.end, POWER_STEP, closed="left", time_unit="us", eager=True
    ).alias("at")
    binned = (
        power.filter(pl.col("timestamp") >= week.start, pl.col("timestamp") < week.end)
        .sort("timestamp")
        .join_asof(changes, on="timestamp")
        .with_columns((pl.col("power_w") * pl.col("share").fill_null(0.0)).alias("job_w"))
        .group_by(pl.col("timestamp").dt.truncate(POWER_STEP).alias("at"))
        .agg(sum_or_zero(pl.col("power_w")) / pl.len(), sum_or_zero(pl.col("job_w")) / pl.len())
    )
    return pl.DataFrame([bins]).join(binned, on="at", how="left", maintain_order="left")


def sample_gaps(power: pl.DataFrame, week: Week, *, max_gap_s: float) -> pl.DataFrame:
    """Intervals without samples that are longer than `max_gap_s`: `started_at`, `stopped_at`."""
    times = (
        power.filter(pl.col("timestamp") >= week.start, pl.col("timestamp") < week.end)
        .select("timestamp")
        .sort("timestamp")
    )
    ends = pl.DataFrame({"timestamp": [week.start, week.end]}, {"timestamp": _UTC})
    return (
        pl.concat([times, ends])
        .sort("timestamp")
        .select(
            pl.col("timestamp").shift(1).alias("started_at"),
            pl.col("timestamp").alias("stopped_at"),
        )
        .filter(
            is_gap((pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds(), max_gap_s)
        )
    )


def figure_title(week: Week, *, n_jobs: int) -> str:
    """Title of the figure: energy of the node in the week, and the part of its jobs."""
    jobs = "1 job" if n_jobs == 1 else f"{wording.format_count(n_jobs)} jobs"
    days = (week.end - week.start).days
    period = "a week" if days == 7 else "a day" if days == 1 else f"{days} days"
    share = wording.format_percent(week.jobs_kwh / week.measured_kwh)
    energy = wording.format_energy(week.measured_kwh)
    return f"{week.node} drew {energy} in {period}, {share} of it for {jobs}"


def plot_busiest_week(
    node_energy: pl.DataFrame,
    node_allocations: pl.LazyFrame,
    runs: pl.LazyFrame,
    power: pl.LazyFrame,
    *,
    max_gap_s: float,
    provenance: str,
) -> Figure:
    """The week that `busiest_week` chooses, drawn by `plot`.

    Args:
        node_energy: `schemas.NodeEnergy`.
        node_allocations: Allocations of the study: `job_id`, `node`, `started_at`, `stopped_at`,
            `share`.
        runs: `schemas.Runs`.
        power: Samples of all nodes, `schemas.Power`.
        max_gap_s: Longest time between two samples without a gap, in seconds.
        provenance: The foot line.
    """
    week = busiest_week(node_energy, node_allocations)
    log.info("%s", week)
    allocations = node_allocations.filter(pl.col("node") == (week.node if week else ""))
    return plot(
        power.head(0).collect() if week is None else samples_of_week(power, week),
        allocations.collect(),
        runs.collect(),
        week,
        max_gap_s=max_gap_s,
        provenance=provenance,
    )


def kinds_of_jobs(runs: pl.DataFrame) -> pl.DataFrame:
    """Kind of the run of each job, and its user: `job_id`, `kind`, `user` (pseudonym).

    Args:
        runs: `schemas.Runs`.
    """
    return (
        runs.select("job_ids", pl.col("kind").cast(pl.String), "user")
        .explode("job_ids", empty_as_null=False, keep_nulls=False)
        .rename({"job_ids": "job_id"})
    )


@style.with_style
def plot(
    power: pl.DataFrame,
    allocations: pl.DataFrame,
    runs: pl.DataFrame,
    week: Week | None,
    *,
    max_gap_s: float,
    provenance: str,
) -> Figure:
    """Power over a week with the part of the jobs filled, and the jobs below by kind of run.

    Args:
        power: Samples of the node, `schemas.Power`.
        allocations: Allocations of the node: `job_id`, `started_at`, `stopped_at`, `share`.
        runs: `schemas.Runs`; a job without a run is of kind `unknown`.
        week: Node and week; None if nothing was measured.
        max_gap_s: Longest time between two samples without a gap, in seconds.
        provenance: The foot line.
    """
    if week is None:
        drawn = style.new_figure(
            width_mm=style.TEXT_MM,
            height_mm=50,
            title="No node was measured for half a week with a job",
            provenance=provenance,
        )
        style.draw_empty_panel(
            drawn.add_subplot(), "The study has no node with power readings and jobs."
        )
        return drawn
    binned = gated_power(power, allocations, week)
    places = (
        job_lanes(allocations, week)
        .join(kinds_of_jobs(runs), on="job_id", how="left", maintain_order="left")
        .with_columns(pl.col("kind").fill_null("unknown"))
    )
    n_jobs = places["job_id"].n_unique()
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=105,
        title=figure_title(week, n_jobs=n_jobs),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic(
        [["key"], ["power"], ["kinds"], ["lanes"]], height_ratios=[0.5, 5, 0.5, 3.5]
    )
    _draw_power(panels["power"], binned)
    _draw_lanes(panels["lanes"], places)
    gap_times = sample_gaps(power, week, max_gap_s=max_gap_s)
    for name in ("power", "lanes"):
        _set_time_axis(panels[name], week)
        for start, stop in gap_times.iter_rows():
            panels[name].axvspan(start, stop, zorder=0.5, **style.UNKNOWN_LOOK)
    panels["power"].tick_params(axis="x", labelbottom=False)
    style.draw_key(panels["key"], _key_marks(gap_times), columns=4)
    style.draw_key(panels["kinds"], _kind_marks(places), columns=6)
    return drawn


def _draw_power(axes: Axes, binned: pl.DataFrame) -> None:
    at, power_w, job_w = (binned[name].to_numpy() for name in ("at", "power_w", "job_w"))
    # a fill ends at values that are not numbers, so gaps stay open
    blank = np.isnan(power_w)
    zero = np.where(blank, np.nan, 0.0)
    axes.fill_between(
        at, zero, job_w, step="post", color=style.CLASS_COLOURS["job"], alpha=0.55, lw=0
    )
    axes.fill_between(at, job_w, power_w, step="post", color=style.CLASS_COLOURS["idle"], lw=0)
    axes.step(at, power_w, where="post", color=style.INK, lw=0.8)
    axes.set_ylim(0, max(float(np.nanmax(power_w, initial=1.0)) * 1.05, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda watts, _: wording.format_count(round(watts)))
    )
    axes.set_ylabel("Power (W)")


def _draw_lanes(axes: Axes, places: pl.DataFrame) -> None:
    top = max(1.0, float(places["high"].max() or 1.0))  # type: ignore[arg-type]
    # a white outline separates neighbours, but would hide a job of a few minutes
    long = places.with_columns(pl.col("stopped_at") - pl.col("started_at") > pl.duration(hours=1))[
        "stopped_at"
    ]
    axes.barh(
        places["low"],
        (places["stopped_at"] - places["started_at"]).to_numpy(),
        left=places["started_at"].to_numpy(),
        height=places["high"] - places["low"],
        align="edge",
        color=[style.KIND_COLOURS[kind] for kind in places["kind"]],
        edgecolor=["white" if is_long else "none" for is_long in long],
        linewidth=0.6,
    )
    named = places.filter(
        pl.col("stopped_at") - pl.col("started_at") > pl.duration(hours=NAMED_H),
        pl.col("high") - pl.col("low") >= 0.1 * top,
    ).unique("job_id", keep="first", maintain_order=True)
    for row in named.iter_rows(named=True):
        length_h = (row["stopped_at"] - row["started_at"]) / timedelta(hours=1)
        axes.text(
            row["started_at"] + (row["stopped_at"] - row["started_at"]) / 2,
            (row["low"] + row["high"]) / 2,
            _job_text(row, length_h=length_h),
            ha="center",
            va="center",
            fontsize=7,
            color=style.INK if row["kind"] == "inference_run" else "white",
        )
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}"))
    axes.set_ylabel("Held by jobs (%)")


def _job_text(row: Mapping[str, Any], *, length_h: float) -> str:
    """Kind of a job and pseudonym of its user, as far as they fit into its bar."""
    kind = wording.KIND_NAMES[row["kind"]]
    text = kind if row["user"] is None else f"{kind}, {row['user']}"
    letters = int(length_h / LETTER_H)
    return text if len(text) <= letters else kind if len(kind) <= letters else ""


def _kind_marks(places: pl.DataFrame) -> list[Patch]:
    """Patches of the kinds in the week; kinds of one colour share a patch."""
    names: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind in places["kind"].to_list():
            names.setdefault(style.KIND_COLOURS[kind], []).append(wording.KIND_NAMES[kind])
    return [Patch(color=colour, label=", ".join(each)) for colour, each in names.items()]


def _set_time_axis(axes: Axes, week: Week) -> None:
    axes.set_xlim(date2num(week.start), date2num(week.end))
    axes.xaxis.set_major_locator(DayLocator(tz=UTC))
    axes.xaxis.set_major_formatter(FuncFormatter(_day_label))


def _day_label(moment: float, _position: int | None) -> str:
    """A day such as `Mon 3 Mar`, in English whatever the locale."""
    day = num2date(moment, tz=UTC)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day.weekday()]
    return f"{weekday} {day.day} {time_axis.MONTH_NAMES[day.month - 1]}"


def _key_marks(gap_times: pl.DataFrame) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Line2D([], [], color=style.INK, label="power of the node"),
        Patch(color=style.CLASS_COLOURS["job"], alpha=0.55, label="part of jobs"),
        Patch(color=style.CLASS_COLOURS["idle"], label="held by no job"),
    ]
    if not gap_times.is_empty():
        lost = gap_times.select(exact_sum(pl.col("stopped_at") - pl.col("started_at"))).item()
        count = "1 gap" if len(gap_times) == 1 else f"{wording.format_count(len(gap_times))} gaps"
        text = f"no data ({count}, {wording.format_duration(lost / timedelta(hours=1))})"
        handles.append(Patch(label=text, **style.UNKNOWN_LOOK))
    return handles
