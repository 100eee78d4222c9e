"""Rows of OAR's own tables about jobs -> records of jobs.

Columns are known by name, since sites add some; numbers may be `integer`, `bigint` or text.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint.addresses import DATABASE
from footprint.errors import InputError
from footprint.site import oar
from footprint.site.encoding import repair_column

FILE = "oar database"

TEXT_COLUMNS = {
    "user": "job_user",
    "project": "project",
    "queue": "queue_name",
    "name": "job_name",
    "command": "command",
    "directory": "launching_directory",
    "job_type": "job_type",
}
"""Texts of a job: what `oar.RECORD` and what OAR's table `jobs` calls them."""

COLUMNS = {
    "jobs": (
        *("job_id", "state", *TEXT_COLUMNS.values(), "array_id", "array_index", "exit_code"),
        *("submission_time", "start_time", "stop_time", "assigned_moldable_job"),
    ),
    "moldable_job_descriptions": ("moldable_id", "moldable_job_id", "moldable_walltime"),
    "job_resource_groups": ("res_group_id", "res_group_moldable_id", "res_group_property"),
    "job_resource_descriptions": (
        *("res_job_group_id", "res_job_resource_type", "res_job_value", "res_job_order"),
    ),
    "assigned_resources": ("moldable_job_id", "resource_id"),
    "resources": ("resource_id", "type", "network_address", "cpuset", "gpudevice"),
    "job_types": ("job_id", "type"),
    "event_logs": ("event_id", "job_id", "type", "date"),
    "job_state_logs": ("job_id", "job_state", "date_start", "date_stop"),
}
"""What `records` needs of each of OAR's tables."""

OPTIONAL = ("project", "array_id", "array_index", "exit_code", "gpudevice")
"""Columns that a site, or an old OAR, may lack: what they tell is unknown then."""


