"""What people tracked -> the jobs that it was part of, their labels, and energy of their devices.

`tracker.reading` reads the files, and knows nothing of jobs; nothing here knows of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint import recorded, tables
from footprint.summation import known_sum, total
from footprint.told import ROWS, Weighed, weighed
from footprint.tracker import reading
from footprint.units import KWH_PER_J
from footprint.vocabulary import STATEMENTS

OTHER_SITE = "it ran at another site"
SEVERAL_AT_ONCE = "several were tracked at once: their device energy is not used"
COVERED_FRAC = 0.9
"""Devices that were read for less of the time tell too little of it."""

OWN_NAME = r"^\d{8}-(?:job-\d+-[a-z0-9-]+|local)-\d+-[0-9a-f]{8}\.jsonl$"
"""Files as the tracker names them. Others may be named after people, and are not published."""
HOST = re.compile(r"(?P<node>[a-z][a-z0-9]*-\d+)(?:\.(?P<site>[a-z]+)\.grid5000\.fr)?")
ENERGIES = tuple(f"{component}_kwh" for component in reading.COMPONENTS)


def load(paths: Iterable[str | Path], *, unreadable: Iterable[str] = ()) -> reading.Read:
    """Runs in the files of ledgers, and what of them cannot be used.

    Args:
        paths: Files.
        unreadable: Names of other entries that should be files and cannot be read.
    """
    read = reading.read(map(Path, paths))
    faults = [reading.Fault(name, None, reading.UNREADABLE) for name in unreadable]
    return read._replace(faults=[*read.faults, *faults])


def table(read: reading.Read) -> pl.DataFrame:
    """Runs of ledgers as rows: `tables.Ledger`, whose jobs are not looked up yet."""
    rows = [
        {
            "run": run.identity,
            "file": run.file,
            "line": run.line,
            "within": run.within,
            "mark": run.mark,
            "host": run.host,
            "named_job": run.job_id,
            "job_id": None,
            "reason": None,
            "started_at": run.started_at,
            "stopped_at": run.stopped_at,
            "duration_s": run.duration_s,
            "end": run.end,
            "exit_status": run.exit_status,
            **{name: run.labels.get(name) for name in STATEMENTS},
            **_energies(run),
        }
        for run in read.runs
    ]
    empty = pl.DataFrame(tables.Ledger.create_empty())
    found: pl.DataFrame = tables.conform(
        tables.Ledger, pl.DataFrame(rows, schema=empty.schema, orient="row")
    )
    return found


def _energies(run: reading.Run) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for component in reading.COMPONENTS:
        energy = run.devices.get(component)
        found[f"{component}_kwh"] = None if energy is None else energy.energy_j * KWH_PER_J
        found[f"{component}_covered_frac"] = (
            None if energy is None else min(energy.covered_frac, 1.0)
        )
    return found


class Matched(NamedTuple):
    """Runs with their jobs (`tables.Ledger`), device energy by job and node, what is set aside."""

    runs: pl.DataFrame
    tracked: pl.DataFrame
    set_aside: pl.DataFrame


def match(
    runs: pl.DataFrame,
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    site: str,
    faults: Iterable[reading.Fault] = (),
) -> Matched:
    """The job of each run, and the energy of devices that was tracked of each job on each node.

    A run belongs to the job that it names, and to no other; one that names none, to the only job
    that held its host all the time.

    Args:
        runs: The result of `table`.
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`.
        nodes: `tables.Nodes`.
        site: The study's site: elsewhere the same number is another job.
        faults: Lines of the ledgers that cannot be used, which are counted too.
    """
    found = recorded.with_job(_hinted(runs, site), jobs, allocations)
    job = pl.when(pl.col("reason").is_null()).then("job")
    placed = runs.with_columns(found["reason"], found.select(job.alias("job_id")).to_series())
    usable = _usable(placed, allocations, nodes)
    return Matched(
        placed,
        _by_node(usable.filter(pl.col("why").is_null())),
        _set_aside(placed, usable, list(faults)),
    )


def _hinted(runs: pl.DataFrame, site: str) -> pl.DataFrame:
    """What `recorded.with_job` looks at."""
    names = [HOST.fullmatch(host or "") for host in runs["host"]]
    sites = pl.Series("site", [found["site"] if found else None for found in names], pl.String)
    hosts = pl.Series("node", [found["node"] if found else None for found in names], pl.String)
    return (
        runs.select("started_at", "stopped_at", job_id="named_job")
        .with_row_index("index")
        .with_columns(
            host=pl.when(pl.col("job_id").is_null()).then(hosts),
            reason=pl.when(sites.ne_missing(site) & sites.is_not_null()).then(pl.lit(OTHER_SITE)),
        )
    )


def _usable(runs: pl.DataFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.DataFrame:
    """Outermost runs of jobs with `node`, and `why` their energy is not used."""
    inside = pl.col("within").is_in(runs["run"].implode()).fill_null(False)
    own = runs.filter(~inside, pl.col("job_id").is_not_null())
    # a container has a name of its own; the only node of its job is where it ran
    held = (
        allocations.select("job_id", "node")
        .join(own.lazy().select("job_id").unique(), on="job_id", how="semi")
        .group_by("job_id")
        .agg(held="node")
        .collect()
    )
    short = pl.col("host").str.extract(r"^([^.]+)")
    placed = own.join(held, on="job_id", how="left", maintain_order="left").with_columns(
        node=pl.when(short.is_in(pl.col("held")))
        .then(short)
        .when(pl.col("held").list.len() == 1)
        .then(pl.col("held").list.first())
    )
    limits = recorded.limits(placed.select(job="job_id"), allocations, nodes)
    known = placed.join(limits, left_on="job_id", right_on="job", how="left", maintain_order="left")
    most_kwh = pl.col("duration_s") * pl.col("limit_w") * KWH_PER_J
    kwh = pl.sum_horizontal(*ENERGIES)
    key = ["job_id", "node"]
    in_order = known.drop_nulls("node").sort(*key, "started_at", "run")
    ended = pl.coalesce("stopped_at", "started_at").cum_max().shift(1).over(key)
    followed = (pl.col("started_at") < ended).fill_null(False)
    # each of those that overlap: the later by the one before, the earlier by the one after
    overlaps = in_order.select(
        "run", at_once=followed | followed.shift(-1, fill_value=False).over(key)
    )
    return known.join(overlaps, on="run", how="left", maintain_order="left").with_columns(
        why=pl.when(kwh > most_kwh)
        .then(pl.lit(recorded.TOO_MUCH))
        .when("at_once")
        .then(pl.lit(SEVERAL_AT_ONCE))
    )


def _by_node(usable: pl.DataFrame) -> pl.DataFrame:
    """Energy of devices by job and node (`tables.Tracked`)."""

    def known(component: str) -> pl.Expr:
        covered = pl.col(f"{component}_covered_frac") >= COVERED_FRAC
        kwh = pl.when(covered).then(f"{component}_kwh")
        return pl.when(kwh.is_not_null().all()).then(known_sum(kwh)).alias(f"{component}_kwh")

    rows = (
        usable.drop_nulls("node")
        .group_by("job_id", "node")
        .agg(
            pl.len().cast(pl.Int64).alias("n_runs"),
            total(pl.col("duration_s")).alias("duration_s"),
            *map(known, reading.COMPONENTS),
        )
    )
    found: pl.DataFrame = tables.conform(tables.Tracked, rows)
    return found


def _set_aside(
    runs: pl.DataFrame, usable: pl.DataFrame, faults: list[reading.Fault]
) -> pl.DataFrame:
    """Runs and lines that are not used, counted by reason (`tables.SetAside`)."""
    lines = pl.DataFrame(faults, schema=["file", "line", "reason"], orient="row").cast(
        {"file": pl.String, "line": pl.Int64, "reason": pl.String}
    )
    parts = [
        runs.select("file", "line", "reason"),
        usable.select("file", "line", reason="why"),
        lines,
    ]
    file, line = pl.col("file").first(), pl.col("line").first()
    named = file.str.contains(OWN_NAME)
    counted = (
        pl.concat(parts)
        .drop_nulls("reason")
        .sort("file", "line")
        .group_by("reason")
        .agg(
            n_rows=pl.len().cast(pl.Int64),
            example=pl.coalesce(
                pl.when(named).then(pl.format("{}:{}", file, line)),
                pl.when(named).then(file),
                pl.format("line {}", line),
                pl.lit("a whole file"),
            ),
        )
        .with_columns(stage=pl.lit("ledger"), source=pl.lit("labels.ledgers"))
    )
    found: pl.DataFrame = tables.conform(tables.SetAside, counted)
    return found


def labelled(runs: pl.DataFrame, run_of_job: pl.LazyFrame) -> Weighed:
    """What was said of jobs as they were tracked, and what contradicts itself.

    Inside something that says a statement, the same statement is not asked again.

    Args:
        runs: The runs of `match`.
        run_of_job: `tables.RunOfJob`.
    """
    rows = runs.filter(pl.col("job_id").is_not_null())
    parts = []
    for statement in STATEMENTS:
        says = rows.filter(pl.col(statement).is_not_null())
        inside = pl.col("within").is_in(says["run"].implode()).fill_null(False)
        parts.append(
            says.filter(~inside).select(
                "job_id",
                pl.format("{}:{}", "file", "line").alias("where"),
                pl.col("duration_s").alias("weight_s"),
                pl.col(statement).cast(pl.String),
            )
        )
    said = pl.concat([pl.DataFrame(schema=ROWS), *parts], how="diagonal")
    return weighed(said, run_of_job)
