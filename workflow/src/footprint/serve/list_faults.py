"""Faults in lists of jobs that come with status 200, as OAR's own API gives them.

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

WITHOUT_ITEMS = ("empty_list", "total_without_items")
LIST_KINDS = (*WITHOUT_ITEMS, "cut_jobs", "twice_encoded")
"""Faults of lists alone; the first three pass when the client asks again."""

OARAPI_LIST = re.compile(r"/internal/oarapi/jobs(/details|/table)?\.json$")
OARAPI_DETAILS = re.compile(r"/internal/oarapi/jobs/details\.json$")
ANY_DETAILS = re.compile(r"/internal/oarapi/jobs/details\.json$|/sites/[^/]+/jobs$")
DIRECTORIES = ("launching_directory", "directory")
ACCENTED = "/entraîné"
"""What `twice_encoded` appends to directories: the simulated site has ASCII text alone."""


def list_kinds(path: str) -> tuple[str, ...]:
    """Return the kinds of LIST_KINDS that can happen to a request for a path."""
    patterns = {
        **dict.fromkeys(WITHOUT_ITEMS, OARAPI_LIST),
        "cut_jobs": OARAPI_DETAILS,
        "twice_encoded": ANY_DETAILS,
    }
    return tuple(kind for kind, pattern in patterns.items() if pattern.search(path))


def damage_list(kind: str, body: bytes) -> bytes:
    """Return the body of an answer with a fault; unchanged where the fault has nothing to damage.

    Args:
        kind: One of LIST_KINDS.
        body: The whole answer, a collection of jobs.
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
            for key in DIRECTORIES:
                if job.get(key) is not None:
                    job[key] += ACCENTED.encode().decode("latin-1")
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
