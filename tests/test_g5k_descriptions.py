"""Hardware from the Reference API: as it was, and from when to when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from answers import node, page
from asking import DAY, METRIC, Api, answering, service, set_clock
from hypothesis import given
from hypothesis import strategies as st

from footprint.errors import InputError
from footprint.site.grid5000 import descriptions
from footprint.site.grid5000.descriptions import Descriptions
from footprint.site.grid5000.refusals import Refused
from footprint.site.reference import UNKNOWN_SINCE

CLUSTERS = "/sites/nancy/clusters"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class History:
    """The Reference API, with what changed on some days: clusters, each a dict of its nodes."""

    def __init__(self, **since: dict[str, Any]) -> None:
        self.since = sorted(
            (day(f"{name[1:5]}-{name[5:7]}-{name[7:]}"), state) for name, state in since.items()
        )
        self.metrics: dict[str, list[dict[str, Any]]] = {}

    def at(self, moment: datetime) -> dict[str, Any]:
        return [state for since, state in self.since if since <= moment][-1]

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        if path == "/sites":
            return page({"uid": "nancy"}, {"uid": "lyon"})
        if not path.startswith("/sites/nancy/"):
            return 404, "Cannot find resource"
        assert query["queues"] == "all"
        clusters = self.at(datetime.fromtimestamp(int(query["timestamp"]), UTC))
        usual = [{"name": METRIC, "period": 5000}]
        if path == CLUSTERS:
            return page(
                *({"uid": uid, "metrics": self.metrics.get(uid, usual)} for uid in clusters)
            )
        cluster = path.split("/")[4]
        if cluster not in clusters:
            return 404, f"Cannot find resource {path}"
        return page(*clusters[cluster].values())


def nodes(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: node(name, **changes) for name in names}


GROS = nodes("gros-1", "gros-2")
ALWAYS = {"d20000101": {"gros": GROS}}


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(History(**ALWAYS)) as running:
        yield running


def described(
    api: Api, folder: Path, start: str = "2025-03-03", end: str = "2025-03-04"
) -> Descriptions:
    return Descriptions(service(api.url, folder), site="nancy", start=day(start), end=day(end))


def rows(found: Descriptions, *clusters: str) -> list[tuple[Any, ...]]:
    """Node, cores, and from when to when; the ends of time are None."""
    return [
        (
            row["node"],
            row["n_cores"],
            None if row["valid_from"] == UNKNOWN_SINCE else f"{row['valid_from']:%Y-%m-%d %H:%M}",
            row["valid_until"] and f"{row['valid_until']:%Y-%m-%d %H:%M}",
        )
        for row in found.node_rows(clusters or found.clusters(), concurrency=2)
    ]


def timestamps(api: Api, path: str = CLUSTERS) -> list[str]:
    """Times that were asked for, sorted."""
    return [
        f"{datetime.fromtimestamp(int(query['timestamp']), UTC):%Y-%m-%d %H:%M:%S}"
        for at, query in sorted(api.asked, key=lambda asked: int(asked[1]["timestamp"]))
        if at == path
    ]


# When


def test_the_first_and_last_day_and_each_month_between_are_asked_for(
    api: Api, tmp_path: Path
) -> None:
    """All queues: without, clusters of the production queue would be missing."""
    found = described(api, tmp_path, "2025-01-15", "2025-04-01")
    assert found.clusters() == ["gros"]
    assert timestamps(api) == [
        "2025-01-15 00:00:00",
        "2025-02-01 00:00:00",
        "2025-03-01 00:00:00",
        "2025-03-31 23:59:59",
    ]
    assert {query["queues"] for _, query in api.asked} == {"all"}


def test_what_was_answered_is_not_asked_for_again(api: Api, tmp_path: Path) -> None:
    first = rows(described(api, tmp_path))
    assert first == [("gros-1", 4, None, None), ("gros-2", 4, None, None)]
    assert len(api.asked) == 2 + 2  # clusters and nodes, at the start and at the end
    api.forget()
    assert rows(described(api, tmp_path)) == first
    assert api.asked == []


def test_the_last_hour_is_not_final(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, day("2025-03-04") + timedelta(minutes=30))
    described(api, tmp_path).clusters()
    api.forget()
    described(api, tmp_path).clusters()
    assert timestamps(api) == ["2025-03-03 23:59:59"]


# Changes


def test_changed_hardware_counts_from_the_day_of_the_change(api: Api, tmp_path: Path) -> None:
    """gros-2 has more cores from March 18 on; found in 5 steps from March 1 to April 1."""
    after = GROS | nodes("gros-2", n_cores=8)
    api.answer = History(**ALWAYS, d20250318={"gros": after})
    found = described(api, tmp_path, "2025-02-10", "2025-05-01")
    assert rows(found) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, "2025-03-18 00:00"),
        ("gros-2", 8, "2025-03-18 00:00", None),
    ]
    n_dates = len({query["timestamp"] for path, query in api.asked if path.endswith("/nodes")})
    assert n_dates == 4 + 5  # those of the study, and those in which the day was sought


def test_each_of_several_changes_has_its_day(api: Api, tmp_path: Path) -> None:
    """Two changes in one month, and one that is undone in a later one."""
    api.answer = History(
        **ALWAYS,
        d20250305={"gros": nodes("gros-1", "gros-2", n_cores=8)},
        d20250320={"gros": nodes("gros-1", n_cores=16) | nodes("gros-2", n_cores=8)},
        d20250410={"gros": nodes("gros-1") | nodes("gros-2", n_cores=8)},
    )
    assert rows(described(api, tmp_path, "2025-03-01", "2025-05-01")) == [
        ("gros-1", 4, None, "2025-03-05 00:00"),
        ("gros-1", 8, "2025-03-05 00:00", "2025-03-20 00:00"),
        ("gros-1", 16, "2025-03-20 00:00", "2025-04-10 00:00"),
        ("gros-1", 4, "2025-04-10 00:00", None),
        ("gros-2", 4, None, "2025-03-05 00:00"),
        ("gros-2", 8, "2025-03-05 00:00", None),
    ]


def test_retired_and_new_clusters_are_there_for_their_time(api: Api, tmp_path: Path) -> None:
    """grimani was retired on 2024-02-19; grue came on the 26th, with one node more in March."""
    old = nodes("grimani-1", n_cores=16)
    api.answer = History(
        d20000101={"gros": GROS, "grimani": old},
        d20240219={"gros": GROS},
        d20240226={"gros": GROS, "grue": nodes("grue-1")},
        d20240311={"gros": GROS, "grue": nodes("grue-1", "grue-2")},
    )
    found = described(api, tmp_path, "2024-02-01", "2024-04-01")
    assert found.clusters() == ["grimani", "gros", "grue"]
    assert rows(found, "grimani", "grue") == [
        ("grimani-1", 16, None, "2024-02-19 00:00"),
        ("grue-1", 4, "2024-02-26 00:00", None),
        ("grue-2", 4, "2024-03-11 00:00", None),
    ]
    # a cluster is not asked for where the list does not have it
    assert "2024-03-31 23:59:59" not in timestamps(api, f"{CLUSTERS}/grimani/nodes")


def test_a_node_that_is_away_for_a_while_has_two_periods(api: Api, tmp_path: Path) -> None:
    api.answer = History(
        **ALWAYS,
        d20250210={"gros": nodes("gros-1")},
        d20250310={"gros": GROS},
    )
    assert rows(described(api, tmp_path, "2025-02-01", "2025-04-01")) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, "2025-02-10 00:00"),
        ("gros-2", 4, "2025-03-10 00:00", None),
    ]


def test_a_cluster_whose_nodes_are_to_come(api: Api, tmp_path: Path) -> None:
    """It is declared without metrics and without nodes before it opens."""
    history = History(
        d20000101={"gros": GROS, "grue": {}},
        d20250303={"gros": GROS, "grue": nodes("grue-1")},
    )
    history.metrics["grue"] = []
    api.answer = history
    found = described(api, tmp_path, "2025-03-01", "2025-03-05")
    assert rows(found) == [
        ("gros-1", 4, None, None),
        ("gros-2", 4, None, None),
        ("grue-1", 4, "2025-03-03 00:00", None),
    ]


def test_a_metric_that_is_collected_from_some_day_on(api: Api, tmp_path: Path) -> None:
    """It makes another description of the node."""

    def answer(path: str, query: dict[str, str]) -> Any:
        history = History(**ALWAYS)
        late = int(query["timestamp"]) >= day("2025-03-03").timestamp()
        history.metrics["gros"] = [{"name": METRIC, "period": 5000 if late else 0}]
        return history(path, query)

    api.answer = answer
    found = described(api, tmp_path, "2025-03-01", "2025-03-05")
    assert [
        (row["power_metrics"], row["valid_until"])
        for row in found.node_rows(["gros"], concurrency=1)
    ][:2] == [([], day("2025-03-03")), ([METRIC], None)]
    assert found.metrics("gros") == [{"name": METRIC, "period": 5000}]
    assert found.metrics("grue") == []


@given(
    changes=st.lists(st.integers(1, 27), min_size=1, max_size=4, unique=True),
    start=st.integers(1, 27),
)
def test_days_of_changes_are_found_where_none_is_undone(changes: list[int], start: int) -> None:
    """Each change is another description, so that any two days tell whether one lies between."""
    dates = sorted(day(f"2025-03-{each:02}") for each in changes)

    def rows_at(moment: datetime) -> descriptions.Rows:
        return {"gros-1": {"n_cores": sum(since <= moment for since in dates)}}

    first, last = day(f"2025-03-{start:02}"), day("2025-03-28") - timedelta(seconds=1)
    found = Descriptions.__new__(Descriptions)._changes(rows_at, (first, rows_at(first)), last)
    expected = [each for each in dates if each > first]
    assert [since for since, _ in found] == expected


# What goes wrong


def test_an_unknown_site_is_told_with_those_that_there_are(api: Api, tmp_path: Path) -> None:
    found = Descriptions(
        service(api.url, tmp_path), site="nanzig", start=day("2025-03-03"), end=day("2025-03-04")
    )
    with pytest.raises(InputError, match=r"no site nanzig; choose among lyon, nancy$"):
        found.clusters()


def test_a_site_without_clusters(api: Api, tmp_path: Path) -> None:
    api.answer = History(d20000101={})
    with pytest.raises(InputError) as error:
        described(api, tmp_path).clusters()
    assert str(error.value) == (
        "/sites/nancy: has no cluster from 2025-03-03 to 2025-03-03; check study.site and the days"
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
def test_what_is_no_whole_list_is_not_kept(api: Api, tmp_path: Path, answer: Any) -> None:
    api.answer = lambda *_: answer
    with pytest.raises(InputError, match=f"{CLUSTERS}: answers no whole list; check that source"):
        described(api, tmp_path).clusters()
    api.answer = History(**ALWAYS)
    assert described(api, tmp_path).clusters() == ["gros"]


@pytest.mark.parametrize("path", [CLUSTERS, f"{CLUSTERS}/gros/nodes"])
def test_a_service_that_does_not_answer_is_told_in_a_line(
    api: Api, tmp_path: Path, path: str
) -> None:
    history = History(**ALWAYS)
    api.answer = lambda at, query: (503, "closed") if at == path else history(at, query)
    with pytest.raises(Refused, match=rf"^{path}: does not answer \(503: closed\)"):
        rows(described(api, tmp_path))


def test_a_refused_cluster_is_no_missing_one(api: Api, tmp_path: Path) -> None:
    history = History(**ALWAYS)
    api.answer = lambda at, query: (403, "no") if at.endswith("nodes") else history(at, query)
    with pytest.raises(Refused, match="may not ask for it"):
        rows(described(api, tmp_path))


def test_a_period_of_a_day(api: Api, tmp_path: Path) -> None:
    """A change within it counts from its end on: of a day one does not know more."""
    api.answer = History(**ALWAYS, d20250304={"gros": nodes("gros-1", n_cores=8)})
    found = Descriptions(
        service(api.url, tmp_path),
        site="nancy",
        start=day("2025-03-03") + DAY / 2,
        end=day("2025-03-04") + DAY / 2,
    )
    assert rows(found) == [
        ("gros-1", 4, None, "2025-03-04 11:59"),
        ("gros-1", 8, "2025-03-04 11:59", None),
        ("gros-2", 4, None, "2025-03-04 11:59"),
    ]


def test_the_snakefile_asks_for_clusters_without_what_only_rules_need(
    api: Api, tmp_path: Path
) -> None:
    """It does so on every start, and some libraries take longer to load than all else."""
    source = {"kind": "grid5000", "start": "2025-03-03", "end": "2025-03-04", "url": api.url}
    source |= {"credentials": None, "ca_bundle": None, "answers": str(tmp_path / "answers")}
    download = {"retries": 0, "wait_s": 0.01, "timeout_s": 120, "concurrency": 1}
    code = (
        "import sys; from footprint import site, study; "
        f"print(site.clusters_of({source}, site='nancy', download={download})); "
        "print([name for name in ('dataframely', 'adbc_driver_postgresql') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(described(api, tmp_path).clusters()), "[]"]
