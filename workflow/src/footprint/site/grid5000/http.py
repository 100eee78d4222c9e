"""One HTTP request to a service, tried again as long as its failure may pass."""

from __future__ import annotations

import logging
import random
import ssl
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import httpx
import stamina

from footprint import __version__
from footprint.errors import InputError
from footprint.site.grid5000 import refusals
from footprint.site.grid5000.credentials import Credentials
from footprint.site.grid5000.refusals import Passing, Refused, Unanswered

SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LONGEST_WAIT_S = 60.0
MOST_SLOW = 2

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)

# it would warn of each new try and not say of what; the client does
stamina.instrumentation.set_on_retry_hooks([])


class Client:
    """Asks a service over HTTP. May be used by several threads."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None,
        ca_bundle: str | None = None,
        retries: int = 6,
        wait_s: float = 0.5,
        timeout_s: float = 330.0,
        place: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: Address that all paths follow.
            credentials: For HTTP Basic authentication; None: inside Grid'5000.
            ca_bundle: File of certificates to trust; None: the system's.
            retries: How often a request is tried again.
            wait_s: Wait before the first new try; each further one is twice as long.
            timeout_s: Longest wait for a part of an answer.
            place: Entered for the time of each request: bounds how many are under way.

        Raises:
            InputError: The certificates cannot be read, or a password would be sent unencrypted.
        """
        self.url = httpx.URL(url)
        local = self.url.host in ("127.0.0.1", "localhost", "::1")
        if credentials is not None and self.url.scheme == "http" and not local:
            what = "a password would cross the network unencrypted"
            raise InputError(what, where="source.url", do="use https://")
        self._attempts, self._wait_s, self._place = retries + 1, wait_s, place
        self._http = httpx.Client(
            auth=(credentials.username, credentials.password) if credentials else None,
            verify=_certificates(ca_bundle),
            timeout=httpx.Timeout(timeout_s, connect=min(30.0, timeout_s)),
            headers={"Accept": "application/json", "User-Agent": f"footprint/{__version__}"},
            follow_redirects=True,
            trust_env=not local,  # a proxy cannot reach this machine's loopback
        )
        # whoever forgets a client need not close it
        self.close = weakref.finalize(self, self._http.close)

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        check: Callable[[bytes], Answer],
        divisible: bool = False,
    ) -> tuple[bytes, Answer]:
        """The body of an answer, and what `check` makes of it.

        Args:
            path: Path below the service's address.
            params: Parameters.
            check: Reads the body; raises ValueError where it is damaged.
            divisible: Whether less can be asked for. When no answer comes in time, such a request
                is tried twice and no more: each try may take minutes.

        Raises:
            refusals.TooMuch: Too much is asked for at once, or nothing came in time.
            refusals.Unanswered: All tries failed.
            refusals.Refused: More tries would not help, or the service cannot be reached.
        """
        url = httpx.URL(f"{str(self.url).rstrip('/')}{path}")
        n_slow = 0

        def again(error: Exception) -> bool | float:
            nonlocal n_slow
            if not isinstance(error, Passing):
                return False
            n_slow += error.slow
            log.info("%s: %s", path, error)
            if divisible and n_slow >= MOST_SLOW:
                return False
            if error.retry_after_s is None:
                return True
            # not all at once, who were told to wait at once
            return error.retry_after_s + random.uniform(0.0, self._wait_s)

        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=self._attempts,
                timeout=None,
                wait_initial=self._wait_s,
                wait_max=LONGEST_WAIT_S,
                wait_jitter=self._wait_s,
            ):
                with attempt:
                    with self._place():
                        content = self._once(url, params, where=path)
                    try:
                        return content, check(content)
                    except ValueError as error:
                        raise Passing(f"a damaged answer ({error})") from None
        except Passing as last:
            if not last.connected:
                do = "check source.url and the network; outside of Grid'5000 it needs an account"
                raise Refused(f"cannot be reached ({last})", where=str(self.url), do=do) from None
            if divisible and last.slow:
                raise refusals.TooMuch(str(last)) from None
            raise Unanswered(str(last)) from None
        raise AssertionError("stamina raises what the last try raised")

    def _once(self, url: httpx.URL, params: Mapping[str, str], *, where: str) -> bytes:
        try:
            response = self._http.get(url, params=dict(params))
        except httpx.TimeoutException as error:
            connected = not isinstance(error, httpx.ConnectTimeout)
            what = "no answer in time"
            raise Passing(what, slow=connected, connected=connected) from None
        except httpx.ConnectError as error:
            if (distrust := _distrust(error)) is not None:
                do = "renew it, or name a file of certificates to trust in source.ca_bundle"
                what = f"its certificate is not accepted ({distrust})"
                raise Refused(what, where=str(self.url), do=do) from None
            raise Passing(str(error) or "no connection", connected=False) from None
        except httpx.TransportError as error:
            raise Passing(str(error) or type(error).__name__) from None
        except (httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise Passing(str(error)) from None
        refusals.judge(
            response.status_code,
            response.content,
            where=where,
            retry_after=response.headers.get("Retry-After"),
        )
        return response.content


def _certificates(ca_bundle: str | None) -> ssl.SSLContext:
    """Certificates to trust: those named, else the system's, else those that come with httpx.

    Inside Grid'5000 the system's file has the platform's own authority, which certifi lacks.
    """
    system = str(SYSTEM_CERTIFICATES) if SYSTEM_CERTIFICATES.is_file() else None
    file = ca_bundle or system
    if file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError):
        do = "name a file of certificates in PEM format"
        raise InputError(
            "holds no certificates", where=f"source.ca_bundle ({file})", do=do
        ) from None


def _distrust(error: httpx.ConnectError) -> str | None:
    """Why a certificate was not accepted, when that is what an error comes from."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:  # it may lead back to itself
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" if "CERTIFICATE_VERIFY_FAILED" in str(error) else None
