"""Nodes, jobs and states of the served site, and access to them."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import trustme
from polars.testing import assert_frame_equal

from footprint import serve
from footprint.config import settings
from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, States
from footprint.schemas.writing import conform
from footprint.serve import app, metrics
from footprint.serve.recorded import RecordedSite
from footprint.sources.oar import job_records, job_tables
from footprint.sources.protocol import JobRecords
from footprint.sources.reference_api import descriptions
from footprint.sources.state_notes import read_states
from tests.support.dispositions import start_process
from tests.support.simulated_server import (
    POWER_METRIC,
    ServedSite,
    epoch_seconds,
    served_site,
    simulated_config,
)
from tests.support.tracked_commands import wait_until

get_url = partial(httpx.get, trust_env=False, timeout=120)
OAR = "/sites/nancy/internal/oarapi"


@pytest.fixture(scope="module")
def nancy() -> Iterator[ServedSite]:
    with served_site(simulated_config()) as served:
        yield served


# Nodes


def test_served_nodes_equal_those_of_the_site(nancy: ServedSite) -> None:
    clusters = nancy.get_json("/sites/nancy/clusters", queues="all")
    answers = [("clusters", clusters)]
    for cluster in clusters["items"]:
        path = f"/sites/nancy/clusters/{cluster['uid']}/nodes"
        nodes = nancy.get_json(path, timestamp=1_743_000_000)
        answers.append((path, nodes))
        for node in nodes["items"]:
            one = nancy.get_json(f"{path}/{node['uid']}")
            assert one == node | {"version": nodes["version"]}
    rows = descriptions.node_rows(answers, site="nancy")
    expected = nancy.site.nodes().collect()
    assert_frame_equal(pl.DataFrame(rows, schema=expected.schema), expected)


def test_production_clusters_are_listed_only_with_their_queue(nancy: ServedSite) -> None:
    def listed_clusters(**params: str) -> list[str]:
        page = nancy.get_json("/sites/nancy/clusters", **params)
        assert page["total"] == len(page["items"])
        return [cluster["uid"] for cluster in page["items"]]

    assert listed_clusters() == ["grouille"]
    assert listed_clusters(queues="all") == ["graffiti", "gres", "grouille", "gruss"]
    assert listed_clusters(queues="production,other") == ["graffiti", "gres", "gruss"]
    hidden = "/sites/nancy/clusters/gruss"
    assert nancy.get_response(hidden, expect=404).text == f"Cannot find resource {hidden}"
    assert nancy.get_json(hidden, queues="all")["nodes_count"] == 1
    assert nancy.get_json(f"{hidden}/nodes")["total"] == 1


def test_clusters_declare_their_metrics(nancy: ServedSite) -> None:
    def periods(cluster: str) -> dict[str, tuple[int, int | None]]:
        metrics = nancy.get_json(f"/sites/nancy/clusters/{cluster}", queues="all")["metrics"]
        return {each["name"]: (each["period"], each.get("optional_period")) for each in metrics}

    on_demand = {
        "prom_default_metrics": (0, 15_000),
        "prom_nvgpu_default_metrics": (0, 15_000),
    }
    assert periods("gruss") == {POWER_METRIC: (5000, None)} | on_demand
    assert periods("gres") == {POWER_METRIC: (0, 5000)} | on_demand


def test_unknown_paths_answer_404_in_plain_text(nancy: ServedSite) -> None:
    for path in (
        "/sites/lyon",
        "/sites/nancy/clusters/gros",
        "/sites/nancy/clusters/gros/nodes",
        "/sites/nancy/clusters/gruss/nodes/gruss-9",
    ):
        answer = nancy.get_response(path, expect=404)
        assert answer.text == f"Cannot find resource {path}"
        assert answer.headers["content-type"].startswith("text/plain")
    answer = nancy.get_response("/sites/nancy/jobs/one", expect=404)
    assert answer.text == "Couldn't find OAR::Job with 'job_id'=\"one\""
    nancy.get_response("/sites/lyon/metrics", expect=404)
    nancy.get_response("/nothing", expect=404)


def test_paths_without_the_prefix_answer_the_same(nancy: ServedSite) -> None:
    root = nancy.server.url.removesuffix("/stable")
    assert nancy.client.get(f"{root}/sites").json() == nancy.get_json("/sites")
    assert [site["uid"] for site in nancy.get_json("/sites")["items"]] == ["nancy"]
    assert nancy.get_json("/sites/nancy")["uid"] == "nancy"


# Jobs


def parse_study_jobs(nancy: ServedSite, items: list[dict[str, Any]]) -> JobRecords:
    """Return the jobs of the study that the project parses from answers."""
    records = job_records.parse_jobs({"items": items}, file="answer", resources={})
    site = nancy.site
    nodes = site.nodes().collect()
    return job_tables.tables_from_records(
        records, nodes=nodes, site="nancy", start=site.start, end=site.end
    )


def test_oar_jobs_equal_those_of_the_site(nancy: ServedSite) -> None:
    site = nancy.site
    window = {"from": epoch_seconds(site.start), "to": epoch_seconds(site.end)}
    found = parse_study_jobs(nancy, nancy.all_items(f"{OAR}/jobs/details.json", limit=40, **window))
    expected = site.jobs(start=site.start, end=site.end)
    jobs = conform(Jobs, expected.jobs)
    assert_frame_equal(found.jobs.collect(), jobs)
    allocations = conform(Allocations, expected.allocations)
    assert_frame_equal(found.allocations.collect(), allocations)
    assert jobs["suspensions"].list.len().sum() > 0
    assert {"running", "waiting", "error"} <= set(jobs["state"])


def test_api_jobs_equal_those_of_the_site(nancy: ServedSite) -> None:
    site = nancy.site
    found = parse_study_jobs(
        nancy, nancy.all_items("/sites/nancy/jobs", limit=200, resources="yes")
    )
    expected = site.jobs(start=site.start, end=site.end)
    lacks = ["array_id", "array_index", "request", "suspensions"]
    jobs = found.jobs.collect()
    assert jobs.select(pl.col(lacks).is_null().all()).row(0) == (True,) * 4
    assert_frame_equal(jobs.drop(lacks), conform(Jobs, expected.jobs).drop(lacks))
    allocations = conform(Allocations, expected.allocations)
    assert_frame_equal(found.allocations.collect(), allocations)


def test_api_jobs_are_paged_newest_first(nancy: ServedSite) -> None:
    page = nancy.get_json("/sites/nancy/jobs")
    ids = [job["uid"] for job in page["items"]]
    assert len(ids) == 50
    assert ids == sorted(ids, reverse=True)
    assert page["total"] > 500
    assert len(nancy.get_json("/sites/nancy/jobs", limit=9999)["items"]) == 500
    following = nancy.get_json("/sites/nancy/jobs", limit=10, offset=20)
    assert [job["uid"] for job in following["items"]] == ids[20:30]
    assert nancy.get_json("/sites/nancy/jobs", offset=-5)["items"] == page["items"]
    assert nancy.get_json("/sites/nancy/jobs", offset=9999)["items"] == []
    one = nancy.get_json(f"/sites/nancy/jobs/{ids[0]}")
    with_resources = nancy.get_json("/sites/nancy/jobs", limit=1, resources="yes")["items"]
    assert with_resources == [one]
    assert one.keys() - page["items"][0].keys() == {"resources_by_type", "assigned_nodes"}


def test_api_lists_moldable_jobs_once_a_description(nancy: ServedSite) -> None:
    page = nancy.get_json("/sites/nancy/jobs", limit=1)
    jobs = nancy.all_items("/sites/nancy/jobs", limit=37)
    assert page["total"] == len(jobs)
    walltimes: dict[int, list[int]] = {}
    for job in jobs:
        walltimes.setdefault(job["uid"], []).append(job["walltime"])
    several = {uid: each for uid, each in walltimes.items() if len(each) > 1}
    assert 0.05 * len(walltimes) < len(several) < 0.15 * len(walltimes)
    assert all(len(set(each)) == len(each) == 2 for each in several.values())
    window = {"from": 0, "to": epoch_seconds(nancy.site.end) + 86_400}
    ran = {
        job["id"]: job
        for job in nancy.all_items(f"{OAR}/jobs/details.json", limit=500, **window)
        if job["stop_time"] and job["id"] in several
    }
    # OAR's own list has the walltime that a job ran under
    for uid, job in ran.items():
        long_enough = [s for s in several[uid] if s >= job["stop_time"] - job["start_time"]]
        assert min(long_enough) == job["walltime"]
    larger = [max(several[uid]) == job["walltime"] for uid, job in ran.items()]
    assert {*larger} == {True, False}
    (uid, first), *_ = several.items()
    assert nancy.get_json(f"/sites/nancy/jobs/{uid}")["walltime"] == first[0]


def test_api_jobs_have_no_unknown_fields(nancy: ServedSite) -> None:
    jobs = nancy.all_items("/sites/nancy/jobs", limit=500)
    assert all(value is not None for job in jobs for value in job.values())
    for job in jobs:
        assert job.keys().isdisjoint(["array_id", "array_index", "request"])
        assert ("stopped_at" in job) == (job["started_at"] > 0 and job["state"] != "running")
    assert any(job["started_at"] == 0 for job in jobs)
    assert 0 < sum("name" in job for job in jobs) < len(jobs)


def test_api_jobs_are_filtered_by_their_fields(nancy: ServedSite) -> None:
    jobs = nancy.all_items("/sites/nancy/jobs", limit=500)
    assert nancy.all_items("/sites/nancy/jobs", limit=500, state="running,Waiting") == [
        job for job in jobs if job["state"] in ("running", "waiting")
    ]
    for key in ("user", "project", "queue"):
        value = jobs[0][key]
        assert nancy.all_items("/sites/nancy/jobs", limit=500, **{key: value}) == [
            job for job in jobs if job[key] == value
        ]
    for uid in {jobs[7]["uid"], 10 * (jobs[7]["uid"] // 10)}:
        same = [job for job in jobs if job["uid"] == uid]
        assert nancy.get_json("/sites/nancy/jobs", job_id=uid)["items"] == same
    assert nancy.get_json("/sites/nancy/jobs", user="nobody")["total"] == 0


def test_oar_jobs_are_filtered_by_time(nancy: ServedSite) -> None:
    every = nancy.all_items(f"{OAR}/jobs/details.json", limit=500, from_=0)
    first, last = (epoch_seconds(nancy.site.start + timedelta(hours=hours)) for hours in (9, 15))
    page = nancy.get_json(f"{OAR}/jobs/details.json", from_=first, to=last)

    def is_there(job: dict[str, Any]) -> bool:
        if not job["start_time"]:
            return bool(first <= job["submission_time"] <= last)
        return bool(job["start_time"] < last and (job["stop_time"] or last) >= first)

    ids = [job["id"] for job in page["items"]]
    assert ids == [job["id"] for job in every if is_there(job)] == sorted(ids)
    assert len(ids) > 5
    assert page["total"] == len(ids)
    # like OAR, it counts running jobs, and lists them until their walltime is over
    far = nancy.get_json(f"{OAR}/jobs.json", from_=2_000_000_000, to=2_000_086_400)
    assert far["items"] == []
    assert far["total"] == sum(job["state"] == "Running" for job in every) > 0


def test_oar_jobs_are_paged_with_links(nancy: ServedSite) -> None:
    path = f"{OAR}/jobs.json"
    first = nancy.get_json(path, state="Terminated", limit=3)
    hrefs = {link["rel"]: link["href"] for link in first["links"]}
    assert hrefs.keys() == {"self", "next"}
    second = nancy.client.get(nancy.server.url.removesuffix("/stable") + hrefs["next"]).json()
    assert second["offset"] == 3
    assert [link["rel"] for link in second["links"]] == ["self", "next", "previous"]
    assert first["items"][-1]["id"] < second["items"][0]["id"]
    past = nancy.get_json(path, state="Terminated", limit=3, offset=90_000)
    assert past["items"] == []
    assert past["total"] == first["total"]
    everything = nancy.get_json(path, from_=0)
    assert len(everything["items"]) == 500 < everything["total"]


def test_oar_jobs_are_filtered_by_their_fields(nancy: ServedSite) -> None:
    path = f"{OAR}/jobs/details.json"
    every = nancy.all_items(path, limit=500, from_=0)
    active = [job for job in every if job["state"] not in ("Terminated", "Error")]
    assert nancy.all_items(path, limit=500) == active
    user = active[0]["owner"]
    assert nancy.all_items(path, limit=500, user=user) == [j for j in active if j["owner"] == user]
    array = next(job["array_id"] for job in every if job["id"] != job["array_id"])
    lines = nancy.all_items(path, limit=500, array=array)
    assert lines == [job for job in every if job["array_id"] == array]
    assert [job["array_index"] for job in lines][:2] == [1, 2]
    ids = f"{every[3]['id']}:{every[9]['id']}"
    assert nancy.get_json(path, ids=ids)["items"] == [every[3], every[9]]
    assert nancy.get_json(path, state="Error,Running", limit=9999)["items"] == [
        job for job in every if job["state"] in ("Error", "Running")
    ]
    assert nancy.get_json(path, state="error")["items"] == []
    # a list of which the query fails is an honest empty one, byte for byte
    nothing = {"items": [], "links": [], "offset": 0, "total": 0}
    for wrong in ({"from_": "yesterday"}, {"array": "x"}, {"ids": "1:x"}, {"state": "error"}):
        assert nancy.get_json(path, **wrong) == nothing
    # a failure between the two queries of OAR
    for wrong in ({"limit": "x"}, {"limit": -1}, {"offset": -3}):
        page = nancy.get_json(path, from_=0, **wrong)
        assert (page["items"], page["total"]) == ([], len(every))


def test_oar_lists_of_each_form_have_the_same_jobs(nancy: ServedSite) -> None:
    short = nancy.all_items(f"{OAR}/jobs.json", limit=500, from_=0)
    table = nancy.all_items(f"{OAR}/jobs/table.json", limit=500, from_=0)
    shared = ["job_id", "user", "name", "queue", "state", "submitted_at"]
    frames = [
        job_records.parse_jobs({"items": items}, file="", resources={}) for items in (short, table)
    ]
    assert_frame_equal(frames[0].select(shared), frames[1].select(shared))


def test_oar_job_needs_a_login(nancy: ServedSite) -> None:
    job = nancy.get_json(f"{OAR}/jobs/details.json", state="Terminated", limit=1)["items"][0]
    path = f"{OAR}/jobs/{job['id']}"
    assert nancy.get_response(f"{path}.json", expect=401).json() == {
        "title": "Permission denied",
        "code": 401,
        "message": "A suitable authentication must be done before looking at jobs",
    }
    login = httpx.BasicAuth("elm", "secret")
    assert nancy.client.get(f"{path}/details.json", auth=login).json() == job
    one = nancy.client.get(f"{path}.json", auth=login).json()
    assert job.keys() - one.keys() == {"resources", "nodes", "state_logs"}
    answer = nancy.client.get(f"{OAR}/jobs/1.json", auth=login)
    assert answer.status_code == 404
    assert answer.json() == {"title": "Job not found", "code": 404, "message": "Job not found"}


def test_oar_resources_are_the_cores_of_the_nodes(nancy: ServedSite) -> None:
    items = nancy.all_items(f"{OAR}/resources/details.json", limit=100)
    cores = job_records.parse_resources({"items": items}, file="resources")
    nodes = nancy.site.nodes().collect()
    expected = {
        (f"{row['node']}.nancy.grid5000.fr", core, gpu)
        for row in nodes.iter_rows(named=True)
        for core, gpu in zip(row["cores"], row["core_gpus"], strict=True)
    }
    assert set(cores.values()) == expected
    assert len(items) == len(expected) == nodes["n_cores"].sum()
    assert {each["gpu"] for each in items} == set(range(1, nodes["gpus"].list.len().sum() + 1))
    assert {each["cpu"] for each in items} == set(range(1, nodes["n_cpus"].sum() + 1))
    graffiti = [each for each in items if each["host"].startswith("graffiti-1.")]
    assert {(each["cpuset"] % 2, each["cpu"]) for each in graffiti} == {(0, 1), (1, 2)}


def test_oar_has_a_version_and_a_time(nancy: ServedSite) -> None:
    assert nancy.get_json(f"{OAR}/version.json")["oar_version"].startswith("2.5.9")
    assert nancy.get_json(f"{OAR}/timezone.json") == {
        "timezone": "UTC",
        "api_timestamp": epoch_seconds(nancy.site.end + timedelta(hours=12)),
    }


def test_served_states_equal_those_of_the_site(nancy: ServedSite, tmp_path: Path) -> None:
    assert nancy.get_json("/sites/nancy/footprint/states") == []
    larger = RecordedSite.from_config(
        simulated_config(nodes=None, start="2025-03-03", end="2025-04-28")
    )
    path = tmp_path / "states.json"
    path.write_text(json.dumps(app.state_notes(larger)))
    states = conform(States, larger.states())
    assert_frame_equal(conform(States, read_states(path, name="states")), states)
    assert len(states) > 5


# Access


def test_login_is_required_at_every_path() -> None:
    login = httpx.BasicAuth("elm", "secret")
    with served_site(simulated_config(), access=serve.Access("elm", "secret")) as served:
        for path in ("/sites", "/sites/nancy/metrics", "/nothing"):
            for auth in (None, httpx.BasicAuth("elm", "wrong"), httpx.BasicAuth("ash", "secret")):
                answer = served.client.get(path, auth=auth)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == 'Basic realm="Grid\'5000 API"'
        assert served.client.get("/sites", auth=login).status_code == 200
        job = served.client.get("/sites/nancy/jobs?limit=1", auth=login).json()["items"][0]
        path = f"{OAR}/jobs/{job['uid']}.json"
        assert served.client.get(path, auth=login).json()["owner"] == job["user"]


def test_forbidden_path_answers_403() -> None:
    with served_site(
        simulated_config(), access=serve.Access(forbid="/internal/oarapi/jobs")
    ) as served:
        answer = served.get_response(f"{OAR}/jobs.json", expect=403)
        assert answer.text == "You are not authorized to access this resource"
        served.get_response(f"{OAR}/version.json")


# The server itself


def test_stopped_server_leaves_no_thread_and_restarts_at_its_address() -> None:
    before = set(threading.enumerate())
    with served_site(simulated_config()) as served:
        url = served.server.url
        served.get_response("/sites/nancy/jobs")
    port = httpx.URL(url).port
    with pytest.raises(httpx.ConnectError):
        get_url(f"{url}/sites")
    with served_site(simulated_config(), port=port) as served:
        assert served.server.url == url
        served.get_response("/sites")
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_port_in_use_is_refused_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            InputError, match=f"--port: port {port} is not available .*in use.*; set another port"
        ):
            serve.run_server(simulated_config(), port=port)


def test_server_with_a_certificate_answers_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serve.running_server(
        simulated_config(), certificate=serve.Certificate(certificate, key)
    ) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert get_url(f"{server.url}/sites", verify=trusting).is_success
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get_url(f"{server.url}/sites")


def test_exports_and_incomplete_logins_are_refused(tmp_path: Path) -> None:
    study = {"site": "nancy", "start": "2025-03-29", "end": "2025-04-01"}
    source = {"kind": "exports", "directory": str(tmp_path)}
    with (
        pytest.raises(InputError, match=r"source\.kind: only a simulated site"),
        serve.running_server(settings.prepare_configuration({"study": study, "source": source})),
    ):
        pass
    with (
        pytest.raises(InputError, match="--password: missing"),
        serve.running_server(simulated_config(), access=serve.Access(username="elm")),
    ):
        pass
    # the configuration of a study of this server
    with served_site(simulated_config(kind="grid5000")) as served:
        served.get_response("/sites")


def test_command_prints_the_configuration_and_ends_quietly(tmp_path: Path) -> None:
    written = tmp_path / "study.yaml"
    written.write_text(json.dumps({key: simulated_config()[key] for key in ("study", "source")}))
    command = "from footprint.cli import main; main()"
    options = ["--configfile", str(written), "--port", "0", "--username", "elm"]
    with start_process(
        [sys.executable, "-c", command, "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"FOOTPRINT_SERVE_PASSWORD": "secret"},
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(11)]
        url = next(line for line in printed if "url:" in line).split()[1]
        assert get_url(f"{url}/sites", auth=("elm", "secret")).is_success
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    assert "  states: /sites/nancy/footprint/states\n" in printed
    assert "  key: public  # all people are simulated\n" in printed
    assert "secret" not in "".join(printed) + rest
    assert (process.returncode, errors) == (0, "")


def test_too_many_readings_and_failing_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = simulated_config(nodes={"gruss": 2}, jobs=3)
    query = {"start_time": "2025-03-30T00:00:00Z", "end_time": "2025-03-30T00:10:00Z"}
    with served_site(config, fail_nodes=["gruss-2"]) as served:
        path = "/sites/nancy/metrics"
        read = served.get_json(path, nodes="gruss-1", **query)
        monkeypatch.setattr(metrics, "MAX_ROWS", len(read))
        assert served.get_json(path, nodes="gruss-1", **query) == read
        monkeypatch.setattr(metrics, "MAX_ROWS", len(read) - 1)
        refused = served.get_response(path, nodes="gruss-1", **query, expect=500)
        assert refused.json()["message"] == metrics.TOO_MUCH_MESSAGE
        failed = served.get_response(path, nodes="gruss-2", **query, expect=500)
        assert failed.json()["message"] == metrics.UNREADABLE_MESSAGE
