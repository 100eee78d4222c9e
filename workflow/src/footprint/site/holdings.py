"""Records of OAR jobs -> one row a job, what each held, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl

from footprint import node_names, tables
from footprint.errors import InputError
from footprint.node_names import GRID5000 as GRID5000_NAME
from footprint.site import JobRecords
from footprint.site.oar import ENDED, NOT_STARTED, RECORD, SAVE_JOBS, SAVE_RESOURCES, TIMES
from footprint.site.reference import SAVE_NODE, UNKNOWN_SINCE

GRID5000 = ".grid5000.fr"
JOBS_AT_ONCE = 5_000
"""Jobs whose cores are unfolded together: bounds the memory."""

ONE_SITE = "keep the files of one site only: each site numbers its own jobs"
PERIOD = ("node", "valid_from")
HELD_ROW: dict[str, Any] = {
    "job_id": pl.Int64,
    "started_at": pl.Datetime("us", "UTC"),
    "file": pl.String,
    "node": pl.String,
    "cluster": pl.String,
    "cores": pl.List(pl.Int32),
    "gpus": pl.List(pl.Int32),
}


def job_records(
    records: pl.DataFrame,
    *,
    nodes: pl.DataFrame,
    site: str,
    start: datetime,
    end: datetime,
    pattern: str = GRID5000_NAME,
) -> JobRecords:
    """Jobs of a window: those that held a node of a described cluster, and those never started.

    A job whose nodes are all on clusters that `nodes` does not describe is set aside, and so are
    jobs outside [start, end), repeated records, ended jobs without an end, and the nodes of other
    clusters of a job that also held described ones. Each is counted by file and reason. A job that
    never started counts by the time of its submission.

    Args:
        records: Rows as `oar.RECORD` describes them, of any number of answers.
        nodes: Hardware (`tables.Nodes`) of every node of the clusters of the study.
        site: Site of the jobs.
        start: Start of the window.
        end: End of the window, excluded.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: Records of a job contradict each other; a job that ran comes without times, or
            without its nodes, or with a resource that no file explains; a node of a described
            cluster has no description, or not the core that a job held; a node is of another site.
    """
    jobs, repeated = merge(records)
    _check_times(jobs)
    endless = pl.col("state").is_in(ENDED) & pl.col("started_at").is_not_null()
    endless &= pl.col("stopped_at").is_null()
    aside = [repeated, _aside(jobs.filter(endless), "ended, but no end is recorded")]
    jobs = jobs.filter(~endless)
    inside = _inside(start, end)
    aside.append(_aside(jobs.filter(~inside), "outside the window"))
    jobs = jobs.filter(inside)
    _check_nodes_told(jobs)

    held = pl.concat([pl.DataFrame(schema=HELD_ROW), *_held_nodes(jobs, site, pattern)])
    described = pl.col("cluster").is_in(nodes["cluster"].unique().implode())
    elsewhere, held = held.filter(~described), held.filter(described)
    here = pl.col("job_id").is_in(held["job_id"].unique().implode())
    away = pl.col("job_id").is_in(elsewhere["job_id"].unique().implode()) & ~here
    aside.append(_aside(jobs.filter(away), "on other clusters only"))
    partly = elsewhere.filter(here)
    aside.append(_aside(partly, "node of another cluster"))
    jobs = jobs.filter(~away)
    return JobRecords(
        _job_rows(jobs, site).lazy(),
        allocations(held, nodes=nodes).lazy(),
        tables.conform(tables.SetAside, pl.concat(aside)).lazy(),
    )


def merge(records: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One record a job, and the count of the others by file (`tables.SetAside`).

    OAR lists a moldable job several times, pages overlap, and the same job may stand in several
    exports. An ended record beats one of a running job, one with times beats one without, a fuller
    one a sparser one; a larger walltime and then the order of the files break ties. What the best
    record does not know comes from the next one that does; nodes come from the record that tells
    most about them.

    Raises:
        InputError: A job has two owners or two times of submission.
    """
    fields = [name for name in RECORD if name not in ("job_id", "held", "file")]
    detail = pl.col("held").list.eval(pl.element().struct.field("cores").is_not_null())
    records = records.with_columns(
        ended=pl.col("state").is_in(ENDED),
        known=pl.sum_horizontal(pl.col(fields).is_not_null()),
        detail=pl.col("unknown_resource").is_null().cast(pl.Int8)
        + 2 * (pl.col("held").list.len() > 0)
        + detail.list.any().fill_null(False).cast(pl.Int8),
    )
    twice = pl.col("job_id").is_duplicated()
    several = records.filter(twice).sort(
        ["job_id", "ended", "has_times", "known", "walltime_s", "file"],
        descending=[False, True, True, True, True, False],
        nulls_last=True,
        maintain_order=True,
    )
    _check_same_job(several)
    best = ["state", "ended", "known", "detail", "file"]
    by_detail = ["held", "unknown_resource"]
    merged = several.group_by("job_id", maintain_order=True).agg(
        pl.col(best).first(),
        pl.col(by_detail).sort_by("detail", descending=True, maintain_order=True).first(),
        has_times=(pl.col("has_times") & (pl.col("ended") == pl.col("ended").first())).any(),
        tells_nodes=pl.col("tells_nodes").any(),
        **{
            name: pl.col(name).drop_nulls().first()
            for name in fields
            if name not in (*best, *by_detail, "has_times", "tells_nodes")
        },
    )
    others = several.filter(~pl.col("job_id").is_first_distinct())
    jobs = pl.concat([records.filter(~twice), merged.select(records.columns)])
    return jobs.select(list(RECORD)).sort("job_id"), _aside(others, "repeated")


