"""Tables of energy: of jobs, of nodes, of levels, and how well they are known."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts

NODE_CLASSES = (
    "job",
    "stranded",
    "idle",
    "standby",
    "unavailable",
    "unattributed",
    "no_data",
)
OFFSET_CLASSES = ("stranded", "idle", "standby", "unavailable")


class Quality(dy.Schema):
    """Readings of a node and day, and what became of them."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    n_read = Count(description="Readings received")
    n_kept = Count(description="Readings integrated")
    n_duplicate = Count(description="Set aside: same node and time as another reading")
    n_nan = Count(description="Set aside: not a number, or no value")
    n_not_positive = Count(description="Set aside: 0 W or less")
    n_spike = Count(description="Set aside: above `max_plausible_power_w`")
    n_drop_out = Count(description="Set aside: lower than the node can draw while a job held it")
    n_merged = Count(
        description="Added to another reading by `integration.sum_over`: a part of the same node"
    )
    n_incomplete = Count(description="Set aside: no reading of another part of the node to add")
    n_stuck = Count(
        description="Kept, but at one value for long while other readings show that power moved"
    )
    n_summary = Count(
        description="Stood in for by a mean over 5 minutes, at one value every 5 s of it"
    )
    n_gaps = Count(description="Pairs of neighbours in a month further apart than `max_gap_s`")

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
        )


class SensorSpells(dy.Schema):
    """Spells in which a node's power sensor gave no measurement or repeated itself, by month."""

    node = Key(description="Node")
    kind = dy.Enum(
        ["drop_out", "stuck"],
        primary_key=True,
        description="`drop_out`: set aside; `stuck`: kept (docs/method.md, section 1)",
    )
    started_at = Timestamp(primary_key=True, description="First reading of the spell")
    stopped_at = Timestamp(description="Last reading of the spell")
    n_readings = Count(description="Readings of the spell")


class NodePower(dy.Schema):
    """Idle and maximum power of a node over the study."""

    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    idle_power_w = Watts(
        nullable=True, description="5th percentile of its samples without a job, while on"
    )
    idle_basis = Text(
        description="`samples`, else `configuration`, else `cluster`: the median of its other nodes"
    )
    max_power_w = Watts(nullable=True, description="99.5th percentile of its samples")
    n_idle_samples = Count(description="Samples behind idle_power_w")


class JobNodeEnergy(dy.Schema):
    """Gated energy of a job on one of its nodes, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    share = Fraction(description="Part of the node held, averaged over the time held")
    duration_s = Seconds(description="Time held, inside the window and outside suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPUs held x hours; fractions count"
    )
    core_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Cores held x hours")
    energy_kwh = Energy(description="Measured and gated; null when nothing was measured")
    covered_s = Seconds(description="Time held with measurement")
    coverage_frac = Fraction(description="covered_s / duration_s, weighted by share x time")
    imputed_kwh = Energy(
        description="Estimate for the time without measurement, to be added; null: unknown"
    )
    quantisation_kwh = Energy(description="Half width at 95 % from the sensor's steps")
    sampling_kwh = Energy(description="Half width at 95 % from power changing between samples")
    gap_kwh = Energy(description="Half width at 95 % of the imputed energy")
    calibration_kwh = Energy(description="Half width at 95 % from the configured calibration")
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")


class JobEnergy(dy.Schema):
    """Gated energy of a job over all its nodes, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Pseudonym of the owner")
    project = Text(description="Project that the job was submitted under")
    queue = Text(description="OAR queue")
    clusters = dy.List(dy.String(), description="Clusters of its nodes, sorted")
    started_at = Timestamp(nullable=True, description="Start as recorded; null: never started")
    stopped_at = Timestamp(
        nullable=True, description="End as recorded; null: still running or never started"
    )
    duration_s = Seconds(description="Time held, inside the window and outside suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPUs held x hours inside the window"
    )
    core_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Cores held x hours inside the window"
    )
    n_nodes = dy.Int64(min=0, description="Nodes of the study that it held")
    energy_kwh = Energy(description="Measured and gated; null when nothing was measured")
    covered_s = Seconds(description="coverage_frac x duration_s")
    coverage_frac = Fraction(
        description="Measured share x time over held share x time; null: held nothing"
    )
    imputed_kwh = Energy(
        description="Estimate for the time without measurement, to be added; null: unknown"
    )
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")
    mean_power_w = Watts(
        nullable=True,
        description="Mean power of the job while measured: the sum over its nodes of energy over "
        "measured time; null: a node that it held was not measured",
    )
    flags = dy.List(dy.String(), description="What a reader should know, as in `still_running`")


class NodeEnergy(dy.Schema):
    """Where the energy and the time of a node went, by UTC day."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    cls = dy.Enum(
        NODE_CLASSES, primary_key=True, alias="class", description="What the node was doing"
    )
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    energy_kwh = Energy(description="Energy of the class; null for no_data")
    duration_s = Seconds(
        description="Node time of the class; shares of a node count as shares of time"
    )
    overcount_kwh = Energy(
        description="Counted again by jobs beyond this energy, under the gate `binary`"
    )
    left_out_kwh = Energy(description="Not counted by jobs, under the method `inner_trapezoid`")


class Levels(dy.Schema):
    """Energy at each level of the study, from the site down to the paper."""

    level = Key(description="`site`, `offset`, `queue`, `project`, `user` or `paper`")
    name = Key(description="Name at that level; users are pseudonyms")
    method = Key(description="`bmc`, or the estimator with its version")
    n_jobs = Count(
        metadata={"unit": "jobs"}, description="Jobs that held a node of the study in its window"
    )
    n_users = dy.Int64(nullable=True, min=0, description="People behind them")
    energy_kwh = Energy(description="Energy of the measured jobs; for `offset`, of the class")
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")
    coverage_frac = Fraction(description="Measured share x time over held share x time")
    imputed_kwh = Energy(description="Estimate for the time without measurement, to be added")
    unmeasured_node_h = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "h"},
        description="Node hours of jobs without measurement",
    )
    gpu_node_frac = Fraction(description="Part of energy_kwh on nodes with reservable GPUs")
    gpu_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="GPU hours")
    core_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="Core hours")
    offset_kwh = Energy(
        description="Part of the offset energy given to it by `levels.redistribution`"
    )


class Truth(dy.Schema):
    """Exact energy of each job of the simulated site, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    true_kwh = dy.Float64(
        min=0,
        metadata={"unit": "kWh"},
        description="Integral of the node's power x the share reserved",
    )


class SimulationCheck(dy.Schema):
    """Measured against true energy on the simulated site."""

    sensors = Key(description="Step of the sensor in watts, or `all`")
    n_jobs = Count(metadata={"unit": "jobs"}, description="Jobs measured")
    n_jobs_compared = Count(
        metadata={"unit": "jobs"}, description="Of these, over 10 minutes and fully covered"
    )
    largest_error_frac = dy.Float64(nullable=True, description="Largest error of the jobs compared")
    median_error_frac = dy.Float64(
        nullable=True, description="Median absolute error of the jobs compared"
    )
    inside_frac = Fraction(description="Jobs measured whose truth lies in [low, high]")
    median_width_frac = dy.Float64(
        nullable=True, description="Median of (high - low) / true energy"
    )
