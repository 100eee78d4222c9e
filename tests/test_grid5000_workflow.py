"""The whole workflow over the network, against the simulated site behind the API of Grid'5000."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest
import trustme
from running import Project, Ran, configure, small_study

from footprint import serve, settings, tables
from footprint.serve.list_faults import LIST_KINDS

pytestmark = pytest.mark.workflow

SERIES = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
USERNAME, PASSWORD = "somebody", "correct horse battery staple"
ENERGY = ["results/energy/jobs.parquet", "results/levels.parquet"]
ENERGY += ["results/estimates/ratios.parquet"]
EVERYTHING = [*ENERGY, "results/phases/ratio.parquet", "results/carbon.parquet"]
EVERYTHING += ["results/active_users.parquet", "results/notable_models.parquet"]
CLUSTERS, MONTHS = ("graffiti", "gres", "gruss"), ("2025-03", "2025-04")
OTHER_SERIES = [
    f"resources/nancy/series/prom_node_load1/{cluster}/{month}.parquet"
    for cluster in CLUSTERS
    for month in MONTHS
]
POWER = "resources/nancy/power/bmc_node_power_watt/graffiti/2025-03.parquet"
# Many small requests, so that much can go wrong; tried again at once.
HASTE = {"chunks": {"hours": 2, "nodes": 2}, "wait_s": 0.02, "retries": 8}
N_KILLS = 10
# An accent in a directory is read as meant, but is not there without the fault.
LISTS_ALONE = tuple(kind for kind in LIST_KINDS if kind != "twice_encoded")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("grid5000"))


@pytest.fixture(scope="module")
def simulated(project: Project) -> dict[str, Any]:
    """A study of the simulated site."""
    return small_study(project, privacy={"key": "public"})


@pytest.fixture(scope="module")
def truth(project: Project, simulated: dict[str, Any]) -> Path:
    """What the simulated source gives."""
    folder = configure(project.folder.parent / "simulated", **simulated)
    project.run(folder, "--cores", "2", *ENERGY)
    return folder


def asking(simulated: dict[str, Any], server: serve.Server, **changes: Any) -> dict[str, Any]:
    """The same study with a server as its source."""
    source = {
        "kind": "grid5000",
        "url": server.url,
        "states": "/sites/nancy/footprint/states",
    }
    download = HASTE | changes.pop("download", {})
    return simulated | {"source": source | changes.pop("source", {}), "download": download}


def parquets(folder: Path) -> dict[str, bytes]:
    """Every table that a run made, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.parquet"))
        if "answers" not in path.parts
    }


def same_as_simulated(folder: Path, truth: Path) -> None:
    """All tables are there, and each has the bytes that the simulated source leads to."""
    found, expected = parquets(folder), parquets(truth)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


# All well


@pytest.mark.slow
def test_the_api_gives_what_the_simulated_source_gives(
    project: Project, simulated: dict[str, Any], tmp_path: Path
) -> None:
    """With all that a source may have: series of devices, states, a password."""
    both = {"download": {"devices": SERIES}, "integration": {"gate": "two_part"}}
    truth = configure(tmp_path / "simulated", **(simulated | both))
    project.run(truth, "--cores", "2", *EVERYTHING, *OTHER_SERIES)
    loaded = settings.load(simulated)
    folder = tmp_path / "study"
    with serve.running(loaded, username=USERNAME, password=PASSWORD, log_requests=True) as server:
        usual = both["download"] | {"chunks": {}}
        config = asking(
            simulated | both,
            server,
            source={"credentials": credentials_file(tmp_path, PASSWORD)},
            download=usual,
        )
        ran = project.run(configure(folder, **config), "--cores", "2")
        n_asked = len(server.requests)
        again = project.run(folder, "--cores", "2")
    same_as_simulated(folder, truth)
    assert "Nothing to be done" in again.said
    assert len(server.requests) == n_asked  # a finished download asks nothing
    assert (folder / "results/report.html").stat().st_size > 100_000
    for path in OTHER_SERIES:
        assert tables.DeviceSeries.is_valid(pl.read_parquet(folder / path))
    assert "is not collected by default of gres-1" in logs(folder, "download_power")
    assert "by default of gres-1" in (folder / "results/tables/quality.html").read_text()
    # nobody finds the password in what a run leaves or says
    basic = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    for secret in (PASSWORD, basic, PASSWORD.replace(" ", "%20")):
        assert secret not in ran.said + again.said
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_the_list_without_dates_gives_the_same_energies(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    with serve.running(settings.load(simulated), forbid=".*/internal/.*") as server:
        folder = configure(tmp_path, **asking(simulated, server))
        project.run(folder, "--cores", "2", *ENERGY)
    found, expected = parquets(folder), parquets(truth)
    for name in ("results/energy/jobs.parquet", "results/energy/job_nodes.parquet"):
        assert found[name] == expected[name]
    assert "listing /sites/nancy/jobs instead" in logs(folder, "download_jobs")


def logs(folder: Path, rule: str) -> str:
    """All that the jobs of a rule logged."""
    return "".join(path.read_text() for path in sorted((folder / "logs").rglob(f"{rule}*.log"))) + (
        "".join(path.read_text() for path in sorted((folder / "logs" / rule).rglob("*.log")))
    )


# Not all well


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "rate", "least"),
    [(serve.ANYWHERE, 0.15, 0.1), (LISTS_ALONE, 1.0, 0.04)],
    ids=["anywhere", "lists"],
)
def test_faults_change_nothing(
    project: Project,
    simulated: dict[str, Any],
    truth: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kinds: tuple[str, ...],
    rate: float,
    least: float,
) -> None:
    faults = serve.Faults(seed=4, rate=rate, kinds=kinds)
    with serve.running(settings.load(simulated), faults=faults) as server:
        folder = configure(tmp_path, **asking(simulated, server))
        project.run(folder, "--cores", "2", *ENERGY)
    same_as_simulated(folder, truth)
    survived = sum(faults.counts.values())
    with capsys.disabled():
        each = ", ".join(f"{kind} {n}" for kind, n in sorted(faults.counts.items()))
        print(f"\nsurvived {survived} faults of {faults.n_requests} answers: {each}")
    assert set(faults.counts) == set(kinds)
    assert survived > least * faults.n_requests


