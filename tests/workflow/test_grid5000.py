"""Whole workflow over the network, with the simulated site behind the API of Grid'5000."""

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

from footprint import serve
from footprint.config import settings
from footprint.schemas.raw import DeviceSeries
from footprint.serve.list_faults import LIST_KINDS
from tests.support.project import CompletedRun, Project, configure, small_study

pytestmark = pytest.mark.workflow

SERIES = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
USERNAME, PASSWORD = "somebody", "correct horse battery staple"
ENERGY = ["results/energy/jobs.parquet", "results/levels.parquet"]
ENERGY += ["results/estimates/ratios.parquet"]
EVERYTHING = [*ENERGY, "results/phases/ratio.parquet", "results/carbon.parquet"]
EVERYTHING += ["results/active_users.parquet", "results/notable_models.parquet"]
EVERYTHING += ["results/energy/uncertainty.parquet", "results/phases/sensitivities.parquet"]
EVERYTHING += ["results/phases/stages.parquet", "results/phases/energies.parquet"]
EVERYTHING += ["results/phases/ratio_uncertainty.parquet"]
OF_TRUTH = "reliability.parquet"
"""By the truth of the simulated site, and by labels elsewhere."""
CLUSTERS, MONTHS = ("graffiti", "gres", "gruss"), ("2025-03", "2025-04")
OTHER_SERIES = [
    f"resources/nancy/series/prom_node_load1/{cluster}/{month}.parquet"
    for cluster in CLUSTERS
    for month in MONTHS
]
POWER = "resources/nancy/power/bmc_node_power_watt/graffiti/2025-03.parquet"
# Many small requests with short waits, so that many faults occur in a short time.
SMALL_REQUESTS = {"chunks": {"hours": 2, "nodes": 2}, "wait_s": 0.02, "retries": 8}
N_KILLS = 10
# `twice_encoded` adds an accent to a directory, so that its tables differ.
LIST_FAULTS = tuple(kind for kind in LIST_KINDS if kind != "twice_encoded")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("grid5000"))


@pytest.fixture(scope="module")
def simulated(project: Project) -> dict[str, Any]:
    """A study of the simulated site."""
    return small_study(project, privacy={"key": "public"})


@pytest.fixture(scope="module")
def truth(project: Project, simulated: dict[str, Any]) -> Path:
    """Folder of a run with the simulated source."""
    folder = configure(project.folder.parent / "simulated", **simulated)
    project.run(folder, "--cores", "2", *ENERGY)
    return folder


def config_of_server(
    simulated: dict[str, Any], server: serve.Server, **changes: Any
) -> dict[str, Any]:
    """Configuration of the simulated study with a server as its source."""
    source = {
        "kind": "grid5000",
        "url": server.url,
        "states": "/sites/nancy/footprint/states",
    }
    download = SMALL_REQUESTS | changes.pop("download", {})
    return simulated | {"source": source | changes.pop("source", {}), "download": download}


