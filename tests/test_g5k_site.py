"""A site over its services: nodes, jobs, states, power and devices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answers import g5k_job, page
from asking import DAY, FORMER, HOUR, METRIC, Api, Kwollect, answering, config, reading
from describing import Reference
from polars.testing import assert_frame_equal
from serving import Served, serving
from serving import config as simulated

from footprint import settings, study, tables
from footprint.errors import InputError
from footprint.site import open_site
from footprint.site.grid5000 import samples
from footprint.site.grid5000.site import Grid5000Site

START = datetime(2025, 3, 3, tzinfo=UTC)
END = START + DAY
WINDOW = {"start": START, "end": END}
GPU_POWER = "prom_DCGM_FI_DEV_POWER_USAGE"
STATES = "/sites/nancy/footprint/states"


@pytest.fixture
def reference() -> Reference:
    return Reference(gros=2, gruss=2)


@pytest.fixture
def api(reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)  # answers are kept below the folder of the study
    with answering(reference) as running:
        yield running


def opened(api: Api, **changes: Any) -> Grid5000Site:
    """The site as a rule's script opens it."""
    loaded = config(api.url, privacy={"key": "public"}, **changes)
    planned = study.plan(loaded)
    site = open_site(planned.source, site=planned.site, download=loaded["download"])
    assert isinstance(site, Grid5000Site)
    return site


# All of a simulated site


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(simulated("2025-03-30", "2025-04-01")) as running:
        yield running


