"""The served site's answers beside those of the real OAR and the real Kwollect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from footprint import serve
from tests.support.http_service import POWER_METRIC
from tests.support.kwollect_server import KwollectServer
from tests.support.oar_server import OarServer
from tests.support.real_site import START_S, real_services, recorded_study
from tests.support.simulated_server import served_site, simulated_config

pytestmark = pytest.mark.oar

OAR, METRICS = "/sites/nancy/internal/oarapi", "/sites/nancy/metrics"
AT = {"start_time": str(START_S), "end_time": str(START_S + 600)}


class Pair(NamedTuple):
    """Clients of the real servers and of the served site, and a node of each."""

    real: httpx.Client
    served: httpx.Client
    nodes: tuple[str, str] = ("cpux-1", "gruss-1")

    def get_both(self, path: str, **params: str) -> tuple[httpx.Response, httpx.Response]:
        """Return both answers; `NODE` stands for a node, `from_` for the parameter `from`."""
        real, served = (
            client.get(
                path,
                params={
                    name.rstrip("_"): value.replace("NODE", node) for name, value in params.items()
                },
            )
            for client, node in zip((self.real, self.served), self.nodes, strict=True)
        )
        return real, served


@contextmanager
def client_of(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def pair(real_oar: OarServer, real_kwollect: KwollectServer) -> Iterator[Pair]:
    with (
        recorded_study(real_oar, real_kwollect),
        real_services() as services,
        serve.running_application(services) as address,
        served_site(simulated_config("2025-03-03", "2025-03-04", nodes={"gruss": 2})) as served,
        client_of(address) as real,
    ):
        yield Pair(real, served.client)


def body_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, without what is different at each site or moment."""
    document = answer.json()
    if isinstance(document, dict):
        for name in ("api_timestamp", "hint", "details", "links", "api_timezone", "oar_version"):
            document.pop(name, None)
    return document


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (f"{OAR}/jobs/details.json", {"from_": "abc"}),
        (f"{OAR}/jobs.json", {"from_": "1", "to": "2"}),
        (f"{OAR}/jobs.json", {"state": "error"}),
        (f"{OAR}/jobs.json", {"array": "abc"}),
        (f"{OAR}/jobs.json", {"ids": "1:abc"}),
        (f"{OAR}/nothing.json", {}),
        (f"{OAR}/jobs/99999.json", {}),
        (f"{OAR}/jobs/abc.json", {}),
        (f"{OAR}/version.json", {}),
        (f"{OAR}/timezone.json", {}),
        (METRICS, {"nodes": "none-1"} | AT),
        (METRICS, {"nodes": "NODE", "metrics": "none"} | AT),
        (METRICS, {"nodes": "NODE", "start_time": "abc"}),
        (METRICS, {"nodes": "NODE", "foo": "1"}),
        (METRICS, {"nodes": "NODE", "summary": "maybe"}),
        (METRICS, {"metrics": POWER_METRIC}),
        (METRICS, {"job_id": "abc"}),
        (METRICS, {"job_id": "123"}),
    ],
    ids=lambda each: "&".join(each) if isinstance(each, dict) else each.rpartition("/")[2],
)
def test_refusals_and_empty_answers_are_those_of_the_real_servers(
    pair: Pair, path: str, params: dict[str, str]
) -> None:
    real, served = pair.get_both(path, **params)
    assert served.status_code == real.status_code
    assert served.headers["content-type"].lower() == real.headers["content-type"].lower()
    assert body_of(served) == body_of(real)


def test_quote_in_a_node_is_a_syntax_error(pair: Pair) -> None:
    real, served = pair.get_both(METRICS, nodes="gros-1'q", **AT)
    assert real.status_code == served.status_code == 400
    assert real.json()["code"] == served.json()["code"] == "42601"
    assert real.json()["message"].startswith(served.json()["message"])


@pytest.mark.parametrize("wrong", [{"limit": "abc"}, {"limit": "-1"}, {"offset": "-3"}])
def test_failure_of_the_second_query_gives_a_total_without_items(
    pair: Pair, wrong: dict[str, str]
) -> None:
    for answer in pair.get_both(f"{OAR}/jobs.json", from_="0", **wrong):
        page = answer.json()
        assert (answer.status_code, page["items"]) == (200, [])
        assert page["total"] > 100


@pytest.mark.parametrize(
    ("path", "extra"),
    [("jobs", set()), ("jobs/details", {"state_logs"}), ("resources/details", set())],
)
def test_items_have_fields_of_the_real_ones_in_the_same_types(
    pair: Pair, path: str, extra: set[str]
) -> None:
    real, served = (
        answer.json()
        for answer in pair.get_both(f"{OAR}/{path}.json", from_="0", state="Terminated", limit="60")
    )
    assert served.keys() == real.keys()
    types: dict[str, set[type]] = {}
    for item in real["items"]:
        for name, value in item.items():
            types.setdefault(name, set()).add(type(value))
    assert {name for item in served["items"] for name in item} - types.keys() == extra
    for item in served["items"]:
        for name in item.keys() & types.keys():
            # a null in all jobs of OAR's database says nothing about other jobs
            assert type(item[name]) in types[name] | {type(None)} or types[name] == {type(None)}


def test_readings_are_written_as_by_the_real_database(pair: Pair) -> None:
    for answer in pair.get_both(METRICS, nodes="NODE", metrics=POWER_METRIC, **AT):
        rows = answer.json()
        records = answer.text.removeprefix("[").removesuffix("]").split(", \n ")
        assert len(records) == len(rows) > 100
        assert list(rows[0]) == ["timestamp", "device_id", "metric_id", "value", "labels"]
        assert records[0].startswith('{"timestamp":"2025-03-03T01:00:0')
        assert rows[0]["timestamp"].endswith("+01:00")
        assert rows == sorted(rows, key=lambda row: row["timestamp"])
