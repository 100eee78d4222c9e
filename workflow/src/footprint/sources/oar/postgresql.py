"""Records of jobs and states of nodes, from OAR's own PostgreSQL; read only.

All rows are read in one transaction, with one query a table, and in parts if there are many jobs.
`footprint.sources.oar.database_rows` and `footprint.sources.oar.resource_logs` interpret the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import polars as pl
from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

from footprint.core import addresses
from footprint.core.errors import InputError
from footprint.sources.oar import database_rows, job_records, resource_logs

SERVER_REASON_PATTERN = re.compile(r"(?:Failed to connect|ERROR): +(.+)")
TIMEOUT_OPTION = "connect_timeout=30"
"""Seconds until a silent server counts as not reachable, unless the address sets others."""

JOBS_AT_ONCE = 50_000
"""Jobs that are read together, with all that they held: limits the memory."""


def read_jobs(url: str, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Return records (`job_records.RECORD_SCHEMA`) of the jobs of a window, from OAR's own tables.

    These are the jobs that held resources in [start, end), and the jobs that were submitted in it
    and never started. The latter include cancelled reservations, which OAR's API does not list.

    Args:
        url: Address of the database, without a password.
        start: Start of the window.
        end: End of the window, excluded.

    Raises:
        InputError: The address contains a password or is not an address; the database cannot be
            reached; the role may not read a table; a job held a resource that is gone.
    """
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    with connect_read_only(url) as connection:
        optional = _optional_columns(connection)
        resources = pl.read_database(_select("resources", optional, "true"), connection)
        parts = [pl.DataFrame(schema=job_records.RECORD_SCHEMA)]
        for wanted in _iter_conditions(connection, start_s=start_s, end_s=end_s):
            rows = {
                table: pl.read_database(_select(table, optional, condition), connection)
                for table, condition in _conditions_by_table(wanted).items()
            }
            parts.append(database_rows.records_from_rows(rows | {"resources": resources}))
    job_start, job_end = pl.col("started_at"), pl.col("stopped_at")
    ran = (job_start < end_s) & (
        job_end.is_null() | (pl.max_horizontal(job_start, job_end) >= start_s)
    )
    submitted = pl.col("submitted_at").is_between(start_s, end_s, closed="left")
    is_inside = pl.when(job_start.is_not_null()).then(ran).otherwise(submitted)
    found = pl.concat(parts).filter(is_inside).sort("job_id")
    database_rows.check_resources(found)
    return found


def read_states(url: str, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Return when nodes were not alive (`schemas.States`); exact inside [start, end).

    Args:
        url: Address of the database, without a password.
        start: Start of the window.
        end: End of the window, excluded.

    Raises:
        InputError: The address contains a password or is not an address; the database cannot be
            reached; the role may not read a table.
    """
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    core = "type = 'default' AND network_address <> ''"
    # The cores of a node change together. One row a node lets a year of changes fit into memory.
    changes = f"""
        SELECT DISTINCT network_address AS node, attribute, value, date_start, date_stop
        FROM resource_logs JOIN resources USING (resource_id)
        WHERE {core} AND attribute IN ('state', 'maintenance', 'available_upto')
        AND date_start < {end_s} AND (date_stop = 0 OR date_stop > {start_s})"""
    # A value that was set after the window does not hold in it.
    today = f"""
        SELECT DISTINCT network_address AS node, available_upto FROM resources
        WHERE {core} AND resource_id NOT IN (
            SELECT resource_id FROM resource_logs
            WHERE attribute = 'available_upto' AND date_start >= {end_s}
        )"""
    with connect_read_only(url) as connection:
        found = resource_logs.node_states(
            pl.read_database(changes, connection), today=pl.read_database(today, connection)
        )
    touches = (pl.col("started_at") < end) & (pl.col("stopped_at") > start).fill_null(True)
    return found.filter(touches)


@contextmanager
def connect_read_only(url: str) -> Iterator[dbapi.Connection]:
    """Open a connection with one read-only transaction on a snapshot of one moment.

    Raises:
        InputError: The address contains a password or is not an address; the database cannot be
            reached, or refuses a query of the block.
    """
    addresses.check_database_address(url)
    address, _, options = url.partition("?")
    try:
        with dbapi.connect(f"{address}?{TIMEOUT_OPTION}&{options}") as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
    except dbapi.Error as error:
        reason = SERVER_REASON_PATTERN.search(str(error))
        what = reason.group(1).strip() if reason else "the database does not answer"
        do = "compare the address, ~/.pgpass and the server's log"
        if str(error.sqlstate).startswith("42"):  # no such table or column, or not for this role
            do = "let the role read what docs/oar-database.md lists"
        raise InputError(what, where=addresses.DATABASE_KEY, do=do) from None


def _optional_columns(connection: dbapi.Connection) -> set[tuple[str, str]]:
    """Return table and name of those `database_rows.OPTIONAL_COLUMNS` that the role can read."""
    query = f"""
        SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = ANY (current_schemas(false))
        AND column_name IN {database_rows.OPTIONAL_COLUMNS}"""
    return set(pl.read_database(query, connection).iter_rows())


def _iter_conditions(connection: dbapi.Connection, *, start_s: int, end_s: int) -> Iterator[str]:
    """Yield SQL conditions that select the jobs a window may have, in parts, by job id."""
    wanted = f"""(
        submission_time >= {start_s} AND submission_time < {end_s}
        OR start_time > 0 AND start_time < {end_s} AND (
            lower(state) NOT IN {job_records.ENDED_STATES}
            OR greatest(start_time, stop_time) >= {start_s}
        ))"""
    ids = pl.read_database(f"SELECT job_id FROM jobs WHERE {wanted} ORDER BY job_id", connection)
    for part in ids.iter_slices(JOBS_AT_ONCE):
        # In quotes, ids compare as their column sorts, whether of numbers or of texts.
        yield f"{wanted} AND job_id BETWEEN '{part[0, 0]}' AND '{part[-1, 0]}'"


def _conditions_by_table(wanted: str) -> dict[str, str]:
    """Return the SQL condition of rows about the wanted jobs, for each table about jobs."""
    about = f"IN (SELECT job_id FROM jobs WHERE {wanted})"
    moldable = f"SELECT moldable_id FROM moldable_job_descriptions WHERE moldable_job_id {about}"
    group = (
        f"SELECT res_group_id FROM job_resource_groups WHERE res_group_moldable_id IN ({moldable})"
    )
    return {
        "jobs": wanted,
        "moldable_job_descriptions": f"moldable_job_id {about}",
        "job_resource_groups": f"res_group_moldable_id IN ({moldable})",
        "job_resource_descriptions": f"res_job_group_id IN ({group})",
        "assigned_resources": f"moldable_job_id IN ({moldable})",
        "job_types": f"job_id {about}",
        "event_logs": f"job_id {about}",
        "job_state_logs": f"job_id {about}",
    }


def _select(table: str, optional: set[tuple[str, str]], condition: str) -> str:
    """Return a query for the columns in `database_rows.TABLE_COLUMNS`, unknown ones as null."""
    columns = ", ".join(
        name
        if name not in database_rows.OPTIONAL_COLUMNS or (table, name) in optional
        else f"NULL::text AS {name}"
        for name in database_rows.TABLE_COLUMNS[table]
    )
    return f"SELECT {columns} FROM {table} WHERE {condition}"
