"""Comparison of the database and the REST API of a real OAR about the same jobs."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.schemas.raw import States
from footprint.sources.oar import database_rows, job_records, job_tables, postgresql, resource_logs
from tests.support.api_answers import nodes_table, reference_node
from tests.support.oar_server import API_URL, DATABASE_ADDRESS, OarServer, command_output, wait_for

pytestmark = pytest.mark.oar

URL = f"postgresql://oar_ro@{DATABASE_ADDRESS}/oar"
PASSWORD = "unlisted"
OAR_HOLD = Path("/usr/lib/oar/oarhold")
WINDOW = {
    "start": datetime.now(UTC) - timedelta(minutes=10),
    "end": datetime.now(UTC) + timedelta(hours=1),
}
NODES = nodes_table(
    reference_node("cpux-1"),
    reference_node("cpux-2"),
    reference_node("gpux-1", n_cores=8, n_gpus=2),
)


def query_rows(query: str) -> list[tuple]:
    with postgresql.connect_read_only(URL) as connection:
        return pl.read_database(query, connection).rows()


@contextmanager
def role(secrets: dict[str, str], name: str, statements: str) -> Iterator[None]:
    """Create a role of the database with PASSWORD for the block."""
    address = f"postgresql://postgres@{DATABASE_ADDRESS}/oar"
    psql = ("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", address, "-c")
    given = f"{statements}; ALTER ROLE {name} PASSWORD '{PASSWORD}'"
    command_output(*psql, given, PGPASSWORD=secrets["PG_ADMIN"])
    try:
        yield
    finally:
        gone = f"DROP OWNED BY {name}; DROP ROLE {name}"
        command_output(*psql, gone, PGPASSWORD=secrets["PG_ADMIN"])


@pytest.fixture(scope="module", autouse=True)
def server(real_oar: OarServer) -> Iterator[dict[str, str]]:
    """Start OAR with its password in the environment, and yield all its passwords."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", real_oar.secrets["OAR_RO"])
        yield real_oar.secrets


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Iterator[dict[str, int]]:
    """Submit jobs of all kinds and yield their ids, once all but two have ended."""

    def submit(*options: str) -> int:
        silent = ("-O", "/dev/null", "-E", "/dev/null")
        quoted = " ".join(f"'{option}'" for option in (*silent, *options))
        output = command_output("su", "-", "alice", "-c", f"oarsub {quoted}")
        return int(re.search(r"^OAR_JOB_ID=(\d+)$", output, re.M)[1])

    short = "walltime=0:05:00"
    later = f"{datetime.now() + timedelta(hours=2):%F %T}"
    long = ("-l", f"/core=1,{short}", "sleep 600")
    ids = {
        "node": submit("-n", "node", "-l", f"/host=1,{short}", "sleep 2"),
        "gpu": submit("-p", "gpu_count > 0", "-l", f"/host=1/gpu=1,{short}", "sleep 2"),
        "core": submit("--project", "speech", "-l", f"/core=1,{short}", "sleep 1"),
        "fails": submit("-t", "exotic", "-l", f"/core=1,{short}", "exit 3"),
        "deleted": submit(*long),
        "running": submit(*long),
        "suspended": submit("-t", "noop", *long),
        "held": submit("--hold", *long),
        "never": submit("--hold", *long),
        "booked": submit("-r", later, *long),
    }

    def states(*names: str) -> set[str]:
        known = dict(query_rows("SELECT job_id, state FROM jobs"))
        return {known[ids[name]] for name in names}

    wait_for("jobs to run", lambda: states("deleted", "running", "suspended") == {"Running"})
    wait_for(
        "the reservation", lambda: query_rows("SELECT 1 FROM jobs WHERE reservation = 'Scheduled'")
    )
    # `oarhold -r` refuses without cpusets, though a job of type noop is suspended without any.
    conf = tmp_path_factory.mktemp("oar") / "oar.conf"
    text = Path("/etc/oar/oar.conf").read_text(encoding="utf-8")
    conf.write_text(f'{text}\nJOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD="cpuset"\n', encoding="utf-8")
    holding = {"OARCONFFILE": str(conf), "OARDO_USER": "root", "OARDIR": "/usr/lib/oar"}
    command_output("perl", str(OAR_HOLD), "-r", str(ids["suspended"]), **holding)
    wait_for("the suspension", lambda: states("suspended") == {"Suspended"})
    time.sleep(2)
    command_output("oarresume", str(ids["suspended"]))
    wait_for("the resumption", lambda: states("suspended") == {"Running"})
    command_output(
        "oardel", *(str(ids[name]) for name in ("deleted", "suspended", "never", "booked"))
    )
    ended = [name for name in ids if name not in ("running", "held")]
    wait_for("jobs to end", lambda: states(*ended) <= {"Terminated", "Error"})
    yield ids
    left = [str(ids[name]) for name in ids if not states(name) <= {"Terminated", "Error"}]
    command_output("oardel", *left)
    wait_for("the last jobs to end", lambda: states(*ids) <= {"Terminated", "Error"})


