"""Features of a run from what its person usually does: similar runs, and requested walltimes.

Similar runs have the same user and script, or the same name where no command is recorded. A
walltime is read against those of its person and of its queue, because people differ in what they
request for the same work. Runs of an unknown user are of nobody known to be the same, so that they
have no similar runs and no usual walltime.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, known_mean
from footprint.core.units import H_PER_S

MIN_RUNS = 3
"""Fewest runs of a person from which its usual walltime is known."""

LOCAL_ZONE = "Europe/Paris"
"""Time zone of the hour of submission; Grid'5000 is in France and Luxembourg."""

SIMILAR_RUN_COLUMNS = (
    *("group_id", "n_similar", "similar_median_s", "similar_longest_s", "similar_failed_frac"),
    *("after_similar_h", "before_similar_h", "n_person_runs", "person_longest_s"),
    *("usual_walltime_ratio", "same_walltime_frac", "limit_walltime_frac"),
    *("submitted_hour", "submitted_weekend"),
)


def add_similar_run_features(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs with `SIMILAR_RUN_COLUMNS`, in the same order.

    Args:
        runs: One row a run, with `run_id`, `user`, `script`, `name`, `queue`, `submitted_at`,
            `started_at`, `stopped_at`, `ran_s`, `walltime_s`, `ended`, `on_gpus`.
    """
    what = pl.coalesce("script", "name").alias("what")
    keyed = runs.select(
        *("run_id", "user", "queue", "submitted_at", "started_at", "stopped_at"),
        *("walltime_s", "on_gpus", what),
        ran_s=pl.when(pl.col("ended").is_not_null()).then("ran_s"),
        has_failed=pl.col("ended").cast(pl.String).is_in(["failed", "cancelled"]),
        has_ended=pl.col("ended").is_not_null(),
    )
    extended = runs
    for found in (_groups(keyed), _intervals(keyed), _persons(keyed), _walltimes(keyed)):
        extended = extended.join(found, on="run_id", how="left", maintain_order="left")
    local = pl.col("submitted_at").dt.convert_time_zone(LOCAL_ZONE)
    return extended.with_columns(
        submitted_hour=local.dt.hour().cast(pl.Int64),
        submitted_weekend=local.dt.weekday() > 5,
    )


def _groups(keyed: pl.DataFrame) -> pl.DataFrame:
    """Number of similar runs that started, their run times and how many failed."""
    keys = ["user", "what"]
    named = keyed.drop_nulls(keys)
    groups = named.group_by(keys).agg(
        group_id=pl.col("run_id").min(),
        n_similar=exact_sum(pl.col("has_ended")).cast(pl.Int64),
        similar_median_s=pl.col("ran_s").median(),
        similar_longest_s=pl.col("ran_s").max(),
        similar_failed_frac=exact_sum(pl.col("has_failed")) / exact_sum(pl.col("has_ended")),
    )
    return (
        named.select("run_id", *keys)
        .join(groups, on=keys)
        .drop(keys)
        .with_columns(pl.col("similar_failed_frac").fill_nan(None))
    )


def _intervals(keyed: pl.DataFrame) -> pl.DataFrame:
    """Hours from the end of the previous similar run, and to the start of the next one.

    Runs that overlap have 0 hours between them.
    """
    keys = ["user", "what"]
    ordered = keyed.drop_nulls([*keys, "started_at"]).sort(*keys, "started_at", "run_id")
    since = pl.col("started_at") - pl.col("stopped_at").shift(1).over(keys)
    until = pl.col("started_at").shift(-1).over(keys) - pl.col("stopped_at")
    return ordered.select(
        "run_id",
        after_similar_h=(since.dt.total_seconds() * H_PER_S).clip(lower_bound=0.0),
        before_similar_h=(until.dt.total_seconds() * H_PER_S).clip(lower_bound=0.0),
    )


def _persons(keyed: pl.DataFrame) -> pl.DataFrame:
    """Number of runs of each person, and the longest of them on GPUs."""
    persons = keyed.group_by("user").agg(
        n_person_runs=exact_sum(pl.col("has_ended")).cast(pl.Int64),
        person_longest_s=pl.col("ran_s").filter(pl.col("on_gpus")).max(),
    )
    return keyed.select("run_id", "user").join(persons, on="user").drop("user")


def _walltimes(keyed: pl.DataFrame) -> pl.DataFrame:
    """Walltime over the person's median, share of its runs with it, and over the queue's longest.

    The first two are null for a person of fewer than `MIN_RUNS` runs, and for an unknown one.
    """
    known = keyed.drop_nulls("walltime_s")
    n_own = pl.when(pl.col("user").is_not_null()).then(pl.len().over("user"))
    usual = pl.col("walltime_s").median().over("user")
    n_same = pl.len().over("user", "walltime_s")
    return known.select(
        "run_id",
        usual_walltime_ratio=pl.when(n_own >= MIN_RUNS).then(pl.col("walltime_s") / usual),
        same_walltime_frac=pl.when(n_own >= MIN_RUNS).then(n_same / n_own),
        limit_walltime_frac=pl.col("walltime_s") / pl.col("walltime_s").max().over("queue"),
    )


def add_similar_power(features: pl.DataFrame) -> pl.DataFrame:
    """Features with `similar_power_frac`: mean power level of the other runs of a group.

    Args:
        features: One row a run, with `group_id` and `own_power_frac`, the mean power level of its
            own hardware; null: unknown.
    """
    own = pl.col("own_power_frac")
    groups = (
        features.drop_nulls(["group_id", "own_power_frac"])
        .group_by("group_id")
        .agg(mean=known_mean(own), n_known=pl.len())
    )
    n_others = pl.col("n_known") - own.is_not_null()
    others = pl.col("mean") * pl.col("n_known") - own.fill_null(0.0)
    return (
        features.join(groups, on="group_id", how="left", maintain_order="left")
        .with_columns(similar_power_frac=pl.when(n_others > 0).then(others / n_others))
        .drop("mean", "n_known")
    )
