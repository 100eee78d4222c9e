"""Power of nodes in the time without readings, from the best of several bases.

A *spell* is a time in which the same jobs hold a node. The power of a segment with missing time is,
from the first of these that applies:

- `own_readings`: mean power of the node over its spell, where readings cover at least
  `MIN_COVERED_FRAC` of the missing time;
- `same_job`: mean power of the nodes of the job, of one cluster, where it alone holds the node;
- `virtual_meter` and `hardware`: `power_model.predict_power`;
- `own_readings` again, however little is covered, else the mean power of the node in all time in
  which it was held, free or unavailable alike.

Where the virtual meter knows the power both of the gap and of most of the covered time, the mean
power is replaced by the prediction for the gap times `sum measured / sum predicted`. Otherwise the
power is unknown.
"""

from __future__ import annotations

import polars as pl

from footprint.allocation.shares import SHARE_TOLERANCE
from footprint.core.sums import exact_sum, quotient, sum_consecutive, sum_or_zero
from footprint.energy.power_model import predict_power
from footprint.schemas.gaps import SegmentSeries

BASES = ("own_readings", "same_job", "virtual_meter", "hardware")
"""Bases of estimates, in the order of the columns of `schemas.gaps.JobGaps`."""

MIN_COVERED_FRAC = 0.05
"""Covered time over missing time below which readings do not estimate the missing time."""
MIN_PREDICTED_FRAC = 0.5
"""Part of the covered time that the virtual meter must predict to scale an estimate."""
MIN_MISSING_S = 1e-6
"""Missing time up to which a segment counts as covered: rounding of times in microseconds."""

_SET_BITS = 44
"""Bits of the hash of a job: sums over the jobs of a node stay exact in 64 bits."""

_SUM_COLUMNS = ("covered_s", "energy_j", "predicted_s", "predicted_j", "compared_j")


