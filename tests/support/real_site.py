"""The real OAR and the real Kwollect behind one address, as at api.grid5000.fr, and known jobs.

Jobs and readings of two days in March 2025 are written into the databases of both servers, which
answer requests about them with their own code. The Reference API is a small one of the tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.support import kwollect_server, oar_server
from tests.support.api_answers import collection_page, reference_node
from tests.support.http_service import POWER_METRIC
from tests.support.kwollect_server import KwollectServer
from tests.support.oar_server import DATABASE_ADDRESS, OarServer, command_output

START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC)
START_S, END_S = round(START.timestamp()), round(END.timestamp())
FIRST_JOB = 1_000_000
"""Id of the first job: above those of OAR's own sequence."""

PERIOD_S, MARGIN_S = 5, 120
"""Time between two readings of a node, and time of readings before and after the study (s)."""

MAX_GAP_S = 30
SILENT_FROM_S, SILENT_UNTIL_S = START_S + 40_000, START_S + 40_615
"""Time in which cpux-2 has no readings: a gap."""


class Lane(NamedTuple):
    """Cores of a node that jobs of the tests hold together, one job after the other.

    Attributes:
        node: Short name of the node.
        cores: Their `cpuset`s.
        share: Share of the node that they stand for.
        longest_s: Longest job.
    """

    node: str
    cores: tuple[int, ...]
    share: float
    longest_s: int


LANES = (
    Lane("cpux-1", (0, 1), 0.5, 1500),
    Lane("cpux-1", (2,), 0.25, 3600),
    Lane("cpux-2", (0, 1, 2, 3), 1.0, 5000),
    Lane("gpux-1", (0, 1, 2, 3), 0.5, 4000),
    Lane("gpux-1", (4, 5, 6, 7), 0.5, 20_000),
)
PHASES_S = {"cpux-1": 0.4, "cpux-2": 1.25, "gpux-1": 3.875}
"""Time of each node's first reading after a multiple of PERIOD_S (s)."""

NODES = (
    reference_node("cpux-1"),
    reference_node("cpux-2"),
    reference_node("gpux-1", n_cores=8, n_gpus=2),
)


@dataclass(frozen=True)
class KnownJob:
    """A job of one lane; times in seconds since 1970."""

    job_id: int
    lane: Lane
    started_s: int
    stopped_s: int


def known_jobs() -> list[KnownJob]:
    """Jobs of all lanes over the study, some of which begin before it or end after it."""
    found: list[KnownJob] = []
    for rank, lane in enumerate(LANES):
        at = START_S - 700 * rank
        while at < END_S:
            duration = 60 + (7919 * (len(found) + 3)) % lane.longest_s
            found.append(KnownJob(FIRST_JOB + len(found), lane, at, at + duration))
            at += duration + 13 * (len(found) % 40)
    return found


