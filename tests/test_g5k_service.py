"""A service whose answers are kept: asked once, and again only where an answer was not final."""

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

from footprint.errors import InputError
from footprint.site.grid5000 import credentials
from footprint.site.grid5000.answers import Answers
from footprint.site.grid5000.refusals import Refused, TooMuch, Unanswered
from footprint.site.grid5000.service import Service

URL = "https://api.example/stable"
PATH = "/sites/nancy/jobs"
PAGE = {"items": [{"uid": 7}]}
DOWNLOAD = {"retries": 1, "wait_s": 0.001, "timeout_s": 5.0, "concurrency": 2}
ACCESS = {"url": URL, "credentials": None, "ca_bundle": None}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[respx.MockRouter]:
    """The service, and nobody's credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in (credentials.USERNAME, credentials.PASSWORD):
        monkeypatch.delenv(variable, raising=False)
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture
def route(api: respx.MockRouter) -> respx.Route:
    return api.get(PATH).mock(return_value=httpx.Response(200, json=PAGE))


def service(folder: Path, **access: Any) -> Service:
    """As each process opens it."""
    source = ACCESS | {"answers": str(folder / "answers")} | access
    return Service.from_config(source, DOWNLOAD)


# Asked once


def test_a_final_answer_is_never_asked_for_again(route: respx.Route, tmp_path: Path) -> None:
    for _ in range(2):
        asking = service(tmp_path)
        assert asking.document(PATH, {"limit": "2"}) == PAGE
        assert asking.document(PATH, {"limit": "2"}) == PAGE
    assert route.call_count == 1


def test_other_parameters_are_another_request(route: respx.Route, tmp_path: Path) -> None:
    asking = service(tmp_path)
    for limit in ("2", "3", "2"):
        asking.document(PATH, {"limit": limit})
    assert route.call_count == 2


def test_an_answer_that_may_change_is_asked_for_by_each_process(
    route: respx.Route, tmp_path: Path
) -> None:
    for _ in range(3):
        asking = service(tmp_path)
        for _ in range(2):
            asking.document(PATH, {}, final=lambda _: False)
    assert route.call_count == 3


def test_whether_it_is_final_is_judged_by_what_came(api: respx.MockRouter, tmp_path: Path) -> None:
    pages = [{"state": "running"}, {"state": "terminated"}]
    replies = [httpx.Response(200, json=page) for page in pages]
    route = api.get(PATH).mock(side_effect=replies)
    found = [
        service(tmp_path).document(PATH, {}, final=lambda job: job["state"] == "terminated")
        for _ in range(3)
    ]
    assert found == [*pages, pages[1]]
    assert route.call_count == 2


def test_a_name_tells_two_answers_to_one_request_apart(route: respx.Route, tmp_path: Path) -> None:
    asking = service(tmp_path)
    for name in ("until=1", "until=2", "until=1"):
        asking.document(PATH, {}, name=name)
    assert route.call_count == 2
    assert asking.answers.has("until=1")
    assert not asking.answers.has(asking.request(PATH, {}))


def test_the_bytes_that_came_are_kept(route: respx.Route, tmp_path: Path) -> None:
    asking = service(tmp_path)
    asking.document(PATH, {"limit": "2", "from": "1"})
    request = asking.request(PATH, {"from": "1", "limit": "2"})
    assert request == f"{URL}{PATH}?from=1&limit=2"
    assert asking.answers.get(request) == route.calls.last.response.content


def test_a_slash_at_the_end_of_the_address_changes_nothing(
    route: respx.Route, tmp_path: Path
) -> None:
    for url in (URL, f"{URL}/"):
        service(tmp_path, url=url).document(PATH, {})
    assert route.call_count == 1


# Damage and failures


def test_a_damaged_object_is_asked_for_again(route: respx.Route, tmp_path: Path) -> None:
    service(tmp_path).document(PATH, {})
    (kept,) = (tmp_path / "answers/objects").rglob("*.zst")
    kept.write_bytes(kept.read_bytes()[:-3])
    for _ in range(2):
        assert service(tmp_path).document(PATH, {}) == PAGE
    assert route.call_count == 2  # mended by the first of the two


def test_what_is_kept_and_cannot_be_read_is_asked_for_again(
    route: respx.Route, tmp_path: Path
) -> None:
    asking = service(tmp_path)
    asking.answers.put(asking.request(PATH, {}), b"<html>", final=True)
    assert asking.document(PATH, {}) == PAGE
    assert route.call_count == 1


def test_what_a_kept_answer_refuses_is_told(route: respx.Route, tmp_path: Path) -> None:
    asking = service(tmp_path)
    asking.document(PATH, {})

    def check(_: bytes) -> None:
        raise InputError("answers no list")

    with pytest.raises(InputError, match="answers no list"):
        asking.ask(PATH, {}, check=check, final=lambda _: True)
    assert route.call_count == 1


def test_what_failed_is_not_kept(api: respx.MockRouter, tmp_path: Path) -> None:
    replies = [
        httpx.Response(502),
        httpx.Response(200, content=b'{"items": ['),
        httpx.Response(500, text="too much data to process"),
        httpx.Response(200, json=PAGE),
    ]
    api.get(PATH).mock(side_effect=replies)
    asking = service(tmp_path)
    for why in ("a damaged answer (", "500: too much data"):
        with pytest.raises(Refused, match=r"does not answer \(.*kept; try again later$") as raised:
            asking.document(PATH, {})
        assert f"{PATH}: does not answer ({why}" in str(raised.value)
    assert not asking.answers.has(asking.request(PATH, {}))
    assert asking.document(PATH, {}) == PAGE


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(httpx.Response(502), Unanswered), (httpx.Response(413), TooMuch)],
)
def test_what_can_be_divided_is_left_to_who_divides_it(
    api: respx.MockRouter, tmp_path: Path, reply: httpx.Response, kind: type[Exception]
) -> None:
    api.get(PATH).mock(return_value=reply)
    with pytest.raises(kind):
        service(tmp_path).ask(PATH, {}, check=len, final=lambda _: True, divisible=True)


# The network


def test_the_network_is_not_touched_for_what_is_kept(route: respx.Route, tmp_path: Path) -> None:
    """Nor are credentials looked for: a finished study needs none."""
    service(tmp_path).document(PATH, {})
    later = service(tmp_path, credentials="/no/such/file", ca_bundle="/no/such/file")
    assert later.document(PATH, {}) == PAGE
    with pytest.raises(InputError, match=r"^source.credentials: there is no file /no/such/file"):
        later.document(PATH, {"limit": "1"})
    assert route.call_count == 1


def test_credentials_are_those_of_the_configuration(route: respx.Route, tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text("username: somebody\npassword: correct horse\n")
    file.chmod(0o600)
    asking = service(tmp_path, credentials=str(file))
    asking.document(PATH, {})
    assert route.calls.last.request.headers["authorization"].startswith("Basic ")
    kept = [path for path in (tmp_path / "answers").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"horse" in path.read_bytes() for path in kept)
    assert not any(b"Basic" in path.read_bytes() for path in kept)


def test_a_document_that_is_no_object_is_a_damaged_answer(
    api: respx.MockRouter, tmp_path: Path
) -> None:
    api.get(PATH).respond(json=[PAGE])
    with pytest.raises(Refused, match=r"does not answer \(a damaged answer \(no JSON object\)\)"):
        service(tmp_path).document(PATH, {})


def test_threads_share_one_client_and_wait_for_a_place(
    api: respx.MockRouter, tmp_path: Path
) -> None:
    asking, lock = service(tmp_path), threading.Lock()
    pairs = threading.Barrier(2)  # download.concurrency
    inside: list[int] = [0]
    most: list[int] = []

    def reply(request: httpx.Request) -> httpx.Response:
        with lock:
            inside[0] += 1
            most.append(inside[0])
        pairs.wait(120)
        time.sleep(0.01)
        with lock:
            inside[0] -= 1
        return httpx.Response(200, json=dict(request.url.params))

    api.get(PATH).mock(side_effect=reply)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: asking.document(PATH, {"n": str(n)}), range(16)))
    assert found == [{"n": str(n)} for n in range(16)]
    assert max(most) == 2  # download.concurrency


def test_what_is_kept_is_read_without_httpx(tmp_path: Path) -> None:
    """Snakemake opens a service for each job, where importing takes longer than reading."""
    Answers(tmp_path / "answers").put(f"{URL}{PATH}", json.dumps(PAGE).encode(), final=True)
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "httpx"}
    try:
        assert service(tmp_path).document(PATH, {}) == PAGE
        assert "httpx" not in sys.modules
    finally:
        sys.modules |= hidden
