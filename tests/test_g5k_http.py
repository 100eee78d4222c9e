"""Requests: what is asked, what is tried again and how often, and what is not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import respx
import stamina

from footprint.errors import InputError
from footprint.site.grid5000.credentials import Credentials
from footprint.site.grid5000.http import Client
from footprint.site.grid5000.refusals import Passing, Refused, TooMuch, Unanswered

URL = "https://api.example/stable"
PATH = "/sites/nancy/jobs"
SECRET = "correct horse"
BASIC = base64.b64encode(f"somebody:{SECRET}".encode()).decode()
WHOLE: dict[str, Any] = {"items": []}


def client(url: str = URL, **options: Any) -> Client:
    """A client that tries again at once, three times, with a password."""
    asks: dict[str, Any] = {"credentials": Credentials("somebody", SECRET)}
    return Client(url, **(asks | {"retries": 3, "wait_s": 0.001} | options))


def get(asking: Client, **options: Any) -> Any:
    """What is answered, as JSON."""
    return asking.get(PATH, {"limit": "2"}, check=json.loads, **options)[1]


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


def answers(api: respx.MockRouter, *each: Any) -> respx.Route:
    """One answer or error after the other; the last one for good."""
    replies = iter(each)
    last = each[-1]

    def reply(_: httpx.Request) -> httpx.Response:
        given = next(replies, last)
        if isinstance(given, Exception):
            raise type(given)(*given.args)
        return given() if callable(given) else given

    return api.get(PATH).mock(side_effect=reply)


def whole() -> httpx.Response:
    return httpx.Response(200, json=WHOLE)


def failing(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, text="Out of order", headers=headers)


# What is asked


def test_a_request_has_its_parameters_and_the_password(api: respx.MockRouter) -> None:
    route = answers(api, whole())
    body, found = client(f"{URL}/").get(PATH, {"nodes": "a-1,a-2"}, check=json.loads)
    assert (json.loads(body), found) == (WHOLE, WHOLE)
    request = route.calls.last.request
    assert request.url.path == "/stable/sites/nancy/jobs"
    assert dict(request.url.params) == {"nodes": "a-1,a-2"}
    assert request.headers["authorization"] == f"Basic {BASIC}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("footprint/")


def test_inside_the_platform_no_password_is_sent(api: respx.MockRouter) -> None:
    route = answers(api, whole())
    get(client(credentials=None))
    assert "authorization" not in route.calls.last.request.headers


def test_another_host_does_not_get_the_password(api: respx.MockRouter) -> None:
    answers(api, httpx.Response(302, headers={"Location": "https://elsewhere.example/jobs"}))
    route = api.get("https://elsewhere.example/jobs").mock(return_value=whole())
    assert get(client()) == WHOLE
    assert "authorization" not in route.calls.last.request.headers


@pytest.mark.parametrize("url", ["http://api.example", "HTTP://10.0.0.7:8000/stable"])
def test_a_password_is_not_sent_unencrypted(url: str) -> None:
    with pytest.raises(InputError, match=r"^source.url: a password would cross .*; use https://$"):
        client(url)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_this_machine_may_be_asked_unencrypted(host: str) -> None:
    assert client(f"http://{host}").url.scheme == "http"
    assert client(f"http://{host}", credentials=None).url.scheme == "http"


# Tried again


@pytest.mark.parametrize(
    "failure",
    [
        *(failing(status) for status in (429, 500, 502, 503, 504)),
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
def test_what_may_pass_is_tried_again(api: respx.MockRouter, failure: Any) -> None:
    route = answers(api, failure, failure, whole())
    assert get(client()) == WHOLE
    assert route.call_count == 3


def test_after_all_tries_the_last_failure_is_told(api: respx.MockRouter) -> None:
    route = answers(api, failing(502), failing(502), failing(502), failing(503))
    with pytest.raises(Unanswered, match=r"^503: Out of order$"):
        get(client())
    assert route.call_count == 4


def test_no_retries_are_one_try(api: respx.MockRouter) -> None:
    route = answers(api, failing(502))
    with pytest.raises(Unanswered):
        get(client(retries=0))
    assert route.call_count == 1


def test_damage_to_the_last_is_told(api: respx.MockRouter) -> None:
    answers(api, httpx.Response(200, text="<html>"))
    with pytest.raises(Unanswered, match=r"^a damaged answer \(Expecting value: line 1 "):
        get(client())


def test_a_service_that_cannot_be_reached(api: respx.MockRouter) -> None:
    route = answers(api, httpx.ConnectError("Connection refused"))
    with pytest.raises(Refused) as raised:
        get(client())
    assert str(raised.value) == (
        f"{URL}: cannot be reached (Connection refused); check source.url and the network; "
        "outside of Grid'5000 it needs an account"
    )
    assert raised.value.status is None
    assert route.call_count == 4


# How long it waits


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Seconds that were waited for new tries."""
    noted: list[float] = []

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        noted.append(details.wait_for)

    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([hook])
    yield noted
    stamina.instrumentation.set_on_retry_hooks(before)


