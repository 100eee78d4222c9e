"""What must add up, whatever the gate, the method and the input: checked in every run."""

from __future__ import annotations

import polars as pl

from footprint.summation import total

CONSERVED_FRAC = 1e-9


class ConservationError(AssertionError):
    """Energy or time of a node that is not accounted for exactly once: never bad input."""


def check(jobs: pl.DataFrame, classes: pl.DataFrame, at: pl.DataFrame, *, policy: str) -> None:
    """Fail unless classes add up to every node's integral and day, and jobs to the class `job`.

    Args:
        jobs: Result of `energy.sum_jobs`.
        classes: Result of `energy.classify`.
        at: Running integrals of the nodes at their cuts: those at midnights give the days'
            integrals.
        policy: The gate, for the message.
    """
    midnights = at.filter(pl.col("cut_us") % 86_400_000_000 == 0).select(
        "node",
        day=pl.col("cut_us").cast(pl.Datetime("us", "UTC")).dt.date(),
        gain_j=(pl.col("energy_j").shift(-1) - pl.col("energy_j")).over("node"),
    )
    days = midnights.drop_nulls("gain_j").join(
        classes.group_by("node", "day").agg(total(pl.col("energy_j", "duration_s"))),
        on=["node", "day"],
        how="full",
        coalesce=True,
    )
    _refuse(
        days.filter(_differs(pl.col("energy_j"), pl.col("gain_j"))),
        "the classes of a day do not add up to its integral",
    )
    _refuse(
        days.filter(((pl.col("duration_s") - 86_400.0).abs() > 1e-6).fill_null(True)),
        "the classes of a day do not add up to its duration",
    )
    job = (pl.col("class") == "job").cast(pl.Float64)
    expected = (pl.col("energy_j") + pl.col("overcount_j") - pl.col("left_out_j")) * job
    both = (
        classes.group_by("node")
        .agg(expected_j=total(expected))
        .join(
            jobs.group_by("node").agg(total(pl.col("energy_j"))),
            on="node",
            how="full",
            coalesce=True,
        )
        .with_columns(pl.col("energy_j").fill_null(0.0))
    )
    _refuse(
        both.filter(_differs(pl.col("energy_j"), pl.col("expected_j"))),
        f"jobs do not add up to the class job under the gate {policy}",
    )


def _differs(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    tolerance = CONSERVED_FRAC * other.abs().clip(lower_bound=1.0)
    return ((one - other).abs() > tolerance).fill_null(True)


def _refuse(wrong: pl.DataFrame, what: str) -> None:
    if len(wrong):
        raise ConservationError(f"{what}: {wrong.sort('node').rows(named=True)[:3]}")
