"""Nodes, jobs and states that the served site answers, and who may ask for them."""

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
from dispositions import start
from polars.testing import assert_frame_equal
from serving import METRIC, Served, config, seconds, serving
from tracking import until

from footprint import serve, settings, tables
from footprint.errors import InputError
from footprint.serve import app
from footprint.serve.recorded import Recorded
from footprint.site import JobRecords, holdings, oar, reference
from footprint.site.states import read_states

get = partial(httpx.get, trust_env=False, timeout=120)
OAR = "/sites/nancy/internal/oarapi"


@pytest.fixture(scope="module")
def nancy() -> Iterator[Served]:
    with serving(config()) as served:
        yield served


# Nodes


def test_nodes_are_those_of_the_site(nancy: Served) -> None:
    clusters = nancy.json("/sites/nancy/clusters", queues="all")
    answers = [("clusters", clusters)]
    for cluster in clusters["items"]:
        path = f"/sites/nancy/clusters/{cluster['uid']}/nodes"
        nodes = nancy.json(path, timestamp=1_743_000_000)
        answers.append((path, nodes))
        for node in nodes["items"]:
            one = nancy.json(f"{path}/{node['uid']}")
            assert one == node | {"version": nodes["version"]}
    rows = reference.node_rows(answers, site="nancy")
    expected = nancy.site.nodes().collect()
    assert_frame_equal(pl.DataFrame(rows, schema=expected.schema), expected)


def test_production_clusters_are_hidden_unless_asked_for(nancy: Served) -> None:
    def shown(**params: str) -> list[str]:
        page = nancy.json("/sites/nancy/clusters", **params)
        assert page["total"] == len(page["items"])
        return [cluster["uid"] for cluster in page["items"]]

    assert shown() == ["grouille"]
    assert shown(queues="all") == ["graffiti", "gres", "grouille", "gruss"]
    assert shown(queues="production,other") == ["graffiti", "gres", "gruss"]
    hidden = "/sites/nancy/clusters/gruss"
    assert nancy.get(hidden, expect=404).text == f"Cannot find resource {hidden}"
    assert nancy.json(hidden, queues="all")["nodes_count"] == 1
    assert nancy.json(f"{hidden}/nodes")["total"] == 1


def test_clusters_say_what_is_measured(nancy: Served) -> None:
    def periods(cluster: str) -> dict[str, tuple[int, int | None]]:
        metrics = nancy.json(f"/sites/nancy/clusters/{cluster}", queues="all")["metrics"]
        return {each["name"]: (each["period"], each.get("optional_period")) for each in metrics}

    on_demand = {
        "prom_default_metrics": (0, 15_000),
        "prom_nvgpu_default_metrics": (0, 15_000),
    }
    assert periods("gruss") == {METRIC: (5000, None)} | on_demand
    assert periods("gres") == {METRIC: (0, 5000)} | on_demand


def test_what_is_unknown_is_said_in_plain_text(nancy: Served) -> None:
    for path in (
        "/sites/lyon",
        "/sites/nancy/clusters/gros",
        "/sites/nancy/clusters/gros/nodes",
        "/sites/nancy/clusters/gruss/nodes/gruss-9",
    ):
        answer = nancy.get(path, expect=404)
        assert answer.text == f"Cannot find resource {path}"
        assert answer.headers["content-type"].startswith("text/plain")
    answer = nancy.get("/sites/nancy/jobs/one", expect=404)
    assert answer.text == "Couldn't find OAR::Job with 'job_id'=one"
    nancy.get("/sites/lyon/metrics", expect=404)
    nancy.get("/nothing", expect=404)


def test_the_prefix_may_be_left_out(nancy: Served) -> None:
    root = nancy.server.url.removesuffix("/stable")
    assert nancy.client.get(f"{root}/sites").json() == nancy.json("/sites")
    assert [site["uid"] for site in nancy.json("/sites")["items"]] == ["nancy"]
    assert nancy.json("/sites/nancy")["uid"] == "nancy"


# Jobs


