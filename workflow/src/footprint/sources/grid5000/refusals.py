"""Meaning of a service's error: temporary, too large a request, or a task for the user.

Three services answer errors in three forms: the Grid'5000 API as plain text, OAR's API as
`{"title", "message", "code"}`, Kwollect (PostgREST) as `{"hint", "details", "code", "message"}`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from footprint.core.errors import InputError
from footprint.sources.grid5000 import credentials

TRANSIENT_STATUSES = frozenset([429, 500, 502, 503, 504])
"""HTTP statuses of failures that may be temporary."""

TOO_MUCH_CODES = frozenset(["38000", "53200", "54000", "57014"])
"""Codes (SQLSTATE) with which PostgreSQL refuses a request that is too large: an error that
Kwollect raises in Python, no memory, a limit of the program, a statement that took too long."""

TOO_MUCH_PATTERN = re.compile(r"too much data|statement timeout", re.I)
OTHER_PYTHON_ERROR = re.compile(r"\w+Error\b")
"""Start of the message of an error in Python that Kwollect did not raise, with the same code."""

LONGEST_RETRY_AFTER_S = 300.0
QUOTED_CHARACTERS = 200
"""Characters of an error that a message quotes."""


class TransientFailure(Exception):
    """A failure that may be temporary, so that the request is worth a retry.

    Attributes:
        is_slow: Whether no answer came in time, as for a request that is too large.
        retry_after_s: Seconds that the service asks to wait; None: it names no time.
        was_connected: Whether the service was reached at all.
    """

    def __init__(
        self,
        what: str,
        *,
        is_slow: bool = False,
        retry_after_s: float | None = None,
        was_connected: bool = True,
    ) -> None:
        super().__init__(what)
        self.is_slow, self.retry_after_s = is_slow, retry_after_s
        self.was_connected = was_connected


class RequestTooLarge(Exception):
    """A request that is too large, by the service's answer or since none came in time."""


class RetriesExhausted(Exception):
    """A request whose tries all failed. Other requests may succeed."""


class Refused(InputError):
    """An answer that stays the same until the user changes something.

    Attributes:
        status: The HTTP status; None: the service was not reached.
    """

    def __init__(
        self, what: str, *, where: str, do: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(what, where=where, do=do)
        self.status = status


def error_message(content: bytes) -> str:
    """Return the text of an error of any of the services: one line of at most 200 characters."""
    text = content.decode("utf-8", "replace")
    if document := _error_document(content):
        keys = ("message", "error", "title")
        text = str(next((document[key] for key in keys if document.get(key)), text))
    if re.match(r"\s*<(!doctype|html)", text, re.I):  # the page of a proxy
        title = re.search(r"<title>(.*?)</title>", text, re.I | re.S)
        text = title[1] if title else "a page of a proxy"
    line = " ".join(text.split())
    return line if len(line) <= QUOTED_CHARACTERS else f"{line[:QUOTED_CHARACTERS]}..."


def raise_for_status(
    status: int, content: bytes, *, where: str, retry_after: str | None = None
) -> None:
    """Raise the error that an answer's status stands for; none for 2xx.

    Args:
        status: HTTP status.
        content: Body of the answer.
        where: Path of the request, for the message.
        retry_after: The header `Retry-After`.

    Raises:
        RequestTooLarge: The request is too large.
        TransientFailure: The failure may be temporary.
        Refused: It is not; the message says what to do.
    """
    if 200 <= status < 300:
        return
    text = error_message(content)
    if status == 413 or ((status == 400 or status >= 500) and _is_too_much(content, text)):
        raise RequestTooLarge(f"{status}: {text}")
    if status in TRANSIENT_STATUSES:
        raise TransientFailure(
            f"{status}: {text}" if text else f"status {status}",
            is_slow=status == 504,
            retry_after_s=retry_after_seconds(retry_after),
        )
    what, do = _EXPLANATIONS.get(status, (f"refused with status {status}", None))
    raise Refused(f"{what} ({text})" if text else what, where=where, do=do, status=status)


def _is_too_much(content: bytes, text: str) -> bool:
    """Whether an error is about the size of the request: by its code, else by its words."""
    if TOO_MUCH_PATTERN.search(text):
        return True
    is_code = str(_error_document(content).get("code")) in TOO_MUCH_CODES
    return is_code and OTHER_PYTHON_ERROR.match(text) is None


def _error_document(content: bytes) -> dict[str, Any]:
    """Error in JSON; empty for another form."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def retry_after_seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a header `Retry-After`, at most 300; None if missing or unreadable."""
    if retry_after is None:
        return None
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        wait_s = (until - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wait_s), LONGEST_RETRY_AFTER_S)  # in this order, `nan` becomes 0


_EXPLANATIONS: dict[int, tuple[str, str | None]] = {
    401: ("the login is missing or wrong", f"fix it: {credentials.CREDENTIALS_ADVICE}"),
    403: (
        "the account has no access",
        "ask the site's staff for access, or use an account that has it",
    ),
    404: ("not found", "fix study.site, study.clusters or source.url"),
}
"""What is wrong and what to do, by HTTP status."""
