"""The energy of jobs that ran through a real OAR, from submission to the tables of results.

Nodes and their power are made up, since the server's nodes are names of this machine. The power of
a node grows with time along a straight line: the trapezoids are exact, and so is the comparison.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import answers
import polars as pl
import pytest
from oar_server import API, DATABASE, Server, User, command, wait_for
from running import Project, configure

pytestmark = [pytest.mark.oar, pytest.mark.slow, pytest.mark.workflow]

METRIC = "bmc_node_power_watt"
LINES = {"cpux-1": (90.0, 0.4), "cpux-2": (130.0, 0.7), "gpux-1": (240.0, 1.1)}
"""Power of each node as the first sample is taken (W), and its growth (W/s)."""

NODES = {
    "cpux": [answers.node("cpux-1"), answers.node("cpux-2")],
    "gpux": [answers.node("gpux-1", n_cores=8, n_gpus=2)],
}
CLUSTERS = [
    {"uid": name, "metrics": [{"name": METRIC, "period": 5000}], "queues": ["production"]}
    for name in NODES
]
JOULES_A_KWH = 3.6e6

BACK_S = 2 * 86400
"""By how much the jobs are dated back: the API is only asked about days that are over."""


class Held(NamedTuple):
    """A job that ran: when (UTC, in seconds), and which share of which nodes it held."""

    started: int
    stopped: int
    shares: dict[str, float]


class Story(NamedTuple):
    """What happened: the jobs by id, and the span of the readings."""

    jobs: dict[int, Held]
    began: int
    ended: int

    def power(self, node: str, at: float) -> float:
        """W."""
        base, slope = LINES[node]
        return base + slope * (at - self.began)

    def energy_kwh(self, job: Held) -> float:
        """By hand: a straight line's integral is its mean times its length."""
        length_s = job.stopped - job.started
        return (
            sum(
                share
                * length_s
                * (self.power(node, job.started) + self.power(node, job.stopped))
                / 2
                for node, share in job.shares.items()
            )
            / JOULES_A_KWH
        )

    def readings(self) -> list[dict[str, Any]]:
        """Answers of Kwollect."""
        return [
            answers.sample(
                datetime.fromtimestamp(at, UTC).isoformat(),
                self.power(node, at),
                device_id=node,
                metric_id=METRIC,
            )
            for node in LINES
            for at in range(self.began, self.ended, 5)
        ]


@pytest.fixture(scope="module")
def users(real_oar: Server) -> Iterator[tuple[User, User]]:  # noqa: ARG001
    folder = Path(command("mktemp", "-d", "/tmp/footprint-oar-XXXXXX").strip())
    folder.chmod(0o755)
    found = []
    for name in ("alice", "bob"):
        (folder / name).mkdir()
        found.append(User(name, folder / name))
    yield found[0], found[1]
    command("rm", "-rf", str(folder))


@pytest.fixture(scope="module")
def story(real_oar: Server, users: tuple[User, User]) -> Story:
    """Jobs of all kinds, run to their ends, and dated back."""
    alice, bob = users
    began = int(time.time()) - 15
    wall = "walltime=0:05:00"
    on_cpux = ("-p", "cluster='cpux'", "-l")
    ids = {
        "whole": alice.submit(*on_cpux, f"/host=1,{wall}", "sleep 12"),
        "both": alice.submit(*on_cpux, f"/host=2,{wall}", "sleep 8"),
        "core": bob.submit("--project", "speech", *on_cpux, f"/host=1/core=1,{wall}", "sleep 9"),
        "fails": bob.submit(*on_cpux, f"/host=1/core=3,{wall}", "sleep 5; exit 3"),
        "gpu": alice.submit("-p", "gpu_count > 0", "-l", f"/host=1/gpu=1,{wall}", "sleep 14"),
        "deleted": bob.submit("-p", "gpu_count > 0", "-l", f"/host=1/gpu=1,{wall}", "sleep 200"),
    }
    expected = {  # the share of each node, whichever it was
        **{"whole": 1.0, "both": 1.0, "core": 1 / 4, "fails": 3 / 4, "gpu": 1 / 2},
        "deleted": 1 / 2,
    }

    def told() -> dict[str, dict[str, Any]]:
        words = [word for each in ids.values() for word in ("-j", str(each))]
        found = json.loads(alice.does("oarstat", "-f", "-J", *words).stdout)
        return {name: found[str(each)] for name, each in ids.items()}

    wait_for("a job to run", lambda: told()["deleted"]["state"] == "Running")
    time.sleep(6)
    assert bob.does("oardel", str(ids["deleted"])).returncode == 0
    over = {"Terminated", "Error"}
    wait_for("the ends", lambda: {job["state"] for job in told().values()} <= over, longest_s=150)
    ended = told()
    states = {name: job["state"] for name, job in ended.items() if job["state"] == "Error"}
    assert states == {"deleted": "Error"}
    jobs = {}
    for name, job in ended.items():
        nodes = {each.partition(".")[0] for each in job["assigned_network_address"]}
        held = dict.fromkeys(nodes, expected[name])
        jobs[ids[name]] = Held(job["startTime"] - BACK_S, job["stopTime"] - BACK_S, held)
    assert len(jobs[ids["both"]].shares) == 2
    move_back(real_oar, ids.values())
    return Story(jobs, began - BACK_S, int(time.time()) + 15 - BACK_S)


