"""Figure of the energy and the time of the nodes of each cluster, by class."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import NODE_CLASSES, OVERHEAD_CLASSES
from footprint.report import wording
from footprint.report.figures import style
from footprint.totals.known_total import known_total

ROW_MM = 6.0


def energy_by_cluster(node_energy: pl.DataFrame) -> pl.DataFrame:
    """Energy and node time of each cluster by class, clusters with most energy first.

    Args:
        node_energy: `schemas.NodeEnergy`.

    Returns:
        `cluster`, `class`, `total_kwh` (null for no_data), `node_h`, `n_nodes` (of the cluster),
        `measured_frac` (measured part of the node time of the cluster).
    """
    known = pl.col("class") != "no_data"
    clusters = (
        node_energy.lazy()
        .group_by("cluster")
        .agg(
            sum_or_zero(known_total()).alias("cluster_kwh"),
            pl.col("node").n_unique().alias("n_nodes"),
            (
                sum_or_zero(pl.col("duration_s").filter(known)) / sum_or_zero(pl.col("duration_s"))
            ).alias("measured_frac"),
        )
    )
    return (
        node_energy.lazy()
        .group_by("cluster", "class")
        .agg(
            known_sum(known_total()).alias("total_kwh"),
            (sum_or_zero(pl.col("duration_s")) * H_PER_S).alias("node_h"),
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
    energy, jobs, overhead = classes.select(
        sum_or_zero(kwh).alias("energy"),
        sum_or_zero(kwh.filter(of_class == "job")).alias("jobs"),
        sum_or_zero(kwh.filter(of_class.is_in(OVERHEAD_CLASSES))).alias("overhead"),
    ).row(0)
    if not energy:
        return f"No energy is known at {site.title()}"
    return (
        f"{wording.format_percent(jobs / energy)} of the {wording.format_energy(energy)} that the "
        f"nodes of {site.title()} drew went into jobs, "
        f"{wording.format_percent(overhead / energy)} into hardware without a job"
    )


@style.with_style
def plot(node_energy: pl.DataFrame, *, site: str, provenance: str) -> Figure:
    """Bars of energy and of node time by class, a row for each cluster.

    Args:
        node_energy: `schemas.NodeEnergy`.
        site: Name of the site.
        provenance: The foot line.
    """
    classes = energy_by_cluster(node_energy)
    clusters = classes["cluster"].unique(maintain_order=True).to_list()
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=34 + ROW_MM * max(len(clusters), 3),
        title=figure_title(classes, site=site),
        provenance=provenance,
    )
    axes = drawn.subplot_mosaic(
        [["key", "key"], ["energy", "time"]],
        height_ratios=[1, max(len(clusters), 3) * 1.3],
        width_ratios=[1.25, 1],
    )
    if not clusters:
        axes["key"].set_axis_off()
        for name in ("energy", "time"):
            style.draw_empty_panel(axes[name], "The study has no node.")
        return drawn
    present = [name for name in NODE_CLASSES if name in classes["class"].to_list()]
    style.draw_key(axes["key"], [style.class_patch(name) for name in present], columns=7)
    _draw_energies(axes["energy"], classes, clusters)
    _draw_times(axes["time"], classes, clusters)
    return drawn


def _draw_bars(axes: Axes, classes: pl.DataFrame, clusters: list[str], value: pl.Expr) -> None:
    """Draw stacked bars of `value`: classes from left to right, clusters from top to bottom."""
    left = dict.fromkeys(clusters, 0.0)
    rows = classes.with_columns(value.fill_null(0.0).alias("value"))
    for name in NODE_CLASSES:
        values = dict(rows.filter(pl.col("class") == name).select("cluster", "value").iter_rows())
        widths = [values.get(cluster, 0.0) for cluster in clusters]
        look = style.UNKNOWN_LOOK if name == "no_data" else {"color": style.CLASS_COLOURS[name]}
        axes.barh(range(len(clusters)), widths, left=list(left.values()), height=0.72, **look)
        left = {
            cluster: left[cluster] + width for cluster, width in zip(clusters, widths, strict=True)
        }
    axes.set_ylim(len(clusters) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _draw_energies(axes: Axes, classes: pl.DataFrame, clusters: list[str]) -> None:
    rows = classes.group_by("cluster").agg(
        known_sum(pl.col("total_kwh")), pl.col("measured_frac", "n_nodes").first()
    )
    of_cluster = {row["cluster"]: row for row in rows.iter_rows(named=True)}
    largest = max((row["total_kwh"] or 0.0) for row in of_cluster.values())
    unit, in_kwh = wording.energy_unit(largest)
    _draw_bars(axes, classes, clusters, pl.col("total_kwh") / in_kwh)
    for place, cluster in enumerate(clusters):
        row = of_cluster[cluster]
        kwh, measured = row["total_kwh"], row["measured_frac"]
        text = wording.format_energy(kwh)
        if kwh is not None and measured < style.FULL_COVERAGE:
            text += f", {wording.format_percent(measured)} of the time measured"
        axes.annotate(
            text,
            ((kwh or 0.0) / in_kwh, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=style.INK
            if kwh is not None and measured >= style.FULL_COVERAGE
            else style.ACCENT,
            fontsize=7,
        )
    axes.set_yticks(
        range(len(clusters)),
        [f"{cluster} × {of_cluster[cluster]['n_nodes']}" for cluster in clusters],
    )
    # room for the label of the longest bar
    axes.set_xlim(0, (largest or 1.0) / in_kwh * 1.45)
    # without any energy there is no scale
    axes.xaxis.set_major_locator(MaxNLocator(5) if largest else NullLocator())
    axes.set_xlabel(f"Energy ({unit}) of each cluster × its nodes")


def _draw_times(axes: Axes, classes: pl.DataFrame, clusters: list[str]) -> None:
    whole = sum_or_zero(pl.col("node_h")).over("cluster")
    _draw_bars(axes, classes, clusters, 100 * pl.col("node_h") / whole)
    axes.set_yticks(range(len(clusters)), [""] * len(clusters))
    axes.set_xlim(0, 100)
    axes.set_xlabel("Node time (%)")
