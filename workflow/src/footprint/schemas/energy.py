"""Tables of energy of nodes and jobs, and of the quality of the power readings."""

from __future__ import annotations

from functools import partial

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import GATES, NODE_CLASSES
from footprint.schemas.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts

ESTIMATE_BASES = ["none", "own_readings", "same_job", "virtual_meter", "hardware"]
"""Bases of estimated energy, from the most to the least reliable; `none`: no estimated energy."""

EstimateBasis = partial(
    dy.Enum,
    ESTIMATE_BASES,
    nullable=True,
    description="Basis of most of estimated_kwh; `none`: there is no estimated energy; null: it "
    "is unknown",
)
UnknownNodeHours = partial(dy.Float64, min=-1e-9, metadata={"unit": "h"})
_MEASURED_FRAC = "measured_kwh / total_kwh; null: the total is unknown or 0"
_TOTAL = "measured_kwh (0 where null) + estimated_kwh; null: unknown"


class Quality(dy.Schema):
    """Counts of the power readings of a node and day, by their use."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    n_read = Count(description="Readings received")
    n_kept = Count(description="Readings integrated")
    n_duplicate = Count(
        description="Rejected: same node and time as another reading; of different means of one "
        "bucket, all"
    )
    n_nan = Count(description="Rejected: not a number, or no value")
    n_not_positive = Count(description="Rejected: 0 W or less")
    n_spike = Count(description="Rejected: above `max_plausible_power_w`")
    n_drop_out = Count(
        description="Rejected: lower than the node can draw while a job is allocated to it"
    )
    n_merged = Count(
        description="Added to another reading, of another part of the node, by "
        "`integration.sum_over`"
    )
    n_incomplete = Count(
        description="Rejected: another part of the node has no reading at that time"
    )
    n_stuck = Count(
        description="Rejected: constant for a long time while other readings show that power "
        "changed"
    )
    n_summary = Count(
        description="Replaced by a mean over 5 minutes, counted as one reading every 5 s"
    )
    n_gaps = Count(description="Pairs of consecutive samples farther apart than `max_gap_s`")

    @dy.rule()
    def nothing_lost(cls) -> pl.Expr:
        return pl.col("n_read") == pl.sum_horizontal(
            "n_kept",
            "n_duplicate",
            "n_nan",
            "n_not_positive",
            "n_spike",
            "n_drop_out",
            "n_merged",
            "n_incomplete",
            "n_stuck",
        )


class SensorSpells(dy.Schema):
    """Intervals in which the readings of a power sensor were rejected, by month."""

    node = Key(description="Node")
    kind = dy.Enum(
        ["drop_out", "stuck"],
        primary_key=True,
        description="`drop_out`: lower than the node can draw; `stuck`: constant although power "
        "changed (docs/method.md, section 1)",
    )
    started_at = Timestamp(primary_key=True, description="First rejected reading")
    stopped_at = Timestamp(description="Last rejected reading")
    n_readings = Count(description="Number of rejected readings")


class NodePower(dy.Schema):
    """Idle and maximum power of a node over the study."""

    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    idle_power_w = Watts(
        nullable=True, description="5th percentile of the samples while on and without a job"
    )
    idle_basis = Text(
        description="Basis of idle_power_w: `samples`, else `configuration`, else `cluster` "
        "(median of the cluster's other nodes)"
    )
    max_power_w = Watts(nullable=True, description="99.5th percentile of the samples")
    n_idle_samples = Count(description="Number of samples behind idle_power_w")


class JobNodeEnergy(dy.Schema):
    """Energy of a job on one of its nodes, by the configured gate, within the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    share = Fraction(description="Allocated part of the node, averaged over the allocated time")
    duration_s = Seconds(description="Allocated time within the window, without suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Allocated GPUs (fractions included) x hours"
    )
    core_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Allocated cores x hours")
    measured_kwh = Energy(description="Measured energy; null: nothing was measured")
    covered_s = Seconds(description="Allocated time with measurement")
    coverage_frac = Fraction(description="covered_s / duration_s, weighted by share x time")
    estimated_kwh = Energy(
        description="Estimated energy for the time without measurement, not in measured_kwh; null: "
        "unknown"
    )
    own_readings_kwh = Energy(
        description="Part of estimated_kwh from the node's own readings around the gap"
    )
    same_job_kwh = Energy(description="Part of estimated_kwh from other nodes of the job")
    virtual_meter_kwh = Energy(description="Part of estimated_kwh by the virtual meter")
    hardware_kwh = Energy(description="Part of estimated_kwh from the node's hardware alone")
    unknown_node_h = UnknownNodeHours(
        description="Share x hours with neither readings nor an estimate"
    )
    total_kwh = Energy(description=_TOTAL)
    measured_frac = Fraction(description=_MEASURED_FRAC)
    estimate_basis = EstimateBasis()
    resolution_kwh = Energy(
        description="Half width of the 95 % interval due to the sensor's resolution"
    )
    sampling_kwh = Energy(
        description="Half width of the 95 % interval due to changes of power between samples"
    )
    gap_kwh = Energy(
        description="Half width of the 95 % interval of own_readings_kwh + same_job_kwh due to "
        "changes of power"
    )
    total_low_kwh = Energy(description="Lower end of the 95 % interval of total_kwh")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of total_kwh")


