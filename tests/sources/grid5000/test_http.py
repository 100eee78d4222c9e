"""Requests: their content, their retries, and failures without a retry."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import respx
import stamina

from footprint.core.errors import InputError
from footprint.sources.grid5000 import http
from footprint.sources.grid5000.credentials import Credentials
from footprint.sources.grid5000.http import HttpClient
from footprint.sources.grid5000.refusals import (
    Refused,
    RequestTooLarge,
    RetriesExhausted,
    TransientFailure,
)

URL = "https://api.example/stable"
PATH = "/sites/nancy/jobs"
SECRET = "correct horse"
BASIC = base64.b64encode(f"somebody:{SECRET}".encode()).decode()
WHOLE: dict[str, Any] = {"items": []}


def retrying_client(url: str = URL, **options: Any) -> HttpClient:
    """Return a client with a password and three retries without a wait."""
    defaults: dict[str, Any] = {"credentials": Credentials("somebody", SECRET)}
    return HttpClient(url, **(defaults | {"retries": 3, "wait_s": 0.001} | options))


def get_document(client: HttpClient, **options: Any) -> Any:
    """Return the JSON document of an answer."""
    return client.get_parsed(PATH, {"limit": "2"}, parse=json.loads, **options)[1]


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


def answer_in_turn(api: respx.MockRouter, *each: Any) -> respx.Route:
    """Answer with each answer or error in turn, then always with the last one."""
    replies = iter(each)
    last = each[-1]

    def reply(_: httpx.Request) -> httpx.Response:
        given = next(replies, last)
        if isinstance(given, Exception):
            raise type(given)(*given.args)
        return given() if callable(given) else given

    return api.get(PATH).mock(side_effect=reply)


def whole_answer() -> httpx.Response:
    return httpx.Response(200, json=WHOLE)


def error_answer(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, text="Out of order", headers=headers)


# Content of a request


def test_request_has_its_parameters_and_the_password(api: respx.MockRouter) -> None:
    route = answer_in_turn(api, whole_answer())
    body, found = retrying_client(f"{URL}/").get_parsed(
        PATH, {"nodes": "a-1,a-2"}, parse=json.loads
    )
    assert (json.loads(body), found) == (WHOLE, WHOLE)
    request = route.calls.last.request
    assert request.url.path == "/stable/sites/nancy/jobs"
    assert dict(request.url.params) == {"nodes": "a-1,a-2"}
    assert request.headers["authorization"] == f"Basic {BASIC}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("footprint/")


def test_client_without_credentials_sends_no_password(api: respx.MockRouter) -> None:
    route = answer_in_turn(api, whole_answer())
    get_document(retrying_client(credentials=None))
    assert "authorization" not in route.calls.last.request.headers


def test_redirect_to_another_host_sends_no_password(api: respx.MockRouter) -> None:
    answer_in_turn(api, httpx.Response(302, headers={"Location": "https://elsewhere.example/jobs"}))
    route = api.get("https://elsewhere.example/jobs").mock(return_value=whole_answer())
    assert get_document(retrying_client()) == WHOLE
    assert "authorization" not in route.calls.last.request.headers


@pytest.mark.parametrize("url", ["http://api.example", "HTTP://10.0.0.7:8000/stable"])
def test_credentials_with_plain_http_are_refused(url: str) -> None:
    with pytest.raises(
        InputError, match=r"^source.url: the password would be sent unencrypted; .*https://$"
    ):
        retrying_client(url)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_credentials_with_plain_http_to_this_machine_are_accepted(host: str) -> None:
    assert retrying_client(f"http://{host}").url.scheme == "http"
    assert retrying_client(f"http://{host}", credentials=None).url.scheme == "http"


# Retries


@pytest.mark.parametrize(
    "failure",
    [
        *(error_answer(status) for status in (429, 500, 502, 503, 504)),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.ReadTimeout("late"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("peer closed connection"),
        httpx.Response(200, content=b'{"items": [{"uid": 1'),
        httpx.Response(200, text="<html>a proxy</html>"),
        httpx.Response(200, content=b'{"name": "\xff"}'),
        httpx.Response(200, content=b""),
        lambda: httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"no gzip"),
    ],
    ids=lambda each: getattr(each, "status_code", None) or type(each).__name__,
)
def test_temporary_failure_is_retried(api: respx.MockRouter, failure: Any) -> None:
    route = answer_in_turn(api, failure, failure, whole_answer())
    assert get_document(retrying_client()) == WHOLE
    assert route.call_count == 3


def test_last_failure_is_raised_after_all_retries(api: respx.MockRouter) -> None:
    route = answer_in_turn(
        api, error_answer(502), error_answer(502), error_answer(502), error_answer(503)
    )
    with pytest.raises(RetriesExhausted, match=r"^503: Out of order$"):
        get_document(retrying_client())
    assert route.call_count == 4


def test_request_without_retries_is_tried_once(api: respx.MockRouter) -> None:
    route = answer_in_turn(api, error_answer(502))
    with pytest.raises(RetriesExhausted):
        get_document(retrying_client(retries=0))
    assert route.call_count == 1


def test_damage_of_the_last_answer_is_raised_after_all_retries(api: respx.MockRouter) -> None:
    answer_in_turn(api, httpx.Response(200, text="<html>"))
    with pytest.raises(RetriesExhausted, match=r"^a damaged answer \(Expecting value: line 1 "):
        get_document(retrying_client())


def test_unreachable_service_is_refused_after_all_retries(api: respx.MockRouter) -> None:
    route = answer_in_turn(api, httpx.ConnectError("Connection refused"))
    with pytest.raises(Refused) as raised:
        get_document(retrying_client())
    assert str(raised.value) == (
        f"{URL}: cannot be reached (Connection refused); fix source.url or the network; "
        "outside of Grid'5000 the API needs an account"
    )
    assert raised.value.status is None
    assert route.call_count == 4


# Waits


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Waits (s) before retries."""
    noted: list[float] = []

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        noted.append(details.wait_for)

    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([hook])
    yield noted
    stamina.instrumentation.set_on_retry_hooks(before)


