"""Compare the runs of a group in duration, power and found kind, since one label is for all.

A group is the runs of one user with one group of commands (`labels.commands.group_of_command`). A
command whose runs last for minutes in one case and for days in another did not do the same work, so
that the kind, role and phase of a group's label hold for the runs that agree with the group alone.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.sums import exact_sum, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.labels.precedence import apply_precedence

MAX_DURATION_FACTOR = 3.0
"""Largest factor between the duration of a run and that of its group, either way. Trainings that
stop early or run twice the epochs stay within; attempts and decodings do not."""

MAX_POWER_FACTOR = 2.0
"""Largest factor between the power of a run and that of its group, either way. It is the factor
between a GPU that waits for data and one that computes, and less than that between GPU models of
different years, so that runs on other hardware may be listed."""

MIN_CONFIDENCE = 0.75
"""Confidence from which a found kind that differs from that of its group sets a run apart. On the
simulated site, commands such as `./job.oar` train and decode at the same power for a day; runs that
the classifier separates would get the kind of the largest otherwise."""

HELD_FIELDS = ("kind", "role", "phase")
"""Fields of a group's label that hold for agreeing runs alone; paper and stage hold for all."""


def power_of_runs() -> dict[str, pl.Expr]:
    """Expressions of `on_gpus` and `power_w`, from `total_kwh` and the features of runs.

    The power is the mean total power per allocated GPU, and per allocated node without GPUs; null
    where the energy is unknown.
    """
    on_gpus = (pl.col("gpu_hours") > 0).fill_null(False)
    node_h = pl.col("duration_s") * H_PER_S * pl.col("node_share") * pl.col("n_nodes")
    held_h = pl.when(on_gpus).then("gpu_hours").otherwise(node_h)
    return {
        "on_gpus": on_gpus,
        "power_w": pl.when(held_h > 0).then(1000 * pl.col("total_kwh") / held_h),
    }


