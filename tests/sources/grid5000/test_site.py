"""A site over its services: nodes, jobs, states, power and devices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.config import settings, study
from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, Nodes
from footprint.schemas.writing import conform
from footprint.sources.grid5000 import samples
from footprint.sources.grid5000.site import Grid5000Site
from footprint.sources.registry import open_site
from tests.support.api_answers import collection_page, g5k_job
from tests.support.http_service import (
    DAY,
    FORMER_METRIC,
    HOUR,
    POWER_METRIC,
    Api,
    Kwollect,
    grid5000_config,
    kwollect_reading,
    running_api,
)
from tests.support.reference_api import ReferenceApi
from tests.support.simulated_server import ServedSite, served_site
from tests.support.simulated_server import simulated_config as simulated

START = datetime(2025, 3, 3, tzinfo=UTC)
END = START + DAY
WINDOW = {"start": START, "end": END}
GPU_POWER = "prom_DCGM_FI_DEV_POWER_USAGE"
STATES = "/sites/nancy/footprint/states"


@pytest.fixture
def reference() -> ReferenceApi:
    return ReferenceApi(gros=2, gruss=2)


@pytest.fixture
def api(reference: ReferenceApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)  # the answers are kept in the folder of the study
    with running_api(reference) as running:
        yield running


def open_study_site(api: Api, **changes: Any) -> Grid5000Site:
    """Return the site as a rule's script opens it."""
    loaded = grid5000_config(api.url, privacy={"key": "public"}, **changes)
    planned = study.plan_study(loaded)
    site = open_site(planned.source, site=planned.site, download=loaded["download"])
    assert isinstance(site, Grid5000Site)
    return site


# A whole simulated site


@pytest.fixture(scope="module")
def served() -> Iterator[ServedSite]:
    with served_site(simulated("2025-03-30", "2025-04-01")) as running:
        yield running