def test_waits_double_with_jitter(api: respx.MockRouter, waits: list[float]) -> None:
    answer_in_turn(api, error_answer(502))
    client = retrying_client(wait_s=0.01)
    for _ in range(4):
        with pytest.raises(RetriesExhausted):
            get_document(client)
    for number, shortest in enumerate((0.01, 0.02, 0.04)):
        nth = waits[number::3]
        assert len(set(nth)) == 4  # no two clients retry at the same moment
        assert all(shortest <= each <= shortest + 0.01 for each in nth)


def test_retry_waits_for_retry_after(api: respx.MockRouter, waits: list[float]) -> None:
    answer_in_turn(
        api, error_answer(429, **{"Retry-After": "0.05"}), error_answer(503), whole_answer()
    )
    began = time.monotonic()
    get_document(retrying_client(wait_s=0.01))
    assert time.monotonic() - began >= 0.05
    assert 0.05 < waits[0] <= 0.06
    assert 0.02 <= waits[1] <= 0.03


def test_slot_is_free_during_waits_and_parsing(api: respx.MockRouter, waits: list[float]) -> None:
    events: list[str] = []

    @contextmanager
    def hold_slot() -> Iterator[None]:
        events.append("in")
        try:
            yield
        finally:
            events.append("out")

    def parse(_: bytes) -> None:
        events.append("check")
        raise ValueError("odd")

    answer_in_turn(api, error_answer(502), whole_answer())
    with pytest.raises(RetriesExhausted, match=r"^a damaged answer \(odd\)$"):
        retrying_client(retries=1, hold_slot=hold_slot).get_parsed(PATH, {}, parse=parse)
    assert events == ["in", "out", "in", "out", "check"]
    assert len(waits) == 1


# Without a retry


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_refusal_is_not_retried(api: respx.MockRouter, status: int) -> None:
    route = answer_in_turn(api, error_answer(status))
    with pytest.raises(Refused, match=f"^{PATH}: .*Out of order") as raised:
        get_document(retrying_client())
    assert raised.value.status == status
    assert route.call_count == 1


def test_too_much_data_is_not_retried(api: respx.MockRouter) -> None:
    words = "Request timeout, too much data to process."
    route = answer_in_turn(api, httpx.Response(500, json={"message": words, "code": "38000"}))
    with pytest.raises(RequestTooLarge, match=words):
        get_document(retrying_client())
    assert route.call_count == 1


@pytest.mark.parametrize("slow", [httpx.ReadTimeout("late"), error_answer(504)])
def test_divisible_request_is_tried_twice_without_an_answer_in_time(
    api: respx.MockRouter, slow: Any
) -> None:
    route = answer_in_turn(api, error_answer(502), slow)
    with pytest.raises(RequestTooLarge, match=r"^(no answer in time|504: Out of order)$"):
        get_document(retrying_client(), is_divisible=True)
    assert route.call_count == 3  # two of them slow
    with pytest.raises(RetriesExhausted):
        get_document(retrying_client())
    assert route.call_count == 3 + 4


@pytest.mark.parametrize(
    "failure",
    [
        error_answer(500),
        error_answer(502),
        httpx.ReadError("reset"),
        httpx.ConnectError("refused"),
        httpx.Response(200, text="{"),
    ],
    ids=lambda each: str(getattr(each, "status_code", None) or type(each).__name__),
)
def test_divisible_request_is_tried_twice_where_a_try_takes_long(
    api: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    """A proxy's time-out is 502: the time of a try tells that it was slow, not its status."""
    now_s = [0.0]
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    def late() -> httpx.Response:
        now_s[0] += 61.0
        if isinstance(failure, Exception):
            raise type(failure)(*failure.args)
        return failure

    route = answer_in_turn(api, late)
    with pytest.raises(RequestTooLarge):
        get_document(retrying_client(), is_divisible=True)
    assert route.call_count == 2
    with pytest.raises((RetriesExhausted, Refused)):
        get_document(retrying_client())
    assert route.call_count == 2 + 4
    quick = answer_in_turn(api, late, *(error_answer(502) for _ in range(9)))
    n_before = quick.call_count
    with pytest.raises(RequestTooLarge):  # one of four was slow
        get_document(retrying_client(), is_divisible=True)
    assert quick.call_count == n_before + 4


def test_divisible_request_to_an_unreachable_service_is_refused(api: respx.MockRouter) -> None:
    route = answer_in_turn(api, httpx.ConnectTimeout("late"))
    with pytest.raises(Refused, match="cannot be reached"):
        get_document(retrying_client(), is_divisible=True)
    assert route.call_count == 4


@pytest.mark.parametrize("error", [InputError("odd"), KeyError("items")])
def test_other_errors_of_parse_are_not_retried(api: respx.MockRouter, error: Exception) -> None:
    route = answer_in_turn(api, whole_answer())

    def parse(_: bytes) -> None:
        raise error

    with pytest.raises(type(error), match=r"odd|items"):
        retrying_client().get_parsed(PATH, {}, parse=parse)
    assert route.call_count == 1


def test_failures_of_tries_are_no_input_errors() -> None:
    assert not issubclass(TransientFailure, InputError)
    assert not issubclass(RetriesExhausted, InputError)
