"""Compute the features of each run: OAR's record, words, neighbours, energy and power histograms.

The features do not depend on the thresholds of the rules, except `idle_kwh`, which depends on the
idle thresholds. They identify no person: commands, names and logins are read and not kept.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.core.sums import exact_sum, quotient, sum_by_group, sum_or_zero
from footprint.core.units import H_PER_S, KWH_PER_J
from footprint.labels.commands import script_of, step_of
from footprint.phases import neighbours, similar_runs
from footprint.phases.chains import DELETION_EVENT, WALLTIME_TOLERANCE_S
from footprint.phases.job_words import (
    COUNTED_WORDS,
    Tokens,
    count_words,
    has_any_word,
    split_words,
    work_of_command,
    work_of_name,
)
from footprint.phases.thresholds import Thresholds, has_own_histogram
from footprint.schemas.phases import N_POWER_BINS

FEATURE_DESCRIPTIONS: dict[str, str] = {
    "run_id": "Run, by the id of its first job",
    "n_jobs": "Jobs of the run that started; 0: the run never started",
    "merged_by": "How its jobs were merged: `single`, `chain` or `array`",
    "started_at": "Start of its first job",
    "stopped_at": "End of its last job; null: a job still runs",
    "duration_s": "Time held by its jobs, inside the window",
    "ran_s": "Recorded run time of its jobs, also outside the window; the longest job of arrays",
    "gpu_hours": "GPUs held x hours, inside the window",
    "measured_kwh": "Measured energy of its jobs",
    "idle_kwh": "Time at idle x idle power x share held, at most the energy",
    "gpus": "Mean number of GPUs held at once; a fraction where only cores of a GPU are held",
    "n_nodes": "Largest number of nodes held by one of its jobs",
    "node_share": "Mean share of its nodes held",
    "interactive": "Whether its job type is interactive; null: not recorded",
    "container": "Whether it is a container for other jobs",
    "besteffort": "Whether it can be preempted",
    "walltime_s": "Longest walltime of its jobs; null: not recorded",
    "ended": "How its last job ended: `running`, `walltime`, `killed`, `cancelled`, `failed`, "
    "`completed`",
    "end_basis": "Source of `ended`: `events`, `exit_code` or, without both, `state`",
    "command_work": "Work named by words of its command; null: none, or several",
    "name_work": "Work named by words of its job name; null: none, or several",
    "prompt": "Whether its command starts a notebook or terminal",
    "waiting": "Whether its command only sleeps, or it is a container",
    "endless": "Whether it waits without end",
    "array_size": "Jobs of its array; null: not recorded",
    "batch_size": "Jobs of one user and script that were submitted within seconds of each other",
    "resubmitted": "Whether it is one of three submissions of a command in 2 h, and not the last",
    "step": "Step at which its recipe starts, as in `--stage 4`",
    "training_step": "Step of this recipe with the longest walltime requested by this user",
    "training_walltime_s": "Walltime of `training_step`",
    "after_long_h": "Hours since the end of a GPU run of 6 h or more of this user and project",
    **{
        f"{text}_{words}_words": f"Different words of the list `{words}` in its {text}; null: none "
        "is recorded"
        for text in ("command", "name")
        for words in COUNTED_WORDS
    },
    "group_id": "Similar runs (of one user and script), by the id of the first; null: no script",
    "n_similar": "Similar runs that started, with this one",
    "similar_median_s": "Median run time of similar runs",
    "similar_longest_s": "Longest run time of similar runs",
    "similar_failed_frac": "Share of similar runs that failed or were cancelled",
    "after_similar_h": "Hours from the end of the previous similar run to its start",
    "before_similar_h": "Hours from its end to the start of the next similar run",
    "n_person_runs": "Runs of this user that started",
    "person_longest_s": "Longest run time of this user on GPUs",
    "usual_walltime_ratio": "Walltime over the median walltime of this user; null: few runs",
    "same_walltime_frac": "Share of this user's runs with the same walltime; null: few runs",
    "limit_walltime_frac": "Walltime over the longest walltime that anybody requests in its queue",
    "submitted_hour": "Hour of its submission in local time",
    "submitted_weekend": "Whether it was submitted on a Saturday or Sunday, in local time",
    "similar_power_frac": "Mean power level of the own hardware of the other similar runs",
    "histogram_basis": "Histogram in use: `gpu` (its own GPUs) or `node`; null: neither exists",
    "mean_power_frac": "Mean power level: 0 idle, 1 highest",
    "spread": "Standard deviation over mean of its plateau's power levels, without the bin width",
    "burst_frac": "Share of the time at 1.25 times its mean power level or more",
    "node_histogram_s": "Seconds at each power level of its nodes",
    "gpu_histogram_s": "GPU seconds at each power level of its own GPUs",
}

ENDED_TYPE = pl.Enum(["running", "walltime", "killed", "cancelled", "failed", "completed"])

_UNFINISHED_STATES = ("running", "launching", "finishing", "suspended", "resuming", "tolaunch")
_PLATEAU_FROM, _BURST_FROM = 0.5, 1.25  # times the mean level


def collect_features(
    *,
    jobs: pl.LazyFrame,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    power_histograms: pl.LazyFrame,
    tokens: Tokens | None = None,
    thresholds: Thresholds | None = None,
) -> pl.LazyFrame:
    """Features of each run.

    Args:
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`.
        job_energy: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        power_histograms: `schemas.PowerHistograms` of all clusters.
        tokens: Words that name the work of a job.
        thresholds: Thresholds, of which the idle levels give `idle_kwh`.

    Returns:
        The columns of `FEATURE_DESCRIPTIONS`, one row a run, sorted by `run_id`.
    """
    each_job = _job_records(jobs, run_of_job, job_nodes, tokens or Tokens()).collect()
    runs = _run_records(each_job)
    runs = similar_runs.add_similar_run_features(runs)
    runs = neighbours.add_neighbour_features(runs, each_job)
    amounts = _amounts(run_of_job, job_energy, job_nodes).collect()
    idle_frac = (thresholds or Thresholds()).idle_time_frac()
    idle = _idle_kwh(run_of_job, job_nodes, power_histograms, idle_frac)
    histograms = [
        _histograms(run_of_job, power_histograms, f"{device}_histogram_s")
        for device in ("node", "gpu")
    ]
    features = runs.join(amounts, on="run_id", how="left", maintain_order="left")
    features = features.join(idle, on="run_id", how="left", maintain_order="left")
    for histogram in histograms:
        features = features.join(histogram, on="run_id", how="left", maintain_order="left")
    has_gpu_levels = pl.col("gpu_histogram_s").is_not_null()
    shape = {
        name: pl.when(has_gpu_levels).then(f"gpu_{name}").otherwise(f"node_{name}")
        for name in ("mean_power_frac", "spread", "burst_frac")
    }
    features = (
        features.lazy()
        .with_columns(
            pl.col("duration_s", "gpu_hours").fill_null(0.0),
            idle_kwh=pl.min_horizontal("idle_kwh", pl.when("has_idle").then("measured_kwh")),
            histogram_basis=pl.when(has_gpu_levels)
            .then(pl.lit("gpu"))
            .when(pl.col("node_histogram_s").is_not_null())
            .then(pl.lit("node")),
            **shape,
        )
        .with_columns(
            # A run of no duration inside the window has no mean number of GPUs.
            gpus=pl.when(pl.col("duration_s") > 0).then(
                pl.col("gpu_hours") / (pl.col("duration_s") * H_PER_S)
            ),
            # OAR records whole seconds, and a running job has no end.
            ran_s=pl.max_horizontal("ran_s", pl.col("duration_s") / pl.col("n_parallel")),
            own_power_frac=pl.when(has_own_histogram()).then("mean_power_frac"),
        )
        .collect()
    )
    return similar_runs.add_similar_power(features).lazy().select(list(FEATURE_DESCRIPTIONS))


def _job_records(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, job_nodes: pl.LazyFrame, tokens: Tokens
) -> pl.LazyFrame:
    """Record of each job, with its user, script and command, by which neighbours are found."""
    held = job_nodes.group_by("job_id").agg(
        n_nodes=pl.len().cast(pl.Int64),
        on_gpus=(pl.col("gpu_hours") > 0).any(),
    )
    types = pl.col("types").list
    container = types.eval(pl.element().str.contains(r"^container\b")).list.any()
    # a command that names a work does not only wait
    waits = has_any_word(pl.col("command_words"), tokens.waiting).fill_null(False) & (
        pl.col("command_work").is_null()
    )
    return (
        run_of_job.select("job_id", "run_id", "merged_by")
        .join(jobs.drop("directory", "request", "site"), on="job_id")
        .join(held, on="job_id", how="left")
        .with_columns(
            command_words=split_words(pl.col("command")),
            name_words=split_words(pl.col("name")),
            command_work=work_of_command(pl.col("command"), tokens),
            name_work=work_of_name(pl.col("name"), tokens),
            script=pl.when(pl.col("command").str.strip_chars() != "").then(
                script_of(pl.col("command"))
            ),
            ran=pl.col("started_at").is_not_null(),
            ran_s=(pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds() * 1e-6,
            container=container.fill_null(False),
            besteffort=types.contains("besteffort").fill_null(False),
        )
        .with_columns(
            ended=_job_ending(),
            end_basis=_job_ending_basis(),
            interactive=pl.col("job_type") == "INTERACTIVE",
            prompt=has_any_word(pl.col("command_words"), tokens.prompt).fill_null(False),
            waiting=waits | pl.col("container"),
            endless=waits & has_any_word(pl.col("command_words"), tokens.endless).fill_null(False),
            step=step_of(pl.col("command")),
        )
        .with_columns(
            number.alias(f"{text}_{name}_words")
            for text in ("command", "name")
            for name, number in count_words(pl.col(f"{text}_words"), tokens).items()
        )
        .drop("command_words", "name_words", "types", "events", "suspensions", "job_type")
        .sort("run_id", "started_at", "job_id", nulls_last=True)
    )


def _job_ending() -> pl.Expr:
    """How a job ended, by the first available of events, exit code, and state with duration.

    Without events and exit code, the state `error` before the walltime counts as `cancelled`, since
    OAR gives that state to deleted jobs. `terminated` counts as `completed`, although the job may
    have failed.
    """
    has_event = pl.col("events").list.contains
    reached_walltime = pl.col("ran_s") >= pl.col("walltime_s") - WALLTIME_TOLERANCE_S
    state = pl.col("state")
    cases = [
        (pl.col("stopped_at").is_null() | state.is_in(_UNFINISHED_STATES), "running"),
        (has_event("WALLTIME"), "walltime"),
        (has_event("BESTEFFORT_KILL"), "killed"),
        (has_event(DELETION_EVENT), "cancelled"),
        (pl.col("exit_code") == 0, "completed"),
        (pl.col("exit_code") != 0, "failed"),
        (reached_walltime, "walltime"),
        ((state != "terminated") & pl.col("besteffort"), "killed"),
        (state != "terminated", "cancelled"),
    ]
    ending = pl.coalesce(
        *(pl.when(condition.fill_null(False)).then(pl.lit(name)) for condition, name in cases),
        pl.lit("completed"),
    )
    return pl.when("ran").then(ending.cast(ENDED_TYPE))


def _job_ending_basis() -> pl.Expr:
    """Source from which `_job_ending` finds how a job ended."""
    return (
        pl.when(pl.col("events").list.len() > 0)
        .then(pl.lit("events"))
        .when(pl.col("exit_code").is_not_null())
        .then(pl.lit("exit_code"))
        .otherwise(pl.lit("state"))
    )


def _run_records(each_job: pl.DataFrame) -> pl.DataFrame:
    """Record of each run, from its jobs sorted by start."""
    ran_s = pl.col("ran_s").fill_null(0.0)
    is_array = pl.col("merged_by") == "array"
    return (
        each_job.lazy()
        .group_by("run_id", maintain_order=True)
        .agg(
            pl.col("user", "project", "script", "command", "submitted_at", "array_id").first(),
            pl.col("merged_by", "started_at", "step", "command_work", "name_work").first(),
            pl.col("interactive", "container", "besteffort", "prompt", "waiting").first(),
            pl.col("endless", "on_gpus", "name", "queue").first(),
            pl.col("^(command|name)_.*_words$").first(),
            pl.col("walltime_s", "n_nodes").max(),
            pl.col("ended", "end_basis").filter("ran").last(),
            n_jobs=exact_sum(pl.col("ran")).cast(pl.Int64),
            stopped_at=pl.when((pl.col("ran") & pl.col("stopped_at").is_null()).any())
            .then(None)
            .otherwise(pl.col("stopped_at").max()),
            ran_s=pl.when(is_array.first()).then(ran_s.max()).otherwise(sum_or_zero(ran_s)),
            n_parallel=pl.when(is_array.first()).then(pl.len()).otherwise(1),
        )
        .collect()
        .sort("run_id")
    )


def _amounts(
    run_of_job: pl.LazyFrame, job_energy: pl.LazyFrame, job_nodes: pl.LazyFrame
) -> pl.LazyFrame:
    """Duration, GPU hours, measured energy and mean node share of each run."""
    run_ids = run_of_job.select("job_id", "run_id")
    jobs = run_ids.join(job_energy, on="job_id").with_columns(
        is_measured=pl.col("measured_kwh").is_not_null()
    )
    sums = sum_by_group(
        jobs.select("run_id", "duration_s", "gpu_hours", "measured_kwh", "is_measured").collect(),
        ["run_id"],
        first=[],
        duration_s=pl.col("duration_s"),
        gpu_hours=pl.col("gpu_hours"),
        measured_kwh=pl.col("measured_kwh"),
        n_measured=pl.col("is_measured").cast(pl.Float64),
    )
    nodes = run_ids.join(job_nodes, on="job_id").select(
        "run_id", "duration_s", shared_s=pl.col("share") * pl.col("duration_s")
    )
    shares = sum_by_group(
        nodes.collect(),
        ["run_id"],
        first=[],
        node_s=pl.col("duration_s"),
        shared_s=pl.col("shared_s"),
    )
    share = quotient(pl.col("shared_s"), pl.col("node_s"))
    return (
        sums.lazy()
        .with_columns(measured_kwh=pl.when(pl.col("n_measured") > 0).then("measured_kwh"))
        .join(shares.lazy().select("run_id", node_share=share), on="run_id", how="left")
        .drop("n_measured")
    )


def _idle_kwh(
    run_of_job: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    power_histograms: pl.LazyFrame,
    idle_frac: pl.Expr,
) -> pl.DataFrame:
    """Energy at idle: share of the time at idle x measured time x node share x idle power."""
    kwh_per_s = pl.col("idle_power_w") * KWH_PER_J
    rows = (
        power_histograms.join(
            job_nodes.select("job_id", "node", "covered_s", node_share="share"),
            on=["job_id", "node"],
        )
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .select("run_id", kwh=idle_frac * pl.col("covered_s") * pl.col("node_share") * kwh_per_s)
        .drop_nulls("kwh")
        .collect()
    )
    idle = sum_by_group(rows, ["run_id"], first=[], idle_kwh=pl.col("kwh"))
    return idle.with_columns(has_idle=pl.lit(True))


def _histograms(
    run_of_job: pl.LazyFrame, power_histograms: pl.LazyFrame, column: str
) -> pl.DataFrame:
    """Power histogram of each run, summed over its jobs, with the properties of its shape.

    Args:
        run_of_job: `schemas.RunOfJob`.
        power_histograms: `schemas.PowerHistograms`.
        column: `node_histogram_s` or `gpu_histogram_s`.

    Returns:
        `run_id`, `column`, and the results of `_histogram_shape` with the prefix `node_` or `gpu_`.
    """
    prefix = column.removesuffix("_histogram_s")
    rows = (
        power_histograms.select("job_id", "node", column)
        .drop_nulls(column)
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .sort("run_id", "job_id", "node")
        .collect()
    )
    runs = rows["run_id"].to_numpy()
    first = np.flatnonzero(np.diff(runs, prepend=runs[:1] - 1)) if len(runs) else np.arange(0)
    no_jobs = np.zeros((0, N_POWER_BINS))
    per_job = rows[column].list.to_array(N_POWER_BINS).to_numpy() if len(runs) else no_jobs
    # Single precision halves the memory; its 24 bits resolve a second in half a year.
    summed = np.add.reduceat(per_job, first, axis=0) if len(runs) else per_job
    shape = pl.DataFrame(
        {f"{prefix}_{name}": values for name, values in _histogram_shape(summed).items()}
    ).with_columns(pl.all().fill_nan(None))
    histogram = pl.Series(
        column, summed.astype(np.float32), dtype=pl.Array(pl.Float32, N_POWER_BINS)
    )
    return shape.with_columns(
        pl.Series("run_id", runs[first], dtype=pl.Int64), histogram.arr.to_list()
    )


def _histogram_shape(seconds: Floats) -> dict[str, Floats]:
    """Mean level, relative spread of the plateau and share of time in bursts, by histogram.

    The plateau is the time at half the mean level or more. Binning adds a variance of a twelfth of
    the squared bin width, which is subtracted (Sheppard's correction).

    Args:
        seconds: One row a histogram, `N_POWER_BINS` columns.
    """
    level = (np.arange(N_POWER_BINS) + 0.5) / N_POWER_BINS
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = seconds @ level / seconds.sum(axis=1)
        burst = np.where(level >= _BURST_FROM * mean[:, None], seconds, 0.0).sum(axis=1)
        plateau = np.where(level >= _PLATEAU_FROM * mean[:, None], seconds, 0.0)
        plateau_s = plateau.sum(axis=1)
        plateau_mean = plateau @ level / plateau_s
        variance = plateau @ level**2 / plateau_s - plateau_mean**2 - 1 / (12 * N_POWER_BINS**2)
        return {
            "mean_power_frac": mean,
            "spread": np.sqrt(np.maximum(variance, 0.0)) / plateau_mean,
            "burst_frac": burst / seconds.sum(axis=1),
        }
