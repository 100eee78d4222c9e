"""Epoch AI's list of notable AI models, over HTTP."""

from __future__ import annotations

import logging

import httpx
import polars as pl
import stamina

from footprint import __version__, models
from footprint.errors import InputError

ATTEMPTS = 4
TIMEOUT_S = 60.0
MAY_PASS = frozenset([408, 429, 500, 502, 503, 504])
DO = "mend epoch.url, or give a downloaded copy as epoch.file"

log = logging.getLogger(__name__)


class _Passing(Exception):
    """A failure that may pass."""


def gather(*, file: str | None, url: str | None, wait_s: float = 1.0) -> models.Listed:
    """Models of Epoch AI's list, where a study names it, else some well-known ones.

    The list is optional: where it cannot be read or fetched, or is another than expected, the
    well-known models stand in, and the reason is counted.

    Args:
        file: A copy of the list; wins over the address.
        url: Its address.
        wait_s: Wait before the first new try; each further one is twice as long.
    """
    source = "epoch.file" if file else "epoch.url"
    try:
        if file:
            return models.read_epoch(file)
        if url:
            return models.parse_epoch(fetch(url, wait_s=wait_s), where=url, source=source)
    except InputError as error:
        log.warning("%s", error)
        reason = f"{error.what}: the built-in models stand in"
        return models.Listed(models.well_known(), _counted([(reason, 1, "the whole list")], source))
    return models.Listed(models.well_known(), _counted([], source))


def _counted(rows: list[tuple[str, int, str]], source: str) -> pl.DataFrame:
    schema = {"reason": pl.String, "n_rows": pl.Int64, "example": pl.String}
    return models.set_aside(pl.DataFrame(rows, schema=schema, orient="row"), source=source)


def fetch(url: str, *, wait_s: float = 1.0) -> bytes:
    """What lies at an address, tried again as long as its failure may pass.

    Args:
        url: Address.
        wait_s: Wait before the first new try; each further one is twice as long.

    Raises:
        InputError: It is refused, or not there, or all tries failed.
    """
    tries = stamina.retry_context(
        on=_Passing,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=wait_s,
        wait_jitter=wait_s,
    )
    try:
        for attempt in tries:
            with attempt:
                return _once(url)
    except _Passing as last:
        raise InputError(
            f"cannot be fetched ({last})", where=url, do=f"try again, or {DO}"
        ) from None
    raise AssertionError("stamina raises what the last try raised")


def _once(url: str) -> bytes:
    agent = {"User-Agent": f"footprint/{__version__}"}
    try:
        answer = httpx.get(url, headers=agent, timeout=TIMEOUT_S, follow_redirects=True)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InputError(f"is no address ({error})", where=f"epoch.url ({url})", do=DO) from None
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as error:
        raise _Passing(str(error) or type(error).__name__) from None
    if answer.status_code in MAY_PASS:
        log.info("%s: HTTP %d", url, answer.status_code)
        raise _Passing(f"HTTP {answer.status_code}")
    if not answer.is_success:
        raise InputError(f"was refused (HTTP {answer.status_code})", where=url, do=DO)
    return answer.content
