"""Tables of model-based estimates, of their inputs, and of their ratio to measured energy."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.schemas.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts


class Hardware(dy.Schema):
    """Hardware inputs of the estimators for a node, one row for each row of `nodes`."""

    node = Key(description="Node")
    valid_from = Timestamp(primary_key=True, description="Start of the interval, as in `nodes`")
    cluster = dy.String(description="Cluster of the node")
    cpu_model = Text(description="Processor model; null: unknown")
    tdp_w = Watts(
        nullable=True,
        min_exclusive=0,
        description="Thermal design power of one socket; null: not in the catalogue",
    )
    n_cpus = dy.Int32(min=1, description="Number of sockets")
    n_cores = dy.Int32(min=1, description="Number of physical cores, all sockets together")
    n_threads = dy.Int32(min=1, description="Number of hardware threads, all sockets together")
    memory_gb = dy.Float64(
        nullable=True,
        min_exclusive=0,
        metadata={"unit": "GB"},
        description="Main memory, in GB of 2^30 bytes; null: unknown",
    )
    gpus = dy.List(dy.UInt8(), description="Index of each GPU")
    gpu_models = dy.List(dy.String(), description="Model of each GPU")
    gpu_generations = dy.List(
        dy.String(nullable=True), description="Generation of each GPU; null: not in the catalogue"
    )
    gpu_limits_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="Default power limit of each GPU; null: not in the catalogue",
    )
    gpu_mlco2_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="Power of each GPU in the table of ML CO2 Impact; null: not in that table",
    )


class GpuPower(dy.Schema):
    """Energy of the GPUs allocated to a job on a node, from the GPUs' own power readings."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Allocated GPUs x hours within the window"
    )
    covered_gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Part of gpu_hours with readings"
    )
    energy_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Energy of the GPUs in covered_gpu_hours"
    )


class CpuSeries(dy.Schema):
    """Load and power of a node's processors during a job's allocation, from the node's own series.

    Values are means over the time with readings, weighted by the allocated share; null without
    readings.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    duration_s = Seconds(description="Allocated time within the window")
    load_covered_s = Seconds(description="Part of duration_s with readings of the load average")
    core_use_frac = Fraction(description="Mean of min(1, load / cores)")
    thread_load_cubed = Fraction(description="Mean of min(1, load / threads) to the third power")
    package_covered_s = Seconds(description="Part of duration_s with readings of RAPL")
    package_power_w = Watts(
        nullable=True, min=0, description="Mean power of all processors of the node, by RAPL"
    )


class Recorded(dy.Schema):
    """Energy recorded by a tool inside a job, summed over the recorded runs."""

    job_id = dy.Int64(primary_key=True, description="Job")
    tools = dy.String(description="`codecarbon`, `carbontracker`, or both joined by `+`")
    n_runs = Count(metadata={"unit": "runs"}, description="Number of recorded runs used")
    duration_s = Seconds(description="Duration of the recorded runs")
    least_node_s = Seconds(
        description="Recorded time of the node of the job with the least of it; 0: one without"
    )
    gpu_kwh = Energy(description="GPU part; null: missing in one of the runs")
    cpu_kwh = Energy(description="CPU part; null: missing in one of the runs")
    memory_kwh = Energy(description="Memory part; null: missing in one of the runs")
    energy_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Recorded energy, without PUE"
    )


class Estimates(dy.Schema):
    """Energy of each job by each estimator, within the study's window, with the inputs used.

    Each part is an allocated amount times a mean power: gpu_kwh = gpu_hours x gpu_power_w / 1000,
    and likewise for the others. A part that a tool does not model is 0.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    estimator = Key(description="Name and version of the estimator, as in `mlco2@025b988`")
    basis = dy.String(
        description="Origin of the GPU power and the CPU power: `series` (readings of the device), "
        "`load` (load average), `tdp` (power limit or thermal design power), `table` or `any` "
        "(values of the tool), `recorded` (by the tool in the job), `unknown` (not in the "
        "catalogue; the part is null); `none`: nothing was allocated"
    )
    pue = dy.Float64(min=1, description="Power usage effectiveness that the tool applies; 1: none")
    gpu_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Allocated GPUs x hours")
    gpu_power_w = Watts(nullable=True, min=0, description="Mean power of one GPU")
    core_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Allocated cores x hours")
    core_power_w = Watts(nullable=True, min=0, description="Mean power of one core")
    memory_gbh = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "GB h"},
        description="Allocated memory (in proportion to the cores) x hours; null: the node's "
        "memory is unknown",
    )
    memory_w_per_gb = dy.Float64(
        nullable=True, min=0, metadata={"unit": "W/GB"}, description="Mean power of one GB"
    )
    gpu_kwh = Energy(min=0, description="GPU part; null: an input is missing")
    cpu_kwh = Energy(min=0, description="CPU part; null: an input is missing")
    memory_kwh = Energy(min=0, description="Memory part; null: an input is missing")
    energy_kwh = Energy(
        min=0, description="Sum of the parts x `pue`; null: an input of one part is missing"
    )
    covered_kwh = Energy(
        min=0, description="Part of energy_kwh in the time with measurement, for comparison"
    )

    @dy.rule()
    def covered_is_a_part(cls) -> pl.Expr:
        return (pl.col("covered_kwh") <= pl.col("energy_kwh") * (1 + 1e-9) + 1e-12).fill_null(True)


class EstimateRatios(dy.Schema):
    """Ratio of estimated to measured energy of the same jobs and time, by group of jobs.

    Jobs of at least one minute with at least 95 % coverage are compared.
    """

    estimator = Key(description="Name and version of the estimator")
    group = Key(description="`all`, `cluster`, `gpu_generation`, `gpu_model` or `duration`")
    name = Key(description="Name of the cluster, generation, model or range of durations")
    n_jobs = Count(metadata={"unit": "jobs"}, description="Number of jobs compared")
    n_jobs_unknown = Count(
        metadata={"unit": "jobs"}, description="Number of jobs without an estimate"
    )
    measured_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Measured energy of the jobs compared"
    )
    estimated_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Estimate for the jobs compared"
    )
    total_ratio = dy.Float64(nullable=True, description="estimated_kwh / measured_kwh")
    ratio_p05 = dy.Float64(nullable=True, description="5th percentile of the ratios of single jobs")
    ratio_p25 = dy.Float64(
        nullable=True, description="25th percentile of the ratios of single jobs"
    )
    ratio_p50 = dy.Float64(nullable=True, description="Median of the ratios of single jobs")
    ratio_p75 = dy.Float64(
        nullable=True, description="75th percentile of the ratios of single jobs"
    )
    ratio_p95 = dy.Float64(
        nullable=True, description="95th percentile of the ratios of single jobs"
    )
