"""Gated energy of jobs, and where each node's energy and time went, for one cluster and month.

Between the moments at which something changes (`footprint.segments`) shares are constant, so that
everything is a product of what the running integrals (`footprint.integration`) gain and of weights
that depend on the gate alone. Equations in `docs/method.md`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from footprint import activity, quantisation, segments
from footprint.conservation import check
from footprint.errors import InputError
from footprint.integration import NOMINAL_PERIOD_S, Calibration, running, usual_period_s
from footprint.intervals import Floats, Memory, Method
from footprint.summation import by_group, by_run

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gate:
    """What the integration of one study needs to know beside the data.

    Attributes:
        policy: One of `gates.POLICIES`.
        method: How power becomes energy.
        jobs_complete: Whether every job of the nodes is known. When not, time without a known job
            is `unattributed`, since somebody may have held the node.
        calibration: Of the cluster, if it has one.
    """

    policy: str
    method: Method
    jobs_complete: bool = True
    calibration: Calibration | None = None

    @classmethod
    def from_config(cls, integration: dict[str, Any], *, cluster: str, jobs_complete: bool) -> Gate:
        """The gate that a configuration's `integration` describes for a cluster."""
        method = Method(
            integration["method"],
            integration["max_gap_s"],
            integration["off_threshold_w"],
            NOMINAL_PERIOD_S.get(integration["metric"]),
        )
        line = Calibration.from_config(integration, cluster=cluster)
        return cls(integration["gate"], method, jobs_complete, line)


MOST_CLIPPED_FRAC = 0.01
"""Part of a node's readings while it is on which a calibration may make negative, set to 0 W."""


class Measured(NamedTuple):
    """One node's running integrals at its cuts, and what of its sensor the sums need."""

    before: dict[str, Any]
    pieces: pl.DataFrame
    sensor: tuple[str, float, float]  # node, period_s, step_w
    gpus: activity.Measured | None