def move_back(server: Server, ids: Iterable[int]) -> None:
    """Date jobs that have ended back in OAR's database."""
    times = ("submission_time", "start_time", "stop_time")
    earlier = ", ".join(f"{name} = {name} - {BACK_S}" for name in times)
    query = f"UPDATE jobs SET {earlier} WHERE job_id IN ({', '.join(map(str, ids))})"
    address = f"postgresql://oar@{DATABASE}/oar"
    command("psql", "-q", "-d", address, "-c", query, PGPASSWORD=server.secrets["OAR_DB"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("oar"))


def days(story: Story) -> dict[str, str]:
    first, last = (datetime.fromtimestamp(each, UTC) for each in (story.began, story.ended))
    return {"start": f"{first:%F}", "end": f"{last + timedelta(days=1):%F}"}


def ask(path: str) -> str:
    with urllib.request.urlopen(f"{API}{path}") as answer:
        return str(answer.read().decode())


def exports(folder: Path, story: Story) -> Path:
    """Nodes and power as saved files; the jobs are for the test to save."""
    for cluster, nodes in NODES.items():
        answers.save(folder / f"nodes/{cluster}.json", answers.page(*nodes))
    answers.save(folder / "nodes/clusters.json", answers.page(*CLUSTERS))
    answers.save(folder / "power/all.json", story.readings())
    (folder / "jobs").mkdir()
    return folder


def check(project: Project, folder: Path, story: Story, source: dict[str, Any]) -> None:
    """Run a study: each job has the energy that the hand computes."""
    study = {"site": "nancy", "clusters": sorted(NODES)} | days(story)
    configure(folder, study=study, source=source, privacy={"key": "public"})
    project.run(folder, "--cores", "2", "results/energy/jobs.parquet")
    found = pl.read_parquet(folder / "results/energy/jobs.parquet")
    rows = {row["job_id"]: row for row in found.to_dicts() if row["job_id"] in story.jobs}
    assert rows.keys() == story.jobs.keys()
    for job_id, held in story.jobs.items():
        row = rows[job_id]
        assert row["started_at"] == datetime.fromtimestamp(held.started, UTC)
        assert row["duration_s"] == held.stopped - held.started
        assert row["n_nodes"] == len(held.shares)
        assert row["coverage_frac"] == pytest.approx(1)
        assert row["energy_kwh"] == pytest.approx(story.energy_kwh(held), rel=1e-9)
        assert row["energy_kwh"] > 1e-5


def test_from_oarstat_in_files(
    project: Project, story: Story, users: tuple[User, User], tmp_path: Path
) -> None:
    folder = exports(tmp_path / "exports", story)
    span = ", ".join(f"{datetime.fromtimestamp(at):%F %T}" for at in (story.began, story.ended))
    told = users[0].does("oarstat", "-J", "--gantt", span).stdout
    (folder / "jobs/gantt.json").write_text(told)
    check(project, tmp_path, story, {"kind": "exports", "directory": str(folder)})


def test_from_the_api_of_oar_in_files(project: Project, story: Story, tmp_path: Path) -> None:
    folder = exports(tmp_path / "exports", story)
    span = f"from={story.began}&to={story.ended}"
    (folder / "jobs/details.json").write_text(ask(f"/jobs/details.json?{span}"))
    (folder / "resources").mkdir()
    (folder / "resources/details.json").write_text(ask("/resources/details.json?limit=999999"))
    check(project, tmp_path, story, {"kind": "exports", "directory": str(folder)})


@contextmanager
def api_of_grid5000(story: Story) -> Iterator[str]:
    """The API of a site, with the real OAR behind its `oarapi`; gives its address."""
    readings = story.readings()

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        if path == "/sites/nancy/clusters":
            return answers.page(*CLUSTERS)
        if path.startswith("/sites/nancy/clusters/"):
            return answers.page(*NODES[path.split("/")[4]])
        assert path == "/sites/nancy/metrics", path
        first, last = (_seconds(query[name][0]) for name in ("start_time", "end_time"))
        nodes = query["nodes"][0].split(",")
        return [
            each
            for each in readings
            if each["device_id"] in nodes and first <= _seconds(each["timestamp"]) <= last
            if query["metrics"] == [METRIC]
        ]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            _, oarapi, rest = url.path.partition("/sites/nancy/internal/oarapi")
            if oarapi:
                content = ask(f"{rest}?{url.query}")
            else:
                content = json.dumps(answer(url.path, parse_qs(url.query)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _seconds(at: str) -> float:
    return float(at) if at.isdigit() else datetime.fromisoformat(at).timestamp()


def test_from_the_api_of_grid5000(project: Project, story: Story, tmp_path: Path) -> None:
    with api_of_grid5000(story) as url:
        check(project, tmp_path, story, {"kind": "grid5000", "url": url})
