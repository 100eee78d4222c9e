"""Jobs from OAR's API by date, and from the list that knows no dates: all, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answers import NOON, g5k_job
from asking import DAY, HOUR, Api, answering, service, set_clock

from footprint.site.grid5000 import by_date, jobs, newest_first
from footprint.site.grid5000.refusals import Refused

START = datetime(2025, 3, 3, tzinfo=UTC)
END = START + DAY
MIDNIGHT = round(START.timestamp())
HISTORY = timedelta(days=30)
DETAILS = "/sites/nancy/internal/oarapi/jobs/details.json"
COUNT = "/sites/nancy/internal/oarapi/jobs.json"
LIST = "/sites/nancy/jobs"


def oar_job(job_id: int, **changes: Any) -> dict[str, Any]:
    """A job of `jobs/details` that held core 0 of gruss-1 from noon to one."""
    job = {
        "id": job_id,
        "owner": "someone",
        "state": "Terminated",
        "queue": "production",
        "project": "speech",
        "name": None,
        "type": "PASSIVE",
        "types": [],
        "command": "./train.sh",
        "submission_time": NOON - 60,
        "start_time": NOON,
        "stop_time": NOON + 3600,
        "walltime": 7200,
        "exit_code": 0,
        "events": [],
        "resources": [{"id": 1, "status": "assigned", "type": "default", **CORE}],
        "nodes": [{"network_address": CORE["network_address"], "status": "assigned"}],
    }
    return job | changes


CORE = {"network_address": "gruss-1.nancy.grid5000.fr", "cpuset": "0", "gpudevice": None}


class Oar:
    """OAR's list by date: `to` counts jobs that start before it, `from` those that stop at it.

    Attributes:
        jobs: All jobs.
        more: How many more `total` says than there are; the links follow it.
        overdue: Jobs that run and are not listed by date.
        before: Called with the number of a request before it is answered.
    """

    def __init__(self, *items: dict[str, Any], more: int = 0) -> None:
        self.jobs = list(items)
        self.more = more
        self.overdue: list[dict[str, Any]] = []
        self.before: Callable[[int], None] = lambda _: None
        self.n = 0

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        assert path in (DETAILS, COUNT)
        if "state" in query:
            return self.running(query)
        if path == DETAILS:
            self.n += 1
            self.before(self.n)
        first, last, limit, offset = (
            int(query[name]) for name in ("from", "to", "limit", "offset")
        )
        chosen = [
            job
            for job in sorted(self.jobs, key=lambda job: job["id"])
            if job["start_time"] < last and (job["stop_time"] or 2**40) >= first
        ]
        total = len(chosen) + self.more
        follows = [{"rel": "next", "href": ""}] if offset + limit < total else []
        return {
            "total": total,
            "offset": offset,
            "items": chosen[offset : offset + limit],
            "links": [{"rel": "self", "href": ""}, *follows],
        }

    def running(self, query: dict[str, str]) -> Any:
        chosen = [job for job in self.jobs + self.overdue if job["state"] == query["state"]]
        first = int(query["offset"])
        items = chosen[first : first + int(query["limit"])]
        return {"total": len(chosen), "offset": first, "items": items, "links": []}


class Newest:
    """`/sites/nancy/jobs`: by id, the newest first; `before` as above."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.jobs = {job["uid"]: job for job in items}
        self.before: Callable[[int], None] = lambda _: None
        self.n = 0

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        if path.startswith("/sites/nancy/internal/"):
            return 403, "not for you"
        if path != LIST:
            job = self.jobs.get(int(path.removeprefix(f"{LIST}/")))
            return (404, "Couldn't find OAR::Job") if job is None else job
        self.n += 1
        self.before(self.n)
        assert query["resources"] == "yes"
        newest = sorted(self.jobs.values(), key=lambda job: -job["uid"])
        offset, limit = int(query["offset"]), min(int(query["limit"]), 500)
        return {
            "total": len(newest),
            "offset": offset,
            "items": newest[offset : offset + limit],
            "links": [],
        }


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(Oar(oar_job(1))) as running:
        yield running


def listed(api: Api, folder: Path, *, days: int = 1, listing: str = "auto") -> pl.DataFrame:
    """What one run lists."""
    return answered(api, folder, days=days, listing=listing).records


def answered(api: Api, folder: Path, *, days: int = 1, listing: str = "auto") -> jobs.Listed:
    """What one run lists, and what the lists lack."""
    return jobs.records(
        service(api.url, folder),
        site="nancy",
        start=START,
        end=START + days * DAY,
        listing=listing,
        history=HISTORY,
        concurrency=2,
    )


def ids(found: pl.DataFrame) -> list[int]:
    return sorted(found["job_id"])


def offsets(api: Api) -> list[int]:
    return [int(asked["offset"]) for path, asked in api.asked if path in (DETAILS, LIST)]


# By date