def compare_with_groups(runs: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Compare the duration and power of each run with the medians of its group.

    The medians are weighted by energy: half of the group's energy is that of runs of at most the
    median. A group of a few trainings and many failed attempts has the duration of the trainings.

    Args:
        runs: `by`, `run_id`, `duration_s`, `total_kwh`, `on_gpus` and `power_w` (`power_of_runs`),
            `kind` and `confidence` (found).
        by: Columns that make the group.

    Returns:
        `runs` with `duration_factor` and `power_factor` (run over median; null: unknown) and
        `agrees`: whether both are within `MAX_DURATION_FACTOR` and `MAX_POWER_FACTOR`, the run has
        GPUs where most of the energy is on GPUs, and it is not found with `MIN_CONFIDENCE` to be of
        another kind than most of the energy. An unknown factor or kind agrees. The rows are sorted
        by group and run.
    """
    energy = pl.col("total_kwh").fill_null(0.0)
    # A group without a known energy is weighted by the number of runs.
    is_known = (energy > 0).any().over(by)
    weighted = runs.sort(*by, "run_id").with_columns(
        _weight=pl.when(is_known).then(energy).otherwise(1.0)
    )
    medians = [
        _weighted_medians(weighted, by, column).rename({column: f"_{column}"})
        for column in ("duration_s", "power_w")
    ]
    on_gpus = weighted.group_by(by, maintain_order=True).agg(
        _on_gpus=2 * sum_or_zero(pl.col("_weight").filter("on_gpus"))
        >= sum_or_zero(pl.col("_weight"))
    )
    found = weighted
    for each in (*medians, on_gpus, _main_kinds(weighted, by)):
        found = found.join(each, on=by, how="left", nulls_equal=True, maintain_order="left")
    factors = {
        name: pl.when((pl.col(f"_{column}") > 0) & (pl.col(column) > 0)).then(
            pl.col(column) / pl.col(f"_{column}")
        )
        for name, column in (("duration_factor", "duration_s"), ("power_factor", "power_w"))
    }
    is_alike = [
        pl.col(name).is_between(1 / limit, limit).fill_null(True)
        for name, limit in (
            ("duration_factor", MAX_DURATION_FACTOR),
            ("power_factor", MAX_POWER_FACTOR),
        )
    ]
    return (
        found.with_columns(**factors)
        .with_columns(
            agrees=pl.all_horizontal(
                *is_alike, pl.col("on_gpus") == pl.col("_on_gpus"), ~_is_other_kind()
            )
        )
        .drop("_weight", "_duration_s", "_power_w", "_on_gpus", "_kind")
    )


def _is_other_kind() -> pl.Expr:
    kind = pl.col("kind").cast(pl.String)
    is_sure = (pl.col("confidence") >= MIN_CONFIDENCE) & (kind != "unknown")
    return (is_sure & (kind != pl.col("_kind"))).fill_null(False)


def _main_kinds(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Found kind of most of the weight of each group, `unknown` apart: `by`, `_kind`."""
    known = rows.with_columns(_kind=pl.col("kind").cast(pl.String)).filter(
        pl.col("_kind") != "unknown"
    )
    weights = known.group_by(*by, "_kind", maintain_order=True).agg(sum_or_zero(pl.col("_weight")))
    return (
        weights.sort(*by, "_weight", "_kind", descending=[*(False for _ in by), True, False])
        .unique(by, keep="first", maintain_order=True)
        .select(*by, "_kind")
    )


def _weighted_medians(rows: pl.DataFrame, by: list[str], column: str) -> pl.DataFrame:
    """Median of a column by group, weighted by `_weight`: `by`, `column`."""
    weight = pl.col("_weight")
    known = rows.filter(pl.col(column) > 0, weight > 0).sort(*by, column, "run_id")
    below = weight.cum_sum().over(by)
    return (
        known.filter(2 * below >= below.max().over(by) * (1 - 1e-12))
        .unique(by, keep="first", maintain_order=True)
        .select(*by, column)
    )


class CheckedLabels(NamedTuple):
    """Labels after the check of groups.

    Attributes:
        labels: `schemas.JobLabels`, with the labels of groups for the runs that agree.
        group_runs: Runs to which a group's kind, role or phase would apply (`schemas.GroupRuns`).
    """

    labels: pl.LazyFrame
    group_runs: pl.DataFrame


def check_groups(
    runs: pl.LazyFrame,
    *,
    single: pl.LazyFrame,
    groups: pl.LazyFrame,
    run_of_job: pl.LazyFrame,
) -> CheckedLabels:
    """Apply the labels of groups to the runs that agree with their group.

    Runs with a kind or phase of their own (from a row for single runs, a ledger or a name) neither
    count in the medians nor take the kind of the group.

    Args:
        runs: `run_id`, `kind` (found by the classifier; null: never ran), `confidence`,
            `duration_s`, `total_kwh`, `on_gpus`, `power_w`.
        single: `schemas.JobLabels` of the other sources, which take precedence.
        groups: `schemas.GroupLabels`.
        run_of_job: `schemas.RunOfJob`.
    """
    has_own = pl.any_horizontal(pl.col(name).is_not_null() for name in ("kind", "phase"))
    own = single.filter(has_own).select(run_id="job_id")
    # All jobs of a run have the same labels, and the first job names the run.
    rows = (
        groups.select(
            "group",
            pl.col("job_id").alias("run_id"),
            *(pl.col(name).alias(f"label_{name}") for name in HELD_FIELDS),
        )
        .join(runs.filter(pl.col("kind").is_not_null()), on="run_id")
        .filter(pl.any_horizontal(pl.col(f"label_{name}").is_not_null() for name in HELD_FIELDS))
        .join(own, on="run_id", how="anti")
        .collect()
    )
    compared = compare_with_groups(rows, ["group"])
    differing = compared.filter(~pl.col("agrees")).select("run_id", differs=pl.lit(True))
    differs = pl.col("differs").fill_null(False)
    applied = (
        groups.join(run_of_job.select("job_id", "run_id"), on="job_id")
        .join(differing.lazy(), on="run_id", how="left")
        .with_columns(pl.when(~differs).then(name).alias(name) for name in HELD_FIELDS)
    )
    group_runs = compared.select(
        "group",
        "run_id",
        found_kind="kind",
        label_kind="label_kind",
        **{name: name for name in ("total_kwh", "duration_factor", "power_factor", "agrees")},
    ).sort("group", "run_id")
    return CheckedLabels(apply_precedence([single, applied]).lazy(), group_runs)


def disagreement_messages(group_runs: pl.DataFrame, groups: pl.DataFrame) -> list[str]:
    """A message for each labelled group with runs that do not agree with it.

    Args:
        group_runs: `schemas.GroupRuns`.
        groups: `schemas.GroupLabels`, which name the rows.
    """
    energy = sum_or_zero(pl.col("total_kwh"))
    by_group = group_runs.group_by("group").agg(
        n_runs=pl.len(),
        n_differing=exact_sum(~pl.col("agrees")),
        kwh=energy,
        differing_kwh=sum_or_zero(pl.col("total_kwh").filter(~pl.col("agrees"))),
    )
    rows = (
        groups.select("group", "where")
        .unique()
        .join(by_group.filter(pl.col("n_differing") > 0), on="group")
    )
    return [
        f"{row['where']}: {row['n_differing']} of its {row['n_runs']} runs "
        f"({row['differing_kwh']:.1f} of {row['kwh']:.1f} kWh) differ from the group in duration, "
        "power or found kind and keep the kind found; `footprint labels` lists them"
        for row in rows.sort("group").iter_rows(named=True)
    ]
