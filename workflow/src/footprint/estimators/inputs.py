"""Inputs of every estimator: what each job held on each node, its hardware and its series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from footprint.allocation import shares
from footprint.core.sums import sum_or_zero
from footprint.hardware.catalogue import GENERATIONS_BEFORE_VOLTA
from footprint.schemas.estimates import CpuSeries, GpuPower, Recorded
from footprint.schemas.labels import Tracked

MIN_SERIES_COVERAGE_FRAC = 0.5
"""Least part of a job's time on a node that a series of a device must cover to be used."""

JOB_NODE_COLUMNS = {
    "job_id": "Job",
    "node": "Node",
    "coverage_frac": "part of share x time with measured power",
    "gpu_hours": "GPUs held x hours",
    "core_hours": "cores held x hours",
    "memory_gbh": "memory of the node x part of its cores x hours; null: unknown",
    "cpu_model": "processors of the node; null: unknown",
    "n_cpus": "sockets of the node",
    "n_cores": "cores of the node",
    "n_threads": "threads of the node; null: unknown",
    "tdp_w": "thermal design power of a socket; null: unknown",
    "memory_gb": "memory of the node; null: unknown",
    "gpu_limit_w": "power limit of a GPU: mean over the GPUs held; null where one is unknown",
    "gpu_mlco2_w": "power of a GPU in the table of ML CO2 Impact: mean over the GPUs held; "
    "null where the table lacks one of them",
    "pre_volta_frac": "part of the GPUs held, by their limits, that has no energy counter; "
    "null where a generation is unknown",
    "gpu_series_w": "mean power of a GPU held, by its own series; null: unknown",
    "core_use_frac": "mean of min(1, load / cores) of the node; null: unknown",
    "thread_load_cubed": "mean of min(1, load / threads)^3 of the node; null: unknown",
    "package_power_w": "mean power of the node's processors by RAPL; null: unknown",
}
"""Columns of `inputs.EstimatorInputs.job_nodes` with their descriptions."""


class InputTables(NamedTuple):
    """Tables of a study that inputs are collected from; a study without a kind of series has none.

    Attributes:
        job_energy: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`: the same clipped interval as the measurement.
        hardware: `schemas.Hardware`.
        records: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes`, as of `hardware`.
        gpu_power: `schemas.GpuPower`.
        cpu_series: `schemas.CpuSeries`.
        recorded: `schemas.Recorded`.
        tracked: `schemas.Tracked`.
    """

    job_energy: pl.LazyFrame
    job_nodes: pl.LazyFrame
    hardware: pl.LazyFrame
    records: pl.LazyFrame
    allocations: pl.LazyFrame
    nodes: pl.LazyFrame
    gpu_power: pl.LazyFrame = GpuPower.create_empty().lazy()
    cpu_series: pl.LazyFrame = CpuSeries.create_empty().lazy()
    recorded: pl.LazyFrame = Recorded.create_empty().lazy()
    tracked: pl.LazyFrame = Tracked.create_empty().lazy()


class EstimatorInputs(NamedTuple):
    """Inputs of the estimators for the jobs of a study.

    Attributes:
        job_nodes: What each job held on each of its nodes, inside the window: the columns of
            `JOB_NODE_COLUMNS`, sorted by job and node.
        jobs: Every job: `job_id`, `duration_s`, `coverage_frac`, `gpu_hours`, `core_hours`,
            `memory_gbh`, and `has_known_nodes`, false where a job ran and its nodes are unknown.
        recorded: `schemas.Recorded`.
        tracked: `schemas.Tracked`.
    """

    job_nodes: pl.LazyFrame
    jobs: pl.LazyFrame
    recorded: pl.LazyFrame
    tracked: pl.LazyFrame = Tracked.create_empty().lazy()


def scan_inputs(files: Mapping[str, Any]) -> EstimatorInputs:
    """Collect the inputs from files.

    Args:
        files: Path or paths by table of `InputTables`; a table with an empty value is left out.
    """
    return collect_inputs(
        InputTables(**{name: pl.scan_parquet(paths) for name, paths in files.items() if paths})
    )


def collect_inputs(tables: InputTables) -> EstimatorInputs:
    """Collect the inputs of all estimators from the tables of a study."""
    periods = tables.hardware.select("node", "valid_from")
    held = shares.with_hardware_version(
        tables.job_nodes.join(tables.records.select("job_id", "started_at"), on="job_id"), periods
    )
    key, hours = ["job_id", "node"], pl.col("core_hours")
    by_node = (
        held.join(_hardware_of_nodes(tables.hardware), on=["node", "valid_from"], how="left")
        .join(_mixed_gpus_of_jobs(tables), on=key, how="left")
        .with_columns(
            *(
                pl.coalesce(f"{name}_own", name).alias(name)
                for name in ("gpu_limit_w", "gpu_mlco2_w", "pre_volta_frac")
            ),
            memory_gbh=pl.when(hours > 0)
            .then(hours / pl.col("n_cores") * pl.col("memory_gb"))
            .otherwise(0.0),
        )
        .join(_gpu_series(tables.gpu_power), on=key, how="left")
        .join(_cpu_series(tables.cpu_series), on=key, how="left")
        .select(list(JOB_NODE_COLUMNS))
        .sort("job_id", "node")
        .collect()
        .lazy()
    )
    jobs = tables.job_energy.select(
        "job_id",
        "duration_s",
        "coverage_frac",
        "gpu_hours",
        "core_hours",
        has_known_nodes=~pl.col("flags").list.contains("nodes_unknown"),
    ).join(_memory_of_jobs(by_node), on="job_id", how="left")
    return EstimatorInputs(
        by_node,
        jobs.with_columns(
            # a job that held no node held no memory
            memory_gbh=pl.when(pl.col("has_known_memory").fill_null(True)).then(
                pl.col("memory_gbh").fill_null(0.0)
            )
        )
        .drop("has_known_memory")
        .sort("job_id")
        .collect()
        .lazy(),
        tables.recorded,
        tables.tracked,
    )