def test_each_day_is_a_window_and_a_job_of_several_comes_once(api: Api, tmp_path: Path) -> None:
    day_s = 86_400
    api.answer = Oar(
        oar_job(1, start_time=MIDNIGHT - 9 * day_s, stop_time=MIDNIGHT + 10),  # began long before
        oar_job(2, start_time=MIDNIGHT + 10, stop_time=MIDNIGHT + 2 * day_s + 10),
        oar_job(3, start_time=MIDNIGHT + 2 * day_s + 10, stop_time=MIDNIGHT + 9 * day_s),
        oar_job(4, start_time=MIDNIGHT - 20, stop_time=MIDNIGHT - 10),
        oar_job(5, start_time=MIDNIGHT + 3 * day_s, stop_time=MIDNIGHT + 4 * day_s),
    )
    found = listed(api, tmp_path, days=3)
    assert ids(found) == [1, 2, 3]
    assert {path for path, _ in api.asked} == {DETAILS, COUNT}
    windows = sorted(
        (int(asked["from"]), int(asked["to"])) for path, asked in api.asked if path == DETAILS
    )
    assert windows == [(MIDNIGHT + n * day_s, MIDNIGHT + (n + 1) * day_s) for n in range(3)]
    held = found.filter(pl.col("job_id") == 1)["held"].to_list()
    assert held == [[{"node": CORE["network_address"], "cores": [0], "gpus": []}]]
    api.forget()
    assert listed(api, tmp_path, days=3).equals(found)
    assert api.asked == []


def test_all_pages_of_a_day_are_read(api: Api, tmp_path: Path) -> None:
    api.answer = Oar(*map(oar_job, range(1, 251)))
    assert ids(listed(api, tmp_path)) == list(range(1, 251))
    assert offsets(api) == [0, 100, 200]


@pytest.mark.parametrize(
    ("n_jobs", "more", "asked"),
    [
        (150, -60, [0] * 4 + [90] * 4),  # the links promise no page after the first, which is full
        (100, 0, [0, 100]),
    ],
)
def test_a_wrong_total_hides_no_job(
    api: Api, tmp_path: Path, n_jobs: int, more: int, asked: list[int]
) -> None:
    api.answer = Oar(*map(oar_job, range(1, n_jobs + 1)), more=more)
    assert ids(listed(api, tmp_path)) == list(range(1, n_jobs + 1))
    assert offsets(api) == asked


def test_jobs_that_leave_an_earlier_page_hide_no_other(api: Api, tmp_path: Path) -> None:
    """Three jobs that were to start are deleted when the first page is read: the others move up."""
    waiting = [
        oar_job(number, state="Waiting", start_time=MIDNIGHT, stop_time=0) for number in (5, 6, 7)
    ]
    others = [oar_job(number) for number in range(1, 181) if number not in (5, 6, 7)]
    oar = Oar(*waiting, *others)

    def before(n: int) -> None:
        if n == 2:
            oar.jobs = others

    oar.before = before
    api.answer = oar
    found = listed(api, tmp_path)
    assert ids(found) == list(range(1, 181))


def test_a_page_of_running_jobs_and_those_after_it_are_asked_for_again(
    api: Api, tmp_path: Path
) -> None:
    """Of three pages, the second has a job that runs."""
    items = [oar_job(number) for number in range(1, 251)]
    items[150] |= {"state": "Running", "stop_time": 0}
    api.answer = Oar(*items)
    first = listed(api, tmp_path)
    assert first.filter(pl.col("job_id") == 151)["stopped_at"].to_list() == [None]
    items[150] |= {"state": "Terminated", "stop_time": NOON + 7200}
    api.forget()
    found = listed(api, tmp_path)
    assert offsets(api)[0] == 100
    assert ids(found) == list(range(1, 251))
    assert found.filter(pl.col("job_id") == 151)["stopped_at"].to_list() == [NOON + 7200]
    api.forget()
    listed(api, tmp_path)
    assert api.asked == []


