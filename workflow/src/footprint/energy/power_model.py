"""Power of nodes without readings: models fitted on the measured nodes, and their prediction.

Two bases, the better first: `virtual_meter` (series of GPU power and load) and `hardware` (a node
without series). Both are fitted on the segments with readings, at the power of whole nodes, and
each measured cluster is predicted once without its own readings, which gives the errors
(`model_errors`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from footprint.core.sums import sum_consecutive, sum_or_zero
from footprint.core.units import KWH_PER_J
from footprint.energy import hardware_power, model_errors, virtual_meter
from footprint.energy.model_errors import PRIOR_ERRORS, ModelError
from footprint.energy.virtual_meter import REGRESSOR_COLUMNS, Parameters
from footprint.schemas.gaps import VirtualMeter
from footprint.schemas.writing import conform

OBSERVED_SCHEMA = pl.Schema(
    {
        "node": pl.String(),
        "share": pl.Float64(),
        "duration_s": pl.Float64(),
        "covered_s": pl.Float64(),
        "energy_j": pl.Float64(),
        "gpu_j": pl.Float64(),
        "gpu_covered_s": pl.Float64(),
        "load_s": pl.Float64(),
        "load_covered_s": pl.Float64(),
        "job_ids": pl.List(pl.Int64()),
    }
)
"""Columns of observed segments: those of `Segments` and `SegmentSeries`, and the jobs on the node.

`energy_j` is measured over `covered_s` of the segment. `gpu_j` and `load_s` are integrals over
`gpu_covered_s` and `load_covered_s`; null: no series. `job_ids` are the jobs that hold a part of
the node.
"""
SEGMENT_COLUMNS = ("node", "share", "duration_s", *list(OBSERVED_SCHEMA)[5:9])
"""Columns of the segments that `predict_power` needs."""

MIN_MEASURED_S = 3600.0
"""Least time with readings of a cluster that calibrates a model."""

_HARDWARE_COLUMNS = ("has_gpu", "n_gpus", "gpu_limit_w", "tdp_w")


class _Observed(NamedTuple):
    """Sums of the observed segments that one basis can use.

    Attributes:
        clusters: `cluster`, `covered_s`, `energy_j` and the energies of `terms`.
        nodes: The same by `cluster`, `node`.
        runs: The same by `cluster`, `place` (of the node), `job_id`.
        terms: Energies whose sum with the parameters of a model is the predicted energy.
    """

    clusters: pl.DataFrame
    nodes: pl.DataFrame
    runs: pl.DataFrame
    terms: Sequence[str]


class _ClusterModel(NamedTuple):
    """Factors of the terms for a cluster: of the model in use, and without its own readings."""

    used: tuple[float, ...]
    left_out: tuple[float, ...]


def fit_power_models(observed: pl.DataFrame, hardware: pl.DataFrame) -> pl.DataFrame:
    """Fit the models on the segments with readings.

    Args:
        observed: `OBSERVED_SCHEMA`; segments without readings do not count. Results are the same to
            the last bit if the segments of each node are in the same order.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA` of all nodes of the study.

    Returns:
        `schemas.VirtualMeter`, one row for each basis and cluster of `hardware`.
    """
    nodes = hardware.sort("cluster", "node").with_columns(
        # a cluster with any GPU is one with GPUs
        is_gpu_cluster=pl.col("has_gpu").any().over("cluster"),
        place=pl.int_range(pl.len()),
    )
    has_readings = (pl.col("covered_s") > 0) & (pl.col("energy_j") > 0)
    found = ["node", "cluster", "place", "is_gpu_cluster", *_HARDWARE_COLUMNS]
    rows = (
        observed.select(list(OBSERVED_SCHEMA))
        .filter(has_readings)
        .join(nodes.select(found), on="node", maintain_order="left")
        .with_columns(*virtual_meter.regressors(), hardware_w=hardware_power.hardware_power_w())
        .sort("place", maintain_order=True)
    )
    # readings and series must be of the same time
    is_mostly_read = pl.col("covered_s") >= virtual_meter.MIN_SERIES_FRAC * pl.col("duration_s")
    with_series = _of_measured_clusters(
        rows.filter(is_mostly_read).drop_nulls(list(REGRESSOR_COLUMNS))
    )
    held = _of_measured_clusters(
        rows.filter(pl.col("share") > 0, pl.col("hardware_w") > 0).drop_nulls("hardware_w")
    )
    is_gpu = pl.col("is_gpu_cluster")
    table = [
        *_virtual_meter_rows(with_series, nodes),
        *_hardware_rows(held.filter(is_gpu), nodes.filter(is_gpu)),
        *_hardware_rows(held.filter(~is_gpu), nodes.filter(~is_gpu)),
    ]
    schema = {name: column.dtype for name, column in VirtualMeter.columns().items()}
    models: pl.DataFrame = conform(VirtualMeter, pl.DataFrame(table, schema=schema))
    return models


def predict_power(
    segments: pl.DataFrame | pl.LazyFrame, hardware: pl.DataFrame, models: pl.DataFrame
) -> pl.LazyFrame:
    """Predict the mean power of nodes over segments.

    Args:
        segments: Rows with at least `SEGMENT_COLUMNS`.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`.
        models: `schemas.VirtualMeter`.

    Returns:
        The rows of `segments` in their order with `power_w` and `basis` (`virtual_meter`,
        `hardware`; both null where hardware that the models need is unknown).
    """
    kept = segments.lazy().collect_schema().names()
    by_basis = {
        basis: models.lazy().filter(pl.col("basis").cast(pl.String) == basis)
        for basis in PRIOR_ERRORS
    }
    of_nodes = (
        hardware.lazy()
        .select("node", "cluster", *_HARDWARE_COLUMNS)
        .join(by_basis["virtual_meter"].select("cluster", *Parameters._fields), on="cluster")
        .join(by_basis["hardware"].select("cluster", "hardware_log_ratio"), on="cluster")
        .drop("cluster")
    )
    metered_w = _weighted(Parameters._fields, REGRESSOR_COLUMNS)
    by_hardware_w = pl.col("hardware_log_ratio").exp() * hardware_power.hardware_power_w()
    return (
        segments.lazy()
        .join(of_nodes, on="node", how="left", maintain_order="left")
        .with_columns(*virtual_meter.regressors())
        .with_columns(metered_w=metered_w, hardware_w=by_hardware_w)
        .select(
            *kept,
            power_w=pl.coalesce("metered_w", "hardware_w"),
            basis=pl.when(pl.col("metered_w").is_not_null())
            .then(pl.lit("virtual_meter"))
            .when(pl.col("hardware_w").is_not_null())
            .then(pl.lit("hardware")),
        )
    )


def _of_measured_clusters(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of clusters with at least `MIN_MEASURED_S` of readings."""
    times = rows.group_by("cluster").agg(sum_or_zero(pl.col("covered_s")))
    names = times.filter(pl.col("covered_s") >= MIN_MEASURED_S)["cluster"].to_list()
    return rows.filter(pl.col("cluster").is_in(names))


