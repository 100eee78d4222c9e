"""Energies and variances of groups by cluster, from rows of jobs on nodes.

Errors of meters and the common part of estimates are linear in the energies of a group by cluster.
What is left is independent between groups; its variance is added up as follows (half widths are
divided by 1.96):

- *sampling*: in quadrature over nodes and jobs.
- *resolution*: a steady sensor is off by the same part of a step for all jobs on its node. Half
  widths add linearly within a node, in quadrature over nodes.
- *gaps*: an outage of the collector hides all nodes of a job, and similar jobs that run at the same
  time, at once. Half widths add linearly over the nodes of a job and correlate by 0.7 between
  similar jobs, whatever their times.
- *meter by run*: the gain changes with load. It is one error a job, alike on its nodes.
- *estimate, own part*: one error a job; similar jobs correlate by rho = 0.7::

      (1 - rho) sum_jobs e_j^2 + rho sum_similar (sum_jobs e_j)^2
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import sum_consecutive
from footprint.core.units import H_PER_S, Z95
from footprint.totals.error_model import OWN_CORRELATION, ErrorModel

ENERGY_COLUMNS = ("measured_kwh", "virtual_meter_kwh", "hardware_kwh", "measured_node_h")
"""Columns of amounts that add up over rows."""

VARIANCE_COLUMNS = ("sampling_kwh2", "resolution_kwh2", "gap_kwh2", "run_kwh2", "own_kwh2")
"""Parts of `independent_kwh2`."""

_DEVIATIONS = ("sampling_sd", "resolution_sd", "gap_sd", "run_sd", "own_sd")

OPTIONAL_COLUMNS = {
    "measured_kwh": pl.Float64,
    "own_readings_kwh": pl.Float64,
    "same_job_kwh": pl.Float64,
    "virtual_meter_kwh": pl.Float64,
    "hardware_kwh": pl.Float64,
    "sampling_kwh": pl.Float64,
    "resolution_kwh": pl.Float64,
    "gap_kwh": pl.Float64,
    "share": pl.Float64,
    "covered_s": pl.Float64,
    "similar": pl.Int64,
}
"""Columns of rows that count as 0 where they are missing; without `similar`, no job is similar."""


def row_amounts(rows: pl.LazyFrame, clusters: pl.DataFrame) -> pl.LazyFrame:
    """Add the amounts of each row: energies by kind of error, and standard deviations.

    Args:
        rows: `cluster` and, each as 0 where it is null or missing, `measured_kwh`,
            `own_readings_kwh`, `same_job_kwh`, `virtual_meter_kwh`, `hardware_kwh`,
            `sampling_kwh`, `resolution_kwh`, `gap_kwh`, `share`, `covered_s`.
        clusters: Result of `ErrorModel.cluster_table`, with all clusters of the rows.

    Returns:
        The columns of the rows that are no energies; `ENERGY_COLUMNS`, where `measured_kwh`
        includes estimates from readings of the same job, and `measured_node_h` is share x time of
        these; `sampling_sd`, `resolution_sd`, `gap_sd`, `run_sd`, `own_sd` (kWh); and the columns
        of `clusters`.
    """
    present = rows.collect_schema().names()
    missing = [pl.lit(None, t).alias(c) for c, t in OPTIONAL_COLUMNS.items() if c not in present]
    known = {name: pl.col(name).fill_null(0.0) for name in OPTIONAL_COLUMNS if name != "similar"}
    read = known["measured_kwh"]
    metered = read + known["own_readings_kwh"] + known["same_job_kwh"]
    node_h = known["share"] * known["covered_s"] * H_PER_S
    has_power = (read > 0) & (node_h > 0)
    typical_h = metered * 1e3 / pl.col("typical_power_w")
    virtual, hardware = known["virtual_meter_kwh"], known["hardware_kwh"]
    half_widths = {name: known[f"{name}_kwh"] for name in ("sampling", "resolution", "gap")}
    return (
        rows.with_columns(missing)
        .join(clusters.lazy(), on="cluster", how="left", maintain_order="left")
        .with_columns(
            measured_kwh=metered,
            virtual_meter_kwh=virtual,
            hardware_kwh=hardware,
            measured_node_h=pl.when(has_power).then(node_h * metered / read).otherwise(typical_h),
            run_sd=metered * pl.col("meter_run_sd"),
            own_sd=virtual * pl.col("virtual_meter_run_sd") + hardware * pl.col("hardware_run_sd"),
            **{f"{name}_sd": half * (1 / Z95) for name, half in half_widths.items()},
        )
    )


def group_amounts(rows: pl.LazyFrame, by: Sequence[str], model: ErrorModel) -> pl.DataFrame:
    """Return energies and independent variances of groups of rows, by cluster.

    Args:
        rows: `node`, `cluster`, the columns of `by`, and optionally `job_id` (else each node is
            taken as one job), `similar` (else, or where it is null, no other job is similar), and
            the energies of `row_amounts`.
        by: Columns that make a group.
        model: Errors of the study.

    Returns:
        `by`, `cluster`, `ENERGY_COLUMNS`, `VARIANCE_COLUMNS` (kWh^2) and their sum
        `independent_kwh2`, sorted by `by` and `cluster`. The variances are of the whole group, in
        equal parts in its rows.
    """
    by = list(by)
    present = rows.collect_schema().names()
    clusters, nodes = (
        rows.select(pl.col(name).cast(pl.String).unique().sort()).collect()[name]
        for name in ("cluster", "node")
    )
    node = pl.col("node").cast(pl.Enum(nodes)).to_physical()
    run = pl.col("job_id") if "job_id" in present else node
    keys = rows.select(by).unique().sort(by).collect().with_row_index("_group")
    amounts = (
        row_amounts(rows, model.cluster_table(clusters.to_list()))
        .join(keys.lazy(), on=by, how="left", nulls_equal=True)
        .select(
            "_group",
            pl.col("cluster").cast(pl.Enum(clusters)).to_physical().alias("_cluster"),
            run.alias("_run"),
            node.alias("_node"),
            pl.col("similar").rank("dense").fill_null(0).alias("_similar"),
            *ENERGY_COLUMNS,
            *_DEVIATIONS,
        )
        .sort("_group", "_run", "_node", *ENERGY_COLUMNS, *_DEVIATIONS)
        .collect()
    )
    return (
        _summed(amounts, ["_group", "_cluster"], ENERGY_COLUMNS)
        .with_columns(n_clusters=pl.len().over("_group"))
        .join(_independent_variances(amounts), on="_group", maintain_order="left")
        .with_columns(pl.col(VARIANCE_COLUMNS) / pl.col("n_clusters"))
        .with_columns(independent_kwh2=total_variance(VARIANCE_COLUMNS))
        .join(keys, on="_group", maintain_order="left")
        .with_columns(cluster=pl.lit(clusters).gather(pl.col("_cluster")))
        .select(
            *dict.fromkeys([*by, "cluster"]),
            *ENERGY_COLUMNS,
            *VARIANCE_COLUMNS,
            "independent_kwh2",
        )
    )


def total_variance(columns: Sequence[str]) -> pl.Expr:
    """Return the sum of the columns of a row, added from left to right."""
    found = pl.lit(0.0)
    for name in columns:
        found = found + pl.col(name)
    return found


def _independent_variances(amounts: pl.DataFrame) -> pl.DataFrame:
    """Variances of each group: `_group` and `VARIANCE_COLUMNS`."""
    of_nodes = _summed(amounts, ["_group", "_node"], ["resolution_sd"])
    of_jobs = _summed(
        amounts.with_columns(sampling_kwh2=pl.col("sampling_sd").pow(2)),
        ["_group", "_run", "_similar"],
        ["sampling_kwh2", "gap_sd", "run_sd", "own_sd"],
    )
    has_similar = pl.col("_similar") > 0
    of_similar = _summed(of_jobs.filter(has_similar), ["_group", "_similar"], ["gap_sd", "own_sd"])
    alone = pl.when(has_similar).then(1 - OWN_CORRELATION).otherwise(1.0)
    together = of_similar.select(
        "_group", *(pl.col(name).pow(2) * OWN_CORRELATION for name in ("gap_sd", "own_sd"))
    )
    apart = of_jobs.select(
        "_group",
        "sampling_kwh2",
        pl.col("run_sd").pow(2),
        *(pl.col(name).pow(2) * alone for name in ("gap_sd", "own_sd")),
    )
    sensors = of_nodes.select("_group", pl.col("resolution_sd").pow(2))
    names = {
        "sampling_kwh2": "sampling_kwh2",
        "resolution_sd": "resolution_kwh2",
        "gap_sd": "gap_kwh2",
        "run_sd": "run_kwh2",
        "own_sd": "own_kwh2",
    }
    parts = pl.concat([apart, together, sensors], how="diagonal").with_columns(
        pl.col(list(names)).fill_null(0.0)
    )
    return _summed(parts, ["_group"], list(names)).rename(names)


def _summed(rows: pl.DataFrame, by: list[str], sums: Sequence[str]) -> pl.DataFrame:
    """Sums of consecutive rows after a stable sort by the key, which has no nulls."""
    return sum_consecutive(rows.sort(by, maintain_order=True), by, sums=sums)
