"""Tables of energy that was not measured: power models and estimates."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.schemas.columns import Count, Energy, Key

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