def allocations(held: pl.DataFrame, *, nodes: pl.DataFrame) -> pl.DataFrame:
    """Cores and GPUs that jobs held on described nodes (`tables.Allocations`).

    The hardware is that described for the job's start, and before the first description that one.
    GPUs are those that OAR tells, else those that the description gives to the cores held. Where
    only the node is known, all its cores and reservable GPUs were held.

    Args:
        held: Rows with the columns of HELD_ROW; `cores` ascending, null where only the node is
            known.
        nodes: Hardware (`tables.Nodes`) of every node of the clusters in `held`.

    Raises:
        InputError: A node is not described, or lacks a core that a job held.
    """
    first = pl.col("node").is_first_distinct()
    hardware = nodes.sort(PERIOD).with_columns(
        valid_from=pl.when(first).then(UNKNOWN_SINCE).otherwise("valid_from")
    )
    parts = [
        _allocations(part, hardware=hardware)
        for part in held.sort("job_id").iter_slices(JOBS_AT_ONCE)
    ]
    empty = pl.DataFrame(schema=tables.Allocations.create_empty().schema)
    table: pl.DataFrame = tables.conform(tables.Allocations, pl.concat([empty, *parts]))
    return table


def _allocations(held: pl.DataFrame, *, hardware: pl.DataFrame) -> pl.DataFrame:
    held = held.sort("started_at").join_asof(
        hardware.select("node", "valid_from", own_cores="cores").sort("valid_from"),
        left_on="started_at",
        right_on="valid_from",
        by="node",
        check_sortedness=False,  # both are sorted, which polars cannot see within groups
    )
    for row in held.filter(pl.col("own_cores").is_null()).head(1).iter_rows(named=True):
        what = f"job {row['job_id']} held node {row['node']}, which is not described"
        raise InputError(what, where=row["file"], do=SAVE_NODE)
    reservable = (
        hardware.explode("gpus", "gpu_reservable")
        .filter("gpu_reservable")
        .group_by(PERIOD)
        .agg(reservable=pl.col("gpus").sort())
    )
    whole = pl.col("cores").is_null()
    held = held.join(reservable, on=PERIOD, how="left").with_columns(
        cores=pl.coalesce(pl.col("cores").cast(pl.List(pl.UInt16)), "own_cores"),
        basis=pl.when(whole).then(pl.lit("whole_node")).otherwise(pl.lit("cores")),
    )
    mapping = hardware.select(*PERIOD, core="cores", gpu="core_gpus", known=True)
    by_core = (
        held.select("job_id", "file", *PERIOD, core="cores")
        .explode("core")
        .join(mapping.explode("core", "gpu"), on=[*PERIOD, "core"], how="left")
    )
    for row in by_core.filter(pl.col("known").is_null()).head(1).iter_rows(named=True):
        core = f"core {row['core']} of {row['node']}"
        what = f"job {row['job_id']} held {core}, which its description lacks"
        raise InputError(what, where=row["file"], do="compare the node's `architecture`")
    by_rule = by_core.group_by("job_id", "node").agg(
        rule_gpus=pl.col("gpu").drop_nulls().unique().sort()
    )
    told = pl.when(pl.col("gpus").list.len() > 0).then(pl.col("gpus").cast(pl.List(pl.UInt8)))
    return held.join(by_rule, on=["job_id", "node"]).select(
        "job_id",
        "node",
        "cores",
        gpus=pl.when(whole)
        .then(pl.col("reservable").fill_null([]))
        .otherwise(pl.coalesce(told, "rule_gpus")),
        basis=pl.col("basis").cast(tables.Allocations.create_empty().schema["basis"]),
    )


