import socket
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core import addresses
from footprint.core.errors import InputError
from footprint.schemas.raw import States
from footprint.sources import files
from footprint.sources.oar import database_rows, job_records, postgresql, resource_logs
from tests.support.api_answers import NOON_S

START, END = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
WINDOW = {"start": START, "end": END}
TEXTS = {
    *("state", *database_rows.TEXT_COLUMNS.values(), "type", "network_address", "cpuset"),
    *("job_state", "res_group_property", "res_job_resource_type"),
}
GRUSS = "gruss-1.nancy.grid5000.fr"
CORES = [
    (1, "default", GRUSS, "1", 0),
    (2, "default", GRUSS, "0", 0),
    (3, "default", "gros-2.nancy.grid5000.fr", "17", None),
    (17, "disk", "", "0", None),
]


def job(key=7, **changes):
    """Return a row of OAR's table of jobs: an hour from noon on, moldable description 70."""
    return {
        "job_id": key,
        "state": "Terminated",
        "job_user": "someone",
        "project": "speech",
        "queue_name": "production",
        "job_name": "train",
        "command": "./train.sh",
        "launching_directory": "/home/someone",
        "job_type": "PASSIVE",
        "array_id": 5,
        "array_index": 3,
        "exit_code": 768,
        "submission_time": NOON_S - 60,
        "start_time": NOON_S,
        "stop_time": NOON_S + 3600,
        "assigned_moldable_job": 70,
    } | changes


def tables_of(*jobs, resources=CORES, held=(1, 2), **others):
    """Return OAR's tables; moldable description 70 was assigned the resources `held`."""
    filled = {
        "moldable_job_descriptions": [(70, 7, 7200)],
        "assigned_resources": [(70, key) for key in held],
        "resources": resources,
    } | others
    filled["jobs"] = [
        tuple(each[name] for name in database_rows.TABLE_COLUMNS["jobs"]) for each in jobs
    ]
    return {
        table: pl.DataFrame(
            filled.get(table, []),
            schema={name: pl.String if name in TEXTS else pl.Int32 for name in columns},
            orient="row",
        )
        for table, columns in database_rows.TABLE_COLUMNS.items()
    }


def records_of(*jobs, **others):
    return database_rows.records_from_rows(tables_of(*jobs, **others))


def record_of(*jobs, **others):
    return records_of(*jobs, **others).row(0, named=True)


def test_record_of_an_ended_job_has_all_fields():
    record = record_of(
        job(job_name=" "),
        held=(1, 2, 3, 17),
        job_types=[(7, "night"), (7, "besteffort"), (8, "deploy")],
        event_logs=[(12, 7, "SEND_KILL_JOB", NOON_S), (11, 7, "WALLTIME", NOON_S), (9, 8, "X", 0)],
        job_state_logs=[(7, "Running", NOON_S, 0), (8, "Suspended", NOON_S, 0)],
    )
    assert record == {
        "job_id": 7,
        "state": "terminated",
        "user": "someone",
        "project": "speech",
        "queue": "production",
        "name": None,
        "command": "./train.sh",
        "directory": "/home/someone",
        "request": None,
        "job_type": "PASSIVE",
        "types": ["besteffort", "night"],
        "events": ["WALLTIME", "SEND_KILL_JOB"],
        "submitted_at": NOON_S - 60,
        "started_at": NOON_S,
        "stopped_at": NOON_S + 3600,
        "array_id": 5,
        "array_index": 3,
        "walltime_s": 7200,
        "exit_code": 768,
        "suspensions": [],
        "has_times": True,
        "has_node_fields": True,
        "held_nodes": [
            {"node": "gros-2.nancy.grid5000.fr", "cores": [17], "gpus": []},
            {"node": GRUSS, "cores": [0, 1], "gpus": [0]},
        ],
        "unknown_resource": None,
        "fault": None,
        "file": "oar database",
    }


def test_records_of_no_rows_are_an_empty_frame():
    assert records_of().schema == pl.Schema(job_records.RECORD_SCHEMA)
    assert len(records_of()) == 0


