"""Estimated energy of jobs and of node classes for the time without readings.

The estimate is one of the power of a node. It is split as measured energy is: allocations, gate,
classes (docs/method.md, section 5), and it must add up alike.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.calendar import Window
from footprint.core.sums import sum_by_group, sum_consecutive
from footprint.core.vocabulary import NODE_CLASSES
from footprint.energy import segments as cuts
from footprint.energy.conservation import check_gap_conservation
from footprint.energy.free_power import scale_free_power
from footprint.energy.gap_power import BASES, estimate_power
from footprint.schemas.gaps import ClassGaps, JobGaps, SegmentGaps
from footprint.schemas.writing import conform

_PART_COLUMNS = tuple(f"{basis}_j" for basis in BASES)
_BOUNDS = ("held_from_us", "held_to_us")


class GapEnergy(NamedTuple):
    """Estimated energy of a cluster.

    Attributes:
        jobs: `schemas.gaps.JobGaps`.
        classes: `schemas.gaps.ClassGaps`.
        segments: `schemas.gaps.SegmentGaps`, without segments whose estimate is 0 or unknown.
    """

    jobs: pl.DataFrame
    classes: pl.DataFrame
    segments: pl.DataFrame


def estimate_gaps(
    segments: pl.DataFrame,
    allocations: pl.DataFrame,
    window: Window,
    *,
    gate: str,
    jobs_complete: bool = True,
    hardware: pl.DataFrame | None,
    models: pl.DataFrame | None,
    series: pl.DataFrame | None,
    free_power: pl.DataFrame | None = None,
) -> GapEnergy:
    """Estimate the energy of jobs and node classes of a cluster in the time without readings.

    Args:
        segments: `schemas.gaps.Segments` of all months of the study.
        allocations: `node_allocations.ALLOCATION_SCHEMA`.
        window: Window of the study.
        gate: One of `vocabulary.GATES`.
        jobs_complete: Whether every job of the nodes is known.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`, for the models; None: no models.
        models: `schemas.gaps.VirtualMeter`; None: no models.
        series: `schemas.gaps.SegmentSeries` of all months; None: no device series.
        free_power: `schemas.gaps.FreePower`; None: free nodes draw their idle power.

    Raises:
        ConservationError: Jobs, classes and segments do not add up.
    """
    ordered = segments.sort("node", "from_us")
    limits = cuts.IntegrationWindow.of(window.start, window.end)
    is_here = pl.col("node").is_in(ordered["node"].unique().implode())
    held = cuts.clip_to_window(
        cuts.with_bounds_in_microseconds(
            allocations.filter(is_here & (pl.col("share") > 0)), limits
        ),
        limits,
    )
    power = estimate_power(ordered, held, hardware, models, series)
    if free_power is not None and hardware is not None:
        power = scale_free_power(power, ordered, hardware, free_power)
    missing_s, is_known = pl.col("missing_s"), pl.col("power_w").is_not_null()
    gaps = power.with_columns(
        estimated_j=(pl.col("power_w") * missing_s).fill_null(0.0),
        unknown_s=pl.when(is_known).then(0.0).otherwise(missing_s),
    )
    jobs = _split_by_job(ordered, gaps, held)
    classes = _split_by_class(gaps, gate=gate, jobs_complete=jobs_complete)
    check_gap_conservation(jobs, classes, gaps, parts=_PART_COLUMNS)
    of_segments = gaps.filter(pl.col("estimated_j") > 0).select("node", "from_us", "estimated_j")
    return GapEnergy(
        conform(JobGaps, jobs), conform(ClassGaps, classes), conform(SegmentGaps, of_segments)
    )


def _split_by_job(ordered: pl.DataFrame, gaps: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Estimated energy by basis and time without an estimate of each job on each node.

    Args:
        ordered: All segments, sorted by node and start.
        gaps: Segments with missing time: `estimated_j`, `basis`, `unknown_s`, `weight`.
        held: Allocations with a share, clipped to the study.
    """
    names = [*_PART_COLUMNS, "unknown_s"]
    terms = {
        f"{basis}_j": pl.when(pl.col("basis") == basis).then("estimated_j").otherwise(0.0)
        for basis in BASES
    } | {"unknown_s": pl.col("unknown_s")}
    weighted = gaps.select(
        "node",
        "from_us",
        **{name: (pl.col("weight") * term).fill_null(0.0) for name, term in terms.items()},
    )
    with_gaps = ordered.select("node", "from_us", "to_us").filter(
        pl.col("node").is_in(gaps["node"].unique().implode())
    )
    sums = with_gaps.join(
        weighted, on=["node", "from_us"], how="left", maintain_order="left"
    ).select("node", "to_us", pl.col(names).fill_null(0.0).cum_sum().over("node"))
    own = held.filter(pl.col("node").is_in(gaps["node"].unique().implode()))
    between = own.select("job_id", "node", "share").hstack(
        cuts.energy_between(own, sums, names, bounds=_BOUNDS)
    )
    some = between.filter(pl.any_horizontal(pl.col(names) != 0))
    return sum_by_group(
        some,
        ["job_id", "node"],
        first=[],
        **{name: pl.col("share") * pl.col(name) for name in names},
    )


def _split_by_class(gaps: pl.DataFrame, *, gate: str, jobs_complete: bool) -> pl.DataFrame:
    """Estimated energy and time without an estimate of each node by day and class.

    Classes are those of `node_energy.classify_energy`; a node without readings is not known to be
    in standby, and counts as idle.
    """
    held = pl.col("share")
    is_held = held > 0
    job_frac = pl.lit(1.0) if gate in ("binary", "active") else held
    fractions = {
        "job": pl.when(is_held).then(job_frac).otherwise(0.0),
        "stranded": pl.when(is_held).then(1.0 - job_frac).otherwise(0.0),
        "unavailable": pl.when(~is_held & pl.col("is_unavailable")).then(1.0).otherwise(0.0),
        "idle": pl.when(~is_held & ~pl.col("is_unavailable")).then(1.0).otherwise(0.0),
    }
    if not jobs_complete:
        fractions["unattributed"] = fractions.pop("stranded") + fractions.pop("idle")
    quantities = ("estimated_j", "unknown_s")
    terms = {
        f"{name} {quantity}": frac * pl.col(quantity)
        for name, frac in fractions.items()
        for quantity in quantities
    }
    day = pl.col("from_us").cast(pl.Datetime("us", "UTC")).dt.date()
    by_day = sum_consecutive(
        gaps.select("node", day=day, **terms), ["node", "day"], sums=list(terms)
    )
    return (
        pl.concat(
            by_day.select(
                "node",
                "day",
                pl.lit(name).cast(pl.Enum(NODE_CLASSES)).alias("class"),
                **{quantity: pl.col(f"{name} {quantity}") for quantity in quantities},
            )
            for name in fractions
        )
        .filter(pl.any_horizontal(pl.col(quantities).abs() > 1e-12))
        .sort("node", "day", "class")
    )
