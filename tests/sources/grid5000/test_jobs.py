"""Jobs from OAR's API by date, and from the list without dates: all jobs, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.sources.grid5000 import jobs_by_date, jobs_newest_first
from footprint.sources.grid5000.refusals import Refused
from tests.support.api_answers import NOON_S, g5k_job
from tests.support.http_service import HOUR, Api, open_service, running_api, set_clock
from tests.support.job_lists import (
    CORE,
    COUNT_PATH,
    DAY_S,
    DETAILS_PATH,
    END,
    HISTORY,
    LIST_PATH,
    MIDNIGHT_S,
    START,
    NewestList,
    OarList,
    list_records,
    oar_job,
    requested_offsets,
    sorted_ids,
)


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(OarList(oar_job(1))) as running:
        yield running


# By date


def test_list_by_date_requests_each_day_and_lists_a_job_of_several_once(
    api: Api, tmp_path: Path
) -> None:
    api.answer = OarList(
        # job 1 started long before the study
        oar_job(1, start_time=MIDNIGHT_S - 9 * DAY_S, stop_time=MIDNIGHT_S + 10),
        oar_job(2, start_time=MIDNIGHT_S + 10, stop_time=MIDNIGHT_S + 2 * DAY_S + 10),
        oar_job(3, start_time=MIDNIGHT_S + 2 * DAY_S + 10, stop_time=MIDNIGHT_S + 9 * DAY_S),
        oar_job(4, start_time=MIDNIGHT_S - 20, stop_time=MIDNIGHT_S - 10),
        oar_job(5, start_time=MIDNIGHT_S + 3 * DAY_S, stop_time=MIDNIGHT_S + 4 * DAY_S),
    )
    found = list_records(api, tmp_path, days=3)
    assert sorted_ids(found) == [1, 2, 3]
    assert {path for path, _ in api.requests} == {DETAILS_PATH, COUNT_PATH}
    windows = sorted(
        (int(query["from"]), int(query["to"]))
        for path, query in api.requests
        if path == DETAILS_PATH
    )
    assert windows == [(MIDNIGHT_S + n * DAY_S, MIDNIGHT_S + (n + 1) * DAY_S) for n in range(3)]
    held = found.filter(pl.col("job_id") == 1)["held_nodes"].to_list()
    assert held == [[{"node": CORE["network_address"], "cores": [0], "gpus": []}]]
    api.clear_requests()
    assert list_records(api, tmp_path, days=3).equals(found)
    assert api.requests == []


def test_list_by_date_reads_all_pages_of_a_day(api: Api, tmp_path: Path) -> None:
    api.answer = OarList(*map(oar_job, range(1, 251)))
    assert sorted_ids(list_records(api, tmp_path)) == list(range(1, 251))
    assert requested_offsets(api) == [0, 100, 200]


@pytest.mark.parametrize(
    ("n_jobs", "n_more", "requested"),
    [
        (150, -60, [0] * 4 + [90] * 4),  # the first page is full, and its links have no next page
        (100, 0, [0, 100]),
    ],
)
def test_list_by_date_with_a_wrong_total_has_all_jobs(
    api: Api, tmp_path: Path, n_jobs: int, n_more: int, requested: list[int]
) -> None:
    api.answer = OarList(*map(oar_job, range(1, n_jobs + 1)), n_more=n_more)
    assert sorted_ids(list_records(api, tmp_path)) == list(range(1, n_jobs + 1))
    assert requested_offsets(api) == requested


def test_list_by_date_with_jobs_deleted_from_an_earlier_page_has_all_others(
    api: Api, tmp_path: Path
) -> None:
    """After the first page is read, three waiting jobs are deleted and the others move up."""
    waiting = [
        oar_job(number, state="Waiting", start_time=MIDNIGHT_S, stop_time=0) for number in (5, 6, 7)
    ]
    others = [oar_job(number) for number in range(1, 181) if number not in (5, 6, 7)]
    oar = OarList(*waiting, *others)

    def change_jobs(n: int) -> None:
        if n == 2:
            oar.jobs = others

    oar.before_answer = change_jobs
    api.answer = oar
    found = list_records(api, tmp_path)
    assert sorted_ids(found) == list(range(1, 181))


def test_page_with_a_running_job_and_later_pages_are_requested_again(
    api: Api, tmp_path: Path
) -> None:
    """The second of three pages has a running job."""
    items = [oar_job(number) for number in range(1, 251)]
    items[150] |= {"state": "Running", "stop_time": 0}
    api.answer = OarList(*items)
    first = list_records(api, tmp_path)
    assert first.filter(pl.col("job_id") == 151)["stopped_at"].to_list() == [None]
    items[150] |= {"state": "Terminated", "stop_time": NOON_S + 7200}
    api.clear_requests()
    found = list_records(api, tmp_path)
    assert requested_offsets(api)[0] == 100
    assert sorted_ids(found) == list(range(1, 251))
    assert found.filter(pl.col("job_id") == 151)["stopped_at"].to_list() == [NOON_S + 7200]
    api.clear_requests()
    list_records(api, tmp_path)
    assert api.requests == []


def test_day_that_ended_less_than_an_hour_ago_is_requested_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment, n_requests in ((END + HOUR / 2, 1), (END + HOUR, 1), (END + HOUR, 0)):
        set_clock(monkeypatch, moment)
        api.clear_requests()
        list_records(api, tmp_path)
        assert [path for path, _ in api.requests] == [DETAILS_PATH, COUNT_PATH][: 2 * n_requests]


def test_count_by_date_is_the_total_or_none(api: Api, tmp_path: Path) -> None:
    def count_jobs() -> int | None:
        return jobs_by_date.count_by_date(
            open_service(api.url, tmp_path), site="nancy", start=START, end=END
        )

    api.answer = lambda *_: {"total": 1234, "items": []}
    assert count_jobs() == 1234
    for answer in ((403, "not for you"), (500, "out of order"), (200, "no JSON")):
        api.answer = lambda *_, answer=answer: answer
        assert count_jobs() is None


# The list without dates


@pytest.mark.parametrize("status", [401, 403, 404])
def test_auto_listing_reads_the_list_without_dates_if_oar_is_not_open(
    api: Api, tmp_path: Path, status: int
) -> None:
    newest_list = NewestList(g5k_job(1))
    api.answer = lambda path, query: (
        (status, "no") if "oarapi" in path else newest_list(path, query)
    )
    assert sorted_ids(list_records(api, tmp_path)) == [1]
    assert len([path for path, _ in api.requests if path == DETAILS_PATH]) == 1
    with pytest.raises(Refused, match=r"\(no\)"):
        list_records(api, tmp_path / "other", listing="oarapi")


def test_auto_listing_with_another_refusal_reads_no_other_list(api: Api, tmp_path: Path) -> None:
    api.answer = lambda *_: (400, "what do you mean")
    with pytest.raises(Refused, match="status 400"):
        list_records(api, tmp_path)
    assert {path for path, _ in api.requests} == {DETAILS_PATH}


def test_newest_first_list_is_read_down_to_the_history_before_the_study(
    api: Api, tmp_path: Path
) -> None:
    """One job is submitted every ten minutes up to the end of the study: 4464 in 31 days."""
    oldest_wanted = MIDNIGHT_S - round(HISTORY.total_seconds())
    n_jobs = 9000
    times = [MIDNIGHT_S + 86_400 - 600 * (n_jobs - number) for number in range(n_jobs)]
    api.answer = NewestList(
        *(g5k_job(number, submitted_at=at, started_at=at) for number, at in enumerate(times))
    )
    found = list_records(api, tmp_path, listing="jobs")
    needed = {number for number, at in enumerate(times) if at >= oldest_wanted}
    assert len(needed) == 4464
    assert needed <= set(found["job_id"])
    assert len(needed) <= len(found) <= len(needed) + 2 * jobs_newest_first.API_PAGE
    assert requested_offsets(api) == list(range(0, len(found), jobs_newest_first.API_PAGE))
    assert {path for path, _ in api.requests} == {LIST_PATH}


def test_newest_first_list_with_arriving_jobs_has_all_others_once(api: Api, tmp_path: Path) -> None:
    newest_list = NewestList(*map(g5k_job, range(1, 1201)))

    def change_jobs(n: int) -> None:
        if n > 1:
            newest_list.jobs |= {
                1200 + 7 * n + rank: g5k_job(1200 + 7 * n + rank) for rank in range(7)
            }

    newest_list.before_answer = change_jobs
    api.answer = newest_list
    found = list_records(api, tmp_path, listing="jobs")
    assert set(range(1, 1201)) <= set(found["job_id"])
    assert found["job_id"].is_unique().all()


def test_kept_list_requests_its_running_jobs_one_by_one(api: Api, tmp_path: Path) -> None:
    running = {"state": "running", "stopped_at": None, "exit_code": None}
    later = {**running, "submitted_at": round(END.timestamp()), "started_at": NOON_S + 90_000}
    newest_list = NewestList(g5k_job(1), g5k_job(2, **running), g5k_job(3, **later), g5k_job(4))
    api.answer = newest_list
    first = list_records(api, tmp_path)
    assert first.filter(pl.col("job_id") == 2)["stopped_at"].to_list() == [None]
    api.clear_requests()
    list_records(api, tmp_path, listing="jobs")
    assert [path for path, _ in api.requests] == [f"{LIST_PATH}/2"]  # the job still runs
    newest_list.jobs[2] = g5k_job(2, stopped_at=NOON_S + 5000)
    found = list_records(api, tmp_path, listing="jobs")
    assert found.filter(pl.col("job_id") == 2)["stopped_at"].to_list() == [NOON_S + 5000]
    api.clear_requests()
    assert list_records(api, tmp_path, listing="jobs").equals(found)
    assert api.requests == []


def test_running_job_that_no_longer_exists_stays_as_kept(api: Api, tmp_path: Path) -> None:
    newest_list = NewestList(g5k_job(1, state="running", stopped_at=None))
    api.answer = newest_list
    first = list_records(api, tmp_path, listing="jobs")
    newest_list.jobs.clear()
    assert list_records(api, tmp_path, listing="jobs").equals(first)


def test_study_with_a_later_end_reads_the_list_again(api: Api, tmp_path: Path) -> None:
    newest_list = NewestList(g5k_job(1))
    api.answer = newest_list
    list_records(api, tmp_path, listing="jobs")
    newest_list.jobs[2] = g5k_job(2)
    assert sorted_ids(list_records(api, tmp_path, listing="jobs")) == [1]
    assert sorted_ids(list_records(api, tmp_path, listing="jobs", days=2)) == [1, 2]


def test_moldable_job_has_a_record_for_each_walltime(api: Api, tmp_path: Path) -> None:
    """Equal records are listed once."""

    def answer(_: str, query: dict[str, str]) -> Any:
        items = [g5k_job(1, walltime=7200), g5k_job(1, walltime=3600), g5k_job(1, walltime=7200)]
        return {"total": 3, "offset": 0, "items": items if query["offset"] == "0" else []}

    api.answer = answer
    assert list_records(api, tmp_path, listing="jobs")["walltime_s"].to_list() == [7200, 3600]


@pytest.mark.parametrize("listing", ["auto", "jobs"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {"items": None}), "a damaged answer (no list of jobs)"),
        ((200, {"items": [1]}), "a damaged answer (no list of jobs)"),
        ((200, []), "a damaged answer (no list of jobs)"),
        ((200, '{"items": ['), "a damaged answer (Expecting value"),
        ((502, "out of order"), "502: out of order"),
    ],
)
def test_unavailable_list_is_refused_in_one_line(
    api: Api, tmp_path: Path, listing: str, answer: Any, words: str
) -> None:
    api.answer = lambda *_: answer
    with pytest.raises(Refused) as error:
        list_records(api, tmp_path, listing=listing)
    assert str(error.value).startswith(f"{api.requests[0][0]}: does not answer ({words}")
    assert str(error.value).endswith("; received answers are kept; try again later")
    assert len({path for path, _ in api.requests}) == 1  # the other list is not read