def test_request_has_the_syntax_of_oarsub():
    record = record_of(
        job(),
        moldable_job_descriptions=[(71, 7, 36_061), (70, 7, 7200)],
        job_resource_groups=[(2, 70, ""), (1, 70, "type='disk'"), (3, 71, None)],
        job_resource_descriptions=[
            *[(1, "disk", 1, 1), (1, "host", -1, 0), (2, "core", -2, 0), (3, "gpu", 4, 0)],
        ],
    )
    assert record["request"] == (
        '-l "{type=\'disk\'}/host=ALL/disk=1+/core=BEST,walltime=2:0:0" -l "/gpu=4,walltime=10:1:1"'
    )


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"state": "Running", "stop_time": 0}, (NOON_S, None)),
        ({"state": "Suspended", "stop_time": NOON_S + 9}, (NOON_S, None)),
        ({"state": "Error", "stop_time": 0}, (NOON_S, None)),  # rejected later
        ({"state": "Error", "stop_time": NOON_S}, (NOON_S, NOON_S)),
        ({"state": "Waiting", "start_time": NOON_S + 9, "stop_time": 0}, (None, None)),
        ({"state": "Hold", "start_time": 0, "stop_time": 0}, (None, None)),
        ({"state": "toAckReservation"}, (None, None)),
        ({"state": "Error", "start_time": 0, "stop_time": NOON_S}, (None, None)),
        ({"state": "Error", "stop_time": NOON_S - 9}, (None, None)),
        ({"state": "Terminated", "stop_time": NOON_S - 9}, (NOON_S, NOON_S - 9)),  # rejected later
        ({"state": "COMPLETED"}, (NOON_S, NOON_S + 3600)),
        # a reservation cancelled before its time
        ({"state": "Error", "stop_time": NOON_S, "assigned_moldable_job": 0}, (None, None)),
        ({"state": "Error", "stop_time": NOON_S, "assigned_moldable_job": None}, (None, None)),
    ],
)
def test_times_of_a_record_depend_on_the_state(changes, times):
    record = record_of(job(**changes))
    assert (record["started_at"], record["stopped_at"]) == times
    assert bool(record["held_nodes"]) == (times[0] is not None)


def test_node_with_a_core_without_cpuset_is_held_whole():
    for cpuset in (None, "", "0,8"):
        record = record_of(job(), resources=[(1, "default", GRUSS, cpuset, 0), CORES[1]])
        assert record["held_nodes"] == [{"node": GRUSS, "cores": None, "gpus": [0]}]
        assert record["unknown_resource"] is None


def test_resources_that_are_gone_or_without_node_are_unknown():
    for lost in ([CORES[0]], [CORES[0], (2, "default", "", "0", 0)]):
        record = record_of(job(), resources=lost)
        assert record["unknown_resource"] == 2
        assert record["held_nodes"] == [{"node": GRUSS, "cores": [1], "gpus": [0]}]
    found = records_of(job(), resources=[])
    assert found["unknown_resource"].to_list() == [1]
    with pytest.raises(InputError) as error:
        database_rows.check_resources(found)
    assert str(error.value) == (
        "source.oar_database: job 7 held resource 1, which `resources` lacks or has without a "
        "node; set its `network_address` again, or study days without this job"
    )
    with pytest.raises(InputError, match="job 7 held resource 1, job 8 held resource 1, which"):
        database_rows.check_resources(
            pl.concat([found, found.with_columns(job_id=pl.lit(8, pl.Int64))])
        )
    database_rows.check_resources(records_of(job()))


def test_suspensions_are_null_without_logged_states():
    logs = [
        *[(7, "Running", NOON_S, NOON_S + 10), (7, "Suspended", NOON_S + 10, NOON_S + 50)],
        *[(7, "Resuming", NOON_S + 50, NOON_S + 60), (7, "Running", NOON_S + 60, 0)],
        *[(8, "Waiting", NOON_S, 0), (9, "Suspended", NOON_S, 0)],
    ]
    found = records_of(*(job(key) for key in (7, 8, 9, 10)), job_state_logs=logs)
    assert found["suspensions"].to_list() == [
        [{"started_at": NOON_S + 10, "stopped_at": NOON_S + 60}],
        [],
        [{"started_at": NOON_S, "stopped_at": None}],
        None,
    ]


