"""What jobs held and what is known of it: the input of every estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from footprint import shares, tables
from footprint.hardware import PRE_VOLTA
from footprint.summation import total

KNOWN_FRAC = 0.5
"""A series of a device stands for a job's time on a node when it covers at least so much of it."""

HELD = {
    "job_id": "Job",
    "node": "Node",
    "coverage_frac": "part of share x time with measured power",
    "gpu_hours": "GPUs held x hours",
    "core_hours": "cores held x hours",
    "memory_gbh": "memory held x hours: that of the node by the part of its cores; null: not known",
    "n_cpus": "sockets of the node",
    "n_cores": "cores of the node",
    "tdp_w": "thermal design power of a socket; null: not known",
    "memory_gb": "memory of the node; null: not known",
    "gpu_limit_w": "power limit of a GPU: mean of those held; null where one is not known",
    "gpu_mlco2_w": "the same by the table of ML CO2 Impact; null where it lacks one of them",
    "pre_volta_frac": "part of the GPUs held, by their limits, that has no energy counter; "
    "null where a generation is not known",
    "gpu_series_w": "mean power of a GPU held, by its own series; null: not known",
    "core_use_frac": "mean of min(1, load / cores) of the node; null: not known",
    "thread_load_cubed": "mean of min(1, load / threads)^3 of the node; null: not known",
    "package_power_w": "mean power of the node's processors by RAPL; null: not known",
}


class Facts(NamedTuple):
    """What is known of the jobs of a study.

    Attributes:
        held: What each job held on each of its nodes, inside the window: the columns of `HELD`,
            sorted by job and node.
        jobs: Every job: `job_id`, `duration_s`, `coverage_frac`, `gpu_hours`, `core_hours`,
            `memory_gbh`, and `known`, false where a job ran and its nodes are not known.
        recorded: `tables.Recorded`.
        tracked: `tables.Tracked`.
    """

    held: pl.LazyFrame
    jobs: pl.LazyFrame
    recorded: pl.LazyFrame
    tracked: pl.LazyFrame = tables.Tracked.create_empty().lazy()


def load(files: Mapping[str, Any]) -> Facts:
    """The same as `gather`, from files by the names of its arguments; empty ones are left out."""
    return gather(**{name: pl.scan_parquet(paths) for name, paths in files.items() if paths})


def gather(
    *,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    hardware: pl.LazyFrame,
    records: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    gpu_power: pl.LazyFrame | None = None,
    cpu_series: pl.LazyFrame | None = None,
    recorded: pl.LazyFrame | None = None,
    tracked: pl.LazyFrame | None = None,
) -> Facts:
    """Everything that estimators use, put together once.

    Args:
        job_energy: `tables.JobEnergy`.
        job_nodes: `tables.JobNodeEnergy`: the same clipped interval as the measurement.
        hardware: `tables.Hardware`.
        records: `tables.Jobs`.
        allocations: `tables.Allocations`.
        nodes: `tables.Nodes`, as of `hardware`.
        gpu_power: `tables.GpuPower`; None: no series of GPUs.
        cpu_series: `tables.CpuSeries`; None: no series of processors.
        recorded: `tables.Recorded`; None: no records.
        tracked: `tables.Tracked`; None: no ledgers.
    """
    periods = hardware.select("node", "valid_from")
    held = shares.with_period(
        job_nodes.join(records.select("job_id", "started_at"), on="job_id"), periods
    )
    key, hours = ["job_id", "node"], pl.col("core_hours")
    joined = (
        held.join(_of_nodes(hardware), on=["node", "valid_from"], how="left")
        .join(_of_mixed_gpus(hardware, records, allocations, nodes), on=key, how="left")
        .with_columns(
            *(
                pl.coalesce(f"{name}_own", name).alias(name)
                for name in ("gpu_limit_w", "gpu_mlco2_w", "pre_volta_frac")
            ),
            memory_gbh=pl.when(hours > 0)
            .then(hours / pl.col("n_cores") * pl.col("memory_gb"))
            .otherwise(0.0),
        )
        .join(_gpu_series(gpu_power), on=key, how="left")
        .join(_cpu_series(cpu_series), on=key, how="left")
        .select(list(HELD))
        .sort("job_id", "node")
        .collect()
        .lazy()
    )
    jobs = job_energy.select(
        "job_id",
        "duration_s",
        "coverage_frac",
        "gpu_hours",
        "core_hours",
        known=~pl.col("flags").list.contains("nodes_unknown"),
    ).join(_memory_of_jobs(joined), on="job_id", how="left")
    return Facts(
        joined,
        jobs.with_columns(
            # a job that held no node held no memory
            memory_gbh=pl.when(pl.col("memory_known").fill_null(True)).then(
                pl.col("memory_gbh").fill_null(0.0)
            )
        )
        .drop("memory_known")
        .sort("job_id")
        .collect()
        .lazy(),
        tables.Recorded.create_empty().lazy() if recorded is None else recorded,
        tables.Tracked.create_empty().lazy() if tracked is None else tracked,
    )