def power_w(node: str, rank: int) -> int:
    """Power of a reading (W), by its number since MARGIN_S before the study."""
    return 150 + 100 * (rank // 200 % 5) + (rank * 37) % 83 + 10 * list(PHASES_S).index(node)


def readings_of(node: str) -> Iterator[tuple[float, int]]:
    """Times (s since START, in which they have all digits) and power (W) of a node's readings."""
    for rank in range((END_S - START_S + 2 * MARGIN_S) // PERIOD_S):
        at = rank * PERIOD_S - MARGIN_S + PHASES_S[node]
        if node != "cpux-2" or not SILENT_FROM_S <= START_S + at < SILENT_UNTIL_S:
            yield at, power_w(node, rank)


def energy_by_hand(job: KnownJob) -> float:
    """Energy of a job in the study (kWh): its share of the trapezoids under its node's readings.

    The power between two readings is on the line through them; more than MAX_GAP_S apart, nothing
    is measured.
    """
    first, last = max(job.started_s - START_S, 0), min(job.stopped_s, END_S) - START_S
    parts: list[float] = []
    before = None
    for at, power in readings_of(job.lane.node):
        if before is not None and at - before[0] <= MAX_GAP_S:
            low, high = max(before[0], first), min(at, last)
            if low < high:
                middle = (low + high) / 2 - before[0]
                slope = (power - before[1]) / (at - before[0])
                parts.append((before[1] + slope * middle) * (high - low))
        before = at, power
    return job.lane.share * math.fsum(parts) / 3.6e6


def write_jobs(oar: OarServer, jobs: list[KnownJob]) -> None:
    """Replace the jobs of the tests in OAR's database."""
    cores = "SELECT resource_id, network_address, cpuset::int FROM resources"
    rows = ", ".join(
        f"({job.job_id}, '{job.lane.node}.%', {job.started_s}, {job.stopped_s},"
        f" ARRAY{list(job.lane.cores)})"
        for job in jobs
    )
    statements = f"""
        {_removal()}
        CREATE TEMP TABLE known (id bigint, node text, started int, stopped int, cores int[]);
        INSERT INTO known VALUES {rows};
        INSERT INTO jobs (job_id, array_id, job_name, job_type, state, job_user, project, command,
            exit_code, queue_name, launching_directory, submission_time, start_time, stop_time,
            assigned_moldable_job, checkpoint_signal)
          SELECT id, id, CASE WHEN id % 2 = 0 THEN 'entra' || chr(195) || chr(174) || 'n'
            || chr(195) || chr(169) END, 'PASSIVE', CASE WHEN id % 5 = 0 THEN 'Error'
            ELSE 'Terminated' END, 'alice', 'speech', 'train', CASE WHEN id % 5 > 0 THEN 0 END,
            'production', '/home/alice', started - 30, started, stopped, id, 12 FROM known;
        INSERT INTO moldable_job_descriptions SELECT id, id, stopped - started + 60, 'LOG'
          FROM known;
        INSERT INTO assigned_resources SELECT id, resource_id, 'LOG'
          FROM known JOIN ({cores} WHERE type = 'default') each
          ON network_address LIKE node AND cpuset = ANY (cores);"""
    run_oar_sql(oar, statements)


def remove_jobs(oar: OarServer) -> None:
    """Remove the jobs of the tests from OAR's database."""
    run_oar_sql(oar, _removal())


def _removal() -> str:
    columns = {
        "jobs": "job_id",
        "moldable_job_descriptions": "moldable_id",
        "assigned_resources": "moldable_job_id",
    }
    return " ".join(
        f"DELETE FROM {table} WHERE {column} >= {FIRST_JOB};" for table, column in columns.items()
    )


def run_oar_sql(oar: OarServer, statements: str) -> str:
    """Run statements in OAR's database, and return their rows."""
    address = f"postgresql://oar@{DATABASE_ADDRESS}/oar"
    psql = ("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", statements)
    return command_output(*psql, PGPASSWORD=oar.secrets["OAR_DB"])


def write_readings(kwollect: KwollectServer) -> None:
    """Replace the readings of the tests' nodes in Kwollect's database.

    Beside the known ones there are readings without a number, readings of 0 W, and repeated ones.
    """
    n_readings = (END_S - START_S + 2 * MARGIN_S) // PERIOD_S
    parts = [remove_readings_statement()]
    for number, (node, phase_s) in enumerate(PHASES_S.items()):
        labels = json.dumps({"_device_alias": f"{node}-bmc"})
        time = f"to_timestamp({START_S - MARGIN_S + phase_s} + rank * {PERIOD_S})"
        value = f"150 + 100 * (rank / 200 % 5) + (rank * 37) % 83 + {10 * number}"
        bounds = f"to_timestamp({SILENT_FROM_S}) AND to_timestamp({SILENT_UNTIL_S})"
        kept = f"{time} NOT BETWEEN {bounds}" if node == "cpux-2" else "true"
        series = f"FROM generate_series(0, {n_readings - 1}) rank WHERE {kept}"
        fields = f"'{node}', '{POWER_METRIC}'"
        odd = json.dumps({"_device_alias": f"{node}-bmc", "value_str": "N/A"})
        parts += [
            f"INSERT INTO metrics SELECT {time}, {fields}, {value}, '{labels}' {series};",
            f"INSERT INTO metrics SELECT {time} + interval '1 s', {fields}, 'NaN', '{odd}' {series}"
            " AND rank % 997 = 0;",
            f"INSERT INTO metrics SELECT {time} + interval '2 s', {fields}, 0, '{labels}' {series}"
            " AND rank % 991 = 0;",
            f"INSERT INTO metrics SELECT {time}, {fields}, {value}, '{labels}' {series}"
            " AND rank % 499 = 0;",
        ]
    kwollect.run_sql("\n".join(parts))


def remove_readings_statement() -> str:
    """Statement that removes the readings of the tests' nodes."""
    names = ", ".join(f"'{node}'" for node in PHASES_S)
    return f"DELETE FROM metrics WHERE device_id IN ({names});"


@contextmanager
def recorded_study(oar: OarServer, kwollect: KwollectServer) -> Iterator[list[KnownJob]]:
    """Jobs that both servers know for the time of a test."""
    jobs = known_jobs()
    write_jobs(oar, jobs)
    write_readings(kwollect)
    try:
        yield jobs
    finally:
        remove_jobs(oar)
        kwollect.run_sql(remove_readings_statement())


@contextmanager
def real_services() -> Iterator[ASGIApp]:
    """Both servers at the paths of the Grid'5000 API, and the tests' Reference API."""
    with httpx.Client(trust_env=False, timeout=120) as client:
        yield _services(client)


def _services(client: httpx.Client) -> ASGIApp:
    clusters = sorted({node["uid"].partition("-")[0] for node in NODES})

    def forward(address: str, request: Request) -> Response:
        answer = client.get(address, params=request.query_params.multi_items())
        headers = {"content-type": answer.headers["content-type"]}
        return Response(answer.content, answer.status_code, headers)

    def oarapi(request: Request) -> Response:
        return forward(f"{oar_server.API_URL}/{request.path_params['path']}", request)

    def metrics(request: Request) -> Response:
        return forward(f"{kwollect_server.API_URL}/rpc/get_metrics", request)

    def list_clusters(_: Request) -> Response:
        declared: list[dict[str, Any]] = [{"name": POWER_METRIC, "period": PERIOD_S * 1000}]
        return JSONResponse(
            collection_page(*({"uid": name, "metrics": declared} for name in clusters))
        )

    def list_nodes(request: Request) -> Response:
        own = request.path_params["cluster"] + "-"
        return JSONResponse(
            collection_page(*(node for node in NODES if node["uid"].startswith(own)))
        )

    site = "/sites/nancy"
    return Starlette(
        routes=[
            Route(f"{site}/internal/oarapi/{{path:path}}", oarapi),
            Route(f"{site}/metrics", metrics),
            Route(f"{site}/clusters", list_clusters),
            Route(f"{site}/clusters/{{cluster}}/nodes", list_nodes),
        ]
    )
