"""Facts about hardware that Grid'5000 does not publish, and those of clusters that are gone.

Three small tables lie beside this module, with a source in each line: `cpus.csv` (thermal design
power of a processor), `gpus.csv` (generation and power limit of a GPU, and the line that stands for
it in the tool ML CO2 Impact) and `clusters.csv` (what the nodes of a cluster are made of). What the
Reference API says of a node wins; the tables fill in what it does not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import polars as pl

from footprint.errors import InputError

FOLDER = Path(__file__).parent
# `__file__` of an installed package is in site-packages; people edit the checkout.
EDITED = "workflow/src/footprint/hardware"
GIB = 2**30

PRE_VOLTA = ("Fermi", "Kepler", "Maxwell", "Pascal")
"""Generations whose cards have no energy counter (NVML, `nvmlDeviceGetTotalEnergyConsumption`)."""


@cache
def cpus() -> pl.DataFrame:
    """Processors: `cpu_model`, `tdp_w` (of a socket), `cores_per_cpu`, `source`."""
    return pl.read_csv(FOLDER / "cpus.csv", schema_overrides={"tdp_w": pl.Float64})


@cache
def gpus() -> pl.DataFrame:
    """GPUs: `gpu_model`, `generation`, `power_limit_w`, `source`, and of the tool ML CO2 Impact.

    `mlco2_entry` is the line of that tool's table that a user would choose and `mlco2_w` its watts;
    null where the table has none.
    """
    watts = dict.fromkeys(("power_limit_w", "mlco2_w"), pl.Float64)
    return pl.read_csv(FOLDER / "gpus.csv", schema_overrides=watts)


@cache
def clusters() -> pl.DataFrame:
    """Nodes of a cluster: `cluster`, `site`, processors, cores, threads, memory, GPUs, `source`."""
    return pl.read_csv(FOLDER / "clusters.csv")


def look_up(nodes: pl.LazyFrame) -> pl.DataFrame:
    """What the estimators need to know of each node (`tables.Hardware`).

    Processor and memory that a description lacks are those of its cluster; the limit of a GPU that
    it lacks is that of the model.

    Args:
        nodes: `tables.Nodes` of the study's clusters.

    Raises:
        InputError: A processor, its cluster, or a GPU without a limit is in no table; the message
            has the line to add.
    """
    of_cluster = clusters().lazy().select("cluster", its_cpu="cpu_model", its_memory="memory_gib")
    described = (
        nodes.join(of_cluster, on="cluster", how="left", maintain_order="left")
        .with_columns(
            cpu_model=pl.coalesce("cpu_model", "its_cpu"),
            memory_gb=pl.when(pl.col("memory_bytes") > 0)
            .then(pl.col("memory_bytes") / GIB)
            .otherwise("its_memory"),
        )
        .join(cpus().lazy().select("cpu_model", "tdp_w"), on="cpu_model", how="left")
        .collect()
    )
    _check_cpus(described)
    per_gpu = (
        described.select("node", "valid_from", "gpus", "gpu_models", "gpu_power_limits_w")
        .explode("gpus", "gpu_models", "gpu_power_limits_w", empty_as_null=False, keep_nulls=False)
        .join(gpus().drop("source"), left_on="gpu_models", right_on="gpu_model", how="left")
        .with_columns(limit_w=pl.coalesce("gpu_power_limits_w", "power_limit_w"))
        .sort("node", "valid_from", "gpus")
    )
    _check_gpus(per_gpu)
    lists = per_gpu.group_by("node", "valid_from", maintain_order=True).agg(
        gpu_generations="generation", gpu_limits_w="limit_w", gpu_mlco2_w="mlco2_w"
    )
    kept = ["node", "valid_from", "cluster", "cpu_model", "tdp_w", "n_cpus", "n_cores"]
    return (
        described.select(*kept, "n_threads", "memory_gb", "gpus", "gpu_models")
        .join(lists, on=["node", "valid_from"], how="left", maintain_order="left")
        .with_columns(
            pl.col("gpu_generations").fill_null(pl.lit([], dtype=pl.List(pl.String))),
            pl.col("gpu_limits_w", "gpu_mlco2_w").fill_null(pl.lit([], dtype=pl.List(pl.Float64))),
        )
    )


def latest(hardware: pl.DataFrame) -> pl.DataFrame:
    """The last description of each node, sorted by node.

    Args:
        hardware: `tables.Hardware`.
    """
    return hardware.sort("node", "valid_from").group_by("node", maintain_order=True).last()


def _check_cpus(described: pl.DataFrame) -> None:
    lacking = described.filter(pl.col("tdp_w").is_null() | pl.col("memory_gb").is_null())
    for row in lacking.sort("node").head(1).iter_rows(named=True):
        model, known = row["cpu_model"], row["tdp_w"] is not None
        if known or model is None:
            what = f"its {'memory' if known else 'processor'} is not known"
            line = f"{row['cluster']},<site>,<processor>,{row['n_cpus']},{row['n_cores']},..."
            do = f"add a line `{line}` to {EDITED}/clusters.csv, or describe the node in full"
        else:
            what = f"the thermal design power of its processor {model!r} is not known"
            line = f"{model},<watts>,{row['n_cores'] // row['n_cpus']},<source>"
            do = f"add a line `{line}` to {EDITED}/cpus.csv"
        alike = lacking.filter(pl.col("cpu_model").eq_missing(pl.lit(model)))
        raise InputError(what, where=_named(alike), do=do)


def _check_gpus(per_gpu: pl.DataFrame) -> None:
    lacking = per_gpu.filter(pl.col("limit_w").is_null())
    for row in lacking.sort("node").head(1).iter_rows(named=True):
        line = f"{row['gpu_models']},<generation>,<watts>,,,<source>"
        raise InputError(
            f"the power limit of its GPU {row['gpu_models']!r} is not known",
            where=_named(lacking.filter(pl.col("gpu_models") == row["gpu_models"])),
            do=f"add a line `{line}` to {EDITED}/gpus.csv",
        )


def _named(lacking: pl.DataFrame) -> str:
    """The first of the nodes, and how many more there are."""
    names = lacking["node"].unique().sort()
    return f"node {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def generation_order(generations: Iterable[str]) -> list[str]:
    """Generations of GPUs in the order in which they came; unknown ones last, by name."""
    known = ("Fermi", "Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada Lovelace")
    order = {name: place for place, name in enumerate((*known, "Hopper", "Blackwell"))}
    return sorted(generations, key=lambda name: (order.get(name, len(order)), name))
