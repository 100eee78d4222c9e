"""What went wrong with a request: what may pass, what asks for too much, and what a user must mend.

Three services answer errors, each in its own way: the Grid'5000 API as plain text, OAR's API as
`{"title", "message", "code"}`, Kwollect (PostgREST) as `{"hint", "details", "code", "message"}`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from footprint.errors import InputError
from footprint.site.grid5000 import credentials

MAY_PASS = frozenset([429, 500, 502, 503, 504])
TOO_MUCH = re.compile(r"too much data|statement timeout", re.I)
LONGEST_WAIT_S = 300.0
SHOWN = 200
"""Characters of an error that a message repeats."""


class Passing(Exception):
    """A failure that may pass: the same request is worth another try.

    Attributes:
        slow: No answer came in time, as when too much was asked for.
        retry_after_s: Seconds that the service asks to wait; None: it does not say.
        connected: Whether the service was reached at all.
    """

    def __init__(
        self,
        what: str,
        *,
        slow: bool = False,
        retry_after_s: float | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(what)
        self.slow, self.retry_after_s, self.connected = slow, retry_after_s, connected


class TooMuch(Exception):
    """The service answers that so much cannot be asked for at once, or gave up before it did."""


class Unanswered(Exception):
    """A request that failed as often as it was tried, though others may not."""


class Refused(InputError):
    """An answer that will not change before the user changes something.

    Attributes:
        status: The HTTP status; None: the service was not reached.
    """

    def __init__(
        self, what: str, *, where: str, do: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(what, where=where, do=do)
        self.status = status


def message(content: bytes) -> str:
    """The words of an error, whichever service answered: one line of at most 200 characters."""
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        told = next(
            (document[key] for key in ("message", "error", "title") if document.get(key)), text
        )
        text = str(told)
    if re.match(r"\s*<(!doctype|html)", text, re.I):  # the page of a proxy
        title = re.search(r"<title>(.*?)</title>", text, re.I | re.S)
        text = title[1] if title else "a page of a proxy"
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def judge(status: int, content: bytes, *, where: str, retry_after: str | None = None) -> None:
    """Raise what an answer with an error status means; 2xx raises nothing.

    Args:
        status: HTTP status.
        content: Body of the answer.
        where: What was asked for, for the message.
        retry_after: The header `Retry-After`.

    Raises:
        TooMuch: Too much was asked for at once.
        Passing: The same may be answered later.
        Refused: It will not; the line says what to do.
    """
    if 200 <= status < 300:
        return
    said = message(content)
    if status == 413 or ((status == 400 or status >= 500) and TOO_MUCH.search(said)):
        raise TooMuch(f"{status}: {said}")
    if status in MAY_PASS:
        raise Passing(
            f"{status}: {said}" if said else f"status {status}",
            slow=status == 504,
            retry_after_s=seconds(retry_after),
        )
    what, do = _EXPLAINED.get(status, (f"refused with status {status}", None))
    raise Refused(f"{what} ({said})" if said else what, where=where, do=do, status=status)


def seconds(retry_after: str | None) -> float | None:
    """Seconds that a header `Retry-After` asks to wait, at most five minutes; None: none or odd."""
    if retry_after is None:
        return None
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            at = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        wait_s = (at - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wait_s), LONGEST_WAIT_S)  # in this order: `nan` is no wait


_EXPLAINED: dict[int, tuple[str, str | None]] = {
    401: (
        "the service does not know who asks, or the password is wrong",
        f"mend it: {credentials.HOW}",
    ),
    403: (
        "this account may not ask for it",
        "ask the site's staff for access, or use an account that has it",
    ),
    404: ("there is no such thing", "check study.site, study.clusters and source.url"),
}
