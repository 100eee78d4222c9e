"""What a real OAR's database and its REST API tell about the same jobs."""

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
from answers import node, nodes_table
from oar_server import API, DATABASE, Server, command, wait_for
from polars.testing import assert_frame_equal

from footprint import tables
from footprint.errors import InputError
from footprint.site import holdings, oar, oar_changes, oar_database, oar_rows

pytestmark = pytest.mark.oar

URL = f"postgresql://oar_ro@{DATABASE}/oar"
PASSWORD = "unlisted"
OAR_HOLD = Path("/usr/lib/oar/oarhold")
WINDOW = {
    "start": datetime.now(UTC) - timedelta(minutes=10),
    "end": datetime.now(UTC) + timedelta(hours=1),
}
NODES = nodes_table(node("cpux-1"), node("cpux-2"), node("gpux-1", n_cores=8, n_gpus=2))


def ask(query: str) -> list[tuple]:
    with oar_database.connect(URL) as connection:
        return pl.read_database(query, connection).rows()


@contextmanager
def role(secrets: dict[str, str], name: str, statements: str) -> Iterator[None]:
    """A role of the database for the block, with PASSWORD."""
    address = f"postgresql://postgres@{DATABASE}/oar"
    psql = ("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", address, "-c")
    given = f"{statements}; ALTER ROLE {name} PASSWORD '{PASSWORD}'"
    command(*psql, given, PGPASSWORD=secrets["PG_ADMIN"])
    try:
        yield
    finally:
        gone = f"DROP OWNED BY {name}; DROP ROLE {name}"
        command(*psql, gone, PGPASSWORD=secrets["PG_ADMIN"])


