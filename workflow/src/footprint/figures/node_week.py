"""A week of one node: its power, what of it went into jobs, and the jobs that held it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import DayLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from footprint.figures import style
from footprint.summation import exact_sum, total

WEEK = timedelta(days=7)
BIN = timedelta(minutes=10)
"""Width of a step of the power line: half a point on a page."""

SHARE_TOLERANCE = 1e-9


class Week(NamedTuple):
    """A node, the week of it that is drawn, and its energy in that week, in all and in jobs."""

    node: str
    start: datetime
    end: datetime
    energy_kwh: float
    jobs_kwh: float


def busiest(
    node_energy: pl.DataFrame, pieces: pl.LazyFrame, *, node: str | None = None
) -> Week | None:
    """The GPU node and week with most jobs of an hour or more; of several, that with most energy.

    Weeks are seven UTC days from the first day of the study; a shorter study is one week. Only
    weeks measured for half their time or more count; None when there is none with energy in jobs.
    Other nodes are chosen only where no GPU node had a job.

    Args:
        node_energy: `tables.NodeEnergy`.
        pieces: Gates of the study: `job_id`, `node`, `started_at`, `stopped_at`.
        node: A node to choose its busiest week; None for any.
    """
    rows = node_energy if node is None else node_energy.filter(pl.col("node") == node)
    if rows.is_empty():
        return None
    days: tuple[date, date] = node_energy.select(
        pl.col("day").min().alias("first"), pl.col("day").max().alias("last")
    ).row(0)
    first, end = (datetime.combine(day, time.min, UTC) for day in days)
    of_class, day = pl.col("class"), pl.col("day")
    weeks = (
        rows.lazy()
        .group_by("node", ((day - days[0]).dt.total_days() // 7).alias("week"))
        .agg(
            pl.col("has_gpu").any(),
            total(pl.col("energy_kwh")),
            total(pl.col("energy_kwh").filter(of_class == "job")).alias("jobs_kwh"),
            total(pl.col("duration_s").filter(of_class == "no_data")).alias("unknown_s"),
            total(pl.col("duration_s")).alias("whole_s"),
        )
        .filter(pl.col("jobs_kwh") > 0, pl.col("unknown_s") <= pl.col("whole_s") / 2)
        .join(_long_jobs(pieces, first), on=["node", "week"], how="left")
        .sort(
            "has_gpu",
            pl.col("n_jobs").fill_null(0),
            "jobs_kwh",
            "node",
            "week",
            descending=[True, True, True, False, False],
        )
        .head(1)
        .collect()
    )
    if weeks.is_empty():
        return None
    chosen = weeks.row(0, named=True)
    start = first + chosen["week"] * WEEK
    end = min(start + WEEK, end + timedelta(days=1))
    return Week(chosen["node"], start, end, chosen["energy_kwh"], chosen["jobs_kwh"])


def _long_jobs(pieces: pl.LazyFrame, first: datetime) -> pl.LazyFrame:
    """Jobs that held a node for an hour or more of a week: `node`, `week`, `n_jobs`."""

    def week_of(moment: str) -> pl.Expr:
        return (pl.col(moment) - pl.lit(first)).dt.total_seconds() // int(WEEK.total_seconds())

    began = pl.lit(first) + pl.col("week") * pl.duration(days=7)
    inside = pl.min_horizontal("stopped_at", began + WEEK) - pl.max_horizontal("started_at", began)
    return (
        pieces.filter(pl.col("stopped_at") > pl.lit(first))
        .with_columns(
            pl.int_ranges(week_of("started_at").clip(0), week_of("stopped_at") + 1).alias("week")
        )
        .explode("week", empty_as_null=False, keep_nulls=False)
        .filter(inside >= timedelta(hours=1))
        .group_by("node", "week")
        .agg(pl.col("job_id").n_unique().alias("n_jobs"))
    )


def samples(power: pl.LazyFrame, week: Week) -> pl.DataFrame:
    """Samples of the node in the week, from `tables.Power` of several months.

    Months carry the samples around their bounds, so that some come twice.
    """
    return (
        power.filter(
            pl.col("node") == week.node,
            pl.col("timestamp") >= week.start,
            pl.col("timestamp") < week.end,
        )
        .select("timestamp", "power_w")
        .unique("timestamp", keep="any")
        .sort("timestamp")
        .collect()
    )


def lanes(pieces: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Where each job's share of the node is drawn between 0 and 1, without covering another's.

    Pieces of a job add up (a container's carry its inner jobs with a minus). A share takes the
    lowest places that are free when it starts, in several parts where no single place is wide
    enough; under the gate `binary` it goes on above 1.

    Args:
        pieces: Gate of the node: `job_id`, `started_at`, `stopped_at`, `share`.
        week: The week drawn.

    Returns:
        `job_id`, `started_at`, `stopped_at`, `low`, `high`.
    """
    held = _steps(pieces, week)
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


