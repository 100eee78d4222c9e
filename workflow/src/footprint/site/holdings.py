"""Records of OAR jobs -> one row a job, what each held, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl

from footprint import node_names, tables
from footprint.errors import InputError
from footprint.node_names import GRID5000 as GRID5000_NAME
from footprint.site import JobRecords, job_checks
from footprint.site.oar import NOT_STARTED, RECORD, SAVE_JOBS, SAVE_RESOURCES, STATES, TIMES
from footprint.site.reference import SAVE_NODE, UNKNOWN_SINCE

GRID5000 = ".grid5000.fr"
JOBS_AT_ONCE = 5_000
"""Jobs whose cores are unfolded together: bounds the memory."""

MOST_NAMES = 200
"""Jobs, nodes or cores that a message lists."""

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

    Set aside, and counted by file and reason: records with a fault (`job_checks.fault`), repeated
    records, jobs outside [start, end), started jobs without an end, times or nodes, or that held
    nothing, jobs whose nodes are all on clusters that `nodes` does not describe, and the nodes of
    other clusters of a job that also held described ones. A job that never started counts by the
    time of its submission. Limits of jobs that are kept are counted beside them: an end in a state
    that OAR does not have, an impossible walltime of a job that ended (unknown then).

    Args:
        records: Rows as `oar.RECORD` describes them, of any number of answers.
        nodes: Hardware (`tables.Nodes`) of every node of the clusters of the study.
        site: Site of the jobs.
        start: Start of the window.
        end: End of the window, excluded.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: Records of a job contradict each other; none of the jobs that ran comes with its
            times, or with its nodes; a job held a resource that no file explains; a node of a
            described cluster has no description, or not the core that a job held; a node is of
            another site. The message lists all of the jobs or nodes.
    """
    records = records.with_columns(fault=job_checks.fault())
    usable = pl.col("fault").is_null()
    aside = [_aside(records.filter(~usable), pl.col("fault"))]
    records = records.with_columns(reason=job_checks.revived()).filter(usable)
    aside.append(_aside(records.drop_nulls("reason"), pl.col("reason")))
    jobs, repeated = merge(records.filter(pl.col("reason").is_null()).drop("reason"))
    aside.append(repeated)
    inside = _inside(start, end)
    ran = ~pl.col("state").is_in(NOT_STARTED)
    timeless = jobs.filter(ran & ~pl.col("has_times"))
    if len(timeless) and len(timeless) == len(jobs.filter(ran)):
        raise InputError(
            f"{_names('job', timeless['job_id'])} {_verb(timeless['job_id'], 'is', 'are')}"
            f" {_names('', timeless['state'])}, but no file says when it ran",
            where=_files(timeless),
            do=SAVE_JOBS,
        )
    aside.append(_aside(timeless, job_checks.NO_TIMES))
    jobs = jobs.join(timeless, on="job_id", how="anti")
    aside.append(_aside(jobs.filter(~inside), "outside the window"))
    jobs = jobs.filter(inside)
    cannot = job_checks.incomplete()
    aside.append(_aside(jobs.filter(cannot.is_not_null()), cannot))
    jobs = jobs.filter(cannot.is_null())
    nameless = jobs.filter(pl.col("started_at").is_not_null() & ~pl.col("tells_nodes"))
    if len(nameless) and len(nameless) == len(jobs.drop_nulls("started_at")):
        what = f"no file names the nodes of {_names('job', nameless['job_id'])}"
        raise InputError(what, where=_files(nameless), do=SAVE_JOBS)
    aside.append(_aside(nameless, job_checks.NO_NODES))
    jobs = jobs.join(nameless, on="job_id", how="anti")
    _check_resources(jobs)
    held_nothing = pl.col("started_at").is_not_null() & (pl.col("held").list.len() == 0)
    aside.append(_aside(jobs.filter(held_nothing), job_checks.HELD_NOTHING))
    jobs = jobs.filter(~held_nothing)
    foreign = ~pl.col("state").is_in(STATES)
    aside.append(_aside(jobs.filter(foreign), job_checks.END_USED))
    no_walltime = ~job_checks.is_walltime().fill_null(True)
    aside.append(_aside(jobs.filter(no_walltime), job_checks.WALLTIME_DROPPED))
    jobs = jobs.with_columns(walltime_s=pl.when(~no_walltime).then("walltime_s"))
    jobs, cut = job_checks.suspensions(jobs)
    aside.append(_aside(cut, pl.col("reason")))

    held = pl.concat([pl.DataFrame(schema=HELD_ROW), *_held_nodes(jobs, site, pattern)])
    described = pl.col("cluster").is_in(nodes["cluster"].unique().implode())
    elsewhere, held = held.filter(~described), held.filter(described)
    here = pl.col("job_id").is_in(held["job_id"].unique().implode())
    away = pl.col("job_id").is_in(elsewhere["job_id"].unique().implode()) & ~here
    aside.append(_aside(jobs.filter(away), "on other clusters only"))
    partly = elsewhere.filter(here)
    aside.append(_aside(partly, "node of another cluster"))
    jobs = jobs.filter(~away)
    table = allocations(held, nodes=nodes)
    outlasted = job_checks.outlasted(jobs, table)
    aside.append(_aside(jobs.join(outlasted, on="job_id", how="semi"), job_checks.NO_WALLTIME))
    return JobRecords(
        _job_rows(jobs.join(outlasted, on="job_id", how="anti"), site).lazy(),
        table.join(outlasted, on="job_id", how="anti").lazy(),
        tables.conform(tables.SetAside, pl.concat(aside)).lazy(),
    )


