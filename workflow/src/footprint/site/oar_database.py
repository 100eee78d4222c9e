"""OAR's own PostgreSQL -> records of jobs, and states of nodes; read only.

All is read in one transaction, a query a table, and of many jobs in parts. What the rows mean is
worked out in `footprint.site.oar_rows` and `footprint.site.oar_changes`, which know nothing of the
database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import polars as pl
from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

from footprint import addresses
from footprint.errors import InputError
from footprint.site import oar, oar_changes, oar_rows

REASON = re.compile(r"(?:Failed to connect|ERROR): +(.+)")
TIMEOUT = "connect_timeout=30"
"""Seconds until a silent server counts as not reachable, where the address says no other."""

JOBS_AT_ONCE = 50_000
"""Jobs that are read together, with all that they held: bounds the memory."""


def jobs(url: str, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Records (`oar.RECORD`) of the jobs of a window, as OAR's own tables have them.

    These are the jobs that held resources in [start, end), and those that were submitted in it and
    never started, cancelled reservations among them, which OAR's API does not list.

    Args:
        url: Address of the database, without a password.
        start: Start of the window.
        end: End of the window, excluded.

    Raises:
        InputError: The address holds a password or is none; the database cannot be reached, or the
            role may not read what is needed; a job held a resource that is gone.
    """
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    with connect(url) as connection:
        optional = _optional_columns(connection)
        resources = pl.read_database(_select("resources", optional, "true"), connection)
        parts = [pl.DataFrame(schema=oar.RECORD)]
        for wanted in _parts(connection, start_s=start_s, end_s=end_s):
            rows = {
                table: pl.read_database(_select(table, optional, condition), connection)
                for table, condition in _about(wanted).items()
            }
            parts.append(oar_rows.records(rows | {"resources": resources}))
    began, ended = pl.col("started_at"), pl.col("stopped_at")
    held = (began < end_s) & (ended.is_null() | (pl.max_horizontal(began, ended) >= start_s))
    asked = pl.col("submitted_at").is_between(start_s, end_s, closed="left")
    inside = pl.when(began.is_not_null()).then(held).otherwise(asked)
    found = pl.concat(parts).filter(inside).sort("job_id")
    oar_rows.check_resources(found)
    return found


def states(url: str, *, start: datetime, end: datetime) -> pl.DataFrame:
    """When nodes were not alive (`tables.States`); exact inside [start, end).

    Args:
        url: Address of the database, without a password.
        start: Start of the window.
        end: End of the window, excluded.

    Raises:
        InputError: As for `jobs`, but for the last.
    """
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    core = "type = 'default' AND network_address <> ''"
    # The cores of a node change together: told once a node, a year of changes fits into memory.
    changes = f"""
        SELECT DISTINCT network_address AS node, attribute, value, date_start, date_stop
        FROM resource_logs JOIN resources USING (resource_id)
        WHERE {core} AND attribute IN ('state', 'maintenance', 'available_upto')
        AND date_start < {end_s} AND (date_stop = 0 OR date_stop > {start_s})"""
    # A value that was set later says nothing of the window.
    today = f"""
        SELECT DISTINCT network_address AS node, available_upto FROM resources
        WHERE {core} AND resource_id NOT IN (
            SELECT resource_id FROM resource_logs
            WHERE attribute = 'available_upto' AND date_start >= {end_s}
        )"""
    with connect(url) as connection:
        found = oar_changes.node_states(
            pl.read_database(changes, connection), today=pl.read_database(today, connection)
        )
    touches = (pl.col("started_at") < end) & (pl.col("stopped_at") > start).fill_null(True)
    return found.filter(touches)


@contextmanager
def connect(url: str) -> Iterator[dbapi.Connection]:
    """A connection with one transaction, which sees one moment and can only read.

    Raises:
        InputError: The address holds a password or is none; the database cannot be reached, or
            refuses what the block asks of it.
    """
    addresses.check_database(url)
    address, _, options = url.partition("?")
    try:
        with dbapi.connect(f"{address}?{TIMEOUT}&{options}") as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
    except dbapi.Error as error:
        reason = REASON.search(str(error))
        what = reason.group(1).strip() if reason else "the database does not answer"
        do = "compare the address, ~/.pgpass and the server's log"
        if str(error.sqlstate).startswith("42"):  # no such table or column, or not for this role
            do = "let the role read what docs/oar-database.md lists"
        raise InputError(what, where=addresses.DATABASE, do=do) from None


def _optional_columns(connection: dbapi.Connection) -> set[tuple[str, str]]:
    """Table and name of each of the columns of `oar_rows.OPTIONAL` that there are for this role."""
    query = f"""
        SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = ANY (current_schemas(false)) AND column_name IN {oar_rows.OPTIONAL}"""
    return set(pl.read_database(query, connection).iter_rows())


def _parts(connection: dbapi.Connection, *, start_s: int, end_s: int) -> Iterator[str]:
    """Conditions on `jobs`, each true of some of the jobs that a window may have, in order."""
    wanted = f"""(
        submission_time >= {start_s} AND submission_time < {end_s}
        OR start_time > 0 AND start_time < {end_s} AND (
            lower(state) NOT IN {oar.ENDED} OR greatest(start_time, stop_time) >= {start_s}
        ))"""
    ids = pl.read_database(f"SELECT job_id FROM jobs WHERE {wanted} ORDER BY job_id", connection)
    for part in ids.iter_slices(JOBS_AT_ONCE):
        # in quotes, ids compare as their column sorts, be it of numbers or of texts
        yield f"{wanted} AND job_id BETWEEN '{part[0, 0]}' AND '{part[-1, 0]}'"


def _about(wanted: str) -> dict[str, str]:
    """For each table of `oar_rows.COLUMNS` about jobs, the condition of rows about some jobs."""
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
    """A query for the columns that `oar_rows.COLUMNS` names, unknown ones as null."""
    columns = ", ".join(
        name
        if name not in oar_rows.OPTIONAL or (table, name) in optional
        else f"NULL::text AS {name}"
        for name in oar_rows.COLUMNS[table]
    )
    return f"SELECT {columns} FROM {table} WHERE {condition}"
