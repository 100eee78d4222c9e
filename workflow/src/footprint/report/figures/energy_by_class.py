"""Figure of the energy and the time of the nodes of each cluster, by class."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import NODE_CLASSES, OVERHEAD_CLASSES
from footprint.report import wording
from footprint.report.figures import style
from footprint.totals.known_total import known_total

ROW_MM = 6.0
KEY_COLUMNS = 7
NARROW_KEY_COLUMNS = 3
"""Columns of the key in a figure of one column."""
LEAST_SEPARATED_FRAC = 0.012
"""Least width of a bar with white edges, as a fraction of the axis: they would hide a narrower
one."""


def energy_by_cluster(node_energy: pl.DataFrame) -> pl.DataFrame:
    """Energy and node time of each cluster by class, clusters with most energy first.

    Args:
        node_energy: `schemas.NodeEnergy`.

    Returns:
        `cluster`, `class`, `measured_kwh`, `estimated_kwh`, `total_kwh` (measured and estimated;
        null for no_data), `node_h` (time with readings; for no_data, without), `n_nodes` and
        `measured_frac` (measured part of the energy) of the cluster, `unknown_node_h`.
    """
    total = known_total()
    clusters = (
        node_energy.lazy()
        .group_by("cluster")
        .agg(
            sum_or_zero(total).alias("cluster_kwh"),
            pl.col("node").n_unique().alias("n_nodes"),
            quotient(sum_or_zero(pl.col("measured_kwh")), sum_or_zero(total)).alias(
                "measured_frac"
            ),
        )
    )
    return (
        node_energy.lazy()
        .group_by("cluster", "class")
        .agg(
            known_sum(pl.col("measured_kwh")),
            known_sum(pl.col("estimated_kwh").drop_nulls()),
            known_sum(total).alias("total_kwh"),
            (sum_or_zero(pl.col("duration_s")) * H_PER_S).alias("node_h"),
            sum_or_zero(pl.col("unknown_node_h")),
        )
        .join(clusters, on="cluster")
        .sort("cluster_kwh", "cluster", "class", descending=[True, False, False])
        .drop("cluster_kwh")
        .collect()
    )


def figure_title(classes: pl.DataFrame, *, site: str) -> str:
    """Title of the figure: the parts of the jobs and of the overhead.

    Args:
        classes: Result of `energy_by_cluster`.
        site: Name of the site.
    """
    kwh, of_class = pl.col("total_kwh"), pl.col("class")
    energy, measured, jobs, overhead, unknown_h = classes.select(
        sum_or_zero(kwh).alias("energy"),
        sum_or_zero(pl.col("measured_kwh")).alias("measured"),
        sum_or_zero(kwh.filter(of_class == "job")).alias("jobs"),
        sum_or_zero(kwh.filter(of_class.is_in(OVERHEAD_CLASSES))).alias("overhead"),
        sum_or_zero(pl.col("unknown_node_h")).alias("unknown_h"),
    ).row(0)
    if not energy:
        return f"The energy of the nodes of {site.title()} is unknown"
    part = measured / energy
    energy_text = wording.format_qualified(
        wording.format_energy(energy), measured_frac=part, unknown_node_h=unknown_h
    )
    return (
        f"The nodes of {site.title()} drew {energy_text} ({wording.format_percent(part)} "
        f"measured): {wording.format_percent(jobs / energy)} in jobs, "
        f"{wording.format_percent(overhead / energy)} in hardware without a job"
    )


@style.with_style
def plot(
    node_energy: pl.DataFrame,
    *,
    site: str,
    provenance: str,
    width_mm: float = style.TEXT_MM,
) -> Figure:
    """Bars of energy and of node time by class, a row for each cluster.

    Measured energy is followed by estimated energy in lighter colours.

    Args:
        node_energy: `schemas.NodeEnergy`.
        site: Name of the site.
        provenance: The foot line.
        width_mm: Width; in a figure of one column, node time is below energy.
    """
    classes = energy_by_cluster(node_energy)
    clusters = classes["cluster"].unique(maintain_order=True).to_list()
    present = [name for name in NODE_CLASSES if name in classes["class"].to_list()]
    patches = [style.class_patch(name) for name in present]
    if (classes["estimated_kwh"] > 0).any():
        patches.append(style.estimated_patch())
    is_narrow = width_mm < style.TEXT_MM
    columns = NARROW_KEY_COLUMNS if is_narrow else KEY_COLUMNS
    n_rows = max(len(clusters), 3)
    key = 5.0 * max(1, -(-len(patches) // columns))
    panel = ROW_MM * n_rows + 10
    drawn = style.new_figure(
        width_mm=width_mm,
        height_mm=22 + key + (2 if is_narrow else 1) * panel,
        title=figure_title(classes, site=site),
        provenance=provenance,
    )
    axes = drawn.subplot_mosaic(
        [["key"], ["energy"], ["time"]] if is_narrow else [["key", "key"], ["energy", "time"]],
        height_ratios=[key, panel, panel] if is_narrow else [key, panel],
        width_ratios=[1] if is_narrow else [1.25, 1],
    )
    if not clusters:
        axes["key"].set_axis_off()
        for name in ("energy", "time"):
            style.draw_empty_panel(axes[name], "The study has no node.")
        return drawn
    style.draw_key(axes["key"], patches, columns=columns)
    names = _cluster_names(classes)
    _draw_energies(axes["energy"], classes, names)
    _draw_times(axes["time"], classes, names, with_names=is_narrow)
    return drawn


def _cluster_names(classes: pl.DataFrame) -> dict[str, str]:
    """Name and number of nodes of each cluster in words."""
    rows = classes.select("cluster", "n_nodes").unique(maintain_order=True)
    return {
        cluster: f"{cluster}, {n_nodes} {'node' if n_nodes == 1 else 'nodes'}"
        for cluster, n_nodes in rows.iter_rows()
    }


def _draw_bars(
    axes: Axes,
    classes: pl.DataFrame,
    clusters: list[str],
    value: pl.Expr,
    left: dict[str, float],
    *,
    is_estimate: bool = False,
) -> None:
    """Draw stacked bars of `value` to the right of `left`, which it moves to their ends."""
    rows = classes.with_columns(value.fill_null(0.0).alias("value"))
    least = LEAST_SEPARATED_FRAC * axes.get_xlim()[1]
    for name in NODE_CLASSES:
        values = dict(rows.filter(pl.col("class") == name).select("cluster", "value").iter_rows())
        look = style.class_look(name, is_estimate=is_estimate)
        for place, cluster in enumerate(clusters):
            width = values.get(cluster, 0.0)
            is_separated = width > least and name != "no_data"
            edges = dict(style.SEPARATOR) if is_separated else {}
            axes.barh(place, width, left=left[cluster], height=0.72, **(look | edges))
            left[cluster] += width
    axes.set_ylim(len(clusters) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _draw_energies(axes: Axes, classes: pl.DataFrame, names: dict[str, str]) -> None:
    rows = classes.group_by("cluster").agg(
        known_sum(pl.col("total_kwh").drop_nulls()),
        sum_or_zero(pl.col("unknown_node_h")),
        pl.col("measured_frac", "n_nodes").first(),
    )
    of_cluster = {row["cluster"]: row for row in rows.iter_rows(named=True)}
    largest = max((row["total_kwh"] or 0.0) for row in of_cluster.values())
    unit, in_kwh = wording.energy_unit(largest)
    axes.set_xlim(0, (largest or 1.0) / in_kwh)
    clusters = list(names)
    left = dict.fromkeys(clusters, 0.0)
    _draw_bars(axes, classes, clusters, pl.col("measured_kwh") / in_kwh, left)
    measured = dict(left)
    estimated = pl.col("estimated_kwh") / in_kwh
    _draw_bars(axes, classes, clusters, estimated, left, is_estimate=True)
    for place, cluster in enumerate(clusters):
        if left[cluster] > measured[cluster]:
            edge = [measured[cluster], measured[cluster]]
            axes.plot(edge, [place - 0.36, place + 0.36], color=style.INK, lw=0.8)
        text, is_measured = _cluster_text(of_cluster[cluster])
        # beside the panel, so that the axis ends with the longest bar
        axes.annotate(
            text,
            (1.0, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=style.INK if is_measured else style.ACCENT,
            fontsize=7,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(clusters)), list(names.values()))
    # without any energy there is no scale
    axes.xaxis.set_major_locator(MaxNLocator(5) if largest else NullLocator())
    axes.set_xlabel(f"Total energy ({unit})")


def _cluster_text(row: dict[str, Any]) -> tuple[str, bool]:
    """Energy of a cluster in words, and whether at least half of it was measured."""
    kwh, part = row["total_kwh"], row["measured_frac"]
    bound = "≥ " if kwh and row["unknown_node_h"] else ""
    text = bound + wording.format_energy(kwh)
    if part is not None and part < style.FULL_COVERAGE:
        text += f",\n{wording.format_percent(part)} measured"
    return text, part is not None and part >= wording.LEAST_MEASURED_FRAC


def _draw_times(
    axes: Axes, classes: pl.DataFrame, names: dict[str, str], *, with_names: bool
) -> None:
    whole = sum_or_zero(pl.col("node_h")).over("cluster")
    axes.set_xlim(0, 100)
    left = dict.fromkeys(names, 0.0)
    _draw_bars(axes, classes, list(names), 100 * pl.col("node_h") / whole, left)
    labels = list(names.values()) if with_names else [""] * len(names)
    axes.set_yticks(range(len(names)), labels)
    axes.set_xlabel("Node time (%)")
