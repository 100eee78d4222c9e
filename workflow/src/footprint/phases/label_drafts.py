"""Print proposals of groups to label, and write them as drafts of rows of a label file.

A draft selects the runs of a group, and says in comments what was found; its labels are empty until
the user fills them in. A draft that is not filled in stops the workflow with its line, so that a
kind that nobody looked at never counts as a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from footprint.core.errors import InputError
from footprint.core.sums import exact_sum, sum_or_zero
from footprint.labels import files
from footprint.labels.commands import group_of_command
from footprint.labels.files import Label
from footprint.phases.label_proposals import StudyTables

MAX_COMMAND_CHARS = 48
"""Length to which the table shortens commands."""

EMPTY_LABELS = ("kind", "role", "paper", "stage")
"""Columns of a draft that are left empty."""

NEW_FILE_HEADER = """\
# Drafts of `footprint labels`, the groups with the most energy times doubt first. Fill in `kind`,
# and `role` (`reported`: of the model in the paper), `paper` and `stage` where you know them.
# Remove the rows that you leave empty, and list this file in `labels.files`. docs/labels.md
# explains every column.
"""


def format_listing(rows: pl.DataFrame, *, most: int, group_runs: pl.DataFrame) -> str:
    """Table for the terminal of the first proposals, with what they hold together.

    Args:
        rows: Result of `label_proposals.propose_groups`.
        most: Number of proposals shown.
        group_runs: `schemas.GroupRuns`, for the number of runs that differ from a labelled group.
    """
    notes = [text for text in (_differing_note(group_runs),) if text]
    if rows.is_empty():
        return "\n".join(["Labels give the kind of every run.", *notes])
    first = rows.head(most)
    cells = [
        [
            str(row["rank"]),
            _one_line(row["user"]),
            str(row["n_runs"]),
            _shorten(_one_line(row["command_group" if row["is_group"] else "command"])) or "-",
            "group" if row["is_group"] else "jobs",
            _days(row),
            f"{row['duration_s'] / 3600:.1f}",
            f"{row['gpu_hours']:.1f}",
            _number(row["total_kwh"]),
            _number(row["doubt_kwh"]),
            "-" if row["cumulated_frac"] is None else f"{100 * row['cumulated_frac']:.0f} %",
            _found(row),
        ]
        for row in first.iter_rows(named=True)
    ]
    heads = ("", "user", "runs", "command", "by", "started", "h", "GPU h", "kWh", "in doubt")
    right_aligned = {0, 2, 6, 7, 8, 9, 10}
    table = [[*heads, "so far", "kind found"], *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if i in right_aligned else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    total, doubt, n_runs = rows.select(
        sum_or_zero(pl.col("total_kwh")),
        sum_or_zero(pl.col("doubt_kwh")),
        exact_sum(pl.col("n_runs")),
    ).row(0)
    amount = (
        f"{rows.height} groups of {n_runs} runs without a labelled kind, {total:.1f} kWh, of which "
        f"{doubt:.1f} kWh are in doubt."
    )
    n_reported = first.filter(pl.col("reason").is_not_null()).height
    if n_reported:
        notes.insert(
            0, f"The first {n_reported} are reported runs of uncertain kind: R depends on them."
        )
    return "\n".join([*lines, "", amount, *notes])


def format_drafts(rows: pl.DataFrame) -> str:
    """Rows of a label file for proposals, with what was found in comments and empty labels.

    Args:
        rows: Rows of `label_proposals.propose_groups`.
    """
    return "".join(_format_draft(row) for row in rows.iter_rows(named=True))


def append_drafts(rows: pl.DataFrame, file: Path, study: StudyTables, *, published: Path) -> int:
    """Append drafts to a label file for the proposals that it does not select yet.

    Args:
        rows: Rows of `label_proposals.propose_groups`.
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
    existing = files.read_drafts([file]) if file.exists() else []
    named = runs_named_by_labels(existing, study.jobs, study.run_of_job).to_list()
    groups = _groups_of_labels(existing)
    is_known = pl.struct("user", "command_group").is_in(groups.implode()) & pl.col("is_group")
    is_named = pl.col("run_ids").list.eval(pl.element().is_in(named)).list.any()
    new = rows.filter(~is_known.fill_null(False), ~(is_named & ~pl.col("is_group")))
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