@pytest.fixture
def same(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid5000Site:
    """The simulated site, over its services."""
    monkeypatch.chdir(tmp_path)
    loaded = settings.load(
        {
            "study": {"site": "nancy", "start": "2025-03-30", "end": "2025-04-01"},
            "source": {
                "kind": "grid5000",
                "url": served.server.url,
            },
            "download": {"wait_s": 0.01, "chunks": {"hours": 6, "nodes": 2}},
            "privacy": {"key": "public"},
        }
    )
    planned = study.plan(loaded)
    return Grid5000Site.from_config(planned.source, site="nancy", download=loaded["download"])


def test_nodes_and_jobs_are_those_that_are_served(served: Served, same: Grid5000Site) -> None:
    site = served.site
    window = {"start": site.start, "end": site.end}
    assert_frame_equal(same.nodes().collect(), tables.conform(tables.Nodes, site.nodes()))
    found, expected = same.jobs(**window), site.jobs(**window)
    for name, schema in (("jobs", tables.Jobs), ("allocations", tables.Allocations)):
        one, other = (getattr(each, name) for each in (found, expected))
        assert_frame_equal(tables.conform(schema, one), tables.conform(schema, other))
    # days are asked for one by one, so that long jobs come twice: not worth a word
    assert found.set_aside.collect().is_empty()


def test_power_and_devices_are_those_that_are_served(served: Served, same: Grid5000Site) -> None:
    window = {"start": served.site.start, "end": served.site.start + 0.6 * DAY}
    for cluster in ("graffiti", "gres"):
        asked = {"metric": METRIC, "cluster": cluster, **window}
        found, expected = list(same.power(**asked)), list(served.site.power(**asked))
        assert [set(frame["node"]) for frame in found] == [set(each["node"]) for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert not one["from_summary"].any()
            assert_frame_equal(
                one.drop("from_summary").sort("timestamp"),
                other.select("node", "timestamp", "power_w").sort("timestamp"),
            )
    asked = {"metric": GPU_POWER, "cluster": "graffiti", **window}
    found, expected = list(same.devices(**asked)), list(served.site.devices(**asked))
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        assert one.columns == ["node", "labels", "timestamp", "value"]
        key = ["timestamp", "labels"]
        assert_frame_equal(one.sort(key), other.select(one.columns).sort(key))


# Jobs


def test_jobs_that_were_listed_beside_those_wanted_are_no_loss(
    api: Api, reference: Reference
) -> None:
    """Twice the same, one long before the study and one of another cluster."""
    core = {"resources_by_type": {"cores": ["gruss-1.nancy.grid5000.fr/0"]}}
    noon, old = int((START + 12 * HOUR).timestamp()), int((START - 9 * DAY).timestamp())
    during = {"submitted_at": noon - 60, "started_at": noon, "stopped_at": noon + 60}
    before = {"submitted_at": old - 60, "started_at": old, "stopped_at": old + 60}
    elsewhere = {"resources_by_type": {"cores": ["grele-1.nancy.grid5000.fr/0"]}}
    listed = [
        g5k_job(4, **during, **elsewhere),
        g5k_job(3, **during, **core, name="again"),
        g5k_job(3, **during, **core),
        g5k_job(2, **before, **core),
    ]

    def answer(path: str, query: dict[str, str]) -> Any:
        if path == "/sites/nancy/jobs":
            return page(*listed) | ({} if query["offset"] == "0" else {"items": []})
        return reference(path, query)

    api.answer = answer
    found = opened(api, download={"jobs": "jobs"}).jobs(**WINDOW)
    assert found.jobs.collect()["job_id"].to_list() == [3]
    assert found.allocations.collect().select("job_id", "node").rows() == [(3, "gruss-1")]
    aside = found.set_aside.collect().select("reason", "n_rows", "example").rows()
    assert aside == [("on other clusters only", 1, "4")]


def test_days_without_jobs_are_counted_beside_rejected_rows(api: Api, reference: Reference) -> None:
    noon = int((START + 12 * HOUR).timestamp())
    times = {"submitted_at": noon - 60, "started_at": noon, "stopped_at": noon + 60}
    core = {"resources_by_type": {"cores": ["gruss-1.nancy.grid5000.fr/0"]}}

    def answer(path: str, query: dict[str, str]) -> Any:
        if path == "/sites/nancy/jobs":
            whole = page(g5k_job(3, **times, **core))
            return whole | ({} if query["offset"] == "0" else {"items": []})
        return reference(path, query)

    api.answer = answer
    end = {"end": (END + DAY).date().isoformat()}
    site = opened(api, study=end, download={"jobs": "jobs"})
    found = site.jobs(start=START, end=END + DAY)
    assert found.jobs.collect()["job_id"].to_list() == [3]
    assert found.set_aside.collect().rows() == [
        ("jobs", "/jobs", "days without any job on the whole site", 1, "2025-03-04")
    ]


# States


def test_states_come_from_a_file(api: Api, tmp_path: Path) -> None:
    (tmp_path / "states.csv").write_text(
        "node,state,from,to\n"
        "gros-1,Absent,2025-03-03T01:00:00Z,\n"
        "gros-2.nancy.grid5000.fr,Dead,2025-03-01T00:00:00Z,2025-03-02T00:00:00Z\n"
        "grele-1,Dead,2025-03-03T01:00:00Z,\n"
    )
    site = opened(api, source={"states": "states.csv"})
    found = site.states(**WINDOW)
    assert found is not None
    nodes = found.collect().filter(pl.col("node").str.starts_with("gr")).sort("node")
    assert nodes.select("node", "state", "started_at", "stopped_at").rows() == [
        ("grele-1", "dead", START + HOUR, None),
        ("gros-1", "absent", START + HOUR, None),
    ]
    (tmp_path / "states.csv").write_text("node,state,from,to\ngros-1,gone,1741003200,\n")
    with pytest.raises(InputError, match=r"states\.csv:2: state 'gone' of node 'gros-1'"):
        site.states(**WINDOW)


@pytest.mark.parametrize("wrap", [list, lambda notes: {"items": notes, "total": 1}])
def test_states_come_from_the_service_each_time(api: Api, reference: Reference, wrap: Any) -> None:
    note = {"node": "gros-1", "state": "Suspected", "from": int(START.timestamp()), "to": None}

    def answer(path: str, query: dict[str, str]) -> Any:
        return wrap([note]) if path == STATES else reference(path, query)

    api.answer = answer
    for _ in range(2):
        found = opened(api, source={"states": STATES}).states(**WINDOW)
        assert found is not None
        assert found.collect().rows() == [("gros-1", START, None, "suspected")]
    # what is answered today may be more tomorrow
    assert [path for path, _ in api.asked].count(STATES) == 2


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"message": "no"}, "answers no list of states"),
        ("gros-1", "answers no list of states"),
        (["gros-1"], "item 1: this is no state"),
        ([{"node": "gros-1", "state": "up"}], "item 1: state 'up' of node 'gros-1'"),
    ],
)
def test_what_is_no_list_of_states_is_refused(
    api: Api, reference: Reference, document: Any, told: str
) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        return document if path == STATES else reference(path, query)

    if isinstance(document, str):
        document = f'"{document}"'  # as JSON, which the service sends as it is
    api.answer = answer
    with pytest.raises(InputError, match=f"^{STATES}.* {told}"):
        opened(api, source={"states": STATES}).states(**WINDOW)


def test_without_a_source_of_states_none_are_known(api: Api) -> None:
    assert opened(api).states(**WINDOW) is None


# Power and devices


@pytest.fixture
def measured(api: Api, reference: Reference) -> Kwollect:
    """Kwollect beside the Reference API: readings of the study's day."""
    kwollect = Kwollect(["gros-1", "gros-2", "gruss-1", "gruss-2"], START, END)

    def answer(path: str, query: dict[str, str]) -> Any:
        return (kwollect if path.endswith("/metrics") else reference)(path, query)

    api.answer = answer
    return kwollect


def metrics(api: Api) -> list[dict[str, str]]:
    return [query for path, query in api.asked if path.endswith("/metrics")]


