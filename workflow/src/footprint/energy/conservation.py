"""Conservation: sums that must hold for every gate, method and input; checked in every run."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import sum_or_zero

CONSERVATION_TOLERANCE_FRAC = 1e-9
"""Largest relative error of a sum that must hold."""


class ConservationError(AssertionError):
    """Energy or time of a node is not counted exactly once: a defect, never bad input."""


def check_conservation(
    jobs: pl.DataFrame, classes: pl.DataFrame, at_cuts: pl.DataFrame, *, gate: str
) -> None:
    """Fail unless classes add up to every node's integral and day, and jobs to the class `job`.

    Args:
        jobs: Result of `attribution.sum_by_job`.
        classes: Result of `node_energy.classify_energy`.
        at_cuts: Result of `segments.integrals_at_cuts`; the integrals at midnights give those of
            the days.
        gate: The gate, for the message.

    Raises:
        ConservationError: A sum differs; the message shows the first nodes.
    """
    midnights = at_cuts.filter(pl.col("cut_us") % 86_400_000_000 == 0).select(
        "node",
        day=pl.col("cut_us").cast(pl.Datetime("us", "UTC")).dt.date(),
        expected_j=(pl.col("energy_j").shift(-1) - pl.col("energy_j")).over("node"),
    )
    days = midnights.drop_nulls("expected_j").join(
        classes.group_by("node", "day").agg(sum_or_zero(pl.col("energy_j", "duration_s"))),
        on=["node", "day"],
        how="full",
        coalesce=True,
    )
    _refuse(
        days.filter(_differs(pl.col("energy_j"), pl.col("expected_j"))),
        "the classes of a day do not add up to its integral",
    )
    _refuse(
        days.filter(((pl.col("duration_s") - 86_400.0).abs() > 1e-6).fill_null(True)),
        "the classes of a day do not add up to its duration",
    )
    job = (pl.col("class") == "job").cast(pl.Float64)
    accounted = (pl.col("energy_j") + pl.col("overcount_j") - pl.col("left_out_j")) * job
    both = (
        classes.group_by("node")
        .agg(expected_j=sum_or_zero(accounted))
        .join(
            jobs.group_by("node").agg(sum_or_zero(pl.col("energy_j"))),
            on="node",
            how="full",
            coalesce=True,
        )
        .with_columns(pl.col("energy_j").fill_null(0.0))
    )
    _refuse(
        both.filter(_differs(pl.col("energy_j"), pl.col("expected_j"))),
        f"jobs do not add up to the class job under the gate {gate}",
    )


def check_gap_conservation(
    jobs: pl.DataFrame, classes: pl.DataFrame, gaps: pl.DataFrame, *, parts: Sequence[str]
) -> None:
    """Fail unless estimated energies of classes and jobs add up to those of every node.

    The same holds for the time without an estimate.

    Args:
        jobs: `schemas.gaps.JobGaps`.
        classes: `schemas.gaps.ClassGaps`.
        gaps: Segments with missing time: `node`, `share`, `weight`, `estimated_j`, `unknown_s`.
        parts: Columns of `jobs` with the energy by basis.

    Raises:
        ConservationError: A sum differs; the message shows the first nodes.
    """
    names = ["estimated_j", "unknown_s"]
    of_share = pl.col("share") * pl.col("weight")
    expected = gaps.group_by("node").agg(
        *(sum_or_zero(pl.col(name)).alias(f"{name} of node") for name in names),
        *(sum_or_zero(of_share * pl.col(name)).alias(f"{name} of jobs") for name in names),
    )
    of_classes = classes.group_by("node").agg(sum_or_zero(pl.col(names)))
    of_jobs = (
        jobs.with_columns(estimated_j=pl.sum_horizontal(parts))
        .group_by("node")
        .agg(sum_or_zero(pl.col(names)))
    )
    for found, of, what in [
        (of_classes, "node", "the estimates of classes do not add up to the node's"),
        (of_jobs, "jobs", "the estimates of jobs do not add up to the class job"),
    ]:
        both = expected.join(found, on="node", how="full", coalesce=True).with_columns(
            pl.col(names).fill_null(0.0)
        )
        wrong = pl.any_horizontal(
            _differs(pl.col(name), pl.col(f"{name} of {of}")) for name in names
        )
        _refuse(both.filter(wrong), what)


def _differs(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Whether two energies differ by more than the tolerance; unknown ones differ."""
    tolerance = CONSERVATION_TOLERANCE_FRAC * other.abs().clip(lower_bound=1.0)
    return ((one - other).abs() > tolerance).fill_null(True)


def _refuse(wrong: pl.DataFrame, what: str) -> None:
    """Raise an error with the first rows, if there are any."""
    if len(wrong):
        raise ConservationError(f"{what}: {wrong.sort('node').rows(named=True)[:3]}")