@pytest.fixture
def over_network(
    served: ServedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Grid5000Site:
    """The simulated site, over its services."""
    monkeypatch.chdir(tmp_path)
    loaded = settings.prepare_configuration(
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
    planned = study.plan_study(loaded)
    return Grid5000Site.from_config(planned.source, site="nancy", download=loaded["download"])


def test_nodes_and_jobs_equal_those_of_the_served_site(
    served: ServedSite, over_network: Grid5000Site
) -> None:
    site = served.site
    window = {"start": site.start, "end": site.end}
    assert_frame_equal(over_network.nodes().collect(), conform(Nodes, site.nodes()))
    found, expected = over_network.jobs(**window), site.jobs(**window)
    for name, schema in (("jobs", Jobs), ("allocations", Allocations)):
        one, other = (getattr(each, name) for each in (found, expected))
        assert_frame_equal(conform(schema, one), conform(schema, other))
    # each day is requested alone, so that long jobs are listed twice
    assert found.rejected.collect().is_empty()


def test_power_and_devices_equal_those_of_the_served_site(
    served: ServedSite, over_network: Grid5000Site
) -> None:
    window = {"start": served.site.start, "end": served.site.start + 0.6 * DAY}
    for cluster in ("graffiti", "gres"):
        series = {"metric": POWER_METRIC, "cluster": cluster, **window}
        found, expected = list(over_network.power(**series)), list(served.site.power(**series))
        assert [set(frame["node"]) for frame in found] == [set(each["node"]) for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert not one["from_summary"].any()
            assert_frame_equal(
                one.drop("from_summary").sort("timestamp"),
                other.select("node", "timestamp", "power_w").sort("timestamp"),
            )
    series = {"metric": GPU_POWER, "cluster": "graffiti", **window}
    found, expected = list(over_network.devices(**series)), list(served.site.devices(**series))
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        assert one.columns == ["node", "labels", "timestamp", "value"]
        key = ["timestamp", "labels"]
        assert_frame_equal(one.sort(key), other.select(one.columns).sort(key))


# Jobs


def test_rejected_rows_leave_out_jobs_outside_the_window_and_repeated_ones(
    api: Api, reference: ReferenceApi
) -> None:
    """One job is listed twice, one ran long before the study, and one on another cluster."""
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
            return collection_page(*listed) | ({} if query["offset"] == "0" else {"items": []})
        return reference(path, query)

    api.answer = answer
    found = open_study_site(api, download={"jobs": "jobs"}).jobs(**WINDOW)
    assert found.jobs.collect()["job_id"].to_list() == [3]
    assert found.allocations.collect().select("job_id", "node").rows() == [(3, "gruss-1")]
    rejected = found.rejected.collect().select("reason", "n_rows", "example").rows()
    assert rejected == [("on other clusters only", 1, "4")]


def test_rejected_rows_include_days_without_jobs(api: Api, reference: ReferenceApi) -> None:
    noon = int((START + 12 * HOUR).timestamp())
    times = {"submitted_at": noon - 60, "started_at": noon, "stopped_at": noon + 60}
    core = {"resources_by_type": {"cores": ["gruss-1.nancy.grid5000.fr/0"]}}

    def answer(path: str, query: dict[str, str]) -> Any:
        if path == "/sites/nancy/jobs":
            whole = collection_page(g5k_job(3, **times, **core))
            return whole | ({} if query["offset"] == "0" else {"items": []})
        return reference(path, query)

    api.answer = answer
    end = {"end": (END + DAY).date().isoformat()}
    site = open_study_site(api, study=end, download={"jobs": "jobs"})
    found = site.jobs(start=START, end=END + DAY)
    assert found.jobs.collect()["job_id"].to_list() == [3]
    assert found.rejected.collect().rows() == [
        ("jobs", "/jobs", "days without any job on the whole site", 1, "2025-03-04")
    ]


# States


def test_states_are_read_from_a_file(api: Api, tmp_path: Path) -> None:
    (tmp_path / "states.csv").write_text(
        "node,state,from,to\n"
        "gros-1,Absent,2025-03-03T01:00:00Z,\n"
        "gros-2.nancy.grid5000.fr,Dead,2025-03-01T00:00:00Z,2025-03-02T00:00:00Z\n"
        "grele-1,Dead,2025-03-03T01:00:00Z,\n"
    )
    site = open_study_site(api, source={"states": "states.csv"})
    found = site.states(**WINDOW)
    assert found is not None
    nodes = found.collect().filter(pl.col("node").str.starts_with("gr")).sort("node")
    assert nodes.select("node", "state", "started_at", "stopped_at").rows() == [
        ("grele-1", "dead", START + HOUR, None),
        ("gros-1", "absent", START + HOUR, None),
    ]


def test_file_of_states_that_cannot_be_used_is_rejected(api: Api, tmp_path: Path) -> None:
    (tmp_path / "states.csv").write_text("node,state,from,to\ngros-1,gone,1741003200,\n")
    site = open_study_site(api, source={"states": "states.csv"})
    assert site.states(**WINDOW) is None
    assert site._state_notes[1].rows() == [
        ("states", "states.csv", "state 'gone' of node 'gros-1'", 1, None)
    ]


@pytest.mark.parametrize("wrap", [list, lambda notes: {"items": notes, "total": 1}])
def test_states_are_requested_from_the_service_each_time(
    api: Api, reference: ReferenceApi, wrap: Any
) -> None:
    note = {"node": "gros-1", "state": "Suspected", "from": int(START.timestamp()), "to": None}

    def answer(path: str, query: dict[str, str]) -> Any:
        return wrap([note]) if path == STATES else reference(path, query)

    api.answer = answer
    for _ in range(2):
        found = open_study_site(api, source={"states": STATES}).states(**WINDOW)
        assert found is not None
        assert found.collect().rows() == [("gros-1", START, None, "suspected")]
    # the list may grow
    assert [path for path, _ in api.requests].count(STATES) == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"message": "no"}, "returned no list of states"),
        ("gros-1", "returned no list of states"),
        (["gros-1"], "'gros-1' is not an object"),
        ([{"node": "gros-1", "state": "up"}], "state 'up' of node 'gros-1'"),
    ],
)
def test_invalid_states_of_the_service_are_rejected(
    api: Api, reference: ReferenceApi, document: Any, message: str
) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        return document if path == STATES else reference(path, query)

    if isinstance(document, str):
        document = f'"{document}"'  # the service sends text as it is
    api.answer = answer
    site = open_study_site(api, source={"states": STATES})
    assert site.states(**WINDOW) is None
    assert site._state_notes[1].rows() == [("states", STATES, message, 1, None)]


def test_states_without_a_source_are_none(api: Api) -> None:
    assert open_study_site(api).states(**WINDOW) is None


# Power and devices


@pytest.fixture
def measured(api: Api, reference: ReferenceApi) -> Kwollect:
    """Add a Kwollect with readings of the study's day to the Reference API."""
    kwollect = Kwollect(["gros-1", "gros-2", "gruss-1", "gruss-2"], START, END)

    def answer(path: str, query: dict[str, str]) -> Any:
        return (kwollect if path.endswith("/metrics") else reference)(path, query)

    api.answer = answer
    return kwollect


def metrics_requests(api: Api) -> list[dict[str, str]]:
    return [query for path, query in api.requests if path.endswith("/metrics")]


def test_power_is_requested_as_configured(api: Api, measured: Kwollect) -> None:
    measured.silent = {("gros-2", hour) for hour in range(12, 24)}
    changes = {"chunks": {"hours": 12, "nodes": 1}, "allow_missing": ["gruss-2"]}
    site = open_study_site(api, download=changes)
    frames = list(site.power(metric=POWER_METRIC, cluster="gros", **WINDOW))
    assert [frame.columns for frame in frames] == [
        ["node", "timestamp", "from_summary", "power_w"]
    ] * 2
    assert [frame["from_summary"].sum() for frame in frames] == [0, 12 * 720]
    noon = str(int((START + 12 * HOUR).timestamp()))
    assert [
        (each["nodes"], each.get("summary"), each["start_time"] == noon)
        for each in metrics_requests(api)
    ] == [
        ("gros-1", None, False),
        ("gros-1", None, True),
        ("gros-2", None, False),
        ("gros-2", None, True),
        ("gros-2", "true", True),
    ]
    api.clear_requests()
    [frame] = open_study_site(api, download=changes).power(
        metric=POWER_METRIC, cluster="gruss", **WINDOW
    )
    assert set(frame["node"]) == {"gruss-1"}
    assert {each["nodes"] for each in metrics_requests(api)} == {"gruss-1"}
    api.clear_requests()
    without = open_study_site(api, download=changes | {"summaries": False})
    frames = list(without.power(metric=POWER_METRIC, cluster="gros", **WINDOW))
    assert [frame["from_summary"].sum() for frame in frames] == [0, 0]
    assert metrics_requests(api) == []


