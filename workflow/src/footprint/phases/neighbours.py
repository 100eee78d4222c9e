"""Features of a run from other runs of the same user: batches, attempts, recipe steps, sequels."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.core.units import H_PER_S

BATCH_GAP_S = 5
"""`oarsub --array` and loops over oarsub submit a few jobs a second, faster than a person types."""
MIN_ATTEMPTS, ATTEMPTS_WINDOW_H = 3, 2
"""Three submissions of one command in two hours are attempts (docs/phases.md, section 3)."""
LONG_RUN_S = 6 * 3600
"""A run on GPUs for most of a working day, which leaves a model to decode with."""
MIN_STEP_S = 3600
"""Shortest run whose recipe step can be the training step."""

_PERSONAL_COLUMNS = (
    "user",
    "project",
    "script",
    "command",
    "submitted_at",
    "array_id",
    "on_gpus",
    "name",
    "queue",
)


def add_neighbour_features(runs: pl.DataFrame, each_job: pl.DataFrame) -> pl.DataFrame:
    """Runs with the features of their neighbours, and without the columns that identify a person.

    Args:
        runs: One row a run, with `user`, `project`, `script`, `command`, `submitted_at`,
            `array_id`, `on_gpus`, `started_at`, `stopped_at`, `ran_s`, `walltime_s`, `step`.
        each_job: One row a job: `job_id`, `run_id`, `array_id`, `user`, `script`, `submitted_at`.

    Returns:
        `runs` with `array_size`, `batch_size`, `resubmitted`, `step`, `training_step`,
        `training_walltime_s` and `after_long_h`, sorted by run.
    """
    extended = runs
    for feature in (
        _array_sizes(each_job),
        _batch_sizes(each_job),
        _resubmissions(runs),
        _hours_after_long_run(runs),
    ):
        extended = extended.join(feature, on="run_id", how="left", maintain_order="left")
    steps = _training_steps(runs)
    extended = extended.join(steps, on=["user", "script"], how="left", maintain_order="left")
    return extended.with_columns(
        pl.col("batch_size").fill_null(1), pl.col("resubmitted").fill_null(False)
    ).drop(_PERSONAL_COLUMNS)


def _array_sizes(each_job: pl.DataFrame) -> pl.DataFrame:
    """Number of jobs in the array of each run: `run_id`, `array_size`."""
    size = pl.len().over("array_id").cast(pl.Int64)
    in_arrays = each_job.select("run_id", "array_id").drop_nulls("array_id")
    sized = in_arrays.with_columns(array_size=size)
    return sized.group_by("run_id").agg(pl.col("array_size").max())


def _batch_sizes(each_job: pl.DataFrame) -> pl.DataFrame:
    """Number of jobs in the batch of each run: `run_id`, `batch_size`.

    A batch is of one user and script, each job submitted soon after the last. It replaces arrays
    where a source has no array ids.
    """
    return (
        _with_batches(each_job, ["user", "script"])
        .with_columns(batch_size=pl.len().over("batch").cast(pl.Int64))
        .group_by("run_id")
        .agg(pl.col("batch_size").max())
    )


def _resubmissions(runs: pl.DataFrame) -> pl.DataFrame:
    """Whether each run is one of several attempts at a command, and not the last.

    Jobs submitted together are one attempt. Columns: `run_id`, `resubmitted`.
    """
    keys = ["user", "command"]
    batched = _with_batches(runs.filter(pl.col("script").is_not_null()), keys)
    submitted_at = pl.col("submitted_at")
    first_jobs = batched.unique("batch", keep="first", maintain_order=True)
    window = timedelta(hours=ATTEMPTS_WINDOW_H)
    # Of three attempts in a row, the first or the middle one; longer rows are covered by these.
    is_first = submitted_at.shift(-2).over(keys) - submitted_at <= window
    is_middle = submitted_at.shift(-1).over(keys) - submitted_at.shift(1).over(keys) <= window
    flagged = first_jobs.select("batch", resubmitted=(is_first | is_middle).fill_null(False))
    return batched.join(flagged, on="batch", maintain_order="left").select("run_id", "resubmitted")


def _hours_after_long_run(runs: pl.DataFrame) -> pl.DataFrame:
    """Hours from the end of the last long run on GPUs of the same user and project to each run."""
    keys = ["user", "project"]
    long = (
        runs.filter(pl.col("on_gpus") & (pl.col("ran_s") >= LONG_RUN_S))
        .select(*keys, ended_at="stopped_at")
        .drop_nulls()
        .sort("ended_at")
    )
    starts = runs.select("run_id", *keys, "started_at").drop_nulls().sort("started_at", "run_id")
    since = (pl.col("started_at") - pl.col("ended_at")).dt.total_seconds() * H_PER_S
    return starts.join_asof(
        long, left_on="started_at", right_on="ended_at", by=keys, check_sortedness=False
    ).select("run_id", after_long_h=since)


def _training_steps(runs: pl.DataFrame) -> pl.DataFrame:
    """The step of each recipe for which its user requests the longest walltime on GPUs.

    Of several steps with the same walltime, the one that ran longest in all. Columns: `user`,
    `script`, `training_step`, `training_walltime_s`.
    """
    keys = ["user", "script"]
    is_long_enough = pl.col("on_gpus") & (pl.col("ran_s") >= MIN_STEP_S)
    steps = (
        runs.filter(is_long_enough)
        .drop_nulls([*keys, "step", "walltime_s"])
        .group_by(*keys, "step")
        .agg(pl.col("walltime_s").max(), sum_or_zero(pl.col("ran_s")))
    )
    longest = steps.sort(*keys, "walltime_s", "ran_s", "step", descending=[False] * 2 + [True] * 3)
    return longest.unique(keys, keep="first", maintain_order=True).select(
        *keys, training_step="step", training_walltime_s="walltime_s"
    )


def _with_batches(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Rows numbered by batch: `run_id`, the columns `keys`, `submitted_at`, `batch`."""
    ordered = (
        rows.select("run_id", *keys, "submitted_at")
        .drop_nulls()
        .sort(*keys, "submitted_at", "run_id")
    )
    is_other = pl.any_horizontal(pl.col(name) != pl.col(name).shift() for name in keys)
    is_new = (pl.col("submitted_at").diff() > timedelta(seconds=BATCH_GAP_S)) | is_other
    return ordered.with_columns(batch=is_new.fill_null(True).cum_sum())