def test_power_is_asked_for_as_configured(api: Api, measured: Kwollect) -> None:
    measured.silent = {("gros-2", hour) for hour in range(12, 24)}
    changes = {"chunks": {"hours": 12, "nodes": 1}, "allow_missing": ["gruss-2"]}
    site = opened(api, download=changes)
    frames = list(site.power(metric=METRIC, cluster="gros", **WINDOW))
    assert [frame.columns for frame in frames] == [
        ["node", "timestamp", "from_summary", "power_w"]
    ] * 2
    assert [frame["from_summary"].sum() for frame in frames] == [0, 12 * 720]
    noon = str(int((START + 12 * HOUR).timestamp()))
    assert [
        (each["nodes"], each.get("summary"), each["start_time"] == noon) for each in metrics(api)
    ] == [
        ("gros-1", None, False),
        ("gros-1", None, True),
        ("gros-2", None, False),
        ("gros-2", None, True),
        ("gros-2", "true", True),
    ]
    api.forget()
    [frame] = opened(api, download=changes).power(metric=METRIC, cluster="gruss", **WINDOW)
    assert set(frame["node"]) == {"gruss-1"}
    assert {each["nodes"] for each in metrics(api)} == {"gruss-1"}
    api.forget()
    without = opened(api, download=changes | {"summaries": False})
    frames = list(without.power(metric=METRIC, cluster="gros", **WINDOW))
    assert [frame["from_summary"].sum() for frame in frames] == [0, 0]
    assert metrics(api) == []


def test_power_has_its_former_name_before_the_day_configured(api: Api, measured: Kwollect) -> None:
    measured.renamed = START + 6 * HOUR
    site = opened(api, download={"former_name_until": "2025-03-04"})
    frames = list(site.power(metric=METRIC, cluster="gros", **WINDOW))
    assert [frame.sort("timestamp")["power_w"].to_list() for frame in frames] == [
        list(range(24 * 60))
    ] * 2
    assert [each["metrics"] for each in metrics(api)] == [METRIC, FORMER]
    # other metrics never had another
    assert site.power_query("wattmetre_power_watt").names(site_chunk()) == ["wattmetre_power_watt"]


def site_chunk() -> samples.Chunk:
    return samples.Chunk(("gros-1",), START, END)


def test_devices_have_labels_and_no_means(api: Api, reference: Reference) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        if not path.endswith("/metrics"):
            return reference(path, query)
        assert query["metrics"] == GPU_POWER
        return [
            reading("gruss-1", START, 30 + gpu, metric=GPU_POWER, gpu=str(gpu)) for gpu in range(2)
        ]

    api.answer = answer
    [frame] = opened(api).devices(metric=GPU_POWER, cluster="gruss", **WINDOW)
    assert frame.columns == ["node", "labels", "timestamp", "value"]
    assert frame.rows() == [
        ("gruss-1", '{"gpu":"0"}', START, 30.0),
        ("gruss-1", '{"gpu":"1"}', START, 31.0),
    ]
    assert len(metrics(api)) == 1


@pytest.mark.usefixtures("measured")
def test_nodes_whose_power_is_not_collected_are_logged(
    api: Api, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reference.metrics["gros"] = [
        {"name": METRIC, "period": 0, "only_for": ["gros-1"]},
        {"name": METRIC, "period": 5000, "only_for": ["gros-2"]},
    ]
    reference.metrics["gruss"] = [{"name": FORMER, "period": 5000}]
    site = opened(api)
    for cluster in ("gros", "gruss"):
        list(site.power(metric=METRIC, cluster=cluster, **WINDOW))
    told = [each for each in caplog.messages if "not collected" in each]
    assert told == [f"{METRIC} is not collected by default of gros-1"]
    # their readings count where there are some
    assert {each["nodes"] for each in metrics(api)} >= {"gros-1,gros-2"}


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("node", "told"),
    [
        ("gros-3", "gros has no node gros-3; it has gros-1, gros-2"),
        ("gros-1.nancy.grid5000.fr", "gros has no node gros-1.nancy.grid5000.fr; it has gros-1"),
        ("gross-1", "nancy has no cluster of a node gross-1; it has gros, gruss"),
    ],
)
def test_a_node_that_may_be_missing_must_exist(api: Api, node: str, told: str) -> None:
    site = opened(api, download={"allow_missing": [node, "gruss-1"]})
    with pytest.raises(InputError) as error:
        list(site.power(metric=METRIC, cluster="gros", **WINDOW))
    assert str(error.value).startswith(f"download.allow_missing: {told}")
    assert metrics(api) == []


def test_clusters_are_those_of_the_study_alone(api: Api) -> None:
    wanted = {"clusters": ["gruss"]}
    site = opened(api, study=wanted)
    assert site.clusters() == ["gros", "gruss"]
    assert site.nodes().collect()["node"].to_list() == ["gruss-1", "gruss-2"]
    assert "/sites/nancy/clusters/gros/nodes" not in {path for path, _ in api.asked}
    assert site.node_names("gros") == []


@pytest.mark.usefixtures("measured")
def test_a_finished_study_asks_nothing(api: Api) -> None:
    list(opened(api).power(metric=METRIC, cluster="gros", **WINDOW))
    api.forget()
    site = opened(api)
    assert len(list(site.power(metric=METRIC, cluster="gros", **WINDOW))) == 2
    assert len(site.nodes().collect()) == 4
    assert api.asked == []
