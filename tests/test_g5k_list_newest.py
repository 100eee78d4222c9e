"""Damaged pages of the list without dates, and totals of OAR's pages that its count contradicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answers import g5k_job
from asking import Api, answering
from test_g5k_jobs import (
    COUNT,
    DETAILS,
    END,
    LIST,
    MIDNIGHT,
    Newest,
    Oar,
    answered,
    ids,
    listed,
    oar_job,
)
from test_g5k_lists import EMPTY, faulty, reasons

from footprint.site.grid5000 import completeness, damage, newest_first
from footprint.site.grid5000.refusals import Refused

N_JOBS, PAGE = 130, 50
Fault = Callable[[dict[str, Any]], dict[str, Any]]


def job(uid: int, **changes: Any) -> dict[str, Any]:
    """A job of 50 s; one is submitted each 60 s of the study's day."""
    at = MIDNIGHT + uid * 60
    return g5k_job(uid, submitted_at=at, started_at=at, stopped_at=at + 50, **changes)


def on_page(number: int, fault: Fault, *, times: int = 99) -> Callable[..., Any]:
    """The list of 130 jobs, of which one page is faulty when it is first requested."""
    newest = Newest(*map(job, range(1, N_JOBS + 1)))
    left = [times]

    def answer(path: str, query: dict[str, str]) -> Any:
        page = newest(path, query)
        if path == LIST and int(query["offset"]) == (number - 1) * PAGE and left[0] > 0:
            left[0] -= 1
            return fault(page)
        return page

    return answer


def first_item(**changes: Any) -> Fault:
    """A fault of the first job of a page; None removes a field."""

    def fault(page: dict[str, Any]) -> dict[str, Any]:
        item = page["items"][0] | changes
        item = {key: value for key, value in item.items() if value is not None}
        return page | {"items": [item, *page["items"][1:]]}

    return fault


def finals(folder: Path) -> dict[str, bool]:
    """Whether each page of a list is kept as final, by its offset."""
    records = [json.loads(path.read_text()) for path in folder.rglob("requests/*/*.json")]
    return {
        each["request"].split("offset=")[1].split("&")[0]: each["final"]
        for each in records
        if "offset=" in each["request"] and "limit=1&" not in each["request"]
    }