def test_a_day_that_ended_less_than_an_hour_ago_is_not_final(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment, n_asked in ((END + HOUR / 2, 1), (END + HOUR, 1), (END + HOUR, 0)):
        set_clock(monkeypatch, moment)
        api.forget()
        listed(api, tmp_path)
        assert [path for path, _ in api.asked] == [DETAILS, COUNT][: 2 * n_asked]


def test_jobs_are_counted_or_not(api: Api, tmp_path: Path) -> None:
    def count() -> int | None:
        return by_date.count_by_date(service(api.url, tmp_path), site="nancy", start=START, end=END)

    api.answer = lambda *_: {"total": 1234, "items": []}
    assert count() == 1234
    for answer in ((403, "not for you"), (500, "out of order"), (200, "no JSON")):
        api.answer = lambda *_, answer=answer: answer
        assert count() is None


# The list that knows no dates


@pytest.mark.parametrize("status", [401, 403, 404])
def test_where_dates_are_not_to_be_had_the_other_list_is_read(
    api: Api, tmp_path: Path, status: int
) -> None:
    newest = Newest(g5k_job(1))
    api.answer = lambda path, query: (status, "no") if "oarapi" in path else newest(path, query)
    assert ids(listed(api, tmp_path)) == [1]
    assert len([path for path, _ in api.asked if path == DETAILS]) == 1
    with pytest.raises(Refused, match=r"\(no\)"):
        listed(api, tmp_path / "other", listing="oarapi")


def test_other_refusals_read_no_other_list(api: Api, tmp_path: Path) -> None:
    api.answer = lambda *_: (400, "what do you mean")
    with pytest.raises(Refused, match="status 400"):
        listed(api, tmp_path)
    assert {path for path, _ in api.asked} == {DETAILS}


def test_the_list_is_read_down_to_what_was_submitted_long_before(api: Api, tmp_path: Path) -> None:
    """A job every ten minutes, up to the end of the study; 30 days and one are 4464 of them."""
    oldest_wanted = MIDNIGHT - round(HISTORY.total_seconds())
    n_jobs = 9000
    times = [MIDNIGHT + 86_400 - 600 * (n_jobs - number) for number in range(n_jobs)]
    api.answer = Newest(
        *(g5k_job(number, submitted_at=at, started_at=at) for number, at in enumerate(times))
    )
    found = listed(api, tmp_path, listing="jobs")
    needed = {number for number, at in enumerate(times) if at >= oldest_wanted}
    assert len(needed) == 4464
    assert needed <= set(found["job_id"])
    assert len(needed) <= len(found) <= len(needed) + 2 * newest_first.API_PAGE
    assert offsets(api) == list(range(0, len(found), newest_first.API_PAGE))
    assert {path for path, _ in api.asked} == {LIST}


def test_jobs_that_arrive_while_one_reads_push_others_and_hide_none(
    api: Api, tmp_path: Path
) -> None:
    newest = Newest(*map(g5k_job, range(1, 1201)))

    def before(n: int) -> None:
        if n > 1:
            newest.jobs |= {1200 + 7 * n + rank: g5k_job(1200 + 7 * n + rank) for rank in range(7)}

    newest.before = before
    api.answer = newest
    found = listed(api, tmp_path, listing="jobs")
    assert set(range(1, 1201)) <= set(found["job_id"])
    assert found["job_id"].is_unique().all()


def test_an_ended_list_is_kept_and_running_jobs_are_asked_for_one_by_one(
    api: Api, tmp_path: Path
) -> None:
    running = {"state": "running", "stopped_at": None, "exit_code": None}
    later = {**running, "submitted_at": round(END.timestamp()), "started_at": NOON + 90_000}
    newest = Newest(g5k_job(1), g5k_job(2, **running), g5k_job(3, **later), g5k_job(4))
    api.answer = newest
    first = listed(api, tmp_path)
    assert first.filter(pl.col("job_id") == 2)["stopped_at"].to_list() == [None]
    api.forget()
    listed(api, tmp_path, listing="jobs")
    assert [path for path, _ in api.asked] == [f"{LIST}/2"]  # it still runs
    newest.jobs[2] = g5k_job(2, stopped_at=NOON + 5000)
    found = listed(api, tmp_path, listing="jobs")
    assert found.filter(pl.col("job_id") == 2)["stopped_at"].to_list() == [NOON + 5000]
    api.forget()
    assert listed(api, tmp_path, listing="jobs").equals(found)
    assert api.asked == []


def test_a_running_job_that_is_gone_stays_as_it_was(api: Api, tmp_path: Path) -> None:
    newest = Newest(g5k_job(1, state="running", stopped_at=None))
    api.answer = newest
    first = listed(api, tmp_path, listing="jobs")
    newest.jobs.clear()
    assert listed(api, tmp_path, listing="jobs").equals(first)


def test_a_study_that_ends_later_reads_the_list_anew(api: Api, tmp_path: Path) -> None:
    newest = Newest(g5k_job(1))
    api.answer = newest
    listed(api, tmp_path, listing="jobs")
    newest.jobs[2] = g5k_job(2)
    assert ids(listed(api, tmp_path, listing="jobs")) == [1]
    assert ids(listed(api, tmp_path, listing="jobs", days=2)) == [1, 2]


def test_a_moldable_job_has_several_records(api: Api, tmp_path: Path) -> None:
    """What it is after all of them is worked out from them together."""

    def answer(_: str, query: dict[str, str]) -> Any:
        items = [g5k_job(1, walltime=7200), g5k_job(1, walltime=3600), g5k_job(1, walltime=7200)]
        return {"total": 3, "offset": 0, "items": items if query["offset"] == "0" else []}

    api.answer = answer
    assert listed(api, tmp_path, listing="jobs")["walltime_s"].to_list() == [7200, 3600]


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
def test_a_list_that_cannot_be_had_is_told_in_a_line(
    api: Api, tmp_path: Path, listing: str, answer: Any, words: str
) -> None:
    api.answer = lambda *_: answer
    with pytest.raises(Refused) as error:
        listed(api, tmp_path, listing=listing)
    assert str(error.value).startswith(f"{api.asked[0][0]}: does not answer ({words}")
    assert str(error.value).endswith("; what came is kept; try again later")
    assert len({path for path, _ in api.asked}) == 1  # no other list is read