@pytest.fixture(scope="module")
def found(jobs: dict[str, int]) -> pl.DataFrame:
    return postgresql.read_jobs(URL, **WINDOW).filter(pl.col("job_id").is_in(list(jobs.values())))


def test_records_of_the_database_equal_records_of_the_api(jobs, found):
    bounds = "&".join(
        f"{name}={int(WINDOW[bound].timestamp())}"
        for name, bound in (("from", "start"), ("to", "end"))
    )
    with urllib.request.urlopen(f"{API_URL}/jobs/details.json?{bounds}") as answer:
        from_api = job_records.parse_jobs(json.load(answer), file="oar database", resources={})
    from_api = from_api.filter(pl.col("job_id").is_in(list(jobs.values())))
    assert set(found["job_id"]) == set(jobs.values())
    assert set(from_api["job_id"]) == set(jobs.values()) - {jobs["booked"]}
    common = found.filter(pl.col("job_id") != jobs["booked"])
    lacking = ["array_index", "suspensions"]
    assert_frame_equal(common.drop(lacking), from_api.drop(lacking))
    ours, theirs = (
        job_tables.tables_from_records(records, nodes=NODES, site="nancy", **WINDOW)
        for records in (common, from_api)
    )
    assert_frame_equal(ours.jobs.drop(lacking), theirs.jobs.drop(lacking))
    assert_frame_equal(ours.allocations, theirs.allocations)


def test_records_have_the_outcome_of_each_job(jobs, found):
    records = {row["job_id"]: row for row in found.to_dicts()}
    of = {name: records[key] for name, key in jobs.items()}
    ended = {name: (row["state"], row["exit_code"]) for name, row in of.items()}
    assert ended == {
        **dict.fromkeys(("node", "gpu", "core"), ("terminated", 0)),
        **dict.fromkeys(("deleted", "never", "booked"), ("error", None)),
        "fails": ("terminated", 768),
        "suspended": ("terminated", None),
        "running": ("running", None),
        "held": ("hold", None),
    }
    (whole,), (gpu,), (core,) = (of[name]["held_nodes"] for name in ("node", "gpu", "core"))
    assert whole["cores"] in ([0, 1, 2, 3], list(range(8)))
    assert (gpu["node"], gpu["cores"], gpu["gpus"]) in [
        ("gpux-1.nancy.test", [0, 1, 2, 3], [0]),
        ("gpux-1.nancy.test", [4, 5, 6, 7], [1]),
    ]
    assert len(core["cores"]) == 1
    assert (of["core"]["project"], of["fails"]["types"]) == ("speech", ["exotic"])
    assert "FRAG_JOB_REQUEST" in of["deleted"]["events"]
    for name in ("held", "never", "booked"):
        assert (of[name]["started_at"], of[name]["held_nodes"]) == (None, [])
    ((interval,), *others) = (of[name]["suspensions"] for name in ("suspended", "core", "never"))
    assert others == [[], []]
    assert of["suspended"]["started_at"] <= interval["started_at"]
    assert interval["started_at"] + 2 <= interval["stopped_at"] <= of["suspended"]["stopped_at"]


