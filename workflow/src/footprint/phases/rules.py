"""The rules that tell what a run was, in their order, and where they draw their lines.

A rule is an expression over the evidence of a run (`footprint.phases.evidence`); `kinds` applies
them. Reasons and limits: `docs/phases.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Self

import polars as pl

from footprint.errors import InputError
from footprint.phases.power_levels import WHOLE_NODE, below_frac, own_below_frac
from footprint.units import H_PER_S


@dataclass(frozen=True)
class Thresholds:
    """Where the rules draw their lines: the configuration's `phases.thresholds`.

    Levels are parts of the range from a node's idle power, or its GPUs', to the highest. Sources of
    the values are in `docs/phases.md`, section 3.

    Attributes:
        idle_level: Level below which a node counts as idle.
        idle_gpu_part: The same of GPUs, as a part of that: they wander by few watts in hundreds,
            and trainings at 15 % of the limit are known, which is a twentieth above idle.
        idle_frac: Part of the time at idle from which on a node was only kept.
        session_h: A wait longer than from morning to night is no session at a prompt.
        debug_s: Runs shorter than this are tries.
        failed_s: Runs that failed or were cancelled before this are tries.
        plateau_level: Level from which on GPUs compute: twice that of idling GPUs.
        plateau_frac: Part of the time above it that makes a plateau.
        training_h: Least time of a training that no words tell.
        long_walltime_h: Longest walltime of what is no training: trainings ask for days, long
            enhancement for one.
        burst_frac: Part of the time well above the mean level from which on inputs of many
            lengths are worked on: steps of a training are alike, and only dip.
        spread: Spread of a plateau over its mean that goes with that.
        inference_h: Longest time of a decoding after a training.
        inference_share: Largest part of a node that such a decoding holds.
        sequel_h: Time after a long run in which its model is decoded with.
        batch: Jobs submitted together from which on they are a sweep.
    """

    idle_level: float = 0.10
    idle_gpu_part: float = 0.5
    idle_frac: float = 0.8
    session_h: float = 12.0
    debug_s: float = 600.0
    failed_s: float = 1800.0
    plateau_level: float = 0.10
    plateau_frac: float = 0.7
    training_h: float = 1.0
    long_walltime_h: float = 24.0
    burst_frac: float = 0.002
    spread: float = 0.10
    inference_h: float = 4.0
    inference_share: float = 0.25
    sequel_h: float = 168.0
    batch: float = 3.0

    @classmethod
    def from_config(cls, thresholds: Mapping[str, float]) -> Self:
        """Those of the configuration; what it does not name keeps its default.

        Raises:
            InputError: A threshold that does not exist, or is no number above 0.
        """
        known = [field.name for field in fields(cls)]
        for name, value in thresholds.items():
            where = f"phases.thresholds.{name}"
            if name not in known:
                what, do = "there is no such threshold", f"choose among {', '.join(known)}"
                raise InputError(what, where=where, do=do)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{value!r} is no number above 0", where=where, do="give one")
        return cls(**{name: float(value) for name, value in thresholds.items()})

    @property
    def idle_gpu_level(self) -> float:
        """Level below which GPUs count as idle."""
        return self.idle_level * self.idle_gpu_part

    def idle(self) -> pl.Expr:
        """Part of the time that what a run held was idle; null: not known."""
        return own_below_frac(self.idle_level, gpu_level=self.idle_gpu_level)

    def kept(self) -> pl.Expr:
        """Whether it was only kept, as far as is known: others on its node may hide it."""
        return self.idle() > self.idle_frac

    def busy(self) -> pl.Expr:
        """Whether it is known to have been more than kept."""
        return _OWN_LEVELS & ~self.kept()

    def plateau(self) -> pl.Expr:
        """Part of the time that its GPUs, or else its nodes, computed; null: not known."""
        gpus, nodes = (
            below_frac(f"{of}_level_s", self.plateau_level).fill_nan(None) for of in ("gpu", "node")
        )
        return 1 - pl.coalesce(gpus, nodes)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: Identifier, as `Runs.rule` has it.
        kind: What the runs that it applies to were; None: they never ran.
        when: Whether it applies; null counts as no.
        saw: Evidence that it looks at; `idle_frac` and `plateau_frac` are those of the thresholds.
        confidence: Part of the energy that it decided on that was decided rightly on simulated
            sites (seeds 40 to 47, eight mixes), rounded to 0.05 and at most 0.95, since 1 is for
            labels; 0.5 where it never decided there, and for `plateau`, which did so eleven times,
            with walltimes withheld. Of real sites nobody knows.
        why: What it says, and what it falls back to where a source lacks array ids, exit codes or
            events.
    """

    name: str
    kind: str | None
    when: Callable[[Thresholds], pl.Expr]
    saw: tuple[str, ...]
    confidence: float
    why: str


# A whole GPU at least: fewer are cores that were reserved one by one.
_WHOLE_GPU = 0.99