def test_waits_grow_with_jitter(api: respx.MockRouter, waits: list[float]) -> None:
    answers(api, failing(502))
    asking = client(wait_s=0.01)
    for _ in range(4):
        with pytest.raises(Unanswered):
            get(asking)
    for number, shortest in enumerate((0.01, 0.02, 0.04)):
        nth = waits[number::3]
        assert len(set(nth)) == 4  # no two clients come back at the same moment
        assert all(shortest <= each <= shortest + 0.01 for each in nth)


def test_a_service_is_not_asked_before_the_time_it_names(
    api: respx.MockRouter, waits: list[float]
) -> None:
    answers(api, failing(429, **{"Retry-After": "0.05"}), failing(503), whole())
    began = time.monotonic()
    get(client(wait_s=0.01))
    assert time.monotonic() - began >= 0.05
    assert 0.05 < waits[0] <= 0.06
    assert 0.02 <= waits[1] <= 0.03


def test_nobody_holds_a_place_while_waiting(api: respx.MockRouter, waits: list[float]) -> None:
    events: list[str] = []

    @contextmanager
    def place() -> Iterator[None]:
        events.append("in")
        try:
            yield
        finally:
            events.append("out")

    def check(_: bytes) -> None:
        events.append("check")
        raise ValueError("odd")

    answers(api, failing(502), whole())
    with pytest.raises(Unanswered, match=r"^a damaged answer \(odd\)$"):
        client(retries=1, place=place).get(PATH, {}, check=check)
    assert events == ["in", "out", "in", "out", "check"]
    assert len(waits) == 1


# Not tried again


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_a_refusal_is_told_at_once(api: respx.MockRouter, status: int) -> None:
    route = answers(api, failing(status))
    with pytest.raises(Refused, match=f"^{PATH}: .*Out of order") as raised:
        get(client())
    assert raised.value.status == status
    assert route.call_count == 1


def test_too_much_is_told_at_once(api: respx.MockRouter) -> None:
    words = "Request timeout, too much data to process."
    route = answers(api, httpx.Response(500, json={"message": words, "code": "38000"}))
    with pytest.raises(TooMuch, match=words):
        get(client())
    assert route.call_count == 1


@pytest.mark.parametrize("slow", [httpx.ReadTimeout("late"), failing(504)])
def test_what_can_be_divided_is_not_waited_for_long(api: respx.MockRouter, slow: Any) -> None:
    route = answers(api, failing(502), slow)
    with pytest.raises(TooMuch, match=r"^(no answer in time|504: Out of order)$"):
        get(client(), divisible=True)
    assert route.call_count == 3  # two of them slow
    with pytest.raises(Unanswered):
        get(client())
    assert route.call_count == 3 + 4


def test_a_client_that_is_out_of_reach_is_not_divided(api: respx.MockRouter) -> None:
    route = answers(api, httpx.ConnectTimeout("late"))
    with pytest.raises(Refused, match="cannot be reached"):
        get(client(), divisible=True)
    assert route.call_count == 4


@pytest.mark.parametrize("error", [InputError("odd"), KeyError("items")])
def test_what_a_check_raises_is_no_damage(api: respx.MockRouter, error: Exception) -> None:
    route = answers(api, whole())

    def check(_: bytes) -> None:
        raise error

    with pytest.raises(type(error), match=r"odd|items"):
        client().get(PATH, {}, check=check)
    assert route.call_count == 1


def test_a_failure_that_may_pass_is_no_error_of_a_user() -> None:
    assert not issubclass(Passing, InputError)
    assert not issubclass(Unanswered, InputError)
