"""Reading of one page of a list of jobs, and removal of repeated records."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import polars as pl

from footprint.sources.oar import job_records

log = logging.getLogger(__name__)


def parse_collection(content: bytes) -> dict[str, Any]:
    """Parse a page of a collection.

    Raises:
        ValueError: The content is no collection of jobs.
    """
    page = json.loads(content)
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("no list of jobs")
    links = page.get("links") or []
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise ValueError(f"`links` is no list of links: {links!r:.60}")
    return dict(page)


def never_final(_: Any) -> bool:
    """Return False for any answer: none is final."""
    return False


def distinct_records(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the records (`job_records.RECORD_SCHEMA`) of several frames, equal ones once."""
    listed = pl.concat([pl.DataFrame(schema=job_records.RECORD_SCHEMA), *parts])
    log.info("%d jobs, listed %d times", listed["job_id"].n_unique(), len(listed))
    return listed.unique(maintain_order=True)
