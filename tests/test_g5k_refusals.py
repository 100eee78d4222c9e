"""Errors of the three services: what passes, what is too much, and what a user must mend."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from footprint.errors import InputError
from footprint.site.grid5000.refusals import (
    Passing,
    Refused,
    TooMuch,
    judge,
    message,
    seconds,
)

PATH = "/sites/nancy/metrics"
PLPY = "plpy.Error: Missing 'devices', 'nodes' or 'job_id' argument"
TOO_MUCH = "Request timeout, too much data to process."


def postgrest(words: str, code: str = "XX000") -> bytes:
    return json.dumps({"hint": None, "details": None, "code": code, "message": words}).encode()


def oar(words: str, code: int) -> bytes:
    return json.dumps({"title": "Forbidden", "message": words, "code": code}).encode()


# Words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Couldn't find OAR::Job with 'job_id'=7", "Couldn't find OAR::Job with 'job_id'=7"),
        (oar("Job 3456 does not belong to you", 403), "Job 3456 does not belong to you"),
        (b'{"title": "Not found", "message": "", "code": 404}', "Not found"),
        (postgrest(PLPY), PLPY),
        (b'{"error": "no route"}', "no route"),
        (b'{"code": 7}', '{"code": 7}'),
        (b"[1, 2]", "[1, 2]"),
        (b"<html><head><title>502 Bad\n Gateway</title></head></html>", "502 Bad Gateway"),
        (b" <!DOCTYPE html><body>much of it</body>", "a page of a proxy"),
        (b"two\r\n  lines\n", "two lines"),
        (b"no utf-8: \xff", "no utf-8: \N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_the_words_of_each_service(content: bytes, words: str) -> None:
    assert message(content) == words


def test_long_words_are_cut() -> None:
    assert message(b"x" * 200) == "x" * 200
    assert message(b"x" * 201) == "x" * 200 + "..."


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_what_went_well_raises_nothing(status: int) -> None:
    judge(status, b"too much data", where=PATH)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass(status: int) -> None:
    with pytest.raises(Passing) as raised:
        judge(status, b"Bad Gateway", where=PATH)
    assert str(raised.value) == f"{status}: Bad Gateway"
    assert raised.value.connected
    # a gateway that waited in vain: as when too much was asked for
    assert raised.value.slow == (status == 504)
    assert raised.value.retry_after_s is None


def test_a_failure_without_words_has_its_status() -> None:
    with pytest.raises(Passing, match=r"^status 503$"):
        judge(503, b"", where=PATH)


def test_a_service_says_how_long_to_wait() -> None:
    with pytest.raises(Passing) as raised:
        judge(429, b"Too Many Requests", where=PATH, retry_after="7")
    assert raised.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, postgrest(TOO_MUCH, code="38000")),
        (400, postgrest(TOO_MUCH, code="P0001")),
        (500, postgrest("canceling statement due to statement timeout", code="57014")),
        (504, b"Too much data"),
        (413, b""),
    ],
)
def test_too_much_is_told_apart(status: int, content: bytes) -> None:
    with pytest.raises(TooMuch, match=f"^{status}: "):
        judge(status, content, where=PATH)


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_words_alone_do_not_make_it_too_much(status: int) -> None:
    with pytest.raises((Refused, Passing)):
        judge(status, TOO_MUCH.encode(), where=PATH)


@pytest.mark.parametrize(
    ("status", "content", "line"),
    [
        (
            401,
            b"Unauthorized",
            "the service does not know who asks, or the password is wrong (Unauthorized); "
            "mend it: set FOOTPRINT_G5K_USERNAME and FOOTPRINT_G5K_PASSWORD, or name a file of "
            "them in source.credentials",
        ),
        (
            403,
            b"You are not authorized to access this resource",
            "this account may not ask for it (You are not authorized to access this resource); "
            "ask the site's staff for access, or use an account that has it",
        ),
        (
            403,
            oar("Job 3456 does not belong to you", 403),
            "this account may not ask for it (Job 3456 does not belong to you); "
            "ask the site's staff for access, or use an account that has it",
        ),
        (
            404,
            b"",
            "there is no such thing; check study.site, study.clusters and source.url",
        ),
        (400, postgrest(PLPY), f"refused with status 400 ({PLPY})"),
        (501, b"", "refused with status 501"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, content: bytes, line: str) -> None:
    with pytest.raises(Refused) as raised:
        judge(status, content, where=PATH)
    assert str(raised.value) == f"{PATH}: {line}"
    assert raised.value.status == status
    assert isinstance(raised.value, InputError)  # a rule prints the line and no traceback


# How long to wait


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:006499999999", None),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("86400", 300.0),
        ("inf", 300.0),
        ("nan", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 2399 23:59:59 GMT", 300.0),
    ],
)
def test_seconds_of_retry_after(header: str | None, wait_s: float | None) -> None:
    assert seconds(header) == wait_s


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_date_to_wait_for(zone: str) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    wait_s = seconds(at.replace("GMT", zone))
    assert wait_s is not None
    assert 80 < wait_s <= 90
