"""Plan of the download of a study: requests, samples, size and jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from footprint.config import plan, settings, study
from footprint.core.errors import InputError
from footprint.sources.grid5000.site import Grid5000Site
from tests.support.http_service import (
    FORMER_METRIC,
    POWER_METRIC,
    Api,
    Kwollect,
    grid5000_config,
    running_api,
)
from tests.support.reference_api import ReferenceApi

START = datetime(2025, 3, 3, tzinfo=UTC)
COUNT_PATH = "/sites/nancy/internal/oarapi/jobs.json"
PUBLIC_KEY = {"privacy": {"key": "public"}}


@pytest.fixture
def reference() -> ReferenceApi:
    return ReferenceApi(gros=25, gruss=3)


@pytest.fixture
def api(reference: ReferenceApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)  # answers are kept below the working directory

    def answer(path: str, query: dict[str, str]) -> Any:
        return {"total": 12_345, "items": []} if path == COUNT_PATH else reference(path, query)

    with running_api(answer) as running:
        yield running


def study_days(n_days: int, *, since: str = "2025-03-03") -> dict[str, str]:
    end = datetime.fromisoformat(since) + timedelta(days=n_days)
    return {"start": since, "end": f"{end:%Y-%m-%d}"}


def planned(api: Api, cluster: str, **changes: Any) -> plan.ClusterPlan:
    changes = {"study": study_days(2)} | changes
    loaded = grid5000_config(api.url, **changes, **PUBLIC_KEY)
    described = study.plan_study(loaded)
    site = Grid5000Site.from_config(described.source, site="nancy", download=loaded["download"])
    return plan.plan_cluster(site, described, cluster)


def test_plan_cluster_counts_requests_and_samples(api: Api) -> None:
    """25 nodes are two groups; two days with a margin before and after are four chunks each."""
    found = planned(api, "gros")
    assert found == plan.ClusterPlan("gros", 25, [], [], 2 * 4, 0, 25 * 2 * 86_400 // 5)
    # no power is requested
    assert {path for path, _ in api.requests} == {
        "/sites/nancy/clusters",
        "/sites/nancy/clusters/gros/nodes",
        "/sites/nancy/clusters/gruss/nodes",
    }


def test_plan_cluster_uses_the_chunks_and_months_of_the_download(api: Api) -> None:
    """Each month has its margins: 1 + 2 * 4 + 1 chunks, and 1 + 1 * 4 + 1."""
    chunks = {"chunks": {"hours": 6, "nodes": 100}}
    found = planned(api, "gruss", study=study_days(3, since="2025-03-30"), download=chunks)
    assert found.n_requests == 10 + 6
    assert found.n_samples == 3 * 3 * 86_400 // 5


def test_plan_cluster_counts_answers_that_are_kept_already(
    api: Api, reference: ReferenceApi
) -> None:
    hour = timedelta(hours=1)
    kwollect = Kwollect(reference.clusters["gruss"], START - hour, START + 49 * hour)

    def answer(path: str, query: dict[str, str]) -> Any:
        return (kwollect if path.endswith("/metrics") else reference)(path, query)

    api.answer = answer
    loaded = grid5000_config(api.url, study=study_days(2), **PUBLIC_KEY)
    source = study.plan_study(loaded).source
    site = Grid5000Site.from_config(source, site="nancy", download=loaded["download"])
    margin = timedelta(seconds=loaded["integration"]["max_gap_s"])
    window = {"start": START - margin, "end": START + hour}
    assert len(list(site.power(metric=POWER_METRIC, cluster="gruss", **window))) == 3
    # the margin is a chunk of the plan as well; the hour is not
    assert (planned(api, "gruss").n_requests, planned(api, "gruss").n_kept) == (4, 1)
    window = {"start": START - margin, "end": START + 48 * hour + margin}
    list(site.power(metric=POWER_METRIC, cluster="gruss", **window))
    assert planned(api, "gruss").n_kept == 4
    assert planned(api, "gros").n_kept == 0


def test_plan_cluster_names_nodes_without_power_or_with_power_on_demand(
    api: Api, reference: ReferenceApi
) -> None:
    reference.metrics["gruss"] = [
        {"name": POWER_METRIC, "period": 0, "optional_period": 5000, "only_for": ["gruss-1"]},
        {"name": POWER_METRIC, "period": 1000, "only_for": ["gruss-3"]},
        {"name": "wattmetre_power_watt", "period": 1000, "only_for": None},
    ]
    found = planned(api, "gruss")
    assert (found.uncollected, found.without) == (["gruss-1"], ["gruss-2"])
    assert found.n_samples == 2 * 86_400
    other = planned(api, "gruss", integration={"metric": "wattmetre_power_watt"})
    assert (other.uncollected, other.without) == ([], [])
    assert other.n_samples == 3 * 2 * 86_400
    reference.metrics["gruss"] = []
    assert planned(api, "gruss", study=study_days(1)).without == ["gruss-1", "gruss-2", "gruss-3"]


def test_plan_cluster_accepts_the_former_metric_before_its_renaming(
    api: Api, reference: ReferenceApi
) -> None:
    reference.metrics["gruss"] = [{"name": FORMER_METRIC, "period": 5000}]
    found = planned(api, "gruss", study=study_days(1, since="2020-05-04"))
    assert found.without == []
    assert found.n_samples == 3 * 86_400 // 5
    assert found.n_requests == 2 * 3  # by both names
    assert planned(api, "gruss", study=study_days(1)).without == ["gruss-1", "gruss-2", "gruss-3"]


def test_describe_download_lists_clusters_size_and_jobs(api: Api, reference: ReferenceApi) -> None:
    reference.metrics["gruss"] = [
        {"name": POWER_METRIC, "period": 0, "only_for": ["gruss-1", "gruss-2"]}
    ]
    text = plan.describe_download(grid5000_config(api.url, study=study_days(2), **PUBLIC_KEY))
    # 864 000 samples of 134 bytes, and of 12; 2 days and 123 full pages of jobs
    assert text.splitlines() == [
        "nancy, 2025-03-03 to 2025-03-05 (excluded), bmc_node_power_watt",
        "",
        "cluster       nodes  requests    kept      samples",
        "gros             25         8       0      864,000",
        "gruss             3         4       0            0",
        "total            28        12       0      864,000",
        "",
        "download:    about 115.8 MB over the network, 10.4 MB kept on disk",
        "jobs:        12,345, in about 125 requests",
        "no power:    gruss-3",
        "on demand:   gruss-1, gruss-2",
    ]
    [counted] = [query for path, query in api.requests if path == COUNT_PATH]
    midnight = int(START.timestamp())
    assert (counted["from"], counted["to"]) == (str(midnight), str(midnight + 2 * 86_400))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_describe_download_works_without_the_number_of_jobs(
    api: Api, reference: ReferenceApi, status: int
) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        return (status, "no") if path == COUNT_PATH else reference(path, query)

    api.answer = answer
    text = plan.describe_download(grid5000_config(api.url, **PUBLIC_KEY))
    assert "jobs:        not counted: OAR's list by date is not used or not accessible" in text


def test_describe_download_with_a_database_sends_no_request_to_oar(api: Api) -> None:
    source = {"oar_database": "postgresql://oar@127.0.0.1:1/oar2"}
    text = plan.describe_download(grid5000_config(api.url, source=source, **PUBLIC_KEY))
    assert "jobs:        not counted" in text
    assert COUNT_PATH not in {path for path, _ in api.requests}


def test_plan_of_a_simulated_study_has_its_nodes_months_and_size() -> None:
    source = {"source": {"kind": "simulated", "nodes": {"gruss": 2, "gres": 1}}}
    config = source | {"study": {"site": "nancy", "start": "2025-03-31", "end": "2025-04-02"}}
    lines = plan.describe_plan(settings.prepare_configuration(config)).splitlines()
    assert lines[0] == ("nancy (2 clusters), 2025-03-31 to 2025-04-01 (2 days), source simulated")
    assert lines[2:4] == ["nodes:       3 of gres, gruss", "months:      2025-03, 2025-04"]
    assert lines[4].startswith("power:       4 monthly files in resources/nancy/power, with all ")
    assert f"about {3 * 2 * plan.STORED_BYTES_PER_NODE_DAY / 1e6:.1f} MB" in lines[4]
    assert lines[5] == "download:    nothing"


def test_describe_download_refuses_an_unknown_cluster(api: Api) -> None:
    wrong = study_days(1) | {"clusters": ["grus"]}
    expected = r"study\.clusters: the source describes no cluster `grus`; did you mean `gruss`\?"
    with pytest.raises(InputError, match=expected):
        plan.describe_download(grid5000_config(api.url, study=wrong, **PUBLIC_KEY))
