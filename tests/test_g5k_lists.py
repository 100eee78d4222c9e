"""Damaged lists of OAR's API: retried, never kept as final, rejected with a count, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asking import DAY, Api, answering, service
from polars.testing import assert_frame_equal
from serving import Served, serving
from serving import config as simulated
from test_g5k_jobs import COUNT, DETAILS, MIDNIGHT, START, Oar, answered, ids, listed, oar_job

from footprint import serve, settings, study, tables
from footprint.errors import InputError
from footprint.serve.list_faults import LIST_KINDS, damage_list, list_kinds
from footprint.site import oar
from footprint.site.grid5000 import completeness, damage
from footprint.site.grid5000.by_date import Overdue
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.site import Grid5000Site

EMPTY: dict[str, Any] = {"items": [], "links": [], "offset": 0, "total": 0}
DAY_S = 86_400


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(Oar(oar_job(1), oar_job(2))) as running:
        yield running


def faulty(oar: Oar, fault: Callable[[str, dict[str, str], int], Any]) -> Callable[..., Any]:
    """A service whose answers a fault replaces: given path, query and how often it was asked."""
    times: dict[str, int] = {}

    def answer(path: str, query: dict[str, str]) -> Any:
        key = f"{path} {sorted(query.items())}"
        times[key] = times.get(key, 0) + 1
        found = fault(path, query, times[key])
        return oar(path, query) if found is None else found

    return answer


def reasons(set_aside: pl.DataFrame) -> dict[str, tuple[int, str]]:
    return {row["reason"]: (row["n_rows"], row["example"]) for row in set_aside.to_dicts()}


def n_asked(api: Api, path: str) -> int:
    return sum(each == path and "from" in query for each, query in api.asked)


def damaged(page: Any, **changes: Any) -> Any:
    """A page whose first job is damaged."""
    page["items"] = [page["items"][0] | changes, *page["items"][1:]]
    return page


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "empty": lambda _: EMPTY,
    "no items": lambda page: page | {"items": []},
    "too few items": lambda page: page | {"items": page["items"][:1]},
    "no total": lambda page: page | {"total": None},
    "total too small": lambda page: page | {"total": 0},
    "no walltime": lambda page: damaged(page, walltime=None),
    "no nodes": lambda page: damaged(page, nodes=[]),
    "no resources": lambda page: damaged(page, resources=[]),
    "neither": lambda page: damaged(page, resources=[], nodes=[]),
}


# Faults that pass


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_list_is_requested_again_and_the_jobs_are_right(
    api: Api, tmp_path: Path, kind: str
) -> None:
    whole = Oar(oar_job(1), oar_job(2))
    truth = listed(api, tmp_path / "truth")

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        return (
            DAMAGE[kind](whole(path, query))
            if path == DETAILS and "from" in query and time < 4
            else None
        )

    api.forget()
    api.answer = faulty(whole, fault)
    found = answered(api, tmp_path / "study")
    assert found.records.sort("job_id").equals(truth.sort("job_id"))
    assert found.set_aside.is_empty()
    assert (n_asked(api, DETAILS), n_asked(api, COUNT)) == (4, 1)
    api.forget()
    assert listed(api, tmp_path / "study").equals(found.records)
    assert api.asked == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_list_is_never_kept_as_final(api: Api, tmp_path: Path, kind: str) -> None:
    """Four answers are damaged: more than are asked for. The next run asks again, and is right."""
    whole = Oar(oar_job(1), oar_job(2))
    truth = listed(api, tmp_path / "truth")
    broken = [True]

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        return (
            DAMAGE[kind](whole(path, query))
            if path == DETAILS and "from" in query and broken[0]
            else None
        )

    api.answer = faulty(whole, fault)
    refused = kind in ("empty", "no items")
    if refused:
        with pytest.raises(Refused):
            answered(api, tmp_path / "study")
    else:
        answered(api, tmp_path / "study")
    kept = [*(tmp_path / "study").rglob("requests/*/*.json")]
    records = [json.loads(path.read_text()) for path in kept]
    assert [each["final"] for each in records if "details.json?from" in each["request"]] == [False]
    broken[0] = False
    found = answered(api, tmp_path / "study")
    assert found.records.sort("job_id").equals(truth.sort("job_id"))
    assert found.set_aside.is_empty()


def test_damaged_list_kept_by_a_former_version_is_requested_again(api: Api, tmp_path: Path) -> None:
    truth = listed(api, tmp_path)
    for path in (tmp_path / "answers/requests").rglob("*.json"):
        if "details" in path.read_text():
            path.unlink()
    asking = service(api.url, tmp_path)
    window = {"from": str(MIDNIGHT), "to": str(MIDNIGHT + DAY_S), "limit": "100", "offset": "0"}
    asking.answers.put(asking.request(DETAILS, window), json.dumps(EMPTY).encode(), final=True)
    assert listed(api, tmp_path).equals(truth)


def test_jobs_damaged_by_turns_are_all_read_from_several_tries(api: Api, tmp_path: Path) -> None:
    whole = Oar(oar_job(1), oar_job(2))

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        if path != DETAILS or "state" in query:
            return None
        page = whole(path, query)
        page["items"][time % 2] = page["items"][time % 2] | {"walltime": None}
        return page

    api.answer = faulty(whole, fault)
    found = answered(api, tmp_path)
    assert ids(found.records) == [1, 2]
    assert found.set_aside.is_empty()


# Faults that stay


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no walltime", damage.NO_WALLTIME),
        ("no nodes", damage.NO_RESOURCES),
        ("no resources", damage.NO_RESOURCES),
        ("neither", damage.NO_RESOURCES),
    ],
)
def test_job_that_stays_damaged_is_rejected_and_counted(
    api: Api, tmp_path: Path, kind: str, reason: str
) -> None:
    whole = Oar(oar_job(1), oar_job(2))
    api.answer = lambda path, query: (
        DAMAGE[kind](whole(path, query))
        if path == DETAILS and "from" in query
        else whole(path, query)
    )
    found = answered(api, tmp_path)
    assert ids(found.records) == [2]
    assert reasons(found.set_aside) == {reason: (1, "1")}


def test_job_that_never_started_needs_no_walltime_or_resources(api: Api, tmp_path: Path) -> None:
    held = oar_job(3, state="Hold", start_time=0, stop_time=0, walltime=None)
    api.answer = Oar(oar_job(1), held | {"resources": [], "nodes": []})
    found = answered(api, tmp_path)
    assert (ids(found.records), found.set_aside.is_empty()) == ([1, 3], True)


@pytest.mark.parametrize("kind", ["empty", "no items"])
def test_day_that_stays_empty_while_oar_counts_jobs_is_refused_in_one_line(
    api: Api, tmp_path: Path, kind: str
) -> None:
    """Days 1 and 3 have a job each; the list of the third fails."""
    whole = Oar(oar_job(1), oar_job(2, start_time=MIDNIGHT + 2 * DAY_S + 60, stop_time=2**31))
    whole.jobs[1]["stop_time"] = MIDNIGHT + 2 * DAY_S + 120

    def fault(path: str, query: dict[str, str], _: int) -> Any:
        last = path == DETAILS and query.get("from") == str(MIDNIGHT + 2 * DAY_S)
        return DAMAGE[kind](whole(path, query)) if last else None

    api.answer = faulty(whole, fault)
    with pytest.raises(Refused) as error:
        answered(api, tmp_path, days=3)
    line = str(error.value)
    assert line.startswith(f"{DETAILS}: lists 1 of the 2 jobs that OAR counts, and lacks jobs of ")
    assert "2025-03-05" in line
    assert "download.jobs" in line
    assert "\n" not in line


def test_empty_day_is_believed_after_four_answers_and_counted(api: Api, tmp_path: Path) -> None:
    """Nothing runs on the second of three days; ids 11 to 39 were lost, or are of other uses."""
    late = MIDNIGHT + 2 * DAY_S
    api.answer = Oar(
        oar_job(10), oar_job(40, submission_time=late, start_time=late + 9, stop_time=late + 99)
    )
    found = answered(api, tmp_path, days=3)
    assert ids(found.records) == [10, 40]
    assert reasons(found.set_aside) == {
        completeness.EMPTY_DAYS: (1, "2025-03-04"),
        completeness.MISSING_IDS: (29, "2025-03-04: 11 to 39"),
    }
    empty = [query for path, query in api.asked if path == DETAILS]
    assert sum(query["from"] == str(MIDNIGHT + DAY_S) for query in empty) == 4
    assert found.set_aside["source"].unique().to_list() == ["oarapi jobs/details"]
    assert tables.SetAside.is_valid(found.set_aside)


def test_list_shorter_than_the_count_is_counted(api: Api, tmp_path: Path) -> None:
    api.answer = Oar(oar_job(1), more=1)
    found = answered(api, tmp_path)
    assert ids(found.records) == [1]
    assert reasons(found.set_aside) == {completeness.COUNTED_ONLY: (1, "2 counted, 1 listed")}


def test_running_job_over_its_walltime_is_expected_in_no_list(api: Api, tmp_path: Path) -> None:
    """OAR counts it on each day, and does not list it; without jobs, a day is in doubt as ever."""
    lost = oar_job(9, state="Running", start_time=MIDNIGHT - 99 * DAY_S, stop_time=0)
    whole = Oar(oar_job(10), oar_job(20, start_time=MIDNIGHT + 2 * DAY_S + 9), more=1)
    whole.jobs[1]["stop_time"] = MIDNIGHT + 2 * DAY_S + 99
    whole.overdue = [lost, lost | {"id": 8, "walltime": 100 * DAY_S}]
    api.answer = whole
    found = answered(api, tmp_path, days=3)
    assert ids(found.records) == [10, 20]
    assert reasons(found.set_aside) == {
        completeness.EMPTY_DAYS: (1, "2025-03-04"),
        completeness.MISSING_IDS: (9, "2025-03-04: 11 to 19"),
    }
    assert n_asked(api, DETAILS) == 1 + 4 + 1
    assert len([query for _, query in api.asked if "state" in query]) == 2


def test_overdue_jobs_count_after_their_walltime_alone(api: Api, tmp_path: Path) -> None:
    """One runs since noon of the first day, with a walltime of one day."""
    noon = MIDNIGHT + DAY_S // 2
    whole = Oar()
    whole.overdue = [oar_job(1, state="Running", start_time=noon, stop_time=0, walltime=DAY_S)]
    api.answer = whole
    overdue = Overdue(service(api.url, tmp_path), "nancy")
    counts = [overdue.count(START + n * DAY, START + (n + 1) * DAY) for n in range(-1, 4)]
    assert counts == [0, 0, 0, 1, 1]


def test_count_that_fails_is_counted(api: Api, tmp_path: Path) -> None:
    whole = Oar(oar_job(1), oar_job(2))
    api.answer = lambda path, query: EMPTY if path == COUNT else whole(path, query)
    found = answered(api, tmp_path)
    assert ids(found.records) == [1, 2]
    assert reasons(found.set_aside) == {completeness.LISTED_ONLY: (2, "0 counted, 2 listed")}
    assert n_asked(api, COUNT) == 4


def test_jobs_missing_while_others_run_are_listed_again(api: Api, tmp_path: Path) -> None:
    """A job that the first list lacks, as it was running over its walltime, is there later."""
    running = oar_job(1, state="Running", stop_time=0)
    whole, less = Oar(running, oar_job(2)), Oar(running)

    def fault(path: str, query: dict[str, str], time: int) -> Any:
        return less(path, query) if path == DETAILS and time == 1 else None

    api.answer = faulty(whole, fault)
    found = answered(api, tmp_path)
    assert ids(found.records)[-1] == 2
    assert found.set_aside.is_empty()
    assert n_asked(api, DETAILS) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_count_that_is_not_open_stops_nothing(api: Api, tmp_path: Path, status: int) -> None:
    whole = Oar(oar_job(1))
    api.answer = lambda path, query: (status, "no") if path == COUNT else whole(path, query)
    found = answered(api, tmp_path)
    assert (ids(found.records), found.set_aside.is_empty()) == ([1], True)


# Days without jobs


def record(job_id: int, **changes: Any) -> dict[str, Any]:
    return dict.fromkeys(oar.RECORD) | {"job_id": job_id, "submitted_at": MIDNIGHT} | changes


@pytest.mark.parametrize(
    ("spans", "days", "jump"),
    [
        ({}, "2025-03-03 to 2025-03-07", None),
        ({1: (-9, 9)}, None, None),
        ({1: (0, None)}, None, None),  # it still runs
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
def test_days_without_jobs_are_named_with_the_ids_missing_across_them(
    spans: dict[int, tuple[float, float | None]], days: str | None, jump: str | None
) -> None:
    rows = [
        record(
            number,
            submitted_at=MIDNIGHT + round(first * DAY_S),
            started_at=MIDNIGHT + round(first * DAY_S),
            stopped_at=None if last is None else MIDNIGHT + round(last * DAY_S),
        )
        for number, (first, last) in spans.items()
    ]
    found = completeness.days_without_jobs(
        pl.DataFrame(rows, schema=oar.RECORD), start=START, end=START + 5 * DAY, source="x"
    )
    told = {row["reason"]: row["example"] for row in found.to_dicts()}
    expected = {completeness.EMPTY_DAYS: days, completeness.MISSING_IDS: jump}
    assert told == {reason: text for reason, text in expected.items() if text is not None}


def test_job_that_never_started_counts_on_the_day_of_its_submission() -> None:
    rows = [record(1, submitted_at=MIDNIGHT + 9), record(2, submitted_at=MIDNIGHT + DAY_S - 1)]
    found = completeness.days_without_jobs(
        pl.DataFrame(rows, schema=oar.RECORD), start=START, end=START + 2 * DAY, source="x"
    )
    assert reasons(found) == {completeness.EMPTY_DAYS: (1, "2025-03-04")}


# Real answers


def test_recorded_answers_of_oar_are_not_in_doubt(shared_data: Path) -> None:
    names = ["jobs-details-from-to", "jobs-details-all-ended", "jobs-details-limit-past-end"]
    for name in names:
        page = json.loads((shared_data / f"oar/rest/{name}.json").read_text())
        items = page["items"]
        found = oar.parse_jobs(page, file="", resources={})
        assert damage.damaged_jobs(items, found) == {}
        limit = 5 if "limit" in name else 500
        offset = 1000 if "past-end" in name else 0
        total = damage.whole_total(page)
        doubt = damage.page_doubt(
            len(items), total, offset=offset, limit=limit, n_seen=page["total"]
        )
        assert doubt is None


# Faults of the served site


@pytest.fixture(scope="module")
def nancy() -> Iterator[Served]:
    with serving(simulated("2025-03-30", "2025-04-01")) as served:
        yield served


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_each_fault_of_served_lists_leaves_the_jobs_right(
    nancy: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    faults = serve.Faults(rate=1.0, kinds=[kind])
    window = {"start": nancy.site.start, "end": nancy.site.end}
    with serve.running(simulated("2025-03-30", "2025-04-01"), faults=faults) as server:
        loaded = settings.load(
            {
                "study": {"site": "nancy", "start": "2025-03-30", "end": "2025-04-01"},
                "source": {"kind": "grid5000", "url": server.url},
                "download": {"wait_s": 0.01},
                "privacy": {"key": "public"},
            }
        )
        planned = study.plan(loaded)
        site = Grid5000Site.from_config(planned.source, site="nancy", download=loaded["download"])
        found = site.jobs(**window)
    expected = nancy.site.jobs(**window)
    assert faults.counts[kind] > 0
    assert found.set_aside.collect().is_empty()
    held = [tables.conform(tables.Allocations, each.allocations) for each in (found, expected)]
    assert_frame_equal(*held)
    one, other = (tables.conform(tables.Jobs, each.jobs) for each in (found, expected))
    if kind == "twice_encoded":
        other = other.with_columns(pl.col("directory") + "/entraîné")
    assert_frame_equal(one, other)


def test_list_faults_are_what_oar_gives() -> None:
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
    assert damage_list("cut_jobs", json.dumps(EMPTY).encode()) == json.dumps(EMPTY).encode()


def test_list_faults_happen_to_lists_of_jobs_alone() -> None:
    internal = "/stable/sites/nancy/internal/oarapi"
    assert list_kinds(f"{internal}/jobs/details.json") == LIST_KINDS
    assert list_kinds(f"{internal}/jobs.json") == LIST_KINDS[:2]
    assert list_kinds("/sites/nancy/jobs") == ("twice_encoded",)
    for path in ("/sites/nancy/jobs/7", f"{internal}/jobs/7/details.json", "/sites/nancy/metrics"):
        assert list_kinds(path) == ()


def test_study_before_2020_is_refused_before_anything_is_asked() -> None:
    raw = {"source": {"kind": "grid5000"}, "privacy": {"key": "public"}}
    window = {"site": "nancy", "start": "2019-12-31", "end": "2020-02-01"}
    with pytest.raises(InputError) as error:
        settings.load(raw | {"study": window})
    line = str(error.value)
    assert line.startswith("study.start: 2019-12-31 is before 2020-01-01: ")
    assert "power before March 2020" in line
    assert "\n" not in line
    assert settings.load(raw | {"study": window | {"start": "2020-01-01"}})
    assert datetime.fromisoformat("2020-01-01").replace(tzinfo=UTC) <= START
