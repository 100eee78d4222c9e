"""Errors and broken answers between a service and its client, on purpose and reproducible."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footprint.serve import metrics, reference
from footprint.serve.list_faults import LIST_KINDS, damage_list, kinds_for_path
from footprint.serve.metric_faults import (
    MEANS_KINDS,
    SIZE_KINDS,
    SIZE_REFUSAL_KINDS,
    add_different_means,
    cut_rows,
    size_refusal,
)
from footprint.serve.refusals import Refusal, proxy_timeout

GATEWAY_KINDS = ("bad_gateway", "proxy_timeout", "gateway_timeout", "too_many_requests")
REFUSAL_KINDS = (*GATEWAY_KINDS, *SIZE_REFUSAL_KINDS)
BROKEN_KINDS = ("reset", "truncated")
GENERAL_KINDS = (*GATEWAY_KINDS, *SIZE_KINDS, *BROKEN_KINDS, "delay")
FAULT_KINDS = (*GENERAL_KINDS, *MEANS_KINDS, *LIST_KINDS)
LASTING_KINDS = (*SIZE_KINDS, *MEANS_KINDS, "twice_encoded")
"""Kinds that depend on the request alone, and so repeat whenever it is made."""

LATE_KINDS = ("delay", "proxy_timeout")

DAMAGE_KINDS = ("cut_rows", *MEANS_KINDS, *LIST_KINDS)
"""Kinds of damage to an answer with status 200."""

MAX_IN_A_ROW = 3
LONGEST_SAFE_WINDOW = timedelta(minutes=10)
"""Longest window whose request is never refused as too much data."""


@dataclass
class ReceivedRequest:
    """A request and its answer.

    Attributes:
        path: Path.
        query: Parameters.
        status: Status of the answer; 0 if there is none yet.
        fault: Kind of the fault; None if there is none.
    """

    path: str
    query: dict[str, str]
    status: int = 0
    fault: str | None = None


class Faults:
    """A seeded choice of faults, and counts of those that occurred.

    The fault of a request depends on the seed, the request and the number of its earlier tries, and
    not on the order of different requests. The same request fails at most three times in a row, so
    that a client with enough retries succeeds. Some kinds (LASTING_KINDS) depend on the request
    alone; of these, SIZE_KINDS need smaller requests, and occur for readings over more than ten
    minutes. The kinds of `list_faults` occur in lists of jobs alone.

    Attributes:
        counts: Number of faults of each kind.
        n_requests: Number of requests.
        delay_s: Delay of answers of the kinds `delay` and `proxy_timeout`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        rate: float = 0.0,
        kinds: Collection[str] = FAULT_KINDS,
        delay_s: float = 2.0,
    ) -> None:
        """Set the rate and kinds of faults.

        Args:
            seed: Seed.
            rate: Approximate share of answers with a fault.
            kinds: Some of `FAULT_KINDS`.
            delay_s: Delay of answers of the kinds `delay` and `proxy_timeout`.
        """
        self.counts: Counter[str] = Counter()
        self.n_requests = 0
        self.delay_s = delay_s
        self._seed, self._rate = seed, rate
        self._kinds = [kind for kind in FAULT_KINDS if kind in kinds]
        self._n_tries: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()

    def choose_fault(
        self, request: str, *, can_be_too_much: bool, of_lists: Collection[str] = ()
    ) -> str | None:
        """Return the kind of fault of a request this time; None for no fault.

        Args:
            request: The request.
            can_be_too_much: Whether it can be refused as too much data.
            of_lists: Kinds (LIST_KINDS, MEANS_KINDS) that can occur in its answer.
        """
        self.n_requests += 1
        self._n_tries[request] += 1
        possible = {*GENERAL_KINDS, *of_lists} - (set() if can_be_too_much else {*SIZE_KINDS})
        lasting = [kind for kind in self._kinds if kind in possible and kind in LASTING_KINDS]
        others = [kind for kind in self._kinds if kind in possible and kind not in LASTING_KINDS]
        share = self._rate * len(lasting) / max(1, len(lasting) + len(others))
        if self._random_of(request).random() < share:
            return self._random_of(f"{request} kind").choice(lasting)
        chance = self._random_of(f"{request} {self._n_tries[request]}")
        kind = None
        if others and self._in_a_row[request] < MAX_IN_A_ROW and chance.random() < self._rate:
            kind = chance.choice(others)
        self._in_a_row[request] = 0 if kind in (None, "delay") else self._in_a_row[request] + 1
        return kind

    def _random_of(self, text: str) -> random.Random:
        return random.Random(f"{self._seed} {text}")


