"""Damaged pages of the list without dates, and totals of OAR's pages that its count contradicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from footprint.sources.grid5000 import jobs_newest_first, list_completeness
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.oar import list_damage
from tests.support.api_answers import g5k_job
from tests.support.http_service import Api, running_api
from tests.support.job_lists import (
    COUNT_PATH,
    DETAILS_PATH,
    EMPTY_PAGE,
    END,
    LIST_PATH,
    MIDNIGHT_S,
    NewestList,
    OarList,
    counts_by_reason,
    faulty_service,
    list_jobs,
    list_records,
    oar_job,
    sorted_ids,
)

N_JOBS, PAGE = 130, 50
Fault = Callable[[dict[str, Any]], dict[str, Any]]


def minute_job(uid: int, **changes: Any) -> dict[str, Any]:
    """Return a job of 50 s; the jobs are submitted 60 s apart on the study's day."""
    at = MIDNIGHT_S + uid * 60
    return g5k_job(uid, submitted_at=at, started_at=at, stopped_at=at + 50, **changes)


def list_with_fault(number: int, fault: Fault, *, times: int = 99) -> Callable[..., Any]:
    """Return a list of 130 jobs with one page that is faulty in its first requests."""
    newest_list = NewestList(*map(minute_job, range(1, N_JOBS + 1)))
    n_left = [times]

    def answer(path: str, query: dict[str, str]) -> Any:
        page = newest_list(path, query)
        if path == LIST_PATH and int(query["offset"]) == (number - 1) * PAGE and n_left[0] > 0:
            n_left[0] -= 1
            return fault(page)
        return page

    return answer


