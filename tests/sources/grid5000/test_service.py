"""A service whose answers are kept: final ones are requested once, others by each process."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from footprint.core.errors import InputError
from footprint.sources.grid5000 import credentials
from footprint.sources.grid5000.answers import Answers
from footprint.sources.grid5000.refusals import Refused, RequestTooLarge, RetriesExhausted
from footprint.sources.grid5000.service import Request, Service

URL = "https://api.example/stable"
PATH = "/sites/nancy/jobs"
PAGE = {"items": [{"uid": 7}]}
DOWNLOAD = {"retries": 1, "wait_s": 0.001, "timeout_s": 5.0, "concurrency": 2}
ACCESS = {"url": URL, "credentials": None, "ca_bundle": None}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[respx.MockRouter]:
    """The service, without credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in (credentials.USERNAME_VARIABLE, credentials.PASSWORD_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture
def route(api: respx.MockRouter) -> respx.Route:
    return api.get(PATH).mock(return_value=httpx.Response(200, json=PAGE))


def open_service(folder: Path, **access: Any) -> Service:
    """Return the service as each process opens it."""
    source = ACCESS | {"answers": str(folder / "answers")} | access
    return Service.from_config(source, DOWNLOAD)


# Kept answers


def test_final_answer_is_never_requested_again(route: respx.Route, tmp_path: Path) -> None:
    for _ in range(2):
        service = open_service(tmp_path)
        assert service.fetch_document(PATH, {"limit": "2"}) == PAGE
        assert service.fetch_document(PATH, {"limit": "2"}) == PAGE
    assert route.call_count == 1


def test_other_parameters_make_another_request(route: respx.Route, tmp_path: Path) -> None:
    service = open_service(tmp_path)
    for limit in ("2", "3", "2"):
        service.fetch_document(PATH, {"limit": limit})
    assert route.call_count == 2


def test_answer_that_is_not_final_is_requested_once_by_each_process(
    route: respx.Route, tmp_path: Path
) -> None:
    for _ in range(3):
        service = open_service(tmp_path)
        for _ in range(2):
            service.fetch_document(PATH, {}, is_final=lambda _: False)
    assert route.call_count == 3


def test_is_final_depends_on_the_answer(api: respx.MockRouter, tmp_path: Path) -> None:
    pages = [{"state": "running"}, {"state": "terminated"}]
    replies = [httpx.Response(200, json=page) for page in pages]
    route = api.get(PATH).mock(side_effect=replies)
    found = [
        open_service(tmp_path).fetch_document(
            PATH, {}, is_final=lambda job: job["state"] == "terminated"
        )
        for _ in range(3)
    ]
    assert found == [*pages, pages[1]]
    assert route.call_count == 2


def test_answers_with_two_keys_are_kept_apart(route: respx.Route, tmp_path: Path) -> None:
    service = open_service(tmp_path)
    for name in ("until=1", "until=2", "until=1"):
        service.fetch_document(PATH, {}, key=name)
    assert route.call_count == 2
    assert service.answers.has_content("until=1")
    assert not service.answers.has_content(service.request_key(PATH, {}))


def test_kept_content_is_the_received_one(route: respx.Route, tmp_path: Path) -> None:
    service = open_service(tmp_path)
    service.fetch_document(PATH, {"limit": "2", "from": "1"})
    request = service.request_key(PATH, {"from": "1", "limit": "2"})
    assert request == f"{URL}{PATH}?from=1&limit=2"
    assert service.answers.read_content(request) == route.calls.last.response.content


def test_slash_at_the_end_of_the_address_makes_the_same_request(
    route: respx.Route, tmp_path: Path
) -> None:
    for url in (URL, f"{URL}/"):
        open_service(tmp_path, url=url).fetch_document(PATH, {})
    assert route.call_count == 1


# Damage and failures


def test_damaged_kept_answer_is_requested_again_once(route: respx.Route, tmp_path: Path) -> None:
    open_service(tmp_path).fetch_document(PATH, {})
    (kept,) = (tmp_path / "answers/objects").rglob("*.zst")
    kept.write_bytes(kept.read_bytes()[:-3])
    for _ in range(2):
        assert open_service(tmp_path).fetch_document(PATH, {}) == PAGE
    assert route.call_count == 2  # saved again by the first of the two


def test_kept_answer_that_cannot_be_parsed_is_requested_again(
    route: respx.Route, tmp_path: Path
) -> None:
    service = open_service(tmp_path)
    service.answers.save_content(service.request_key(PATH, {}), b"<html>", is_final=True)
    assert service.fetch_document(PATH, {}) == PAGE
    assert route.call_count == 1


def test_input_error_about_a_kept_answer_is_raised(route: respx.Route, tmp_path: Path) -> None:
    service = open_service(tmp_path)
    service.fetch_document(PATH, {})

    def parse(_: bytes) -> None:
        raise InputError("answers no list")

    with pytest.raises(InputError, match="answers no list"):
        service.fetch_answer(Request(PATH, {}), parse=parse, is_final=lambda _: True)
    assert route.call_count == 1


def test_failed_request_is_refused_and_not_kept(api: respx.MockRouter, tmp_path: Path) -> None:
    replies = [
        httpx.Response(502),
        httpx.Response(200, content=b'{"items": ['),
        httpx.Response(500, text="too much data to process"),
        httpx.Response(200, json=PAGE),
    ]
    api.get(PATH).mock(side_effect=replies)
    service = open_service(tmp_path)
    for why in ("a damaged answer (", "500: too much data"):
        with pytest.raises(Refused, match=r"does not answer \(.*kept; try again later$") as raised:
            service.fetch_document(PATH, {})
        assert f"{PATH}: does not answer ({why}" in str(raised.value)
    assert not service.answers.has_content(service.request_key(PATH, {}))
    assert service.fetch_document(PATH, {}) == PAGE


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(httpx.Response(502), RetriesExhausted), (httpx.Response(413), RequestTooLarge)],
)
def test_failure_of_a_divisible_request_is_raised_as_it_is(
    api: respx.MockRouter, tmp_path: Path, reply: httpx.Response, kind: type[Exception]
) -> None:
    api.get(PATH).mock(return_value=reply)
    with pytest.raises(kind):
        open_service(tmp_path).fetch_answer(
            Request(PATH, {}, is_divisible=True), parse=len, is_final=lambda _: True
        )


