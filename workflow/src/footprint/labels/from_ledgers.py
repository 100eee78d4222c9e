"""Tracked runs of ledgers: their jobs, the labels of these, and the energy of their devices.

`tracker.reading` parses the files of ledgers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.units import KWH_PER_J
from footprint.core.vocabulary import LABEL_FIELDS
from footprint.estimators import recorded_runs, run_jobs
from footprint.labels.precedence import STATEMENT_SCHEMA, SourceLabels, resolve_contradictions
from footprint.schemas.labels import Ledger, Tracked
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.tracker import reading

OTHER_SITE = "it ran at another site"
OVERLAPPING_RUNS = "several were tracked at once: their device energy is not used"
MIN_COVERED_FRAC = 0.9
"""Least part of a run that readings of a device must cover for its energy to be used."""

TRACKER_FILE_NAME = r"^\d{8}-(?:job-\d+-[a-z0-9-]+|local)-\d+-[0-9a-f]{8}\.jsonl$"
"""Names that the tracker gives to files. Other names may contain those of people: not published."""
HOST_PATTERN = re.compile(r"(?P<node>[a-z][a-z0-9]*-\d+)(?:\.(?P<site>[a-z]+)\.grid5000\.fr)?")
ENERGY_COLUMNS = tuple(f"{component}_kwh" for component in reading.COMPONENTS)


def read_ledgers(
    paths: Iterable[str | Path], *, unreadable: Iterable[str] = ()
) -> reading.LedgerContents:
    """Read the runs and faults in the files of ledgers.

    Args:
        paths: Files.
        unreadable: Names of other entries that should be files and cannot be read.
    """
    contents = reading.read_ledgers(map(Path, paths))
    faults = [reading.Fault(name, None, reading.UNREADABLE) for name in unreadable]
    return contents._replace(faults=[*contents.faults, *faults])


def runs_table(read: reading.LedgerContents) -> pl.DataFrame:
    """Tracked runs as rows (`schemas.Ledger`), with null for the job and the reason."""
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
            **{name: run.labels.get(name) for name in LABEL_FIELDS},
            **_device_energies(run),
        }
        for run in read.runs
    ]
    empty = pl.DataFrame(Ledger.create_empty())
    found: pl.DataFrame = conform(Ledger, pl.DataFrame(rows, schema=empty.schema, orient="row"))
    return found


def _device_energies(run: reading.TrackedRun) -> dict[str, float | None]:
    """Whole energy of the devices in kWh, and covered part, by component."""
    found: dict[str, float | None] = {}
    for component in reading.COMPONENTS:
        energy = run.devices.get(component)
        found[f"{component}_kwh"] = None if energy is None else energy.whole_j * KWH_PER_J
        found[f"{component}_covered_frac"] = (
            None if energy is None else min(energy.covered_frac, 1.0)
        )
    return found


class MatchedLedgers(NamedTuple):
    """Tracked runs, device energy and rejected rows.

    Attributes:
        runs: Runs with their jobs (`schemas.Ledger`).
        tracked: Device energy by job and node (`schemas.Tracked`).
        rejected: Rejected rows (`schemas.RejectedRows`).
    """

    runs: pl.DataFrame
    tracked: pl.DataFrame
    rejected: pl.DataFrame


def match_runs_to_jobs(
    runs: pl.DataFrame,
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    site: str,
    faults: Iterable[reading.Fault] = (),
) -> MatchedLedgers:
    """Job of each tracked run, and device energy of each job on each node.

    A run belongs only to the job that it names; a run without a job belongs to the only job that
    held its host all the time.

    Args:
        runs: Result of `runs_table`.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes`.
        site: Site of the study: the same number at another site is another job.
        faults: Lines of the ledgers that cannot be used, which are counted as rejected.
    """
    found = run_jobs.assign_jobs(_job_hints(runs, site), jobs, allocations)
    job = pl.when(pl.col("reason").is_null()).then("job")
    placed = runs.with_columns(found["reason"], found.select(job.alias("job_id")).to_series())
    usable = _check_energy(placed, allocations, nodes)
    return MatchedLedgers(
        placed,
        _sum_by_node(usable.filter(pl.col("why").is_null())),
        _count_rejected(placed, usable, list(faults)),
    )


def _job_hints(runs: pl.DataFrame, site: str) -> pl.DataFrame:
    """Columns that `run_jobs.assign_jobs` needs."""
    names = [HOST_PATTERN.fullmatch(host or "") for host in runs["host"]]
    sites = pl.Series("site", [found["site"] if found else None for found in names], pl.String)
    hosts = pl.Series("node", [found["node"] if found else None for found in names], pl.String)
    return (
        runs.select("started_at", "stopped_at", job_id="named_job")
        .with_row_index("index")
        .with_columns(
            host=pl.when(pl.col("job_id").is_null()).then(hosts),
            job_candidates=pl.lit(None, pl.List(pl.Int64)),
            is_local_time=pl.lit(False),
            limit=pl.lit(None, pl.String),
            reason=pl.when(sites.ne_missing(site) & sites.is_not_null()).then(pl.lit(OTHER_SITE)),
        )
    )


def _check_energy(
    runs: pl.DataFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.DataFrame:
    """Outermost runs of jobs with `node`, and `why` their energy is not used (null: it is)."""
    inside = pl.col("within").is_in(runs["run"].implode()).fill_null(False)
    outermost = runs.filter(~inside, pl.col("job_id").is_not_null())
    # a container has a host name of its own; it ran on the only node of its job
    held = (
        allocations.select("job_id", "node")
        .join(outermost.lazy().select("job_id").unique(), on="job_id", how="semi")
        .group_by("job_id")
        .agg(held="node")
        .collect()
    )
    short = pl.col("host").str.extract(r"^([^.]+)")
    placed = outermost.join(held, on="job_id", how="left", maintain_order="left").with_columns(
        node=pl.when(short.is_in(pl.col("held")))
        .then(short)
        .when(pl.col("held").list.len() == 1)
        .then(pl.col("held").list.first())
    )
    nodes_of_jobs = held.lazy().explode("held").select(job="job_id", node="held").unique()
    limits = recorded_runs.power_limits_of_jobs(nodes_of_jobs, nodes)
    with_limit = placed.join(
        limits, left_on="job_id", right_on="job", how="left", maintain_order="left"
    )
    most_kwh = pl.col("duration_s") * pl.col("limit_w") * KWH_PER_J
    kwh = pl.sum_horizontal(*ENERGY_COLUMNS)
    key = ["job_id", "node"]
    in_order = with_limit.drop_nulls("node").sort(*key, "started_at", "run")
    ended = pl.coalesce("stopped_at", "started_at").cum_max().shift(1).over(key)
    followed = (pl.col("started_at") < ended).fill_null(False)
    # of two runs that overlap, the later is found by its predecessor, the earlier by its successor
    overlaps = in_order.select(
        "run", at_once=followed | followed.shift(-1, fill_value=False).over(key)
    )
    return with_limit.join(overlaps, on="run", how="left", maintain_order="left").with_columns(
        why=pl.when(kwh > most_kwh)
        .then(pl.lit(recorded_runs.TOO_MUCH_POWER))
        .when("at_once")
        .then(pl.lit(OVERLAPPING_RUNS))
    )


def _sum_by_node(usable: pl.DataFrame) -> pl.DataFrame:
    """Energy of devices by job and node (`schemas.Tracked`)."""

    def component_kwh(component: str) -> pl.Expr:
        covered = pl.col(f"{component}_covered_frac") >= MIN_COVERED_FRAC
        kwh = pl.when(covered).then(f"{component}_kwh")
        return pl.when(kwh.is_not_null().all()).then(known_sum(kwh)).alias(f"{component}_kwh")

    rows = (
        usable.drop_nulls("node")
        .group_by("job_id", "node")
        .agg(
            pl.len().cast(pl.Int64).alias("n_runs"),
            sum_or_zero(pl.col("duration_s")).alias("duration_s"),
            *map(component_kwh, reading.COMPONENTS),
        )
    )
    found: pl.DataFrame = conform(Tracked, rows)
    return found


def _count_rejected(
    runs: pl.DataFrame, usable: pl.DataFrame, faults: list[reading.Fault]
) -> pl.DataFrame:
    """Number of rejected runs and lines by reason (`schemas.RejectedRows`)."""
    lines = pl.DataFrame(faults, schema=["file", "line", "reason"], orient="row").cast(
        {"file": pl.String, "line": pl.Int64, "reason": pl.String}
    )
    parts = [
        runs.select("file", "line", "reason"),
        usable.select("file", "line", reason="why"),
        lines,
    ]
    file, line = pl.col("file").first(), pl.col("line").first()
    has_own_name = file.str.contains(TRACKER_FILE_NAME)
    counted = (
        pl.concat(parts)
        .drop_nulls("reason")
        .sort("file", "line")
        .group_by("reason")
        .agg(
            n_rows=pl.len().cast(pl.Int64),
            example=pl.coalesce(
                pl.when(has_own_name).then(pl.format("{}:{}", file, line)),
                pl.when(has_own_name).then(file),
                pl.format("line {}", line),
                pl.lit("a whole file"),
            ),
        )
        .with_columns(stage=pl.lit("ledger"), source=pl.lit("labels.ledgers"))
    )
    found: pl.DataFrame = conform(RejectedRows, counted)
    return found


def labels_of_ledgers(runs: pl.DataFrame, run_of_job: pl.LazyFrame) -> SourceLabels:
    """Labels of jobs from their tracked runs, and contradictions.

    A run inside a run that sets a statement does not set this statement again.

    Args:
        runs: Runs of the result of `match_runs_to_jobs`.
        run_of_job: `schemas.RunOfJob`.

    Returns:
        `schemas.JobLabels`, and messages of contradictions.
    """
    rows = runs.filter(pl.col("job_id").is_not_null())
    parts = []
    for statement in LABEL_FIELDS:
        setting = rows.filter(pl.col(statement).is_not_null())
        inside = pl.col("within").is_in(setting["run"].implode()).fill_null(False)
        parts.append(
            setting.filter(~inside).select(
                "job_id",
                pl.format("{}:{}", "file", "line").alias("where"),
                pl.col("duration_s").alias("weight_s"),
                pl.col(statement).cast(pl.String),
            )
        )
    statements = pl.concat([pl.DataFrame(schema=STATEMENT_SCHEMA), *parts], how="diagonal")
    return resolve_contradictions(statements, run_of_job)
