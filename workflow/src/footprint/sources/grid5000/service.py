"""A service whose answers are kept: a final answer is never requested again."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from footprint.sources.grid5000.answers import Answers, request_text
from footprint.sources.grid5000.refusals import Refused, RequestTooLarge, RetriesExhausted

if TYPE_CHECKING:
    from footprint.sources.grid5000.http import HttpClient

FINAL_AFTER = timedelta(hours=1)
"""Age from which on records of a service no longer arrive or change."""

MAX_DOUBTFUL_TRIES = 4
"""Requests before a doubtful answer is believed."""

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request to a service.

    Attributes:
        path: Path below the service's address.
        params: Parameters.
        key: Text by which the answer is kept, if path and parameters alone do not identify it.
        is_divisible: As for `http.HttpClient.get_parsed`.
    """

    path: str
    params: Mapping[str, str]
    key: str | None = None
    is_divisible: bool = False


class Service:
    """The Grid'5000 API as one study uses it. May be used by several threads."""

    def __init__(
        self, access: Mapping[str, Any], download: Mapping[str, Any], answers: Answers
    ) -> None:
        """Prepare; the network is first used when an answer is missing.

        Args:
            access: `url`, `credentials` and `ca_bundle` of the configuration's `source`.
            download: The configuration's `download`.
            answers: The kept answers.
        """
        self.answers = answers
        self._access, self._download = access, download
        self.url = str(access["url"]).rstrip("/")

    @classmethod
    def from_config(cls, source: Mapping[str, Any], download: Mapping[str, Any]) -> Self:
        """Return the service of a configuration; `source` also has the folder `answers`."""
        return cls(source, download, Answers(Path(source["answers"])))

    def request_key(self, path: str, params: Mapping[str, str]) -> str:
        """Return the text by which the answer to a request is kept."""
        return request_text(f"{self.url}{path}", dict(params))

    def fetch_answer(
        self,
        request: Request,
        *,
        parse: Callable[[bytes], Answer],
        is_final: Callable[[Answer], bool],
        find_doubt: Callable[[Answer], str | None] = lambda _: None,
        refresh: bool = False,
    ) -> Answer:
        """Return an answer as `parse` reads it, from the kept answers or from the service.

        Args:
            request: The request.
            parse: Parses the body; raises ValueError if it is damaged.
            is_final: Whether the service will always give this answer.
            find_doubt: Returns why a readable answer may be damaged, or None. A doubtful answer is
                requested again, four times in all with growing waits. If the last one is doubtful
                too, it is returned, and never kept as final.
            refresh: Whether an answer of this process is requested again if it is not final.

        Raises:
            refusals.RequestTooLarge, refusals.RetriesExhausted: No answer to a divisible request;
                see `http.HttpClient.get_parsed`.
            refusals.Refused: The service refuses, or gives no answer to an indivisible request.
        """
        key = request.key or self.request_key(request.path, request.params)
        kept = self.answers.read_content(key, only_final=refresh)
        if kept is not None:
            with suppress(ValueError):  # kept before its damage was known
                answer = parse(kept)
                if find_doubt(answer) is None:
                    return answer
        wait_s = float(self._download["wait_s"])
        for n_left in reversed(range(MAX_DOUBTFUL_TRIES)):
            content, answer = self._request_answer(request, parse)
            doubt = find_doubt(answer)
            if doubt is None:
                break
            log.info("%s: %s", request.path, doubt)
            if n_left:
                time.sleep(wait_s)
                wait_s *= 2
        self.answers.save_content(key, content, is_final=doubt is None and is_final(answer))
        return answer

    def _request_answer(
        self, request: Request, parse: Callable[[bytes], Answer]
    ) -> tuple[bytes, Answer]:
        try:
            return self._client.get_parsed(
                request.path, request.params, parse=parse, is_divisible=request.is_divisible
            )
        except (RequestTooLarge, RetriesExhausted) as error:
            if request.is_divisible:
                raise
            raise no_answer(error, where=request.path) from None

    def fetch_document(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        is_final: Callable[[Any], bool] = lambda _: True,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Return a JSON object; arguments as for `Request`, errors as for `fetch_answer`."""
        request = Request(path, params, key)
        return self.fetch_answer(request, parse=_parse_object, is_final=is_final)

    @cached_property
    def _client(self) -> HttpClient:
        # httpx loads only if an answer is missing: Snakemake reads the clusters for each job
        from footprint.sources.grid5000 import credentials, http

        return http.HttpClient(
            self.url,
            credentials=credentials.find_credentials(self._access["credentials"]),
            ca_bundle=self._access["ca_bundle"],
            retries=self._download["retries"],
            wait_s=self._download["wait_s"],
            timeout_s=self._download["timeout_s"],
            hold_slot=partial(self.answers.hold_slot, self._download["concurrency"]),
        )


def no_answer(error: RequestTooLarge | RetriesExhausted, *, where: str) -> Refused:
    """Return the error about a request without an answer that cannot be made smaller."""
    what = f"does not answer ({error}); received answers are kept"
    return Refused(what, where=where, do="try again later")


def is_settled(end: datetime) -> bool:
    """Whether records up to a time no longer change on a service."""
    return end + FINAL_AFTER <= datetime.now(UTC)


def epoch_text(at: datetime) -> str:
    """Return a time as the services take it: seconds since 1970, without a fraction if whole."""
    return f"{at.timestamp():.6f}".rstrip("0").rstrip(".")


def _parse_object(content: bytes) -> dict[str, Any]:
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("no JSON object")
    return answer