def _groups_of_labels(labels: Sequence[Label]) -> pl.Series:
    """User and group of commands of the labels that select a group."""
    rows = [(label.user, label.group) for label in labels if label.group is not None]
    frame = pl.DataFrame(rows, {"user": pl.String, "command_group": pl.String}, orient="row")
    groups = frame.with_columns(group_of_command(pl.col("command_group")))
    return groups.select(pl.struct("user", "command_group")).to_series()


def _format_draft(row: dict[str, Any]) -> str:
    if row["is_group"]:
        selector = f"- user: {_quote(row['user'])}\n  group: {_quote(row['command_group'])}\n"
    else:
        selector = f"- jobs: [{', '.join(map(str, row['run_ids']))}]\n"
    labels = "".join(f"  {name}:\n" for name in EMPTY_LABELS)
    return f"\n# {_describe(row)}\n{selector}{labels}"


def _describe(row: dict[str, Any]) -> str:
    n = row["n_runs"]
    energy = _number(row["total_kwh"])
    power = "" if row["power_w"] is None else f", {row['power_w']:.0f} W"
    command = _one_line(row["command"])
    lines = [
        f"{n} run{'' if n == 1 else 's'} of {_one_line(row['user'])}, {_days(row)}"
        + (f": {command}" if command else ""),
        f"{energy} kWh, {row['gpu_hours']:.1f} GPU h, the largest {row['duration_s'] / 3600:.1f} h"
        f"{power}; found: {_found(row)}",
    ]
    if row["is_group"] and row["n_differing"]:
        lines.append(
            f"{row['n_differing']} more runs of the command differ in duration, power or kind and "
            "need rows of their own"
        )
    return "\n# ".join(lines)


def _found(row: dict[str, Any]) -> str:
    """Found kind with its confidence; its share of the energy where other kinds were found too."""
    frac, confidence = row["kind_frac"], row["confidence"]
    parts = [f"{confidence:.2f}" if isinstance(confidence, float) else "-"]
    if isinstance(frac, float) and frac < 0.995:
        parts.append(f"{100 * frac:.0f} % of the energy")
    if row["reason"]:
        parts.append(f"reported, {row['reason']}")
    return f"{row['kind']} ({', '.join(parts)})"


def _differing_note(group_runs: pl.DataFrame) -> str:
    differing = group_runs.filter(~pl.col("agrees"))
    if differing.is_empty():
        return ""
    energy = differing.select(sum_or_zero(pl.col("total_kwh"))).item()
    return (
        f"{differing.height} of {group_runs.height} runs of labelled groups ({energy:.1f} kWh) "
        "differ from their group in duration, power or kind, and keep the kind found; rows by "
        "`jobs` label them."
    )


def _days(row: dict[str, Any]) -> str:
    first, last = (
        "-" if row[name] is None else f"{row[name]:%Y-%m-%d}"
        for name in ("first_start", "last_start")
    )
    return first if first == last else f"{first} to {last}"


def _number(value: object) -> str:
    return "-" if value is None else f"{value:.2f}"


def _quote(value: object) -> str:
    """Text as a scalar of YAML on one line."""
    text = "" if value is None else str(value)
    return str(yaml.safe_dump(text, default_style='"', width=10**6, allow_unicode=False)).strip()


def _one_line(text: object) -> str:
    """Text as one line of printable characters, because terminals and YAML do not accept others."""
    words = " ".join(("" if text is None else str(text)).split())
    return "".join(c if c.isprintable() else "?" for c in words)


def _shorten(text: str) -> str:
    if len(text) <= MAX_COMMAND_CHARS:
        return text
    return f"{text[: MAX_COMMAND_CHARS - 3]}..."