@pytest.mark.slow
def test_killed_ten_times_it_goes_on_where_it_stopped(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    rng = random.Random(7)
    slow = serve.Faults(seed=1, rate=1.0, kinds=["delay"], delay_s=0.05)
    with serve.running(settings.load(simulated), faults=slow, log_requests=True) as server:
        folder = configure(tmp_path, **asking(simulated, server, download={"concurrency": 2}))
        n_kept = [0]
        for _ in range(N_KILLS):
            n_before, kept = len(server.requests), kept_for_good(folder)
            run_and_kill(project, folder, server, n_requests=rng.randint(1, 30), rng=rng)
            assert_not_asked_again(server, n_before, kept)
            n_kept.append(len(kept_for_good(folder)))
        n_before, kept = len(server.requests), kept_for_good(folder)
        project.run(folder, "--cores", "2", "--nolock", *ENERGY)
        assert_not_asked_again(server, n_before, kept)
    # the list of jobs is asked for at each start, as some of them have not ended
    assert sum(more > less for less, more in pairwise(n_kept)) >= N_KILLS / 2, n_kept
    assert len(kept_for_good(folder)) > n_kept[-1]  # the last kill was before the end
    same_as_simulated(folder, truth)


def run_and_kill(
    project: Project, folder: Path, server: serve.Server, *, n_requests: int, rng: random.Random
) -> None:
    """Start Snakemake, and kill it and all its jobs in the midst of their requests."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.folder / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "study.yaml")]
    command += ["--cores", "2", "--nolock", *ENERGY]
    until = len(server.requests) + n_requests
    with (folder / "killed.log").open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=project.environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        while len(server.requests) < until:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kept_for_good(folder: Path) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Requests whose answers are kept: path and parameters."""
    kept = set()
    for path in (folder / "resources/nancy/answers/requests").rglob("*.json"):
        record = json.loads(path.read_text())
        if record["final"] and "content" in record:
            url = urlsplit(record["request"])
            kept.add((url.path, frozenset(parse_qsl(url.query))))
    return kept


def assert_not_asked_again(
    server: serve.Server, since: int, kept: set[tuple[str, frozenset[tuple[str, str]]]]
) -> None:
    asked = {(each.path, frozenset(each.query.items())) for each in server.requests[since:]}
    assert asked & kept == set()


@pytest.mark.slow
def test_a_node_that_always_fails(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    loaded = settings.load(simulated)
    patient = {"retries": 1, "chunks": {"hours": 24, "nodes": 20}}
    with serve.running(loaded, fail_nodes=["graffiti-2"], log_requests=True) as server:
        config = asking(simulated, server, download=patient)
        folder = configure(tmp_path, **config)
        ran = project.run(folder, "--cores", "2", "--keep-going", *ENERGY, status=1)
        told = "/sites/nancy/metrics: no bmc_node_power_watt of node graffiti-2 (500: "
        lines = [line for line in ran.said.splitlines() if line.startswith(told)]
        assert lines, ran.said
        assert lines[0].endswith("go on without: download: {allow_missing: [graffiti-2]}")
        assert "Traceback" not in ran.said
        # 2 months of 3 chunks at once, each tried twice with 3, 2 and 1 nodes; when the rule runs
        # again, with 1
        about_it = [each for each in server.requests if "graffiti-2" in str(each.query)]
        assert len(about_it) <= 2 * 3 * 2 * (3 + 1)
        kept, n_before = kept_for_good(folder), len(server.requests)
        nodes = {name for path, query in kept for name in dict(query).get("nodes", "").split(",")}
        assert {"graffiti-1", "graffiti-3", "gruss-1"} <= nodes

        config["download"] |= {"allow_missing": ["graffiti-2"]}
        project.run(configure(folder, **config), "--cores", "2", *ENERGY)
        assert_not_asked_again(server, n_before, kept)
    classes = pl.read_parquet(folder / "results/energy/nodes.parquet")
    by_node = classes.filter(pl.col("duration_s") > 0).group_by("node").agg("class")
    found = {node: set(names) for node, names in by_node.iter_rows()}
    assert found["graffiti-2"] == {"no_data"}
    assert "job" in found["graffiti-1"]
    for other in ("graffiti-1", "graffiti-3"):
        of_node = pl.col("node") == other
        power = pl.read_parquet(folder / POWER).filter(of_node)
        assert power.equals(pl.read_parquet(truth / POWER).filter(of_node))


# What a user must mend


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate of it that expired yesterday."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, now = trustme.CA(), datetime.now(UTC)
    expired = authority.issue_cert(
        "127.0.0.1",
        not_before=now - timedelta(days=9),
        not_after=now - timedelta(days=1),
    )
    authority.cert_pem.write_to_path(folder / "authority.pem")
    expired.cert_chain_pems[0].write_to_path(folder / "expired.pem")
    expired.private_key_pem.write_to_path(folder / "expired.key")
    return folder


def credentials_file(folder: Path, password: str) -> str:
    file = folder / "credentials.yaml"
    file.write_text(f"username: {USERNAME}\npassword: {password}\n")
    file.chmod(0o600)
    return str(file)


Case = tuple[dict[str, Any], dict[str, Any], str]


@pytest.fixture
def cases(certificates: Path, tmp_path: Path) -> dict[str, Case]:
    """What the server is like, what the study changes, and the line that a user reads."""
    asks = {"username": USERNAME, "password": PASSWORD}
    return {
        "wrong password": (
            asks,
            {"source": {"credentials": credentials_file(tmp_path, "guess")}},
            "/sites/nancy/clusters: the service does not know who asks, or the password is wrong",
        ),
        "no password": (
            asks,
            {},
            "/sites/nancy/clusters: the service does not know who asks, or the password is wrong",
        ),
        "no permission": (
            {"forbid": ".*/clusters.*"},
            {},
            "/sites/nancy/clusters: this account may not ask for it",
        ),
        "unknown site": (
            {},
            {"study": {"site": "nanzig", "start": "2025-03-31", "end": "2025-04-02"}},
            "study.site: there is no site nanzig; choose among nancy",
        ),
        "expired certificate": (
            {
                "certificate": certificates / "expired.pem",
                "private_key": certificates / "expired.key",
            },
            {"source": {"ca_bundle": str(certificates / "authority.pem")}},
            "its certificate is not accepted (certificate has expired)",
        ),
    }


@pytest.mark.parametrize(
    "what",
    ["wrong password", "no password", "no permission", "unknown site", "expired certificate"],
)
def test_what_a_user_must_mend_is_told_at_once(
    project: Project,
    simulated: dict[str, Any],
    cases: dict[str, Case],
    tmp_path: Path,
    what: str,
) -> None:
    served, changes, line = cases[what]
    with serve.running(settings.load(simulated), log_requests=True, **served) as server:
        config = asking(simulated, server, source=changes.get("source", {}))
        config |= {"study": changes["study"]} if "study" in changes else {}
        ran = project.run(configure(tmp_path / "study", **config), "--cores", "2", status=1)
    one_clear_line(ran, line)
    assert len(server.requests) <= 2


@pytest.mark.slow
def test_what_is_refused_in_the_midst_of_a_run(
    project: Project, simulated: dict[str, Any], tmp_path: Path
) -> None:
    served = {"forbid": ".*/metrics"}
    with serve.running(settings.load(simulated), log_requests=True, **served) as server:
        folder = configure(tmp_path, **asking(simulated, server))
        ran = project.run(folder, "--cores", "2", *ENERGY, status=1)
    assert "/sites/nancy/metrics: this account may not ask for it" in ran.said
    assert "Traceback" not in ran.said
    metrics = [each for each in server.requests if each.path.endswith("/metrics")]
    assert 0 < len(metrics) < 40  # one request a thread and try of a rule, no storm


def one_clear_line(ran: Ran, line: str) -> None:
    told = [each for each in ran.said.splitlines() if line in each]
    assert len(told) == 1, ran.said
    assert "; " in told[0]
    assert "Traceback" not in ran.said
    assert PASSWORD not in ran.said


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The usual file of whoever runs the tests is not read."""
    monkeypatch.setenv("HOME", str(tmp_path))
