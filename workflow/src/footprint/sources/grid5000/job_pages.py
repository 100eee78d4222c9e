"""Pages of a list of jobs: parsed, checked, and fetched until their jobs are undamaged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import polars as pl

from footprint.sources.grid5000.refusals import RequestTooLarge, RetriesExhausted
from footprint.sources.grid5000.service import Request, Service, no_answer
from footprint.sources.oar import job_records
from footprint.sources.oar.list_damage import (
    damaged_jobs,
    has_ended,
    item_records,
    unreadable_records,
    whole_total,
)

SMALLEST_PAGE = 5
"""Jobs of the smallest page that is requested where a service is too slow for larger ones."""

log = logging.getLogger(__name__)


class JobPage(NamedTuple):
    """A page of a list of jobs, or one job.

    Attributes:
        records: A record (`job_records.RECORD_SCHEMA`) of each job, in the order of the page.
        damaged: Reason of each damaged job, by id.
        has_ended: Whether all its jobs have ended.
        total: Its `total`; None if that is no whole number.
        has_link: Whether it links to a next page, or has no links at all.
    """

    records: pl.DataFrame
    damaged: dict[int, str]
    has_ended: bool
    total: int | None = None
    has_link: bool = True

    @classmethod
    def of_jobs(cls, items: list[dict[str, Any]], *, file: str) -> Self:
        """Return the page of jobs, as the list `file` describes them.

        Raises:
            ValueError: See `list_damage.item_records`.
        """
        records = item_records(items, file=file)
        return cls(records, damaged_jobs(items, records), all(map(has_ended, items)))

    @classmethod
    def parse(cls, content: bytes, *, file: str) -> Self:
        """Return the page of an answer of the list `file`.

        Raises:
            ValueError: See `parse_collection` and `list_damage.item_records`.
        """
        document = parse_collection(content)
        links = document.get("links")
        return cls.of_jobs(document["items"], file=file)._replace(
            total=whole_total(document),
            has_link=not links or any(link.get("rel") == "next" for link in links),
        )

    def is_damaged(self) -> pl.Expr:
        """Whether a job is damaged on this page."""
        return pl.col("job_id").is_in(list(self.damaged)).fill_null(value=False)

    @property
    def undamaged(self) -> pl.DataFrame:
        """Records of the jobs that are not damaged."""
        return self.records.filter(~self.is_damaged())

    def find_doubt(self) -> str | None:
        """Return why its jobs may be damaged, or None."""
        if self.damaged:
            job_id, reason = min(self.damaged.items())
            return f"{len(self.damaged)} damaged jobs: job {job_id} {reason}"
        return unreadable_records(self.records)


class FetchedPage(NamedTuple):
    """A page as the last try gave it, and records of its undamaged jobs.

    Jobs that are damaged in the last try alone have the records of the other tries.
    """

    page: JobPage
    undamaged: pl.DataFrame


def fetch_page(
    service: Service, request: Request, *, parse: Callable[[bytes], JobPage], **options: Any
) -> FetchedPage:
    """Return a page from the kept answers or from the service.

    Args:
        service: The API.
        request: The request.
        parse: Parses the body; raises ValueError if it is damaged.
        options: `is_final`, `find_doubt` and `refresh` of `Service.fetch_answer`.

    Raises:
        RequestTooLarge: The service is too slow for a divisible request (`smaller_page`).
        InputError: The service refuses, or does not answer.
    """
    tries: list[JobPage] = []

    def parse_try(content: bytes) -> JobPage:
        tries.append(parse(content))
        return tries[-1]

    try:
        page = service.fetch_answer(request, parse=parse_try, **options)
    except RetriesExhausted as error:
        raise no_answer(error, where=request.path) from None
    others = [each.undamaged.filter(page.is_damaged()) for each in tries if page.damaged]
    return FetchedPage(page, pl.concat([page.undamaged, *others]))


def kept_page_size(service: Service, request: str) -> int | None:
    """Return the size of the pages that replace a request, as `smaller_page` saved it, or None."""
    size = service.answers.read_parts(request)
    return size if isinstance(size, int) else None


def smaller_page(service: Service, request: str, size: int, error: RequestTooLarge) -> int:
    """Return half the size of a page for which the service was too slow, and keep it.

    Args:
        service: The API.
        request: Key of the request, for the next run.
        size: Jobs of the page.
        error: Why the request failed, for the log.
    """
    half = max(SMALLEST_PAGE, size // 2)
    log.info("%s: %s; pages of %d jobs from here on", request, error, half)
    service.answers.save_parts(request, half)
    return half


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
