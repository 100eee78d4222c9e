"""A service whose answers are kept: what has been answered for good is never asked for again."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from footprint.site.grid5000.answers import Answers, request_text
from footprint.site.grid5000.refusals import Refused, TooMuch, Unanswered

if TYPE_CHECKING:
    from footprint.site.grid5000.http import Client

FINAL_AFTER = timedelta(hours=1)
"""What is younger may still come in, or change."""

TRIES_IN_DOUBT = 4
"""Requests before a doubtful answer is believed."""

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Service:
    """The API of Grid'5000 as one study uses it. May be used by several threads."""

    def __init__(
        self, access: Mapping[str, Any], download: Mapping[str, Any], answers: Answers
    ) -> None:
        """Prepare; the network is first used when an answer is missing.

        Args:
            access: Of the configuration's `source`: `url`, `credentials`, `ca_bundle`.
            download: The configuration's `download`.
            answers: Where answers are kept.
        """
        self.answers = answers
        self._access, self._download = access, download
        self.url = str(access["url"]).rstrip("/")

    @classmethod
    def from_config(cls, source: Mapping[str, Any], download: Mapping[str, Any]) -> Self:
        """The service of a configuration; `source` has the folder `answers` too."""
        return cls(source, download, Answers(Path(source["answers"])))

    def request(self, path: str, params: Mapping[str, str]) -> str:
        """How a request is named among the answers."""
        return request_text(f"{self.url}{path}", dict(params))

    def ask(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        check: Callable[[bytes], Answer],
        final: Callable[[Answer], bool],
        divisible: bool = False,
        name: str | None = None,
        doubt: Callable[[Answer], str | None] = lambda _: None,
        again: bool = False,
    ) -> Answer:
        """An answer as `check` reads it, from those kept or from the service.

        Args:
            path: Path below the service's address.
            params: Parameters.
            check: Reads the body; raises ValueError where it is damaged.
            final: Whether the service will always answer so.
            divisible: As for `http.Client.get`.
            name: Name to keep the answer by, where the request alone does not tell it apart.
            doubt: Returns why an answer may be damaged although it can be read, or None. A doubtful
                answer is requested again, four times in all with growing waits. If the last one is
                doubtful too, it is returned, and never kept as final.
            again: Whether the service is asked even if this process has an answer that is not
                final.

        Raises:
            refusals.TooMuch, refusals.Unanswered: What is divisible is not answered; see
                `http.Client.get`.
            refusals.Refused: The service refuses, or does not answer what cannot be divided.
        """
        request = name or self.request(path, params)
        kept = self.answers.get(request, own=not again)
        if kept is not None:
            with suppress(ValueError):  # kept before it was known to be damaged
                answer = check(kept)
                if doubt(answer) is None:
                    return answer
        wait_s = float(self._download["wait_s"])
        for left in reversed(range(TRIES_IN_DOUBT)):
            content, answer = self._fetch(path, params, check=check, divisible=divisible)
            why = doubt(answer)
            if why is None:
                break
            log.info("%s: %s", path, why)
            if left:
                time.sleep(wait_s)
                wait_s *= 2
        self.answers.put(request, content, final=why is None and final(answer))
        return answer

    def _fetch(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        check: Callable[[bytes], Answer],
        divisible: bool,
    ) -> tuple[bytes, Answer]:
        try:
            return self._client.get(path, params, check=check, divisible=divisible)
        except (TooMuch, Unanswered) as error:
            if divisible:
                raise
            what = f"does not answer ({error}); what came is kept"
            raise Refused(what, where=path, do="try again later") from None

    def document(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        final: Callable[[Any], bool] = lambda _: True,
        name: str | None = None,
    ) -> dict[str, Any]:
        """An object in JSON; arguments as for `ask`."""
        return self.ask(path, params, check=_object, final=final, name=name)

    @cached_property
    def _client(self) -> Client:
        # httpx is needed only where something is missing: Snakemake reads the clusters for each job
        from footprint.site.grid5000 import credentials, http

        return http.Client(
            self.url,
            credentials=credentials.find(self._access["credentials"]),
            ca_bundle=self._access["ca_bundle"],
            retries=self._download["retries"],
            wait_s=self._download["wait_s"],
            timeout_s=self._download["timeout_s"],
            place=partial(self.answers.slot, self._download["concurrency"]),
        )


def settled(end: datetime) -> bool:
    """Whether a service will always say the same of what ended at some time."""
    return end + FINAL_AFTER <= datetime.now(UTC)


def epoch(at: datetime) -> str:
    """A time as the services take it: seconds since 1970, whole ones without a fraction."""
    return f"{at.timestamp():.6f}".rstrip("0").rstrip(".")


def _object(content: bytes) -> dict[str, Any]:
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("no JSON object")
    return answer
