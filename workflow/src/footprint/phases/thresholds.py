"""Thresholds of the weights and of the rules, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import polars as pl

from footprint.core.errors import InputError
from footprint.phases.power_histograms import WHOLE_NODE_SHARE, own_time_frac_below, time_frac_below


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of weights and rules: the configuration's `phases.thresholds`.

    Power levels are fractions of the range from the idle to the highest power of a node or GPU.
    Sources of the values are in `docs/phases.md`, section 3.

    Attributes:
        idle_level: Power level below which a node counts as idle.
        idle_gpu_part: Power level below which a GPU counts as idle, as a fraction of `idle_level`.
            Idle GPUs vary by few watts in hundreds, and some trainings run at 15 % of the limit,
            which is a twentieth of the range above idle.
        idle_frac: Share of the time at idle above which a run held its nodes without using them.
        session_h: Shortest wait that is no session at a prompt: longer than from morning to night.
        debug_s: Runs shorter than this are attempts.
        failed_s: Runs that failed or were cancelled before this are attempts.
        plateau_level: Power level from which GPUs compute: twice that of idle GPUs.
        plateau_frac: Share of the time above `plateau_level` that makes a plateau.
        training_h: Shortest run time of a training without a word of its command.
        long_walltime_h: Longest walltime of a run that is no training. Trainings request days, long
            enhancement requests one.
        burst_frac: Share of the time well above the mean level that indicates inputs of many
            lengths. Steps of a training are alike, and its power dips only.
        spread: Relative spread of a plateau that indicates inputs of many lengths.
        inference_h: Longest run time of a decoding after a training.
        inference_share: Largest share of a node held by a decoding after a training.
        sequel_h: Longest time from a long run to a decoding with its model.
        batch: Smallest number of jobs submitted together that are a sweep.
        min_probability: Probability of the most probable kind below which the kind is `unknown`,
            for the weights.
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
    min_probability: float = 0.5

    @classmethod
    def from_config(cls, thresholds: Mapping[str, float]) -> Self:
        """Thresholds of the configuration; thresholds not in it keep their defaults.

        Raises:
            InputError: A threshold does not exist, or is not a number above 0.
        """
        names = [field.name for field in fields(cls)]
        for name, value in thresholds.items():
            where = f"phases.thresholds.{name}"
            if name not in names:
                what, do = "there is no such threshold", f"choose among {', '.join(names)}"
                raise InputError(what, where=where, do=do)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InputError(
                    f"{value!r} is not a number above 0", where=where, do="set a number above 0"
                )
        return cls(**{name: float(value) for name, value in thresholds.items()})

    @property
    def idle_gpu_level(self) -> float:
        """Power level below which GPUs count as idle."""
        return self.idle_level * self.idle_gpu_part

    def idle_time_frac(self) -> pl.Expr:
        """Share of the time at which a run's own hardware was idle; null: no histogram."""
        return own_time_frac_below(self.idle_level, gpu_level=self.idle_gpu_level)

    def is_idle(self) -> pl.Expr:
        """Whether a run held idle hardware; other jobs on its node may hide this."""
        return self.idle_time_frac() > self.idle_frac

    def is_busy(self) -> pl.Expr:
        """Whether the histogram of a run's own hardware shows work; null: no histogram."""
        return has_own_histogram() & ~self.is_idle()

    def plateau_time_frac(self) -> pl.Expr:
        """Share of the time at which GPUs, or else nodes, computed; null: no histogram."""
        gpus, nodes = (
            time_frac_below(f"{device}_histogram_s", self.plateau_level).fill_nan(None)
            for device in ("gpu", "node")
        )
        return 1 - pl.coalesce(gpus, nodes)


def has_own_histogram() -> pl.Expr:
    """Whether a run's histogram shows no power of other jobs: of its own GPUs, or a whole node."""
    return (pl.col("histogram_basis") == "gpu") | (pl.col("node_share") >= WHOLE_NODE_SHARE)
