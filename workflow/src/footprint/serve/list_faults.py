"""Faults in lists of jobs with status 200, as OAR's own API gives them.

| kind | what the client gets |
| --- | --- |
| `empty_list` | `{"items":[],"links":[],"offset":0,"total":0}`: the query failed |
| `total_without_items` | the total, and no items: a failure between the two queries |
| `cut_jobs` | part of the started jobs without walltime, part without nodes and resources |
| `twice_encoded` | directories with an accent, encoded as UTF-8 twice, declared as ISO-8859-1 |
"""

from __future__ import annotations

import json
import re
from typing import Any

EMPTY_LIST_KINDS = ("empty_list", "total_without_items")
LIST_KINDS = (*EMPTY_LIST_KINDS, "cut_jobs", "twice_encoded")
"""Kinds of faults of lists; the first three are temporary."""

OARAPI_LIST_PATH = re.compile(r"/internal/oarapi/jobs(/details|/table)?\.json$")
OARAPI_DETAILS_PATH = re.compile(r"/internal/oarapi/jobs/details\.json$")
ANY_DETAILS_PATH = re.compile(r"/internal/oarapi/jobs/details\.json$|/sites/[^/]+/jobs$")
DIRECTORY_KEYS = ("launching_directory", "directory")
ACCENTED_SUFFIX = "/entraîné"
"""Text that `twice_encoded` appends to directories: the simulated ones are ASCII."""


def kinds_for_path(path: str) -> tuple[str, ...]:
    """Return the kinds (LIST_KINDS) that can occur in the answer of a path."""
    patterns = {
        **dict.fromkeys(EMPTY_LIST_KINDS, OARAPI_LIST_PATH),
        "cut_jobs": OARAPI_DETAILS_PATH,
        "twice_encoded": ANY_DETAILS_PATH,
    }
    return tuple(kind for kind, pattern in patterns.items() if pattern.search(path))


def damage_list(kind: str, body: bytes) -> bytes:
    """Return the body of an answer with a fault; unchanged if it has nothing to damage.

    Args:
        kind: One of LIST_KINDS.
        body: The undamaged answer, a collection of jobs.
    """
    page = json.loads(body)
    items: list[dict[str, Any]] = page["items"]
    if not items:
        return body
    if kind == "empty_list":
        page = {"items": [], "links": [], "offset": 0, "total": 0}
    elif kind == "total_without_items":
        page["items"] = []
    elif kind == "cut_jobs":
        started = [job for job in items if job["start_time"]]
        if not started:
            return body
        for rank, job in enumerate(started):
            if rank % 3 == 0:
                job["walltime"] = None
            elif rank % 3 == 1:
                job |= {"nodes": [], "resources": []}
    else:
        for job in items:
            for key in DIRECTORY_KEYS:
                if job.get(key) is not None:
                    job[key] += ACCENTED_SUFFIX.encode().decode("latin-1")
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