def test_jobs_read_in_parts_equal_jobs_read_at_once(found, monkeypatch):
    lengths, records = [], database_rows.records_from_rows

    def counted(rows):
        lengths.append(len(rows["jobs"]))
        return records(rows)

    at_once = postgresql.read_jobs(URL, **WINDOW)
    monkeypatch.setattr(postgresql, "JOBS_AT_ONCE", 3)
    monkeypatch.setattr(database_rows, records.__name__, counted)
    assert_frame_equal(postgresql.read_jobs(URL, **WINDOW), at_once)
    assert len(at_once) >= len(found) == 10
    assert lengths[:3] == [3, 3, 3]
    assert max(lengths) == 3


def test_jobs_are_selected_by_the_window(jobs, found):
    first = found.filter(pl.col("job_id") == jobs["core"]).row(0, named=True)
    stopped = datetime.fromtimestamp(first["stopped_at"], UTC)
    late = postgresql.read_jobs(
        URL, start=stopped + timedelta(days=1), end=stopped + timedelta(days=2)
    )
    assert set(jobs.values()) & set(late["job_id"]) == {jobs["running"]}
    after = {"start": stopped + timedelta(seconds=1), "end": stopped + timedelta(days=1)}
    left = set(postgresql.read_jobs(URL, **after)["job_id"])
    assert jobs["core"] not in left
    assert {jobs["deleted"], jobs["running"]} <= left


def test_older_database_with_other_types_gives_equal_records(server, found, monkeypatch):
    lacking = ("exit_code", "array_index", "gpudevice")
    views = []
    for table, columns in database_rows.TABLE_COLUMNS.items():
        kept = ", ".join(
            f"{name}::{'int' if name == 'cpuset' else 'text'} AS {name}"
            for name in columns
            if name not in lacking
        )
        views.append(f"CREATE VIEW older.{table} AS SELECT {kept} FROM public.{table};")
    with_times = " ".join(views)
    for name in ("submission_time", "start_time", "stop_time", "assigned_moldable_job"):
        with_times = with_times.replace(f"{name}::text", f"{name}::bigint")
    monkeypatch.setenv("PGPASSWORD", server["OAR_DB"])
    psql = (
        "psql",
        "-qAt",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        f"postgresql://oar@{DATABASE_ADDRESS}/oar",
        "-c",
    )
    try:
        command_output(
            *psql,
            f"CREATE SCHEMA older; {with_times} GRANT USAGE ON SCHEMA older TO oar_ro; "
            "GRANT SELECT ON ALL TABLES IN SCHEMA older TO oar_ro",
        )
        monkeypatch.setenv("PGPASSWORD", server["OAR_RO"])
        older = postgresql.read_jobs(f"{URL}?options=-csearch_path%3Dolder", **WINDOW)
    finally:
        monkeypatch.setenv("PGPASSWORD", server["OAR_DB"])
        command_output(*psql, "DROP SCHEMA IF EXISTS older CASCADE")
    older = older.filter(pl.col("job_id").is_in(found["job_id"].implode()))
    unknown = ["exit_code", "array_index"]
    assert older.select(pl.col(unknown).null_count()).row(0) == (len(found), len(found))
    nodes = pl.element().struct.field("node", "cores")
    same = [frame.drop(unknown) for frame in (older, found)]
    without_gpus = [
        frame.with_columns(pl.col("held_nodes").list.eval(pl.struct(nodes))) for frame in same
    ]
    assert_frame_equal(*without_gpus)
    assert older["held_nodes"].list.explode().struct.field("gpus").list.len().sum() == 0