def bytes_of_tables(folder: Path) -> dict[str, bytes]:
    """Bytes of every table of a run, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.parquet"))
        if "answers" not in path.parts and path.name != OF_TRUTH
    }


def assert_same_as_simulated(folder: Path, truth: Path) -> None:
    """Both runs wrote the same tables, byte by byte."""
    found, expected = bytes_of_tables(folder), bytes_of_tables(truth)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


# Downloads without faults


@pytest.mark.slow
def test_api_download_gives_tables_of_simulated_source(
    project: Project, simulated: dict[str, Any], tmp_path: Path
) -> None:
    """The source has series of devices, node states and a password."""
    both = {"download": {"devices": SERIES}, "integration": {"gate": "two_part"}}
    truth = configure(tmp_path / "simulated", **(simulated | both))
    project.run(truth, "--cores", "2", *EVERYTHING, *OTHER_SERIES)
    loaded = settings.prepare_configuration(simulated)
    folder = tmp_path / "study"
    with serve.running_server(
        loaded, access=serve.Access(USERNAME, PASSWORD), log_requests=True
    ) as server:
        usual = both["download"] | {"chunks": {}}
        config = config_of_server(
            simulated | both,
            server,
            source={"credentials": credentials_file(tmp_path, PASSWORD)},
            download=usual,
        )
        ran = project.run(configure(folder, **config), "--cores", "2")
        n_asked = len(server.requests)
        again = project.run(folder, "--cores", "2")
    assert_same_as_simulated(folder, truth)
    assert "Nothing to be done" in again.output
    assert len(server.requests) == n_asked  # a finished download requests nothing
    assert (folder / "results/report.html").stat().st_size > 100_000
    for path in OTHER_SERIES:
        assert DeviceSeries.is_valid(pl.read_parquet(folder / path))
    assert "is not collected by default of gres-1" in logs_of_rule(folder, "download_power")
    assert (
        "no power is collected for gres-1" in (folder / "results/tables/quality.html").read_text()
    )
    # neither files nor output of the runs contain the password
    basic = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    for secret in (PASSWORD, basic, PASSWORD.replace(" ", "%20")):
        assert secret not in ran.output + again.output
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_job_list_without_dates_gives_same_energies(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    with serve.running_server(
        settings.prepare_configuration(simulated), access=serve.Access(forbid=".*/internal/.*")
    ) as server:
        folder = configure(tmp_path, **config_of_server(simulated, server))
        project.run(folder, "--cores", "2", *ENERGY)
    found, expected = bytes_of_tables(folder), bytes_of_tables(truth)
    for name in ("results/energy/jobs.parquet", "results/energy/job_nodes.parquet"):
        assert found[name] == expected[name]
    assert "listing /sites/nancy/jobs instead" in logs_of_rule(folder, "download_jobs")


def logs_of_rule(folder: Path, rule: str) -> str:
    """Logs of all jobs of a rule."""
    return "".join(path.read_text() for path in sorted((folder / "logs").rglob(f"{rule}*.log"))) + (
        "".join(path.read_text() for path in sorted((folder / "logs" / rule).rglob("*.log")))
    )


# Downloads with faults


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "rate", "least", "n_absent"),
    # 15 % of some 160 answers are too few for every one of many kinds
    [(serve.GENERAL_KINDS, 0.15, 0.1, 3), (LIST_FAULTS, 1.0, 0.04, 0)],
    ids=["anywhere", "lists"],
)
def test_server_faults_change_no_table(
    project: Project,
    simulated: dict[str, Any],
    truth: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kinds: tuple[str, ...],
    rate: float,
    least: float,
    n_absent: int,
) -> None:
    faults = serve.Faults(seed=4, rate=rate, kinds=kinds)
    with serve.running_server(settings.prepare_configuration(simulated), faults=faults) as server:
        folder = configure(tmp_path, **config_of_server(simulated, server))
        project.run(folder, "--cores", "2", *ENERGY)
    assert_same_as_simulated(folder, truth)
    survived = sum(faults.counts.values())
    with capsys.disabled():
        each = ", ".join(f"{kind} {n}" for kind, n in sorted(faults.counts.items()))
        print(f"\nsurvived {survived} faults of {faults.n_requests} answers: {each}")
    assert len(set(kinds) - set(faults.counts)) <= n_absent
    assert survived > least * faults.n_requests


@pytest.mark.slow
def test_killed_download_resumes_without_repeated_requests(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    rng = random.Random(7)
    slow = serve.Faults(seed=1, rate=1.0, kinds=["delay"], delay_s=0.05)
    with serve.running_server(
        settings.prepare_configuration(simulated), faults=slow, log_requests=True
    ) as server:
        folder = configure(
            tmp_path, **config_of_server(simulated, server, download={"concurrency": 2})
        )
        n_kept = [0]
        for _ in range(N_KILLS):
            n_before, kept = len(server.requests), requests_with_final_answers(folder)
            run_and_kill(project, folder, server, n_requests=rng.randint(1, 30), rng=rng)
            assert_no_repeated_request(server, n_before, kept)
            n_kept.append(len(requests_with_final_answers(folder)))
        n_before, kept = len(server.requests), requests_with_final_answers(folder)
        project.run(folder, "--cores", "2", "--nolock", *ENERGY)
        assert_no_repeated_request(server, n_before, kept)
    # the job list is requested at each start, because some jobs have not ended
    assert sum(more > less for less, more in pairwise(n_kept)) >= N_KILLS / 2, n_kept
    assert len(requests_with_final_answers(folder)) > n_kept[-1]  # the last kill was before the end
    assert_same_as_simulated(folder, truth)


def run_and_kill(
    project: Project, folder: Path, server: serve.Server, *, n_requests: int, rng: random.Random
) -> None:
    """Start Snakemake, and kill it with all its jobs after some requests."""
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
            assert process.poll() is None, "Snakemake ended before it was killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def requests_with_final_answers(folder: Path) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Path and parameters of each request with a stored final answer."""
    kept = set()
    for path in (folder / "resources/nancy/answers/requests").rglob("*.json"):
        record = json.loads(path.read_text())
        if record["final"] and "content" in record:
            url = urlsplit(record["request"])
            kept.add((url.path, frozenset(parse_qsl(url.query))))
    return kept


def assert_no_repeated_request(
    server: serve.Server, since: int, kept: set[tuple[str, frozenset[tuple[str, str]]]]
) -> None:
    asked = {(each.path, frozenset(each.query.items())) for each in server.requests[since:]}
    assert asked & kept == set()


