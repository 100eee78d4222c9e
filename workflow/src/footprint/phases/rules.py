"""The ordered rules that give the kind of a run.

A rule is an expression over the features of a run (`footprint.phases.features`) and thresholds;
`footprint.phases.classifier` applies the rules. Reasons and limits: `docs/phases.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from footprint.core.units import H_PER_S
from footprint.phases.power_histograms import WHOLE_NODE_SHARE, time_frac_below
from footprint.phases.thresholds import Thresholds, has_own_histogram


@dataclass(frozen=True)
class Rule:
    """One rule of the classifier.

    Attributes:
        name: Identifier, stored in `Runs.rule`.
        kind: Kind of the runs to which the rule applies; None: they never started.
        condition: Whether the rule applies, as an expression of the features; null counts as no.
        features: Features that the rule uses; `idle_frac` and `plateau_frac` are computed from
            the histograms with the thresholds.
        confidence: Share of the energy classified by this rule whose kind was right on simulated
            sites (seeds 40 to 47, eight mixes), rounded to 0.05 and at most 0.95, because 1 is for
            labels. It is 0.5 where the rule never applied there, and for `plateau`, which applied
            eleven times, with walltimes withheld. It is not measured on real sites.
        description: When the rule applies, and its fallback where a source has no array ids, exit
            codes or events.
    """

    name: str
    kind: str | None
    condition: Callable[[Thresholds], pl.Expr]
    features: tuple[str, ...]
    confidence: float
    description: str


# At least a whole GPU: a smaller number comes from cores that were reserved one by one.
_WHOLE_GPU = 0.99

_ENDED = pl.col("ended").cast(pl.String)
_COMMAND_WORK = pl.col("command_work")
_N_TOGETHER = pl.max_horizontal("array_size", "batch_size")
_IS_ALONE = _N_TOGETHER <= 1
_IS_LATER_STEP = pl.col("step") > pl.col("training_step")


def _in_hours(column: str) -> pl.Expr:
    return pl.col(column) * H_PER_S


def _is_long_enough(t: Thresholds) -> pl.Expr:
    return _in_hours("ran_s") >= t.training_h


def _has_long_walltime(t: Thresholds, column: str = "walltime_s") -> pl.Expr:
    return _in_hours(column) > t.long_walltime_h


def _is_endless_wait(t: Thresholds) -> pl.Expr:
    is_long = pl.col("endless") | (_in_hours("ran_s") >= t.session_h)
    return pl.col("waiting") & is_long & ~t.is_busy().fill_null(False)


def _is_short(t: Thresholds) -> pl.Expr:
    decodes = (_COMMAND_WORK == "inference").fill_null(False) | _IS_LATER_STEP.fill_null(False)
    return _IS_ALONE & (pl.col("ran_s") < t.debug_s) & ~(decodes & (_ENDED == "completed"))


def _failed_early(t: Thresholds) -> pl.Expr:
    return _IS_ALONE & (pl.col("ran_s") < t.failed_s) & _ENDED.is_in(["failed", "cancelled"])


def _holds_idle_gpus(t: Thresholds) -> pl.Expr:
    has_gpu = pl.col("gpus") >= _WHOLE_GPU
    return t.is_idle() & _is_long_enough(t) & has_gpu & _IS_ALONE & _COMMAND_WORK.is_null()


def _uses_processors_only(t: Thresholds) -> pl.Expr:
    are_gpus_idle = time_frac_below("gpu_histogram_s", t.idle_gpu_level) > t.idle_frac
    has_node = pl.col("node_share") >= WHOLE_NODE_SHARE
    return are_gpus_idle & has_node & t.is_busy() & _COMMAND_WORK.is_null()


def _in_long_recipe(t: Thresholds, step_condition: pl.Expr) -> pl.Expr:
    return step_condition & _has_long_walltime(t, "training_walltime_s")


def _has_bursts(t: Thresholds) -> pl.Expr:
    is_uneven = (pl.col("burst_frac") > t.burst_frac) & (pl.col("spread") >= t.spread)
    return _is_long_enough(t) & is_uneven & has_own_histogram()


def _is_in_sweep(t: Thresholds) -> pl.Expr:
    return pl.col("besteffort") | _N_TOGETHER.ge(t.batch)


def _is_sequel(t: Thresholds) -> pl.Expr:
    is_small = (pl.col("node_share") <= t.inference_share + 1e-9) | (pl.col("gpus") < 1 + 1e-9)
    is_soon = pl.col("after_long_h") <= t.sequel_h
    return is_soon & is_small & (_in_hours("ran_s") < t.inference_h) & (_ENDED == "completed")


def _has_day_walltime(t: Thresholds) -> pl.Expr:
    return (_in_hours("walltime_s") <= t.long_walltime_h) & (_in_hours("ran_s") >= t.inference_h)


RULES: tuple[Rule, ...] = (
    Rule(
        name="never_ran",
        kind=None,
        condition=lambda _: pl.col("n_jobs") == 0,
        features=("n_jobs",),
        confidence=1.0,
        description="None of its jobs started.",
    ),
    Rule(
        name="prompt",
        kind="interactive",
        condition=lambda _: pl.col("interactive") | pl.col("prompt"),
        features=("interactive", "prompt"),
        confidence=0.95,
        description=(
            "Its job type is interactive, or its command starts a notebook or terminal. Without a"
            " job type the command alone counts."
        ),
    ),
    Rule(
        name="kept",
        kind="idle_hold",
        condition=_is_endless_wait,
        features=("waiting", "endless", "ran_s", "idle_frac", "histogram_basis"),
        confidence=0.95,
        description=(
            "Its command only waits, without end or for longer than a session, and its power"
            " shows no work. Power counts where its own GPUs have readings or it holds a whole"
            " node."
        ),
    ),
    Rule(
        name="session",
        kind="interactive",
        condition=lambda _: pl.col("waiting"),
        features=("waiting", "ran_s", "idle_frac", "histogram_basis"),
        confidence=0.95,
        description=(
            "Its command only waits, for at most the length of a session at a prompt, or its"
            " power shows work."
        ),
    ),
    Rule(
        name="attempt",
        kind="debug",
        condition=lambda t: pl.col("resubmitted") & ~_is_long_enough(t) & (_ENDED != "completed"),
        features=("resubmitted", "ran_s", "ended", "end_basis"),
        confidence=0.7,
        description=(
            "It is one of three submissions of a command in two hours, and not the last. It did"
            " not complete and was shorter than a training. Without exit codes and events,"
            " `terminated` counts as completed."
        ),
    ),
    Rule(
        name="short",
        kind="debug",
        condition=_is_short,
        features=(
            "ran_s",
            "ended",
            "end_basis",
            "array_size",
            "batch_size",
            "command_work",
            "step",
            "training_step",
        ),
        confidence=0.7,
        description=(
            "It ended within minutes, was submitted alone, and is no completed decoding. Without"
            " array ids, jobs submitted within seconds count as an array; without exit codes and"
            " events, `terminated` counts as completed."
        ),
    ),
    Rule(
        name="failed",
        kind="debug",
        condition=_failed_early,
        features=("ran_s", "ended", "end_basis", "array_size", "batch_size"),
        confidence=0.4,
        description=(
            "It failed or was cancelled within half an hour, and was submitted alone. Without"
            " exit codes and events only the state `error` counts; without array ids, see"
            " `short`."
        ),
    ),
    Rule(
        name="idle",
        kind="idle_hold",
        condition=_holds_idle_gpus,
        features=(
            "idle_frac",
            "histogram_basis",
            "node_share",
            "ran_s",
            "array_size",
            "batch_size",
        ),
        confidence=0.5,
        description=(
            "It held idle GPUs for an hour or more, was submitted alone, and its command names no"
            " work. Without readings of its own GPUs the node must have been idle; without array"
            " ids, see `short`."
        ),
    ),
    Rule(
        name="data_words",
        kind="preprocessing",
        condition=lambda _: _COMMAND_WORK == "preprocessing",
        features=("command_work", "gpus"),
        confidence=0.95,
        description="Words of its command stand for data preparation.",
    ),
    Rule(
        name="processors",
        kind="preprocessing",
        condition=lambda _: pl.col("gpus") < _WHOLE_GPU,
        features=("gpus", "n_nodes"),
        confidence=0.95,
        description="It held no GPU, or only some cores of a GPU.",
    ),
    Rule(
        name="processors_only",
        kind="preprocessing",
        condition=_uses_processors_only,
        features=("idle_frac", "mean_power_frac", "node_share"),
        confidence=0.95,
        description=(
            "Its GPUs were idle, and it held a whole node, which was busy. The rule needs"
            " readings of GPUs."
        ),
    ),
    Rule(
        name="trains",
        kind="training_run",
        condition=lambda _: _COMMAND_WORK == "training",
        features=("command_work", "ran_s"),
        confidence=0.95,
        description="Words of its command stand for training.",
    ),
    Rule(
        name="decodes",
        kind="inference_run",
        condition=lambda _: _COMMAND_WORK == "inference",
        features=("command_work", "ran_s"),
        confidence=0.95,
        description="Words of its command stand for decoding, testing or scoring.",
    ),
    Rule(
        name="step_trains",
        kind="training_run",
        condition=lambda t: _in_long_recipe(t, pl.col("step") == pl.col("training_step")),
        features=("step", "training_step", "training_walltime_s"),
        confidence=0.95,
        description="It starts at the step of a recipe for which its user requests days.",
    ),
    Rule(
        name="step_decodes",
        kind="inference_run",
        condition=lambda t: _in_long_recipe(t, _IS_LATER_STEP),
        features=("step", "training_step", "training_walltime_s"),
        confidence=0.95,
        description="It starts after the training step, and recipes decode last.",
    ),
    Rule(
        name="step_prepares",
        kind="preprocessing",
        condition=lambda t: _in_long_recipe(t, pl.col("step") < pl.col("training_step")),
        features=("step", "training_step", "training_walltime_s"),
        confidence=0.95,
        description="It starts before the training step, and recipes prepare data first.",
    ),
    Rule(
        name="resumed",
        kind="training_run",
        condition=lambda t: (pl.col("merged_by") == "chain") & _is_long_enough(t),
        features=("merged_by", "n_jobs", "ran_s"),
        confidence=0.95,
        description=(
            "It was resumed after its walltime or after preemption. Section 2 has the fallbacks"
            " of merging."
        ),
    ),
    Rule(
        name="asks_long",
        kind="training_run",
        condition=lambda t: _has_long_walltime(t) & _is_long_enough(t),
        features=("walltime_s", "ran_s", "gpus"),
        confidence=0.95,
        description="It requested days on GPUs and ran for an hour or more.",
    ),
    Rule(
        name="bursts",
        kind="inference_run",
        condition=_has_bursts,
        features=("burst_frac", "spread", "mean_power_frac", "histogram_basis", "ran_s"),
        confidence=0.95,
        description=(
            "Its power varied about its mean, as with inputs of all lengths. The rule needs a"
            " whole node or readings of its own GPUs."
        ),
    ),
    Rule(
        name="sweep",
        kind="training_run",
        condition=_is_in_sweep,
        features=("array_size", "batch_size", "besteffort", "ran_s"),
        confidence=0.95,
        description=(
            "It was submitted together with others on GPUs, or can be preempted. Without array"
            " ids, jobs submitted within seconds count as an array."
        ),
    ),
    Rule(
        name="sequel",
        kind="inference_run",
        condition=_is_sequel,
        features=("after_long_h", "node_share", "gpus", "ran_s", "ended", "end_basis"),
        confidence=0.5,
        description=(
            "It completed within hours on one GPU or a small share of a node, days after a long"
            " run of the same user and project. Without exit codes and events, `terminated`"
            " counts as completed."
        ),
    ),
    Rule(
        name="asks_day",
        kind="inference_run",
        condition=_has_day_walltime,
        features=("walltime_s", "ran_s", "gpus", "burst_frac", "spread"),
        confidence=0.8,
        description="It requested a day or less, ran for hours and was not resumed.",
    ),
    Rule(
        name="plateau",
        kind="training_run",
        condition=lambda t: (t.plateau_time_frac() >= t.plateau_frac) & _is_long_enough(t),
        features=("plateau_frac", "mean_power_frac", "spread", "histogram_basis", "ran_s"),
        confidence=0.85,
        description=(
            "Its GPUs computed for most of an hour or more. Without readings of its GPUs those of"
            " the node count."
        ),
    ),
    Rule(
        name="name_trains",
        kind="training_run",
        condition=lambda _: pl.col("name_work") == "training",
        features=("name_work",),
        confidence=0.5,
        description="Words of its name stand for training.",
    ),
    Rule(
        name="name_decodes",
        kind="inference_run",
        condition=lambda _: pl.col("name_work") == "inference",
        features=("name_work",),
        confidence=0.5,
        description="Words of its name stand for decoding, testing or scoring.",
    ),
    Rule(
        name="none",
        kind="unknown",
        condition=lambda _: pl.lit(True),
        features=(),
        confidence=0.0,
        description="No other rule applies.",
    ),
)
