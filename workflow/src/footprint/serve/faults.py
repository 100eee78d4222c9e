"""What goes wrong between a service and its client, on purpose and in the same way each time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footprint.serve import metrics
from footprint.serve.list_faults import LIST_KINDS, damage_list, list_kinds
from footprint.serve.refusals import Refusal, postgrest

REFUSED = ("bad_gateway", "gateway_timeout", "too_many_requests", "too_much_data")
BROKEN = ("reset", "truncated")
ANYWHERE = (*REFUSED, *BROKEN, "delay")
KINDS = (*ANYWHERE, *LIST_KINDS)
LASTING = ("too_much_data", "twice_encoded")
"""Faults that depend on the request alone, and come again whenever it is made."""

MOST_IN_A_ROW = 3
SMALLEST_SPAN = timedelta(minutes=10)
"""A request for readings over no more than this is never too much."""


@dataclass
class Asked:
    """A request, and what became of it.

    Attributes:
        path: Its path.
        query: Its parameters.
        status: Status of the answer; 0 where there is none yet.
        fault: What went wrong on purpose.
    """

    path: str
    query: dict[str, str]
    status: int = 0
    fault: str | None = None


class Faults:
    """A seeded choice of what goes wrong, and the count of what did.

    What happens to a request follows from the seed, the request and how often it was made before:
    not from the order in which clients make theirs. The same request fails at most three times in
    a row, so that a client that tries again succeeds in the end. Two kinds depend on the request
    alone: `too_much_data`, which has to be split and happens to requests for readings over more
    than ten minutes, and `twice_encoded`. The kinds of `list_faults` happen to lists of jobs alone.

    Attributes:
        counts: How often each kind happened.
        n_requests: How many requests there were.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        rate: float = 0.0,
        kinds: Collection[str] = KINDS,
        delay_s: float = 2.0,
    ) -> None:
        """Set what may go wrong.

        Args:
            seed: Seed.
            rate: About the share of the answers.
            kinds: Some of `KINDS`.
            delay_s: Seconds by which answers of the kind `delay` are late.
        """
        self.counts: Counter[str] = Counter()
        self.n_requests = 0
        self.delay_s = delay_s
        self._seed, self._rate = seed, rate
        self._kinds = [kind for kind in KINDS if kind in kinds]
        self._times: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()

    def choose(
        self, request: str, *, can_be_too_much: bool, of_lists: Collection[str] = ()
    ) -> str | None:
        """What goes wrong with a request this time; None: nothing.

        Args:
            request: The request.
            can_be_too_much: Whether it can be refused as too much data.
            of_lists: Those of LIST_KINDS that can happen to it.
        """
        self.n_requests += 1
        self._times[request] += 1
        able = {*ANYWHERE, *of_lists} - (set() if can_be_too_much else {"too_much_data"})
        lasting = [kind for kind in self._kinds if kind in able and kind in LASTING]
        others = [kind for kind in self._kinds if kind in able and kind not in LASTING]
        share = self._rate * len(lasting) / max(1, len(lasting) + len(others))
        if self._random(request).random() < share:
            return self._random(f"{request} kind").choice(lasting)
        chance = self._random(f"{request} {self._times[request]}")
        kind = None
        if others and self._in_a_row[request] < MOST_IN_A_ROW and chance.random() < self._rate:
            kind = chance.choice(others)
        self._in_a_row[request] = 0 if kind in (None, "delay") else self._in_a_row[request] + 1
        return kind

    def _random(self, text: str) -> random.Random:
        return random.Random(f"{self._seed} {text}")


@dataclass
class Faulty:
    """Between the server and an application: lets faults happen, and notes what was asked.

    Attributes:
        app: The application.
        faults: What goes wrong.
        log: Where requests are noted; None: nowhere.
    """

    app: ASGIApp
    faults: Faults
    log: list[Asked] | None = field(default=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or fail to."""
        text = scope["query_string"].decode("latin-1")
        asked = Asked(scope["path"], dict(parse_qsl(text)))
        if self.log is not None:
            self.log.append(asked)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            await send(message)

        kind = self.faults.choose(
            f"{asked.path}?{text}",
            can_be_too_much=_is_long(asked),
            of_lists=list_kinds(asked.path),
        )
        if kind in REFUSED:
            self._note(asked, kind)
            await _refusal(kind)(scope, receive, noted)
        elif kind in BROKEN or kind in LIST_KINDS:
            start, body = await _collected(self.app, scope, receive)
            if start["status"] != 200:
                kind = None  # what is refused anyway is not broken on top
            elif kind in LIST_KINDS:
                kind, body = _damaged(kind, start, body)
            self._note(asked, kind)
            await _send(start, body, kind, noted)
            if kind == "reset":
                _transport(send).abort()
                await asyncio.sleep(0)  # lets the server see that its client is gone
        else:
            self._note(asked, kind)
            if kind == "delay":
                await asyncio.sleep(self.faults.delay_s)
            await self.app(scope, receive, noted)

    def _note(self, asked: Asked, kind: str | None) -> None:
        if kind is not None:
            asked.fault = kind
            self.faults.counts[kind] += 1


def _is_long(asked: Asked) -> bool:
    """Whether readings over more than the smallest span are asked for."""
    if not asked.path.endswith("/metrics"):
        return False
    try:
        span = metrics.span(asked.query)
    except Refusal:
        return False
    return span is not None and span[1] - span[0] > SMALLEST_SPAN


async def _collected(
    app: ASGIApp, scope: Scope, receive: Receive
) -> tuple[MutableMapping[str, Any], bytes]:
    """The answer of an application: how it starts, and its body."""
    start: MutableMapping[str, Any] = {}
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, collect)
    return start, b"".join(parts)


async def _send(start: Message, body: bytes, kind: str | None, send: Send) -> None:
    """Send an answer, or half of it: as if it were the whole, or as the first part of it."""
    if kind in BROKEN:
        body = body[: len(body) // 2]
    if kind == "truncated":
        _replace_header(start, b"content-length", str(len(body)).encode())
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": kind == "reset"})


def _damaged(kind: str, start: Message, body: bytes) -> tuple[str | None, bytes]:
    """A fault of a list and the body with it; no fault where there is nothing to damage."""
    damaged = damage_list(kind, body)
    if damaged == body:
        return None, body
    _replace_header(start, b"content-length", str(len(damaged)).encode())
    # the header of OAR's API, under which it sends UTF-8
    _replace_header(start, b"content-type", b"application/json; charset=ISO-8859-1")
    return kind, damaged


def _replace_header(start: Message, name: bytes, value: bytes) -> None:
    headers = [pair for pair in start["headers"] if pair[0] != name]
    start["headers"] = [*headers, (name, value)]


def _transport(send: Send) -> asyncio.Transport:
    """The connection, which ASGI does not show: `send` is a method of uvicorn's that has it."""
    return cast(asyncio.Transport, cast(Any, send).__self__.transport)


def _refusal(kind: str | None) -> Response:
    if kind == "too_many_requests":
        return PlainTextResponse("Too Many Requests", 429, {"Retry-After": "1"})
    if kind == "too_much_data":
        return postgrest(metrics.TOO_MUCH, code=metrics.TOO_MUCH_CODE, status=500)
    status, words = (502, "Bad Gateway") if kind == "bad_gateway" else (504, "Gateway Timeout")
    page = f"<html><head><title>{status} {words}</title></head><body><h1>{words}</h1></body></html>"
    return HTMLResponse(page, status)