def _observe(rows: pl.DataFrame, terms: Mapping[str, str]) -> _Observed:
    """Sums of observed segments.

    Args:
        rows: Segments with readings, sorted by cluster and node.
        terms: Name of the energy of a power, and the column of the power in W.
    """
    energies = rows.with_columns(
        (pl.col(power) * pl.col("covered_s")).alias(name) for name, power in terms.items()
    )
    columns = ["covered_s", "energy_j", *terms]
    # a job's share of a node is constant, so it does not change the ratio of its energies
    runs = (
        energies.filter(pl.col("share") > 0)
        .select("cluster", "place", "job_ids", *columns)
        .explode("job_ids", empty_as_null=False, keep_nulls=False)
        .rename({"job_ids": "job_id"})
        .sort("place", "job_id", maintain_order=True)
    )
    nodes = sum_consecutive(energies, ["cluster", "node"], sums=columns)
    return _Observed(
        sum_consecutive(nodes, ["cluster"], sums=columns),
        nodes,
        sum_consecutive(runs, ["cluster", "place", "job_id"], sums=columns),
        list(terms),
    )


def _virtual_meter_rows(rows: pl.DataFrame, hardware: pl.DataFrame) -> list[dict[str, object]]:
    """Rows of the basis `virtual_meter` of all clusters."""
    seen = _observe(rows, {f"{name}_s": name for name in REGRESSOR_COLUMNS})
    products = virtual_meter.sum_products(rows)
    common = virtual_meter.fit_common(products)
    used = {name: virtual_meter.fit_cluster(products[name], common) for name in products}
    models = {
        name: _ClusterModel(
            used[name],
            virtual_meter.fit_common({k: v for k, v in products.items() if k != name}),
        )
        for name in products
    }
    return [
        row | used.get(name, common)._asdict()
        for name, row in _error_rows("virtual_meter", seen, models, hardware).items()
    ]