def merge(records: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One record a job, and the count of the others by file (`tables.SetAside`).

    OAR lists a moldable job several times, pages overlap, and the same job may stand in several
    exports. An ended record beats one of a running job, one with times beats one without, a fuller
    one a sparser one; a larger walltime and then the order of the files break ties. What the best
    record does not know comes from the next one that does; nodes come from the record that tells
    most about them. Of several walltimes of an ended job, the smallest that is not shorter than
    the job lasted counts; it is unknown where all are shorter. Other ends than that of the best
    record have a reason of their own.

    Raises:
        InputError: A job has two owners or two times of submission.
    """
    fields = [name for name in RECORD if name not in ("job_id", "held", "file")]
    detail = pl.col("held").list.eval(pl.element().struct.field("cores").is_not_null())
    records = records.with_columns(
        ended=job_checks.has_ended(),
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
    own = ["state", "ended", "stopped_at"]
    alike = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).first()) for name in own)
    walltimes = pl.col("walltime_s").filter(alike).drop_nulls()
    lasted = pl.col("stopped_at").drop_nulls().first() - pl.col("started_at").drop_nulls().first()
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
            if name not in (*best, *by_detail, "has_times", "tells_nodes", "walltime_s")
        },
        walltime_s=pl.when(pl.col("ended").first() & (walltimes.n_unique() > 1))
        .then(walltimes.filter(walltimes >= lasted).min())
        .otherwise(pl.col("walltime_s").drop_nulls().first()),
    )
    end = pl.col("stopped_at").filter("ended").drop_nulls().first().over("job_id")
    differs = (pl.col("ended") & (pl.col("stopped_at") != end)).fill_null(False)
    reason = pl.when(differs).then(pl.lit(job_checks.OTHER_END)).otherwise(pl.lit("repeated"))
    others = several.with_columns(reason=reason).filter(~pl.col("job_id").is_first_distinct())
    jobs = pl.concat([records.filter(~twice), merged.select(records.columns)])
    return jobs.select(list(RECORD)).sort("job_id"), _aside(others, pl.col("reason"))


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
    stray = held.filter(pl.col("own_cores").is_null())
    if len(stray):
        jobs, names = _names("job", stray["job_id"]), _names("node", stray["node"])
        what = f"{jobs} held {names}, which {_verb(stray['node'], 'is', 'are')} not described"
        raise InputError(what, where=_files(stray), do=SAVE_NODE)
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
    lacking = by_core.filter(pl.col("known").is_null())
    if len(lacking):
        place = pl.format("{} of {}", "core", "node")
        jobs = _names("job", lacking["job_id"])
        cores = _names("core", lacking.select(place).to_series())
        what = f"{jobs} held {cores}, which its description lacks"
        do = "compare the node's `architecture`, or save its description of that time"
        raise InputError(what, where=_files(lacking), do=do)
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
        strangers = rows.filter(foreign)
        if len(strangers):
            jobs_there, names = _names("job", strangers["job_id"]), _names("", strangers["node"])
            be = _verb(strangers["node"], "is not a node", "are not nodes")
            what = f"{jobs_there} held {names}, which {be} of {site}"
            raise InputError(what, where=_files(strangers), do=ONE_SITE)
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
    for field, words in (("user", "owners"), ("submitted_at", "times of submission")):
        differing = other.filter(pl.col(field) > 1)
        if len(differing):
            have = _verb(differing["job_id"], "has", "have")
            what = f"{_names('job', differing['job_id'])} {have} different {words}"
            raise InputError(what, where=_files(differing), do=ONE_SITE)


def _check_resources(jobs: pl.DataFrame) -> None:
    lost = jobs.filter(pl.col("unknown_resource").is_not_null())
    if len(lost):
        held = _names("resource", lost["unknown_resource"])
        what = f"{_names('job', lost['job_id'])} held {held}, which no table of resources has"
        raise InputError(what, where=_files(lost), do=SAVE_RESOURCES)


def _names(word: str, values: pl.Series) -> str:
    """Each value once, in order, after a word: `job 3`, or `jobs 3, 4`."""
    each = [str(value) for value in values.unique().sort()]
    more = f" and {len(each) - MOST_NAMES} more" if len(each) > MOST_NAMES else ""
    listed = ", ".join(each[:MOST_NAMES]) + more
    return f"{word}{'s' if len(each) > 1 else ''} {listed}" if word else listed


def _verb(values: pl.Series, one: str, several: str) -> str:
    return one if values.n_unique() == 1 else several


def _files(rows: pl.DataFrame) -> str:
    return ", ".join(rows["file"].unique().sort())


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


def _aside(rows: pl.DataFrame, reason: str | pl.Expr) -> pl.DataFrame:
    """Rows counted by file and reason, with the lowest job id as example (`tables.SetAside`)."""
    counted = (
        rows.with_columns(reason=pl.lit(reason) if isinstance(reason, str) else reason)
        .group_by("file", "reason")
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("job_id").min().cast(pl.String))
    )
    return counted.select(
        stage=pl.lit("jobs"),
        source="file",
        reason="reason",
        n_rows="n_rows",
        example="example",
    )
