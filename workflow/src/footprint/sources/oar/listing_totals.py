"""Jobs that the `total` of a saved answer counts, but that no file lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint.schemas.raw import RejectedRows

NOT_LISTED = 'counted in "total" of the answer, but listed in no file'
COUNT_PATTERN = re.compile(r"[0-9]{1,15}")
PAGING_PATTERN = re.compile(r"[?&](?:offset|limit)=\d*")


class ListingPage(NamedTuple):
    """A page of a listing.

    Attributes:
        query: The request without its paging; None if the page lacks it.
        total: Number of jobs of the whole listing.
        job_ids: Ids of the jobs on the page.
        offset: Items of the listing before those on the page; None if the page lacks it.
        n_items: Items on the page. A moldable job has several.
        oldest_s: Submission of the last job in seconds since 1970, if the page is ordered from the
            newest job down; None otherwise.
        file: The file of the page.
    """

    query: str | None
    total: int
    job_ids: frozenset[int]
    offset: int | None
    n_items: int
    oldest_s: int | None
    file: str


def parse_page(document: Any, records: pl.DataFrame, *, file: str) -> ListingPage | None:
    """Return the page of a listing that a document contains; None without a page or its `total`.

    Args:
        document: The decoded JSON.
        records: Records of its jobs (`job_records.RECORD_SCHEMA`).
        file: The file of the document.
    """
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return None
    items, total = document["items"], _parse_count(document.get("total"))
    if total is None:
        return None
    links = document.get("links")
    addresses = (
        link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") == "self"
    )
    address = next(addresses, None)
    return ListingPage(
        query=PAGING_PATTERN.sub("", address) if isinstance(address, str) else None,
        total=total,
        job_ids=frozenset(records["job_id"].drop_nulls()),
        offset=_parse_count(document.get("offset")),
        n_items=len(items),
        oldest_s=_oldest_submission_s(items),
        file=file,
    )


def count_unlisted_jobs(pages: Iterable[ListingPage], *, start: datetime) -> pl.DataFrame:
    """Return the number of jobs of each listing that no page contains, by the listing's first file.

    The list of the Grid'5000 API begins with the newest job and contains all jobs of the site. If
    the first pages of a listing, without a gap between them, go back to before `start`, the listing
    is complete enough for the study.

    Args:
        pages: All saved pages.
        start: Start of the study.

    Returns:
        Rows of `schemas.RejectedRows`.
    """
    listings: dict[tuple[str | None, int], list[ListingPage]] = {}
    for each in pages:
        listings.setdefault((each.query, each.total), []).append(each)
    missing: dict[str, int] = {}
    for (_, total), found in listings.items():
        n_missing = total - len(frozenset[int]().union(*(each.job_ids for each in found)))
        if n_missing > 0 and not _has_all_since(found, start):
            missing[found[0].file] = missing.get(found[0].file, 0) + n_missing
    columns = {
        "stage": ["jobs"] * len(missing),
        "source": list(missing),
        "reason": [NOT_LISTED] * len(missing),
        "n_rows": list(missing.values()),
        "example": [None] * len(missing),
    }
    return pl.DataFrame(columns, schema=RejectedRows.create_empty().schema)


def _parse_count(value: Any) -> int | None:
    """Return a number of items, which may be given as text; None for anything else."""
    is_number = isinstance(value, int | str) and not isinstance(value, bool)
    return int(value) if is_number and COUNT_PATTERN.fullmatch(str(value)) else None


def _oldest_submission_s(items: list[Any]) -> int | None:
    """Return the submission of the last job of a page of the Grid'5000 API (`Page.oldest_s`)."""
    known = [
        (_parse_count(item.get("uid")), _parse_count(item.get("submitted_at")))
        for item in items
        if isinstance(item, dict)
    ]
    uids = [uid for uid, _ in known if uid is not None]
    if not uids or len(uids) < len(items) or uids != sorted(uids, reverse=True):
        return None
    return known[-1][1]


def _has_all_since(pages: Iterable[ListingPage], start: datetime) -> bool:
    """Return whether pages from the newest job down list all jobs submitted since `start`."""
    n_covered = 0
    placed = [(each.offset, each) for each in pages if each.offset is not None]
    for offset, each in sorted(placed, key=lambda place: place[0]):
        if offset > n_covered:
            break
        n_covered = max(n_covered, offset + each.n_items)
        if each.oldest_s is not None and each.oldest_s < start.timestamp():
            return True
    return False