def test_states_of_nodes_follow_changes_in_oar():
    def alter(name: str, *options: str) -> None:
        command_output("oarnodesetting", "-n", "-h", f"{name}.nancy.test", *options)

    def are(state: str) -> bool:
        return query_rows("SELECT DISTINCT state FROM resources WHERE type = 'default'") == [
            (state,)
        ]

    def read(end: datetime) -> list[tuple]:
        found = postgresql.read_states(URL, start=began, end=end)
        States.validate(found)
        # Maintenance makes a node absent too, perhaps for a second before and after.
        beside = (pl.col("node") == "gpux-1") & (pl.col("state") == "absent")
        return found.filter(pl.col("started_at") >= began, ~beside).sort("node").rows()

    began = datetime.now(UTC).replace(microsecond=0)
    alter("cpux-1", "-s", "Absent")
    alter("cpux-2", "-p", f"available_upto={resource_logs.STANDBY_UPTO}")
    alter("cpux-2", "-s", "Absent")
    alter("gpux-1", "-m", "on")
    try:
        wait_for("all nodes to be absent", lambda: are("Absent"))
        time.sleep(1)
        moment = datetime.now(UTC).replace(microsecond=0)
        during = read(moment)
        alter("cpux-1", "-p", f"available_upto={resource_logs.STANDBY_UPTO}")
        again = read(moment)
        time.sleep(1)  # OAR counts seconds
    finally:
        alter("cpux-1", "-s", "Alive")
        alter("cpux-2", "-s", "Alive")
        alter("gpux-1", "-m", "off")
        wait_for("all nodes to be back", lambda: are("Alive"))
        for name in ("cpux-1", "cpux-2"):
            alter(name, "-p", "available_upto=2147483647")
    kinds = [("cpux-1", "absent"), ("cpux-2", "standby"), ("gpux-1", "maintenance")]
    assert [(name, state) for name, _, _, state in during] == kinds
    assert [until for _, _, until, _ in during] == [None] * 3
    assert [(name, since, state) for name, since, _, state in again] == [
        (name, since, state) for name, since, _, state in during
    ]
    absent, changed, *others = read(datetime.now(UTC) + timedelta(minutes=1))
    assert (absent[0], absent[3]) == ("cpux-1", "absent")
    assert changed[:2] == ("cpux-1", absent[2])
    assert changed[3] == "standby"
    assert [(name, since, state) for name, since, _, state in (absent, *others)] == [
        (name, since, state) for name, since, _, state in during
    ]
    for _, since, until, _ in (absent, changed, *others):
        assert began <= since < until <= datetime.now(UTC)


@pytest.mark.parametrize(
    "query", ["DELETE FROM jobs WHERE false RETURNING job_id", "CREATE TABLE mark (i integer)"]
)
def test_connection_cannot_write(server, monkeypatch, query):
    monkeypatch.setenv("PGPASSWORD", server["OAR_DB"])  # the role of OAR itself, which may write
    url = f"postgresql://oar@{DATABASE_ADDRESS}/oar"
    with pytest.raises(InputError, match="read-only transaction"):  # noqa: SIM117
        with postgresql.connect_read_only(url) as connection, connection.cursor() as cursor:
            cursor.execute(query)


def test_server_errors_are_one_line_without_the_password(server, monkeypatch):
    def refused(url: str, password: str) -> str:
        monkeypatch.setenv("PGPASSWORD", password)
        with pytest.raises(InputError) as error:
            postgresql.read_jobs(url, **WINDOW)
        assert "\n" not in str(error.value)
        assert password not in str(error.value)
        return str(error.value)

    where, read = "source.oar_database: ", "; let the role read what docs/oar-database.md lists"
    message = refused(URL, "not-the-password")
    assert message.startswith(where)
    assert 'password authentication failed for user "oar_ro"; compare the address' in message
    message = refused(f"postgresql://oar_ro@{DATABASE_ADDRESS}/nosuch", server["OAR_RO"])
    assert 'database "nosuch" does not exist; compare the address' in message
    message = refused(f"postgresql://oar_ro@{DATABASE_ADDRESS}/postgres", server["OAR_RO"])
    assert message == f'{where}relation "resources" does not exist{read}'
    with role(server, "stranger", "CREATE ROLE stranger LOGIN"):
        message = refused(f"postgresql://stranger@{DATABASE_ADDRESS}/oar", PASSWORD)
    assert message == f"{where}permission denied for table resources{read}"


def test_role_of_the_documentation_can_read_jobs_and_states(server, jobs, monkeypatch):
    page = (Path(__file__).parents[3] / "docs/oar-database.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"^```sql\n(.+?)^```$", page, re.M | re.S)
    url = f"postgresql://oarreader@{DATABASE_ADDRESS}/oar"
    with role(server, "oarreader", statements):
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        by_role = postgresql.read_jobs(url, **WINDOW)
        states = postgresql.read_states(url, **WINDOW)
        monkeypatch.setenv("PGPASSWORD", server["OAR_RO"])
    assert_frame_equal(by_role, postgresql.read_jobs(URL, **WINDOW))
    assert_frame_equal(states, postgresql.read_states(URL, **WINDOW))
    assert set(jobs.values()) <= set(by_role["job_id"])