def parsed(nancy: Served, items: list[dict[str, Any]]) -> JobRecords:
    """Jobs of the study, as the project reads them from answers."""
    records = oar.parse_jobs({"items": items}, file="answer", resources={})
    site = nancy.site
    nodes = site.nodes().collect()
    return holdings.job_records(records, nodes=nodes, site="nancy", start=site.start, end=site.end)


def test_jobs_of_oar_are_those_of_the_site(nancy: Served) -> None:
    site = nancy.site
    window = {"from": seconds(site.start), "to": seconds(site.end)}
    found = parsed(nancy, nancy.pages(f"{OAR}/jobs/details.json", limit=40, **window))
    expected = site.jobs(start=site.start, end=site.end)
    jobs = tables.conform(tables.Jobs, expected.jobs)
    assert_frame_equal(found.jobs.collect(), jobs)
    held = tables.conform(tables.Allocations, expected.allocations)
    assert_frame_equal(found.allocations.collect(), held)
    assert jobs["suspensions"].list.len().sum() > 0
    assert {"running", "waiting", "error"} <= set(jobs["state"])


def test_jobs_of_the_api_are_those_of_the_site(nancy: Served) -> None:
    site = nancy.site
    found = parsed(nancy, nancy.pages("/sites/nancy/jobs", limit=200, resources="yes"))
    expected = site.jobs(start=site.start, end=site.end)
    lacks = ["array_id", "array_index", "request", "suspensions"]
    jobs = found.jobs.collect()
    assert jobs.select(pl.col(lacks).is_null().all()).row(0) == (True,) * 4
    assert_frame_equal(jobs.drop(lacks), tables.conform(tables.Jobs, expected.jobs).drop(lacks))
    held = tables.conform(tables.Allocations, expected.allocations)
    assert_frame_equal(found.allocations.collect(), held)


def test_jobs_of_the_api_come_newest_first_and_in_pages(nancy: Served) -> None:
    page = nancy.json("/sites/nancy/jobs")
    ids = [job["uid"] for job in page["items"]]
    assert len(ids) == 50
    assert ids == sorted(ids, reverse=True)
    assert page["total"] > 500
    assert len(nancy.json("/sites/nancy/jobs", limit=9999)["items"]) == 500
    following = nancy.json("/sites/nancy/jobs", limit=10, offset=20)
    assert [job["uid"] for job in following["items"]] == ids[20:30]
    assert nancy.json("/sites/nancy/jobs", offset=-5)["items"] == page["items"]
    assert nancy.json("/sites/nancy/jobs", offset=9999)["items"] == []
    one = nancy.json(f"/sites/nancy/jobs/{ids[0]}")
    with_resources = nancy.json("/sites/nancy/jobs", limit=1, resources="yes")["items"]
    assert with_resources == [one]
    assert one.keys() - page["items"][0].keys() == {"resources_by_type", "assigned_nodes"}


def test_jobs_of_the_api_leave_out_what_is_unknown(nancy: Served) -> None:
    jobs = nancy.pages("/sites/nancy/jobs", limit=500)
    assert all(value is not None for job in jobs for value in job.values())
    for job in jobs:
        assert job.keys().isdisjoint(["array_id", "array_index", "request"])
        assert ("stopped_at" in job) == (job["started_at"] > 0 and job["state"] != "running")
    assert any(job["started_at"] == 0 for job in jobs)
    assert 0 < sum("name" in job for job in jobs) < len(jobs)


def test_jobs_of_the_api_are_chosen_by_what_they_are(nancy: Served) -> None:
    jobs = nancy.pages("/sites/nancy/jobs", limit=500)
    assert nancy.pages("/sites/nancy/jobs", limit=500, state="running,Waiting") == [
        job for job in jobs if job["state"] in ("running", "waiting")
    ]
    for key in ("user", "project", "queue"):
        value = jobs[0][key]
        assert nancy.pages("/sites/nancy/jobs", limit=500, **{key: value}) == [
            job for job in jobs if job[key] == value
        ]
    assert nancy.json("/sites/nancy/jobs", job_id=jobs[7]["uid"])["items"] == [jobs[7]]
    assert nancy.json("/sites/nancy/jobs", user="nobody")["total"] == 0