def integrate(
    nodes: Sequence[str],
    read: Callable[[str], pl.DataFrame],
    gate: Gate,
    *,
    pieces: pl.DataFrame,
    occupancy: pl.DataFrame,
    states: pl.DataFrame,
    start: datetime,
    end: datetime,
    idle_power_w: Mapping[str, float] | None = None,
    gpus: activity.Activity | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Gated energy of every job on `nodes` in [start, end), and the classes of the nodes' energy.

    The samples of one node are in memory at a time.

    Args:
        nodes: Names of the nodes.
        read: Gives a node's `timestamp` and `power_w`, strictly ascending in time.
        gate: Policy and method.
        pieces: `gates.PIECES`; they may reach beyond [start, end).
        occupancy: `gates.OCCUPANCY` of the whole study.
        states: `tables.States`.
        start: Start of the partition, a UTC midnight.
        end: End of the partition, excluded, a UTC midnight.
        idle_power_w: Idle power by node, which the policy `two_part` needs.
        gpus: What is known of the nodes' GPUs; only the policy `two_part` uses it.

    Returns:
        Jobs (`job_id`, `node`, `JOB_SUMS`) and classes (`node`, `day`, `class`, `energy_j`,
        `duration_s`, `overcount_j`, `left_out_j`), sorted.

    Raises:
        InputError: The idle power of a node is needed and not known, or the calibration gives less
            than 0 W for more than `MOST_CLIPPED_FRAC` of the readings of a node that is on.
        ConservationError: Classes do not add up to a node's integral and time, or jobs not to the
            class `job`.
    """
    partition = segments.Partition.of(start, end)
    here = pieces.filter(pl.col("node").is_in(nodes))
    snapped = gate.method.name == "inner_trapezoid"
    held = segments.in_microseconds(here, partition)
    held = held if snapped else segments.clip(held, partition)
    held_by_node = dict(segments.by_node(held))
    away = segments.unavailable(states, partition).filter(pl.col("node").is_in(nodes))
    away_by_node = dict(segments.by_node(away))
    never, nowhere = held.clear(), away.clear()
    known_of = gpus.measure if gpus and gate.policy == "two_part" else None
    memory = Memory()

    def measure(node: str) -> Measured:
        samples = read(node)
        if gate.calibration is not None:
            _check_clipped(
                node, samples["power_w"].to_numpy(), gate.calibration, gate.method, start
            )
        totals = running(
            samples,
            method=gate.method,
            idle_power_w=_idle_power_w(node, idle_power_w) if len(samples) else None,
            calibration=gate.calibration,
            memory=memory,
        )
        if (
            gate.method.name == "sum_of_samples"
            and len(samples)
            and usual_period_s(totals.times_us) is None
        ):
            LOG.warning(
                "%s in %s: distances of %d samples show no period; each counts for %g s",
                *(node, f"{start:%Y-%m}", len(samples), totals.period_s),
            )
        own = held_by_node.get(node, never)
        if snapped:
            own = segments.clip(segments.snap(own, pl.Series(totals.times_us)), partition)
        cuts_us = segments.cuts_of(own, away_by_node.get(node, nowhere), partition)
        before = totals.before(cuts_us)
        known = known_of(node, cuts_us, totals, partition) if known_of else None
        return Measured(before, own, (node, totals.period_s, totals.step_w), known)

    measured = [measure(node) for node in nodes]
    at = segments.at_cuts(nodes, [each.before for each in measured], gate.method)
    own = pl.concat([each.pieces for each in measured]) if snapped else held
    sensors = pl.DataFrame(
        [each.sensor for each in measured], schema=["node", "period_s", "step_w"], orient="row"
    )
    shares = occupancy.filter(pl.col("node").is_in(nodes))
    cut = segments.between_cuts(at, own if snapped else None, shares, away)
    known = [each.gpus for each in measured if each.gpus is not None]
    shared = activity.share_out(known, cut, sensors, snapped=snapped) if known else None
    weighted = weigh(cut, gate, shared)
    jobs = sum_jobs(own, weighted, sensors, gate, shared)
    classes = classify(weighted, gate)
    check(jobs, classes, at, policy=gate.policy)
    return jobs, classes


def _check_clipped(
    node: str, readings_w: Floats, line: Calibration, method: Method, start: datetime
) -> None:
    """Refuse a calibration that makes too many of a node's readings negative.

    The node is on where a reading, in watts by the line's slope alone, is no standby.
    """
    on = readings_w[readings_w * line.slope >= method.off_threshold_w]
    n_clipped = np.count_nonzero(line.of(on) < 0)
    if n_clipped > MOST_CLIPPED_FRAC * len(on):
        raise InputError(
            f"gives less than 0 W for {n_clipped} of {len(on)} readings of {node} in {start:%Y-%m}",
            where=f"integration.calibration.{node.rpartition('-')[0]}",
            do="correct its slope and offset: power is slope x reading + offset",
        )


def _idle_power_w(node: str, known: Mapping[str, float] | None) -> float | None:
    if known is not None and node not in known:
        raise InputError(
            "the gate two_part needs its idle power, and it was never seen without a job",
            where=node,
            do="give integration.idle_power for its cluster",
        )
    return known[node] if known is not None else None


def weigh(cut: pl.DataFrame, gate: Gate, shared: activity.Shared | None = None) -> pl.DataFrame:
    """What a job gets of each segment per unit of share: `rate_j`, `rate_s`, and so on.

    With S the share held of the node: `reserved` and `binary` give the energy itself, `active` 1/S
        of it, `two_part` the part below the idle power and 1/S of the rest. What is known to be of
        single GPUs is not in `rate_j`, but beside it in `active_j`: what jobs have of it.
    """
    held, energy, floor = pl.col("share"), pl.col("energy_j"), pl.col("floor_j")
    known, spread = pl.col("known_j"), pl.col("spread_j2")
    if shared is None:
        cut = cut.with_columns(pl.lit(0.0).alias(name) for name in activity.OF_SEGMENT)
    else:
        cut = cut.join(
            shared.segments, on=["node", "from_us"], how="left", maintain_order="left"
        ).with_columns(pl.col(activity.OF_SEGMENT).fill_null(0.0))
        spread = (spread - pl.col("known_j2")).clip(lower_bound=0.0)
    per_active = pl.when(held > 0).then(1.0 / held).otherwise(0.0)
    # Without all the jobs, S is too small and 1/S would give them what others used.
    policy = gate.policy if gate.jobs_complete or gate.policy != "two_part" else "reserved"
    weight = per_active if policy in ("active", "two_part") else pl.lit(1.0)
    rate_j = {
        "active": energy * per_active,
        "two_part": floor + (energy - floor - known) * per_active,
    }.get(policy, energy - known)
    times = {"rate_s": pl.col("duration_s"), "rate_covered_s": pl.col("covered_s")}
    if policy == "active":
        times = {name: time * per_active for name, time in times.items()}
    return cut.with_columns(rate_j=rate_j, rate_spread=spread * weight.pow(2), **times)


# What is summed over a job's pieces. `_s` without more: seconds of the clock, shares not counted.
JOB_SUMS = (
    "duration_s",
    "covered_s",
    "gpu_s",
    "core_s",
    "share_s",
    "share_covered_s",
    "energy_j",
    "spread_j2",
    "n_probes",
    "probe_w",
    "probe_w2",
    "quantisation_j",
    "slope_error_j",
    "offset_error_j",
    "edge_j",
)


PROBES = ("n_probes", "probe_w", "probe_w2", "probe_repeats")

# What a segment adds to the jobs that hold the node, per unit of share or, for times, at all.
GAINS = (
    "duration_s",
    "covered_s",
    "rate_j",
    "rate_s",
    "rate_covered_s",
    "rate_spread",
    *PROBES,
)


def sum_jobs(
    pieces: pl.DataFrame,
    weighted: pl.DataFrame,
    sensors: pl.DataFrame,
    gate: Gate,
    shared: activity.Shared | None = None,
) -> pl.DataFrame:
    """Sums of `JOB_SUMS` over the pieces of each job on each node.

    Energy counts from the snapped bounds, time from the real ones. `edge_j` is what the method's
    handling of the bounds may miss, in energy: half a period at the mean power for each real start
    and end of a piece, for the methods that do not interpolate. `slope_error_j` and
    `offset_error_j` are standard uncertainties of the energy by the calibration's slope and offset;
    each is the same error in every month, so that months add up linearly (JCGM 100:2008, 5.2.2).

    Args:
        pieces: Pieces, clipped to the partition.
        weighted: Result of `weigh`.
        sensors: `node`, `period_s`, `step_w`.
        gate: Policy and method.
        shared: What is known to be of single GPUs, to be added.
    """
    sums = weighted.select("node", "to_us", pl.col(GAINS).cum_sum().over("node"))
    rows = pieces.hstack(
        segments.gained(pieces, sums, GAINS, bounds=("held_from_us", "held_to_us"))
    )
    if gate.method.name == "inner_trapezoid":
        inner = segments.gained(pieces, sums, ["rate_j"], bounds=("from_us", "to_us"))
        rows = rows.with_columns(inner["rate_j"])

    share = pl.col("share")
    edges = (pl.col("opens").cast(pl.Float64) + pl.col("closes").cast(pl.Float64)) / 2
    mean_w = pl.when(pl.col("covered_s") > 0).then(pl.col("rate_j") / pl.col("covered_s"))
    line = gate.calibration or Calibration()
    covered = pl.col("share_covered_s")
    raw_j = (pl.col("energy_j") - line.offset * covered) / line.slope
    sums_of = by_group(
        rows.join(sensors, on="node").with_columns(
            edge_j=edges * mean_w.fill_null(0.0) * pl.col("period_s") * share
        ),
        ["job_id", "node"],
        first=["step_w"],
        **{name: pl.col(name) for name in ("duration_s", "covered_s", *PROBES)},
        edge_j=pl.col("edge_j"),
        gpu_s=pl.col("gpus") * pl.col("duration_s"),
        core_s=pl.col("cores") * pl.col("duration_s"),
        share_s=share * pl.col("rate_s"),
        share_covered_s=share * pl.col("rate_covered_s"),
        energy_j=share * pl.col("rate_j"),
        spread_j2=share.pow(2) * pl.col("rate_spread"),
    )
    if shared is not None:
        added = sums_of.join(shared.jobs, on=["job_id", "node"], how="left", maintain_order="left")
        sums_of = added.with_columns(
            pl.col(name) + pl.col(f"active_{unit}").fill_null(0.0)
            for name, unit in {"energy_j": "j", "spread_j2": "j2", "edge_j": "edge_j"}.items()
        )
    return sums_of.with_columns(
        quantisation_j=quantisation.half_width_j(
            step_w=pl.col("step_w"),
            covered_s=covered,
            repeated_frac=pl.col("probe_repeats") / pl.col("n_probes"),
        ),
        slope_error_j=raw_j * line.slope_error,
        offset_error_j=covered * line.offset_error,
    ).select("job_id", "node", *JOB_SUMS)


def classify(weighted: pl.DataFrame, gate: Gate) -> pl.DataFrame:
    """Energy and time of each class of each node by day, in the precedence of the method.

    Without samples: no_data. Held: job for the shares held, stranded for the rest. Not held:
        unavailable, else standby, else idle. When not all jobs are known, what is not known to be
        held is unattributed instead of stranded or idle.
    """
    held = pl.col("share")
    energy, covered = pl.col("energy_j"), pl.col("covered_s")
    is_held = held > 0
    away = ~is_held & pl.col("unavailable")
    free = ~is_held & ~pl.col("unavailable")
    whole = gate.policy in ("binary", "active")
    gated_j = held * pl.col("rate_j") + pl.col("active_j")
    job_j = _where(is_held, energy if whole else gated_j)
    job_s = _where(is_held, covered if whole else held * covered)
    asleep_j, asleep_s = _where(free, pl.col("standby_j")), _where(free, pl.col("standby_s"))
    parts = {
        "job": (job_j, job_s),
        "stranded": (_where(is_held, energy - job_j), _where(is_held, covered - job_s)),
        "unavailable": (_where(away, energy), _where(away, covered)),
        "standby": (asleep_j, asleep_s),
        "idle": (_where(free, energy - asleep_j), _where(free, covered - asleep_s)),
        "no_data": (pl.lit(0.0), pl.col("duration_s") - covered),
    }
    if not gate.jobs_complete:
        (held_j, held_s), (free_j, free_s) = parts.pop("stranded"), parts.pop("idle")
        parts["unattributed"] = (held_j + free_j, held_s + free_s)
    terms = {f"{name}_j": joules for name, (joules, _) in parts.items()}
    terms |= {f"{name}_s": seconds for name, (_, seconds) in parts.items()}
    terms["overcount_j"] = (
        held * pl.col("rate_j") - job_j if gate.policy == "binary" else pl.lit(0.0)
    )
    terms["left_out_j"] = gated_j - pl.col("counted") * pl.col("rate_j") - pl.col("counted_j")
    by_day = by_run(weighted.select("node", "day", **terms), ["node", "day"], sums=list(terms))
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
            for name in parts
        )
        # no row for a class that a node was not in, but for what rounding leaves of differences
        .filter(pl.any_horizontal(pl.col("duration_s", "energy_j").abs() > 1e-6))
        .sort("node", "day", "class")
    )


def _where(holds: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(holds).then(value).otherwise(0.0)
