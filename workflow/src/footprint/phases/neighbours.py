"""What other runs of one person say of a run: batches, attempts, steps of a recipe, sequels."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from footprint.summation import total
from footprint.units import H_PER_S

BATCH_S = 5
"""`oarsub --array` and loops over oarsub submit a few jobs a second; nobody types so fast."""
ATTEMPTS, ATTEMPTS_H = 3, 2
"""Three submissions of one command in two hours are attempts (docs/phases.md, section 3)."""
LONG_RUN_S = 6 * 3600
"""A run on GPUs of most of a working day, after which there is a model to decode with."""
WORTH_S = 3600
"""Least time of a run that says which step of a recipe trains."""

_NOBODY = ("user", "project", "script", "command", "submitted_at", "array_id", "on_gpus")


def add(runs: pl.DataFrame, each: pl.DataFrame) -> pl.DataFrame:
    """Runs with what their neighbours tell, and without what names a person.

    Args:
        runs: One row a run, with `user`, `project`, `script`, `command`, `submitted_at`,
            `array_id`, `on_gpus`, `started_at`, `stopped_at`, `ran_s`, `walltime_s`, `step`.
        each: One row a job: `job_id`, `run_id`, `array_id`, `user`, `script`, `submitted_at`.

    Returns:
        `runs` with `array_size`, `batch_size`, `resubmitted`, `step`, `training_step`,
        `training_walltime_s` and `after_long_h`, sorted by run.
    """
    found = runs
    for neighbour in (_arrays(each), _batches(each), _attempts(runs), _sequels(runs)):
        found = found.join(neighbour, on="run_id", how="left", maintain_order="left")
    steps = _training_steps(runs)
    found = found.join(steps, on=["user", "script"], how="left", maintain_order="left")
    return found.with_columns(
        pl.col("batch_size").fill_null(1), pl.col("resubmitted").fill_null(False)
    ).drop(_NOBODY)


def _arrays(each: pl.DataFrame) -> pl.DataFrame:
    """Jobs of the array of each run."""
    size = pl.len().over("array_id").cast(pl.Int64)
    known = each.select("run_id", "array_id").drop_nulls("array_id")
    sized = known.with_columns(array_size=size)
    return sized.group_by("run_id").agg(pl.col("array_size").max())


def _batches(each: pl.DataFrame) -> pl.DataFrame:
    """Jobs of the batch of each run: one user and script, each submitted soon after the last.

    Stands in for arrays where a source does not tell them.
    """
    return (
        _in_batches(each, ["user", "script"])
        .with_columns(batch_size=pl.len().over("batch").cast(pl.Int64))
        .group_by("run_id")
        .agg(pl.col("batch_size").max())
    )


def _attempts(runs: pl.DataFrame) -> pl.DataFrame:
    """Whether each run is one of several attempts at a command, and not the last of them.

    Jobs submitted together are one attempt.
    """
    who = ["user", "command"]
    batched = _in_batches(runs.filter(pl.col("script").is_not_null()), who)
    at = pl.col("submitted_at")
    firsts = batched.unique("batch", keep="first", maintain_order=True)
    within = timedelta(hours=ATTEMPTS_H)
    # the first or a middle one of three in a row; others of more than three are so as well
    opens = at.shift(-2).over(who) - at <= within
    between = at.shift(-1).over(who) - at.shift(1).over(who) <= within
    flagged = firsts.select("batch", resubmitted=(opens | between).fill_null(False))
    return batched.join(flagged, on="batch", maintain_order="left").select("run_id", "resubmitted")


def _sequels(runs: pl.DataFrame) -> pl.DataFrame:
    """Hours since the last long run on GPUs of the same user and project ended."""
    who = ["user", "project"]
    long = (
        runs.filter(pl.col("on_gpus") & (pl.col("ran_s") >= LONG_RUN_S))
        .select(*who, ended_at="stopped_at")
        .drop_nulls()
        .sort("ended_at")
    )
    starts = runs.select("run_id", *who, "started_at").drop_nulls().sort("started_at", "run_id")
    since = (pl.col("started_at") - pl.col("ended_at")).dt.total_seconds() * H_PER_S
    return starts.join_asof(
        long, left_on="started_at", right_on="ended_at", by=who, check_sortedness=False
    ).select("run_id", after_long_h=since)


def _training_steps(runs: pl.DataFrame) -> pl.DataFrame:
    """The step of each recipe that its user asks the longest walltime for on GPUs.

    Of several with the same walltime, the one that ran longest in all. `user`, `script`, and the
    walltime.
    """
    who = ["user", "script"]
    worth = pl.col("on_gpus") & (pl.col("ran_s") >= WORTH_S)
    steps = (
        runs.filter(worth)
        .drop_nulls([*who, "step", "walltime_s"])
        .group_by(*who, "step")
        .agg(pl.col("walltime_s").max(), total(pl.col("ran_s")))
    )
    longest = steps.sort(*who, "walltime_s", "ran_s", "step", descending=[False] * 2 + [True] * 3)
    return longest.unique(who, keep="first", maintain_order=True).select(
        *who, training_step="step", training_walltime_s="walltime_s"
    )


def _in_batches(rows: pl.DataFrame, who: list[str]) -> pl.DataFrame:
    """`run_id`, `who`, `submitted_at` and `batch`, a number for what `who` submitted together."""
    ordered = (
        rows.select("run_id", *who, "submitted_at")
        .drop_nulls()
        .sort(*who, "submitted_at", "run_id")
    )
    another = pl.any_horizontal(pl.col(name) != pl.col(name).shift() for name in who)
    new = (pl.col("submitted_at").diff() > timedelta(seconds=BATCH_S)) | another
    return ordered.with_columns(batch=new.fill_null(True).cum_sum())
