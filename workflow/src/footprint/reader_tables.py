"""The tables that readers find in the report: what each shows, its units, and its note."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.job_count import COUNTED
from footprint.levels import HEADINGS, LEVELS, METHOD
from footprint.report_tables import THIN_SPACE, Column, ReaderTable
from footprint.summation import exact_sum, known_sum, total
from footprint.tables import NODE_CLASSES
from footprint.units import H_PER_S

CLASSES_EXPLAINED = (
    "Every joule of a node belongs to one class. Job: held by jobs. Stranded: the part of a partly "
    "held node that nobody holds. Idle: on, without a job. Standby: below the threshold of power. "
    "Unavailable: absent, suspected or in maintenance."
)


def levels_table(levels: pl.DataFrame, *, redistribution: str) -> ReaderTable:
    """Energy at each level: the site, its offset, queues, projects, people and papers.

    Args:
        levels: `tables.Levels`, of which the measurement is shown.
        redistribution: `levels.redistribution`, named in the note.
    """
    order = pl.col("level").cast(pl.Enum(LEVELS))
    largest_first = levels.filter(pl.col("method") == METHOD).sort(
        order, "energy_kwh", "name", descending=[False, True, False], nulls_last=True
    )
    rows = largest_first.with_columns(
        pl.col("level").replace_strict(HEADINGS, return_dtype=pl.String).alias("group"),
        (pl.col("level") == "site").alias("is_total"),
        pl.when(pl.col("level") != "offset").then("n_jobs"),
        (pl.col("energy_kwh") + pl.col("offset_kwh")).alias("with_offset_kwh"),
    )
    # A site-year has six digits before the point, a small paper needs one or two behind it.
    largest = rows["energy_kwh"].max()
    decimals = 1 if isinstance(largest, float) and largest >= 1000 else 2
    columns = [
        Column(name="name", header="Name"),
        Column(name="n_jobs", header="Jobs", decimals=0),
        Column(name="n_users", header="People", decimals=0, printed=False),
        Column(name="energy_kwh", header="Energy", unit="kWh", decimals=decimals),
        Column(name="imputed_kwh", header="Imputed", unit="kWh", decimals=2, printed=False),
        Column(name="energy_low_kwh", header="Low", unit="kWh", decimals=decimals),
        Column(name="energy_high_kwh", header="High", unit="kWh", decimals=decimals),
        Column(name="coverage_frac", header="Measured", unit="%", decimals=1, scale=100),
        Column(name="unmeasured_node_h", header="Without data", unit="node h", decimals=0),
        Column(name="gpu_node_frac", header="On GPU nodes", unit="%", decimals=0, scale=100),
        Column(name="gpu_hours", header="GPU time", unit="h", decimals=0, printed=False),
        Column(name="core_hours", header="Core time", unit="h", decimals=0, printed=False),
    ]
    note = (
        "Energy: measured energy of the jobs, gated; imputed: the estimate for their time without "
        "samples, to be added. Low and high: 95 % interval of the two together. Measured: part of "
        "share × time with samples. Without data: node hours of jobs without any measurement; for "
        f"no_data, of all node time without samples. {COUNTED} Groups of few people are shown "
        "together."
    )
    if rows["offset_kwh"].count():
        columns.append(
            Column(name="with_offset_kwh", header="With offset", unit="kWh", decimals=decimals)
        )
        rule = {
            "energy": "in proportion to their energy",
            "resource_hours": "in proportion to the GPU and core hours that they held",
            "users": "to each person alike",
        }[redistribution]
        note += (
            " With offset: and the energy of stranded, idle, standby and unavailable hardware, "
            f"given to the jobs {rule}."
        )
    return ReaderTable(
        name="levels",
        title="Energy at each level of the study",
        note=note,
        rows=rows,
        columns=columns,
    )


def energy_by_class_table(node_energy: pl.DataFrame) -> ReaderTable:
    """Energy of each cluster by what its nodes were doing, and of the site.

    Args:
        node_energy: `tables.NodeEnergy`.
    """
    present = [name for name in NODE_CLASSES if name in node_energy["class"].cast(pl.String)]
    kwh, duration_s = pl.col("energy_kwh"), pl.col("duration_s")
    of_class, known = pl.col("class"), pl.col("class") != "no_data"
    sums = [
        pl.col("node").n_unique().cast(pl.Int64).alias("n_nodes"),
        *(known_sum(kwh.filter(of_class == name)).alias(name) for name in present),
        known_sum(kwh).alias("energy_kwh"),
        (total(duration_s) * H_PER_S).alias("node_h"),
        (total(duration_s.filter(known)) / total(duration_s)).alias("measured_frac"),
        total(pl.col("overcount_kwh")).alias("overcount_kwh"),
        total(pl.col("left_out_kwh")).alias("left_out_kwh"),
    ]
    clusters = node_energy.group_by("cluster").agg(sums).sort("cluster")
    site = node_energy.select(pl.lit("all clusters").alias("cluster"), *sums).head(1)
    rows = pl.concat([clusters, site]) if len(clusters) else clusters
    rows = rows.with_columns((pl.col("cluster") == "all clusters").alias("is_total"))
    shown = [name for name in present if name != "no_data"]
    columns = [
        Column(name="cluster", header="Cluster"),
        Column(name="n_nodes", header="Nodes", decimals=0),
        *(Column(name=name, header=name.capitalize(), unit="kWh", decimals=1) for name in shown),
        Column(name="energy_kwh", header="All", unit="kWh", decimals=1),
        Column(name="node_h", header="Time", unit="node h", decimals=0, printed=False),
        Column(name="measured_frac", header="Measured", unit="%", decimals=1, scale=100),
    ]
    note = (
        f"{CLASSES_EXPLAINED} Energies are those of the time with samples; measured is that part "
        "of the time."
    )
    residues = {
        "overcount_kwh": ("Counted again", "Counted again: by several jobs on one node."),
        "left_out_kwh": ("Left out", "Left out: outside the samples of a job."),
    }
    for name, (header, meaning) in residues.items():
        if (rows[name] > 0).any():
            columns.insert(-2, Column(name=name, header=header, unit="kWh", decimals=1))
            note += f" {meaning}"
    return ReaderTable(
        name="energy_by_class",
        title="Energy of each cluster by what its nodes were doing",
        note=note,
        rows=rows,
        columns=columns,
    )


def quality_table(
    quality: pl.DataFrame, set_aside: pl.DataFrame, *, uncollected: Sequence[str] = ()
) -> ReaderTable:
    """Readings of each cluster, what was set aside of them and why, and other rows set aside.

    Args:
        quality: `tables.Quality`.
        set_aside: `tables.SetAside`; counted in the note by stage and reason.
        uncollected: Nodes whose power comes only where a job asked for it; named in the note.
    """
    counts = ["n_read", "n_kept", "n_duplicate", "n_nan", "n_not_positive", "n_spike"]
    counts += ["n_drop_out", "n_merged", "n_incomplete", "n_stuck", "n_summary", "n_gaps"]
    sums = [pl.col("node").n_unique().cast(pl.Int64).alias("n_nodes"), exact_sum(pl.col(counts))]
    by_cluster = quality.with_columns(pl.col("node").str.replace(r"-[^-]*$", "").alias("cluster"))
    clusters = by_cluster.group_by("cluster").agg(sums).sort("cluster")
    site = by_cluster.select(pl.lit("all clusters").alias("cluster"), *sums).head(1)
    rows = (pl.concat([clusters, site]) if len(clusters) else clusters).with_columns(
        (pl.col("cluster") == "all clusters").alias("is_total"),
        (pl.col("n_kept") / pl.col("n_read")).fill_nan(None).alias("kept_frac"),
    )
    reasons = (
        set_aside.group_by("stage", "reason")
        .agg(exact_sum(pl.col("n_rows")))
        .sort("stage", "reason")
    )
    note = (
        "Readings of the power sensors. Kept are those integrated. Stuck readings, kept too, "
        "repeat one value for 20 minutes or more while other readings of the node show that its "
        "power moved. A gap is a pair of neighbours further apart than "
        "integration.max_gap_s."
    )
    has_summaries = (quality["n_summary"] > 0).any()
    if has_summaries:
        note += (
            " From means: where the source had no single readings of a node on a day, its means "
            "over 5 minutes stand in for them, at one value every 5 s."
        )
    optional = {
        name: header
        for name, header in {
            "n_drop_out": "Drop-outs",
            "n_merged": "Merged",
            "n_incomplete": "Incomplete",
        }.items()
        if (quality[name] > 0).any()
    }
    if "n_drop_out" in optional:
        note += " Drop-outs: below integration.off_threshold_w while a job held the node."
    if optional.keys() & {"n_merged", "n_incomplete"}:
        note += (
            " Merged: added to the reading of another part of the node. Incomplete: a part of the "
            "node has no reading at the time."
        )
    if uncollected:
        note += (
            f" Power is not collected by default of {', '.join(uncollected)}: what they drew while "
            "there are no readings is unknown, not 0 W."
        )
    if len(reasons):
        parts = [f"{stage}: {reason} ({n:,})" for stage, reason, n in reasons.iter_rows()]
        note += " Also set aside: " + "; ".join(parts).replace(",", THIN_SPACE) + "."
    headers = {
        "n_nodes": "Nodes",
        "n_read": "Readings",
        "n_kept": "Kept",
        "n_duplicate": "Duplicate",
        "n_nan": "Not a number",
        "n_not_positive": "Not positive",
        "n_spike": "Spikes",
        **optional,
        "n_stuck": "Stuck",
        **({"n_summary": "From means"} if has_summaries else {}),
        "n_gaps": "Gaps",
    }
    numbers = [
        Column(name=name, header=text, decimals=0, printed=name != "n_kept")
        for name, text in headers.items()
    ]
    kept = Column(name="kept_frac", header="Kept", unit="%", decimals=2, scale=100)
    return ReaderTable(
        name="quality",
        title="Power readings, and what was set aside of them",
        note=note,
        rows=rows,
        columns=[Column(name="cluster", header="Cluster"), *numbers[:3], kept, *numbers[3:]],
    )


def simulation_check_table(check: pl.DataFrame) -> ReaderTable:
    """Measured against true energy on the simulated site, by the step of the sensors.

    Args:
        check: `tables.SimulationCheck`.
    """
    step_w = pl.col("sensors").str.strip_suffix(" W").cast(pl.Float64, strict=False)
    rows = check.sort(step_w, nulls_last=True).with_columns(
        (pl.col("sensors") == "all").alias("is_total")
    )

    def percent(name: str, header: str, decimals: int) -> Column:
        return Column(name=name, header=header, unit="%", decimals=decimals, scale=100)

    return ReaderTable(
        name="simulation_check",
        title="Measured against true energy on the simulated site",
        note=(
            "Jobs measured: of the jobs that held a node of the study in its window, those on "
            "nodes with power readings. Errors are those of the jobs compared: over 10 minutes, "
            "and measured all the time. Truth inside: jobs whose true energy lies in their 95 % "
            "interval, of all jobs measured. Width: of that interval, relative to the energy, in "
            "the median."
        ),
        rows=rows,
        columns=[
            Column(name="sensors", header="Sensor step"),
            Column(name="n_jobs", header="Jobs measured", decimals=0),
            Column(name="n_jobs_compared", header="Jobs compared", decimals=0),
            percent("median_error_frac", "Median error", 3),
            percent("largest_error_frac", "Largest error", 3),
            percent("inside_frac", "Truth inside", 1),
            percent("median_width_frac", "Width", 2),
        ],
    )
