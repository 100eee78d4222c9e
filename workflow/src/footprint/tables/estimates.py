"""Tables of what model-based tools say of the same jobs, and of what they are compared with."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts


class Hardware(dy.Schema):
    """What estimators need to know of a node, one row for each period of `nodes`."""

    node = Key(description="Node")
    valid_from = Timestamp(primary_key=True, description="Start of the period, as in `nodes`")
    cluster = dy.String(description="Cluster of the node")
    cpu_model = Text(description="Processor; null: not known")
    tdp_w = Watts(
        nullable=True,
        min_exclusive=0,
        description="Thermal design power of one socket; null: not catalogued",
    )
    n_cpus = dy.Int32(min=1, description="Sockets")
    n_cores = dy.Int32(min=1, description="Physical cores of all sockets")
    n_threads = dy.Int32(min=1, description="Hardware threads of all sockets")
    memory_gb = dy.Float64(
        nullable=True,
        min_exclusive=0,
        metadata={"unit": "GB"},
        description="Main memory, a GB being 2^30 bytes; null: not known",
    )
    gpus = dy.List(dy.UInt8(), description="Index of each GPU")
    gpu_models = dy.List(dy.String(), description="Model of each GPU")
    gpu_generations = dy.List(
        dy.String(nullable=True), description="Architecture of each GPU; null: not catalogued"
    )
    gpu_limits_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="Default power limit of each GPU; null: not catalogued",
    )
    gpu_mlco2_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="The same in the table of ML CO2 Impact; null: not in it",
    )


class GpuPower(dy.Schema):
    """Energy of the GPUs that a job held on a node, by the series of the GPUs' own power."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPUs held x hours, inside the window"
    )
    covered_gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="The part of them with readings"
    )
    energy_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Energy of the GPUs in that part"
    )


class CpuSeries(dy.Schema):
    """What a node's processors did while a job held part of it, by the node's own series.

    Means over the time with readings, weighted by the share held; null without readings.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    duration_s = Seconds(description="Time held, inside the window")
    load_covered_s = Seconds(description="The part of it with readings of the load average")
    core_use_frac = Fraction(description="Mean of min(1, load / cores)")
    thread_load_cubed = Fraction(description="Mean of min(1, load / threads) to the third power")
    package_covered_s = Seconds(description="The part of it with readings of RAPL")
    package_power_w = Watts(
        nullable=True, min=0, description="Mean power of all processors of the node, by RAPL"
    )


class Recorded(dy.Schema):
    """What a tool recorded inside a job, summed over the runs that it recorded."""

    job_id = dy.Int64(primary_key=True, description="Job")
    tools = dy.String(description="`codecarbon`, `carbontracker`, or both joined by `+`")
    n_runs = Count(metadata={"unit": "runs"}, description="Runs recorded and used")
    duration_s = Seconds(description="Their duration")
    gpu_kwh = Energy(description="GPU part; null where a run does not tell it")
    cpu_kwh = Energy(description="CPU part; null where a run does not tell it")
    memory_kwh = Energy(description="Memory part; null where a run does not tell it")
    energy_kwh = dy.Float64(min=0, metadata={"unit": "kWh"}, description="Energy, without PUE")


class Estimates(dy.Schema):
    """What each tool says of each job, inside the study's window, with the inputs used.

    Each part is an amount held times a mean power: gpu_kwh = gpu_hours x gpu_power_w / 1000, and so
    on. A tool that leaves a part out says 0 of it.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    estimator = Key(description="Name and version, as in `mlco2@025b988`")
    basis = dy.String(
        description="Where the powers come from, GPU and CPU part: `series` (the device's own "
        "readings), `load` (the load average), `tdp` (limit or thermal design power), `table` or "
        "`any` (the tool's own), `recorded` (by the tool in the job), `unknown` (hardware that the "
        "catalogue lacks; the part is null); `none`: held nothing"
    )
    pue = dy.Float64(min=1, description="Factor that the tool itself adds; 1: none")
    gpu_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="GPUs held x hours")
    gpu_power_w = Watts(nullable=True, min=0, description="Mean power of one GPU")
    core_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Cores held x hours")
    core_power_w = Watts(nullable=True, min=0, description="Mean power of one core")
    memory_gbh = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "GB h"},
        description="Memory held (by its share of cores) x hours; null: the node's is not known",
    )
    memory_w_per_gb = dy.Float64(
        nullable=True, min=0, metadata={"unit": "W/GB"}, description="Mean power of a GB"
    )
    gpu_kwh = Energy(min=0, description="GPU part; null: the tool cannot tell")
    cpu_kwh = Energy(min=0, description="CPU part")
    memory_kwh = Energy(min=0, description="Memory part")
    energy_kwh = Energy(min=0, description="All parts x `pue`; null: the tool cannot tell")
    covered_kwh = Energy(
        min=0, description="The part of energy_kwh in the time that was measured, to compare"
    )

    @dy.rule()
    def covered_is_a_part(cls) -> pl.Expr:
        return (pl.col("covered_kwh") <= pl.col("energy_kwh") * (1 + 1e-9) + 1e-12).fill_null(True)


class EstimateRatios(dy.Schema):
    """Estimates over measured energy of the same jobs and time, in groups of jobs.

    Jobs of a minute or more, of which 95 % was measured.
    """

    estimator = Key(description="Name and version")
    group = Key(description="`all`, `cluster`, `gpu_generation`, `gpu_model` or `duration`")
    name = Key(description="Which cluster, generation, model or duration")
    n_jobs = Count(metadata={"unit": "jobs"}, description="Jobs compared")
    n_jobs_unknown = Count(
        metadata={"unit": "jobs"}, description="Jobs of which the tool says nothing"
    )
    measured_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Measured energy of these jobs"
    )
    estimated_kwh = dy.Float64(min=0, metadata={"unit": "kWh"}, description="Estimate of the same")
    total_ratio = dy.Float64(nullable=True, description="estimated_kwh / measured_kwh")
    ratio_p05 = dy.Float64(nullable=True, description="5th percentile of the jobs' ratios")
    ratio_p25 = dy.Float64(nullable=True, description="25th percentile")
    ratio_p50 = dy.Float64(nullable=True, description="Median")
    ratio_p75 = dy.Float64(nullable=True, description="75th percentile")
    ratio_p95 = dy.Float64(nullable=True, description="95th percentile")


class ValidationRuns(dy.Schema):
    """Energy of a recorded run by each method, beside a reference wattmetre."""

    run_id = dy.Int64(primary_key=True, description="Run")
    method = Key(
        description="`wattmetre`, `bmc`, a tool that ran beside it, or an estimator of ours"
    )
    kind = dy.Enum(["meter", "tool", "estimator"], description="What sort of method")
    application = dy.String(description="What ran, as in `mg`")
    duration_s = Seconds(description="Duration of the run")
    energy_kwh = Energy(description="Energy by the method; null: none, or set aside")
    wattmetre_kwh = Energy(description="Energy by the wattmetre")
    ratio = dy.Float64(nullable=True, description="energy_kwh / wattmetre_kwh")
    reason = Text(description="Why an energy was set aside")
