"""What is known of each run: OAR's record, words, neighbours, energy and levels of power.

Nothing here depends on the thresholds of the rules (but `idle_kwh` on that of idling), and
nothing names a person: commands, names and logins are read and not kept.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.intervals import Floats
from footprint.phases import neighbours
from footprint.phases.rules import Thresholds
from footprint.phases.runs import DELETED, WALLTIME_TOLERANCE_S
from footprint.phases.words import Tokens, has_any, script_of, step_of, words, work_of
from footprint.summation import by_group, exact_sum, quotient, total
from footprint.tables.phases import N_LEVELS
from footprint.units import H_PER_S, KWH_PER_J

EVIDENCE: dict[str, str] = {
    "run_id": "Run, by the id of its first job",
    "n_jobs": "Jobs of the run that started; 0: it never ran",
    "merged_by": "How its jobs were merged: `single`, `chain` or `array`",
    "started_at": "Start of its first job",
    "stopped_at": "End of its last job; null: one still runs",
    "duration_s": "Time held by its jobs, inside the window",
    "ran_s": "Time its jobs ran as recorded, outside the window too; of arrays, the longest job",
    "gpu_hours": "GPUs held x hours, inside the window",
    "energy_kwh": "Measured energy of its jobs",
    "idle_kwh": "Time at idle x idle power x share held, at most the energy",
    "gpus": "GPUs held at once, on average; fractions where only cores of one are held",
    "n_nodes": "Nodes held by one of its jobs, at most",
    "node_share": "Part of its nodes held, on average",
    "interactive": "Whether OAR calls it interactive; null: not told",
    "container": "Whether it is a container for other jobs",
    "besteffort": "Whether others may push it aside",
    "walltime_s": "Longest walltime of its jobs; null: not told",
    "ended": "How its last job ended: `running`, `walltime`, `killed`, `cancelled`, `failed`, "
    "`completed`",
    "end_basis": "What that is known from: `events`, `exit_code` or, without both, `state`",
    "command_work": "Work that words of its command speak of; null: none, or several",
    "name_work": "The same of its name",
    "prompt": "Whether its command starts a notebook or terminal",
    "waiting": "Whether its command only sleeps, or it is a container",
    "endless": "Whether it waits without end",
    "array_size": "Jobs of its array; null: arrays are not told",
    "batch_size": "Jobs of one user and script that were submitted within seconds of each other",
    "resubmitted": "Whether it is one of three submissions of one command in 2 h, but not the last",
    "step": "Step that its recipe starts at, as in `--stage 4`",
    "training_step": "Step of this recipe that the same user asks the longest walltime for",
    "training_walltime_s": "That walltime",
    "after_long_h": "Hours since the user had a GPU run of 6 h or more in this project",
    "level_basis": "Whose levels tell: `gpu` (its own GPUs), `node`, or null: nobody's",
    "mean_level": "Mean level of power: 0 idle, 1 highest",
    "spread": "Spread of the levels of its plateau over its mean level, beyond the steps counted",
    "burst_frac": "Part of the time a quarter and more above its mean level",
    "node_level_s": "Seconds at each level of its nodes",
    "gpu_level_s": "GPU seconds at each level of its own GPUs",
}

ENDED = pl.Enum(["running", "walltime", "killed", "cancelled", "failed", "completed"])

_GOES_ON = ("running", "launching", "finishing", "suspended", "resuming", "tolaunch")
_HALF, _QUARTER_MORE = 0.5, 1.25


def gather(
    *,
    jobs: pl.LazyFrame,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    power_levels: pl.LazyFrame,
    tokens: Tokens | None = None,
    thresholds: Thresholds | None = None,
) -> pl.LazyFrame:
    """What is known of each run.

    Args:
        jobs: `tables.Jobs`.
        run_of_job: `tables.RunOfJob`.
        job_energy: `tables.JobEnergy`.
        job_nodes: `tables.JobNodeEnergy`.
        power_levels: `tables.PowerLevels` of all clusters.
        tokens: Words that tell what a job does.
        thresholds: Of idling, for `idle_kwh`.

    Returns:
        The columns of `EVIDENCE`, one row a run, sorted by `run_id`.
    """
    each = _of_jobs(jobs, run_of_job, job_nodes, tokens or Tokens()).collect()
    runs = _of_runs(each)
    runs = neighbours.add(runs, each)
    amounts = _amounts(run_of_job, job_energy, job_nodes).collect()
    idle = _idle_kwh(run_of_job, job_nodes, power_levels, (thresholds or Thresholds()).idle())
    levels = [_levels(run_of_job, power_levels, f"{of}_level_s") for of in ("node", "gpu")]
    found = runs.join(amounts, on="run_id", how="left", maintain_order="left")
    found = found.join(idle, on="run_id", how="left", maintain_order="left")
    for own in levels:
        found = found.join(own, on="run_id", how="left", maintain_order="left")
    by_gpu = pl.col("gpu_level_s").is_not_null()
    best = {
        name: pl.when(by_gpu).then(f"gpu_{name}").otherwise(f"node_{name}")
        for name in ("mean_level", "spread", "burst_frac")
    }
    return (
        found.lazy()
        .with_columns(
            pl.col("duration_s", "gpu_hours").fill_null(0.0),
            idle_kwh=pl.min_horizontal("idle_kwh", pl.when("idle_known").then("energy_kwh")),
            level_basis=pl.when(by_gpu)
            .then(pl.lit("gpu"))
            .when(pl.col("node_level_s").is_not_null())
            .then(pl.lit("node")),
            **best,
        )
        .with_columns(
            # never more than a run held at once: without a window there is no mean
            gpus=pl.when(pl.col("duration_s") > 0).then(
                pl.col("gpu_hours") / (pl.col("duration_s") * H_PER_S)
            ),
            # what OAR records is whole seconds, and still running has no end
            ran_s=pl.max_horizontal("ran_s", pl.col("duration_s") / pl.col("n_parallel")),
        )
        .select(list(EVIDENCE))
    )


def _of_jobs(
    jobs: pl.LazyFrame, run_of_job: pl.LazyFrame, job_nodes: pl.LazyFrame, tokens: Tokens
) -> pl.LazyFrame:
    """What the records say of each job, with its user, script and command to find neighbours by."""
    held = job_nodes.group_by("job_id").agg(
        n_nodes=pl.len().cast(pl.Int64),
        on_gpus=(pl.col("gpu_hours") > 0).any(),
    )
    types = pl.col("types").list
    container = types.eval(pl.element().str.contains(r"^container\b")).list.any()
    listed = words(pl.col("command"))
    waits = has_any(pl.col("listed"), tokens.waiting).fill_null(False)
    return (
        run_of_job.select("job_id", "run_id", "merged_by")
        .join(jobs.drop("directory", "request", "site"), on="job_id")
        .join(held, on="job_id", how="left")
        .with_columns(
            listed=listed,
            named=words(pl.col("name")),
            script=pl.when(pl.col("command").str.strip_chars() != "").then(
                script_of(pl.col("command"))
            ),
            ran=pl.col("started_at").is_not_null(),
            ran_s=(pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds() * 1e-6,
            container=container.fill_null(False),
            besteffort=types.contains("besteffort").fill_null(False),
        )
        .with_columns(
            ended=_ended(),
            end_basis=_end_basis(),
            interactive=pl.col("job_type") == "INTERACTIVE",
            command_work=work_of(pl.col("listed"), tokens),
            name_work=work_of(pl.col("named"), tokens),
            prompt=has_any(pl.col("listed"), tokens.prompt).fill_null(False),
            waiting=waits | pl.col("container"),
            endless=waits & has_any(pl.col("listed"), tokens.endless).fill_null(False),
            step=step_of(pl.col("command")),
        )
        .drop("listed", "named", "types", "events", "suspensions", "name", "queue", "job_type")
        .sort("run_id", "started_at", "job_id", nulls_last=True)
    )


def _ended() -> pl.Expr:
    """How a job ended, by the first that is known: events, exit code, state and duration.

    Without events and exit code, an `error` before the walltime counts as `cancelled`, since OAR
    gives that state to what was deleted, and `terminated` as `completed`, though it may have
    failed.
    """
    event = pl.col("events").list.contains
    lasted = pl.col("ran_s") >= pl.col("walltime_s") - WALLTIME_TOLERANCE_S
    state = pl.col("state")
    steps = [
        (pl.col("stopped_at").is_null() | state.is_in(_GOES_ON), "running"),
        (event("WALLTIME"), "walltime"),
        (event("BESTEFFORT_KILL"), "killed"),
        (event(DELETED), "cancelled"),
        (pl.col("exit_code") == 0, "completed"),
        (pl.col("exit_code") != 0, "failed"),
        (lasted, "walltime"),
        ((state != "terminated") & pl.col("besteffort"), "killed"),
        (state != "terminated", "cancelled"),
    ]
    decided = pl.coalesce(
        *(pl.when(when.fill_null(False)).then(pl.lit(how)) for when, how in steps),
        pl.lit("completed"),
    )
    return pl.when("ran").then(decided.cast(ENDED))


def _end_basis() -> pl.Expr:
    return (
        pl.when(pl.col("events").list.len() > 0)
        .then(pl.lit("events"))
        .when(pl.col("exit_code").is_not_null())
        .then(pl.lit("exit_code"))
        .otherwise(pl.lit("state"))
    )


def _of_runs(each: pl.DataFrame) -> pl.DataFrame:
    """Records of runs from those of their jobs, which are in the order in which they started."""
    ran_s = pl.col("ran_s").fill_null(0.0)
    together = pl.col("merged_by") == "array"
    return (
        each.lazy()
        .group_by("run_id", maintain_order=True)
        .agg(
            pl.col("user", "project", "script", "command", "submitted_at", "array_id").first(),
            pl.col("merged_by", "started_at", "step", "command_work", "name_work").first(),
            pl.col("interactive", "container", "besteffort", "prompt", "waiting").first(),
            pl.col("endless", "on_gpus").first(),
            pl.col("walltime_s", "n_nodes").max(),
            pl.col("ended", "end_basis").filter("ran").last(),
            n_jobs=exact_sum(pl.col("ran")).cast(pl.Int64),
            stopped_at=pl.when((pl.col("ran") & pl.col("stopped_at").is_null()).any())
            .then(None)
            .otherwise(pl.col("stopped_at").max()),
            ran_s=pl.when(together.first()).then(ran_s.max()).otherwise(total(ran_s)),
            n_parallel=pl.when(together.first()).then(pl.len()).otherwise(1),
        )
        .collect()
        .sort("run_id")
    )


def _amounts(
    run_of_job: pl.LazyFrame, job_energy: pl.LazyFrame, job_nodes: pl.LazyFrame
) -> pl.LazyFrame:
    of_run = run_of_job.select("job_id", "run_id")
    jobs = of_run.join(job_energy, on="job_id").with_columns(
        known=pl.col("energy_kwh").is_not_null()
    )
    sums = by_group(
        jobs.select("run_id", "duration_s", "gpu_hours", "energy_kwh", "known").collect(),
        ["run_id"],
        first=[],
        duration_s=pl.col("duration_s"),
        gpu_hours=pl.col("gpu_hours"),
        energy_kwh=pl.col("energy_kwh"),
        n_known=pl.col("known").cast(pl.Float64),
    )
    nodes = of_run.join(job_nodes, on="job_id").select(
        "run_id", "duration_s", held=pl.col("share") * pl.col("duration_s")
    )
    shares = by_group(
        nodes.collect(), ["run_id"], first=[], node_s=pl.col("duration_s"), held=pl.col("held")
    )
    share = quotient(pl.col("held"), pl.col("node_s"))
    return (
        sums.lazy()
        .with_columns(energy_kwh=pl.when(pl.col("n_known") > 0).then("energy_kwh"))
        .join(shares.lazy().select("run_id", node_share=share), on="run_id", how="left")
        .drop("n_known")
    )


def _idle_kwh(
    run_of_job: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    power_levels: pl.LazyFrame,
    idle_frac: pl.Expr,
) -> pl.DataFrame:
    """Energy of the time at idle: its part x time measured x share of the node x idle power."""
    kwh_per_s = pl.col("idle_power_w") * KWH_PER_J
    rows = (
        power_levels.join(
            job_nodes.select("job_id", "node", "covered_s", node_share="share"),
            on=["job_id", "node"],
        )
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .select("run_id", kwh=idle_frac * pl.col("covered_s") * pl.col("node_share") * kwh_per_s)
        .drop_nulls("kwh")
        .collect()
    )
    found = by_group(rows, ["run_id"], first=[], idle_kwh=pl.col("kwh"))
    return found.with_columns(idle_known=pl.lit(True))


def _levels(run_of_job: pl.LazyFrame, power_levels: pl.LazyFrame, column: str) -> pl.DataFrame:
    """Histogram of each run, the sum of its jobs', and what of its shape no threshold changes."""
    prefix = column.removesuffix("_level_s")
    rows = (
        power_levels.select("job_id", "node", column)
        .drop_nulls(column)
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .sort("run_id", "job_id", "node")
        .collect()
    )
    runs = rows["run_id"].to_numpy()
    first = np.flatnonzero(np.diff(runs, prepend=runs[:1] - 1)) if len(runs) else np.arange(0)
    each = rows[column].list.to_array(N_LEVELS).to_numpy() if len(runs) else np.zeros((0, N_LEVELS))
    # half the memory; 24 bits are a second in half a year
    summed = np.add.reduceat(each, first, axis=0) if len(runs) else each
    shape = pl.DataFrame(
        {f"{prefix}_{name}": values for name, values in _shape(summed).items()}
    ).with_columns(pl.all().fill_nan(None))
    histogram = pl.Series(column, summed.astype(np.float32), dtype=pl.Array(pl.Float32, N_LEVELS))
    return shape.with_columns(
        pl.Series("run_id", runs[first], dtype=pl.Int64), histogram.arr.to_list()
    )


def _shape(seconds: Floats) -> dict[str, Floats]:
    """Mean level, spread of the plateau and part in bursts of histograms, a row each.

    The plateau is what lies above half the mean level. Counting in steps adds a variance of a
    twelfth of a step's square (Sheppard), which is taken off.
    """
    level = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = seconds @ level / seconds.sum(axis=1)
        burst = np.where(level >= _QUARTER_MORE * mean[:, None], seconds, 0.0).sum(axis=1)
        plateau = np.where(level >= _HALF * mean[:, None], seconds, 0.0)
        held = plateau.sum(axis=1)
        top = plateau @ level / held
        variance = plateau @ level**2 / held - top**2 - 1 / (12 * N_LEVELS**2)
        return {
            "mean_level": mean,
            "spread": np.sqrt(np.maximum(variance, 0.0)) / top,
            "burst_frac": burst / seconds.sum(axis=1),
        }