def mark_jobs(segments: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Mark the jobs that hold each segment.

    Args:
        segments: `node`, `from_us`, `is_unavailable`, sorted by node and start.
        held: Allocations with a share: `job_id`, `node`, `held_from_us`, `held_to_us`; their bounds
            are bounds of segments.

    Returns:
        The segments with `spell` (number of the spell) and `sole_job` (the job that alone holds
        the whole node; null: none).
    """
    of_job = [
        pl.lit(1, pl.Int64).alias("n_jobs"),
        pl.col("job_id").alias("ids"),
        (pl.col("job_id").hash(0) % 2**_SET_BITS).cast(pl.Int64).alias("hashes"),
    ]
    names = ["n_jobs", "ids", "hashes"]
    starts = held.select("node", *of_job, from_us="held_from_us")
    ends = held.select("node", *of_job, from_us="held_to_us").with_columns(-pl.col(names))
    changes = pl.concat([starts, ends]).group_by("node", "from_us").agg(exact_sum(pl.col(names)))
    marked = segments.join(
        changes, on=["node", "from_us"], how="left", maintain_order="left"
    ).with_columns(pl.col(names).fill_null(0).cum_sum().over("node"))
    key = ["node", "n_jobs", "hashes", "is_unavailable"]
    is_new = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in key)
    is_sole = (pl.col("n_jobs") == 1) & ((pl.col("share") - 1.0).abs() <= SHARE_TOLERANCE)
    return marked.with_columns(
        spell=is_new.fill_null(True).cum_sum(), sole_job=pl.when(is_sole).then("ids")
    ).drop(names)


def estimate_power(
    segments: pl.DataFrame,
    held: pl.DataFrame,
    hardware: pl.DataFrame | None,
    models: pl.DataFrame | None,
    series: pl.DataFrame | None,
) -> pl.DataFrame:
    """Estimate the power of the nodes of a cluster in the segments with missing time.

    Args:
        segments: `schemas.gaps.Segments` of the whole study, sorted by node and start.
        held: Allocations with a share (`mark_jobs`).
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`; None: no models.
        models: `schemas.gaps.VirtualMeter`; None: no models.
        series: `schemas.gaps.SegmentSeries`; None: no device series.

    Returns:
        The segments with missing time, with `missing_s`, `power_w` and `basis` (null: unknown).
    """
    missing_s = pl.col("duration_s") - pl.col("covered_s")
    marked = mark_jobs(
        segments.with_columns(
            missing_s=pl.when(missing_s > MIN_MISSING_S).then(missing_s).otherwise(0.0)
        ),
        held,
    )
    is_missing = pl.col("missing_s") > 0
    marked = marked.filter(
        is_missing.any().over("spell")
        | (pl.col("sole_job").is_not_null() & is_missing.any().over("sole_job"))
    )
    rows = _predict(_with_series(marked, series), hardware, models)
    by_spell = sum_consecutive(rows, ["spell"], sums=[*_SUM_COLUMNS, "missing_s"])
    of_jobs = rows.drop_nulls("sole_job").sort("sole_job", "node", "from_us")
    by_job = sum_consecutive(of_jobs, ["sole_job"], sums=[*_SUM_COLUMNS, "missing_s"])
    gaps = rows.filter(is_missing).drop("covered_s", "energy_j", *_SUM_COLUMNS[2:])
    gaps = gaps.join(_prefixed(by_spell, "spell"), on="spell", how="left", maintain_order="left")
    gaps = gaps.join(
        _prefixed(by_job, "sole_job"), on="sole_job", how="left", maintain_order="left"
    )
    return _with_power_of_node(_choose_basis(gaps), segments)


def _prefixed(sums: pl.DataFrame, key: str) -> pl.DataFrame:
    """Sums with the key as a prefix of their names."""
    return sums.rename({name: f"{key} {name}" for name in sums.columns if name != key})


def _with_series(marked: pl.DataFrame, series: pl.DataFrame | None) -> pl.DataFrame:
    """Segments with the columns of `schemas.gaps.SegmentSeries`, null without series."""
    if series is None:
        columns = [name for name in SegmentSeries.column_names() if name not in ("node", "from_us")]
        return marked.with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    return marked.join(series, on=["node", "from_us"], how="left", maintain_order="left")


def _predict(
    rows: pl.DataFrame, hardware: pl.DataFrame | None, models: pl.DataFrame | None
) -> pl.DataFrame:
    """Rows with the prediction of the models, and the sums by which it is compared."""
    unknown = {"power_w": pl.lit(None, pl.Float64), "basis": pl.lit(None, pl.String)}
    found = (
        rows.with_columns(**unknown)
        if models is None or hardware is None
        else predict_power(rows, hardware, models).collect()
    )
    is_metered = (pl.col("basis") == "virtual_meter").fill_null(False)
    predicted_s = pl.when(is_metered).then("covered_s").otherwise(0.0)
    return found.select(
        *("node", "from_us", "spell", "sole_job", "missing_s", "covered_s", "energy_j"),
        *("share", "weight", "is_unavailable", "power_w", "basis"),
        predicted_s=predicted_s,
        predicted_j=(predicted_s * pl.col("power_w")).fill_null(0.0),
        compared_j=pl.when(is_metered).then("energy_j").otherwise(0.0),
    )


def _choose_basis(gaps: pl.DataFrame) -> pl.DataFrame:
    """Power and basis of each segment with missing time."""
    missing = pl.col("spell missing_s")
    own, job = _mean_power_w("spell"), _mean_power_w("sole_job")
    is_own = pl.col("spell covered_s") >= MIN_COVERED_FRAC * missing
    is_job = pl.col("sole_job covered_s") >= MIN_COVERED_FRAC * missing
    choices = {
        "own_readings": pl.when(is_own).then(own),
        "same_job": pl.when(is_job).then(job),
        "virtual_meter": pl.when(pl.col("basis") == "virtual_meter").then("power_w"),
        "hardware": pl.when(pl.col("basis") == "hardware").then("power_w"),
    }
    names = [pl.when(power.is_not_null()).then(pl.lit(name)) for name, power in choices.items()]
    last = pl.when(own.is_not_null()).then(pl.lit("own_readings"))
    return gaps.with_columns(
        power_w=pl.coalesce(*choices.values(), own).clip(lower_bound=0.0),
        basis=pl.coalesce(*names, last),
    ).select(
        *("node", "from_us", "share", "weight", "is_unavailable", "missing_s", "power_w", "basis")
    )


def _with_power_of_node(gaps: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Gaps whose unknown power is the mean power of the node in the same use, where known.

    Args:
        gaps: Result of `_choose_basis`.
        segments: All segments.
    """
    unknown = gaps.filter(pl.col("power_w").is_null())
    if unknown.is_empty():
        return gaps
    key = ["node", "is_held", "is_unavailable"]
    is_held = (pl.col("share") > 0).alias("is_held")
    measured = segments.join(unknown.select("node").unique(), on="node", how="semi").filter(
        pl.col("covered_s") > 0
    )
    sums = measured.group_by("node", is_held, "is_unavailable").agg(
        sum_or_zero(pl.col("energy_j", "covered_s"))
    )
    means = sums.select(*key, mean_w=quotient(pl.col("energy_j"), pl.col("covered_s")))
    basis = pl.when(pl.col("mean_w").is_not_null()).then(pl.lit("own_readings"))
    return (
        gaps.with_columns(is_held)
        .join(means, on=key, how="left", maintain_order="left")
        .with_columns(power_w=pl.coalesce("power_w", "mean_w"), basis=pl.coalesce("basis", basis))
        .drop("is_held", "mean_w")
    )


def _mean_power_w(key: str) -> pl.Expr:
    """Mean measured power over a spell or job, scaled to the gap by the virtual meter if known."""
    covered_s, predicted_s = pl.col(f"{key} covered_s"), pl.col(f"{key} predicted_s")
    can_scale = (
        (pl.col("basis") == "virtual_meter")
        & (predicted_s >= MIN_PREDICTED_FRAC * covered_s)
        & (pl.col(f"{key} predicted_j") > 0)
    )
    scaled = pl.col("power_w") * pl.col(f"{key} compared_j") / pl.col(f"{key} predicted_j")
    mean = quotient(pl.col(f"{key} energy_j"), covered_s)
    return pl.when(covered_s > 0).then(pl.when(can_scale).then(scaled).otherwise(mean))
