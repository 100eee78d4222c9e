"""Facts about hardware that Grid'5000 does not publish, and those of clusters that are gone.

Three small tables lie beside this module, with a source in each line: `cpus.csv` (thermal design
power of a processor), `gpus.csv` (generation and power limit of a GPU, and the line that stands for
it in the tool ML CO2 Impact) and `clusters.csv` (what the nodes of a cluster are made of). The
description of a node in the Reference API wins. The configuration (`hardware:`) and then the tables
fill in what it lacks. What none of them has is null, and `set_aside` lists it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from footprint import tables

LOG = logging.getLogger(__name__)

Given = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`hardware` of the configuration: `cpus` and `gpus` by model, `nodes` by node or cluster."""

FOLDER = Path(__file__).parent
# `__file__` of an installed package is in site-packages; people edit the checkout.
EDITED = "workflow/src/footprint/hardware"
GIB = 2**30

GPU_LISTS = ["gpus", "gpu_models", "gpu_generations", "gpu_power_limits_w"]
"""Columns of `tables.Nodes` with a value for each GPU of a node."""

UNKNOWN = (
    "nodes whose hardware the catalogue lacks; estimates that need it are null; add it under "
    "`hardware:` in the configuration"
)
NO_NODE = "the study has no node or cluster of this name; correct the name"

PRE_VOLTA = ("Tesla", "Fermi", "Kepler", "Maxwell", "Pascal")
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


def look_up(nodes: pl.LazyFrame, given: Given | None = None) -> pl.DataFrame:
    """Hardware of each node for the estimators (`tables.Hardware`); unknown values are null.

    Each value comes from the first of these that has it: the node's description, `given["nodes"]`,
    `given["cpus"]` and `given["gpus"]`, the catalogue. A thermal design power is in no description.

    Args:
        nodes: `tables.Nodes` of the study's clusters.
        given: `hardware` of the configuration; None: nothing.
    """
    given = given or {}
    of_cluster = clusters().lazy().select("cluster", its_cpu="cpu_model", its_memory="memory_gib")
    of_name = _given_nodes(given).lazy()
    described = (
        nodes.join(of_cluster, on="cluster", how="left", maintain_order="left")
        .join(of_name, left_on="node", right_on="name", how="left", maintain_order="left")
        .join(
            of_name,
            left_on="cluster",
            right_on="name",
            how="left",
            maintain_order="left",
            suffix="_of_cluster",
        )
        .with_columns(
            cpu_model=pl.coalesce("cpu_model", *_given("cpu_model"), "its_cpu"),
            memory_gb=pl.when(pl.col("memory_bytes") > 0)
            .then(pl.col("memory_bytes") / GIB)
            .otherwise(pl.coalesce(*_given("memory_gb"), "its_memory")),
            gpu_limit_w=pl.coalesce(*_given("gpu_power_limit_w")),
        )
        .join(_known_cpus(given).lazy(), on="cpu_model", how="left", maintain_order="left")
        .collect()
    )
    per_gpu = (
        described.select("node", "valid_from", "gpu_limit_w", *GPU_LISTS)
        .explode(GPU_LISTS, empty_as_null=False, keep_nulls=False)
        .join(_known_gpus(given), left_on="gpu_models", right_on="gpu_model", how="left")
        .with_columns(
            limit_w=pl.coalesce("gpu_power_limits_w", "gpu_limit_w", "power_limit_w"),
            generation=pl.coalesce("gpu_generations", "generation"),
        )
        .sort("node", "valid_from", "gpus")
    )
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


def unknown(hardware: pl.DataFrame) -> list[str]:
    """Hardware that neither the descriptions, the configuration nor the catalogue have, sorted.

    One text a model with the values that are missing, as in `GPU A40: power limit`.

    Args:
        hardware: `tables.Hardware`.
    """
    no_cpu, no_memory = pl.col("cpu_model").is_null(), pl.col("memory_gb").is_null()
    no_tdp = pl.col("tdp_w").is_null() & ~no_cpu
    of_nodes = [
        hardware.filter(no_tdp).select(
            pl.format("processor {}: thermal design power", "cpu_model").alias("text")
        ),
        hardware.filter(no_cpu).select(pl.format("processor of {}: model", "cluster")),
        hardware.filter(no_memory).select(pl.format("memory of {}", "cluster")),
    ]
    # a model may be known on one node and not on another, whose description says less
    of_gpus = (
        _per_gpu(hardware)
        .group_by("gpu_models")
        .agg(
            generation=pl.col("gpu_generations").is_null().any(),
            limit=pl.col("gpu_limits_w").is_null().any(),
        )
        .filter(pl.col("generation") | pl.col("limit"))
        .with_columns(
            lacking=pl.when("generation", "limit")
            .then(pl.lit("generation, power limit"))
            .when("limit")
            .then(pl.lit("power limit"))
            .otherwise(pl.lit("generation"))
        )
    )
    texts = {text for frame in of_nodes for (text,) in frame.iter_rows()}
    texts |= {
        f"GPU {model}: {lacking}"
        for model, lacking in of_gpus.select("gpu_models", "lacking").iter_rows()
    }
    return sorted(texts)


