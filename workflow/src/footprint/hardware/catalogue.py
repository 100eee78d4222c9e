"""Catalogue of hardware values that Grid'5000 does not publish, and of retired clusters.

The catalogue is three CSV files in this folder, with a source in each line: `cpus.csv` (thermal
design power of a processor, and what CodeCarbon takes for it), `gpus.csv` (generation and power
limit of a GPU, and its entry in the table of the tool ML CO2 Impact) and `clusters.csv` (hardware
of the nodes of a cluster).

The description of a node in the Reference API has priority. Missing values come from the
configuration (`hardware:`), then from the catalogue. Values that are in none of them are null, and
`rejected_hardware` lists them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

LOG = logging.getLogger(__name__)

HardwareSettings = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Section `hardware` of the configuration: values by model of CPU or GPU, by node or cluster."""

CSV_FOLDER = Path(__file__).parent
# Users edit the checkout; `__file__` of an installed package is in site-packages.
CHECKOUT_FOLDER = "workflow/src/footprint/hardware"
BYTES_PER_GIB = 2**30

GPU_LIST_COLUMNS = ["gpus", "gpu_models", "gpu_generations", "gpu_power_limits_w"]
"""Columns of `schemas.Nodes` with one value for each GPU of a node."""

UNKNOWN_REASON = (
    "nodes whose hardware the catalogue lacks; estimates that need it are null; add it under "
    "`hardware:` in the configuration"
)
NO_NODE_REASON = "the study has no node or cluster of this name; correct the name"

GENERATIONS_BEFORE_VOLTA = ("Tesla", "Fermi", "Kepler", "Maxwell", "Pascal")
"""Generations without an energy counter (NVML, `nvmlDeviceGetTotalEnergyConsumption`)."""

GENERATIONS = (
    *GENERATIONS_BEFORE_VOLTA,
    "Volta",
    "Turing",
    "Ampere",
    "Ada Lovelace",
    "Hopper",
    "Blackwell",
)
"""Generations of NVIDIA GPUs in the order of their release."""


@cache
def read_cpus() -> pl.DataFrame:
    """Return the processors of the catalogue.

    Columns: `cpu_model`, `tdp_w` of a socket, `cores_per_cpu`, `codecarbon_2_w`, `codecarbon_3_w`,
    `source`.

    `codecarbon_2_w` and `codecarbon_3_w` are the powers of a socket in W that CodeCarbon 2.8.4, and
    3.3.1 and 3.3.2, find for the processor's name; null if they do not find it.
    """
    watts = dict.fromkeys(("tdp_w", "codecarbon_2_w", "codecarbon_3_w"), pl.Float64)
    return pl.read_csv(CSV_FOLDER / "cpus.csv", schema_overrides=watts)


@cache
def read_gpus() -> pl.DataFrame:
    """Return the GPUs of the catalogue.

    Columns: `gpu_model`, `generation`, `power_limit_w`, `source`, `mlco2_entry`, `mlco2_w`.

    `mlco2_entry` is the entry for the GPU in the table of the tool ML CO2 Impact, and `mlco2_w` its
    power in W; both are null if the table has no such entry.
    """
    watts = dict.fromkeys(("power_limit_w", "mlco2_w"), pl.Float64)
    return pl.read_csv(CSV_FOLDER / "gpus.csv", schema_overrides=watts)


@cache
def read_clusters() -> pl.DataFrame:
    """Return the hardware of a node of each cluster.

    Columns: `cluster`, `site`, `cpu_model`, `n_cpus`, `n_cores`, `n_threads`, `memory_gib`,
    `gpu_model`, `n_gpus`, `source`.
    """
    return pl.read_csv(CSV_FOLDER / "clusters.csv")