def test_records_are_equal_for_all_types_of_number_columns():
    plain = tables_of(job(), job_state_logs=[(7, "Suspended", NOON_S, NOON_S + 9)])
    text = {name: table.cast(pl.String) for name, table in plain.items()}
    large = {
        name: table.cast({pl.Int32: pl.Int64}).with_columns(
            pl.col(column).cast(pl.Int32) for column in table.columns if column == "cpuset"
        )
        for name, table in plain.items()
    }
    for other in (text, large):
        assert_frame_equal(
            database_rows.records_from_rows(other), database_rows.records_from_rows(plain)
        )


def test_job_has_the_resources_of_its_own_moldable_description():
    cases = [job(key, assigned_moldable_job=key) for key in range(1, 8)]
    given = [(key, 1 + key % 2) for key in range(1, 8)]
    found = records_of(*cases, assigned_resources=given)
    assert [each[0]["cores"] for each in found["held_nodes"]] == [[key % 2] for key in range(7)]


def test_records_of_recorded_rows_equal_records_of_answers(shared_data):
    folder = shared_data / "oar"
    found = database_rows.records_from_rows(
        {
            table: pl.read_csv(
                folder / f"database/{table}.csv", columns=columns, infer_schema_length=None
            )
            for table, columns in database_rows.TABLE_COLUMNS.items()
        }
    )
    answer = files.read_documents(folder / "rest/jobs-details-all-ended.json")[0]
    from_answer = job_records.parse_jobs(answer, file="oar database", resources={})
    assert len(from_answer) == 23
    # OAR's answers lack array indices, suspensions, and job 24, a cancelled reservation.
    lacking = ["array_index", "suspensions"]
    assert_frame_equal(
        found.filter(pl.col("job_id") != 24).drop(lacking), from_answer.drop(lacking)
    )
    assert found["suspensions"].to_list() == [[]] * 24
    cancelled = found.row(23, named=True)
    assert (cancelled["state"], cancelled["started_at"], cancelled["held_nodes"]) == (
        "error",
        None,
        [],
    )


def logged_change(value, start, stop=0, *, node="gros-1.nancy.grid5000.fr", attribute="state"):
    return (node, attribute, value, start, stop)


def node_states(*changes, today=()):
    columns = ("node", "attribute", "value", "date_start", "date_stop")
    logs = pl.DataFrame(
        changes,
        schema=dict(zip(columns, [pl.String] * 3 + [pl.Int32] * 2, strict=True)),
        orient="row",
    )
    now = pl.DataFrame(
        list(today), schema={"node": pl.String, "available_upto": pl.Int32}, orient="row"
    )
    found = resource_logs.node_states(logs, today=now)
    States.validate(found)
    since, until = (pl.col(name).dt.epoch("s") for name in ("started_at", "stopped_at"))
    return found.select("node", "state", since, until).rows()


def test_node_states_are_the_intervals_in_which_a_node_was_not_alive():
    assert node_states(
        logged_change("Alive", 100, 200),
        logged_change("Absent", 200, 300),
        logged_change("Suspected", 300, 400),
        logged_change("Alive", 400, 500),
        logged_change("Dead", 500),
        logged_change("Alive", 100, node="gros-2.nancy.grid5000.fr"),
    ) == [
        ("gros-1", "absent", 200, 300),
        ("gros-1", "suspected", 300, 400),
        ("gros-1", "dead", 500, None),
    ]
    assert node_states() == []


def test_node_has_the_state_of_its_most_usable_core():
    assert node_states(
        logged_change("Alive", 100, 200),
        logged_change("Absent", 200, 500),
        logged_change("Alive", 100, 300),
        logged_change("Suspected", 300, 400),
        logged_change("Absent", 400, 501),
        logged_change("Alive", 500),
    ) == [("gros-1", "absent", 300, 500)]