def records(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Records (`oar.RECORD`) of jobs from rows of OAR's tables, by job.

    They are what `oar.parse_jobs` makes of OAR's answers about the same jobs, and have what these
    lack: suspensions, the lines of arrays, and that a cancelled reservation never started. A
    resource that is gone, or has lost its node, leaves its job with an `unknown_resource`; a node
    of which a core has lost its `cpuset` counts as held whole.

    Args:
        rows: The tables of COLUMNS, by name.
    """
    state = pl.col("state").str.strip_chars().str.to_lowercase()
    start, stop, moldable_id = map(nonzero, ("start_time", "stop_time", "assigned_moldable_job"))
    ended = state.is_in(oar.ENDED) | (~state.is_in(oar.STATES) & stop.is_not_null())
    # A reservation has the start that it was promised, but no resources before it starts.
    started = moldable_id.is_not_null() & ~state.is_in(oar.NOT_STARTED)
    started &= ((state != "error") | (stop >= start)).fill_null(True)
    texts = {
        name: repair_column(pl.col(column)).str.strip_chars()
        for name, column in TEXT_COLUMNS.items()
    }
    found = rows["jobs"].select(
        integer("job_id"),
        **texts | {"name": texts["name"].replace("", None)},
        moldable_id=moldable_id,
        state=state,
        array_id=nonzero("array_id"),
        array_index=integer("array_index"),
        submitted_at=nonzero("submission_time"),
        started_at=pl.when(started).then(start),
        stopped_at=pl.when(started & ended & start.is_not_null()).then(stop),
        exit_code=integer("exit_code"),
        has_times=True,
        tells_nodes=True,
        fault=None,
        file=pl.lit(FILE),
    )
    walltimes = rows["moldable_job_descriptions"].select(
        integer("moldable_id"), walltime_s=integer("moldable_walltime")
    )
    found = found.join(walltimes, on="moldable_id", how="left")
    for told in (
        _requests(rows),
        _types(rows["job_types"]),
        _events(rows["event_logs"]),
        _suspensions(rows["job_state_logs"]),
        _held(found, rows),
    ):
        found = found.join(told, on="job_id", how="left")
    return (
        found.with_columns(pl.col("types", "events", "held").fill_null([]))
        .select(pl.col(name).cast(dtype) for name, dtype in oar.RECORD.items())
        .sort("job_id")
    )


def check_resources(found: pl.DataFrame) -> None:
    """Refuse records of jobs whose resources the table `resources` does not explain any more.

    Raises:
        InputError: There are such jobs; all are listed.
    """
    lost = found.drop_nulls("unknown_resource").select("job_id", "unknown_resource").sort("job_id")
    if len(lost):
        held = [f"job {job_id} held resource {resource}" for job_id, resource in lost.iter_rows()]
        what = f"{', '.join(held)}, which `resources` lacks or has without node"
        do = "give it its `network_address` back, or study days without this job"
        raise InputError(what, where=DATABASE, do=do)


def integer(column: str) -> pl.Expr:
    """Numbers of a column that may be text; what is no number is unknown."""
    return pl.col(column).cast(pl.Int64, strict=False)


def nonzero(column: str) -> pl.Expr:
    """Numbers of a column in which OAR writes 0 for "not yet" and "none"."""
    return pl.when(integer(column) != 0).then(integer(column)).alias(column)


def _requests(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """What each job asked for, in OAR's words: `job_id`, `request`."""
    count = pl.col("res_job_value").cast(pl.String).replace({"-1": "ALL", "-2": "BEST"})
    level = pl.format("/{}={}", "res_job_resource_type", count)
    levels = (
        rows["job_resource_descriptions"]
        .sort(integer("res_job_order"))
        .group_by(res_group_id=integer("res_job_group_id"), maintain_order=True)
        .agg(levels=level.str.join(""))
    )
    properties = pl.col("res_group_property").replace("", None)
    braced = pl.concat_str(pl.lit("{"), properties, pl.lit("}")).fill_null("")
    groups = (
        rows["job_resource_groups"]
        .with_columns(integer("res_group_id"))
        .join(levels, on="res_group_id")
        .sort("res_group_id")
        .group_by(moldable_id=integer("res_group_moldable_id"), maintain_order=True)
        .agg(groups=(braced + pl.col("levels")).str.join("+"))
    )
    walltime = integer("moldable_walltime")
    option = pl.format(
        '-l "{},walltime={}:{}:{}"', "groups", walltime // 3600, walltime // 60 % 60, walltime % 60
    )
    return (
        rows["moldable_job_descriptions"]
        .with_columns(integer("moldable_id"))
        .join(groups, on="moldable_id")
        .sort("moldable_id")
        .group_by(job_id=integer("moldable_job_id"), maintain_order=True)
        .agg(request=option.str.join(" "))
    )


def _types(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(integer("job_id")).agg(types=pl.col("type").unique().sort())


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    ordered = rows.sort(integer("date"), integer("event_id"))
    return ordered.group_by(integer("job_id"), maintain_order=True).agg(events=pl.col("type"))


def _suspensions(rows: pl.DataFrame) -> pl.DataFrame:
    """`job_id`, `suspensions` of the jobs that have a log of their states."""
    log = pl.struct("job_state", "date_start", "date_stop")
    paused = pl.col("job_state").str.to_lowercase().is_in(oar.SUSPENDED)
    spells = [
        (job_id, oar.suspensions(logs, f"job {job_id}", FILE))
        for job_id, logs in rows.filter(paused).group_by(integer("job_id")).agg(log).iter_rows()
    ]
    schema = pl.Schema({name: oar.RECORD[name] for name in ("job_id", "suspensions")})
    return (
        rows.select(integer("job_id").unique())
        .join(pl.DataFrame(spells, schema=schema, orient="row"), on="job_id", how="left")
        .with_columns(pl.col("suspensions").fill_null([]))
    )


def _held(jobs: pl.DataFrame, rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`job_id`, `held`, `unknown_resource` of the jobs that started."""
    address = pl.col("network_address")
    resources = rows["resources"].select(
        integer("resource_id"),
        is_core=pl.col("type") == "default",
        # As a category, a node's name takes 4 bytes for each of the millions of cores held.
        node=pl.when(address != "").then(address).cast(pl.Categorical),
        core=integer("cpuset").cast(pl.Int32),
        gpu=integer("gpudevice").cast(pl.Int32),
    )
    assigned = rows["assigned_resources"].select(
        integer("resource_id"), moldable_id=integer("moldable_job_id")
    )
    given = (
        jobs.drop_nulls("started_at")
        .select("job_id", "moldable_id")
        .join(assigned, on="moldable_id")
        .join(resources, on="resource_id", how="left")
    )
    core, is_lost = pl.col("core"), pl.col("is_core").fill_null(True) & pl.col("node").is_null()
    lost = given.filter(is_lost).group_by("job_id").agg(unknown_resource=pl.min("resource_id"))
    held = (
        given.filter("is_core", pl.col("node").is_not_null())
        .group_by("job_id", "node")
        .agg(
            cores=pl.when(core.is_not_null().all()).then(core.unique().sort().implode()),
            gpus=pl.col("gpu").drop_nulls().unique().sort(),
        )
        .with_columns(pl.col("node").cast(pl.String))
        .sort("job_id", "node")
        .group_by("job_id", maintain_order=True)
        .agg(held=pl.struct("node", "cores", "gpus"))
    )
    return held.join(lost, on="job_id", how="full", coalesce=True)