def test_power_is_requested_by_its_former_name_before_the_configured_day(
    api: Api, measured: Kwollect
) -> None:
    measured.renamed = START + 6 * HOUR
    site = open_study_site(api, download={"former_name_until": "2025-03-04"})
    frames = list(site.power(metric=POWER_METRIC, cluster="gros", **WINDOW))
    assert [frame.sort("timestamp")["power_w"].to_list() for frame in frames] == [
        list(range(24 * 60))
    ] * 2
    asked = [each["metrics"] for each in metrics_requests(api)]
    assert asked == [POWER_METRIC, FORMER_METRIC, FORMER_METRIC]  # again after its last reading
    # other metrics have no former name
    assert site.power_query("wattmetre_power_watt").metric_names(day_chunk()) == [
        "wattmetre_power_watt"
    ]


def day_chunk() -> samples.Chunk:
    return samples.Chunk(("gros-1",), START, END)


def test_devices_have_labels_and_no_from_summary(api: Api, reference: ReferenceApi) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        if not path.endswith("/metrics"):
            return reference(path, query)
        assert query["metrics"] == GPU_POWER
        return [
            kwollect_reading("gruss-1", START, 30 + gpu, metric=GPU_POWER, gpu=str(gpu))
            for gpu in range(2)
        ]

    api.answer = answer
    [frame] = open_study_site(api).devices(metric=GPU_POWER, cluster="gruss", **WINDOW)
    assert frame.columns == ["node", "labels", "timestamp", "value"]
    assert frame.rows() == [
        ("gruss-1", '{"gpu":"0"}', START, 30.0),
        ("gruss-1", '{"gpu":"1"}', START, 31.0),
    ]
    assert len(metrics_requests(api)) == 1


@pytest.mark.usefixtures("measured")
def test_nodes_without_collected_power_are_logged(
    api: Api, reference: ReferenceApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reference.metrics["gros"] = [
        {"name": POWER_METRIC, "period": 0, "only_for": ["gros-1"]},
        {"name": POWER_METRIC, "period": 5000, "only_for": ["gros-2"]},
    ]
    reference.metrics["gruss"] = [{"name": FORMER_METRIC, "period": 5000}]
    site = open_study_site(api)
    for cluster in ("gros", "gruss"):
        list(site.power(metric=POWER_METRIC, cluster=cluster, **WINDOW))
    message = [each for each in caplog.messages if "not collected" in each]
    assert message == [f"{POWER_METRIC} is not collected by default of gros-1"]
    # their readings are requested all the same
    assert {each["nodes"] for each in metrics_requests(api)} >= {"gros-1,gros-2"}


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("gros-3", "gros has no node gros-3; fix or remove it; the nodes are gros-1, gros-2"),
        (
            "gros-1.nancy.grid5000.fr",
            "gros has no node gros-1.nancy.grid5000.fr; fix or remove it; the nodes are gros-1",
        ),
        (
            "gross-1",
            "nancy has no cluster of node gross-1; fix or remove it; the clusters are gros, gruss",
        ),
    ],
)
def test_unknown_node_in_allow_missing_is_refused(api: Api, node: str, message: str) -> None:
    site = open_study_site(api, download={"allow_missing": [node, "gruss-1"]})
    with pytest.raises(InputError) as error:
        list(site.power(metric=POWER_METRIC, cluster="gros", **WINDOW))
    assert str(error.value).startswith(f"download.allow_missing: {message}")
    assert metrics_requests(api) == []


def test_nodes_are_requested_for_the_clusters_of_the_study_alone(api: Api) -> None:
    wanted = {"clusters": ["gruss"]}
    site = open_study_site(api, study=wanted)
    assert site.clusters() == ["gros", "gruss"]
    assert site.nodes().collect()["node"].to_list() == ["gruss-1", "gruss-2"]
    assert "/sites/nancy/clusters/gros/nodes" not in {path for path, _ in api.requests}
    assert site.node_names("gros") == []


@pytest.mark.usefixtures("measured")
def test_second_run_makes_no_request(api: Api) -> None:
    list(open_study_site(api).power(metric=POWER_METRIC, cluster="gros", **WINDOW))
    api.clear_requests()
    site = open_study_site(api)
    assert len(list(site.power(metric=POWER_METRIC, cluster="gros", **WINDOW))) == 2
    assert len(site.nodes().collect()) == 4
    assert api.requests == []
