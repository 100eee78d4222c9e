"""Readers' tables of energy: by level and by class, with the power readings and the check."""

from __future__ import annotations

import polars as pl

from footprint.core.latex import NARROW_SPACE
from footprint.core.sums import exact_sum, known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import MEASURED_METHOD, NODE_CLASSES
from footprint.energy.job_count import JOB_COUNT_NOTE
from footprint.levels.levels import LEVEL_HEADINGS, LEVELS
from footprint.report.tables.formats import Column, ReaderTable, total_columns
from footprint.report.wording import CLASS_NAMES
from footprint.sources.kwollect.collected_metrics import uncollected_nodes
from footprint.totals.known_total import known_total

CLASS_DEFINITIONS = (
    "Each node's energy is split into classes. Job: the shares that jobs held. Stranded: the free "
    "part of a node with a job. Idle: on, without a job. Standby: below the power threshold. "
    "Unavailable: absent, suspected, dead or in maintenance."
)

NODE_ENERGY_NOTE = (
    "Energies are totals: measured where readings exist, estimated elsewhere. Measured: the part "
    "of all energy that readings cover. Time with readings: part of the node time."
)


def levels_table(levels: pl.DataFrame, *, redistribution: str) -> ReaderTable:
    """Energy at each level: the site, the overhead, queues, projects, people and papers.

    Args:
        levels: `schemas.Levels`; the table has the rows of the measurement.
        redistribution: `levels.redistribution` of the configuration, named in the note.
    """
    order = pl.col("level").cast(pl.Enum(LEVELS))
    largest_first = levels.filter(pl.col("method") == MEASURED_METHOD).sort(
        order, "total_kwh", "name", descending=[False, True, False], nulls_last=True
    )
    rows = largest_first.with_columns(
        pl.col("level").replace_strict(LEVEL_HEADINGS, return_dtype=pl.String).alias("group"),
        (pl.col("level") == "site").alias("is_total"),
        pl.when(pl.col("level") != "overhead").then("n_jobs"),
        pl.when(pl.col("level") == "overhead")
        .then(pl.col("name").replace(CLASS_NAMES))
        .otherwise("name")
        .alias("name"),
        (pl.col("total_kwh") + pl.col("overhead_kwh")).alias("with_overhead_kwh"),
    )
    parts = {"measured_kwh": "Measured", "estimated_kwh": "Estimated"}
    columns = [
        Column(name="name", header="Name"),
        Column(name="n_jobs", header="Jobs", decimals=0),
        Column(name="n_users", header="People", decimals=0, printed=False),
        *total_columns(),
        *(
            Column(name=name, header=text, unit="kWh", digits=3, printed=False)
            for name, text in parts.items()
        ),
        Column(
            name="coverage_frac",
            header="Time with readings",
            unit="%",
            decimals=1,
            scale=100,
            printed=False,
        ),
        Column(name="unknown_node_h", header="Unknown", unit="node h", digits=3),
        Column(name="gpu_node_frac", header="On GPU nodes", unit="%", decimals=0, scale=100),
        Column(name="gpu_hours", header="GPU time", unit="h", digits=3, printed=False),
        Column(name="core_hours", header="Core time", unit="h", digits=3, printed=False),
    ]
    note = (
        "Total: energy that readings cover, and the estimate for the time without readings. Low "
        "and high: its 95 % interval. Measured: the part that readings cover. Unknown: allocated "
        "node hours with neither readings nor an estimate; where there are any, the total is at "
        f"least the given energy. {JOB_COUNT_NOTE} Groups of few people are shown together."
    )
    if rows["overhead_kwh"].count():
        columns.append(
            Column(name="with_overhead_kwh", header="With overhead", unit="kWh", digits=3)
        )
        rule = {
            "energy": "in proportion to their energy",
            "resource_hours": "in proportion to the GPU and core hours that they held",
            "users": "in equal parts for each person",
        }[redistribution]
        note += (
            " With overhead: the total plus a part of the overhead (stranded, idle, standby and "
            f"unavailable hardware), divided among the jobs {rule}."
        )
    return ReaderTable(
        name="levels",
        title="Energy at each level of the study",
        note=note,
        rows=rows,
        columns=columns,
    )


