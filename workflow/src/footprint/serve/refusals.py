"""How the services say no: each in its own form."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response


class Refusal(Exception):
    """An answer other than what was asked for."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class NotFound(Refusal):
    """The API of Grid'5000 itself, which says it in plain text."""

    def __init__(self, words: str) -> None:
        super().__init__(PlainTextResponse(words, status_code=404))


class OarRefusal(Refusal):
    """OAR's REST API."""

    def __init__(self, code: int, title: str, message: str) -> None:
        content = {"title": title, "message": message, "code": code}
        super().__init__(JSONResponse(content, status_code=code))


class KwollectRefusal(Refusal):
    """Kwollect, behind which PostgREST puts an error of PostgreSQL into JSON."""

    def __init__(self, message: str, *, code: str = "XX000", status: int = 500) -> None:
        super().__init__(postgrest(message, code=code, status=status))


def postgrest(message: str, *, code: str, status: int) -> Response:
    """An error of PostgreSQL as PostgREST answers it."""
    content: dict[str, Any] = {"hint": None, "details": None, "code": code, "message": message}
    return JSONResponse(content, status_code=status)


def respond(_: Request, refusal: Exception) -> Response:
    """The answer of a refusal that a handler raised."""
    assert isinstance(refusal, Refusal)
    return refusal.response
