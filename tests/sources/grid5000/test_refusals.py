"""Errors of the three services: temporary ones, requests that are too large, and refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from footprint.core.errors import InputError
from footprint.sources.grid5000.refusals import (
    Refused,
    RequestTooLarge,
    TransientFailure,
    error_message,
    raise_for_status,
    retry_after_seconds,
)

PATH = "/sites/nancy/metrics"
PLPY = "plpy.Error: Missing 'devices', 'nodes' or 'job_id' argument"
TOO_MUCH = "Request timeout, too much data to process."


def postgrest_error(text: str, code: str = "XX000") -> bytes:
    return json.dumps({"hint": None, "details": None, "code": code, "message": text}).encode()


def oar_error(text: str, code: int) -> bytes:
    return json.dumps({"title": "Forbidden", "message": text, "code": code}).encode()


# Texts


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"Couldn't find OAR::Job with 'job_id'=7", "Couldn't find OAR::Job with 'job_id'=7"),
        (oar_error("Job 3456 does not belong to you", 403), "Job 3456 does not belong to you"),
        (b'{"title": "Not found", "message": "", "code": 404}', "Not found"),
        (postgrest_error(PLPY), PLPY),
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
def test_message_is_the_text_of_each_service(content: bytes, text: str) -> None:
    assert error_message(content) == text


def test_message_of_over_200_characters_is_cut() -> None:
    assert error_message(b"x" * 200) == "x" * 200
    assert error_message(b"x" * 201) == "x" * 200 + "..."


# Meaning of an answer


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_success_status_raises_nothing(status: int) -> None:
    raise_for_status(status, b"too much data", where=PATH)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_temporary_status_raises_a_transient_failure(status: int) -> None:
    with pytest.raises(TransientFailure) as raised:
        raise_for_status(status, b"Bad Gateway", where=PATH)
    assert str(raised.value) == f"{status}: Bad Gateway"
    assert raised.value.was_connected
    # a gateway without an answer in time, as for a request that is too large
    assert raised.value.is_slow == (status == 504)
    assert raised.value.retry_after_s is None


def test_transient_failure_without_text_has_its_status() -> None:
    with pytest.raises(TransientFailure, match=r"^status 503$"):
        raise_for_status(503, b"", where=PATH)


def test_transient_failure_has_the_seconds_of_retry_after() -> None:
    with pytest.raises(TransientFailure) as raised:
        raise_for_status(429, b"Too Many Requests", where=PATH, retry_after="7")
    assert raised.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, postgrest_error(TOO_MUCH, code="38000")),
        (400, postgrest_error(TOO_MUCH, code="P0001")),
        (500, postgrest_error("canceling statement due to statement timeout", code="57014")),
        (500, postgrest_error("Exception: of another wording", code="38000")),
        (500, postgrest_error("plpy.Error: canceling statement", code="57014")),
        (503, postgrest_error("out of memory", code="53200")),
        (500, postgrest_error("out of memory", code="54000")),
        (504, b"Too much data"),
        (413, b""),
    ],
)
def test_answer_about_too_much_data_raises_too_much(status: int, content: bytes) -> None:
    with pytest.raises(RequestTooLarge, match=f"^{status}: "):
        raise_for_status(status, content, where=PATH)


def test_other_errors_of_a_database_are_temporary() -> None:
    """Python's own errors have the code of Kwollect's refusal."""
    for message, code in (
        ("IndexError: list index out of range", "38000"),
        ("could not read block 0", "XX001"),
        ("sorry, too many clients already", "53300"),
    ):
        with pytest.raises(TransientFailure, match=message):
            raise_for_status(500, postgrest_error(message, code=code), where=PATH)


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_text_about_too_much_data_with_another_status_is_not_too_much(status: int) -> None:
    with pytest.raises((Refused, TransientFailure)):
        raise_for_status(status, TOO_MUCH.encode(), where=PATH)


@pytest.mark.parametrize(
    ("status", "content", "line"),
    [
        (
            401,
            b"Unauthorized",
            "the login is missing or wrong (Unauthorized); fix it: set FOOTPRINT_G5K_USERNAME and "
            "FOOTPRINT_G5K_PASSWORD, or set source.credentials to a file that contains them",
        ),
        (
            403,
            b"You are not authorized to access this resource",
            "the account has no access (You are not authorized to access this resource); "
            "ask the site's staff for access, or use an account that has it",
        ),
        (
            403,
            oar_error("Job 3456 does not belong to you", 403),
            "the account has no access (Job 3456 does not belong to you); "
            "ask the site's staff for access, or use an account that has it",
        ),
        (
            404,
            b"",
            "not found; fix study.site, study.clusters or source.url",
        ),
        (400, postgrest_error(PLPY), f"refused with status 400 ({PLPY})"),
        (501, b"", "refused with status 501"),
    ],
)
def test_refusal_has_its_text_and_what_to_do(status: int, content: bytes, line: str) -> None:
    with pytest.raises(Refused) as raised:
        raise_for_status(status, content, where=PATH)
    assert str(raised.value) == f"{PATH}: {line}"
    assert raised.value.status == status
    assert isinstance(raised.value, InputError)  # a rule prints the line without a traceback


# Retry-After


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
def test_seconds_of_retry_after_are_between_0_and_300(
    header: str | None, wait_s: float | None
) -> None:
    assert retry_after_seconds(header) == wait_s


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_seconds_until_a_date_of_retry_after(zone: str) -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    wait_s = retry_after_seconds(header.replace("GMT", zone))
    assert wait_s is not None
    assert 80 < wait_s <= 90