def set_aside(hardware: pl.DataFrame, given: Given | None = None) -> pl.DataFrame:
    """Nodes with unknown hardware, and entries of the configuration without a node; logs both.

    Args:
        hardware: `tables.Hardware`.
        given: `hardware` of the configuration; None: nothing.

    Returns:
        `tables.SetAside`: at most one row of each. The example lists all unknown models.
    """
    of_gpus = pl.col("gpu_generations", "gpu_limits_w")
    concerned = hardware.filter(
        pl.any_horizontal(
            pl.col("cpu_model", "tdp_w", "memory_gb").is_null(),
            of_gpus.list.drop_nulls().list.len() < of_gpus.list.len(),
        )
    )
    names = set(hardware["node"]) | set(hardware["cluster"])
    without = sorted(set((given or {}).get("nodes", {})) - names)
    lacking = unknown(hardware)
    for text in lacking:
        LOG.warning("the catalogue lacks %s", text)
    for name in without:
        LOG.warning("hardware.nodes.%s: %s", name, NO_NODE)
    rows = [
        ("catalogue", UNKNOWN, concerned["node"].n_unique(), "; ".join(lacking)),
        ("hardware.nodes", NO_NODE, len(without), ", ".join(without)),
    ]
    found: pl.DataFrame = tables.conform(
        tables.SetAside,
        pl.DataFrame(
            [("hardware", *row) for row in rows if row[2]],
            schema=tables.SetAside.create_empty().schema,
            orient="row",
        ),
    )
    return found


def latest(hardware: pl.DataFrame) -> pl.DataFrame:
    """The last description of each node, sorted by node.

    Args:
        hardware: `tables.Hardware`.
    """
    return hardware.sort("node", "valid_from").group_by("node", maintain_order=True).last()


def _per_gpu(hardware: pl.DataFrame) -> pl.DataFrame:
    lists = ["gpu_models", "gpu_generations", "gpu_limits_w"]
    return hardware.select(lists).explode(lists, empty_as_null=False, keep_nulls=False)


def _given(name: str) -> tuple[str, str]:
    """Columns of what the configuration gives for a node, and for its cluster."""
    return f"given_{name}", f"given_{name}_of_cluster"


def _given_nodes(given: Given) -> pl.DataFrame:
    values = {"cpu_model": pl.String, "memory_gb": pl.Float64, "gpu_power_limit_w": pl.Float64}
    return pl.DataFrame(
        [
            {"name": name} | {f"given_{key}": entry.get(key) for key in values}
            for name, entry in given.get("nodes", {}).items()
        ],
        schema={"name": pl.String} | {f"given_{key}": dtype for key, dtype in values.items()},
    )


def _known_cpus(given: Given) -> pl.DataFrame:
    """`cpu_model`, `tdp_w`: of the configuration, and of the catalogue."""
    own = {model: float(entry["tdp_w"]) for model, entry in given.get("cpus", {}).items()}
    known = dict(cpus().select("cpu_model", "tdp_w").iter_rows()) | own
    return pl.DataFrame(
        list(known.items()), schema={"cpu_model": pl.String, "tdp_w": pl.Float64}, orient="row"
    )


def _known_gpus(given: Given) -> pl.DataFrame:
    """The catalogue of GPUs without its sources, with the values of the configuration."""
    catalogue = gpus().drop("source")
    known = {row["gpu_model"]: row for row in catalogue.iter_rows(named=True)}
    for model, entry in given.get("gpus", {}).items():
        own = {name: entry.get(name) for name in ("generation", "power_limit_w")}
        known[model] = (
            dict.fromkeys(catalogue.columns)
            | known.get(model, {})
            | {"gpu_model": model}
            | {name: value for name, value in own.items() if value is not None}
        )
    return pl.DataFrame(list(known.values()), schema=catalogue.schema)


def generation_order(generations: Iterable[str]) -> list[str]:
    """Generations of GPUs in the order in which they came; unknown ones last, by name."""
    known = (*PRE_VOLTA, "Volta", "Turing", "Ampere", "Ada Lovelace")
    order = {name: place for place, name in enumerate((*known, "Hopper", "Blackwell"))}
    return sorted(generations, key=lambda name: (order.get(name, len(order)), name))