FAULTS: dict[str, tuple[int, Fault]] = {
    "empty list": (1, lambda _: EMPTY),
    "total without items": (1, lambda page: page | {"items": []}),
    "second page without items": (2, lambda page: page | {"items": []}),
    "second page of a failed query": (2, lambda _: EMPTY),
    "end too early": (2, lambda page: page | {"items": [], "total": PAGE}),
    "too few items": (2, lambda page: page | {"items": page["items"][:45]}),
    "items lost inside": (
        2,
        lambda page: page | {"items": page["items"][:5] + page["items"][9:]},
    ),
    "no total": (2, lambda page: page | {"total": None}),
    "no walltime": (1, first_item(walltime=None)),
    "no nodes": (1, first_item(assigned_nodes=[], resources_by_type={})),
    "no cores": (1, first_item(resources_by_type={})),
    "no id": (1, first_item(uid=None)),
    "text for a time": (1, first_item(submitted_at="soon")),
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(newest_first, "API_PAGE", PAGE)
    with answering(lambda *_: EMPTY) as running:
        yield running


@pytest.mark.parametrize("kind", FAULTS)
def test_newest_first_list_with_a_fault_that_passes_is_whole(
    api: Api, tmp_path: Path, kind: str
) -> None:
    number, fault = FAULTS[kind]
    api.answer = on_page(number, fault, times=3)
    found = answered(api, tmp_path, listing="jobs")
    assert ids(found.records) == [*range(1, N_JOBS + 1)]
    assert found.records["fault"].null_count() == N_JOBS
    assert found.set_aside.is_empty()
    asked = [query["offset"] for _, query in api.asked]
    assert asked.count(str((number - 1) * PAGE)) == 4
    assert len(asked) == 3 + 4
    assert set(finals(tmp_path).values()) == {True}


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
    api.answer = on_page(number, fault, times=8)
    for _ in range(2):
        with pytest.raises(Refused) as error:
            listed(api, tmp_path, listing="jobs")
        line = str(error.value)
        assert line.startswith(f"{LIST}: {REFUSED[kind]}what came is kept; try again later")
        assert "\n" not in line
        assert finals(tmp_path)[str((number - 1) * PAGE)] is False
    assert ids(listed(api, tmp_path, listing="jobs")) == [*range(1, N_JOBS + 1)]


STAYS: dict[str, tuple[int, dict[str, tuple[int, str]]]] = {
    "too few items": (0, {}),  # the next page has those cut off
    "items lost inside": (4, {completeness.MISSING: (4, "130 counted, 126 listed")}),
    "no total": (
        0,
        {completeness.WRONG_TOTAL: (1, "offset 50: no whole number as total")},
    ),
    "no walltime": (1, {damage.NO_WALLTIME: (1, "130")}),
    "no nodes": (1, {damage.NO_RESOURCES: (1, "130")}),
    "no cores": (1, {damage.NO_RESOURCES: (1, "130")}),
}


@pytest.mark.parametrize("kind", STAYS)
def test_newest_first_page_that_stays_damaged_is_counted_and_never_final(
    api: Api, tmp_path: Path, kind: str
) -> None:
    number, fault = FAULTS[kind]
    api.answer = on_page(number, fault, times=4)
    n_missing, told = STAYS[kind]
    found = answered(api, tmp_path, listing="jobs")
    assert len(set(ids(found.records))) == N_JOBS - n_missing
    assert reasons(found.set_aside) == told
    assert finals(tmp_path)[str((number - 1) * PAGE)] is False
    found = answered(api, tmp_path, listing="jobs")
    assert ids(found.records) == [*range(1, N_JOBS + 1)]
    assert found.set_aside.is_empty()


@pytest.mark.parametrize("kind", ["no id", "text for a time"])
def test_newest_first_record_that_stays_unreadable_is_passed_on_and_never_final(
    api: Api, tmp_path: Path, kind: str
) -> None:
    api.answer = on_page(1, FAULTS[kind][1], times=4)
    found = answered(api, tmp_path, listing="jobs")
    assert len(found.records) == N_JOBS
    assert found.records["fault"].null_count() == N_JOBS - 1
    assert finals(tmp_path)["0"] is False


def test_newest_first_jobs_damaged_by_turns_are_all_read(api: Api, tmp_path: Path) -> None:
    newest, n_asked = Newest(job(1), job(2)), [0]

    def answer(path: str, query: dict[str, str]) -> Any:
        page = newest(path, query)
        n_asked[0] += 1
        if page["items"]:
            page["items"][n_asked[0] % 2] = first_item(walltime=None)(
                {"items": [page["items"][n_asked[0] % 2]]}
            )["items"][0]
        return page

    api.answer = answer
    found = answered(api, tmp_path, listing="jobs")
    assert (ids(found.records), found.set_aside.is_empty()) == ([1, 2], True)


def test_newest_first_jobs_outside_the_study_or_without_a_start_are_not_damaged(
    api: Api, tmp_path: Path
) -> None:
    """Disks have no node; jobs 3 and 4 ran before the study and after it."""
    api.answer = Newest(
        job(1, state="waiting", walltime=None) | {"started_at": 0, "assigned_nodes": []},
        job(2, assigned_nodes=[], resources_by_type={"disks": ["gruss-1/sdb"]}),
        g5k_job(3, started_at=MIDNIGHT - 99, stopped_at=MIDNIGHT - 9, walltime=None),
        g5k_job(4, submitted_at=round(END.timestamp()), started_at=2**31, walltime=None),
    )
    found = answered(api, tmp_path, listing="jobs")
    assert ids(found.records) == [1, 2, 3, 4]
    assert found.set_aside.is_empty()
    assert [query["offset"] for _, query in api.asked] == ["0", "4"]


def test_newest_first_list_that_grows_and_ends_before_the_study_is_not_in_doubt(
    api: Api, tmp_path: Path
) -> None:
    """The last of three pages has jobs of 31 days before alone; others follow it."""
    old = [g5k_job(uid, submitted_at=MIDNIGHT - 31 * 86_400) for uid in range(1, 201)]
    newest = Newest(*old, *map(job, range(201, 301)))

    def before(n: int) -> None:
        newest.jobs |= {300 + n: job(300 + n)}

    newest.before = before
    api.answer = newest
    found = answered(api, tmp_path, listing="jobs")
    assert set(range(201, 302)) <= set(ids(found.records))
    assert found.set_aside.is_empty()
    assert [query["offset"] for _, query in api.asked] == ["0", "50", "100", "150"]


def test_newest_first_page_kept_after_one_that_has_shifted_is_requested_again(
    api: Api, tmp_path: Path
) -> None:
    """Page 2 is damaged at first; 70 jobs arrive before it is requested in the next run."""
    api.answer = on_page(2, first_item(walltime=None), times=4)
    listed(api, tmp_path, listing="jobs")
    api.answer = Newest(*map(job, range(1, N_JOBS + 71)))
    found = answered(api, tmp_path, listing="jobs")
    assert set(range(1, N_JOBS + 1)) <= set(ids(found.records))
    assert found.set_aside.is_empty()


def test_running_job_of_a_kept_page_that_comes_damaged_is_rejected_and_counted(
    api: Api, tmp_path: Path
) -> None:
    newest = Newest(job(1, state="running") | {"stopped_at": 0}, job(2))
    api.answer = newest
    assert ids(listed(api, tmp_path, listing="jobs")) == [1, 2]
    newest.jobs[1] = job(1, walltime=None)
    found = answered(api, tmp_path, listing="jobs")
    assert ids(found.records) == [2]
    assert reasons(found.set_aside) == {damage.NO_WALLTIME: (1, "1")}
    newest.jobs[1] = job(1)
    assert answered(api, tmp_path, listing="jobs").records["stopped_at"].null_count() == 0


# OAR's lists by date


@pytest.mark.parametrize("count", [EMPTY, (403, "not for you")])
def test_empty_page_after_a_larger_total_is_refused_though_the_count_is_lost(
    api: Api, tmp_path: Path, count: Any
) -> None:
    whole = Oar(*map(oar_job, range(1, 251)))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        if path == COUNT:
            return count
        return EMPTY if query["offset"] == "100" else None

    api.answer = faulty(whole, fault)
    with pytest.raises(Refused) as error:
        answered(api, tmp_path)
    assert str(error.value).startswith(
        f"{DETAILS}: lists 100 of the 250 jobs that their own totals count, and lacks jobs of "
        "2025-03-03; what came is kept"
    )


def test_short_page_is_counted_by_its_own_total_if_the_count_is_lost(
    api: Api, tmp_path: Path
) -> None:
    whole = Oar(*map(oar_job, range(1, 6)))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        if path == COUNT:
            return 403, "not for you"
        page = whole(path, query)
        return page | {"items": page["items"][:3]} if query["offset"] == "0" else None

    api.answer = faulty(whole, fault)
    found = answered(api, tmp_path)
    assert reasons(found.set_aside) == {completeness.MISSING: (2, "5 counted, 3 listed")}


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
def test_page_of_oar_with_what_is_no_job_is_refused_in_its_words(
    api: Api, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    whole = Oar(oar_job(1), oar_job(2))
    api.answer = lambda path, query: whole(path, query) | changes
    with pytest.raises(Refused) as error:
        answered(api, tmp_path)
    assert str(error.value).startswith(f"{DETAILS}: does not answer (a damaged answer ({words}")
    assert "\n" not in str(error.value)


def test_page_of_oar_with_a_job_without_id_is_passed_on_and_never_final(
    api: Api, tmp_path: Path
) -> None:
    """The page has a damaged job too, which must not hide the one without id."""
    whole = Oar(oar_job(1), oar_job(2), oar_job(3, walltime=None))

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        page = whole(path, query)
        page["items"] = [page["items"][0] | {"id": None}, *page["items"][1:]]
        return page if path == DETAILS else None

    api.answer = faulty(whole, fault)
    found = answered(api, tmp_path)
    assert found.records["job_id"].to_list().count(None) == 1
    assert found.records["job_id"].drop_nulls().to_list() == [2]
    assert set(finals(tmp_path).values()) == {False}