def _memory_of_jobs(job_nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Memory of each job over its nodes.

    Returns:
        `job_id`, `memory_gbh` (sum of known values), `has_known_memory` (on all nodes).
    """
    amount = pl.col("memory_gbh")
    return job_nodes.group_by("job_id").agg(
        sum_or_zero(amount), has_known_memory=amount.is_not_null().all()
    )


def _hardware_of_nodes(hardware: pl.LazyFrame) -> pl.LazyFrame:
    """Hardware of each node and period, with means over its GPUs.

    A mean is null where the value of one GPU is null. The means are right for nodes with GPUs of
    one kind; `_mixed_gpus_of_jobs` gives the values for other nodes.
    """
    names = ("gpu_limits_w", "gpu_mlco2_w", "gpu_generations")
    limit_w, mlco2_w, generation = (_null_unless_complete(name) for name in names)
    return hardware.select(
        "node",
        "valid_from",
        "cpu_model",
        "n_cpus",
        "n_cores",
        "n_threads",
        "tdp_w",
        "memory_gb",
        gpu_limit_w=limit_w.list.mean(),
        gpu_mlco2_w=mlco2_w.list.mean(),
        pre_volta_frac=generation.list.eval(
            pl.element().is_in(GENERATIONS_BEFORE_VOLTA).cast(pl.Float64)
        ).list.mean(),
    )


def _null_unless_complete(name: str) -> pl.Expr:
    """A list column, null where one of the list's values is null."""
    values = pl.col(name)
    return pl.when(values.list.drop_nulls().list.len() == values.list.len()).then(values)


def _mixed_gpus_of_jobs(tables: InputTables) -> pl.LazyFrame:
    """Means over the GPUs that each job held on nodes with GPUs of several kinds.

    Returns:
        `job_id`, `node`, `gpu_limit_w_own`, `gpu_mlco2_w_own`, `pre_volta_frac_own`, weighted by
        the part of each GPU that the job held.
    """
    several = pl.any_horizontal(
        pl.col(name).list.n_unique() > 1
        for name in ("gpu_limits_w", "gpu_mlco2_w", "gpu_generations")
    )
    mixed = tables.hardware.filter(several)
    lists = ["gpus", "gpu_limits_w", "gpu_mlco2_w", "gpu_generations"]
    per_gpu = mixed.select("node", "valid_from", *lists).explode(
        lists, empty_as_null=False, keep_nulls=False
    )
    here = mixed.select("node").unique()
    parts = shares.held_cores(
        tables.records,
        tables.allocations.join(here, on="node", how="semi"),
        tables.nodes.join(here, on="node", how="semi"),
    ).drop_nulls("gpu")
    weight = pl.col("gpus")
    limits = pl.col("gpu_limits_w") * weight
    pre_volta = pl.col("gpu_generations").is_in(GENERATIONS_BEFORE_VOLTA).cast(pl.Float64)
    mlco2_w = pl.col("gpu_mlco2_w")
    has_limits = limits.is_not_null().all()
    return (
        parts.group_by("job_id", "node", "valid_from", "gpu")
        .agg(sum_or_zero(pl.col("gpus")))
        .join(per_gpu.rename({"gpus": "gpu"}), on=["node", "valid_from", "gpu"])
        .group_by("job_id", "node")
        .agg(
            gpu_limit_w_own=pl.when(has_limits).then(sum_or_zero(limits) / sum_or_zero(weight)),
            gpu_mlco2_w_own=pl.when(mlco2_w.is_not_null().all()).then(
                sum_or_zero(mlco2_w * weight) / sum_or_zero(weight)
            ),
            pre_volta_frac_own=pl.when(has_limits & pre_volta.is_not_null().all()).then(
                sum_or_zero(pre_volta * limits) / sum_or_zero(limits)
            ),
        )
    )


def _gpu_series(gpu_power: pl.LazyFrame) -> pl.LazyFrame:
    """Mean power of a GPU by job and node, where the series covers enough of the time held."""
    hours, covered = pl.col("gpu_hours"), pl.col("covered_gpu_hours")
    return gpu_power.filter((hours > 0) & (covered >= MIN_SERIES_COVERAGE_FRAC * hours)).select(
        "job_id", "node", gpu_series_w=pl.col("energy_kwh") * 1e3 / covered
    )


def _cpu_series(cpu_series: pl.LazyFrame) -> pl.LazyFrame:
    """Load and power of processors by job and node, where the series cover enough of the time."""

    def is_covered(covered_s: str) -> pl.Expr:
        held_s = pl.col("duration_s")
        return (held_s > 0) & (pl.col(covered_s) >= MIN_SERIES_COVERAGE_FRAC * held_s)

    has_load, has_rapl = is_covered("load_covered_s"), is_covered("package_covered_s")
    return cpu_series.select(
        "job_id",
        "node",
        core_use_frac=pl.when(has_load).then("core_use_frac"),
        thread_load_cubed=pl.when(has_load).then("thread_load_cubed"),
        package_power_w=pl.when(has_rapl).then("package_power_w"),
    )
