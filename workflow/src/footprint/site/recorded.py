"""Files that energy tools left -> runs: CodeCarbon's CSV files and carbontracker's logs.

Such files are optional: one that cannot be read, or a line of it, is counted with its reason and
stops nothing. Energies are those of the machine: a PUE is divided out, since all methods are
compared without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from footprint.errors import InputError
from footprint.site import carbontracker_files, codecarbon_files, files
from footprint.site.carbontracker_files import ERROR_LOG, OUTPUT_LOG
from footprint.site.codecarbon_files import TASK
from footprint.site.run_records import RUNS, UnreadableError

__all__ = [
    "EMPTY",
    "ERROR_LOG",
    "OUTPUT_LOG",
    "RUNS",
    "TASK",
    "parse",
]

EARLIER_STATE = "an earlier state of the same run"
TWICE = "the same run is in another log"
TASK_TWICE = "the same task is in another line"

EMPTY = "the file is empty"
NO_TOOL = "of no tool that is known"
LEDGER = "a ledger of the tracker: labels.ledgers names its folder"
POINTER = "a pointer of Git LFS: the file itself was not fetched"
NOT_TEXT = "not a text file"
DAMAGED = "the compressed file is damaged or incomplete"
UNREADABLE = "the file cannot be opened"
TOO_LARGE = "larger than 256 MiB"

LARGEST_BYTES = 256 << 20
"""Far more than a tool writes: 100 000 rows of CodeCarbon are about 40 MB."""

LFS = "version https://git-lfs.github.com/spec/"

JOB_NAME = re.compile(r"(?:(?:oar|job|emissions)[-_])?(\d{4,18})", re.IGNORECASE)
DAY = r"(?:19|20)\d\d-?[01]\d-?[0-3]\d"
STAMP = re.compile(rf"(?<!\d){DAY}(?:[T_-]?\d\d:?\d\d:?\d\d(?:\.\d+)?Z?)?(?!\d)")
ANY_NUMBER = re.compile(r"(?<!\d)\d{6,10}(?!\d)")
"""A number as long as a job's id at a site that has run for years; shorter ones are processes,
seeds and years. Days and times are left out before."""
NO_NODE = r"(?!(?:emissions|oar|job|run|codecarbon|carbontracker)-)"
DOMAIN = r"\.[a-z]+\.grid5000\.fr"
NODE_NAME = re.compile(rf"{NO_NODE}([a-z][a-z0-9]*-\d+)({DOMAIN})?")
NODE_FIRST = re.compile(rf"{NO_NODE}([a-z][a-z0-9]*-\d+)({DOMAIN})?(?=[._-])")


def parse(
    paths: Iterable[tuple[str, Path]], *, unreadable: Iterable[tuple[str, str]] = ()
) -> pl.DataFrame:
    """Runs in files of CodeCarbon and carbontracker, in the order of the files (`RUNS`).

    The content tells the format; `.gz` and `.zst` are decompressed. Runs that cannot be used, and
    lines and files that cannot be read, are rows with a `reason`.

    Args:
        paths: Each file with its label: its path relative to the folder of recordings.
        unreadable: Other entries of that folder that should be files: label and reason.
    """
    rows = [row for label, path in paths for row in _runs(label, path)]
    rows += [_whole_file(label, reason) for label, reason in unreadable]
    own = {row["run"] for row in rows if row["reason"] is None}
    for row in rows:
        row["is_task"] = "own_fault" in row
        if row["is_task"] and row["run"] not in own:
            # nothing else holds the energy of these tasks
            row["reason"] = row["own_fault"]
    schema = pl.Schema({**RUNS, "is_task": pl.Boolean()})
    return _once(pl.DataFrame(rows, schema=schema, orient="row")).drop("is_task")


def _once(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs and tasks, of which each is used once.

    CodeCarbon writes a run again with what it used up to then, and saves old files under another
    name. carbontracker 1 writes a run also into the logs that the same process began before.
    """
    numbered = runs.with_row_index("index")
    states = (pl.col("tool") == codecarbon_files.TOOL) & ~pl.col("is_task")
    by_length = numbered.filter(states).sort("duration_s", maintain_order=True)
    longest = by_length.filter(pl.col("run").is_last_distinct())["index"]
    used = pl.col("reason").is_null()
    logs = used & (pl.col("tool") == carbontracker_files.TOOL)
    what = ("tool_version", "started_at", "stopped_at", "duration_s", "gpu_kwh", "cpu_kwh")
    first = numbered.filter(logs).filter(pl.struct(what).is_first_distinct())["index"]
    tasks = used & pl.col("is_task")
    task = ("run", "started_at", "stopped_at", "duration_s", "energy_kwh")
    first_task = numbered.filter(tasks).filter(pl.struct(task).is_first_distinct())["index"]
    return numbered.with_columns(
        reason=pl.when(states & ~pl.col("index").is_in(longest.implode()))
        .then(pl.lit(EARLIER_STATE))
        .when(logs & ~pl.col("index").is_in(first.implode()))
        .then(pl.lit(TWICE))
        .when(tasks & ~pl.col("index").is_in(first_task.implode()))
        .then(pl.lit(TASK_TWICE))
        .otherwise("reason")
    ).drop("index")


