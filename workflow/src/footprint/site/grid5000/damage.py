"""Signs that an answer of OAR's API is damaged although its status is 200.

OAR's API does not report a failure of its database. A failed query gives an empty list, a failure
between its two queries gives a total without items, and a connection that is cut while it answers
gives jobs without walltime, nodes or resources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

NO_WALLTIME = "started, but OAR gives no walltime"
NO_RESOURCES = "started, but OAR gives no nodes or resources"


def page_doubt(
    n_items: int,
    total: int | None,
    *,
    offset: int,
    limit: int,
    n_seen: int,
    n_overdue: Callable[[], int] = lambda: 0,
) -> str | None:
    """Return why a page of a list may be damaged, or None where its numbers agree.

    Args:
        n_items: Jobs on the page.
        total: Its `total`; None where that is no whole number.
        offset: Offset that was requested.
        limit: Limit that was requested.
        n_seen: Distinct jobs on the pages before.
        n_overdue: Returns how many jobs OAR counts in the window and does not list. Called only
            if items are missing.
    """
    if total is None:
        return "no whole number as total"
    if n_items == total == offset == 0:
        return "an empty list, as a failed query gives it"
    expected = min(limit, total - offset)
    if n_items < expected:
        expected = min(limit, total - n_overdue() - offset)
    if n_items < expected or (n_items == offset == 0):
        return f"{n_items} items where a total of {total} needs {expected}"
    if total < (offset + n_items if n_items else n_seen):
        return f"a total of {total} after {max(n_seen, offset + n_items)} jobs"
    return None


def whole_total(page: Mapping[str, Any]) -> int | None:
    """Return the `total` of a page, which Perl may write as text; None: it is no whole number."""
    try:
        return int(page["total"])
    except (KeyError, TypeError, ValueError):
        return None


def job_damage(job: Mapping[str, Any], *, started: bool) -> str | None:
    """Return why a job of `jobs/details` is damaged: a reason to reject it, or None.

    Args:
        job: The job as OAR's API describes it.
        started: Whether it has started, so that OAR must know its walltime and resources.
    """
    if not started:
        return None
    resources, nodes = job.get("resources"), job.get("nodes")
    lacks_nodes = nodes is not None and not nodes and any(map(_is_core, resources or []))
    if not resources or lacks_nodes:
        return NO_RESOURCES
    return NO_WALLTIME if job.get("walltime") is None else None


def _is_core(resource: Mapping[str, Any]) -> bool:
    return resource.get("type", "default") == "default" and bool(resource.get("network_address"))


def damaged_jobs(items: list[dict[str, Any]], records: pl.DataFrame) -> dict[int, str]:
    """Return the damaged jobs of a page: the reason of each by its id.

    Args:
        items: The page's jobs.
        records: The same jobs in the same order, as `oar.parse_jobs` reads them.
    """
    started = records["started_at"].is_not_null()
    return {
        job_id: reason
        for job_id, has_started, job in zip(records["job_id"], started, items, strict=True)
        if (reason := job_damage(job, started=has_started)) is not None
    }
