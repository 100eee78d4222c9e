"""Requests over real connections: certificates, broken answers, and secrecy of the password."""

from __future__ import annotations

import base64
import gc
import json
import logging
import ssl
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from footprint import serve
from footprint.core import logs
from footprint.core.errors import InputError
from footprint.sources.grid5000 import http
from footprint.sources.grid5000.credentials import Credentials
from footprint.sources.grid5000.http import HttpClient
from footprint.sources.grid5000.refusals import Refused, RetriesExhausted
from tests.support.simulated_server import simulated_config

PATH = "/sites/nancy/jobs"
SECRET = "correct horse"
BASIC = base64.b64encode(f"somebody:{SECRET}".encode()).decode()


def retrying_client(url: str = "https://api.example", **options: Any) -> HttpClient:
    """Return a client with a password and three retries without a wait."""
    defaults: dict[str, Any] = {"credentials": Credentials("somebody", SECRET)}
    return HttpClient(url, **(defaults | {"retries": 3, "wait_s": 0.001} | options))


def get_document(client: HttpClient) -> Any:
    """Return the JSON document of an answer."""
    return client.get_parsed(PATH, {"limit": "2"}, parse=json.loads)[1]


# Secrecy of the password


@pytest.fixture
def rule_log(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A rule's log, with the lines of all libraries."""
    root = logging.getLogger()
    names = logs.QUIET_LIBRARIES
    levels = {name: logging.getLogger(name).level for name in names}
    before = sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level
    path = tmp_path / "rule.log"
    logs.log_to_file(path)
    stream = sys.stdout
    yield lambda: path.read_text(encoding="utf-8")
    sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level = before
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    stream.close()


def test_rule_log_has_a_line_for_each_failed_try_alone(rule_log: Callable[[], str]) -> None:
    faults = serve.Faults(rate=1.0, kinds=["bad_gateway"])
    with serve.running_server(small_study(), faults=faults, log_requests=True) as server:
        client = retrying_client(server.url)
        for _ in range(2):
            get_document(client)
    assert [each.status for each in server.requests] == [502, 502, 502, 200] * 2
    assert rule_log().splitlines() == [f"{PATH}: 502: 502 Bad Gateway"] * 6


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_log_at_any_level_hides_the_password(rule_log: Callable[[], str], level: int) -> None:
    with serve.running_server(small_study(), access=serve.Access("somebody", SECRET)) as server:
        logging.getLogger().setLevel(level)
        for name in logs.QUIET_LIBRARIES:
            logging.getLogger(name).setLevel(level)
        get_document(retrying_client(server.url))
        with pytest.raises(Refused) as raised:
            get_document(
                retrying_client(server.url, credentials=Credentials("somebody", SECRET[::-1]))
            )
    logged = rule_log()
    assert "GET" in logged
    assert ("send_request_headers" in logged) == (level == logging.DEBUG)
    logged += "".join(traceback.format_exception(raised.value))
    for word in (SECRET, SECRET[::-1], BASIC, "Basic c29"):
        assert word not in logged


def test_tracebacks_and_repr_hide_the_password() -> None:
    raised: list[BaseException] = []
    for forbid, faults, kind in (
        (".*", serve.Faults(), Refused),
        (None, serve.Faults(rate=1.0, kinds=["bad_gateway"]), RetriesExhausted),
    ):
        with serve.running_server(
            small_study(), faults=faults, access=serve.Access(forbid=forbid)
        ) as server:
            client = retrying_client(server.url, retries=1)
            with pytest.raises(kind) as caught:
                get_document(client)
        raised.append(caught.value)
    for text in (repr(client), *(line for e in raised for line in traceback.format_exception(e))):
        assert SECRET not in text
        assert BASIC not in text


# Certificates


@pytest.fixture
def logged_failures(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Returns the logged lines of failed tries."""
    caplog.set_level(logging.INFO, logger=http.__name__)
    return lambda: [each.getMessage() for each in caplog.records if each.name == http.__name__]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and two certificates of it: a valid one, and one that expired yesterday."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, now = trustme.CA(), datetime.now(UTC)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    long_ago = {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=1)}
    for name, times in (("valid", {}), ("expired", long_ago)):
        issued = authority.issue_cert("127.0.0.1", **times)
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


def small_study() -> dict[str, Any]:
    return simulated_config(nodes={"gruss": 1}, jobs=3)


@contextmanager
def serving_https(folder: Path, name: str) -> Iterator[str]:
    certificate = serve.Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    with serve.running_server(small_study(), certificate=certificate) as server:
        yield server.url


def test_client_trusts_the_authority_of_ca_bundle(certificates: Path) -> None:
    with serving_https(certificates, "valid") as url:
        client = retrying_client(url, ca_bundle=str(certificates / "authority.pem"))
        assert get_document(client)["items"]
        client.close()  # over TLS, the server waits for the client to close


@pytest.mark.parametrize(
    ("name", "bundle", "why"),
    [
        ("expired", "authority.pem", "certificate has expired"),
        ("valid", None, "unable to get local issuer certificate"),
    ],
)
def test_invalid_certificate_is_refused_without_a_retry(
    certificates: Path,
    logged_failures: Callable[[], list[str]],
    name: str,
    bundle: str | None,
    why: str,
) -> None:
    with serving_https(certificates, name) as url:
        client = retrying_client(url, ca_bundle=str(certificates / bundle) if bundle else None)
        with pytest.raises(Refused) as raised:
            get_document(client)
    assert str(raised.value) == (
        f"{url}: its certificate is not accepted ({why}); renew it, or set source.ca_bundle "
        "to a file of certificates to trust"
    )
    assert logged_failures() == []


def test_error_whose_causes_form_a_ring_is_refused_with_its_text(
    monkeypatch: pytest.MonkeyPatch, logged_failures: Callable[[], list[str]]
) -> None:
    """Two errors that are the cause of each other form a ring."""

    def raising(*_: Any, **__: Any) -> None:
        error, other = httpx.ConnectError("refused"), OSError("refused")
        error.__cause__, other.__context__ = other, error
        raise error

    client = retrying_client(retries=1)
    monkeypatch.setattr(client._http, "get", raising)
    with pytest.raises(Refused, match=r"cannot be reached \(refused\)"):
        get_document(client)
    assert logged_failures() == [f"{PATH}: refused"] * 2


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_ca_bundle_without_certificates_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "bundle.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError) as raised:
        retrying_client(ca_bundle=str(file))
    do = "set it to a file of certificates in PEM format"
    assert str(raised.value) == f"source.ca_bundle ({file}): contains no certificates; {do}"


def test_certificates_of_httpx_are_used_without_a_system_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(http, "SYSTEM_CERTIFICATES", tmp_path / "none.pem")
    context = http._ssl_context(None)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.get_ca_certs()


# Broken connections


@pytest.mark.parametrize("kind", ["reset", "truncated", "bad_gateway"])
def test_broken_connection_is_retried_until_the_answer_is_whole(kind: str) -> None:
    faults = serve.Faults(rate=1.0, kinds=[kind])
    with serve.running_server(small_study(), faults=faults, log_requests=True) as server:
        found = get_document(retrying_client(server.url, retries=4))
    assert found["items"]
    assert len(found["items"]) == min(found["total"], 2)
    assert faults.counts[kind] == 3  # at most three in a row
    assert [each.fault for each in server.requests] == [kind, kind, kind, None]


def test_answer_after_the_timeout_is_not_awaited() -> None:
    faults = serve.Faults(rate=1.0, kinds=["delay"], delay_s=0.4)
    with serve.running_server(small_study(), faults=faults) as server:
        client = retrying_client(server.url, retries=0, timeout_s=0.1)
        with pytest.raises(RetriesExhausted, match=r"^no answer in time$"):
            get_document(client)


def test_unreachable_service_is_refused_after_all_retries(
    logged_failures: Callable[[], list[str]],
) -> None:
    with serve.running_server(small_study()) as server:
        url = server.url
    with pytest.raises(Refused, match=r"cannot be reached \(.*Connection refused\)"):
        get_document(retrying_client(url))
    assert logged_failures() == [f"{PATH}: [Errno 111] Connection refused"] * 4


def test_collected_client_closes_its_connections() -> None:
    """An open socket causes a warning, which is an error in these tests."""
    with serve.running_server(small_study()) as server:
        client = retrying_client(server.url)
        inner = client._http
        get_document(client)
        assert not inner.is_closed
        del client
        gc.collect()
        assert inner.is_closed
