"""Jobs that a saved answer counts in its `total`, but that no file lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint import tables

NOT_LISTED = 'counted in "total" of the answer, but listed in no file'
DIGITS = re.compile(r"[0-9]{1,15}")
PAGING = re.compile(r"[?&](?:offset|limit)=\d*")


class Page(NamedTuple):
    """A page of a listing.

    Attributes:
        query: The request without its paging; None where the page does not give it.
        total: Jobs that the whole listing has.
        jobs: Ids of those on the page.
        offset: Items of the listing before those on the page; None where the page does not say.
        n_items: Items on the page; a moldable job is several.
        last_s: Submission of the last job, where the page goes from the newest job down; None where
            it does not.
        file: The file of the page.
    """

    query: str | None
    total: int
    jobs: frozenset[int]
    offset: int | None
    n_items: int
    last_s: int | None
    file: str


def page(document: Any, records: pl.DataFrame, *, file: str) -> Page | None:
    """The page that a document is; None: it is none, or has no `total`.

    Args:
        document: The decoded JSON.
        records: Its jobs (`oar.RECORD`).
        file: The file.
    """
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return None
    items, total = document["items"], _count(document.get("total"))
    if total is None:
        return None
    links = document.get("links")
    addresses = (
        link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") == "self"
    )
    address = next(addresses, None)
    return Page(
        query=PAGING.sub("", address) if isinstance(address, str) else None,
        total=total,
        jobs=frozenset(records["job_id"].drop_nulls()),
        offset=_count(document.get("offset")),
        n_items=len(items),
        last_s=_last(items),
        file=file,
    )


def _count(value: Any) -> int | None:
    """A number of items, which may be given as text."""
    is_number = isinstance(value, int | str) and not isinstance(value, bool)
    return int(value) if is_number and DIGITS.fullmatch(str(value)) else None


def _last(items: list[Any]) -> int | None:
    """When the last job of a page of the Grid'5000 API was submitted (`Page.last_s`)."""
    known = [
        (_count(item.get("uid")), _count(item.get("submitted_at")))
        for item in items
        if isinstance(item, dict)
    ]
    uids = [uid for uid, _ in known if uid is not None]
    if not uids or len(uids) < len(items) or uids != sorted(uids, reverse=True):
        return None
    return known[-1][1]


def not_listed(pages: Iterable[Page], *, start: datetime) -> pl.DataFrame:
    """Jobs of each listing that no page has (`tables.SetAside`), by the first file of the listing.

    The list of the Grid'5000 API begins with the newest job and has all jobs of the site: a listing
    of which the first pages, without a gap between them, go back to before `start` is whole enough
    for the study.

    Args:
        pages: All pages that were saved.
        start: Start of the study.
    """
    listings: dict[tuple[str | None, int], list[Page]] = {}
    for each in pages:
        listings.setdefault((each.query, each.total), []).append(each)
    missing: dict[str, int] = {}
    for (_, total), found in listings.items():
        n_missing = total - len(frozenset[int]().union(*(each.jobs for each in found)))
        if n_missing > 0 and not _reaches_back(found, start):
            missing[found[0].file] = missing.get(found[0].file, 0) + n_missing
    columns = {
        "stage": ["jobs"] * len(missing),
        "source": list(missing),
        "reason": [NOT_LISTED] * len(missing),
        "n_rows": list(missing.values()),
        "example": [None] * len(missing),
    }
    return pl.DataFrame(columns, schema=tables.SetAside.create_empty().schema)


def _reaches_back(pages: Iterable[Page], start: datetime) -> bool:
    """Whether pages from the newest job down have all jobs that were submitted since `start`."""
    n_covered = 0
    placed = [(each.offset, each) for each in pages if each.offset is not None]
    for offset, each in sorted(placed, key=lambda place: place[0]):
        if offset > n_covered:
            break
        n_covered = max(n_covered, offset + each.n_items)
        if each.last_s is not None and each.last_s < start.timestamp():
            return True
    return False