def test_pages_are_halved_where_the_list_is_slow(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of more than 20 of the 130 jobs take too long."""
    monkeypatch.setattr(jobs_newest_first, "API_PAGE", PAGE)
    whole = NewestList(*map(minute_job, range(1, N_JOBS + 1)))

    def answer(path: str, query: dict[str, str]) -> Any:
        if path == LIST_PATH and int(query["limit"]) > 20:
            return 504, "<html><title>504 Gateway Timeout</title></html>"
        return whole(path, query)

    api.answer = answer
    for _ in range(2):  # the second run makes no slow request
        found = list_jobs(api, tmp_path, listing="jobs")
        assert sorted_ids(found.job_records) == list(range(1, N_JOBS + 1))
        assert found.rejected.is_empty()
    limits = [int(query["limit"]) for path, query in api.requests if path == LIST_PATH]
    assert limits[:4] == [50, 25, 12, 12]
    assert limits.count(50) == limits.count(25) == 1


def change_first_item(**changes: Any) -> Fault:
    """Return a fault of the first job of a page; None removes a field."""

    def fault(page: dict[str, Any]) -> dict[str, Any]:
        item = page["items"][0] | changes
        item = {key: value for key, value in item.items() if value is not None}
        return page | {"items": [item, *page["items"][1:]]}

    return fault


def final_by_offset(folder: Path) -> dict[str, bool]:
    """Return whether each page of a list is kept as final, by its offset."""
    records = [json.loads(path.read_text()) for path in folder.rglob("requests/*/*.json")]
    return {
        each["request"].split("offset=")[1].split("&")[0]: each["final"]
        for each in records
        if "offset=" in each["request"] and "limit=1&" not in each["request"]
    }


FAULTS: dict[str, tuple[int, Fault]] = {
    "empty list": (1, lambda _: EMPTY_PAGE),
    "total without items": (1, lambda page: page | {"items": []}),
    "second page without items": (2, lambda page: page | {"items": []}),
    "second page of a failed query": (2, lambda _: EMPTY_PAGE),
    "end too early": (2, lambda page: page | {"items": [], "total": PAGE}),
    "too few items": (2, lambda page: page | {"items": page["items"][:45]}),
    "items lost inside": (
        2,
        lambda page: page | {"items": page["items"][:5] + page["items"][9:]},
    ),
    "no total": (2, lambda page: page | {"total": None}),
    "no walltime": (1, change_first_item(walltime=None)),
    "no nodes": (1, change_first_item(assigned_nodes=[], resources_by_type={})),
    "no cores": (1, change_first_item(resources_by_type={})),
    "no id": (1, change_first_item(uid=None)),
    "text for a time": (1, change_first_item(submitted_at="soon")),
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(jobs_newest_first, "API_PAGE", PAGE)
    with running_api(lambda *_: EMPTY_PAGE) as running:
        yield running


@pytest.mark.parametrize("kind", FAULTS)
def test_newest_first_list_with_a_temporary_fault_is_complete(
    api: Api, tmp_path: Path, kind: str
) -> None:
    number, fault = FAULTS[kind]
    api.answer = list_with_fault(number, fault, times=3)
    found = list_jobs(api, tmp_path, listing="jobs")
    assert sorted_ids(found.job_records) == [*range(1, N_JOBS + 1)]
    assert found.job_records["fault"].null_count() == N_JOBS
    assert found.rejected.is_empty()
    offsets = [query["offset"] for _, query in api.requests]
    assert offsets.count(str((number - 1) * PAGE)) == 4
    assert len(offsets) == 3 + 4
    assert set(final_by_offset(tmp_path).values()) == {True}


REFUSED = {
    "empty list": "lists 0 jobs with a total of 0, though it has all jobs of the site; ",
    "total without items": "lists 0 jobs where its total is 130; ",
    "second page without items": "lists 50 jobs where its total is 130; ",
    "second page of a failed query": "lists 50 jobs where its total is 130; ",
    "end too early": "lists 50 jobs where its total is 130; ",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_newest_first_page_that_stays_empty_is_refused_and_requested_again(
    api: Api, tmp_path: Path, kind: str
) -> None:
    number, fault = FAULTS[kind]
    api.answer = list_with_fault(number, fault, times=8)
    for _ in range(2):
        with pytest.raises(Refused) as error:
            list_records(api, tmp_path, listing="jobs")
        line = str(error.value)
        assert line.startswith(
            f"{LIST_PATH}: {REFUSED[kind]}received answers are kept; try again later"
        )
        assert "\n" not in line
        assert final_by_offset(tmp_path)[str((number - 1) * PAGE)] is False
    assert sorted_ids(list_records(api, tmp_path, listing="jobs")) == [*range(1, N_JOBS + 1)]


STAYS: dict[str, tuple[int, dict[str, tuple[int, str]]]] = {
    "too few items": (0, {}),  # the next page has the missing jobs
    "items lost inside": (
        4,
        {list_completeness.MISSING_JOBS_REASON: (4, "130 counted, 126 listed")},
    ),
    "no total": (
        0,
        {list_completeness.WRONG_TOTAL_REASON: (1, "offset 50: no whole number as total")},
    ),
    "no walltime": (1, {list_damage.NO_WALLTIME_REASON: (1, "130")}),
    "no nodes": (1, {list_damage.NO_RESOURCES_REASON: (1, "130")}),
    "no cores": (1, {list_damage.NO_RESOURCES_REASON: (1, "130")}),
}


@pytest.mark.parametrize("kind", STAYS)
def test_newest_first_page_that_stays_damaged_is_counted_and_never_final(
    api: Api, tmp_path: Path, kind: str
) -> None:
    number, fault = FAULTS[kind]
    api.answer = list_with_fault(number, fault, times=4)
    n_missing, expected = STAYS[kind]
    found = list_jobs(api, tmp_path, listing="jobs")
    assert len(set(sorted_ids(found.job_records))) == N_JOBS - n_missing
    assert counts_by_reason(found.rejected) == expected
    assert final_by_offset(tmp_path)[str((number - 1) * PAGE)] is False
    found = list_jobs(api, tmp_path, listing="jobs")
    assert sorted_ids(found.job_records) == [*range(1, N_JOBS + 1)]
    assert found.rejected.is_empty()


@pytest.mark.parametrize("kind", ["no id", "text for a time"])
def test_newest_first_record_that_stays_unreadable_is_passed_on_and_never_final(
    api: Api, tmp_path: Path, kind: str
) -> None:
    api.answer = list_with_fault(1, FAULTS[kind][1], times=4)
    found = list_jobs(api, tmp_path, listing="jobs")
    assert len(found.job_records) == N_JOBS
    assert found.job_records["fault"].null_count() == N_JOBS - 1
    assert final_by_offset(tmp_path)["0"] is False


def test_newest_first_jobs_damaged_in_turn_are_all_read(api: Api, tmp_path: Path) -> None:
    newest_list, n_requests = NewestList(minute_job(1), minute_job(2)), [0]

    def answer(path: str, query: dict[str, str]) -> Any:
        page = newest_list(path, query)
        n_requests[0] += 1
        if page["items"]:
            page["items"][n_requests[0] % 2] = change_first_item(walltime=None)(
                {"items": [page["items"][n_requests[0] % 2]]}
            )["items"][0]
        return page

    api.answer = answer
    found = list_jobs(api, tmp_path, listing="jobs")
    assert (sorted_ids(found.job_records), found.rejected.is_empty()) == ([1, 2], True)


def test_newest_first_jobs_outside_the_study_or_without_a_start_are_not_damaged(
    api: Api, tmp_path: Path
) -> None:
    """Job 2 holds a disk, which has no node; jobs 3 and 4 ran before and after the study."""
    api.answer = NewestList(
        minute_job(1, state="waiting", walltime=None) | {"started_at": 0, "assigned_nodes": []},
        minute_job(2, assigned_nodes=[], resources_by_type={"disks": ["gruss-1/sdb"]}),
        g5k_job(3, started_at=MIDNIGHT_S - 99, stopped_at=MIDNIGHT_S - 9, walltime=None),
        g5k_job(4, submitted_at=round(END.timestamp()), started_at=2**31, walltime=None),
    )
    found = list_jobs(api, tmp_path, listing="jobs")
    assert sorted_ids(found.job_records) == [1, 2, 3, 4]
    assert found.rejected.is_empty()
    assert [query["offset"] for _, query in api.requests] == ["0", "4"]


def test_growing_newest_first_list_read_to_the_history_is_not_in_doubt(
    api: Api, tmp_path: Path
) -> None:
    """The last of three pages has jobs of 31 days before alone; others follow it."""
    old = [g5k_job(uid, submitted_at=MIDNIGHT_S - 31 * 86_400) for uid in range(1, 201)]
    newest_list = NewestList(*old, *map(minute_job, range(201, 301)))

    def add_job(n: int) -> None:
        newest_list.jobs |= {300 + n: minute_job(300 + n)}

    newest_list.before_answer = add_job
    api.answer = newest_list
    found = list_jobs(api, tmp_path, listing="jobs")
    assert set(range(201, 302)) <= set(sorted_ids(found.job_records))
    assert found.rejected.is_empty()
    assert [query["offset"] for _, query in api.requests] == ["0", "50", "100", "150"]


def test_newest_first_page_kept_after_one_that_has_shifted_is_requested_again(
    api: Api, tmp_path: Path
) -> None:
    """Page 2 is damaged at first; 70 jobs arrive before it is requested in the next run."""
    api.answer = list_with_fault(2, change_first_item(walltime=None), times=4)
    list_records(api, tmp_path, listing="jobs")
    api.answer = NewestList(*map(minute_job, range(1, N_JOBS + 71)))
    found = list_jobs(api, tmp_path, listing="jobs")
    assert set(range(1, N_JOBS + 1)) <= set(sorted_ids(found.job_records))
    assert found.rejected.is_empty()


def test_running_job_of_a_kept_page_is_rejected_if_its_update_is_damaged(
    api: Api, tmp_path: Path
) -> None:
    newest_list = NewestList(minute_job(1, state="running") | {"stopped_at": 0}, minute_job(2))
    api.answer = newest_list
    assert sorted_ids(list_records(api, tmp_path, listing="jobs")) == [1, 2]
    newest_list.jobs[1] = minute_job(1, walltime=None)
    found = list_jobs(api, tmp_path, listing="jobs")
    assert sorted_ids(found.job_records) == [2]
    assert counts_by_reason(found.rejected) == {list_damage.NO_WALLTIME_REASON: (1, "1")}
    newest_list.jobs[1] = minute_job(1)
    assert list_jobs(api, tmp_path, listing="jobs").job_records["stopped_at"].null_count() == 0


# OAR's lists by date


@pytest.mark.parametrize("count", [EMPTY_PAGE, (403, "not for you")])
def test_empty_page_after_a_larger_total_is_refused_without_the_count(
    api: Api, tmp_path: Path, count: Any
) -> None:
    whole = OarList(*map(oar_job, range(1, 251)))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        if path == COUNT_PATH:
            return count
        return EMPTY_PAGE if query["offset"] == "100" else None

    api.answer = faulty_service(whole, fault)
    with pytest.raises(Refused) as error:
        list_jobs(api, tmp_path)
    assert str(error.value).startswith(
        f"{DETAILS_PATH}: lists 100 of the 250 jobs that their own totals count, and lacks jobs of "
        "2025-03-03; received answers are kept"
    )


def test_short_page_is_counted_by_its_own_total_without_the_count(api: Api, tmp_path: Path) -> None:
    whole = OarList(*map(oar_job, range(1, 6)))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        if path == COUNT_PATH:
            return 403, "not for you"
        page = whole(path, query)
        return page | {"items": page["items"][:3]} if query["offset"] == "0" else None

    api.answer = faulty_service(whole, fault)
    found = list_jobs(api, tmp_path)
    assert counts_by_reason(found.rejected) == {
        list_completeness.MISSING_JOBS_REASON: (
            2,
            "5 counted, 3 listed; jobs may be missing on 2025-03-03",
        )
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"links": "x"}, "`links` is no list of links: 'x'"),
        ({"links": ["x"]}, "`links` is no list of links: ['x']"),
        ({"items": [oar_job(1), {}]}, "item 2 of 2 is no job: {}"),
        (
            {"items": [oar_job(1), {"id": 5, "network_address": "x", "type": "a", "cpuset": 0}]},
            "item 2 of 2 is no job: {'id': 5, 'network_address': 'x'",
        ),
        ({"items": [{"id": 5}]}, "item 1 of 1 is no job: {'id': 5}"),
    ],
)
def test_page_of_oar_with_an_item_that_is_no_job_is_refused_with_it(
    api: Api, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    whole = OarList(oar_job(1), oar_job(2))
    api.answer = lambda path, query: whole(path, query) | changes
    with pytest.raises(Refused) as error:
        list_jobs(api, tmp_path)
    assert str(error.value).startswith(
        f"{DETAILS_PATH}: does not answer (a damaged answer ({words}"
    )
    assert "\n" not in str(error.value)


def test_page_of_oar_with_a_job_without_id_is_passed_on_and_never_final(
    api: Api, tmp_path: Path
) -> None:
    """The page has a damaged job too, which must not hide the one without id."""
    whole = OarList(oar_job(1), oar_job(2), oar_job(3, walltime=None))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        page = whole(path, query)
        page["items"] = [page["items"][0] | {"id": None}, *page["items"][1:]]
        return page if path == DETAILS_PATH else None

    api.answer = faulty_service(whole, fault)
    found = list_jobs(api, tmp_path)
    assert found.job_records["job_id"].to_list().count(None) == 1
    assert found.job_records["job_id"].drop_nulls().to_list() == [2]
    assert set(final_by_offset(tmp_path).values()) == {False}
