"""One HTTP request to a service, retried while its failure may be temporary."""

from __future__ import annotations

import logging
import random
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import httpx
import stamina

from footprint import __version__
from footprint.core.errors import InputError
from footprint.sources.grid5000 import refusals
from footprint.sources.grid5000.credentials import Credentials
from footprint.sources.grid5000.refusals import Refused, RetriesExhausted, TransientFailure

SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LONGEST_RETRY_WAIT_S = 60.0
SLOW_TRY_S = 60.0
"""A try that failed after more than this time (s) is slow, whatever its status: a proxy before a
service answers 502 when its own time-out ends, the service 500 when its database's does."""

MAX_SLOW_TRIES = 2
"""Slow tries of a divisible request."""

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)

# the client logs each retry itself, with the path of the request
stamina.instrumentation.set_on_retry_hooks([])


class HttpClient:
    """Client of one service over HTTP. May be used by several threads."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None,
        ca_bundle: str | None = None,
        retries: int = 6,
        wait_s: float = 0.5,
        timeout_s: float = 330.0,
        hold_slot: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            url: Address to which all paths are appended.
            credentials: For HTTP Basic authentication; None: inside Grid'5000.
            ca_bundle: File of certificates to trust; None: the system's.
            retries: Number of retries of a request.
            wait_s: Wait before the first retry; it doubles with each further one.
            timeout_s: Longest wait for a part of an answer.
            hold_slot: Entered during each request, to limit the number of simultaneous ones.

        Raises:
            InputError: The certificates cannot be read, or the password would be sent unencrypted.
        """
        self.url = httpx.URL(url)
        is_local = self.url.host in ("127.0.0.1", "localhost", "::1")
        if credentials is not None and self.url.scheme == "http" and not is_local:
            what = "the password would be sent unencrypted"
            raise InputError(what, where="source.url", do="set it to an address with https://")
        self._max_tries, self._wait_s, self._hold_slot = retries + 1, wait_s, hold_slot
        self._http = httpx.Client(
            auth=(credentials.username, credentials.password) if credentials else None,
            verify=_ssl_context(ca_bundle),
            timeout=httpx.Timeout(timeout_s, connect=min(30.0, timeout_s)),
            headers={"Accept": "application/json", "User-Agent": f"footprint/{__version__}"},
            follow_redirects=True,
            trust_env=not is_local,  # a proxy cannot reach this machine's loopback
        )
        # closes the connections of a client that is garbage-collected
        self.close = weakref.finalize(self, self._http.close)

    def get_parsed(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        parse: Callable[[bytes], Answer],
        is_divisible: bool = False,
    ) -> tuple[bytes, Answer]:
        """Return the body of an answer, and the result of `parse` for it.

        Args:
            path: Path below the service's address.
            params: Parameters.
            parse: Parses the body; raises ValueError if it is damaged.
            is_divisible: Whether a smaller request is possible. Such a request is tried only twice
                when the tries are slow, since each may take minutes.

        Raises:
            refusals.RequestTooLarge: The request is too large, or a try of it was slow.
            refusals.RetriesExhausted: All tries failed.
            refusals.Refused: Retries would not help, or the service cannot be reached.
        """
        url = httpx.URL(f"{str(self.url).rstrip('/')}{path}")
        n_slow, took_s = 0, 0.0

        def retry_or_wait_s(error: Exception) -> bool | float:
            nonlocal n_slow
            if not isinstance(error, TransientFailure):
                return False
            n_slow += error.is_slow or took_s > SLOW_TRY_S
            log.info("%s: %s", path, error)
            if is_divisible and n_slow >= MAX_SLOW_TRIES:
                return False
            if error.retry_after_s is None:
                return True
            # jitter, as several clients may get the same time to wait
            return error.retry_after_s + random.uniform(0.0, self._wait_s)

        try:
            for attempt in stamina.retry_context(
                on=retry_or_wait_s,
                attempts=self._max_tries,
                timeout=None,
                wait_initial=self._wait_s,
                wait_max=LONGEST_RETRY_WAIT_S,
                wait_jitter=self._wait_s,
            ):
                with attempt:
                    with self._hold_slot():
                        began = time.monotonic()
                        try:
                            content = self._get_once(url, params, where=path)
                        finally:
                            took_s = time.monotonic() - began
                    try:
                        return content, parse(content)
                    except ValueError as error:
                        raise TransientFailure(f"a damaged answer ({error})") from None
        except TransientFailure as last:
            if is_divisible and n_slow:
                raise refusals.RequestTooLarge(str(last)) from None
            if not last.was_connected:
                do = "fix source.url or the network; outside of Grid'5000 the API needs an account"
                raise Refused(f"cannot be reached ({last})", where=str(self.url), do=do) from None
            raise RetriesExhausted(str(last)) from None
        raise AssertionError("stamina raises the error of the last try")

    def _get_once(self, url: httpx.URL, params: Mapping[str, str], *, where: str) -> bytes:
        try:
            response = self._http.get(url, params=dict(params))
        except httpx.TimeoutException as error:
            was_connected = not isinstance(error, httpx.ConnectTimeout)
            what = "no answer in time"
            raise TransientFailure(
                what, is_slow=was_connected, was_connected=was_connected
            ) from None
        except httpx.ConnectError as error:
            if (fault := _certificate_fault(error)) is not None:
                do = "renew it, or set source.ca_bundle to a file of certificates to trust"
                what = f"its certificate is not accepted ({fault})"
                raise Refused(what, where=str(self.url), do=do) from None
            raise TransientFailure(str(error) or "no connection", was_connected=False) from None
        except httpx.TransportError as error:
            raise TransientFailure(str(error) or type(error).__name__) from None
        except (httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise TransientFailure(str(error)) from None
        refusals.raise_for_status(
            response.status_code,
            response.content,
            where=where,
            retry_after=response.headers.get("Retry-After"),
        )
        return response.content


def _ssl_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return the certificates to trust: a named file, else the system's, else those of httpx.

    Inside Grid'5000 the system's file has the platform's own authority, which certifi lacks.
    """
    system = str(SYSTEM_CERTIFICATES) if SYSTEM_CERTIFICATES.is_file() else None
    file = ca_bundle or system
    if file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError):
        do = "set it to a file of certificates in PEM format"
        raise InputError(
            "contains no certificates", where=f"source.ca_bundle ({file})", do=do
        ) from None


def _certificate_fault(error: httpx.ConnectError) -> str | None:
    """Return why a certificate was not accepted; None if the error has another cause."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:  # a chain of causes may be a ring
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" if "CERTIFICATE_VERIFY_FAILED" in str(error) else None
