"""Tests of the energy of jobs that a real OAR ran, from submission to the tables of results.

Nodes and their power are invented, because the server's nodes are names of this machine. The power
of a node grows linearly with time, so that trapezoids, and the comparison, are exact.
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

import polars as pl
import pytest

from tests.support import api_answers
from tests.support.oar_server import (
    API_URL,
    DATABASE_ADDRESS,
    ClusterUser,
    OarServer,
    command_output,
    wait_for,
)
from tests.support.project import Project, configure

pytestmark = [pytest.mark.oar, pytest.mark.slow, pytest.mark.workflow]

METRIC = "bmc_node_power_watt"
POWER_LINES = {"cpux-1": (90.0, 0.4), "cpux-2": (130.0, 0.7), "gpux-1": (240.0, 1.1)}
"""Power of each node at the first sample (W), and its slope (W/s)."""

NODES = {
    "cpux": [api_answers.reference_node("cpux-1"), api_answers.reference_node("cpux-2")],
    "gpux": [api_answers.reference_node("gpux-1", n_cores=8, n_gpus=2)],
}
CLUSTERS = [
    {"uid": name, "metrics": [{"name": METRIC, "period": 5000}], "queues": ["production"]}
    for name in NODES
]
J_PER_KWH = 3.6e6

DATED_BACK_S = 2 * 86400
"""Time by which the jobs are dated back, because only past days are downloaded from the API."""


class HeldJob(NamedTuple):
    """A job: start and end (UTC, in seconds), and the share of each node that it held."""

    started: int
    stopped: int
    shares: dict[str, float]


class OarHistory(NamedTuple):
    """Jobs by id, and the start and end of the readings (UTC, in seconds)."""

    jobs: dict[int, HeldJob]
    began: int
    ended: int

    def power_w(self, node: str, time_s: float) -> float:
        """Power of a node at a time, in watts."""
        base, slope = POWER_LINES[node]
        return base + slope * (time_s - self.began)

    def measured_kwh(self, job: HeldJob) -> float:
        """Energy of a job: mean power at its start and end, times duration and share."""
        duration_s = job.stopped - job.started
        return (
            sum(
                share
                * duration_s
                * (self.power_w(node, job.started) + self.power_w(node, job.stopped))
                / 2
                for node, share in job.shares.items()
            )
            / J_PER_KWH
        )

    def readings(self) -> list[dict[str, Any]]:
        """Readings in the format of Kwollect."""
        return [
            api_answers.kwollect_record(
                datetime.fromtimestamp(at, UTC).isoformat(),
                self.power_w(node, at),
                device_id=node,
                metric_id=METRIC,
            )
            for node in POWER_LINES
            for at in range(self.began, self.ended, 5)
        ]


@pytest.fixture(scope="module")
def users(real_oar: OarServer) -> Iterator[tuple[ClusterUser, ClusterUser]]:  # noqa: ARG001
    folder = Path(command_output("mktemp", "-d", "/tmp/footprint-oar-XXXXXX").strip())
    folder.chmod(0o755)
    found = []
    for name in ("alice", "bob"):
        (folder / name).mkdir()
        found.append(ClusterUser(name, folder / name))
    yield found[0], found[1]
    command_output("rm", "-rf", str(folder))


@pytest.fixture(scope="module")
def history(real_oar: OarServer, users: tuple[ClusterUser, ClusterUser]) -> OarHistory:
    """Jobs of several kinds, run to their ends and dated back."""
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
    shares = {  # of each node that the job held
        **{"whole": 1.0, "both": 1.0, "core": 1 / 4, "fails": 3 / 4, "gpu": 1 / 2},
        "deleted": 1 / 2,
    }

    def listed_jobs() -> dict[str, dict[str, Any]]:
        words = [word for each in ids.values() for word in ("-j", str(each))]
        found = json.loads(alice.does("oarstat", "-f", "-J", *words).stdout)
        return {name: found[str(each)] for name, each in ids.items()}

    wait_for("a job to run", lambda: listed_jobs()["deleted"]["state"] == "Running")
    time.sleep(6)
    assert bob.does("oardel", str(ids["deleted"])).returncode == 0
    over = {"Terminated", "Error"}
    wait_for(
        "the jobs to end",
        lambda: {job["state"] for job in listed_jobs().values()} <= over,
        longest_s=150,
    )
    ended = listed_jobs()
    states = {name: job["state"] for name, job in ended.items() if job["state"] == "Error"}
    assert states == {"deleted": "Error"}
    jobs = {}
    for name, job in ended.items():
        nodes = {each.partition(".")[0] for each in job["assigned_network_address"]}
        held = dict.fromkeys(nodes, shares[name])
        jobs[ids[name]] = HeldJob(
            job["startTime"] - DATED_BACK_S, job["stopTime"] - DATED_BACK_S, held
        )
    assert len(jobs[ids["both"]].shares) == 2
    date_back(real_oar, ids.values())
    return OarHistory(jobs, began - DATED_BACK_S, int(time.time()) + 15 - DATED_BACK_S)


def date_back(server: OarServer, ids: Iterable[int]) -> None:
    """Date ended jobs back in OAR's database."""
    times = ("submission_time", "start_time", "stop_time")
    earlier = ", ".join(f"{name} = {name} - {DATED_BACK_S}" for name in times)
    query = f"UPDATE jobs SET {earlier} WHERE job_id IN ({', '.join(map(str, ids))})"
    address = f"postgresql://oar@{DATABASE_ADDRESS}/oar"
    command_output("psql", "-q", "-d", address, "-c", query, PGPASSWORD=server.secrets["OAR_DB"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("oar"))


def days(history: OarHistory) -> dict[str, str]:
    first, last = (datetime.fromtimestamp(each, UTC) for each in (history.began, history.ended))
    return {"start": f"{first:%F}", "end": f"{last + timedelta(days=1):%F}"}


def read_api(path: str) -> str:
    with urllib.request.urlopen(f"{API_URL}{path}") as response:
        return str(response.read().decode())


def write_exports(folder: Path, history: OarHistory) -> Path:
    """Save nodes and power as files, and create the folder for the jobs."""
    for cluster, nodes in NODES.items():
        api_answers.save_json(folder / f"nodes/{cluster}.json", api_answers.collection_page(*nodes))
    api_answers.save_json(folder / "nodes/clusters.json", api_answers.collection_page(*CLUSTERS))
    api_answers.save_json(folder / "power/all.json", history.readings())
    (folder / "jobs").mkdir()
    return folder


def check_energies(
    project: Project, folder: Path, history: OarHistory, source: dict[str, Any]
) -> None:
    """Run a study, and compare each job's energy with `OarHistory.measured_kwh`."""
    study = {"site": "nancy", "clusters": sorted(NODES)} | days(history)
    configure(folder, study=study, source=source, privacy={"key": "public"})
    project.run(folder, "--cores", "2", "results/energy/jobs.parquet")
    found = pl.read_parquet(folder / "results/energy/jobs.parquet")
    rows = {row["job_id"]: row for row in found.to_dicts() if row["job_id"] in history.jobs}
    assert rows.keys() == history.jobs.keys()
    for job_id, held in history.jobs.items():
        row = rows[job_id]
        assert row["started_at"] == datetime.fromtimestamp(held.started, UTC)
        assert row["duration_s"] == held.stopped - held.started
        assert row["n_nodes"] == len(held.shares)
        assert row["coverage_frac"] == pytest.approx(1)
        assert row["measured_kwh"] == pytest.approx(history.measured_kwh(held), rel=1e-9)
        assert row["measured_kwh"] > 1e-5


def test_energy_of_jobs_from_files_of_oarstat_equals_hand_computation(
    project: Project, history: OarHistory, users: tuple[ClusterUser, ClusterUser], tmp_path: Path
) -> None:
    folder = write_exports(tmp_path / "exports", history)
    span = ", ".join(f"{datetime.fromtimestamp(at):%F %T}" for at in (history.began, history.ended))
    gantt = users[0].does("oarstat", "-J", "--gantt", span).stdout
    (folder / "jobs/gantt.json").write_text(gantt)
    check_energies(project, tmp_path, history, {"kind": "exports", "directory": str(folder)})


def test_energy_of_jobs_from_files_of_oar_api_equals_hand_computation(
    project: Project, history: OarHistory, tmp_path: Path
) -> None:
    folder = write_exports(tmp_path / "exports", history)
    span = f"from={history.began}&to={history.ended}"
    (folder / "jobs/details.json").write_text(read_api(f"/jobs/details.json?{span}"))
    (folder / "resources").mkdir()
    (folder / "resources/details.json").write_text(read_api("/resources/details.json?limit=999999"))
    check_energies(project, tmp_path, history, {"kind": "exports", "directory": str(folder)})


@contextmanager
def api_of_grid5000(history: OarHistory) -> Iterator[str]:
    """Address of the API of a site, with the real OAR behind its `oarapi`."""
    readings = history.readings()

    def response_to(path: str, query: dict[str, list[str]]) -> Any:
        if path == "/sites/nancy/clusters":
            return api_answers.collection_page(*CLUSTERS)
        if path.startswith("/sites/nancy/clusters/"):
            return api_answers.collection_page(*NODES[path.split("/")[4]])
        assert path == "/sites/nancy/metrics", path
        first, last = (_unix_time(query[name][0]) for name in ("start_time", "end_time"))
        nodes = query["nodes"][0].split(",")
        return [
            each
            for each in readings
            if each["device_id"] in nodes and first <= _unix_time(each["timestamp"]) <= last
            if query["metrics"] == [METRIC]
        ]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            _, oarapi, rest = url.path.partition("/sites/nancy/internal/oarapi")
            if oarapi:
                content = read_api(f"{rest}?{url.query}")
            else:
                content = json.dumps(response_to(url.path, parse_qs(url.query)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *words: Any) -> None:
            """Print no log line."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _unix_time(text: str) -> float:
    return float(text) if text.isdigit() else datetime.fromisoformat(text).timestamp()


def test_energy_of_jobs_from_grid5000_api_equals_hand_computation(
    project: Project, history: OarHistory, tmp_path: Path
) -> None:
    with api_of_grid5000(history) as url:
        check_energies(project, tmp_path, history, {"kind": "grid5000", "url": url})
