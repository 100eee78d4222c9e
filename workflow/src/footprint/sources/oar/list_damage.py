"""Signs that a list of jobs is damaged although its status is 200.

OAR's API does not report a failure of its database. A failed query gives an empty list. A failure
between its two queries gives a total without items. A connection that is cut during the answer
gives jobs without walltime, nodes or resources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.oar import job_records

# Reasons of `schemas.RejectedRows`.
NO_WALLTIME_REASON = "started, but OAR gives no walltime"
NO_RESOURCES_REASON = "started, but OAR gives no nodes or resources"


def page_doubt(
    n_items: int,
    total: int | None,
    *,
    offset: int,
    limit: int,
    n_seen: int,
    n_overdue: Callable[[], int] = lambda: 0,
) -> str | None:
    """Return why a page of a list may be damaged, or None if its counts agree.

    Args:
        n_items: Jobs on the page.
        total: Its `total`; None if that is no whole number.
        offset: Requested offset.
        limit: Requested limit.
        n_seen: Distinct jobs on the earlier pages.
        n_overdue: Returns how many jobs OAR counts in the window and does not list. Called only if
            items are missing.
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
    """Return the `total` of a page, which Perl may write as text; None if it is no whole number."""
    try:
        return int(page["total"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def item_records(items: list[dict[str, Any]], *, file: str) -> pl.DataFrame:
    """Return the record (`job_records.RECORD_SCHEMA`) of each item of a page, in its order.

    Args:
        items: The page's items.
        file: Name of the list, for messages and counts.

    Raises:
        ValueError: An item is a resource, empty, or a list itself, or no item describes a job.
    """
    found = None
    with suppress(InputError):
        found = job_records.parse_jobs(items, file=file, resources={})
    if found is None or len(found) != len(items) or not all(items):
        number, item = next(
            (number, item) for number, item in enumerate(items, 1) if not _is_one_job(item, file)
        )
        raise ValueError(f"item {number} of {len(items)} is no job: {item!r:.60}")
    return found


def _is_one_job(item: dict[str, Any], file: str) -> bool:
    try:
        return bool(item) and len(job_records.parse_jobs([item], file=file, resources={})) == 1
    except InputError:
        return False


def unreadable_records(records: pl.DataFrame) -> str | None:
    """Return the number of unreadable records and the first fault; None if all are readable."""
    faults = records["fault"].drop_nulls()
    return f"{len(faults)} jobs cannot be read: {faults[0]}" if len(faults) else None


def job_damage(job: Mapping[str, Any], *, started: bool) -> str | None:
    """Return the reason to reject a damaged job, or None.

    Args:
        job: The job as `jobs/details` of OAR's API describes it, or `/sites/<site>/jobs`.
        started: Whether it has started, so that OAR has its walltime and resources.
    """
    if not started:
        return None
    lacks_resources = _lacks_nodes if "uid" in job else _lacks_resources
    if lacks_resources(job):
        return NO_RESOURCES_REASON
    return NO_WALLTIME_REASON if job.get("walltime") in (None, "") else None


def _lacks_resources(job: Mapping[str, Any]) -> bool:
    """Whether a job of `jobs/details` has no resources, or cores and no nodes."""
    resources, nodes = job.get("resources"), job.get("nodes")
    if not isinstance(resources, list) or not resources:
        return True
    return nodes is not None and not nodes and any(map(_is_core, resources))


def _lacks_nodes(job: Mapping[str, Any]) -> bool:
    """Whether a job of `/sites/<site>/jobs` lacks resources, nodes or both.

    Resources other than cores, such as disks and networks, need no node.
    """
    resources, nodes = job.get("resources_by_type"), job.get("assigned_nodes")
    ids_by_type = resources if isinstance(resources, dict) else {}
    if not any(ids_by_type.values()):
        return not nodes or resources is not None
    return nodes is not None and not nodes and bool(ids_by_type.get("cores"))


def _is_core(resource: Any) -> bool:
    if not isinstance(resource, dict):
        return False
    return resource.get("type", "default") == "default" and bool(resource.get("network_address"))


def damaged_jobs(items: list[dict[str, Any]], records: pl.DataFrame) -> dict[int, str]:
    """Return the reason of each damaged job of a page, by its id.

    Args:
        items: The page's jobs.
        records: The same jobs in the same order, as `item_records` returns them.
    """
    started = records["started_at"].is_not_null()
    return {
        job_id: reason
        for job_id, has_started, job in zip(records["job_id"], started, items, strict=True)
        if (reason := job_damage(job, started=has_started)) is not None
    }


def has_ended(job: Mapping[str, Any]) -> bool:
    """Whether a listed job has ended, by its state."""
    return str(job.get("state")).lower() in job_records.ENDED_STATES
