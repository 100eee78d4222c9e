"""Runs of which no label says what they were for, those with the most energy first.

A few hundred of a study's runs hold most of its energy: labelling them by hand is an hour's work.
What is shown here holds logins and commands, and so it is for the owner of the study alone: for the
terminal and for label files, never for `results/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint import label_files
from footprint.errors import InputError
from footprint.label_files import Label
from footprint.summation import total

NEEDS_ROLE = ("training_run", "inference_run")
"""Kinds whose phase depends on the role; runs of the others are development whatever it is."""

LONGEST_SHOWN = 48
"""Characters of a command that the table shows."""

NEW_FILE = """\
# Drafts of `footprint labels`, the runs with the most energy first. Correct `kind` and `role`
# (`reported`: of the model in the paper), add `paper`, and list this file in `labels.files`.
# docs/labels.md explains every column.
"""


class Study(NamedTuple):
    """Tables of a study that has been run."""

    runs: pl.LazyFrame
    labelled: pl.LazyFrame
    jobs: pl.LazyFrame
    run_of_job: pl.LazyFrame


def read(directory: Path, *, site: str | None = None) -> Study:
    """The tables of the study in a folder.

    Args:
        directory: Folder of the study.
        site: Grid'5000 site; None: the only one that the folder has.

    Raises:
        InputError: There are no runs yet, or those of several sites and none is chosen.
    """
    runs = directory / "results/phases/runs.parquet"
    sites = [path.parent.name for path in sorted(directory.glob("resources/*/labelled.parquet"))]
    if site is None and len(sites) > 1:
        raise InputError(
            f"there are several sites ({', '.join(sites)})", where="--site", do="choose one"
        )
    folder = directory / "resources" / (site or (sites[0] if sites else "<site>"))
    paths = [runs, *(folder / f"{name}.parquet" for name in ("labelled", "jobs", "run_of_job"))]
    for path in paths:
        if not path.is_file():
            raise InputError(
                "there is no such file yet",
                where=str(path),
                do="run the workflow first, or name its folder with --directory",
            )
    return Study(*(pl.scan_parquet(path) for path in paths))


def ranked(
    runs: pl.LazyFrame,
    labelled: pl.LazyFrame,
    jobs: pl.LazyFrame,
    *,
    user: str | None = None,
    project: str | None = None,
    paper: str | None = None,
) -> pl.LazyFrame:
    """Runs that labels do not settle, by energy.

    Labels settle a run when they say its phase, or its kind and its role, or a kind whose phase
    depends on no role. Runs that never ran are left out.

    Args:
        runs: `tables.Runs`.
        labelled: `tables.Labelled`.
        jobs: `tables.Jobs`.
        user: Only runs of this login (or pseudonym).
        project: Only runs of this project.
        paper: Only runs of this paper, as labels have it.

    Returns:
        `rank` (1 has the most energy; unmeasured runs come last, by their GPU hours), `run_id`,
        `n_jobs`, `user` (login), `project`, `paper`, `name`, `command` (of the first job),
        `started_at`, `duration_s`, `gpu_hours`, `energy_kwh`, `cumulated_frac` (part of the energy
        of all these runs that this and the ones before hold; null: unmeasured), `kind` and `rule`
        (what was found, and how), `role` (as labels have it). Sorted by rank.
    """
    said = labelled.select(
        run_id="job_id",
        paper="paper",
        **{f"{c}_said": pl.col(c) for c in ("kind", "role", "phase")},
    )
    owners = jobs.select("name", "command", run_id="job_id", login="user")
    settled = pl.col("phase_said").is_not_null() | (
        pl.col("kind_said").is_not_null()
        & (
            pl.col("role_said").is_not_null()
            | ~pl.col("kind_said").cast(pl.String).is_in(NEEDS_ROLE)
        )
    )
    asked = {("login", "user"): user, ("project",): project, ("paper",): paper}
    wanted = [
        pl.any_horizontal(*(pl.col(name) == value for name in columns))
        for columns, value in asked.items()
        if value is not None
    ]
    energy_kwh = pl.col("energy_kwh")
    rows = (
        runs.filter(pl.col("kind").is_not_null())
        .drop("role")
        # What is said of a run is said of each of its jobs, the first of which names it.
        .join(said, on="run_id", how="left")
        .join(owners, on="run_id", how="left")
        .filter(~settled.fill_null(False), *wanted)
        .sort(
            energy_kwh.fill_null(-1.0),
            "gpu_hours",
            "run_id",
            descending=[True, True, False],
        )
        .with_columns(
            cumulated_frac=energy_kwh.cum_sum() / total(energy_kwh),
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
        "energy_kwh",
        pl.when(energy_kwh.is_not_null() & pl.col("cumulated_frac").is_finite())
        .then("cumulated_frac")
        .alias("cumulated_frac"),
        pl.col("kind").cast(pl.String),
        "rule",
        pl.col("role_said").cast(pl.String).alias("role"),
    )


def listing(rows: pl.DataFrame, *, most: int) -> str:
    """The first runs of `ranked` as a table for the terminal, and what they amount to."""
    if rows.is_empty():
        return "Labels settle every run."
    first = rows.head(most)
    cells = [
        [
            str(row["rank"]),
            str(row["run_id"]),
            str(row["n_jobs"]),
            _line(row["user"]),
            _line(row["name"]) or "-",
            _shortened(_line(row["command"])) or "-",
            "-" if row["started_at"] is None else f"{row['started_at']:%Y-%m-%d %H:%M}",
            f"{row['duration_s'] / 3600:.1f}",
            f"{row['gpu_hours']:.1f}",
            "-" if row["energy_kwh"] is None else f"{row['energy_kwh']:.2f}",
            "-" if row["cumulated_frac"] is None else f"{100 * row['cumulated_frac']:.0f} %",
            f"{row['kind']} ({row['rule']})",
        ]
        for row in first.iter_rows(named=True)
    ]
    heads = ("", "run", "jobs", "user", "name", "command", "start (UTC)", "h", "GPU h", "kWh")
    rights = {0, 1, 2, 7, 8, 9, 10}
    table = [[*heads, "so far", "found (by)"], *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if i in rights else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    energy_kwh = rows.select(total(pl.col("energy_kwh"))).item()
    held = first["cumulated_frac"].max()
    share = "" if held is None else f"; those above hold {100 * float(str(held)):.0f} % of it"
    amount = f"{rows.height} runs that labels do not settle, {energy_kwh:.1f} kWh measured{share}."
    return "\n".join([*lines, "", amount])


def drafts(rows: pl.DataFrame) -> str:
    """Rows of a label file that say what was found of each run, to be corrected by hand.

    A role that labels have already said is kept; else a run is taken for none of the reported
    model's, which is what most are.
    """
    return "".join(
        f"\n# {_described(row)}\n- chain: {row['run_id']}\n  kind: {row['kind']}\n"
        f"  role: {row['role'] or 'other'}\n"
        for row in rows.iter_rows(named=True)
    )


def write(rows: pl.DataFrame, file: Path, study: Study, *, published: Path) -> int:
    """Append drafts to a label file, but for the runs that it names already.

    Args:
        rows: Rows of `ranked`.
        file: YAML label file, made where there is none.
        study: Tables of the study.
        published: Folder of the published results, where no label file may lie.

    Returns:
        How many drafts were written.

    Raises:
        InputError: A file that cannot be extended, or that lies among the published results.
    """
    if file.resolve().is_relative_to(published.resolve()):
        raise InputError(
            f"label files hold logins, and {published.name}/ is published",
            where=str(file),
            do="name a file elsewhere",
        )
    there = label_files.read([file]) if file.exists() else []
    new = rows.filter(~pl.col("run_id").is_in(named(there, study.jobs, study.run_of_job).implode()))
    if not new.is_empty():
        label_files.extend(file, ("" if file.exists() else NEW_FILE) + drafts(new))
    return new.height


def named(labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame) -> pl.Series:
    """Runs of which a label names a job, an array or the chain itself, by their ids, sorted."""
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


def _described(row: dict[str, object]) -> str:
    jobs = "1 job" if row["n_jobs"] == 1 else f"{row['n_jobs']} jobs"
    energy = "unmeasured" if row["energy_kwh"] is None else f"{row['energy_kwh']:.2f} kWh"
    start = "" if row["started_at"] is None else f" from {row['started_at']:%Y-%m-%d %H:%M}"
    name = f" {_line(row['name'])!r}" if row["name"] else ""
    command = _line(row["command"])
    return (
        f"{jobs}{name} of {_line(row['user'])}{start}, {row['gpu_hours']:.1f} GPU h, {energy}, "
        f"found by {row['rule']}" + (f": {command}" if command else "")
    )


def _line(text: object) -> str:
    """Text in one line of printable characters: neither a terminal nor YAML takes all others."""
    words = " ".join(("" if text is None else str(text)).split())
    return "".join(c if c.isprintable() else "?" for c in words)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