def look_up_hardware(nodes: pl.LazyFrame, given: HardwareSettings | None = None) -> pl.DataFrame:
    """Return the hardware of each node for the estimators (`schemas.Hardware`).

    Each value comes from the first of these that has it: the node's description, `given["nodes"]`,
    `given["cpus"]` and `given["gpus"]`, the catalogue. Descriptions have no thermal design power.
    Unknown values are null.

    Args:
        nodes: `schemas.Nodes` of the study's clusters.
        given: `hardware` of the configuration; None: empty.
    """
    given = given or {}
    of_cluster = (
        read_clusters().lazy().select("cluster", its_cpu="cpu_model", its_memory="memory_gib")
    )
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
            cpu_model=pl.coalesce("cpu_model", *_given_columns("cpu_model"), "its_cpu"),
            memory_gb=pl.when(pl.col("memory_bytes") > 0)
            .then(pl.col("memory_bytes") / BYTES_PER_GIB)
            .otherwise(pl.coalesce(*_given_columns("memory_gb"), "its_memory")),
            gpu_limit_w=pl.coalesce(*_given_columns("gpu_power_limit_w")),
        )
        .join(_known_cpus(given).lazy(), on="cpu_model", how="left", maintain_order="left")
        .collect()
    )
    per_gpu = (
        described.select("node", "valid_from", "gpu_limit_w", *GPU_LIST_COLUMNS)
        .explode(GPU_LIST_COLUMNS, empty_as_null=False, keep_nulls=False)
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


def unknown_hardware(hardware: pl.DataFrame) -> list[str]:
    """Return one text for each model with missing values, as `GPU A40: power limit`, sorted.

    Missing values are in neither the descriptions, the configuration nor the catalogue.

    Args:
        hardware: `schemas.Hardware`.
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
    # a model may be complete on one node and not on another, with a shorter description
    of_gpus = (
        _rows_per_gpu(hardware)
        .group_by("gpu_models")
        .agg(
            generation=pl.col("gpu_generations").is_null().any(),
            limit=pl.col("gpu_limits_w").is_null().any(),
        )
        .filter(pl.col("generation") | pl.col("limit"))
        .with_columns(
            missing=pl.when("generation", "limit")
            .then(pl.lit("generation, power limit"))
            .when("limit")
            .then(pl.lit("power limit"))
            .otherwise(pl.lit("generation"))
        )
    )
    texts = {text for frame in of_nodes for (text,) in frame.iter_rows()}
    texts |= {
        f"GPU {model}: {missing}"
        for model, missing in of_gpus.select("gpu_models", "missing").iter_rows()
    }
    return sorted(texts)


def rejected_hardware(
    hardware: pl.DataFrame, given: HardwareSettings | None = None
) -> pl.DataFrame:
    """Return the nodes with unknown hardware and the configured names without a node; log both.

    Args:
        hardware: `schemas.Hardware`.
        given: `hardware` of the configuration; None: empty.

    Returns:
        `schemas.RejectedRows` with at most one row of each. The example lists all unknown models.
    """
    of_gpus = pl.col("gpu_generations", "gpu_limits_w")
    incomplete = hardware.filter(
        pl.any_horizontal(
            pl.col("cpu_model", "tdp_w", "memory_gb").is_null(),
            of_gpus.list.drop_nulls().list.len() < of_gpus.list.len(),
        )
    )
    names = set(hardware["node"]) | set(hardware["cluster"])
    without_node = sorted(set((given or {}).get("nodes", {})) - names)
    missing = unknown_hardware(hardware)
    for text in missing:
        LOG.warning("the catalogue lacks %s", text)
    for name in without_node:
        LOG.warning("hardware.nodes.%s: %s", name, NO_NODE_REASON)
    rows = [
        ("catalogue", UNKNOWN_REASON, incomplete["node"].n_unique(), "; ".join(missing)),
        ("hardware.nodes", NO_NODE_REASON, len(without_node), ", ".join(without_node)),
    ]
    return pl.DataFrame(
        [("hardware", *row) for row in rows if row[2]],
        schema=["stage", "source", "reason", "n_rows", "example"],
        orient="row",
    )


def latest_hardware(hardware: pl.DataFrame) -> pl.DataFrame:
    """Return the last description of each node, sorted by node.

    Args:
        hardware: `schemas.Hardware`.
    """
    return hardware.sort("node", "valid_from").group_by("node", maintain_order=True).last()


def _rows_per_gpu(hardware: pl.DataFrame) -> pl.DataFrame:
    """One row for each GPU of each node: `gpu_models`, `gpu_generations`, `gpu_limits_w`."""
    lists = ["gpu_models", "gpu_generations", "gpu_limits_w"]
    return hardware.select(lists).explode(lists, empty_as_null=False, keep_nulls=False)


def _given_columns(name: str) -> tuple[str, str]:
    """Names of the columns of a configured value of a node and of its cluster."""
    return f"given_{name}", f"given_{name}_of_cluster"


def _given_nodes(given: HardwareSettings) -> pl.DataFrame:
    """Configured values by `name` of a node or cluster, in the columns `given_...`."""
    values = {"cpu_model": pl.String, "memory_gb": pl.Float64, "gpu_power_limit_w": pl.Float64}
    return pl.DataFrame(
        [
            {"name": name} | {f"given_{key}": entry.get(key) for key in values}
            for name, entry in given.get("nodes", {}).items()
        ],
        schema={"name": pl.String} | {f"given_{key}": dtype for key, dtype in values.items()},
    )


def _known_cpus(given: HardwareSettings) -> pl.DataFrame:
    """`cpu_model` and `tdp_w` of the configuration and, for other models, of the catalogue."""
    own = {model: float(entry["tdp_w"]) for model, entry in given.get("cpus", {}).items()}
    known = dict(read_cpus().select("cpu_model", "tdp_w").iter_rows()) | own
    return pl.DataFrame(
        list(known.items()), schema={"cpu_model": pl.String, "tdp_w": pl.Float64}, orient="row"
    )


def _known_gpus(given: HardwareSettings) -> pl.DataFrame:
    """The catalogue of GPUs with the values of the configuration, without `source`."""
    catalogue = read_gpus().drop("source")
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


def order_generations(generations: Iterable[str]) -> list[str]:
    """Return generations of GPUs in the order of their release; unknown ones last, by name."""
    order = {name: rank for rank, name in enumerate(GENERATIONS)}
    return sorted(generations, key=lambda name: (order.get(name, len(order)), name))
