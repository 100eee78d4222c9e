"""Download of Epoch AI's list of notable AI models over HTTP."""

from __future__ import annotations

import logging

import httpx
import polars as pl
import stamina

from footprint import __version__
from footprint.core.errors import InputError
from footprint.report import notable_models

ATTEMPTS = 4
TIMEOUT_S = 60.0
RETRIED_STATUSES = frozenset([408, 429, 500, 502, 503, 504])
REMEDY = "fix epoch.url, or set epoch.file to a downloaded copy"

log = logging.getLogger(__name__)


class _TransientError(Exception):
    """A failure after which a new try may succeed."""


def load_models(
    *, file: str | None, url: str | None, wait_s: float = 1.0
) -> notable_models.ModelList:
    """Models of Epoch AI's list if a study names one, else the built-in well-known models.

    The list is optional: if it cannot be downloaded or read, the built-in models replace it, and
    the reason is a rejected row.

    Args:
        file: A copy of the list; has precedence over the address.
        url: Address of the list.
        wait_s: Seconds before the second try; each further wait is twice as long.
    """
    source = "epoch.file" if file else "epoch.url"
    try:
        if file:
            return notable_models.read_epoch(file)
        if url:
            return notable_models.parse_epoch(
                download_list(url, wait_s=wait_s), where=url, source=source
            )
    except InputError as error:
        log.warning("%s", error)
        reason = f"{error.what}: the built-in models replace it"
        return notable_models.ModelList(
            notable_models.built_in_models(),
            _rejected_rows([(reason, 1, "the whole list")], source),
        )
    return notable_models.ModelList(notable_models.built_in_models(), _rejected_rows([], source))


def _rejected_rows(rows: list[tuple[str, int, str]], source: str) -> pl.DataFrame:
    schema = {"reason": pl.String, "n_rows": pl.Int64, "example": pl.String}
    return notable_models.rejected_models(
        pl.DataFrame(rows, schema=schema, orient="row"), source=source
    )


def download_list(url: str, *, wait_s: float = 1.0) -> bytes:
    """Content of an address, with new tries after failures that may be transient.

    Args:
        url: Address.
        wait_s: Seconds before the second try; each further wait is twice as long.

    Raises:
        InputError: The address is invalid or refused, or all tries failed.
    """
    tries = stamina.retry_context(
        on=_TransientError,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=wait_s,
        wait_jitter=wait_s,
    )
    try:
        for attempt in tries:
            with attempt:
                return _request_once(url)
    except _TransientError as last:
        raise InputError(
            f"cannot be downloaded ({last})", where=url, do=f"try again, or {REMEDY}"
        ) from None
    raise AssertionError("stamina raises what the last try raised")


def _request_once(url: str) -> bytes:
    agent = {"User-Agent": f"footprint/{__version__}"}
    try:
        answer = httpx.get(url, headers=agent, timeout=TIMEOUT_S, follow_redirects=True)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InputError(
            f"is not an address ({error})", where=f"epoch.url ({url})", do=REMEDY
        ) from None
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as error:
        raise _TransientError(str(error) or type(error).__name__) from None
    if answer.status_code in RETRIED_STATUSES:
        log.info("%s: HTTP %d", url, answer.status_code)
        raise _TransientError(f"HTTP {answer.status_code}")
    if not answer.is_success:
        raise InputError(f"was refused (HTTP {answer.status_code})", where=url, do=REMEDY)
    return answer.content