def test_maintenance_precedes_other_states():
    kind = {"attribute": "maintenance"}
    assert node_states(
        logged_change("Alive", 100),
        logged_change("YES", 200, 300, **kind),
        logged_change("NO", 300, 400, **kind),
        logged_change("on", 400, 500, **kind),
    ) == [("gros-1", "maintenance", 200, 300), ("gros-1", "maintenance", 400, 500)]


def test_absent_node_that_oar_may_wake_is_in_standby():
    upto, never = str(resource_logs.STANDBY_UPTO), "2147483647"
    kind = {"attribute": "available_upto"}
    away = [
        logged_change("Alive", 100, 200),
        logged_change("Absent", 200, 300),
        logged_change("Alive", 300),
    ]
    wakeable = [("gros-1.nancy.grid5000.fr", resource_logs.STANDBY_UPTO)]
    assert node_states(*away) == [("gros-1", "absent", 200, 300)]
    assert node_states(*away, today=wakeable) == [("gros-1", "standby", 200, 300)]
    changed = [logged_change(upto, 100, 250, **kind), logged_change(never, 250, **kind)]
    expected = [("gros-1", "standby", 200, 250), ("gros-1", "absent", 250, 300)]
    assert node_states(*away, *changed, today=wakeable) == expected


def test_recorded_nodes_have_no_states_but_alive(shared_data):
    folder = shared_data / "oar/database"
    resources = pl.read_csv(folder / "resources.csv", infer_schema_length=None).filter(
        pl.col("type") == "default"
    )
    nodes = resources.select("resource_id", "available_upto", node="network_address")
    logs = pl.read_csv(folder / "resource_logs.csv").join(nodes, on="resource_id")
    assert len(resource_logs.node_states(logs, today=nodes)) == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://oarreader:geheim@oardb/oar2",
        "postgresql://oarreader:ge/heim@oardb/oar2",
        "postgresql://oarreader@oardb/oar2?password=geheim",
        "postgresql://oarreader@oardb/oar2?pass%77ord=geheim",
        "host=oardb dbname=oar2 password=geheim",
    ],
)
def test_database_address_with_a_password_is_refused(url):
    for read in (postgresql.read_jobs, postgresql.read_states):
        with pytest.raises(InputError) as error:
            read(url, **WINDOW)
        assert str(error.value) == (
            "source.oar_database: the address contains a password; move it to ~/.pgpass or "
            "PGPASSWORD"
        )


@pytest.mark.parametrize(
    "url",
    [
        *("", "oar2", "mysql://oardb/oar2", "host=oardb dbname=oar2"),
        *("postgresql://oardb", "postgresql://oardb/", "postgresql://oarreader@oardb:5432"),
        *("postgresql:///oar2", "postgresql://oarreader@/oar2", "postgresql://:5432/oar2"),
    ],
)
def test_incomplete_database_address_is_refused(url):
    for read in (postgresql.read_jobs, postgresql.read_states):
        with pytest.raises(InputError) as error:
            read(url, **WINDOW)
        assert str(error.value) == (
            "source.oar_database: this is not the address of a PostgreSQL database with its host "
            "and name; set it in the form postgresql://oarreader@oardb:5432/oar2"
        )


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://oardb/oar2", "postgres://oarreader@oardb.nancy:5432/oar2?sslmode=require"),
        *("postgresql://oarreader@[::1]:5432/oar2", "postgresql://%2Frun%2Fpostgresql/oar2"),
    ],
)
def test_complete_database_address_is_accepted(url):
    addresses.check_database_address(url)


def test_unreachable_server_raises_an_error_with_the_reason():
    with pytest.raises(InputError) as error:
        postgresql.read_jobs("postgresql://oarreader@127.0.0.1:1/oar2", **WINDOW)
    assert str(error.value).startswith(
        'source.oar_database: connection to server at "127.0.0.1", port 1 failed: '
    )
    assert str(error.value).endswith("; compare the address, ~/.pgpass and the server's log")


def test_silent_server_raises_an_error_after_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://oarreader@127.0.0.1:{silent.getsockname()[1]}/oar2"
        with pytest.raises(InputError, match=r"^source.oar_database: .*timeout expired; compare"):
            postgresql.read_jobs(f"{address}?connect_timeout=2", **WINDOW)
