"""What a study would download, said beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking import FORMER, METRIC, Api, Kwollect, answering, config
from describing import Reference

from footprint import settings, study
from footprint.errors import InputError
from footprint.site.grid5000 import planning
from footprint.site.grid5000.site import Grid5000Site

START = datetime(2025, 3, 3, tzinfo=UTC)
COUNT = "/sites/nancy/internal/oarapi/jobs.json"
PUBLIC = {"privacy": {"key": "public"}}


@pytest.fixture
def reference() -> Reference:
    return Reference(gros=25, gruss=3)


@pytest.fixture
def api(reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)  # answers are kept below the folder of the study

    def answer(path: str, query: dict[str, str]) -> Any:
        return {"total": 12_345, "items": []} if path == COUNT else reference(path, query)

    with answering(answer) as running:
        yield running


def days(n_days: int, *, since: str = "2025-03-03") -> dict[str, str]:
    end = datetime.fromisoformat(since) + timedelta(days=n_days)
    return {"start": since, "end": f"{end:%Y-%m-%d}"}


def planned(api: Api, cluster: str, **changes: Any) -> planning.ClusterPlan:
    changes = {"study": days(2)} | changes
    loaded = config(api.url, **changes, **PUBLIC)
    described = study.plan(loaded)
    site = Grid5000Site.from_config(described.source, site="nancy", download=loaded["download"])
    return planning.cluster_plan(site, described, cluster)


def test_requests_and_samples_of_a_cluster(api: Api) -> None:
    """25 nodes are two groups; two days and a margin before and after are four chunks each."""
    plan = planned(api, "gros")
    assert plan == planning.ClusterPlan("gros", 25, [], [], 2 * 4, 0, 25 * 2 * 86_400 // 5)
    # no power is asked for
    assert {path for path, _ in api.asked} == {
        "/sites/nancy/clusters",
        "/sites/nancy/clusters/gros/nodes",
        "/sites/nancy/clusters/gruss/nodes",
    }


def test_chunks_and_months_are_those_of_the_download(api: Api) -> None:
    """A month each with its margins: 1 + 2 * 4 + 1 chunks, and 1 + 1 * 4 + 1."""
    chunks = {"chunks": {"hours": 6, "nodes": 100}}
    plan = planned(api, "gruss", study=days(3, since="2025-03-30"), download=chunks)
    assert plan.n_requests == 10 + 6
    assert plan.n_samples == 3 * 3 * 86_400 // 5


def test_what_is_kept_need_not_come(api: Api, reference: Reference) -> None:
    hour = timedelta(hours=1)
    kwollect = Kwollect(reference.clusters["gruss"], START - hour, START + 49 * hour)

    def answer(path: str, query: dict[str, str]) -> Any:
        return (kwollect if path.endswith("/metrics") else reference)(path, query)

    api.answer = answer
    loaded = config(api.url, study=days(2), **PUBLIC)
    source = study.plan(loaded).source
    site = Grid5000Site.from_config(source, site="nancy", download=loaded["download"])
    margin = timedelta(seconds=loaded["integration"]["max_gap_s"])
    window = {"start": START - margin, "end": START + hour}
    assert len(list(site.power(metric=METRIC, cluster="gruss", **window))) == 3
    # the margin is a chunk of the plan too, the hour is none
    assert (planned(api, "gruss").n_requests, planned(api, "gruss").n_kept) == (4, 1)
    window = {"start": START - margin, "end": START + 48 * hour + margin}
    list(site.power(metric=METRIC, cluster="gruss", **window))
    assert planned(api, "gruss").n_kept == 4
    assert planned(api, "gros").n_kept == 0


def test_nodes_without_power_and_on_demand_are_named(api: Api, reference: Reference) -> None:
    reference.metrics["gruss"] = [
        {"name": METRIC, "period": 0, "optional_period": 5000, "only_for": ["gruss-1"]},
        {"name": METRIC, "period": 1000, "only_for": ["gruss-3"]},
        {"name": "wattmetre_power_watt", "period": 1000, "only_for": None},
    ]
    plan = planned(api, "gruss")
    assert (plan.uncollected, plan.without) == (["gruss-1"], ["gruss-2"])
    assert plan.n_samples == 2 * 86_400
    other = planned(api, "gruss", integration={"metric": "wattmetre_power_watt"})
    assert (other.uncollected, other.without) == ([], [])
    assert other.n_samples == 3 * 2 * 86_400
    reference.metrics["gruss"] = []
    assert planned(api, "gruss", study=days(1)).without == ["gruss-1", "gruss-2", "gruss-3"]


def test_before_the_renaming_the_former_name_counts(api: Api, reference: Reference) -> None:
    reference.metrics["gruss"] = [{"name": FORMER, "period": 5000}]
    plan = planned(api, "gruss", study=days(1, since="2020-05-04"))
    assert plan.without == []
    assert plan.n_samples == 3 * 86_400 // 5
    assert plan.n_requests == 2 * 3  # by both names
    assert planned(api, "gruss", study=days(1)).without == ["gruss-1", "gruss-2", "gruss-3"]


def test_the_plan_as_text(api: Api, reference: Reference) -> None:
    reference.metrics["gruss"] = [{"name": METRIC, "period": 0, "only_for": ["gruss-1", "gruss-2"]}]
    text = planning.text(config(api.url, study=days(2), **PUBLIC))
    # 864 000 samples of 134 bytes, and of 12; 2 days and 123 full pages of jobs
    assert text.splitlines() == [
        "nancy, 2025-03-03 to 2025-03-05 (excluded), bmc_node_power_watt",
        "",
        "cluster       nodes  requests    kept      samples",
        "gros             25         8       0      864,000",
        "gruss             3         4       0            0",
        "in all           28        12       0      864,000",
        "",
        "to come:     about 115.8 MB over the network, 10.4 MB kept on disk",
        "jobs:        12,345, in about 125 requests",
        "no power of: gruss-3",
        "on demand:   gruss-1, gruss-2",
    ]
    [counted] = [query for path, query in api.asked if path == COUNT]
    midnight = int(START.timestamp())
    assert (counted["from"], counted["to"]) == (str(midnight), str(midnight + 2 * 86_400))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_plan_needs_no_number_of_jobs(api: Api, reference: Reference, status: int) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        return (status, "no") if path == COUNT else reference(path, query)

    api.answer = answer
    text = planning.text(config(api.url, **PUBLIC))
    assert "jobs:        not counted: OAR's list by date is not asked or not open" in text


def test_with_a_database_oar_is_not_asked_over_the_network(api: Api) -> None:
    source = {"oar_database": "postgresql://oar@127.0.0.1:1/oar2"}
    text = planning.text(config(api.url, source=source, **PUBLIC))
    assert "jobs:        not counted" in text
    assert COUNT not in {path for path, _ in api.asked}


def test_only_what_is_asked_over_a_network_has_a_plan() -> None:
    source = {"source": {"kind": "simulated"}, "study": {"site": "nancy", **days(1)}}
    with pytest.raises(InputError, match=r"source\.kind: `simulated` downloads nothing; a plan"):
        planning.text(settings.load(source))


def test_a_cluster_that_the_site_lacks_is_refused(api: Api) -> None:
    wrong = days(1) | {"clusters": ["grus"]}
    told = r"study\.clusters: the source describes no cluster `grus`; did you mean `gruss`\?"
    with pytest.raises(InputError, match=told):
        planning.text(config(api.url, study=wrong, **PUBLIC))
