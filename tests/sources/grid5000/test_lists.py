"""Damaged lists of OAR's API: retried, never kept as final, rejected with a count, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint import serve
from footprint.config import settings, study
from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, RejectedRows
from footprint.schemas.writing import conform
from footprint.serve.list_faults import LIST_KINDS, damage_list, kinds_for_path
from footprint.sources.grid5000 import list_completeness
from footprint.sources.grid5000.overdue_jobs import OverdueJobs
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.grid5000.site import Grid5000Site
from footprint.sources.oar import job_records, list_damage
from tests.support.http_service import DAY, Api, open_service, running_api
from tests.support.job_lists import (
    COUNT_PATH,
    DAY_S,
    DETAILS_PATH,
    EMPTY_PAGE,
    MIDNIGHT_S,
    START,
    OarList,
    counts_by_reason,
    faulty_service,
    list_jobs,
    list_records,
    oar_job,
    sorted_ids,
)
from tests.support.simulated_server import ServedSite, served_site
from tests.support.simulated_server import simulated_config as simulated


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(OarList(oar_job(1), oar_job(2))) as running:
        yield running


def n_list_requests(api: Api, path: str) -> int:
    return sum(each == path and "from" in query for each, query in api.requests)


def with_damaged_job(page: Any, **changes: Any) -> Any:
    """Return a page whose first job is damaged."""
    page["items"] = [page["items"][0] | changes, *page["items"][1:]]
    return page


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "empty": lambda _: EMPTY_PAGE,
    "no items": lambda page: page | {"items": []},
    "too few items": lambda page: page | {"items": page["items"][:1]},
    "no total": lambda page: page | {"total": None},
    "total too small": lambda page: page | {"total": 0},
    "no walltime": lambda page: with_damaged_job(page, walltime=None),
    "no nodes": lambda page: with_damaged_job(page, nodes=[]),
    "no resources": lambda page: with_damaged_job(page, resources=[]),
    "neither": lambda page: with_damaged_job(page, resources=[], nodes=[]),
}


# Slow lists


def slow_above(n_jobs: int, whole: Callable[..., Any]) -> Callable[..., Any]:
    """Return a list whose database takes too long for pages of more jobs."""

    def answer(path: str, query: dict[str, str]) -> Any:
        if path != COUNT_PATH and "state" not in query and int(query.get("limit", 0)) > n_jobs:
            return 504, "<html><title>504 Gateway Timeout</title></html>"
        return whole(path, query)

    return answer


def test_pages_are_halved_where_the_list_is_slow(api: Api, tmp_path: Path) -> None:
    whole = OarList(*map(oar_job, range(1, 71)))
    api.answer = slow_above(30, whole)
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records) == list(range(1, 71))
    assert found.rejected.is_empty()
    limits = [int(query["limit"]) for path, query in api.requests if path == DETAILS_PATH]
    assert limits == [100, 50, 25, 25, 25]
    api.clear_requests()
    again = list_jobs(api, tmp_path)
    assert_frame_equal(again.job_records, found.job_records)
    assert n_list_requests(api, DETAILS_PATH) == 0


def test_list_that_is_too_slow_for_the_smallest_page_is_refused(api: Api, tmp_path: Path) -> None:
    api.answer = slow_above(4, OarList(oar_job(1)))
    with pytest.raises(Refused, match=r"does not answer \(504: .*; received answers are kept"):
        list_jobs(api, tmp_path)
    limits = [int(query["limit"]) for path, query in api.requests if path == DETAILS_PATH]
    assert limits == [100, 50, 25, 12, 6, 5]


# Temporary faults


@pytest.mark.parametrize("kind", DAMAGE)
def test_temporarily_damaged_list_is_requested_again_until_complete(
    api: Api, tmp_path: Path, kind: str
) -> None:
    whole = OarList(oar_job(1), oar_job(2))
    truth = list_records(api, tmp_path / "truth")

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        return (
            DAMAGE[kind](whole(path, query))
            if path == DETAILS_PATH and "from" in query and time < 4
            else None
        )

    api.clear_requests()
    api.answer = faulty_service(whole, fault)
    found = list_jobs(api, tmp_path / "study")
    assert found.job_records.sort("job_id").equals(truth.sort("job_id"))
    assert found.rejected.is_empty()
    assert (n_list_requests(api, DETAILS_PATH), n_list_requests(api, COUNT_PATH)) == (4, 1)
    api.clear_requests()
    assert list_records(api, tmp_path / "study").equals(found.job_records)
    assert api.requests == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_list_is_never_kept_as_final(api: Api, tmp_path: Path, kind: str) -> None:
    """All tries of the first run are damaged. The next run requests the list again."""
    whole = OarList(oar_job(1), oar_job(2))
    truth = list_records(api, tmp_path / "truth")
    is_broken = [True]

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        return (
            DAMAGE[kind](whole(path, query))
            if path == DETAILS_PATH and "from" in query and is_broken[0]
            else None
        )

    api.answer = faulty_service(whole, fault)
    refused = kind in ("empty", "no items")
    if refused:
        with pytest.raises(Refused):
            list_jobs(api, tmp_path / "study")
    else:
        list_jobs(api, tmp_path / "study")
    kept = [*(tmp_path / "study").rglob("requests/*/*.json")]
    records = [json.loads(path.read_text()) for path in kept]
    assert [each["final"] for each in records if "details.json?from" in each["request"]] == [False]
    is_broken[0] = False
    found = list_jobs(api, tmp_path / "study")
    assert found.job_records.sort("job_id").equals(truth.sort("job_id"))
    assert found.rejected.is_empty()


def test_damaged_list_kept_by_a_former_version_is_requested_again(api: Api, tmp_path: Path) -> None:
    truth = list_records(api, tmp_path)
    for path in (tmp_path / "answers/requests").rglob("*.json"):
        if "details" in path.read_text():
            path.unlink()
    client = open_service(api.url, tmp_path)
    window = {"from": str(MIDNIGHT_S), "to": str(MIDNIGHT_S + DAY_S), "limit": "100", "offset": "0"}
    client.answers.save_content(
        client.request_key(DETAILS_PATH, window), json.dumps(EMPTY_PAGE).encode(), is_final=True
    )
    assert list_records(api, tmp_path).equals(truth)


def test_jobs_damaged_in_turn_are_all_read_from_several_tries(api: Api, tmp_path: Path) -> None:
    whole = OarList(oar_job(1), oar_job(2))

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        if path != DETAILS_PATH or "state" in query:
            return None
        page = whole(path, query)
        page["items"][time % 2] = page["items"][time % 2] | {"walltime": None}
        return page

    api.answer = faulty_service(whole, fault)
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records) == [1, 2]
    assert found.rejected.is_empty()


# Lasting faults


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no walltime", list_damage.NO_WALLTIME_REASON),
        ("no nodes", list_damage.NO_RESOURCES_REASON),
        ("no resources", list_damage.NO_RESOURCES_REASON),
        ("neither", list_damage.NO_RESOURCES_REASON),
    ],
)
def test_job_that_stays_damaged_is_rejected_and_counted(
    api: Api, tmp_path: Path, kind: str, reason: str
) -> None:
    whole = OarList(oar_job(1), oar_job(2))
    api.answer = lambda path, query: (
        DAMAGE[kind](whole(path, query))
        if path == DETAILS_PATH and "from" in query
        else whole(path, query)
    )
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records) == [2]
    assert counts_by_reason(found.rejected) == {reason: (1, "1")}


def test_unstarted_job_without_walltime_or_resources_is_not_damaged(
    api: Api, tmp_path: Path
) -> None:
    held = oar_job(3, state="Hold", start_time=0, stop_time=0, walltime=None)
    api.answer = OarList(oar_job(1), held | {"resources": [], "nodes": []})
    found = list_jobs(api, tmp_path)
    assert (sorted_ids(found.job_records), found.rejected.is_empty()) == ([1, 3], True)


@pytest.mark.parametrize("kind", ["empty", "no items"])
def test_day_that_stays_empty_although_oar_counts_jobs_is_refused_in_one_line(
    api: Api, tmp_path: Path, kind: str
) -> None:
    """Days 1 and 3 have a job each; the list of day 3 fails."""
    whole = OarList(oar_job(1), oar_job(2, start_time=MIDNIGHT_S + 2 * DAY_S + 60, stop_time=2**31))
    whole.jobs[1]["stop_time"] = MIDNIGHT_S + 2 * DAY_S + 120

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        last = path == DETAILS_PATH and query.get("from") == str(MIDNIGHT_S + 2 * DAY_S)
        return DAMAGE[kind](whole(path, query)) if last else None

    api.answer = faulty_service(whole, fault)
    with pytest.raises(Refused) as error:
        list_jobs(api, tmp_path, days=3)
    line = str(error.value)
    assert line.startswith(
        f"{DETAILS_PATH}: lists 1 of the 2 jobs that OAR counts, and lacks jobs of "
    )
    assert "2025-03-05" in line
    assert "download.jobs" in line
    assert "\n" not in line


def test_empty_day_is_accepted_after_four_answers_and_counted(api: Api, tmp_path: Path) -> None:
    """No job runs on the second of three days, and ids 11 to 39 are missing."""
    late = MIDNIGHT_S + 2 * DAY_S
    api.answer = OarList(
        oar_job(10), oar_job(40, submission_time=late, start_time=late + 9, stop_time=late + 99)
    )
    found = list_jobs(api, tmp_path, days=3)
    assert sorted_ids(found.job_records) == [10, 40]
    assert counts_by_reason(found.rejected) == {
        list_completeness.EMPTY_DAYS_REASON: (1, "2025-03-04"),
        list_completeness.MISSING_IDS_REASON: (29, "2025-03-04: 11 to 39"),
    }
    empty = [query for path, query in api.requests if path == DETAILS_PATH]
    assert sum(query["from"] == str(MIDNIGHT_S + DAY_S) for query in empty) == 4
    assert found.rejected["source"].unique().to_list() == ["oarapi jobs/details"]
    assert RejectedRows.is_valid(found.rejected)


def test_difference_from_the_count_of_oar_is_counted(api: Api, tmp_path: Path) -> None:
    api.answer = OarList(oar_job(1), n_more=1)
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records) == [1]
    assert counts_by_reason(found.rejected) == {
        list_completeness.COUNTED_ONLY_REASON: (
            1,
            "2 counted, 1 listed; jobs may be missing on 2025-03-03",
        )
    }


def test_days_on_which_jobs_may_be_missing_are_named(api: Api, tmp_path: Path) -> None:
    """Job 2 of the second of three days is in no list, and in no total of a list."""
    days = [MIDNIGHT_S + n * DAY_S for n in range(3)]
    jobs = [
        oar_job(key, start_time=at + 60, stop_time=at + 120)
        for key, at in ((1, days[0]), (2, days[1]), (3, days[1]), (4, days[2]))
    ]
    whole, less = OarList(*jobs), OarList(*(job for job in jobs if job["id"] != 2))
    api.answer = lambda path, query: (whole if path == COUNT_PATH else less)(path, query)
    found = list_jobs(api, tmp_path, days=3)
    assert sorted_ids(found.job_records) == [1, 3, 4]
    assert counts_by_reason(found.rejected) == {
        list_completeness.COUNTED_ONLY_REASON: (
            1,
            "4 counted, 3 listed; jobs may be missing on 2025-03-04",
        )
    }


def test_running_job_over_its_walltime_is_not_missing(api: Api, tmp_path: Path) -> None:
    """OAR counts job 9 on each day and does not list it. A day without jobs stays in doubt."""
    lost = oar_job(9, state="Running", start_time=MIDNIGHT_S - 99 * DAY_S, stop_time=0)
    whole = OarList(oar_job(10), oar_job(20, start_time=MIDNIGHT_S + 2 * DAY_S + 9), n_more=1)
    whole.jobs[1]["stop_time"] = MIDNIGHT_S + 2 * DAY_S + 99
    whole.overdue = [lost, lost | {"id": 8, "walltime": 100 * DAY_S}]
    api.answer = whole
    found = list_jobs(api, tmp_path, days=3)
    assert sorted_ids(found.job_records) == [10, 20]
    assert counts_by_reason(found.rejected) == {
        list_completeness.EMPTY_DAYS_REASON: (1, "2025-03-04"),
        list_completeness.MISSING_IDS_REASON: (9, "2025-03-04: 11 to 19"),
    }
    assert n_list_requests(api, DETAILS_PATH) == 1 + 4 + 1
    assert len([query for _, query in api.requests if "state" in query]) == 2


def test_overdue_jobs_count_in_windows_after_their_walltime_alone(api: Api, tmp_path: Path) -> None:
    """One job runs since noon of the first day, with a walltime of one day."""
    noon = MIDNIGHT_S + DAY_S // 2
    whole = OarList()
    whole.overdue = [oar_job(1, state="Running", start_time=noon, stop_time=0, walltime=DAY_S)]
    api.answer = whole
    overdue = OverdueJobs(open_service(api.url, tmp_path), "nancy")
    counts = [overdue.count_in_window(START + n * DAY, START + (n + 1) * DAY) for n in range(-1, 4)]
    assert counts == [0, 0, 0, 1, 1]


def test_failed_count_of_oar_is_counted(api: Api, tmp_path: Path) -> None:
    whole = OarList(oar_job(1), oar_job(2))
    api.answer = lambda path, query: EMPTY_PAGE if path == COUNT_PATH else whole(path, query)
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records) == [1, 2]
    assert counts_by_reason(found.rejected) == {
        list_completeness.LISTED_ONLY_REASON: (2, "0 counted, 2 listed")
    }
    assert n_list_requests(api, COUNT_PATH) == 4


def test_day_with_missing_and_running_jobs_is_listed_again(api: Api, tmp_path: Path) -> None:
    """The second list has a job that the first list lacks."""
    running = oar_job(1, state="Running", stop_time=0)
    whole, less = OarList(running, oar_job(2)), OarList(running)

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        return less(path, query) if path == DETAILS_PATH and time == 1 else None

    api.answer = faulty_service(whole, fault)
    found = list_jobs(api, tmp_path)
    assert sorted_ids(found.job_records)[-1] == 2
    assert found.rejected.is_empty()
    assert n_list_requests(api, DETAILS_PATH) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_list_is_complete_if_the_count_is_not_open(api: Api, tmp_path: Path, status: int) -> None:
    whole = OarList(oar_job(1))
    api.answer = lambda path, query: (status, "no") if path == COUNT_PATH else whole(path, query)
    found = list_jobs(api, tmp_path)
    assert (sorted_ids(found.job_records), found.rejected.is_empty()) == ([1], True)


# Days without jobs


def job_record(job_id: int, **changes: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(job_records.RECORD_SCHEMA)
        | {"job_id": job_id, "submitted_at": MIDNIGHT_S}
        | changes
    )


@pytest.mark.parametrize(
    ("intervals", "days", "jump"),
    [
        ({}, "2025-03-03 to 2025-03-07", None),
        ({1: (-9, 9)}, None, None),
        ({1: (0, None)}, None, None),  # the job still runs
        ({1: (0, 1.5), 2: (3.5, 9)}, "2025-03-05", None),
        ({1: (-3, -1), 5: (1.5, 3.1)}, "2025-03-03, 2025-03-07", "2025-03-03: 2 to 4"),
        ({7: (0, 0.1), 9: (0, 0.2), 8: (3, 9)}, "2025-03-04 to 2025-03-05", None),
        (
            {7: (0, 0.1), 12: (3, 9)},
            "2025-03-04 to 2025-03-05",
            "2025-03-04 to 2025-03-05: 8 to 11",
        ),
    ],
)
def test_days_without_jobs_are_counted_with_missing_ids(
    intervals: dict[int, tuple[float, float | None]], days: str | None, jump: str | None
) -> None:
    rows = [
        job_record(
            number,
            submitted_at=MIDNIGHT_S + round(first * DAY_S),
            started_at=MIDNIGHT_S + round(first * DAY_S),
            stopped_at=None if last is None else MIDNIGHT_S + round(last * DAY_S),
        )
        for number, (first, last) in intervals.items()
    ]
    found = list_completeness.days_without_jobs(
        pl.DataFrame(rows, schema=job_records.RECORD_SCHEMA),
        start=START,
        end=START + 5 * DAY,
        source="x",
    )
    examples = {row["reason"]: row["example"] for row in found.to_dicts()}
    expected = {
        list_completeness.EMPTY_DAYS_REASON: days,
        list_completeness.MISSING_IDS_REASON: jump,
    }
    assert examples == {reason: text for reason, text in expected.items() if text is not None}


def test_days_without_jobs_count_an_unstarted_job_on_its_day_of_submission() -> None:
    rows = [
        job_record(1, submitted_at=MIDNIGHT_S + 9),
        job_record(2, submitted_at=MIDNIGHT_S + DAY_S - 1),
    ]
    found = list_completeness.days_without_jobs(
        pl.DataFrame(rows, schema=job_records.RECORD_SCHEMA),
        start=START,
        end=START + 2 * DAY,
        source="x",
    )
    assert counts_by_reason(found) == {list_completeness.EMPTY_DAYS_REASON: (1, "2025-03-04")}


# Real answers


def test_page_doubt_of_recorded_answers_is_none(shared_data: Path) -> None:
    names = ["jobs-details-from-to", "jobs-details-all-ended", "jobs-details-limit-past-end"]
    for name in names:
        page = json.loads((shared_data / f"oar/rest/{name}.json").read_text())
        items = page["items"]
        found = job_records.parse_jobs(page, file="", resources={})
        assert list_damage.damaged_jobs(items, found) == {}
        limit = 5 if "limit" in name else 500
        offset = 1000 if "past-end" in name else 0
        total = list_damage.whole_total(page)
        doubt = list_damage.page_doubt(
            len(items), total, offset=offset, limit=limit, n_seen=page["total"]
        )
        assert doubt is None


# Faults of the served site


@pytest.fixture(scope="module")
def nancy() -> Iterator[ServedSite]:
    with served_site(simulated("2025-03-30", "2025-04-01")) as served:
        yield served


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_jobs_from_served_lists_with_faults_equal_those_of_the_site(
    nancy: ServedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    faults = serve.Faults(rate=1.0, kinds=[kind])
    window = {"start": nancy.site.start, "end": nancy.site.end}
    with serve.running_server(simulated("2025-03-30", "2025-04-01"), faults=faults) as server:
        loaded = settings.prepare_configuration(
            {
                "study": {"site": "nancy", "start": "2025-03-30", "end": "2025-04-01"},
                "source": {"kind": "grid5000", "url": server.url},
                "download": {"wait_s": 0.01},
                "privacy": {"key": "public"},
            }
        )
        planned = study.plan_study(loaded)
        site = Grid5000Site.from_config(planned.source, site="nancy", download=loaded["download"])
        found = site.jobs(**window)
    expected = nancy.site.jobs(**window)
    assert faults.counts[kind] > 0
    assert found.rejected.collect().is_empty()
    held = [conform(Allocations, each.allocations) for each in (found, expected)]
    assert_frame_equal(*held)
    one, other = (conform(Jobs, each.jobs) for each in (found, expected))
    if kind == "twice_encoded":
        other = other.with_columns(pl.col("directory") + "/entraîné")
    assert_frame_equal(one, other)


def test_damage_list_gives_the_faults_of_oar() -> None:
    started = {"start_time": 1, "walltime": 60, "nodes": [1], "resources": [1]}
    waiting = started | {"start_time": 0}
    page = {"items": [started, started, started, waiting], "total": 4, "links": [], "offset": 0}
    body = json.dumps(page).encode()
    assert damage_list("empty_list", body) == b'{"items":[],"links":[],"offset":0,"total":0}'
    assert json.loads(damage_list("total_without_items", body)) == page | {"items": []}
    cut = json.loads(damage_list("cut_jobs", body))["items"]
    assert cut[0] == started | {"walltime": None}
    assert cut[1] == started | {"nodes": [], "resources": []}
    assert cut[2:] == [started, waiting]
    text = json.dumps({"items": [{"directory": "/home/a"}]}).encode()
    assert "/home/a/entraÃ®nÃ©" in damage_list("twice_encoded", text).decode()
    assert (
        damage_list("cut_jobs", json.dumps(EMPTY_PAGE).encode()) == json.dumps(EMPTY_PAGE).encode()
    )


def test_list_kinds_of_other_paths_are_none() -> None:
    internal = "/stable/sites/nancy/internal/oarapi"
    assert kinds_for_path(f"{internal}/jobs/details.json") == LIST_KINDS
    assert kinds_for_path(f"{internal}/jobs.json") == LIST_KINDS[:2]
    assert kinds_for_path("/sites/nancy/jobs") == ("twice_encoded",)
    for path in ("/sites/nancy/jobs/7", f"{internal}/jobs/7/details.json", "/sites/nancy/metrics"):
        assert kinds_for_path(path) == ()


def test_study_before_2020_is_refused() -> None:
    raw = {"source": {"kind": "grid5000"}, "privacy": {"key": "public"}}
    window = {"site": "nancy", "start": "2019-12-31", "end": "2020-02-01"}
    with pytest.raises(InputError) as error:
        settings.prepare_configuration(raw | {"study": window})
    line = str(error.value)
    assert line.startswith("study.start: 2019-12-31 is before 2020-01-01: ")
    assert "power before March 2020" in line
    assert "\n" not in line
    assert settings.prepare_configuration(raw | {"study": window | {"start": "2020-01-01"}})
    assert datetime.fromisoformat("2020-01-01").replace(tzinfo=UTC) <= START
