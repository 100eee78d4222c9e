"""Records of jobs, from rows of OAR's own tables.

Columns are selected by name, since sites add some. Numbers may be of any integer type, or text.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint.core.addresses import DATABASE_KEY
from footprint.core.errors import InputError
from footprint.sources.oar import job_records
from footprint.sources.oar.encoding import repair_column

DATABASE_LABEL = "oar database"

TEXT_COLUMNS = {
    "user": "job_user",
    "project": "project",
    "queue": "queue_name",
    "name": "job_name",
    "command": "command",
    "directory": "launching_directory",
    "job_type": "job_type",
}
"""Column of OAR's table `jobs` for each text field of `job_records.RECORD_SCHEMA`."""

TABLE_COLUMNS = {
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
"""Columns of each of OAR's tables that `records_from_rows` needs."""

OPTIONAL_COLUMNS = ("project", "array_id", "array_index", "exit_code", "gpudevice")
"""Columns that a site, or an old OAR, may lack. Their values are unknown then."""


def records_from_rows(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return records (`job_records.RECORD_SCHEMA`) of jobs from rows of OAR's tables, by `job_id`.

    They equal the records that `job_records.parse_jobs` makes of OAR's answers about the same jobs,
    and also contain suspensions, array indices, and cancelled reservations as never started. A
    resource that is gone, or has lost its node, leaves its job with an `unknown_resource`. A node
    with a core that has lost its `cpuset` counts as held whole.

    Args:
        rows: The tables of `TABLE_COLUMNS`, by name.
    """
    state = pl.col("state").str.strip_chars().str.to_lowercase()
    start, stop, moldable_id = map(
        nonzero_column, ("start_time", "stop_time", "assigned_moldable_job")
    )
    ended = state.is_in(job_records.ENDED_STATES) | (
        ~state.is_in(job_records.JOB_STATES) & stop.is_not_null()
    )
    # A reservation has its planned start, but no resources before it starts.
    started = moldable_id.is_not_null() & ~state.is_in(job_records.NOT_STARTED_STATES)
    started &= ((state != "error") | (stop >= start)).fill_null(True)
    texts = {
        name: repair_column(pl.col(column)).str.strip_chars()
        for name, column in TEXT_COLUMNS.items()
    }
    found = rows["jobs"].select(
        integer_column("job_id"),
        **texts | {"name": texts["name"].replace("", None)},
        moldable_id=moldable_id,
        state=state,
        array_id=nonzero_column("array_id"),
        array_index=integer_column("array_index"),
        submitted_at=nonzero_column("submission_time"),
        started_at=pl.when(started).then(start),
        stopped_at=pl.when(started & ended & start.is_not_null()).then(stop),
        exit_code=integer_column("exit_code"),
        has_times=True,
        has_node_fields=True,
        fault=None,
        file=pl.lit(DATABASE_LABEL),
    )
    walltimes = rows["moldable_job_descriptions"].select(
        integer_column("moldable_id"), walltime_s=integer_column("moldable_walltime")
    )
    found = found.join(walltimes, on="moldable_id", how="left")
    for columns in (
        _requests(rows),
        _job_types(rows["job_types"]),
        _event_kinds(rows["event_logs"]),
        _suspensions(rows["job_state_logs"]),
        _held_nodes(found, rows),
    ):
        found = found.join(columns, on="job_id", how="left")
    return (
        found.with_columns(pl.col("types", "events", "held_nodes").fill_null([]))
        .select(pl.col(name).cast(dtype) for name, dtype in job_records.RECORD_SCHEMA.items())
        .sort("job_id")
    )


def check_resources(found: pl.DataFrame) -> None:
    """Refuse records of jobs with resources that the table `resources` no longer explains.

    Args:
        found: Records of jobs (`job_records.RECORD_SCHEMA`).

    Raises:
        InputError: There are such jobs. The message lists all.
    """
    lost = found.drop_nulls("unknown_resource").select("job_id", "unknown_resource").sort("job_id")
    if len(lost):
        held = [f"job {job_id} held resource {resource}" for job_id, resource in lost.iter_rows()]
        what = f"{', '.join(held)}, which `resources` lacks or has without a node"
        do = "set its `network_address` again, or study days without this job"
        raise InputError(what, where=DATABASE_KEY, do=do)


def integer_column(column: str) -> pl.Expr:
    """Return a column as integers; null where a value is not a number."""
    return pl.col(column).cast(pl.Int64, strict=False)


def nonzero_column(column: str) -> pl.Expr:
    """Return a column as integers; null for 0, which OAR writes for "not yet" and "none"."""
    return pl.when(integer_column(column) != 0).then(integer_column(column)).alias(column)


def _requests(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return `job_id` and `request`, the resources requested in the syntax of `oarsub`."""
    count = pl.col("res_job_value").cast(pl.String).replace({"-1": "ALL", "-2": "BEST"})
    level = pl.format("/{}={}", "res_job_resource_type", count)
    levels = (
        rows["job_resource_descriptions"]
        .sort(integer_column("res_job_order"))
        .group_by(res_group_id=integer_column("res_job_group_id"), maintain_order=True)
        .agg(levels=level.str.join(""))
    )
    properties = pl.col("res_group_property").replace("", None)
    braced = pl.concat_str(pl.lit("{"), properties, pl.lit("}")).fill_null("")
    groups = (
        rows["job_resource_groups"]
        .with_columns(integer_column("res_group_id"))
        .join(levels, on="res_group_id")
        .sort("res_group_id")
        .group_by(moldable_id=integer_column("res_group_moldable_id"), maintain_order=True)
        .agg(groups=(braced + pl.col("levels")).str.join("+"))
    )
    walltime = integer_column("moldable_walltime")
    option = pl.format(
        '-l "{},walltime={}:{}:{}"', "groups", walltime // 3600, walltime // 60 % 60, walltime % 60
    )
    return (
        rows["moldable_job_descriptions"]
        .with_columns(integer_column("moldable_id"))
        .join(groups, on="moldable_id")
        .sort("moldable_id")
        .group_by(job_id=integer_column("moldable_job_id"), maintain_order=True)
        .agg(request=option.str.join(" "))
    )


def _job_types(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(integer_column("job_id")).agg(types=pl.col("type").unique().sort())


def _event_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    ordered = rows.sort(integer_column("date"), integer_column("event_id"))
    return ordered.group_by(integer_column("job_id"), maintain_order=True).agg(
        events=pl.col("type")
    )


def _suspensions(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `job_id` and `suspensions` of the jobs that have a log of their states."""
    log = pl.struct("job_state", "date_start", "date_stop")
    is_suspended = pl.col("job_state").str.to_lowercase().is_in(job_records.SUSPENDED_STATES)
    logs_by_job = rows.filter(is_suspended).group_by(integer_column("job_id")).agg(log)
    intervals = [
        (job_id, job_records.suspension_intervals(logs, f"job {job_id}", DATABASE_LABEL))
        for job_id, logs in logs_by_job.iter_rows()
    ]
    schema = pl.Schema(
        {name: job_records.RECORD_SCHEMA[name] for name in ("job_id", "suspensions")}
    )
    return (
        rows.select(integer_column("job_id").unique())
        .join(pl.DataFrame(intervals, schema=schema, orient="row"), on="job_id", how="left")
        .with_columns(pl.col("suspensions").fill_null([]))
    )


def _held_nodes(jobs: pl.DataFrame, rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return `job_id`, `held_nodes` and `unknown_resource` of the jobs that started."""
    address = pl.col("network_address")
    resources = rows["resources"].select(
        integer_column("resource_id"),
        is_core=pl.col("type") == "default",
        # As a category, a node's name takes 4 bytes for each of the millions of cores held.
        node=pl.when(address != "").then(address).cast(pl.Categorical),
        core=integer_column("cpuset").cast(pl.Int32),
        gpu=integer_column("gpudevice").cast(pl.Int32),
    )
    assigned = rows["assigned_resources"].select(
        integer_column("resource_id"), moldable_id=integer_column("moldable_job_id")
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
        .agg(held_nodes=pl.struct("node", "cores", "gpus"))
    )
    return held.join(lost, on="job_id", how="full", coalesce=True)
