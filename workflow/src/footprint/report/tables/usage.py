"""Readers' tables of the use of a site: active users, concentration, energy over time."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from footprint.core.sums import exact_sum, known_sum, quotient, sum_or_zero
from footprint.core.vocabulary import NODE_CLASSES, USAGE_BASES
from footprint.energy.job_count import JOB_COUNT_NOTE, has_held_node
from footprint.levels import concentration
from footprint.levels.time_steps import CALENDAR_STEP_NAMES, calendar_step, energy_by_calendar_step
from footprint.report import sites
from footprint.report.tables.energy import CLASS_DEFINITIONS, NODE_ENERGY_NOTE
from footprint.report.tables.formats import Column, ReaderTable
from footprint.totals.largest_shares import intervals_of_largest

MOST_PRINTED_DAYS = 32
"""Most rows of days in the printed table over time; the weeks of more days are printed."""


def active_users_table(users: pl.DataFrame, *, site: str) -> ReaderTable:
    """People with a job in the 12 months before each point in time, and the known part of these.

    Args:
        users: `schemas.ActiveUsers`.
        site: Site of the study.
    """
    counted = f"Users of {sites.town_name(site)}, counted from"
    groups = {
        "jobs": f"{counted} the study's jobs",
        "history": f"{counted} a history of jobs",
        "statistics": "The platform's own statistics",
    }
    basis = pl.col("basis").cast(pl.String)
    meaning = (
        pl.when(pl.col("fewer_than").is_not_null())
        .then(
            pl.format("not shown, fewer than {}", "fewer_than")
            + pl.when("is_partial").then(pl.lit(" known")).otherwise(pl.lit(""))
        )
        .when(basis == "statistics")
        .then(pl.lit("as given"))
        .when("is_partial")
        .then(pl.lit("a lower bound"))
        .otherwise(pl.lit("all"))
    )
    rows = users.sort(basis.cast(pl.Enum(USAGE_BASES)), "until").with_columns(
        basis.replace_strict(groups, return_dtype=pl.String).alias("group"),
        _day_text(pl.col("since")).alias("first_day"),
        _day_text(pl.col("until"), is_end=True).alias("last_day"),
        meaning.alias("meaning"),
    )
    note = (
        "A row covers 12 months in UTC, first and last day included. It counts each person once "
        "who had a job that held resources in them. Rows do not add up, because the same people "
        "occur in several. Time known: the part of the 12 months whose jobs are known; below "
        "100 %, the number is a lower bound. Fewer people than privacy.minimum_group are not shown "
        "as a number. A dash: unknown."
    )
    if users.is_empty():
        note = f"No job with a start and an end is known, so nobody can be counted. {note}"
    columns = [
        Column(name="first_day", header="First day"),
        Column(name="last_day", header="Last day"),
        Column(name="n_users", header="People", decimals=0),
        Column(name="meaning", header="The number is"),
        Column(name="known_frac", header="Time known", unit="%", decimals=1, scale=100),
    ]
    if rows["source"].count():
        columns.append(Column(name="source", header="Given by"))
    return ReaderTable(
        name="active_users",
        title="Active users in 12 months",
        note=note,
        rows=rows,
        columns=columns,
    )


def _day_text(moment: pl.Expr, *, is_end: bool = False) -> pl.Expr:
    """Day of a moment as text; the day before for an excluded end at midnight."""
    included = moment - timedelta(microseconds=1) if is_end else moment
    return included.dt.strftime("%Y-%m-%d")


def concentration_table(jobs: pl.DataFrame, runs: pl.DataFrame) -> ReaderTable:
    """Energy of the largest jobs and of the largest runs, and of jobs by duration.

    Args:
        jobs: `schemas.JobEnergy`.
        runs: `schemas.Runs`.
    """
    held, ran = jobs.filter(has_held_node()), runs.filter(pl.col("duration_s") > 0)
    rows = [
        _rows_of_largest(held, "Jobs"),
        _rows_of_largest(ran, "Runs"),
        _rows_by_duration(held),
    ]
    note = (
        f"{JOB_COUNT_NOTE} "
        "Jobs, or runs, by their energy, measured and estimated: numbers such as the largest 1 % "
        "are rounded up, and shares refer to the jobs or runs of known energy. Jobs by the time "
        "that they held their nodes inside the study: shares refer to all jobs and to the known "
        "energy. Runs merge resumed jobs and arrays of jobs. Low and high: 95 % interval of the "
        "share of energy, by bootstrap over users. The Gini index is 0 if all use the same and "
        "near 1 if one uses all. Energy that cannot be estimated is unknown, not 0."
    )
    if not held["total_kwh"].count():
        note = f"No energy of a job is known. {note}"
    return ReaderTable(
        name="concentration",
        title="Energy of the largest jobs and runs, and of jobs by duration",
        note=note,
        rows=pl.concat(rows),
        columns=[
            Column(name="name", header="Which"),
            Column(name="n", header="Number", decimals=0),
            Column(name="part_frac", header="Share of number", unit="%", digits=3, scale=100),
            Column(name="n_known", header="Of known energy", decimals=0),
            Column(name="total_kwh", header="Energy", unit="kWh", digits=3),
            Column(name="energy_frac", header="Share of energy", unit="%", digits=3, scale=100),
            Column(name="energy_low_frac", header="Low", unit="%", decimals=1, scale=100),
            Column(name="energy_high_frac", header="High", unit="%", decimals=1, scale=100),
        ],
    )


_GROUP_TYPES = {
    "name": pl.String(),
    "n": pl.Int64(),
    "n_known": pl.Int64(),
    "part_frac": pl.Float64(),
    "total_kwh": pl.Float64(),
    "energy_frac": pl.Float64(),
    "energy_low_frac": pl.Float64(),
    "energy_high_frac": pl.Float64(),
}


def _rows_of_largest(cases: pl.DataFrame, what: str) -> pl.DataFrame:
    """Rows of the largest, the fewest with half of the energy, all known, and all unknown."""
    energies_kwh = cases["total_kwh"]
    known, unknown = energies_kwh.count(), energies_kwh.null_count()
    whole = energies_kwh.to_frame("kwh").select(known_sum(pl.col("kwh"))).item()
    half, index = (
        concentration.n_jobs_with_energy_frac(energies_kwh),
        concentration.gini_index(energies_kwh),
    )
    counts = {}
    if half:
        # in whole numbers: 0.07 x 100 is 7.000000000000001, which would be rounded up to 8
        counts = {
            f"largest {percent} %": -(-known * percent // 100)
            for percent in concentration.LARGEST_JOB_PERCENTS
        }
        counts["fewest with half of the energy"] = half
    if known:
        counts["all of known energy"] = known
    parts = concentration.energy_frac_of_largest(energies_kwh, counts.values())
    percents = concentration.LARGEST_JOB_PERCENTS if half else ()
    ends = dict(zip(counts, intervals_of_largest(cases, percents), strict=False))
    rows: list[tuple[object, ...]] = [
        (
            *(name, n, n, n / known, whole if part is None else part * whole, part),
            *ends.get(name, (None, None)),
        )
        for (name, n), part in zip(counts.items(), parts, strict=True)
    ]
    if unknown:
        rows.append(("of unknown energy", unknown, 0, *[None] * 5))
    return pl.DataFrame(rows, _GROUP_TYPES, orient="row").select(
        pl.lit(
            f"{what}, largest first"
            if index is None
            else f"{what}, largest first: Gini index {index:.2f}"
        ).alias("group"),
        *_GROUP_TYPES,
        is_total=pl.col("name") == "all of known energy",
    )


def _rows_by_duration(jobs: pl.DataFrame) -> pl.DataFrame:
    """Rows of the classes of duration, and of all jobs."""
    classes = concentration.jobs_by_duration(jobs.lazy()).select(
        pl.col("duration").cast(pl.String).alias("name"),
        pl.col("n_jobs").alias("n"),
        "n_known",
        pl.col("job_frac").alias("part_frac"),
        "total_kwh",
        "energy_frac",
    )
    n, known = exact_sum(pl.col("n")), exact_sum(pl.col("n_known"))
    every = classes.select(
        pl.lit("all jobs").alias("name"),
        n,
        known,
        quotient(n, n).alias("part_frac"),
        known_sum(pl.col("total_kwh")),
        quotient(known, known).alias("energy_frac"),
    )
    return pl.concat([classes, every]).select(
        pl.lit("Jobs by the time that they held their nodes").alias("group"),
        *("name", "n", "n_known", "part_frac"),
        # a class without jobs has 0 kWh, a class without known energy an unknown one
        pl.when(pl.col("n") > 0).then("total_kwh").otherwise(0.0),
        "energy_frac",
        **dict.fromkeys(("energy_low_frac", "energy_high_frac"), pl.lit(None, pl.Float64)),
        is_total=pl.col("name") == "all jobs",
    )


def energy_over_time_table(
    node_energy: pl.DataFrame, *, start: datetime, end: datetime
) -> ReaderTable:
    """Energy of each day, week or month by class, and the measured part of the node time.

    Args:
        node_energy: `schemas.NodeEnergy`.
        start: First moment of the study.
        end: First moment after the study.
    """
    classes, step = (
        energy_by_calendar_step(node_energy, start=start, end=end),
        CALENDAR_STEP_NAMES[calendar_step(start, end)],
    )
    present = [name for name in NODE_CLASSES if name in classes["class"].cast(pl.String)]
    shown = [name for name in present if name != "no_data"]
    note = (
        f"{CLASS_DEFINITIONS} {NODE_ENERGY_NOTE} Without readings: node time whose energy is "
        "estimated, or unknown. Days are in UTC."
    )
    if classes.is_empty():
        note = f"The study has no node. {note}"
    elif not classes["total_kwh"].count():
        note = f"The energy of no node of the study is known. {note}"
    rows = _period_rows(classes, shown, total_name=f"all {step}s")
    printed = rows
    if step == "day" and len(rows) > MOST_PRINTED_DAYS:
        weeks = classes.with_columns(pl.col("begins_at").dt.truncate("1w"))
        printed, step = _period_rows(weeks, shown, total_name="all weeks"), "week"
    days = [Column(name="first_day", header="Day" if step == "day" else "First day")]
    if step != "day":
        days.append(Column(name="last_day", header="Last day", printed=False))
        note += f" A {step} that the study cuts counts the days inside."
    columns = [
        *days,
        *(Column(name=name, header=name.capitalize(), unit="kWh", digits=3) for name in shown),
        Column(name="total_kwh", header="All", unit="kWh", digits=3),
        Column(name="measured_frac", header="Measured", unit="%", decimals=1, scale=100),
        Column(name="missing_node_h", header="Without readings", unit="node h", digits=3),
        Column(name="coverage_frac", header="Time with readings", unit="%", decimals=1, scale=100),
    ]
    if step != "day":
        daily = Column(name="daily_kwh", header="All per day", unit="kWh", digits=3, printed=False)
        columns.insert(-3, daily)
    return ReaderTable(
        name="energy_over_time",
        title=f"Energy of each {step} by class",
        note=note,
        rows=rows,
        printed_rows=printed,
        columns=columns,
    )


def _period_rows(classes: pl.DataFrame, shown: list[str], *, total_name: str) -> pl.DataFrame:
    """A row for each period and one for all.

    Args:
        classes: Result of `energy_by_calendar_step`.
        shown: Classes that become columns.
        total_name: Name of the row for all periods.
    """
    of_class, kwh, hours = pl.col("class"), pl.col("total_kwh"), pl.col("node_h")
    begin, stop = pl.col("begins_at").min(), pl.col("ends_at").max()
    days = (stop - begin).dt.total_seconds() / 86400
    sums = [
        _day_text(begin).alias("first_day"),
        _day_text(stop, is_end=True).alias("last_day"),
        # a class without time has 0 kWh in a period of known energy, an unknown one elsewhere
        *(
            pl.when(kwh.count() > 0).then(sum_or_zero(kwh.filter(of_class == name))).alias(name)
            for name in shown
        ),
        known_sum(kwh),
        (known_sum(kwh) / days).alias("daily_kwh"),
        quotient(sum_or_zero(pl.col("measured_kwh")), sum_or_zero(kwh)).alias("measured_frac"),
        sum_or_zero(hours.filter(of_class == "no_data")).alias("missing_node_h"),
        quotient(sum_or_zero(hours.filter(of_class != "no_data")), sum_or_zero(hours)).alias(
            "coverage_frac"
        ),
    ]
    rows = classes.group_by(pl.col("begins_at").alias("period"), maintain_order=True).agg(sums)
    every = classes.select(sums).head(len(rows))
    named = every.with_columns(first_day=pl.lit(total_name), last_day=pl.lit(""))
    return pl.concat(
        [
            rows.drop("period").with_columns(is_total=pl.lit(False)),
            named.with_columns(is_total=pl.lit(True)),
        ]
    )
