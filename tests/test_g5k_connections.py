"""Requests over real connections: certificates, breaks, and who gets to see the password."""

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
from serving import config

from footprint import logs, serve
from footprint.errors import InputError
from footprint.site.grid5000 import http
from footprint.site.grid5000.credentials import Credentials
from footprint.site.grid5000.http import Client
from footprint.site.grid5000.refusals import Refused, Unanswered

PATH = "/sites/nancy/jobs"
SECRET = "correct horse"
BASIC = base64.b64encode(f"somebody:{SECRET}".encode()).decode()


def client(url: str = "https://api.example", **options: Any) -> Client:
    """A client that tries again at once, three times, with a password."""
    asks: dict[str, Any] = {"credentials": Credentials("somebody", SECRET)}
    return Client(url, **(asks | {"retries": 3, "wait_s": 0.001} | options))


def get(asking: Client) -> Any:
    """What is answered, as JSON."""
    return asking.get(PATH, {"limit": "2"}, check=json.loads)[1]


# Nobody sees the password


@pytest.fixture
def rule_log(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A rule's log with all that any library has to say."""
    root = logging.getLogger()
    names = logs.PER_REQUEST
    levels = {name: logging.getLogger(name).level for name in names}
    before = sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level
    path = tmp_path / "rule.log"
    logs.to_file(path)
    stream = sys.stdout
    yield lambda: path.read_text(encoding="utf-8")
    sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level = before
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    stream.close()


def test_a_rule_logs_no_line_for_each_request(rule_log: Callable[[], str]) -> None:
    faults = serve.Faults(rate=1.0, kinds=["bad_gateway"])
    with serve.running(small(), faults=faults, log_requests=True) as server:
        asking = client(server.url)
        for _ in range(2):
            get(asking)
    assert [each.status for each in server.requests] == [502, 502, 502, 200] * 2
    assert rule_log().splitlines() == [f"{PATH}: 502: 502 Bad Gateway"] * 6


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_no_log_shows_the_password(rule_log: Callable[[], str], level: int) -> None:
    with serve.running(small(), username="somebody", password=SECRET) as server:
        logging.getLogger().setLevel(level)
        for name in logs.PER_REQUEST:
            logging.getLogger(name).setLevel(level)
        get(client(server.url))
        with pytest.raises(Refused) as raised:
            get(client(server.url, credentials=Credentials("somebody", SECRET[::-1])))
    told = rule_log()
    assert "GET" in told
    assert ("send_request_headers" in told) == (level == logging.DEBUG)
    told += "".join(traceback.format_exception(raised.value))
    for word in (SECRET, SECRET[::-1], BASIC, "Basic c29"):
        assert word not in told


def test_errors_and_names_do_not_show_the_password() -> None:
    raised: list[BaseException] = []
    for forbid, faults, kind in (
        (".*", serve.Faults(), Refused),
        (None, serve.Faults(rate=1.0, kinds=["bad_gateway"]), Unanswered),
    ):
        with serve.running(small(), faults=faults, forbid=forbid) as server:
            asking = client(server.url, retries=1)
            with pytest.raises(kind) as caught:
                get(asking)
        raised.append(caught.value)
    for text in (repr(asking), *(line for e in raised for line in traceback.format_exception(e))):
        assert SECRET not in text
        assert BASIC not in text


# Certificates


@pytest.fixture
def tries(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged of tries that failed."""
    caplog.set_level(logging.INFO, logger=http.__name__)
    return lambda: [each.getMessage() for each in caplog.records if each.name == http.__name__]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates of it: one that holds, and one that expired yesterday."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, now = trustme.CA(), datetime.now(UTC)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    long_ago = {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=1)}
    for name, times in (("valid", {}), ("expired", long_ago)):
        issued = authority.issue_cert("127.0.0.1", **times)
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


def small() -> dict[str, Any]:
    return config(nodes={"gruss": 1}, jobs=3)


@contextmanager
def secured(folder: Path, name: str) -> Iterator[str]:
    files = {"certificate": folder / f"{name}.pem", "private_key": folder / f"{name}.key"}
    with serve.running(small(), **files) as server:
        yield server.url


def test_a_named_authority_is_trusted(certificates: Path) -> None:
    with secured(certificates, "valid") as url:
        asking = client(url, ca_bundle=str(certificates / "authority.pem"))
        assert get(asking)["items"]
        asking.close()  # over TLS, the server waits for it


@pytest.mark.parametrize(
    ("name", "bundle", "why"),
    [
        ("expired", "authority.pem", "certificate has expired"),
        ("valid", None, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_told_at_once(
    certificates: Path, tries: Callable[[], list[str]], name: str, bundle: str | None, why: str
) -> None:
    with secured(certificates, name) as url:
        asking = client(url, ca_bundle=str(certificates / bundle) if bundle else None)
        with pytest.raises(Refused) as raised:
            get(asking)
    assert str(raised.value) == (
        f"{url}: its certificate is not accepted ({why}); renew it, or name a file of "
        "certificates to trust in source.ca_bundle"
    )
    assert tries() == []


def test_an_error_that_comes_of_itself_is_told(
    monkeypatch: pytest.MonkeyPatch, tries: Callable[[], list[str]]
) -> None:
    """Libraries that raise in turn what each other raised leave such a ring."""

    def raising(*_: Any, **__: Any) -> None:
        error, other = httpx.ConnectError("refused"), OSError("refused")
        error.__cause__, other.__context__ = other, error
        raise error

    asking = client(retries=1)
    monkeypatch.setattr(asking._http, "get", raising)
    with pytest.raises(Refused, match=r"cannot be reached \(refused\)"):
        get(asking)
    assert tries() == [f"{PATH}: refused"] * 2


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "bundle.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError) as raised:
        client(ca_bundle=str(file))
    do = "name a file of certificates in PEM format"
    assert str(raised.value) == f"source.ca_bundle ({file}): holds no certificates; {do}"


def test_without_the_systems_certificates_those_of_httpx_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(http, "SYSTEM_CERTIFICATES", tmp_path / "none.pem")
    context = http._certificates(None)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.get_ca_certs()


# A real connection


@pytest.mark.parametrize("kind", ["reset", "truncated", "bad_gateway"])
def test_a_connection_that_breaks_off_in_the_midst(kind: str) -> None:
    faults = serve.Faults(rate=1.0, kinds=[kind])
    with serve.running(small(), faults=faults, log_requests=True) as server:
        found = get(client(server.url, retries=4))
    assert found["items"]
    assert len(found["items"]) == min(found["total"], 2)
    assert faults.counts[kind] == 3  # at most three in a row
    assert [each.fault for each in server.requests] == [kind, kind, kind, None]


def test_a_late_answer_is_not_waited_for() -> None:
    faults = serve.Faults(rate=1.0, kinds=["delay"], delay_s=0.4)
    with serve.running(small(), faults=faults) as server:
        asking = client(server.url, retries=0, timeout_s=0.1)
        with pytest.raises(Unanswered, match=r"^no answer in time$"):
            get(asking)


def test_nothing_listens(tries: Callable[[], list[str]]) -> None:
    with serve.running(small()) as server:
        url = server.url
    with pytest.raises(Refused, match=r"cannot be reached \(.*Connection refused\)"):
        get(client(url))
    assert tries() == [f"{PATH}: [Errno 111] Connection refused"] * 4


def test_a_client_that_is_forgotten_closes_its_connections() -> None:
    """A socket that is left open would warn, and a warning is an error here."""
    with serve.running(small()) as server:
        asking = client(server.url)
        inner = asking._http
        get(asking)
        assert not inner.is_closed
        del asking
        gc.collect()
        assert inner.is_closed
