"""Hardware from the Reference API, and the times for which it is valid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.config import study
from footprint.core.errors import InputError
from footprint.sources import registry
from footprint.sources.grid5000 import descriptions
from footprint.sources.grid5000.descriptions import Descriptions
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.reference_api.descriptions import UNKNOWN_SINCE
from tests.support.api_answers import collection_page, reference_node
from tests.support.http_service import DAY, POWER_METRIC, Api, open_service, running_api, set_clock

CLUSTERS = "/sites/nancy/clusters"


def utc_day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class History:
    """A Reference API whose clusters, each a dict of its nodes, change on some days."""

    def __init__(self, **since: dict[str, Any]) -> None:
        self.since = sorted(
            (utc_day(f"{name[1:5]}-{name[5:7]}-{name[7:]}"), state) for name, state in since.items()
        )
        self.metrics: dict[str, list[dict[str, Any]]] = {}

    def state_at(self, moment: datetime) -> dict[str, Any]:
        return [state for since, state in self.since if since <= moment][-1]

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        if path == "/sites":
            return collection_page({"uid": "nancy"}, {"uid": "lyon"})
        if not path.startswith("/sites/nancy/"):
            return 404, "Cannot find resource"
        assert query["queues"] == "all"
        clusters = self.state_at(datetime.fromtimestamp(int(query["timestamp"]), UTC))
        default = [{"name": POWER_METRIC, "period": 5000}]
        if path == CLUSTERS:
            return collection_page(
                *({"uid": uid, "metrics": self.metrics.get(uid, default)} for uid in clusters)
            )
        cluster = path.split("/")[4]
        if cluster not in clusters:
            return 404, f"Cannot find resource {path}"
        return collection_page(*clusters[cluster].values())


def described_nodes(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: reference_node(name, **changes) for name in names}


GROS = described_nodes("gros-1", "gros-2")
ALWAYS = {"d20000101": {"gros": GROS}}


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(History(**ALWAYS)) as running:
        yield running


def descriptions_of(
    api: Api, folder: Path, start: str = "2025-03-03", end: str = "2025-03-04"
) -> Descriptions:
    return Descriptions(
        open_service(api.url, folder), site="nancy", start=utc_day(start), end=utc_day(end)
    )


def node_periods(found: Descriptions, *clusters: str) -> list[tuple[Any, ...]]:
    """Return node, cores, start and end of each row; None stands for no start and no end."""
    return [
        (
            row["node"],
            row["n_cores"],
            None if row["valid_from"] == UNKNOWN_SINCE else f"{row['valid_from']:%Y-%m-%d %H:%M}",
            row["valid_until"] and f"{row['valid_until']:%Y-%m-%d %H:%M}",
        )
        for row in found.node_rows(clusters or found.clusters(), concurrency=2)
    ]


def requested_times(api: Api, path: str = CLUSTERS) -> list[str]:
    """Return the requested times, sorted."""
    return [
        f"{datetime.fromtimestamp(int(query['timestamp']), UTC):%Y-%m-%d %H:%M:%S}"
        for requested, query in sorted(api.requests, key=lambda each: int(each[1]["timestamp"]))
        if requested == path
    ]


# Requested dates


def test_requests_are_for_the_first_and_last_day_and_each_month_between(
    api: Api, tmp_path: Path
) -> None:
    """Without `queues=all`, clusters of the production queue would be missing."""
    found = descriptions_of(api, tmp_path, "2025-01-15", "2025-04-01")
    assert found.clusters() == ["gros"]
    assert requested_times(api) == [
        "2025-01-15 00:00:00",
        "2025-02-01 00:00:00",
        "2025-03-01 00:00:00",
        "2025-03-31 23:59:59",
    ]
    assert {query["queues"] for _, query in api.requests} == {"all"}


def test_second_run_makes_no_request(api: Api, tmp_path: Path) -> None:
    first = node_periods(descriptions_of(api, tmp_path))
    assert first == [("gros-1", 4, None, None), ("gros-2", 4, None, None)]
    assert len(api.requests) == 2 + 2  # clusters and nodes, at the start and at the end
    api.clear_requests()
    assert node_periods(descriptions_of(api, tmp_path)) == first
    assert api.requests == []


def test_answer_about_the_last_hour_is_requested_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, utc_day("2025-03-04") + timedelta(minutes=30))
    descriptions_of(api, tmp_path).clusters()
    api.clear_requests()
    descriptions_of(api, tmp_path).clusters()
    assert requested_times(api) == ["2025-03-03 23:59:59"]


# Changes


def test_changed_hardware_is_valid_from_the_day_of_the_change(api: Api, tmp_path: Path) -> None:
    """gros-2 has more cores from March 18 on; the search from March 1 to April 1 takes 5 steps."""
    after = GROS | described_nodes("gros-2", n_cores=8)
    api.answer = History(**ALWAYS, d20250318={"gros": after})
    found = descriptions_of(api, tmp_path, "2025-02-10", "2025-05-01")
    assert node_periods(found) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, "2025-03-18 00:00"),
        ("gros-2", 8, "2025-03-18 00:00", None),
    ]
    n_dates = len({query["timestamp"] for path, query in api.requests if path.endswith("/nodes")})
    assert n_dates == 4 + 5  # dates of the study, and of the search


def test_each_of_several_changes_is_valid_from_its_day(api: Api, tmp_path: Path) -> None:
    """Two changes in one month, of which one is undone in a later one."""
    api.answer = History(
        **ALWAYS,
        d20250305={"gros": described_nodes("gros-1", "gros-2", n_cores=8)},
        d20250320={
            "gros": described_nodes("gros-1", n_cores=16) | described_nodes("gros-2", n_cores=8)
        },
        d20250410={"gros": described_nodes("gros-1") | described_nodes("gros-2", n_cores=8)},
    )
    assert node_periods(descriptions_of(api, tmp_path, "2025-03-01", "2025-05-01")) == [
        ("gros-1", 4, None, "2025-03-05 00:00"),
        ("gros-1", 8, "2025-03-05 00:00", "2025-03-20 00:00"),
        ("gros-1", 16, "2025-03-20 00:00", "2025-04-10 00:00"),
        ("gros-1", 4, "2025-04-10 00:00", None),
        ("gros-2", 4, None, "2025-03-05 00:00"),
        ("gros-2", 8, "2025-03-05 00:00", None),
    ]


def test_retired_and_new_clusters_are_valid_while_they_exist(api: Api, tmp_path: Path) -> None:
    """grimani was retired on 2024-02-19; grue opened on the 26th, with one more node in March."""
    old = described_nodes("grimani-1", n_cores=16)
    api.answer = History(
        d20000101={"gros": GROS, "grimani": old},
        d20240219={"gros": GROS},
        d20240226={"gros": GROS, "grue": described_nodes("grue-1")},
        d20240311={"gros": GROS, "grue": described_nodes("grue-1", "grue-2")},
    )
    found = descriptions_of(api, tmp_path, "2024-02-01", "2024-04-01")
    assert found.clusters() == ["grimani", "gros", "grue"]
    assert node_periods(found, "grimani", "grue") == [
        ("grimani-1", 16, None, "2024-02-19 00:00"),
        ("grue-1", 4, "2024-02-26 00:00", None),
        ("grue-2", 4, "2024-03-11 00:00", None),
    ]
    # a cluster is not requested at dates whose list lacks it
    assert "2024-03-31 23:59:59" not in requested_times(api, f"{CLUSTERS}/grimani/nodes")


def test_node_absent_for_a_month_has_two_rows(api: Api, tmp_path: Path) -> None:
    api.answer = History(
        **ALWAYS,
        d20250210={"gros": described_nodes("gros-1")},
        d20250310={"gros": GROS},
    )
    assert node_periods(descriptions_of(api, tmp_path, "2025-02-01", "2025-04-01")) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, "2025-02-10 00:00"),
        ("gros-2", 4, "2025-03-10 00:00", None),
    ]


def test_cluster_declared_before_its_nodes_has_rows_from_their_day(
    api: Api, tmp_path: Path
) -> None:
    """Before it opens, the cluster has no metrics and no nodes."""
    history = History(
        d20000101={"gros": GROS, "grue": {}},
        d20250303={"gros": GROS, "grue": described_nodes("grue-1")},
    )
    history.metrics["grue"] = []
    api.answer = history
    found = descriptions_of(api, tmp_path, "2025-03-01", "2025-03-05")
    assert node_periods(found) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, None),
        ("grue-1", 4, "2025-03-03 00:00", None),
    ]


def test_change_of_a_metric_makes_a_new_row(api: Api, tmp_path: Path) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        history = History(**ALWAYS)
        is_late = int(query["timestamp"]) >= utc_day("2025-03-03").timestamp()
        history.metrics["gros"] = [{"name": POWER_METRIC, "period": 5000 if is_late else 0}]
        return history(path, query)

    api.answer = answer
    found = descriptions_of(api, tmp_path, "2025-03-01", "2025-03-05")
    assert [
        (row["power_metrics"], row["valid_until"])
        for row in found.node_rows(["gros"], concurrency=1)
    ][:2] == [([], utc_day("2025-03-03")), ([POWER_METRIC], None)]
    assert found.metrics("gros") == [{"name": POWER_METRIC, "period": 5000}]
    assert found.metrics("grue") == []


@given(
    changes=st.lists(st.integers(1, 27), min_size=1, max_size=4, unique=True),
    start=st.integers(1, 27),
)
def test_search_finds_every_change_that_is_not_undone(changes: list[int], start: int) -> None:
    """Each change gives another description, so that two days differ if one lies between."""
    dates = sorted(utc_day(f"2025-03-{each:02}") for each in changes)

    def rows_at(moment: datetime) -> descriptions.RowsByNode:
        return {"gros-1": {"n_cores": sum(since <= moment for since in dates)}}

    first, last = utc_day(f"2025-03-{start:02}"), utc_day("2025-03-28") - timedelta(seconds=1)
    found = Descriptions.__new__(Descriptions)._changes(rows_at, (first, rows_at(first)), last)
    expected = [each for each in dates if each > first]
    assert [since for since, _ in found] == expected


# Errors


def test_unknown_site_is_refused_with_the_existing_ones(api: Api, tmp_path: Path) -> None:
    found = Descriptions(
        open_service(api.url, tmp_path),
        site="nanzig",
        start=utc_day("2025-03-03"),
        end=utc_day("2025-03-04"),
    )
    with pytest.raises(
        InputError, match=r"site nanzig does not exist; set it to one of lyon, nancy$"
    ):
        found.clusters()


def test_site_without_clusters_is_refused(api: Api, tmp_path: Path) -> None:
    api.answer = History(d20000101={})
    with pytest.raises(InputError) as error:
        descriptions_of(api, tmp_path).clusters()
    assert str(error.value) == (
        "/sites/nancy: has no cluster from 2025-03-03 to 2025-03-03; fix study.site or the days"
    )


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"items": {}},
        {"title": "welcome"},
        {"items": [{"uid": "gros"}], "total": 2},
        {"items": ["gros"]},
        {"items": [{"name": "gros"}], "total": None},
    ],
)
def test_incomplete_list_is_refused_and_not_kept(api: Api, tmp_path: Path, answer: Any) -> None:
    api.answer = lambda *_: answer
    with pytest.raises(InputError, match=f"{CLUSTERS}: returned an incomplete list; set source"):
        descriptions_of(api, tmp_path).clusters()
    api.answer = History(**ALWAYS)
    assert descriptions_of(api, tmp_path).clusters() == ["gros"]


@pytest.mark.parametrize("path", [CLUSTERS, f"{CLUSTERS}/gros/nodes"])
def test_service_without_an_answer_is_refused_in_one_line(
    api: Api, tmp_path: Path, path: str
) -> None:
    history = History(**ALWAYS)
    api.answer = lambda requested, query: (
        (503, "closed") if requested == path else history(requested, query)
    )
    with pytest.raises(Refused, match=rf"^{path}: does not answer \(503: closed\)"):
        node_periods(descriptions_of(api, tmp_path))


def test_refused_cluster_is_an_error(api: Api, tmp_path: Path) -> None:
    history = History(**ALWAYS)
    api.answer = lambda path, query: (403, "no") if path.endswith("nodes") else history(path, query)
    with pytest.raises(Refused, match="has no access"):
        node_periods(descriptions_of(api, tmp_path))


def test_change_within_a_window_of_a_day_is_valid_from_its_end(api: Api, tmp_path: Path) -> None:
    """Times within a day are not searched."""
    api.answer = History(**ALWAYS, d20250304={"gros": described_nodes("gros-1", n_cores=8)})
    found = Descriptions(
        open_service(api.url, tmp_path),
        site="nancy",
        start=utc_day("2025-03-03") + DAY / 2,
        end=utc_day("2025-03-04") + DAY / 2,
    )
    assert node_periods(found) == [
        ("gros-1", 4, None, "2025-03-04 11:59"),
        ("gros-1", 8, "2025-03-04 11:59", None),
        ("gros-2", 4, None, "2025-03-04 11:59"),
    ]


def test_clusters_load_no_library_that_only_rules_need(api: Api, tmp_path: Path) -> None:
    """The Snakefile lists the clusters at each start, and some libraries load slowly."""
    source = {"kind": "grid5000", "start": "2025-03-03", "end": "2025-03-04", "url": api.url}
    source |= {"credentials": None, "ca_bundle": None, "answers": str(tmp_path / "answers")}
    download = {"retries": 0, "wait_s": 0.01, "timeout_s": 120, "concurrency": 1}
    clusters_of = registry.source_clusters.__name__
    code = (
        f"import sys; import {study.__name__}; "
        f"from {registry.__name__} import {clusters_of}; "
        f"print({clusters_of}({source}, site='nancy', download={download})); "
        "print([name for name in ('dataframely', 'adbc_driver_postgresql') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(descriptions_of(api, tmp_path).clusters()), "[]"]