@pytest.mark.slow
def test_failing_node_stops_run_until_allowed_missing(
    project: Project, simulated: dict[str, Any], truth: Path, tmp_path: Path
) -> None:
    loaded = settings.prepare_configuration(simulated)
    patient = {"retries": 1, "chunks": {"hours": 24, "nodes": 20}}
    with serve.running_server(loaded, fail_nodes=["graffiti-2"], log_requests=True) as server:
        config = config_of_server(simulated, server, download=patient)
        folder = configure(tmp_path, **config)
        ran = project.run(folder, "--cores", "2", "--keep-going", *ENERGY, status=1)
        matching = "/sites/nancy/metrics: no bmc_node_power_watt of node graffiti-2 (500: "
        lines = [line for line in ran.output.splitlines() if line.startswith(matching)]
        assert lines, ran.output
        assert lines[0].endswith("or set download: {allow_missing: [graffiti-2]}")
        assert "Traceback" not in ran.output
        # two months of three concurrent chunks, each tried twice with 3, 2 and 1 nodes, and with
        # 1 node when the rule is retried
        about_it = [each for each in server.requests if "graffiti-2" in str(each.query)]
        assert len(about_it) <= 2 * 3 * 2 * (3 + 1)
        kept, n_before = requests_with_final_answers(folder), len(server.requests)
        nodes = {name for path, query in kept for name in dict(query).get("nodes", "").split(",")}
        assert {"graffiti-1", "graffiti-3", "gruss-1"} <= nodes

        config["download"] |= {"allow_missing": ["graffiti-2"]}
        project.run(configure(folder, **config), "--cores", "2", *ENERGY)
        assert_no_repeated_request(server, n_before, kept)
    classes = pl.read_parquet(folder / "results/energy/nodes.parquet")
    by_node = classes.filter(pl.col("duration_s") > 0).group_by("node").agg("class")
    found = {node: set(names) for node, names in by_node.iter_rows()}
    assert found["graffiti-2"] == {"no_data"}
    assert "job" in found["graffiti-1"]
    for other in ("graffiti-1", "graffiti-3"):
        of_node = pl.col("node") == other
        power = pl.read_parquet(folder / POWER).filter(of_node)
        assert power.equals(pl.read_parquet(truth / POWER).filter(of_node))


# Errors that a user must fix


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an authority and its certificate, which expired yesterday."""
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
    """Options of the server, changes to the study, and the expected line, by case."""
    login = {"access": serve.Access(USERNAME, PASSWORD)}
    return {
        "wrong password": (
            login,
            {"source": {"credentials": credentials_file(tmp_path, "guess")}},
            "/sites/nancy/clusters: the login is missing or wrong",
        ),
        "no password": (
            login,
            {},
            "/sites/nancy/clusters: the login is missing or wrong",
        ),
        "no permission": (
            {"access": serve.Access(forbid=".*/clusters.*")},
            {},
            "/sites/nancy/clusters: the account has no access",
        ),
        "unknown site": (
            {},
            {"study": {"site": "nanzig", "start": "2025-03-31", "end": "2025-04-02"}},
            "study.site: site nanzig does not exist; set it to one of nancy",
        ),
        "expired certificate": (
            {
                "certificate": serve.Certificate(
                    certificates / "expired.pem", certificates / "expired.key"
                ),
            },
            {"source": {"ca_bundle": str(certificates / "authority.pem")}},
            "its certificate is not accepted (certificate has expired)",
        ),
    }


@pytest.mark.parametrize(
    "case",
    ["wrong password", "no password", "no permission", "unknown site", "expired certificate"],
)
def test_refused_access_fails_at_once_with_one_line(
    project: Project,
    simulated: dict[str, Any],
    cases: dict[str, Case],
    tmp_path: Path,
    case: str,
) -> None:
    served, changes, line = cases[case]
    with serve.running_server(
        settings.prepare_configuration(simulated), log_requests=True, **served
    ) as server:
        config = config_of_server(simulated, server, source=changes.get("source", {}))
        config |= {"study": changes["study"]} if "study" in changes else {}
        ran = project.run(configure(tmp_path / "study", **config), "--cores", "2", status=1)
    assert_one_error_line(ran, line)
    assert len(server.requests) <= 2


@pytest.mark.slow
def test_refused_metrics_fail_the_run_after_few_requests(
    project: Project, simulated: dict[str, Any], tmp_path: Path
) -> None:
    served = {"access": serve.Access(forbid=".*/metrics")}
    with serve.running_server(
        settings.prepare_configuration(simulated), log_requests=True, **served
    ) as server:
        folder = configure(tmp_path, **config_of_server(simulated, server))
        ran = project.run(folder, "--cores", "2", *ENERGY, status=1)
    assert "/sites/nancy/metrics: the account has no access" in ran.output
    assert "Traceback" not in ran.output
    metrics = [each for each in server.requests if each.path.endswith("/metrics")]
    assert 0 < len(metrics) < 40  # one request a thread and try of a rule, no storm


def assert_one_error_line(ran: CompletedRun, line: str) -> None:
    matching = [each for each in ran.output.splitlines() if line in each]
    assert len(matching) == 1, ran.output
    assert "; " in matching[0]
    assert "Traceback" not in ran.output
    assert PASSWORD not in ran.output


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the credentials file of the person who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
