"""List the runs whose phase no label determines, by energy, and write drafts of labels.

A few hundred of a study's runs use most of its energy, and labelling them by hand takes an hour.
The list contains logins and commands, so that it is for the owner of the study alone: for the
terminal and label files, never for `results/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import sum_or_zero
from footprint.labels import files
from footprint.labels.files import Label

KINDS_NEEDING_ROLE = ("training_run", "inference_run")
"""Kinds whose phase depends on the role; runs of other kinds are development."""

MAX_COMMAND_CHARS = 48
"""Length to which the table shortens commands."""

NEW_FILE_HEADER = """\
# Drafts of `footprint labels`, the runs with the most energy first. Correct `kind` and `role`
# (`reported`: of the model in the paper), add `paper`, and list this file in `labels.files`.
# docs/labels.md explains every column.
"""


class StudyTables(NamedTuple):
    """Tables of a study whose workflow has run.

    Attributes:
        runs: `schemas.Runs`.
        labelled: `schemas.JobLabels`.
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`.
    """

    runs: pl.LazyFrame
    labelled: pl.LazyFrame
    jobs: pl.LazyFrame
    run_of_job: pl.LazyFrame


def read_study(directory: Path, *, site: str | None = None) -> StudyTables:
    """Tables of the study in a folder.

    Args:
        directory: Folder of the study.
        site: Grid'5000 site; None: the only site in the folder.

    Raises:
        InputError: A table is missing, or the folder has several sites and none is chosen.
    """
    runs = directory / "results/phases/runs.parquet"
    sites = [path.parent.name for path in sorted(directory.glob("resources/*/labels.parquet"))]
    if site is None and len(sites) > 1:
        raise InputError(
            f"there are several sites ({', '.join(sites)})", where="--site", do="choose one"
        )
    folder = directory / "resources" / (site or (sites[0] if sites else "<site>"))
    paths = [runs, *(folder / f"{name}.parquet" for name in ("labels", "jobs", "run_of_job"))]
    for path in paths:
        if not path.is_file():
            raise InputError(
                "there is no such file yet",
                where=str(path),
                do="run the workflow first, or name its folder with --directory",
            )
    return StudyTables(*(pl.scan_parquet(path) for path in paths))


def rank_unlabelled_runs(
    study: StudyTables,
    *,
    user: str | None = None,
    project: str | None = None,
    paper: str | None = None,
) -> pl.LazyFrame:
    """Runs that labels do not settle, by energy.

    Labels settle a run when they give its phase, its kind and its role, or a kind whose phase does
    not depend on the role. Runs that never started are left out.

    Args:
        study: Tables of the study.
        user: Only runs of this login (or pseudonym).
        project: Only runs of this project.
        paper: Only runs of this paper, by labels.

    Returns:
        `rank` (1 has the most energy; runs of unknown energy come last, by their GPU hours),
        `run_id`, `n_jobs`, `user` (login), `project`, `paper`, `name`, `command` (of the first job),
        `started_at`, `duration_s`, `gpu_hours`, `total_kwh`, `cumulated_frac` (share of the
        energy of all listed runs that the runs up to this rank use; null: energy unknown), `kind`
        and `rule` (of the classifier), `role` (of labels). Sorted by rank.
    """
    labels = study.labelled.select(
        run_id="job_id",
        paper="paper",
        **{f"label_{name}": pl.col(name) for name in ("kind", "role", "phase")},
    )
    owners = study.jobs.select("name", "command", run_id="job_id", login="user")
    is_settled = pl.col("label_phase").is_not_null() | (
        pl.col("label_kind").is_not_null()
        & (
            pl.col("label_role").is_not_null()
            | ~pl.col("label_kind").cast(pl.String).is_in(KINDS_NEEDING_ROLE)
        )
    )
    criteria = {("login", "user"): user, ("project",): project, ("paper",): paper}
    conditions = [
        pl.any_horizontal(*(pl.col(name) == value for name in columns))
        for columns, value in criteria.items()
        if value is not None
    ]
    total_kwh = pl.col("total_kwh")
    rows = (
        study.runs.filter(pl.col("kind").is_not_null())
        .drop("role")
        # All jobs of a run have the same labels, and the first gives the run its id.
        .join(labels, on="run_id", how="left")
        .join(owners, on="run_id", how="left")
        .filter(~is_settled.fill_null(False), *conditions)
        .sort(
            total_kwh.fill_null(-1.0),
            "gpu_hours",
            "run_id",
            descending=[True, True, False],
        )
        .with_columns(
            cumulated_frac=total_kwh.cum_sum() / sum_or_zero(total_kwh),
            rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        )
    )
    return rows.select(
        "rank",
        "run_id",
        pl.col("job_ids").list.len().cast(pl.Int64).alias("n_jobs"),
        pl.coalesce("login", "user").alias("user"),
        "project",
        "paper",
        "name",
        "command",
        "started_at",
        "duration_s",
        "gpu_hours",
        "total_kwh",
        pl.when(total_kwh.is_not_null() & pl.col("cumulated_frac").is_finite())
        .then("cumulated_frac")
        .alias("cumulated_frac"),
        pl.col("kind").cast(pl.String),
        "rule",
        pl.col("label_role").cast(pl.String).alias("role"),
    )


def format_listing(rows: pl.DataFrame, *, most: int) -> str:
    """Table for the terminal of the first runs of `rank_unlabelled_runs`, with their energy.

    Args:
        rows: Result of `rank_unlabelled_runs`.
        most: Number of runs shown.
    """
    if rows.is_empty():
        return "Labels settle every run."
    first = rows.head(most)
    cells = [
        [
            str(row["rank"]),
            str(row["run_id"]),
            str(row["n_jobs"]),
            _one_line(row["user"]),
            _one_line(row["name"]) or "-",
            _shorten(_one_line(row["command"])) or "-",
            "-" if row["started_at"] is None else f"{row['started_at']:%Y-%m-%d %H:%M}",
            f"{row['duration_s'] / 3600:.1f}",
            f"{row['gpu_hours']:.1f}",
            "-" if row["total_kwh"] is None else f"{row['total_kwh']:.2f}",
            "-" if row["cumulated_frac"] is None else f"{100 * row['cumulated_frac']:.0f} %",
            f"{row['kind']} ({row['rule']})",
        ]
        for row in first.iter_rows(named=True)
    ]
    heads = ("", "run", "jobs", "user", "name", "command", "start (UTC)", "h", "GPU h", "kWh")
    right_aligned = {0, 1, 2, 7, 8, 9, 10}
    table = [[*heads, "so far", "kind (rule)"], *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if i in right_aligned else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    total_kwh = rows.select(sum_or_zero(pl.col("total_kwh"))).item()
    shown_frac = first["cumulated_frac"].max()
    share = (
        ""
        if shown_frac is None
        else f"; those above hold {100 * float(str(shown_frac)):.0f} % of it"
    )
    amount = f"{rows.height} runs that labels do not settle, {total_kwh:.1f} kWh{share}."
    return "\n".join([*lines, "", amount])


def format_drafts(rows: pl.DataFrame) -> str:
    """Rows of a label file with the kind and role of each run, to be corrected by hand.

    A role from labels is kept. Otherwise the role is `other`, as that of most runs.
    """
    return "".join(
        f"\n# {_describe_run(row)}\n- chain: {row['run_id']}\n  kind: {row['kind']}\n"
        f"  role: {row['role'] or 'other'}\n"
        for row in rows.iter_rows(named=True)
    )


def append_drafts(rows: pl.DataFrame, file: Path, study: StudyTables, *, published: Path) -> int:
    """Append drafts to a label file for the runs that it does not name yet.

    Args:
        rows: Rows of `rank_unlabelled_runs`.
        file: YAML label file, created where it does not exist.
        study: Tables of the study.
        published: Folder of the published results, in which no label file is allowed.

    Returns:
        Number of drafts written.

    Raises:
        InputError: The file cannot be extended, or is in the folder of the published results.
    """
    if file.resolve().is_relative_to(published.resolve()):
        raise InputError(
            f"label files hold logins, and {published.name}/ is published",
            where=str(file),
            do="set a file outside it",
        )
    existing = files.read_labels([file]) if file.exists() else []
    named = runs_named_by_labels(existing, study.jobs, study.run_of_job)
    new = rows.filter(~pl.col("run_id").is_in(named.implode()))
    if not new.is_empty():
        files.append_rows(file, ("" if file.exists() else NEW_FILE_HEADER) + format_drafts(new))
    return new.height


def runs_named_by_labels(
    labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame
) -> pl.Series:
    """Sorted ids of runs where a label names a job, an array or the chain."""
    ids = [job for label in labels for job in (*label.jobs, label.chain) if job is not None]
    arrays = [label.array for label in labels if label.array is not None]
    is_named = pl.col("job_id").is_in(ids) | pl.col("array_id").is_in(arrays).fill_null(False)
    return (
        jobs.filter(is_named)
        .select("job_id")
        .join(run_of_job, on="job_id")
        .select(pl.col("run_id").unique().sort())
        .collect()
        .to_series()
    )


def _describe_run(row: dict[str, object]) -> str:
    jobs = "1 job" if row["n_jobs"] == 1 else f"{row['n_jobs']} jobs"
    energy = "unknown energy" if row["total_kwh"] is None else f"{row['total_kwh']:.2f} kWh"
    start = "" if row["started_at"] is None else f" from {row['started_at']:%Y-%m-%d %H:%M}"
    name = f" {_one_line(row['name'])!r}" if row["name"] else ""
    command = _one_line(row["command"])
    return (
        f"{jobs}{name} of {_one_line(row['user'])}{start}, {row['gpu_hours']:.1f} GPU h, {energy}, "
        f"found by {row['rule']}" + (f": {command}" if command else "")
    )


def _one_line(text: object) -> str:
    """Text as one line of printable characters, because terminals and YAML do not accept others."""
    words = " ".join(("" if text is None else str(text)).split())
    return "".join(c if c.isprintable() else "?" for c in words)


def _shorten(text: str) -> str:
    if len(text) <= MAX_COMMAND_CHARS:
        return text
    return f"{text[: MAX_COMMAND_CHARS - 3]}..."
