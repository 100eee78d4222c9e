"""Energy and time of each node by UTC day and class."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import sum_consecutive
from footprint.core.units import H_PER_S, KWH_PER_J
from footprint.core.vocabulary import NODE_CLASSES
from footprint.schemas.gaps import ClassGaps


def classify_energy(weighted: pl.DataFrame, *, gate: str, jobs_complete: bool) -> pl.DataFrame:
    """Energy and time of each node by day and class (docs/method.md, section 4).

    - Without samples: `no_data`.
    - Held: `job` for the shares held, `stranded` for the rest.
    - Not held: `unavailable`, else `standby`, else `idle`.
    - `unattributed` instead of `stranded` and `idle` when not all jobs are known.

    Args:
        weighted: Result of `attribution.attribution_weights`.
        gate: One of `vocabulary.GATES`.
        jobs_complete: Whether every job of the nodes is known.

    Returns:
        `node`, `day`, `class`, `energy_j`, `duration_s`, `overcount_j`, `left_out_j`, sorted.
    """
    held = pl.col("share")
    energy, covered = pl.col("energy_j"), pl.col("covered_s")
    is_held = held > 0
    is_away = ~is_held & pl.col("unavailable")
    is_free = ~is_held & ~pl.col("unavailable")
    is_whole = gate in ("binary", "active")
    gated_j = held * pl.col("rate_j") + pl.col("active_j")
    job_j = _value_where(is_held, energy if is_whole else gated_j)
    job_s = _value_where(is_held, covered if is_whole else held * covered)
    standby_j = _value_where(is_free, pl.col("standby_j"))
    standby_s = _value_where(is_free, pl.col("standby_s"))
    classes = {
        "job": (job_j, job_s),
        "stranded": (_value_where(is_held, energy - job_j), _value_where(is_held, covered - job_s)),
        "unavailable": (_value_where(is_away, energy), _value_where(is_away, covered)),
        "standby": (standby_j, standby_s),
        "idle": (
            _value_where(is_free, energy - standby_j),
            _value_where(is_free, covered - standby_s),
        ),
        "no_data": (pl.lit(0.0), pl.col("duration_s") - covered),
    }
    if not jobs_complete:
        (stranded_j, stranded_s), (idle_j, idle_s) = classes.pop("stranded"), classes.pop("idle")
        classes["unattributed"] = (stranded_j + idle_j, stranded_s + idle_s)
    terms = {f"{name}_j": joules for name, (joules, _) in classes.items()}
    terms |= {f"{name}_s": seconds for name, (_, seconds) in classes.items()}
    terms["overcount_j"] = held * pl.col("rate_j") - job_j if gate == "binary" else pl.lit(0.0)
    terms["left_out_j"] = gated_j - pl.col("counted") * pl.col("rate_j") - pl.col("counted_j")
    by_day = sum_consecutive(
        weighted.select("node", "day", **terms), ["node", "day"], sums=list(terms)
    )
    return (
        pl.concat(
            by_day.select(
                "node",
                "day",
                pl.lit(name).alias("class"),
                energy_j=f"{name}_j",
                duration_s=f"{name}_s",
                overcount_j=pl.col("overcount_j") if name == "job" else pl.lit(0.0),
                left_out_j=pl.col("left_out_j") if name == "job" else pl.lit(0.0),
            )
            for name in classes
        )
        # no row for a class that a node was not in, but for what rounding leaves of differences
        .filter(pl.any_horizontal(pl.col("duration_s", "energy_j").abs() > 1e-6))
        .sort("node", "day", "class")
    )


def node_class_energies(
    classes: pl.LazyFrame, nodes: pl.LazyFrame, gaps: pl.LazyFrame | None = None
) -> pl.LazyFrame:
    """Energy (kWh) and time (s) of each node, day and class (`schemas.NodeEnergy`).

    Time without readings is in the class `no_data`, its estimated energy in the class of its use.

    Args:
        classes: Results of `classify_energy`.
        nodes: `node`, `cluster`, `has_gpu`.
        gaps: `schemas.gaps.ClassGaps` of all clusters; None: nothing is estimated.
    """
    key = ["node", "day", "class"]
    kind = pl.col("class").cast(pl.Enum(NODE_CLASSES))
    measured = classes.with_columns(kind, is_measured=pl.lit(True))
    schema = {name: column.dtype for name, column in ClassGaps.columns().items()}
    estimated = pl.LazyFrame(schema=schema) if gaps is None else gaps.with_columns(kind)
    both = measured.join(estimated, on=key, how="full", coalesce=True).with_columns(
        pl.col(
            *("energy_j", "duration_s", "overcount_j", "left_out_j", "estimated_j", "unknown_s")
        ).fill_null(0.0)
    )
    is_no_data = pl.col("class") == "no_data"
    is_known = ~is_no_data & ((pl.col("estimated_j") != 0) | (pl.col("unknown_s") == 0))
    measured_j = pl.when(~is_no_data & pl.col("is_measured")).then("energy_j")
    estimated_j = pl.when(is_known).then("estimated_j")
    return (
        both.join(nodes, on="node")
        .select(
            *key,
            "cluster",
            "has_gpu",
            measured_kwh=measured_j * KWH_PER_J,
            estimated_kwh=estimated_j * KWH_PER_J,
            total_kwh=(measured_j.fill_null(0.0) + estimated_j) * KWH_PER_J,
            duration_s="duration_s",
            unknown_node_h=pl.col("unknown_s") * H_PER_S,
            overcount_kwh=pl.col("overcount_j") * KWH_PER_J,
            left_out_kwh=pl.col("left_out_j") * KWH_PER_J,
        )
        .sort(key)
    )


def _value_where(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(value).otherwise(0.0)