@pytest.fixture(scope="module", autouse=True)
def server(real_oar: Server) -> Iterator[dict[str, str]]:
    """A running OAR with its password in the environment; gives all its passwords."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", real_oar.secrets["OAR_RO"])
        yield real_oar.secrets


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Iterator[dict[str, int]]:
    """Ids of jobs of all kinds, once those that end have ended."""

    def submit(*options: str) -> int:
        silent = ("-O", "/dev/null", "-E", "/dev/null")
        quoted = " ".join(f"'{option}'" for option in (*silent, *options))
        told = command("su", "-", "alice", "-c", f"oarsub {quoted}")
        return int(re.search(r"^OAR_JOB_ID=(\d+)$", told, re.M)[1])

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
        known = dict(ask("SELECT job_id, state FROM jobs"))
        return {known[ids[name]] for name in names}

    wait_for("jobs to run", lambda: states("deleted", "running", "suspended") == {"Running"})
    wait_for("the reservation", lambda: ask("SELECT 1 FROM jobs WHERE reservation = 'Scheduled'"))
    # `oarhold -r` refuses without cpusets, though a job of type noop is suspended without any.
    conf = tmp_path_factory.mktemp("oar") / "oar.conf"
    text = Path("/etc/oar/oar.conf").read_text(encoding="utf-8")
    conf.write_text(f'{text}\nJOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD="cpuset"\n', encoding="utf-8")
    holding = {"OARCONFFILE": str(conf), "OARDO_USER": "root", "OARDIR": "/usr/lib/oar"}
    command("perl", str(OAR_HOLD), "-r", str(ids["suspended"]), **holding)
    wait_for("the suspension", lambda: states("suspended") == {"Suspended"})
    time.sleep(2)
    command("oarresume", str(ids["suspended"]))
    wait_for("the resumption", lambda: states("suspended") == {"Running"})
    command("oardel", *(str(ids[name]) for name in ("deleted", "suspended", "never", "booked")))
    ended = [name for name in ids if name not in ("running", "held")]
    wait_for("jobs to end", lambda: states(*ended) <= {"Terminated", "Error"})
    yield ids
    left = [str(ids[name]) for name in ids if not states(name) <= {"Terminated", "Error"}]
    command("oardel", *left)
    wait_for("the last jobs to end", lambda: states(*ids) <= {"Terminated", "Error"})


@pytest.fixture(scope="module")
def found(jobs: dict[str, int]) -> pl.DataFrame:
    return oar_database.jobs(URL, **WINDOW).filter(pl.col("job_id").is_in(list(jobs.values())))


def test_the_database_and_the_api_tell_the_same(jobs, found):
    bounds = "&".join(
        f"{name}={int(WINDOW[bound].timestamp())}"
        for name, bound in (("from", "start"), ("to", "end"))
    )
    with urllib.request.urlopen(f"{API}/jobs/details.json?{bounds}") as answer:
        told = oar.parse_jobs(json.load(answer), file="oar database", resources={})
    told = told.filter(pl.col("job_id").is_in(list(jobs.values())))
    assert set(found["job_id"]) == set(jobs.values())
    assert set(told["job_id"]) == set(jobs.values()) - {jobs["booked"]}
    common = found.filter(pl.col("job_id") != jobs["booked"])
    lacking = ["array_index", "suspensions"]
    assert_frame_equal(common.drop(lacking), told.drop(lacking))
    ours, theirs = (
        holdings.job_records(records, nodes=NODES, site="nancy", **WINDOW)
        for records in (common, told)
    )
    assert_frame_equal(ours.jobs.drop(lacking), theirs.jobs.drop(lacking))
    assert_frame_equal(ours.allocations, theirs.allocations)


def test_what_became_of_each_job(jobs, found):
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
    (whole,), (gpu,), (core,) = (of[name]["held"] for name in ("node", "gpu", "core"))
    assert whole["cores"] in ([0, 1, 2, 3], list(range(8)))
    assert (gpu["node"], gpu["cores"], gpu["gpus"]) in [
        ("gpux-1.nancy.test", [0, 1, 2, 3], [0]),
        ("gpux-1.nancy.test", [4, 5, 6, 7], [1]),
    ]
    assert len(core["cores"]) == 1
    assert (of["core"]["project"], of["fails"]["types"]) == ("speech", ["exotic"])
    assert "FRAG_JOB_REQUEST" in of["deleted"]["events"]
    for name in ("held", "never", "booked"):
        assert (of[name]["started_at"], of[name]["held"]) == (None, [])
    ((spell,), *others) = (of[name]["suspensions"] for name in ("suspended", "core", "never"))
    assert others == [[], []]
    assert of["suspended"]["started_at"] <= spell["started_at"]
    assert spell["started_at"] + 2 <= spell["stopped_at"] <= of["suspended"]["stopped_at"]


def test_many_jobs_are_read_in_parts(found, monkeypatch):
    lengths, records = [], oar_rows.records

    def counted(rows):
        lengths.append(len(rows["jobs"]))
        return records(rows)

    whole = oar_database.jobs(URL, **WINDOW)
    monkeypatch.setattr(oar_database, "JOBS_AT_ONCE", 3)
    monkeypatch.setattr(oar_rows, "records", counted)
    assert_frame_equal(oar_database.jobs(URL, **WINDOW), whole)
    assert len(whole) >= len(found) == 10
    assert lengths[:3] == [3, 3, 3]
    assert max(lengths) == 3


def test_the_window_decides(jobs, found):
    first = found.filter(pl.col("job_id") == jobs["core"]).row(0, named=True)
    stopped = datetime.fromtimestamp(first["stopped_at"], UTC)
    late = oar_database.jobs(
        URL, start=stopped + timedelta(days=1), end=stopped + timedelta(days=2)
    )
    assert set(jobs.values()) & set(late["job_id"]) == {jobs["running"]}
    after = {"start": stopped + timedelta(seconds=1), "end": stopped + timedelta(days=1)}
    left = set(oar_database.jobs(URL, **after)["job_id"])
    assert jobs["core"] not in left
    assert {jobs["deleted"], jobs["running"]} <= left


def test_an_older_database_with_other_types(server, found, monkeypatch):
    lacking = ("exit_code", "array_index", "gpudevice")
    views = []
    for table, columns in oar_rows.COLUMNS.items():
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
    psql = ("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", f"postgresql://oar@{DATABASE}/oar", "-c")
    try:
        command(
            *psql,
            f"CREATE SCHEMA older; {with_times} GRANT USAGE ON SCHEMA older TO oar_ro; "
            "GRANT SELECT ON ALL TABLES IN SCHEMA older TO oar_ro",
        )
        monkeypatch.setenv("PGPASSWORD", server["OAR_RO"])
        older = oar_database.jobs(f"{URL}?options=-csearch_path%3Dolder", **WINDOW)
    finally:
        monkeypatch.setenv("PGPASSWORD", server["OAR_DB"])
        command(*psql, "DROP SCHEMA IF EXISTS older CASCADE")
    older = older.filter(pl.col("job_id").is_in(found["job_id"].implode()))
    unknown = ["exit_code", "array_index"]
    assert older.select(pl.col(unknown).null_count()).row(0) == (len(found), len(found))
    nodes = pl.element().struct.field("node", "cores")
    same = [frame.drop(unknown) for frame in (older, found)]
    without_gpus = [
        frame.with_columns(pl.col("held").list.eval(pl.struct(nodes))) for frame in same
    ]
    assert_frame_equal(*without_gpus)
    assert older["held"].list.explode().struct.field("gpus").list.len().sum() == 0


def test_states_of_nodes():
    def alter(name: str, *options: str) -> None:
        command("oarnodesetting", "-n", "-h", f"{name}.nancy.test", *options)

    def are(state: str) -> bool:
        return ask("SELECT DISTINCT state FROM resources WHERE type = 'default'") == [(state,)]

    def read(end: datetime) -> list[tuple]:
        found = oar_database.states(URL, start=began, end=end)
        tables.States.validate(found)
        # Maintenance makes a node absent too, perhaps for a second before and after.
        beside = (pl.col("node") == "gpux-1") & (pl.col("state") == "absent")
        return found.filter(pl.col("started_at") >= began, ~beside).sort("node").rows()

    began = datetime.now(UTC).replace(microsecond=0)
    alter("cpux-1", "-s", "Absent")
    alter("cpux-2", "-p", f"available_upto={oar_changes.STANDBY_UPTO}")
    alter("cpux-2", "-s", "Absent")
    alter("gpux-1", "-m", "on")
    try:
        wait_for("all nodes to be absent", lambda: are("Absent"))
        time.sleep(1)
        moment = datetime.now(UTC).replace(microsecond=0)
        during = read(moment)
        alter("cpux-1", "-p", f"available_upto={oar_changes.STANDBY_UPTO}")
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
def test_the_session_cannot_write(server, monkeypatch, query):
    monkeypatch.setenv("PGPASSWORD", server["OAR_DB"])  # of OAR itself, which may write
    url = f"postgresql://oar@{DATABASE}/oar"
    with pytest.raises(InputError, match="read-only transaction"):  # noqa: SIM117
        with oar_database.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(query)


def test_refusals_are_one_line_without_the_password(server, monkeypatch):
    def refused(url: str, password: str) -> str:
        monkeypatch.setenv("PGPASSWORD", password)
        with pytest.raises(InputError) as error:
            oar_database.jobs(url, **WINDOW)
        assert "\n" not in str(error.value)
        assert password not in str(error.value)
        return str(error.value)

    where, read = "source.oar_database: ", "; let the role read what docs/oar-database.md lists"
    told = refused(URL, "not-the-password")
    assert told.startswith(where)
    assert 'password authentication failed for user "oar_ro"; compare the address' in told
    told = refused(f"postgresql://oar_ro@{DATABASE}/nosuch", server["OAR_RO"])
    assert 'database "nosuch" does not exist; compare the address' in told
    told = refused(f"postgresql://oar_ro@{DATABASE}/postgres", server["OAR_RO"])
    assert told == f'{where}relation "resources" does not exist{read}'
    with role(server, "stranger", "CREATE ROLE stranger LOGIN"):
        told = refused(f"postgresql://stranger@{DATABASE}/oar", PASSWORD)
    assert told == f"{where}permission denied for table resources{read}"


def test_the_role_of_the_page_is_enough(server, jobs, monkeypatch):
    page = (Path(__file__).parents[1] / "docs/oar-database.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"^```sql\n(.+?)^```$", page, re.M | re.S)
    url = f"postgresql://oarreader@{DATABASE}/oar"
    with role(server, "oarreader", statements):
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        told = oar_database.jobs(url, **WINDOW)
        states = oar_database.states(url, **WINDOW)
        monkeypatch.setenv("PGPASSWORD", server["OAR_RO"])
    assert_frame_equal(told, oar_database.jobs(URL, **WINDOW))
    assert_frame_equal(states, oar_database.states(URL, **WINDOW))
    assert set(jobs.values()) <= set(told["job_id"])
