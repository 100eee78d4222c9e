"""All faults of a folder of generic tables, and what a study of it would cover."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.sources.generic import columns, folders, headers, rows
from footprint.sources.generic.site import GenericSite
from footprint.sources.node_names import GENERIC_PATTERN

ALL_TIMES = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

DEFAULT_MAX_GAP_S = 30.0
"""Default of `integration.max_gap_s`."""

MOST_GAPS_FRAC = 0.5
"""Part of the times between readings above `max_gap_s` from which its value is a fault."""


class CheckResult(NamedTuple):
    """Result of a check.

    Attributes:
        faults: Faults that a study would refuse, one line each, with file, line, column and fix.
        notes: What a study would reject or not use, and what it would cover.
    """

    faults: list[str]
    notes: list[str]


def check_folder(
    directory: Path,
    *,
    pattern: str = GENERIC_PATTERN,
    power: str = "watts",
    max_gap_s: float = DEFAULT_MAX_GAP_S,
) -> CheckResult:
    """Read every table of a folder, and return all its faults.

    Args:
        directory: The folder.
        pattern: Pattern of the nodes' names (`source.node_pattern`).
        power: What energies are computed from (`source.power`).
        max_gap_s: Longest time between two readings that is not a gap (`integration.max_gap_s`).

    Raises:
        InputError: The folder is missing.
    """
    site = GenericSite(directory, site="checked", pattern=pattern, power=power)
    faults: list[str] = []
    notes: list[str] = []
    for table in columns.TABLES:
        try:
            paths = folders.table_files(directory, table)
        except InputError as error:
            faults.append(str(error))
            continue
        for path in paths:
            faults += _faults_of_file(path, table, folders.relative_name(path, directory))
            notes += _unread_columns(path, table, folders.relative_name(path, directory))
    faults = list(dict.fromkeys(faults))
    if faults:
        return CheckResult(faults, [*notes, "the tables are compared once these are fixed"])
    try:
        notes += _compare_jobs(site)
        notes += _compare_power(directory, site, power, max_gap_s)
    except InputError as error:
        faults.append(str(error))
    return CheckResult(faults, notes)


def _faults_of_file(path: Path, table: str, name: str) -> Iterator[str]:
    """The first fault of each column of a file."""
    try:
        header = headers.read_header(path, table=table, where=name)
    except InputError as error:
        yield str(error)
        return
    try:
        for _ in rows.read_rows(path, table=table, where=name):
            pass
        return
    except InputError as error:
        yield str(error)
    for column in header.found:
        try:
            for _ in rows.read_rows(path, table=table, where=name, only=[column.definition.name]):
                pass
        except InputError as error:
            yield str(error)


def _unread_columns(path: Path, table: str, name: str) -> Iterator[str]:
    try:
        unread = headers.read_header(path, table=table, where=name).unread
    except InputError:
        return
    if unread:
        yield f"{name}: not read: {', '.join(unread)}"


def _compare_jobs(site: GenericSite) -> Iterator[str]:
    start, end = ALL_TIMES
    nodes = site.nodes().collect()
    yield f"nodes: {nodes.height} of the clusters {', '.join(sorted(set(nodes['cluster'])))}"
    records = site.jobs(start=start, end=end)
    jobs = records.jobs.collect()
    times = jobs.select(first=pl.col("started_at").min(), last=pl.col("stopped_at").max())
    yield f"jobs: {jobs.height}, {_from_to(times)}"
    for row in records.rejected.collect().iter_rows(named=True):
        yield f"{row['source']}: {row['n_rows']} jobs rejected: {row['reason']} ({row['example']})"
    states = site.states(start=start, end=end)
    if states is None:
        yield "no states: time without a job is idle, also when a node was broken"
    else:
        yield f"states: {states.collect().height}"


def _compare_power(
    directory: Path, site: GenericSite, power: str, max_gap_s: float
) -> Iterator[str]:
    wanted = "energy_j" if power == "counter" else "power_w"
    described = set(site.nodes().collect()["node"])
    spans = [pl.DataFrame(schema={"node": pl.String, "n": pl.UInt32, "n_gaps": pl.UInt32})]
    bounds: list[pl.DataFrame] = []
    for path in folders.table_files(directory, "power"):
        name = folders.relative_name(path, directory)
        for block in rows.read_rows(path, table="power", where=name):
            if wanted not in block.columns:
                continue
            since_s = pl.col("timestamp").diff().dt.total_microseconds() / 1e6
            node = pl.col("node").str.split(".").list.first().alias("node")
            ordered = block.select(node, "timestamp").unique().sort("node", "timestamp")
            spans.append(
                ordered.with_columns(s=since_s.over("node"))
                .group_by("node")
                .agg(n=pl.len(), n_gaps=exact_sum(pl.col("s") > max_gap_s))
            )
            bounds.append(
                block.select(first=pl.col("timestamp").min(), last=pl.col("timestamp").max())
            )
    counted = pl.concat(spans).group_by("node").agg(exact_sum(pl.col("n", "n_gaps")))
    if counted.is_empty():
        other = "watts" if power == "counter" else "counter"
        what = f"no file of `power` has the column {wanted}"
        raise InputError(what, where="source.power", do=f"set it to `{other}`, or add the column")
    of_study = counted.filter(pl.col("node").is_in(described))
    stray = counted.height - of_study.height
    times = pl.concat(bounds).select(first=pl.col("first").min(), last=pl.col("last").max())
    n_readings, n_gaps = of_study.select(exact_sum(pl.col("n", "n_gaps"))).row(0)
    yield f"power: {n_readings} readings of {of_study.height} nodes, {_from_to(times)}"
    if stray:
        yield f"power: readings of {stray} nodes that are not in nodes, which are not used"
    if power != "counter" and n_gaps > MOST_GAPS_FRAC * n_readings:
        raise InputError(
            f"{n_gaps} of {n_readings} times between two readings are over {max_gap_s:g} s, and "
            "would count as gaps without readings",
            where="integration.max_gap_s",
            do="set it in the configuration to about three times the interval of the readings",
        )
    (first, last) = times.row(0)
    day_after = (last + timedelta(days=1)).date()
    yield f"configuration: study: {{site: NAME, start: {first.date()}, end: {day_after}}}"


def _from_to(times: pl.DataFrame) -> str:
    first, last = (None if each is None else f"{each:%Y-%m-%d %H:%M}" for each in times.row(0))
    return f"{first or 'unknown'} to {last or 'unknown'} UTC"
