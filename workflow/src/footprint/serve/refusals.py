"""Errors of the services, in the form of each."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

OAR_MEDIA_TYPE = "application/json; charset=ISO-8859-1"
"""Media type of OAR's API, which sends UTF-8."""

KWOLLECT_MEDIA_TYPE = "application/json; charset=utf-8"


class Refusal(Exception):
    """An error as an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class NotFound(Refusal):
    """404 of the Grid'5000 API, in plain text."""

    def __init__(self, message: str) -> None:
        super().__init__(PlainTextResponse(message, status_code=404))


class ServerError(Refusal):
    """500 of the Grid'5000 API, in plain text."""

    def __init__(self, message: str) -> None:
        super().__init__(PlainTextResponse(message, status_code=500))


class OarRefusal(Refusal):
    """An error of OAR's REST API, in JSON."""

    def __init__(self, code: int, title: str, message: str) -> None:
        content = {"title": title, "message": message, "code": code}
        super().__init__(JSONResponse(content, status_code=code, media_type=OAR_MEDIA_TYPE))


class KwollectRefusal(Refusal):
    """An error of Kwollect: one of PostgreSQL that PostgREST puts into JSON."""

    def __init__(self, message: str, *, code: str = "XX000", status: int = 500) -> None:
        super().__init__(postgrest_error(message, code=code, status=status))


def proxy_timeout() -> Response:
    """Return the answer of the proxy (Apache) before the services when its time-out ends."""
    reason = "Reason: <strong>Error reading from remote server</strong>"
    page = (
        "<html><head><title>502 Proxy Error</title></head><body><h1>Proxy Error</h1>"
        f"<p>The proxy server received an invalid response from an upstream server.</p>{reason}"
        "</body></html>"
    )
    return HTMLResponse(page, 502)


def postgrest_error(message: str, *, code: str, status: int) -> Response:
    """Return an error of PostgreSQL as PostgREST answers it."""
    content: dict[str, Any] = {"hint": None, "details": None, "code": code, "message": message}
    return JSONResponse(content, status_code=status, media_type=KWOLLECT_MEDIA_TYPE)


def refusal_response(_: Request, refusal: Exception) -> Response:
    """Return the answer of a refusal that a handler raised."""
    assert isinstance(refusal, Refusal)
    return refusal.response