_ENDED = pl.col("ended").cast(pl.String)
_COMMAND = pl.col("command_work")
_TOGETHER = pl.max_horizontal("array_size", "batch_size")
_ALONE = _TOGETHER <= 1
_OWN_LEVELS = (pl.col("level_basis") == "gpu") | (pl.col("node_share") >= WHOLE_NODE)
_LATER_STEP = pl.col("step") > pl.col("training_step")
_ENDING = ("ran_s", "ended", "end_basis")
_NEIGHBOURS = ("array_size", "batch_size")
_STEPS = ("step", "training_step", "training_walltime_s")


def _hours(column: str) -> pl.Expr:
    return pl.col(column) * H_PER_S


def _lasted(t: Thresholds) -> pl.Expr:
    return _hours("ran_s") >= t.training_h


def _asks_long(t: Thresholds, column: str = "walltime_s") -> pl.Expr:
    return _hours(column) > t.long_walltime_h


def _kept(t: Thresholds) -> pl.Expr:
    longer = pl.col("endless") | (_hours("ran_s") >= t.session_h)
    return pl.col("waiting") & longer & ~t.busy().fill_null(False)


def _short(t: Thresholds) -> pl.Expr:
    decodes = (_COMMAND == "inference").fill_null(False) | _LATER_STEP.fill_null(False)
    return _ALONE & (pl.col("ran_s") < t.debug_s) & ~(decodes & (_ENDED == "completed"))


def _failed(t: Thresholds) -> pl.Expr:
    return _ALONE & (pl.col("ran_s") < t.failed_s) & _ENDED.is_in(["failed", "cancelled"])


def _idle(t: Thresholds) -> pl.Expr:
    return t.kept() & _lasted(t) & (pl.col("gpus") >= _WHOLE_GPU) & _ALONE & _COMMAND.is_null()


def _processors_only(t: Thresholds) -> pl.Expr:
    gpus_idle = below_frac("gpu_level_s", t.idle_gpu_level) > t.idle_frac
    return gpus_idle & (pl.col("node_share") >= WHOLE_NODE) & t.busy() & _COMMAND.is_null()


def _at_step(t: Thresholds, is_so: pl.Expr) -> pl.Expr:
    return is_so & _asks_long(t, "training_walltime_s")


def _bursts(t: Thresholds) -> pl.Expr:
    uneven = (pl.col("burst_frac") > t.burst_frac) & (pl.col("spread") >= t.spread)
    return _lasted(t) & uneven & _OWN_LEVELS


def _sweep(t: Thresholds) -> pl.Expr:
    return pl.col("besteffort") | _TOGETHER.ge(t.batch)


def _sequel(t: Thresholds) -> pl.Expr:
    small = (pl.col("node_share") <= t.inference_share + 1e-9) | (pl.col("gpus") < 1 + 1e-9)
    soon = pl.col("after_long_h") <= t.sequel_h
    return soon & small & (_hours("ran_s") < t.inference_h) & (_ENDED == "completed")


def _asks_day(t: Thresholds) -> pl.Expr:
    return (_hours("walltime_s") <= t.long_walltime_h) & (_hours("ran_s") >= t.inference_h)