@dataclass
class FaultyApplication:
    """An application between the server and another one, with faults and a log of requests.

    Attributes:
        app: The other application.
        faults: Choice of faults.
        log: List to which requests are added; None: no log.
    """

    app: ASGIApp
    faults: Faults
    log: list[ReceivedRequest] | None = field(default=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with or without a fault."""
        text = scope["query_string"].decode("latin-1")
        received = ReceivedRequest(scope["path"], dict(parse_qsl(text)))
        if self.log is not None:
            self.log.append(received)

        async def send_logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                received.status = message["status"]
            await send(message)

        kind = self.faults.choose_fault(
            f"{received.path}?{text}",
            can_be_too_much=_is_long(received),
            of_lists=(*kinds_for_path(received.path), *_means_kinds(received)),
        )
        is_late = kind in LATE_KINDS
        if kind is None and reference.hangs(received.path, received.query):
            kind, is_late = "proxy_timeout", True
        if is_late:
            await asyncio.sleep(self.faults.delay_s)
        if kind in REFUSAL_KINDS:
            self._count_fault(received, kind)
            await _refusal(kind, text)(scope, receive, send_logged)
        elif kind in BROKEN_KINDS or kind in DAMAGE_KINDS:
            start, body = await _collect_answer(self.app, scope, receive)
            if start["status"] != 200:
                kind = None  # an error stays as it is
            elif kind in DAMAGE_KINDS:
                kind, body = _damage_answer(kind, received, start, body)
            self._count_fault(received, kind)
            await _send_answer(start, body, kind, send_logged)
            if kind == "reset":
                _transport(send).abort()
                await asyncio.sleep(0)  # the server must notice the closed connection
        else:
            self._count_fault(received, kind)
            await self.app(scope, receive, send_logged)

    def _count_fault(self, received: ReceivedRequest, kind: str | None) -> None:
        if kind is not None:
            received.fault = kind
            self.faults.counts[kind] += 1


def _is_long(received: ReceivedRequest) -> bool:
    """Whether a request is for readings over more than LONGEST_SAFE_WINDOW."""
    window = _window_of_readings(received)
    return window is not None and window[1] - window[0] > LONGEST_SAFE_WINDOW


def _means_kinds(received: ReceivedRequest) -> tuple[str, ...]:
    """Kinds of faults of means over 5 minutes, if a request is for these."""
    is_of_means = received.path.endswith("/metrics") and metrics.is_summary(received.query)
    return MEANS_KINDS if is_of_means else ()


def _window_of_readings(received: ReceivedRequest) -> tuple[datetime, datetime] | None:
    if not received.path.endswith("/metrics"):
        return None
    with suppress(Refusal):
        return metrics.requested_window(received.query)
    return None


async def _collect_answer(
    app: ASGIApp, scope: Scope, receive: Receive
) -> tuple[MutableMapping[str, Any], bytes]:
    """Return the answer of an application: its start message and its body."""
    start: MutableMapping[str, Any] = {}
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, collect)
    return start, b"".join(parts)


async def _send_answer(start: Message, body: bytes, kind: str | None, send: Send) -> None:
    """Send an answer, or half of it: as a whole (`truncated`) or as a first part (`reset`)."""
    if kind in BROKEN_KINDS:
        body = body[: len(body) // 2]
    if kind == "truncated":
        _replace_header(start, b"content-length", str(len(body)).encode())
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": kind == "reset"})


def _damage_answer(
    kind: str, received: ReceivedRequest, start: Message, body: bytes
) -> tuple[str | None, bytes]:
    """Return a fault of an answer and its damaged body; no fault if there is nothing to damage."""
    if kind == "cut_rows":
        window = _window_of_readings(received)
        damaged = cut_rows(body, window[1]) if window else body
    elif kind in MEANS_KINDS:
        damaged = add_different_means(body)
    else:
        damaged = damage_list(kind, body)
    if damaged == body:
        return None, body
    _replace_header(start, b"content-length", str(len(damaged)).encode())
    return kind, damaged


def _replace_header(start: Message, name: bytes, value: bytes) -> None:
    headers = [pair for pair in start["headers"] if pair[0] != name]
    start["headers"] = [*headers, (name, value)]


def _transport(send: Send) -> asyncio.Transport:
    """Return the connection, which ASGI hides: an attribute of the object that has `send`."""
    return cast(asyncio.Transport, cast(Any, send).__self__.transport)


def _refusal(kind: str, query: str) -> Response:
    if kind == "too_many_requests":
        return PlainTextResponse("Too Many Requests", 429, {"Retry-After": "1"})
    if kind in SIZE_REFUSAL_KINDS:
        return size_refusal(kind, query)
    if kind == "proxy_timeout":
        return proxy_timeout()
    status, words = (502, "Bad Gateway") if kind == "bad_gateway" else (504, "Gateway Timeout")
    page = f"<html><head><title>{status} {words}</title></head><body><h1>{words}</h1></body></html>"
    return HTMLResponse(page, status)
