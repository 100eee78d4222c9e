"""Tables of energy that was not measured: segments of nodes, power models and estimates."""

from __future__ import annotations

from functools import partial

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import NODE_CLASSES
from footprint.schemas.columns import Count, Energy, Key, Seconds

Joules = partial(dy.Float64, metadata={"unit": "J"})

MODEL_BASES = ["virtual_meter", "hardware"]
"""Power models of nodes, in the order of preference."""


class VirtualMeter(dy.Schema):
    """Power models of nodes and their errors, one row for each basis and cluster."""

    basis = dy.Enum(
        MODEL_BASES,
        primary_key=True,
        description="`virtual_meter`: from series of GPU power and load; `hardware`: from the "
        "node's hardware alone",
    )
    cluster = Key(description="Cluster")
    is_measured = dy.Bool(
        description="Whether readings of the cluster itself calibrate its model on this basis"
    )
    is_extrapolated = dy.Bool(
        description="Whether the cluster has no readings and its hardware is outside the range of "
        "the clusters that calibrate the model"
    )
    gpu_factor = dy.Float64(
        nullable=True, min=0, description="a: node power per GPU power; null: basis `hardware`"
    )
    base_frac = dy.Float64(
        nullable=True,
        min=0,
        description="b: base power per thermal design power + 0.15 x GPU power limits",
    )
    load_frac = dy.Float64(
        nullable=True,
        min=0,
        description="c: power at full load, without the base power, per thermal design power",
    )
    hardware_log_ratio = dy.Float64(
        nullable=True,
        description="m: logarithm of measured power over power by hardware; null: basis "
        "`virtual_meter`",
    )
    measured_kwh = Energy(
        description="Measured energy of the observed segments; null: is_measured is false"
    )
    predicted_kwh = Energy(
        description="Energy of the same segments by the model without this cluster's readings"
    )
    error_log = dy.Float64(nullable=True, description="d: log(measured_kwh / predicted_kwh)")
    n_clusters = Count(
        metadata={"unit": "clusters"},
        description="Number of measured clusters behind the common model and its errors (basis "
        "`hardware`: of the same kind, with or without GPUs)",
    )
    cluster_sd_log = dy.Float64(
        min=0,
        description="Scale of the error of the cluster's model (log), twice as large where "
        "is_extrapolated",
    )
    mean_sd_log = dy.Float64(
        min=0,
        description="Standard error of the common model (log), shared by all clusters without "
        "readings; 0 where is_measured or n_clusters is 0",
    )
    degrees_of_freedom = dy.Float64(min=3, description="Degrees of freedom of cluster_sd_log")
    run_sd_log = dy.Float64(
        min=0, description="Standard deviation of the model's error between runs (log)"
    )

    @dy.rule()
    def left_out_where_measured(cls) -> pl.Expr:
        return pl.col("measured_kwh").is_not_null() == pl.col("is_measured")

    @dy.rule()
    def one_set_of_parameters(cls) -> pl.Expr:
        is_hardware = pl.col("basis").cast(pl.String) == "hardware"
        return (pl.col("hardware_log_ratio").is_not_null() == is_hardware) & (
            pl.col("gpu_factor").is_null() == is_hardware
        )


class Segments(dy.Schema):
    """Time of a node between two neighbouring cuts, of one cluster and month."""

    node = Key(description="Node")
    from_us = dy.Int64(
        primary_key=True, metadata={"unit": "µs"}, description="Start, since 1970 (UTC)"
    )
    to_us = dy.Int64(metadata={"unit": "µs"}, description="End, excluded, since 1970 (UTC)")
    share = dy.Float64(
        min=-1e-9, description="Share of the node that jobs hold; above 1 where jobs overlap"
    )
    is_unavailable = dy.Bool(description="Whether the node could not be used")
    duration_s = Seconds(description="Duration")
    covered_s = Seconds(description="Time with readings")
    energy_j = Joules(description="Measured energy of the node")
    weight = dy.Float64(
        min=0,
        description="Part of the node's estimated energy that a job gets for each unit of its "
        "share: 1, or 1 / share under the gate `active`",
    )


class SegmentSeries(dy.Schema):
    """Integrals of device series over each segment, of one cluster and month."""

    node = Key(description="Node")
    from_us = dy.Int64(
        primary_key=True, metadata={"unit": "µs"}, description="Start of the segment"
    )
    gpu_j = Joules(
        nullable=True,
        description="Energy of all GPUs of the node over gpu_covered_s; null: no series",
    )
    gpu_covered_s = Seconds(
        nullable=True,
        description="Time with readings of every GPU; the whole segment for a node without GPUs",
    )
    load_s = Seconds(
        nullable=True,
        description="Integral of the load per core, at most 1, over load_covered_s; null: no "
        "series",
    )
    load_covered_s = Seconds(nullable=True, description="Time with readings of the load")


class FreePower(dy.Schema):
    """Measured power of nodes that no job holds, relative to their idle power by hardware."""

    has_gpu = dy.Bool(primary_key=True, description="Whether the nodes have GPUs")
    is_unavailable = dy.Bool(primary_key=True, description="Whether the node could not be used")
    is_long = dy.Bool(primary_key=True, description="Whether the node was free for over an hour")
    ratio = dy.Float64(min=0, description="Measured energy over energy by hardware; 1 if unknown")
    measured_s = Seconds(description="Measured free time of these nodes")


class SegmentGaps(dy.Schema):
    """Estimated energy of a node for the time of a segment without readings."""

    node = Key(description="Node")
    from_us = dy.Int64(
        primary_key=True, metadata={"unit": "µs"}, description="Start of the segment"
    )
    estimated_j = Joules(description="Estimated energy")


class JobGaps(dy.Schema):
    """Estimated energy of a job on a node for the time without readings, by basis."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    own_readings_j = Joules(description="Estimate from the node's own readings around the gap")
    same_job_j = Joules(description="Estimate from other nodes of the job")
    virtual_meter_j = Joules(description="Estimate by the virtual meter")
    hardware_j = Joules(description="Estimate from the node's hardware")
    unknown_s = Seconds(description="Share x time with neither readings nor an estimate")


class ClassGaps(dy.Schema):
    """Estimated energy of a node for the time without readings, by UTC day and class."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    cls = dy.Enum(
        NODE_CLASSES, primary_key=True, alias="class", description="Use of the node's energy"
    )
    estimated_j = Joules(description="Estimated energy")
    unknown_s = Seconds(description="Node time with neither readings nor an estimate")