class JobEnergy(dy.Schema):
    """Energy of a job over all its nodes, by the configured gate, within the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Pseudonym of the owner")
    project = Text(description="Project of the submission")
    queue = Text(description="OAR queue")
    clusters = dy.List(dy.String(), description="Clusters of the job's nodes, sorted")
    started_at = Timestamp(nullable=True, description="Recorded start; null: never started")
    stopped_at = Timestamp(
        nullable=True, description="Recorded end; null: still running or never started"
    )
    duration_s = Seconds(description="Allocated time within the window, without suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Allocated GPUs x hours within the window"
    )
    core_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Allocated cores x hours within the window"
    )
    n_nodes = dy.Int64(min=0, description="Number of nodes of the study allocated to the job")
    measured_kwh = Energy(description="Measured energy; null: nothing was measured")
    covered_s = Seconds(description="coverage_frac x duration_s")
    coverage_frac = Fraction(
        description="Measured part of the allocated share x time; null: nothing was allocated"
    )
    estimated_kwh = Energy(
        description="Estimated energy for the time without measurement, not in measured_kwh, on "
        "the nodes for which it is known; null: on none"
    )
    total_kwh = Energy(description=_TOTAL)
    total_low_kwh = Energy(description="Lower end of the 95 % interval of total_kwh")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of total_kwh")
    measured_frac = Fraction(description=_MEASURED_FRAC)
    estimate_basis = EstimateBasis()
    unknown_node_h = UnknownNodeHours(
        description="Share x node-hours with neither readings nor an estimate"
    )
    similar = dy.Int64(
        min=1,
        description="Number of the group of jobs of the same user with the same name, else the "
        "same command",
    )
    mean_power_w = Watts(
        nullable=True,
        description="Mean power of the job: sum over its nodes of total energy / allocated time; "
        "null: the energy of a node is unknown",
    )
    flags = dy.List(dy.String(), description="Remarks on the job, as in `still_running`")


class GatePolicies(dy.Schema):
    """Total energy of a job under each division of shared nodes."""

    job_id = dy.Int64(primary_key=True, description="Job")
    gate = dy.Enum(
        GATES, primary_key=True, description="Division of shared nodes (docs/method.md, section 3)"
    )
    total_kwh = Energy(
        description="Measured and estimated energy under this gate; null: unknown. `two_part` is "
        "also unknown on shared nodes without a known idle power"
    )


class NodeEnergy(dy.Schema):
    """Energy and time of a node by UTC day and class."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    cls = dy.Enum(
        NODE_CLASSES, primary_key=True, alias="class", description="Use of the node's energy"
    )
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    measured_kwh = Energy(description="Measured energy of the class; null: nothing was measured")
    estimated_kwh = Energy(
        description="Estimated energy of the class in time without measurement; null: unknown, "
        "and for `no_data`"
    )
    total_kwh = Energy(description=_TOTAL)
    duration_s = Seconds(
        description="Measured node time of the class; a share of the node counts as a share of "
        "its time"
    )
    unknown_node_h = UnknownNodeHours(
        description="Node-hours of the class with neither readings nor an estimate"
    )
    overcount_kwh = Energy(
        description="Energy that overlapping jobs count again beyond measured_kwh, under the gate "
        "`binary`"
    )
    left_out_kwh = Energy(
        description="Energy that jobs do not count, under the method `inner_trapezoid`"
    )