def test_oar_chooses_by_time(nancy: Served) -> None:
    every = nancy.pages(f"{OAR}/jobs/details.json", limit=500, from_=0)
    first, last = (seconds(nancy.site.start + timedelta(hours=hours)) for hours in (9, 15))
    page = nancy.json(f"{OAR}/jobs/details.json", from_=first, to=last)

    def is_there(job: dict[str, Any]) -> bool:
        if not job["start_time"]:
            return bool(first <= job["submission_time"] <= last)
        return bool(job["start_time"] < last and (job["stop_time"] or last) >= first)

    ids = [job["id"] for job in page["items"]]
    assert ids == [job["id"] for job in every if is_there(job)] == sorted(ids)
    assert len(ids) > 5
    assert page["total"] == len(ids)
    # as OAR does, it counts running jobs, and lists them until their walltime is over
    far = nancy.json(f"{OAR}/jobs.json", from_=2_000_000_000, to=2_000_086_400)
    assert far["items"] == []
    assert far["total"] == sum(job["state"] == "Running" for job in every) > 0


def test_oar_gives_pages_with_links(nancy: Served) -> None:
    path = f"{OAR}/jobs.json"
    first = nancy.json(path, state="Terminated", limit=3)
    hrefs = {link["rel"]: link["href"] for link in first["links"]}
    assert hrefs.keys() == {"self", "next"}
    second = nancy.client.get(nancy.server.url.removesuffix("/stable") + hrefs["next"]).json()
    assert second["offset"] == 3
    assert [link["rel"] for link in second["links"]] == ["self", "next", "previous"]
    assert first["items"][-1]["id"] < second["items"][0]["id"]
    past = nancy.json(path, state="Terminated", limit=3, offset=90_000)
    assert past["items"] == []
    assert past["total"] == first["total"]
    everything = nancy.json(path, from_=0)
    assert len(everything["items"]) == 500 < everything["total"]


def test_oar_chooses_by_what_jobs_are(nancy: Served) -> None:
    path = f"{OAR}/jobs/details.json"
    every = nancy.pages(path, limit=500, from_=0)
    active = [job for job in every if job["state"] not in ("Terminated", "Error")]
    assert nancy.pages(path, limit=500) == active
    user = active[0]["owner"]
    assert nancy.pages(path, limit=500, user=user) == [j for j in active if j["owner"] == user]
    array = next(job["array_id"] for job in every if job["id"] != job["array_id"])
    lines = nancy.pages(path, limit=500, array=array)
    assert lines == [job for job in every if job["array_id"] == array]
    assert [job["array_index"] for job in lines][:2] == [1, 2]
    ids = f"{every[3]['id']}:{every[9]['id']}"
    assert nancy.json(path, ids=ids)["items"] == [every[3], every[9]]
    assert nancy.json(path, state="Error,Running", limit=9999)["items"] == [
        job for job in every if job["state"] in ("Error", "Running")
    ]
    assert nancy.json(path, state="error")["items"] == []
    answer = nancy.get(path, from_="yesterday", expect=400)
    assert answer.json()["code"] == 400


def test_all_lists_of_oar_tell_of_the_same_jobs(nancy: Served) -> None:
    short = nancy.pages(f"{OAR}/jobs.json", limit=500, from_=0)
    table = nancy.pages(f"{OAR}/jobs/table.json", limit=500, from_=0)
    shared = ["job_id", "user", "name", "queue", "state", "submitted_at"]
    frames = [oar.parse_jobs({"items": items}, file="", resources={}) for items in (short, table)]
    assert_frame_equal(frames[0].select(shared), frames[1].select(shared))