RULES: tuple[Rule, ...] = (
    Rule(
        *("never_ran", None, lambda _: pl.col("n_jobs") == 0),
        *(("n_jobs",), 1.0),
        "None of its jobs started.",
    ),
    Rule(
        *("prompt", "interactive", lambda _: pl.col("interactive") | pl.col("prompt")),
        *(("interactive", "prompt"), 0.95),
        "OAR calls it interactive, or its command starts a notebook or terminal. Without a job type"
        " the command alone tells.",
    ),
    Rule(
        *("kept", "idle_hold", _kept),
        *(("waiting", "endless", "ran_s", "idle_frac", "level_basis"), 0.95),
        "Its command only waits, without end or beyond a long day, and it is not known to have done"
        " more. Power tells where it is known of its own GPUs or a node of its own.",
    ),
    Rule(
        *("session", "interactive", lambda _: pl.col("waiting")),
        *(("waiting", "ran_s", "idle_frac", "level_basis"), 0.95),
        "Its command only waits, while somebody works beside it.",
    ),
    Rule(
        "attempt",
        "debug",
        lambda t: pl.col("resubmitted") & ~_lasted(t) & (_ENDED != "completed"),
        *(("resubmitted", *_ENDING), 0.7),
        "One of three submissions of a command in two hours, but not the last, which did not end"
        " well and was shorter than a training. Without exit codes and events, `terminated` counts"
        " as ended well.",
    ),
    Rule(
        *("short", "debug", _short),
        *((*_ENDING, *_NEIGHBOURS, "command_work", "step", "training_step"), 0.7),
        "Over within minutes, not one of many, and no decoding that ended well. Without array ids,"
        " jobs submitted within seconds count as an array; without exit codes and events,"
        " `terminated` counts as ended well.",
    ),
    Rule(
        *("failed", "debug", _failed),
        *((*_ENDING, *_NEIGHBOURS), 0.4),
        "Failed or cancelled within half an hour, and not one of many. Without exit codes and"
        " events only the state `error` says so; without array ids, see `short`.",
    ),
    Rule(
        *("idle", "idle_hold", _idle),
        *(("idle_frac", "level_basis", "node_share", "ran_s", *_NEIGHBOURS), 0.5),
        "GPUs were held for an hour and nothing ran on them, though no words say that it waits."
        " Without readings of its own GPUs the whole node must have been idle; without array ids,"
        " see `short`.",
    ),
    Rule(
        *("data_words", "preprocessing", lambda _: _COMMAND == "preprocessing"),
        *(("command_work", "gpus"), 0.95),
        "Words of its command prepare data.",
    ),
    Rule(
        *("processors", "preprocessing", lambda _: pl.col("gpus") < _WHOLE_GPU),
        *(("gpus", "n_nodes"), 0.95),
        "It held no GPU, or only some cores of one.",
    ),
    Rule(
        *("processors_only", "preprocessing", _processors_only),
        *(("idle_frac", "mean_level", "node_share"), 0.95),
        "Its GPUs were idle, and the node, which was its own, was not. Silent without readings of"
        " GPUs.",
    ),
    Rule(
        *("trains", "training_run", lambda _: _COMMAND == "training"),
        *(("command_work", "ran_s"), 0.95),
        "Words of its command train.",
    ),
    Rule(
        *("decodes", "inference_run", lambda _: _COMMAND == "inference"),
        *(("command_work", "ran_s"), 0.95),
        "Words of its command decode, test or score.",
    ),
    Rule(
        "step_trains",
        "training_run",
        lambda t: _at_step(t, pl.col("step") == pl.col("training_step")),
        *(_STEPS, 0.95),
        "It begins at the step of a recipe that its user asks days for.",
    ),
    Rule(
        *("step_decodes", "inference_run", lambda t: _at_step(t, _LATER_STEP)),
        *(_STEPS, 0.95),
        "It begins after the step that trains, as recipes decode last.",
    ),
    Rule(
        "step_prepares",
        "preprocessing",
        lambda t: _at_step(t, pl.col("step") < pl.col("training_step")),
        *(_STEPS, 0.95),
        "It begins before the step that trains, as recipes prepare data first.",
    ),
    Rule(
        *("resumed", "training_run", lambda t: (pl.col("merged_by") == "chain") & _lasted(t)),
        *(("merged_by", "n_jobs", "ran_s"), 0.95),
        "It was resumed after its walltime, or after it was pushed aside. Merging has fallbacks of"
        " its own (`runs.links`).",
    ),
    Rule(
        *("asks_long", "training_run", lambda t: _asks_long(t) & _lasted(t)),
        *(("walltime_s", "ran_s", "gpus"), 0.95),
        "It asked for days on GPUs and ran for an hour.",
    ),
    Rule(
        *("bursts", "inference_run", _bursts),
        *(("burst_frac", "spread", "mean_level", "level_basis", "ran_s"), 0.95),
        "Its power went up and down about its mean, as inputs of all lengths make it. Silent where"
        " others share the node and its own GPUs are not read.",
    ),
    Rule(
        *("sweep", "training_run", _sweep),
        *((*_NEIGHBOURS, "besteffort", "ran_s"), 0.95),
        "One of several submitted together on GPUs, or ready to be pushed aside. Without array ids,"
        " jobs submitted within seconds count as an array.",
    ),
    Rule(
        *("sequel", "inference_run", _sequel),
        *(("after_long_h", "node_share", "gpus", *_ENDING), 0.5),
        "Hours on one GPU or a small part of a node that ended well, days after a long run of the"
        " same user and project. Without exit codes and events, `terminated` counts as ended well.",
    ),
    Rule(
        *("asks_day", "inference_run", _asks_day),
        *(("walltime_s", "ran_s", "gpus", "burst_frac", "spread"), 0.8),
        "It asked for no more than a day, ran for hours and was not resumed.",
    ),
    Rule(
        "plateau",
        "training_run",
        lambda t: (t.plateau() >= t.plateau_frac) & _lasted(t),
        *(("plateau_frac", "mean_level", "spread", "level_basis", "ran_s"), 0.85),
        "Its GPUs computed for most of an hour or more. Without their readings the node's tell.",
    ),
    Rule(
        *("name_trains", "training_run", lambda _: pl.col("name_work") == "training"),
        *(("name_work",), 0.5),
        "Words of its name train.",
    ),
    Rule(
        *("name_decodes", "inference_run", lambda _: pl.col("name_work") == "inference"),
        *(("name_work",), 0.5),
        "Words of its name decode, test or score.",
    ),
    Rule("none", "unknown", lambda _: pl.lit(True), (), 0.0, "Nothing speaks."),
)
