"""Jobs that a saved answer counts in its `total`, but that no file lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint import tables

NOT_LISTED = 'counted in "total" of the answer, but listed in no file'
PAGING = re.compile(r"[?&](?:offset|limit)=\d*")


class Page(NamedTuple):
    """A page of a listing.

    Attributes:
        query: The request without its paging; None where the page does not give it.
        total: Jobs that the whole listing has.
        jobs: Ids of those on the page.
        oldest_s: Earliest submission on the page, for a listing from the newest job down that was
            saved only so far; None for one by date.
        file: The file of the page.
    """

    query: str | None
    total: int
    jobs: frozenset[int]
    oldest_s: int | None
    file: str


def page(document: Any, records: pl.DataFrame, *, file: str) -> Page | None:
    """The page that a document is; None: it is none, or has no `total`.

    Args:
        document: The decoded JSON.
        records: Its jobs (`oar.RECORD`).
        file: The file.
    """
    items = document.get("items") if isinstance(document, dict) else None
    total = document.get("total") if isinstance(document, dict) else None
    if not isinstance(items, list) or not isinstance(total, int) or isinstance(total, bool):
        return None
    links = document.get("links")
    addresses = (
        link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") == "self"
    )
    address = next(addresses, None)
    newest_first = any("uid" in item for item in items if isinstance(item, dict))
    oldest = records["submitted_at"].min() if newest_first else None
    return Page(
        query=PAGING.sub("", address) if isinstance(address, str) else None,
        total=total,
        jobs=frozenset(records["job_id"].drop_nulls()),
        oldest_s=oldest if isinstance(oldest, int) else None,
        file=file,
    )


def not_listed(pages: Iterable[Page], *, start: datetime) -> pl.DataFrame:
    """Jobs of each listing that no page has (`tables.SetAside`), by the first file of the listing.

    The list of the Grid'5000 API begins with the newest job and has all jobs of the site: a listing
    that goes back to before `start` is whole enough for the study.

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
        oldest = [each.oldest_s for each in found if each.oldest_s is not None]
        reaches_back = bool(oldest) and min(oldest) < start.timestamp()
        if n_missing > 0 and not reaches_back:
            missing[found[0].file] = missing.get(found[0].file, 0) + n_missing
    columns = {
        "stage": ["jobs"] * len(missing),
        "source": list(missing),
        "reason": [NOT_LISTED] * len(missing),
        "n_rows": list(missing.values()),
        "example": [None] * len(missing),
    }
    return pl.DataFrame(columns, schema=tables.SetAside.create_empty().schema)
