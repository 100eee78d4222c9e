"""Job and node of a recorded run, from the fields of its row and from the names in its path."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from footprint.sources import files

JOB_FIELD_PATTERN = re.compile(r"(?:(?:oar|job)[-_])?(\d{4,18})(?:\.0)?", re.IGNORECASE)
"""A field that is a job. CodeCarbon writes with pandas, which may turn a number into a float."""

JOB_NAME_PATTERN = re.compile(r"(?:(?:oar|job|emissions)[-_])?(\d{4,18})", re.IGNORECASE)
DAY_PATTERN = r"(?:19|20)\d\d-?[01]\d-?[0-3]\d"
TIMESTAMP_PATTERN = re.compile(
    rf"(?<!\d){DAY_PATTERN}(?:[T_-]?\d\d:?\d\d:?\d\d(?:\.\d+)?Z?)?(?!\d)"
)
LONG_NUMBER_PATTERN = re.compile(r"(?<!\d)\d{6,10}(?!\d)")
"""A number as long as a job's id at a site that has run for years. Shorter numbers are processes,
seeds and years. Days and times are removed before the search."""

NOT_A_NODE_PATTERN = r"(?!(?:emissions|oar|job|run|codecarbon|carbontracker)-)"
DOMAIN_PATTERN = r"\.[a-z]+\.grid5000\.fr"
NODE_NAME_PATTERN = re.compile(rf"{NOT_A_NODE_PATTERN}([a-z][a-z0-9]*-\d+)({DOMAIN_PATTERN})?")
LEADING_NODE_PATTERN = re.compile(
    rf"{NOT_A_NODE_PATTERN}([a-z][a-z0-9]*-\d+)({DOMAIN_PATTERN})?(?=[._-])"
)


def job_of_field(text: str) -> int | None:
    """Return the job that a field of a row is; None if it is something else."""
    found = JOB_FIELD_PATTERN.fullmatch(text)
    return int(found[1]) if found else None


def long_numbers(text: str) -> list[int]:
    """Return the numbers in a name that may be a job, in their order."""
    return [int(number) for number in LONG_NUMBER_PATTERN.findall(TIMESTAMP_PATTERN.sub(" ", text))]


def path_hints(label: str) -> dict[str, Any]:
    """Return `job_id`, `host` and `job_candidates` from a file's path; None where there is none.

    The part of the path nearest to the file counts, and a full node name before a short one. A name
    that is a job's id, alone or after a prefix as `oar-`, counts before a name that contains one
    number as long as an id, as in `OAR.asr.4288294.stdout`. Candidates are all such numbers.

    Args:
        label: Path of the file, relative to the folder of recordings.
    """
    path = PurePosixPath(label)
    file = files.uncompressed_name(Path(path.name))
    folders = [folder.name for folder in path.parents if folder.name]
    jobs = (JOB_NAME_PATTERN.fullmatch(name) for name in (PurePosixPath(file).stem, *folders))
    numbers = [long_numbers(name) for name in (file, *folders)]
    alone = (found[0] for found in numbers if len(set(found)) == 1)
    nodes = [
        LEADING_NODE_PATTERN.match(file),
        *(NODE_NAME_PATTERN.fullmatch(folder) for folder in folders),
    ]
    named = sorted((found for found in nodes if found), key=lambda found: found[2] is None)
    return {
        "job_id": next((int(found[1]) for found in jobs if found), next(alone, None)),
        "host": named[0][1] if named else None,
        "job_candidates": [number for found in numbers for number in found],
    }
