"""Runs from files of energy tools: CodeCarbon's CSV files and carbontracker's logs.

These files are optional: a file or a line that cannot be read is counted with its reason and is no
error. Energies are energies of the machine: a PUE is divided out, since all methods are compared
without a PUE.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.sources import files
from footprint.sources.tool_logs import carbontracker, codecarbon, job_hints
from footprint.sources.tool_logs.run_records import RUN_SCHEMA, UnreadableError

EARLIER_STATE = "an earlier state of the same run"
REPEATED_RUN = "the same run is in another log"
TIMES_OF_TASKS = "its duration is of its last task only: used with the times of its tasks"
REPEATED_TASK = "the same task is in another line"

EMPTY_FILE = "the file is empty"
UNKNOWN_TOOL = "of no tool that is known"
TRACKER_LEDGER = "a ledger of the tracker: labels.ledgers names its folder"
NOT_TEXT = "not a text file"

TASK_RESOLUTION_S = 0.1
"""Largest time by which a run may be shorter than one of its tasks: both are read from a clock."""

LARGEST_MB = 256
"""Size in MB of the largest file that is read. 100 000 rows of CodeCarbon are about 40 MB."""


def parse_runs(
    paths: Iterable[tuple[str, Path]], *, unreadable: Iterable[tuple[str, str]] = ()
) -> pl.DataFrame:
    """Return the runs in files of CodeCarbon and carbontracker, in the order of the files.

    The format is inferred from the content. `.gz` and `.zst` are decompressed. Runs that cannot be
    used, and lines and files that cannot be read, are rows with a `reason`.

    Args:
        paths: Each file after its label, which is its path relative to the folder of recordings.
        unreadable: Other entries of the folder that should be files: label and reason.

    Returns:
        Rows of `run_records.RUN_SCHEMA`.
    """
    rows = [row for label, path in paths for row in _rows_with_hints(label, path)]
    rows += [_file_row(label, reason) for label, reason in unreadable]
    own = {row["run"] for row in rows if row["reason"] is None}
    _add_times_of_tasks(rows)
    for row in rows:
        row["is_task"] = "own_fault" in row
        if row["is_task"] and row["run"] not in own:
            # No other row contains the energy of these tasks.
            row["reason"] = row["own_fault"]
    schema = pl.Schema({**RUN_SCHEMA, "is_task": pl.Boolean()})
    return _reject_repeated(pl.DataFrame(rows, schema=schema, orient="row")).drop("is_task")


def _add_times_of_tasks(rows: list[dict[str, Any]]) -> None:
    """Give each used run that is shorter than its tasks their times, and a `limit`.

    All versions of CodeCarbon with tasks write the energy of all tasks into the row of their run,
    but the duration of the last one.
    """
    tasks: dict[str, set[tuple[Any, Any, float]]] = {}
    for row in rows:
        if "own_fault" in row and row["own_fault"] is None:
            task = (row["started_at"], row["stopped_at"], row["duration_s"])
            tasks.setdefault(row["run"], set()).add(task)
    for row in rows:
        of_run = tasks.get(row["run"], set()) if row["reason"] is None else set()
        duration_s = math.fsum(duration_s for *_, duration_s in of_run)
        if of_run and row["duration_s"] < duration_s - TASK_RESOLUTION_S * len(of_run):
            row |= {
                "started_at": min(row["started_at"], *(started for started, *_ in of_run)),
                "duration_s": duration_s,
                "limit": TIMES_OF_TASKS,
            }


def _reject_repeated(runs: pl.DataFrame) -> pl.DataFrame:
    """Return runs and tasks with a `reason` for all repetitions, so that each is used once.

    CodeCarbon writes a run again with its energy until then, and saves old files under another
    name. carbontracker 1 writes a run also into the logs that the same process began before.
    """
    numbered = runs.with_row_index("index")
    states = (pl.col("tool") == codecarbon.TOOL_NAME) & ~pl.col("is_task")
    by_length = numbered.filter(states).sort("duration_s", maintain_order=True)
    longest = by_length.filter(pl.col("run").is_last_distinct())["index"]
    used = pl.col("reason").is_null()
    logs = used & (pl.col("tool") == carbontracker.TOOL_NAME)
    run = ("tool_version", "started_at", "stopped_at", "duration_s", "gpu_kwh", "cpu_kwh")
    first = numbered.filter(logs).filter(pl.struct(run).is_first_distinct())["index"]
    tasks = used & pl.col("is_task")
    task = ("run", "started_at", "stopped_at", "duration_s", "energy_kwh")
    first_task = numbered.filter(tasks).filter(pl.struct(task).is_first_distinct())["index"]
    return numbered.with_columns(
        reason=pl.when(states & ~pl.col("index").is_in(longest.implode()))
        .then(pl.lit(EARLIER_STATE))
        .when(logs & ~pl.col("index").is_in(first.implode()))
        .then(pl.lit(REPEATED_RUN))
        .when(tasks & ~pl.col("index").is_in(first_task.implode()))
        .then(pl.lit(REPEATED_TASK))
        .otherwise("reason")
    ).drop("index")


def _rows_with_hints(label: str, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file; job and node that a row lacks are taken from the file's path."""
    hints = job_hints.path_hints(label)
    for row in _parse_file(label, path):
        candidates = [*row.get("job_candidates", ()), *hints["job_candidates"]]
        of_path = {key: row.get(key) or hints[key] for key in ("job_id", "host")}
        yield row | of_path | {"job_candidates": list(dict.fromkeys(candidates))}


def _parse_file(label: str, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, or one row with the reason for which it is not read."""
    try:
        text = _read_text(path)
    except UnreadableError as error:
        yield _file_row(label, error.reason)
        return
    name = files.uncompressed_name(path)
    start = text.lstrip().partition("\n")[0].strip()
    if codecarbon.is_header(start.split(",")):
        yield from codecarbon.parse_rows(label, text)
    elif carbontracker.is_standard_log(text):
        yield from carbontracker.parse_log(label, text)
    elif reason := carbontracker.unused_log_reason(text, name):
        yield _file_row(label, reason) | {"line": 1, "tool": carbontracker.TOOL_NAME}
    elif not start:
        yield _file_row(label, EMPTY_FILE)
    else:
        is_ledger = name.endswith(".jsonl") and _is_ledger(start)
        yield _file_row(label, TRACKER_LEDGER if is_ledger else UNKNOWN_TOOL)


def _file_row(label: str, reason: str) -> dict[str, Any]:
    return {"source": label, "line": None, "tool": None, "run": label, "reason": reason}


def _read_text(path: Path) -> str:
    """Return the text of a file, decompressed; line breaks of any system become newlines.

    Raises:
        UnreadableError: The file cannot be opened, is damaged, too large, or not a text.
    """
    try:
        content = input_files.read_content(path, most_mb=LARGEST_MB)
    except InputError as error:
        raise UnreadableError(error.what) from None
    if b"\0" in content:
        raise UnreadableError(NOT_TEXT)
    text = content.decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_ledger(line: str) -> bool:
    """Return whether a line is a record of the tracker."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"format", "record"} <= record.keys()