def _memory_of_jobs(held: pl.LazyFrame) -> pl.LazyFrame:
    """`memory_gbh` of each job over its nodes, and `memory_known`: whether that of all is known."""
    amount = pl.col("memory_gbh")
    return held.group_by("job_id").agg(total(amount), memory_known=amount.is_not_null().all())


def _of_nodes(hardware: pl.LazyFrame) -> pl.LazyFrame:
    """Facts of each node; of its GPUs, means, which hold for nodes with GPUs of one kind.

    A mean is null where the value of one GPU is null.
    """
    names = ("gpu_limits_w", "gpu_mlco2_w", "gpu_generations")
    limit_w, mlco2_w, generation = (_if_all_known(name) for name in names)
    return hardware.select(
        "node",
        "valid_from",
        "n_cpus",
        "n_cores",
        "tdp_w",
        "memory_gb",
        gpu_limit_w=limit_w.list.mean(),
        gpu_mlco2_w=mlco2_w.list.mean(),
        pre_volta_frac=generation.list.eval(
            pl.element().is_in(PRE_VOLTA).cast(pl.Float64)
        ).list.mean(),  # of nodes with GPUs of one kind; see `_of_mixed_gpus` for others
    )


def _if_all_known(name: str) -> pl.Expr:
    """A list; null where one of its values is null."""
    values = pl.col(name)
    return pl.when(values.list.drop_nulls().list.len() == values.list.len()).then(values)


def _of_mixed_gpus(
    hardware: pl.LazyFrame, records: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.LazyFrame:
    """Of the GPUs that each job held on nodes with GPUs of several kinds, weighted by its part."""
    several = pl.any_horizontal(
        pl.col(name).list.n_unique() > 1
        for name in ("gpu_limits_w", "gpu_mlco2_w", "gpu_generations")
    )
    mixed = hardware.filter(several)
    lists = ["gpus", "gpu_limits_w", "gpu_mlco2_w", "gpu_generations"]
    per_gpu = mixed.select("node", "valid_from", *lists).explode(
        lists, empty_as_null=False, keep_nulls=False
    )
    here = mixed.select("node").unique()
    parts = shares.held_cores(
        records,
        allocations.join(here, on="node", how="semi"),
        nodes.join(here, on="node", how="semi"),
    ).drop_nulls("gpu")
    weight = pl.col("gpus")
    limits = pl.col("gpu_limits_w") * weight
    pre_volta = pl.col("gpu_generations").is_in(PRE_VOLTA).cast(pl.Float64)
    mlco2_w = pl.col("gpu_mlco2_w")
    limits_known = limits.is_not_null().all()
    return (
        parts.group_by("job_id", "node", "valid_from", "gpu")
        .agg(total(pl.col("gpus")))
        .join(per_gpu.rename({"gpus": "gpu"}), on=["node", "valid_from", "gpu"])
        .group_by("job_id", "node")
        .agg(
            gpu_limit_w_own=pl.when(limits_known).then(total(limits) / total(weight)),
            gpu_mlco2_w_own=pl.when(mlco2_w.is_not_null().all()).then(
                total(mlco2_w * weight) / total(weight)
            ),
            pre_volta_frac_own=pl.when(limits_known & pre_volta.is_not_null().all()).then(
                total(pre_volta * limits) / total(limits)
            ),
        )
    )


def _gpu_series(gpu_power: pl.LazyFrame | None) -> pl.LazyFrame:
    if gpu_power is None:
        gpu_power = tables.GpuPower.create_empty().lazy()
    hours, covered = pl.col("gpu_hours"), pl.col("covered_gpu_hours")
    return gpu_power.filter((hours > 0) & (covered >= KNOWN_FRAC * hours)).select(
        "job_id", "node", gpu_series_w=pl.col("energy_kwh") * 1e3 / covered
    )


def _cpu_series(cpu_series: pl.LazyFrame | None) -> pl.LazyFrame:
    if cpu_series is None:
        cpu_series = tables.CpuSeries.create_empty().lazy()

    def known(covered_s: str) -> pl.Expr:
        held_s = pl.col("duration_s")
        return (held_s > 0) & (pl.col(covered_s) >= KNOWN_FRAC * held_s)

    load, rapl = known("load_covered_s"), known("package_covered_s")
    return cpu_series.select(
        "job_id",
        "node",
        core_use_frac=pl.when(load).then("core_use_frac"),
        thread_load_cubed=pl.when(load).then("thread_load_cubed"),
        package_power_w=pl.when(rapl).then("package_power_w"),
    )
