"""Total energy of jobs under each gate, from the segments of nodes, without their samples.

The gate is a choice and no error: it is in no interval, and its effect is shown beside them. With S
the share of a node that jobs hold over a segment, M its measured and E its estimated energy, a job
of share s gets (docs/method.md, section 3)

- `reserved`: s (M + E)
- `binary`: M + E, whatever its share
- `active`: s / S (M + E)
- `two_part`: s min(M, I) + s / S (M - min(M, I)) + s E, with I = idle power x covered time

Differences from an integration under each gate:

- `two_part` compares energies of a segment, not powers, with the idle power, and divides the power
  of GPUs by shares. Estimated energy goes by the share alone, as in `gap_energy`.
- `inner_trapezoid`: energy counts between the bounds of an allocation, not between samples; jobs in
  which a method finds no sample have the energy of their time.
- `binary`: jobs that hold the same cores at the same time stay trimmed.

The configured gate has the totals of the study. If it is `binary`, the shares of jobs are not
known, and there are no other gates.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from footprint.allocation.shares import SHARE_TOLERANCE
from footprint.core.sums import sum_by_group
from footprint.core.units import KWH_PER_J
from footprint.core.vocabulary import GATES
from footprint.energy import segments as cuts

_HELD_BOUNDS = ("held_from_us", "held_to_us")
_RATE_COLUMNS = (*GATES, "unknown_s")


def compare_gates(
    months: Iterable[pl.DataFrame],
    gaps: pl.DataFrame,
    allocations: pl.DataFrame,
    node_power: pl.DataFrame,
    jobs: pl.DataFrame,
    *,
    gate: str,
    jobs_complete: bool = True,
) -> pl.DataFrame:
    """Total energy of each job under each gate.

    Args:
        months: `schemas.gaps.Segments` of each cluster and month.
        gaps: `schemas.gaps.SegmentGaps` of all clusters.
        allocations: `node_allocations.ALLOCATION_SCHEMA`, built under the configured gate.
        node_power: `schemas.NodePower` of all clusters: `node`, `idle_power_w`.
        jobs: `schemas.JobEnergy`: `job_id`, `total_kwh`.
        gate: The configured gate, one of `vocabulary.GATES`.
        jobs_complete: Whether every job of the nodes is known. If not, `two_part` is as `reserved`
            and `active` is left out, as in the integration.

    Returns:
        `schemas.energy.GatePolicies`, gate after gate. `total_kwh` is null where the total of
        the job is unknown, and under `two_part` where it shared a measured node without a known
        idle power.
    """
    found = energies_by_gate(months, gaps, allocations, node_power, jobs_complete=jobs_complete)
    others = [
        name
        for name in GATES
        if name != gate and gate != "binary" and (jobs_complete or name != "active")
    ]
    is_known = pl.col("total_kwh").is_not_null()
    wide = jobs.select("job_id", "total_kwh").join(found, on="job_id", how="left")
    totals = wide.select(
        "job_id",
        pl.col("total_kwh").alias(gate),
        *(
            # a job that held no node has no energy under any gate
            pl.when(is_known & ~_is_unknown(name))
            .then(pl.col(name).fill_null(0.0) * KWH_PER_J)
            .alias(name)
            for name in others
        ),
    )
    return totals.unpivot(
        [gate, *others], index="job_id", variable_name="gate", value_name="total_kwh"
    ).with_columns(pl.col("gate").cast(pl.Enum(GATES)))


def energies_by_gate(
    months: Iterable[pl.DataFrame],
    gaps: pl.DataFrame,
    allocations: pl.DataFrame,
    node_power: pl.DataFrame,
    *,
    jobs_complete: bool = True,
) -> pl.DataFrame:
    """Measured plus estimated energy of each job that held a node, by gate.

    Args:
        months: As for `compare_gates`.
        gaps: As for `compare_gates`.
        allocations: As for `compare_gates`.
        node_power: As for `compare_gates`.
        jobs_complete: As for `compare_gates`.

    Returns:
        `job_id`, the energy (J) under each of `vocabulary.GATES`, and `unknown_s`: time on
        shared, measured nodes without a known idle power. Sorted.
    """
    idle_power = node_power.select("node", "idle_power_w")
    parts = [
        _energies_of_month(
            each.sort("node", "from_us"), gaps, allocations, idle_power, jobs_complete=jobs_complete
        )
        for each in months
        if not each.is_empty()
    ]
    names = {name: pl.Float64() for name in _RATE_COLUMNS}
    empty = pl.DataFrame(schema=pl.Schema({"job_id": pl.Int64(), **names}))
    return sum_by_group(
        pl.concat([empty, *parts]),
        ["job_id"],
        first=[],
        **{name: pl.col(name) for name in _RATE_COLUMNS},
    )


def _is_unknown(gate: str) -> pl.Expr:
    """Whether the energy of a job is unknown under a gate though its total is known."""
    is_unknown = (pl.col("unknown_s") > 0).fill_null(False)
    return is_unknown if gate == "two_part" else pl.lit(False)


def _energies_of_month(
    ordered: pl.DataFrame,
    gaps: pl.DataFrame,
    allocations: pl.DataFrame,
    idle_power: pl.DataFrame,
    *,
    jobs_complete: bool,
) -> pl.DataFrame:
    """Energies by gate of each allocation in a month, from its segments, sorted by node and time.

    Sums start anew with each month: differences of sums over years would lose digits.
    """
    nodes = ordered["node"].unique()
    window = cuts.IntegrationWindow(*ordered.select(pl.min("from_us"), pl.max("to_us")).row(0))
    held = cuts.clip_to_window(
        cuts.with_bounds_in_microseconds(
            allocations.filter(pl.col("node").is_in(nodes.implode())), window
        ),
        window,
    )
    rates = _rates_of_segments(
        ordered.join(gaps, on=["node", "from_us"], how="left", maintain_order="left").join(
            idle_power, on="node", how="left", maintain_order="left"
        ),
        jobs_complete=jobs_complete,
    )
    sums = rates.select("node", "to_us", pl.col(_RATE_COLUMNS).cum_sum().over("node"))
    of_unit = cuts.energy_between(held, sums, _RATE_COLUMNS, bounds=_HELD_BOUNDS)
    share = pl.col("share")
    return (
        held.select("job_id", "share")
        .hstack(of_unit)
        .select(
            "job_id",
            *(
                (pl.col(name) if name == "binary" else share * pl.col(name)).alias(name)
                for name in _RATE_COLUMNS
            ),
        )
    )


def _rates_of_segments(rows: pl.DataFrame, *, jobs_complete: bool) -> pl.DataFrame:
    """Energy of each segment for a unit of share by gate (`binary`: for a job).

    Args:
        rows: Segments with `estimated_j` and `idle_power_w`, either null where there is none.
        jobs_complete: As for `compare_gates`.
    """
    held, measured = pl.col("share"), pl.col("energy_j")
    estimated = pl.col("estimated_j").fill_null(0.0)
    per_active = pl.when(held > 0).then(1.0 / held).otherwise(0.0)
    total = measured + estimated
    idle = pl.min_horizontal(measured, pl.col("idle_power_w") * pl.col("covered_s"))
    two_part = idle + (measured - idle) * per_active + estimated if jobs_complete else total
    # on a node that is held as a whole, both parts are divided alike
    is_shared = (held - 1.0).abs() > SHARE_TOLERANCE
    lacks_idle = pl.col("idle_power_w").is_null() & is_shared & (measured > 0) & jobs_complete
    return rows.select(
        "node",
        "to_us",
        reserved=total,
        binary=total,
        active=total * per_active,
        two_part=two_part,
        unknown_s=pl.when(lacks_idle).then("covered_s").otherwise(0.0),
    )