# The network


def test_kept_answer_needs_no_credentials_and_no_network(
    route: respx.Route, tmp_path: Path
) -> None:
    """A finished study needs no credentials."""
    open_service(tmp_path).fetch_document(PATH, {})
    later = open_service(tmp_path, credentials="/no/such/file", ca_bundle="/no/such/file")
    assert later.fetch_document(PATH, {}) == PAGE
    with pytest.raises(InputError, match=r"^source.credentials: file /no/such/file does not exist"):
        later.fetch_document(PATH, {"limit": "1"})
    assert route.call_count == 1


def test_service_sends_configured_credentials_and_keeps_none(
    route: respx.Route, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text("username: somebody\npassword: correct horse\n")
    file.chmod(0o600)
    service = open_service(tmp_path, credentials=str(file))
    service.fetch_document(PATH, {})
    assert route.calls.last.request.headers["authorization"].startswith("Basic ")
    kept = [path for path in (tmp_path / "answers").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"horse" in path.read_bytes() for path in kept)
    assert not any(b"Basic" in path.read_bytes() for path in kept)


def test_document_that_is_no_object_is_refused_as_damaged(
    api: respx.MockRouter, tmp_path: Path
) -> None:
    api.get(PATH).respond(json=[PAGE])
    with pytest.raises(Refused, match=r"does not answer \(a damaged answer \(no JSON object\)\)"):
        open_service(tmp_path).fetch_document(PATH, {})


def test_threads_make_at_most_concurrency_simultaneous_requests(
    api: respx.MockRouter, tmp_path: Path
) -> None:
    service, lock = open_service(tmp_path), threading.Lock()
    pairs = threading.Barrier(2)  # download.concurrency
    n_inside: list[int] = [0]
    n_at_once: list[int] = []

    def reply(request: httpx.Request) -> httpx.Response:
        with lock:
            n_inside[0] += 1
            n_at_once.append(n_inside[0])
        pairs.wait(120)
        time.sleep(0.01)
        with lock:
            n_inside[0] -= 1
        return httpx.Response(200, json=dict(request.url.params))

    api.get(PATH).mock(side_effect=reply)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: service.fetch_document(PATH, {"n": str(n)}), range(16)))
    assert found == [{"n": str(n)} for n in range(16)]
    assert max(n_at_once) == 2  # download.concurrency


def test_kept_answer_is_read_without_httpx(tmp_path: Path) -> None:
    """Snakemake opens a service for each job, and importing httpx takes longer than reading."""
    Answers(tmp_path / "answers").save_content(
        f"{URL}{PATH}", json.dumps(PAGE).encode(), is_final=True
    )
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "httpx"}
    try:
        assert open_service(tmp_path).fetch_document(PATH, {}) == PAGE
        assert "httpx" not in sys.modules
    finally:
        sys.modules |= hidden