def _runs(label: str, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file, with the job and the node that its path names where its rows do not."""
    hints = _path_hints(label)
    for row in _rows(label, path):
        yield row | {key: row.get(key) or hint for key, hint in hints.items()}


def _rows(label: str, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file, or one row that says why it is not read."""
    try:
        text = _text(path)
    except UnreadableError as error:
        yield _whole_file(label, error.reason)
        return
    name = files.plain_name(path)
    start = text.lstrip().partition("\n")[0].strip()
    if codecarbon_files.is_header(start.split(",")):
        yield from codecarbon_files.rows(label, text)
    elif carbontracker_files.is_log(text):
        yield from carbontracker_files.rows(label, text)
    elif reason := carbontracker_files.unused_log(text, name):
        yield _whole_file(label, reason) | {"line": 1, "tool": carbontracker_files.TOOL}
    elif not start:
        yield _whole_file(label, EMPTY)
    elif start.startswith(LFS):
        yield _whole_file(label, POINTER)
    else:
        is_ledger = name.endswith(".jsonl") and _is_ledger(start)
        yield _whole_file(label, LEDGER if is_ledger else NO_TOOL)


def _whole_file(label: str, reason: str) -> dict[str, Any]:
    return {"source": label, "line": None, "tool": None, "run": label, "reason": reason}


def _text(path: Path) -> str:
    """Text of a file, decompressed; line breaks of any system are newlines.

    Raises:
        UnreadableError: The file cannot be opened, is damaged, too large, or is no text.
    """
    content = bytearray()
    try:
        for block in files.blocks(path):
            content += block
            if len(content) > LARGEST_BYTES:
                raise UnreadableError(TOO_LARGE)
    except InputError as error:
        raise UnreadableError(DAMAGED if files.DAMAGED in str(error) else UNREADABLE) from None
    if b"\0" in content:
        raise UnreadableError(NOT_TEXT)
    text = content.decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_ledger(line: str) -> bool:
    """Whether a line is a record of the tracker."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"format", "record"} <= record.keys()


def _path_hints(label: str) -> dict[str, Any]:
    """Job and node that a file's path names: the nearest to the file, and full node names first.

    A name that is a job's id, alone or behind `oar-` and the like, comes before one that holds just
    one number as long as such an id, as in `OAR.asr.4288294.stdout`.
    """
    path = PurePosixPath(label)
    file = files.plain_name(Path(path.name))
    folders = [folder.name for folder in path.parents if folder.name]
    jobs = (JOB_NAME.fullmatch(name) for name in (PurePosixPath(file).stem, *folders))
    numbers = (ANY_NUMBER.findall(STAMP.sub(" ", name)) for name in (file, *folders))
    alone = (found[0] for found in numbers if len(set(found)) == 1)
    nodes = [NODE_FIRST.match(file), *(NODE_NAME.fullmatch(folder) for folder in folders)]
    named = sorted((found for found in nodes if found), key=lambda found: found[2] is None)
    return {
        "job_id": next((int(found[1]) for found in jobs if found), int(next(alone, 0)) or None),
        "host": named[0][1] if named else None,
    }