def _held_nodes(jobs: pl.DataFrame, site: str, pattern: str) -> Iterator[pl.DataFrame]:
    """A row a job and node held, with the short name of the node and its cluster."""
    for part in jobs.select("job_id", "started_at", "file", "held").iter_slices(JOBS_AT_ONCE):
        rows = part.explode("held").drop_nulls("held").unnest("held")
        written = pl.col("node").str.split(".")
        its_site = written.list.get(1, null_on_oob=True)
        foreign = pl.col("node").str.ends_with(GRID5000) & (its_site != site)
        for row in rows.filter(foreign).head(1).iter_rows(named=True):
            what = f"job {row['job_id']} held {row['node']}, which is not a node of {site}"
            raise InputError(what, where=row["file"], do=ONE_SITE)
        short = written.list.first()
        yield rows.with_columns(
            _utc(pl.col("started_at")), node=short, cluster=node_names.cluster(short, pattern)
        ).select(list(HELD_ROW))


def _inside(start: datetime, end: datetime) -> pl.Expr:
    """Whether a job held its nodes, or was submitted and never started, in [start, end)."""
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    began, ended, asked = pl.col("started_at"), pl.col("stopped_at"), pl.col("submitted_at")
    ran = (began < end_s) & ((ended > start_s) | ended.is_null() | (began >= start_s))
    never = asked.is_between(start_s, end_s, closed="left").fill_null(True)
    return pl.when(began.is_not_null()).then(ran).otherwise(never)


def _check_same_job(several: pl.DataFrame) -> None:
    one = several.group_by("job_id", maintain_order=True).agg(
        pl.col("user", "submitted_at").drop_nulls().n_unique(),
        pl.col("file").unique().sort().str.join(", "),
    )
    other = one.filter((pl.col("user") > 1) | (pl.col("submitted_at") > 1))
    for job in other.head(1).iter_rows(named=True):
        what = "owners" if job["user"] > 1 else "times of submission"
        raise InputError(
            f"job {job['job_id']} has different {what}", where=job["file"], do=ONE_SITE
        )


def _check_times(jobs: pl.DataFrame) -> None:
    untold = ~pl.col("has_times") & ~pl.col("state").is_in(NOT_STARTED)
    for job in jobs.filter(untold).head(1).iter_rows(named=True):
        what = f"job {job['job_id']} is {job['state']}, but no file says when it ran"
        raise InputError(what, where=job["file"], do=SAVE_JOBS)


def _check_nodes_told(jobs: pl.DataFrame) -> None:
    silent = pl.col("started_at").is_not_null() & ~pl.col("tells_nodes")
    for job in jobs.filter(silent).head(1).iter_rows(named=True):
        what = f"no file names the nodes of job {job['job_id']}"
        raise InputError(what, where=job["file"], do=SAVE_JOBS)
    lost = pl.col("unknown_resource").is_not_null()
    for job in jobs.filter(lost).head(1).iter_rows(named=True):
        resource = f"resource {job['unknown_resource']}"
        what = f"job {job['job_id']} held {resource}, which no table of resources has"
        raise InputError(what, where=job["file"], do=SAVE_RESOURCES)


def _job_rows(jobs: pl.DataFrame, site: str) -> pl.DataFrame:
    """Jobs as `tables.Jobs`."""
    spell = pl.element().struct
    spells = pl.struct(_utc(spell.field(name)).alias(name) for name in ("started_at", "stopped_at"))
    rows = jobs.with_columns(
        _utc(pl.col(TIMES)),
        pl.col("types").fill_null([]),
        pl.col("suspensions").list.eval(spells),
        site=pl.lit(site),
    )
    table: pl.DataFrame = tables.conform(tables.Jobs, rows)
    return table


def _utc(seconds: pl.Expr) -> pl.Expr:
    return (seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _aside(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Rows counted by file, with the lowest job id as example (`tables.SetAside`)."""
    counted = rows.group_by("file").agg(
        n_rows=pl.len().cast(pl.Int64), example=pl.col("job_id").min().cast(pl.String)
    )
    return counted.select(
        stage=pl.lit("jobs"),
        source="file",
        reason=pl.lit(reason),
        n_rows="n_rows",
        example="example",
    )