def _steps(pieces: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Intervals in which a job holds a constant share inside the week, in the order of starts."""
    start, stop = (pl.lit(end, _UTC) for end in (week.start, week.end))
    inside = pieces.filter(
        pl.col("started_at") < week.end, pl.col("stopped_at") > week.start
    ).with_columns(pl.max_horizontal("started_at", start), pl.min_horizontal("stopped_at", stop))
    changes = pl.concat(
        [
            inside.select("job_id", pl.col("started_at").alias("at"), "share"),
            inside.select("job_id", pl.col("stopped_at").alias("at"), -pl.col("share")),
        ]
    )
    return (
        changes.group_by("job_id", "at")
        .agg(total(pl.col("share")))
        .sort("job_id", "at")
        .with_columns(
            pl.col("share").cum_sum().over("job_id").round(9),
            pl.col("at").shift(-1).over("job_id").alias("stopped_at"),
        )
        .filter(pl.col("share") > SHARE_TOLERANCE, pl.col("stopped_at").is_not_null())
        .select("job_id", pl.col("at").alias("started_at"), "stopped_at", "share")
        .sort("started_at", "job_id")
    )


def gated(power: pl.DataFrame, pieces: pl.DataFrame, week: Week) -> pl.DataFrame:
    """Mean power of the node in steps of ten minutes, and the part of it that its jobs held.

    Returns:
        `at` (start of the step), `power_w`, `job_w` (both null without samples), every step of the
        week.
    """
    # Steps of the node's held share; the whole at most, whatever the gate.
    moments = _steps(pieces, week).with_columns(pl.col("share").clip(0.0, 1.0))
    changes = (
        pl.concat(
            [
                moments.select(pl.col("started_at").alias("timestamp"), "share"),
                moments.select(pl.col("stopped_at").alias("timestamp"), -pl.col("share")),
            ]
        )
        .group_by("timestamp")
        .agg(total(pl.col("share")))
        .sort("timestamp")
        .with_columns(pl.col("share").cum_sum().clip(0.0, 1.0))
    )
    bins = pl.datetime_range(
        week.start, week.end, BIN, closed="left", time_unit="us", eager=True
    ).alias("at")
    binned = (
        power.filter(pl.col("timestamp") >= week.start, pl.col("timestamp") < week.end)
        .sort("timestamp")
        .join_asof(changes, on="timestamp")
        .with_columns((pl.col("power_w") * pl.col("share").fill_null(0.0)).alias("job_w"))
        .group_by(pl.col("timestamp").dt.truncate(BIN).alias("at"))
        .agg(total(pl.col("power_w")) / pl.len(), total(pl.col("job_w")) / pl.len())
    )
    return pl.DataFrame([bins]).join(binned, on="at", how="left", maintain_order="left")


def gaps(power: pl.DataFrame, week: Week, *, max_gap_s: float) -> pl.DataFrame:
    """Times without measurement: `started_at`, `stopped_at`, longer than `max_gap_s`."""
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
        .filter((pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() > max_gap_s)
    )


def message(week: Week, *, n_jobs: int) -> str:
    """What the figure shows, in a sentence."""
    who = "1 job" if n_jobs == 1 else f"{style.count(n_jobs)} jobs"
    days = (week.end - week.start).days
    period = "a week" if days == 7 else "a day" if days == 1 else f"{days} days"
    share = style.percent(week.jobs_kwh / week.energy_kwh)
    return f"{week.node} drew {style.energy(week.energy_kwh)} in {period}, {share} of it for {who}"


@style.styled
def plot(
    power: pl.DataFrame,
    pieces: pl.DataFrame,
    week: Week | None,
    *,
    max_gap_s: float,
    provenance: str,
) -> Figure:
    """Power over a week with the part of its jobs filled, and the jobs' shares in lanes below.

    Args:
        power: Samples of the node, `tables.Power`.
        pieces: Gate of the node: `job_id`, `started_at`, `stopped_at`, `share`.
        week: Node and week; None when nothing was measured.
        max_gap_s: Samples further apart than this have a gap between them.
        provenance: The foot line.
    """
    if week is None:
        drawn = style.figure(
            width_mm=style.TEXT_MM,
            height_mm=50,
            title="No node was measured for half a week with a job",
            provenance=provenance,
        )
        style.empty(drawn.add_subplot(), "The study has no node with power readings and jobs.")
        return drawn
    binned, places = gated(power, pieces, week), lanes(pieces, week)
    n_jobs = places["job_id"].n_unique()
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=95,
        title=message(week, n_jobs=n_jobs),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic([["key"], ["power"], ["lanes"]], height_ratios=[0.5, 5, 3.5])
    _power(panels["power"], binned)
    _lanes(panels["lanes"], places)
    holes = gaps(power, week, max_gap_s=max_gap_s)
    for name in ("power", "lanes"):
        _time_axis(panels[name], week)
        for start, stop in holes.iter_rows():
            panels[name].axvspan(start, stop, zorder=0.5, **style.HATCH)
    panels["power"].tick_params(axis="x", labelbottom=False)
    style.key(panels["key"], _key(holes), columns=4)
    return drawn


def _power(axes: Axes, binned: pl.DataFrame) -> None:
    at, power_w, job_w = (binned[name].to_numpy() for name in ("at", "power_w", "job_w"))
    # A fill ends where its values are not numbers, so that gaps stay open.
    blank = np.isnan(power_w)
    zero = np.where(blank, np.nan, 0.0)
    axes.fill_between(at, zero, job_w, step="post", color=style.CLASSES["job"], alpha=0.55, lw=0)
    axes.fill_between(at, job_w, power_w, step="post", color=style.CLASSES["idle"], lw=0)
    axes.step(at, power_w, where="post", color=style.INK, lw=0.8)
    axes.set_ylim(0, max(float(np.nanmax(power_w, initial=1.0)) * 1.05, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda watts, _: style.count(round(watts))))
    axes.set_ylabel("Power (W)")


def _lanes(axes: Axes, places: pl.DataFrame) -> None:
    jobs = places["job_id"].unique(maintain_order=True).to_list()
    colour = {job: style.SEQUENCE[i % len(style.SEQUENCE)] for i, job in enumerate(jobs)}
    top = max(1.0, float(places["high"].max() or 1.0))  # type: ignore[arg-type]
    # A white outline parts neighbours, and would wipe out a job of a few minutes.
    long = places.with_columns(pl.col("stopped_at") - pl.col("started_at") > pl.duration(hours=1))[
        "stopped_at"
    ]
    axes.barh(
        places["low"],
        (places["stopped_at"] - places["started_at"]).to_numpy(),
        left=places["started_at"].to_numpy(),
        height=places["high"] - places["low"],
        align="edge",
        color=[colour[job] for job in places["job_id"]],
        edgecolor=["white" if is_long else "none" for is_long in long],
        linewidth=0.6,
    )
    named = places.filter(
        pl.col("stopped_at") - pl.col("started_at") > pl.duration(hours=14),
        pl.col("high") - pl.col("low") >= 0.1 * top,
    ).unique("job_id", keep="first", maintain_order=True)
    for job, start, stop, low, high in named.iter_rows():
        axes.text(
            start + (stop - start) / 2,
            (low + high) / 2,
            str(job),
            ha="center",
            va="center",
            fontsize=7,
            color="white",
        )
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}"))
    axes.set_ylabel("Held by jobs (%)")


def _time_axis(axes: Axes, week: Week) -> None:
    axes.set_xlim(date2num(week.start), date2num(week.end))
    axes.xaxis.set_major_locator(DayLocator(tz=UTC))
    axes.xaxis.set_major_formatter(FuncFormatter(_day))


def _day(moment: float, _position: int | None) -> str:
    """`Mon 3 Mar`, in English whatever the locale."""
    day = num2date(moment, tz=UTC)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day.weekday()]
    return f"{weekday} {day.day} {MONTHS[day.month - 1]}"


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _key(holes: pl.DataFrame) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Line2D([], [], color=style.INK, label="power of the node"),
        Patch(color=style.CLASSES["job"], alpha=0.55, label="part of jobs"),
        Patch(color=style.CLASSES["idle"], label="held by no job"),
    ]
    if not holes.is_empty():
        lost = holes.select(exact_sum(pl.col("stopped_at") - pl.col("started_at"))).item()
        count = "1 gap" if len(holes) == 1 else f"{style.count(len(holes))} gaps"
        text = f"no data ({count}, {style.hours(lost / timedelta(hours=1))})"
        handles.append(Patch(label=text, **style.HATCH))
    return handles
