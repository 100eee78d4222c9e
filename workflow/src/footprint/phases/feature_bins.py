"""The bins in which the weights read each feature of a run.

Bin 0 of each feature is "unknown", so that a source without commands, walltimes or power needs no
other weights. Walltimes are read against others of the same person and queue only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from footprint.core.units import H_PER_S
from footprint.phases.job_words import COUNTED_WORDS
from footprint.phases.power_shape import LEVELS

FEATURE_GROUPS = ("record", "habits", "commands", "names", "walltimes", "power")
"""Groups of features that a source may lack together."""


@dataclass(frozen=True)
class BinnedFeature:
    """A feature in bins.

    Attributes:
        name: Identifier in the file of weights.
        group: One of `FEATURE_GROUPS`.
        text: Words for it in an explanation.
        value: Its value as an expression of the features and of `power_shape.SHAPE_COLUMNS`: a
            number if it has edges, else the name of a category.
        edges: Inner edges of the bins, ascending; a value at an edge is above it.
        unit: Unit of the edges in an explanation.
        categories: Values of a feature without edges; others are unknown.
        labels: Words for each known bin in an explanation, in place of `text` with the edges.
    """

    name: str
    group: str
    text: str
    value: pl.Expr
    edges: tuple[float, ...] = ()
    unit: str = ""
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def n_bins(self) -> int:
        """Number of bins, with that of unknown values."""
        return 1 + (len(self.categories) or len(self.edges) + 1)

    def bin_texts(self) -> list[str]:
        """Words for each bin in an explanation."""
        unknown = f"{self.text} unknown"
        if self.labels:
            return [unknown, *self.labels]
        if self.categories:
            values = list(self.categories)
        else:
            edges = [f"{edge:g}" for edge in self.edges]
            values = [f"under {edges[0]}"]
            values += [f"{low} to {high}" for low, high in pairwise(edges)]
            values.append(f"from {edges[-1]}")
        unit = f" {self.unit}" if self.unit else ""
        return [unknown, *(f"{self.text} {value}{unit}" for value in values)]


@dataclass(frozen=True)
class CrossedFeature:
    """Two features in common bins, for what they indicate only together.

    Attributes:
        name: Identifier in the file of weights.
        first: Name of the feature whose bins change slowest.
        second: Name of the other feature.
    """

    name: str
    first: str
    second: str


def _yes_or_no(condition: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(pl.lit("yes")).when(~condition).then(pl.lit("no"))


def _feature(
    name: str, group: str, text: str, value: pl.Expr, edges: Sequence[float], unit: str = ""
) -> BinnedFeature:
    return BinnedFeature(name, group, text, value, edges=tuple(edges), unit=unit)


def _flag(name: str, group: str, text: str, condition: pl.Expr) -> BinnedFeature:
    return BinnedFeature(
        *(name, group, text, _yes_or_no(condition)),
        categories=("no", "yes"),
        labels=(f"not {text}", text),
    )


def _words(words: str, where: str) -> BinnedFeature:
    return BinnedFeature(
        *(f"{where}_{words}", f"{where}s", f"words for {words} in its {where}"),
        pl.col(f"{where}_{words}_words"),
        edges=(1, 2),
        labels=(
            f"no word for {words} in its {where}",
            f"word for {words} in its {where}",
            f"words for {words} in its {where}",
        ),
    )


def _work(where: str) -> BinnedFeature:
    """The work that the command or name stands for (`job_words`)."""
    is_known = pl.col(f"{where}_trying_words").is_not_null()
    return BinnedFeature(
        *(f"{where}_work", f"{where}s", f"work named by its {where}"),
        pl.when(is_known).then(pl.col(f"{where}_work").fill_null("none")),
        categories=("none", "training", "inference", "preprocessing"),
        labels=(
            f"its {where} names no work",
            *(f"its {where} names {each}" for each in ("training", "inference", "preprocessing")),
        ),
    )


def _hours(column: str) -> pl.Expr:
    return pl.col(column) * H_PER_S


_RAN_S = pl.col("ran_s")
_N_TOGETHER = pl.max_horizontal("array_size", "batch_size")
_STEP = (
    pl.when(pl.col("step") < pl.col("training_step"))
    .then(pl.lit("before the longest"))
    .when(pl.col("step") == pl.col("training_step"))
    .then(pl.lit("the longest"))
    .when(pl.col("step") > pl.col("training_step"))
    .then(pl.lit("after the longest"))
)
_FRACS = (0.02, 0.1, 0.3, 0.6, 0.9)

FEATURES: tuple[BinnedFeature, ...] = (
    _feature(
        "ran",
        "record",
        "ran",
        _hours("ran_s"),
        (0.02, 0.05, 0.1, 0.17, 0.25, 0.5, 1, 2, 4, 8, 16, 24, 48, 96),
        "h",
    ),
    BinnedFeature(
        "ended",
        "record",
        "ended",
        pl.col("ended").cast(pl.String),
        categories=("running", "walltime", "killed", "cancelled", "failed", "completed"),
    ),
    _feature("gpus", "record", "GPUs", pl.col("gpus"), (0.01, 0.99, 1.5, 2.5, 4.5, 8.5)),
    _feature("nodes", "record", "nodes", pl.col("n_nodes"), (2, 3, 5)),
    _feature("share", "record", "share of the node", pl.col("node_share"), (0.2, 0.3, 0.6, 0.99)),
    _feature("together", "record", "submitted together", _N_TOGETHER, (2, 3, 6, 12, 30, 100)),
    _flag("besteffort", "record", "preemptible", pl.col("besteffort")),
    _flag("container", "record", "container", pl.col("container")),
    _flag("merged", "record", "resumed", pl.col("merged_by") == "chain"),
    _feature("jobs", "record", "jobs of the run", pl.col("n_jobs"), (2, 3, 5)),
    _feature(
        "hour", "record", "submitted at hour", pl.col("submitted_hour"), (7, 9, 12, 14, 18, 21)
    ),
    _flag("weekend", "record", "submitted at a weekend", pl.col("submitted_weekend")),
    _feature(
        "after_long", "habits", "after a long run", pl.col("after_long_h"), (1, 6, 24, 72, 168), "h"
    ),
    _feature(
        "person_longest",
        "habits",
        "share of the person's longest",
        _RAN_S / pl.col("person_longest_s"),
        (0.003, 0.02, 0.1, 0.3, 0.7),
    ),
    _feature("similar", "habits", "similar runs", pl.col("n_similar"), (2, 3, 6, 15, 50, 200)),
    _feature(
        "similar_median",
        "habits",
        "similar runs last",
        _hours("similar_median_s"),
        (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 48),
        "h",
    ),
    _feature(
        "similar_longest",
        "habits",
        "share of the longest similar run",
        _RAN_S / pl.col("similar_longest_s"),
        (0.01, 0.05, 0.2, 0.5, 0.99),
    ),
    _feature(
        "similar_ratio",
        "habits",
        "times the median similar run",
        _RAN_S / pl.col("similar_median_s"),
        (0.1, 0.5, 0.8, 1.25, 2, 10),
    ),
    _feature(
        "similar_failed",
        "habits",
        "similar runs failed",
        pl.col("similar_failed_frac"),
        (0.01, 0.2, 0.5, 0.8),
    ),
    _feature(
        "after_similar",
        "habits",
        "after a similar run",
        pl.col("after_similar_h"),
        (0.001, 0.02, 0.1, 0.5, 3, 12, 48, 168),
        "h",
    ),
    _feature(
        "before_similar",
        "habits",
        "before a similar run",
        pl.col("before_similar_h"),
        (0.001, 0.02, 0.1, 0.5, 3, 12, 48, 168),
        "h",
    ),
    _flag("resubmitted", "habits", "submitted again soon", pl.col("resubmitted")),
    _flag("prompt", "commands", "notebook or terminal", pl.col("prompt")),
    _flag("waiting", "commands", "only waits", pl.col("waiting")),
    _flag("endless", "commands", "waits without end", pl.col("endless")),
    BinnedFeature(
        "step",
        "commands",
        "recipe step",
        _STEP,
        categories=("before the longest", "the longest", "after the longest"),
    ),
    *(_work(where) for where in ("command", "name")),
    *(_words(words, where) for where in ("command", "name") for words in COUNTED_WORDS),
    _feature(
        "usual_walltime",
        "walltimes",
        "times the person's usual walltime",
        pl.col("usual_walltime_ratio"),
        (0.2, 0.5, 0.99, 1.01, 2, 5),
    ),
    _feature(
        "same_walltime",
        "walltimes",
        "share of the person's runs with its walltime",
        pl.col("same_walltime_frac"),
        (0.05, 0.2, 0.5, 0.9),
    ),
    _feature(
        "limit_walltime",
        "walltimes",
        "share of the queue's longest walltime",
        pl.col("limit_walltime_frac"),
        (0.02, 0.1, 0.3, 0.6, 0.99),
    ),
    _feature(
        "used_walltime",
        "walltimes",
        "share of its walltime",
        _RAN_S / pl.col("walltime_s"),
        (0.01, 0.1, 0.3, 0.6, 0.9, 0.995),
    ),
    BinnedFeature(
        "power_basis",
        "power",
        "power of",
        pl.when(pl.col("own_level_frac").is_not_null()).then("histogram_basis"),
        categories=("gpu", "node"),
    ),
    _feature(
        "idle",
        "power",
        "time at idle",
        pl.col("own_idle_frac"),
        (0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.98),
    ),
    _feature(
        "level",
        "power",
        "mean power level",
        pl.col("own_level_frac"),
        (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    ),
    _feature(
        "spread",
        "power",
        "spread of power",
        pl.col("own_spread_frac"),
        (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3),
    ),
    _feature(
        "plateau",
        "power",
        "time on a plateau",
        pl.col("own_plateau_frac"),
        (0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97),
    ),
    _feature(
        "plateau_level",
        "power",
        "level of the plateau",
        pl.col("own_plateau_level_frac"),
        (0.12, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9),
    ),
    _feature(
        "bursts",
        "power",
        "time in bursts",
        pl.col("own_burst_frac"),
        (0.002, 0.01, 0.03, 0.1, 0.2, 0.3),
    ),
    _feature(
        "high_level",
        "power",
        "highest tenth of power",
        pl.col("own_high_level_frac"),
        (0.06, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9),
    ),
    *(
        _feature(
            f"over_{round(1000 * level)}",
            "power",
            f"time over level {level:g}",
            pl.col(f"own_over_{round(1000 * level)}_frac"),
            _FRACS,
        )
        for level in LEVELS
    ),
    _feature(
        "idle_gpus_busy_node",
        "power",
        "time with idle GPUs on a busy node",
        pl.col("idle_gpus_busy_node"),
        (0.02, 0.1, 0.3, 0.6, 0.9),
    ),
    _feature(
        "similar_power",
        "power",
        "power level of similar runs",
        pl.col("similar_power_frac"),
        (0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8),
    ),
)

CROSSED: tuple[CrossedFeature, ...] = (
    CrossedFeature("ran_x_idle", "ran", "idle"),
    CrossedFeature("ran_x_ended", "ran", "ended"),
    CrossedFeature("ran_x_together", "ran", "together"),
    CrossedFeature("ran_x_spread", "ran", "spread"),
    CrossedFeature("idle_x_high_level", "idle", "high_level"),
    CrossedFeature("spread_x_level", "spread", "level"),
    CrossedFeature("ran_x_similar", "ran", "similar"),
    CrossedFeature("waiting_x_idle", "waiting", "idle"),
    CrossedFeature("basis_x_level", "power_basis", "level"),
    CrossedFeature("basis_x_spread", "power_basis", "spread"),
)