def energy_by_class_table(node_energy: pl.DataFrame) -> ReaderTable:
    """Energy of each cluster and of the site, by class.

    Args:
        node_energy: `schemas.NodeEnergy`.
    """
    present = [name for name in NODE_CLASSES if name in node_energy["class"].cast(pl.String)]
    kwh, duration_s = known_total(), pl.col("duration_s")
    of_class, is_measured = pl.col("class"), pl.col("class") != "no_data"
    sums = [
        pl.col("node").n_unique().cast(pl.Int64).alias("n_nodes"),
        *(known_sum(kwh.filter(of_class == name)).alias(name) for name in present),
        known_sum(kwh).alias("total_kwh"),
        quotient(sum_or_zero(pl.col("measured_kwh")), sum_or_zero(kwh)).alias("measured_frac"),
        (sum_or_zero(duration_s) * H_PER_S).alias("node_h"),
        quotient(sum_or_zero(duration_s.filter(is_measured)), sum_or_zero(duration_s)).alias(
            "coverage_frac"
        ),
        sum_or_zero(pl.col("unknown_node_h")).alias("unknown_node_h"),
        sum_or_zero(pl.col("overcount_kwh")).alias("overcount_kwh"),
        sum_or_zero(pl.col("left_out_kwh")).alias("left_out_kwh"),
    ]
    clusters = node_energy.group_by("cluster").agg(sums).sort("cluster")
    site = node_energy.select(pl.lit("all clusters").alias("cluster"), *sums).head(1)
    rows = pl.concat([clusters, site]) if len(clusters) else clusters
    rows = rows.with_columns((pl.col("cluster") == "all clusters").alias("is_total"))
    shown = [name for name in present if name != "no_data"]
    columns = [
        Column(name="cluster", header="Cluster"),
        Column(name="n_nodes", header="Nodes", decimals=0),
        *(Column(name=name, header=name.capitalize(), unit="kWh", digits=3) for name in shown),
        Column(name="total_kwh", header="All", unit="kWh", digits=3),
        Column(name="measured_frac", header="Measured", unit="%", decimals=1, scale=100),
        Column(name="node_h", header="Time", unit="node h", digits=3, printed=False),
        Column(name="coverage_frac", header="Time with readings", unit="%", decimals=1, scale=100),
        Column(name="unknown_node_h", header="Unknown", unit="node h", digits=3, printed=False),
    ]
    note = f"{CLASS_DEFINITIONS} {NODE_ENERGY_NOTE}"
    residues = {
        "overcount_kwh": (
            "Counted again",
            "Counted again: energy counted by more than one job of a node.",
        ),
        "left_out_kwh": ("Left out", "Left out: energy of jobs outside their samples."),
    }
    for name, (header, meaning) in residues.items():
        if (rows[name] > 0).any():
            columns.insert(-4, Column(name=name, header=header, unit="kWh", digits=3))
            note += f" {meaning}"
    return ReaderTable(
        name="energy_by_class",
        title="Energy of each cluster by class",
        note=note,
        rows=rows,
        columns=columns,
    )


def quality_table(
    quality: pl.DataFrame, rejected: pl.DataFrame, nodes: pl.DataFrame, *, metric: str
) -> ReaderTable:
    """Power readings of each cluster, the rejected ones by reason, and other rejected rows.

    Args:
        quality: `schemas.Quality`.
        rejected: `schemas.RejectedRows`; the note counts them by stage and reason.
        nodes: `schemas.Nodes`; the note names those whose power is recorded only for jobs that
            request it.
        metric: Kwollect metric that is integrated.
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
        rejected.group_by("stage", "reason")
        .agg(exact_sum(pl.col("n_rows")))
        .sort("stage", "reason")
    )
    note = (
        "Readings of the power sensors. Kept: readings that are integrated. Stuck: rejected "
        "readings that repeat one value for 20 minutes or more although the node's power must have "
        "changed; the energy of this time is estimated. Gaps: pairs of neighbouring samples "
        "farther apart than integration.max_gap_s."
    )
    has_summaries = (quality["n_summary"] > 0).any()
    if has_summaries:
        note += (
            " From means: where the source had no single readings of a node on a day, its 5-minute "
            "means replace them, with one value every 5 s."
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
            " Merged: added to the reading of another part of the node. Incomplete: another part "
            "of the node has no reading at that time."
        )
    if uncollected := uncollected_nodes(nodes, metric):
        note += (
            f" By default, no power is collected for {', '.join(uncollected)}: without readings, "
            "their power is unknown, not 0 W."
        )
    if len(reasons):
        parts = [f"{stage}: {reason} ({n:,})" for stage, reason, n in reasons.iter_rows()]
        note += " Other rejected rows: " + "; ".join(parts).replace(",", NARROW_SPACE) + "."
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
        title="Power readings, and rejected readings by reason",
        note=note,
        rows=rows,
        columns=[Column(name="cluster", header="Cluster"), *numbers[:3], kept, *numbers[3:]],
    )


def simulation_check_table(check: pl.DataFrame) -> ReaderTable:
    """Measured against metered and totals against true energy of simulated jobs, by sensor step.

    Args:
        check: `schemas.SimulationCheck`.
    """
    step_w = pl.col("sensors").str.strip_suffix(" W").cast(pl.Float64, strict=False)
    is_total = pl.col("sensors") == "all"
    rows = check.sort(is_total, step_w, nulls_last=True).with_columns(is_total.alias("is_total"))

    def percent(name: str, header: str, decimals: int) -> Column:
        return Column(name=name, header=header, unit="%", decimals=decimals, scale=100)

    return ReaderTable(
        name="simulation_check",
        title="Energies of jobs against the truth of the simulated site",
        note=(
            "Jobs: jobs with a total energy, measured or estimated. Jobs compared: those over 10 "
            "minutes that were measured all the time; errors are theirs, of the measured energy "
            "against that of a perfect meter of the same gain. Truth inside: part of all jobs "
            "whose 95 % interval of the total contains the energy that the nodes really drew. "
            "Width: median width of that interval, relative to the true energy. Gains are common "
            "to the nodes of a model: the jobs of one site are not independent cases."
        ),
        rows=rows,
        columns=[
            Column(name="sensors", header="Sensor step"),
            Column(name="n_jobs", header="Jobs", decimals=0),
            Column(name="n_jobs_compared", header="Jobs compared", decimals=0),
            percent("median_error_frac", "Median error", 3),
            percent("largest_error_frac", "Largest error", 3),
            percent("inside_frac", "Truth inside", 1),
            percent("median_width_frac", "Width", 2),
        ],
    )