def _hardware_rows(rows: pl.DataFrame, hardware: pl.DataFrame) -> list[dict[str, object]]:
    """Rows of the basis `hardware` of the clusters of one kind, with or without GPUs.

    Args:
        rows: Held segments with readings.
        hardware: Hardware of the nodes.
    """
    seen = _observe(rows, {"hardware_j": "hardware_w"})
    ratios, times = {}, {}
    for name, time_s, energy_j, by_hardware_j in seen.clusters.iter_rows():
        ratios[name] = hardware_power.log_ratio(energy_j, by_hardware_j)
        times[name] = time_s
    common = hardware_power.mean_log_ratio(ratios)
    own = {
        name: hardware_power.own_log_ratio(ratio, common, duration_s=times[name])
        for name, ratio in ratios.items()
    }
    models = {
        name: _ClusterModel(
            (math.exp(own[name]),),
            (
                math.exp(
                    hardware_power.mean_log_ratio({k: v for k, v in ratios.items() if k != name})
                ),
            ),
        )
        for name in ratios
    }
    return [
        row | {"hardware_log_ratio": own.get(name, common)}
        for name, row in _error_rows("hardware", seen, models, hardware).items()
    ]


def _error_rows(
    basis: str,
    seen: _Observed,
    models: Mapping[str, _ClusterModel],
    hardware: pl.DataFrame,
) -> dict[str, dict[str, object]]:
    """Errors and counts of each cluster of `hardware`, without the models' parameters."""
    prior = PRIOR_ERRORS[basis]
    left_out = _predicted(seen.clusters, seen.terms, {k: v.left_out for k, v in models.items()})
    energies = {
        name: (measured_j, predicted_j)
        for name, measured_j, predicted_j in left_out.select(
            "cluster", "energy_j", "predicted_j"
        ).iter_rows()
    }
    errors = {name: math.log(a / b) for name, (a, b) in energies.items()}
    runs = {
        is_own: model_errors.error_between_runs(
            _predicted(
                seen.runs,
                seen.terms,
                {k: v.used if is_own else v.left_out for k, v in models.items()},
            ),
            prior_sd=prior.run_sd,
        )
        for is_own in (True, False)
    }
    nodes = _predicted(seen.nodes, seen.terms, {k: v.used for k, v in models.items()})
    ratio = (pl.col("energy_j") / pl.col("predicted_j")).log()
    measured = hardware.join(seen.nodes.select("node"), on="node", how="semi")
    found: dict[str, dict[str, object]] = {}
    for name in hardware["cluster"].unique().sort():
        is_measured = name in models
        own_nodes = hardware.filter(pl.col("cluster") == name)
        is_outside = not is_measured and model_errors.is_extrapolated(
            own_nodes, measured, basis=basis
        )
        error: ModelError = (
            model_errors.error_with_readings(
                nodes.filter(pl.col("cluster") == name).select(ratio).to_series().to_list(),
                prior_sd=prior.node_sd,
            )
            if is_measured
            else model_errors.error_without_readings(
                [errors[each] for each in sorted(errors)],
                prior_sd=prior.cluster_sd,
                is_extrapolated=is_outside,
            )
        )
        measured_j, predicted_j = energies.get(name, (None, None))
        found[name] = {
            "basis": basis,
            "cluster": name,
            "is_measured": is_measured,
            "is_extrapolated": is_outside,
            "measured_kwh": None if measured_j is None else measured_j * KWH_PER_J,
            "predicted_kwh": None if predicted_j is None else predicted_j * KWH_PER_J,
            "error_log": errors.get(name),
            "n_clusters": len(models),
            "run_sd_log": runs[is_measured],
            **error._asdict(),
        }
    return found


def _predicted(
    sums: pl.DataFrame, terms: Sequence[str], factors: Mapping[str, Sequence[float]]
) -> pl.DataFrame:
    """Sums with `predicted_j`: the energies of the terms times the factors of the cluster."""
    names = [f"factor_{k}" for k in range(len(terms))]
    schema = {"cluster": pl.String()} | dict.fromkeys(names, pl.Float64())
    table = pl.DataFrame([(k, *v) for k, v in factors.items()], schema=schema, orient="row")
    return sums.join(table, on="cluster", maintain_order="left").with_columns(
        predicted_j=_weighted(names, terms)
    )


def _weighted(factors: Sequence[str], values: Sequence[str]) -> pl.Expr:
    """Sum of products of columns, in their order; null where one is null."""
    first, *rest = (pl.col(a) * pl.col(b) for a, b in zip(factors, values, strict=True))
    total = first
    for each in rest:
        total = total + each
    return total