def test_oar_shows_single_jobs_to_those_who_log_in(nancy: Served) -> None:
    job = nancy.json(f"{OAR}/jobs/details.json", state="Terminated", limit=1)["items"][0]
    path = f"{OAR}/jobs/{job['id']}"
    assert nancy.get(f"{path}.json", expect=401).json() == {
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


def test_resources_of_oar_are_the_cores_of_the_nodes(nancy: Served) -> None:
    items = nancy.pages(f"{OAR}/resources/details.json", limit=100)
    cores = oar.parse_resources({"items": items}, file="resources")
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


def test_oar_tells_its_version_and_time(nancy: Served) -> None:
    assert nancy.json(f"{OAR}/version.json")["oar_version"].startswith("2.5.9")
    assert nancy.json(f"{OAR}/timezone.json") == {
        "api_timezone": "UTC",
        "api_timestamp": seconds(nancy.site.end + timedelta(hours=12)),
    }


def test_states_are_those_of_the_site(nancy: Served, tmp_path: Path) -> None:
    assert nancy.json("/sites/nancy/footprint/states") == []
    larger = Recorded.from_config(config(nodes=None, start="2025-03-03", end="2025-04-28"))
    path = tmp_path / "states.json"
    path.write_text(json.dumps(app.states(larger)))
    states = tables.conform(tables.States, larger.states())
    assert_frame_equal(tables.conform(tables.States, read_states(path, name="states")), states)
    assert len(states) > 5


# Who may ask


def test_a_user_name_and_password_are_asked_for_everywhere() -> None:
    login = httpx.BasicAuth("elm", "secret")
    with serving(config(), username="elm", password="secret") as served:
        for path in ("/sites", "/sites/nancy/metrics", "/nothing"):
            for auth in (None, httpx.BasicAuth("elm", "wrong"), httpx.BasicAuth("ash", "secret")):
                answer = served.client.get(path, auth=auth)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == 'Basic realm="Grid\'5000 API"'
        assert served.client.get("/sites", auth=login).status_code == 200
        job = served.client.get("/sites/nancy/jobs?limit=1", auth=login).json()["items"][0]
        path = f"{OAR}/jobs/{job['uid']}.json"
        assert served.client.get(path, auth=login).json()["owner"] == job["user"]


def test_a_path_may_be_forbidden() -> None:
    with serving(config(), forbid="/internal/oarapi/jobs") as served:
        answer = served.get(f"{OAR}/jobs.json", expect=403)
        assert answer.text == "You are not authorized to access this resource"
        served.get(f"{OAR}/version.json")


# The server itself


def test_a_stopped_server_leaves_nothing_and_starts_again_under_its_address() -> None:
    before = set(threading.enumerate())
    with serving(config()) as served:
        url = served.server.url
        served.get("/sites/nancy/jobs")
    port = httpx.URL(url).port
    with pytest.raises(httpx.ConnectError):
        get(f"{url}/sites")
    with serving(config(), port=port) as served:
        assert served.server.url == url
        served.get("/sites")
    until(lambda: set(threading.enumerate()) <= before)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: port {port} .*in use.*; choose another"):
            serve.run(config(), port=port)


def test_https_with_a_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serve.running(config(), certificate=certificate, private_key=key) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert get(f"{server.url}/sites", verify=trusting).is_success
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(f"{server.url}/sites")


def test_only_a_simulated_site_can_be_served(tmp_path: Path) -> None:
    study = {"site": "nancy", "start": "2025-03-29", "end": "2025-04-01"}
    source = {"kind": "exports", "directory": str(tmp_path)}
    with (
        pytest.raises(InputError, match=r"source\.kind: only a simulated site"),
        serve.running(settings.load({"study": study, "source": source})),
    ):
        pass
    with (
        pytest.raises(InputError, match="--password: missing"),
        serve.running(config(), username="elm"),
    ):
        pass
    with serving(config(kind="grid5000")) as served:  # the configuration of who asks does as well
        served.get("/sites")


def test_the_command_says_how_to_ask_and_ends_quietly(tmp_path: Path) -> None:
    written = tmp_path / "study.yaml"
    written.write_text(json.dumps({key: config()[key] for key in ("study", "source")}))
    command = "from footprint.cli import main; main()"
    options = ["--configfile", str(written), "--port", "0", "--username", "elm"]
    with start(
        [sys.executable, "-c", command, "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"FOOTPRINT_SERVE_PASSWORD": "secret"},
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(11)]
        url = next(line for line in said if "url:" in line).split()[1]
        assert get(f"{url}/sites", auth=("elm", "secret")).is_success
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    assert "  states: /sites/nancy/footprint/states\n" in said
    assert "  key: public  # nobody there is real\n" in said
    assert "secret" not in "".join(said) + rest
    assert (process.returncode, errors) == (0, "")
