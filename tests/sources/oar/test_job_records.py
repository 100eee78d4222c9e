import json

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.sources import files
from footprint.sources.oar import held_resources, job_records
from tests.support.api_answers import NOON_S, collection_page, g5k_job


def records_of(document, resources=None):
    return job_records.parse_jobs(document, file="jobs/a.json", resources=resources or {})


def record_of(document, resources=None):
    return records_of(document, resources).row(0, named=True)


def resource(key, node="gruss-1.nancy.grid5000.fr", cpuset="0", gpudevice=None, **changes):
    return {
        "id": key,
        "type": "default",
        "network_address": node,
        "cpuset": cpuset,
        "gpudevice": gpudevice,
        "state": "Alive",
    } | changes


def details_job(key=7, **changes):
    """Return a job of oarapi `jobs/details` that held cores 0 and 1, with GPU 0, of gruss-1."""
    node = "gruss-1.nancy.grid5000.fr"
    return {
        "id": key,
        "owner": "someone",
        "state": "Terminated",
        "queue": "default",
        "project": "speech",
        "name": None,
        "type": "PASSIVE",
        "types": ["besteffort"],
        "command": "./train.sh",
        "wanted_resources": "-l \"{type = 'default'}/gpu=1,walltime=2:0:0\" ",
        "launching_directory": "/home/someone",
        "array_id": 5,
        "array_index": 3,
        "submission_time": NOON_S - 60,
        "start_time": NOON_S,
        "stop_time": NOON_S + 60,
        "walltime": 7200,
        "exit_code": 768,
        "events": [
            {"event_id": 12, "date": NOON_S + 60, "type": "SWITCH_INTO_TERMINATE_STATE"},
            {"event_id": "11", "date": NOON_S + 60, "type": "SEND_KILL_JOB"},
            {"event_id": 13, "date": NOON_S, "type": "WALLTIME"},
        ],
        "nodes": [{"network_address": node, "status": "assigned"}],
        "resources": [
            resource(1, cpuset="1", gpudevice=0, status="assigned"),
            resource(2, cpuset="0", gpudevice=0, status="assigned"),
            resource(17, node="", type="disk", status="assigned"),
        ],
    } | changes


def oarstat_job(key=7, **changes):
    """Return the job of `details_job` in the format of `oarstat -f -J`."""
    return {
        "Job_Id": str(key),
        "owner": "someone",
        "job_user": "someone",
        "state": "Terminated",
        "queue": "default",
        "project": "speech",
        "name": None,
        "jobType": "PASSIVE",
        "types": ["besteffort"],
        "command": "./train.sh",
        "launchingDirectory": "/home/someone",
        "submissionTime": NOON_S - 60,
        "startTime": NOON_S,
        "stopTime": NOON_S + 60,
        "assigned_resources": [1, 2, 17],
        "assigned_network_address": ["gruss-1.nancy.grid5000.fr"],
        "events": [],
    } | changes


def gantt_answer(**changes):
    """Return the job of `details_job` in the format of `oarstat -J --gantt`, with its resources."""
    job = {
        "job_id": "7",
        "user": "someone",
        "state": "Terminated",
        "queue_name": "default",
        "project": "speech",
        "job_type": "PASSIVE",
        "types": ["besteffort", "besteffort", "besteffort"],
        "command": "./train.sh",
        "launching_directory": "/home/someone",
        "submission_time": str(NOON_S - 60),
        "start_time": NOON_S,
        "stop_time": NOON_S + 60,
        "walltime": "7200",
        "resource_id": [2, "1", 17, 2, "1", 17],
        "network_address": ["gruss-1.nancy.grid5000.fr", "gruss-1.nancy.grid5000.fr", ""] * 2,
    } | changes
    table = [
        resource(None, cpuset="1", gpudevice=0, resource_id=1),
        resource(None, cpuset=0, gpudevice=0, resource_id=2),
        resource(None, node="", type="disk", resource_id="17"),
    ]
    return {"jobs": {"7": job}, "resources": table, "dead_resources": {}}


TABLE = {
    1: held_resources.Core("gruss-1.nancy.grid5000.fr", 1, 0),
    2: held_resources.Core("gruss-1.nancy.grid5000.fr", 0, 0),
    17: None,
}
HELD = [{"node": "gruss-1.nancy.grid5000.fr", "cores": [0, 1], "gpus": [0]}]


def test_parse_jobs_reads_a_job_of_the_grid5000_api():
    record = record_of(collection_page(g5k_job(12, name="train", events=[])))
    assert record["job_id"] == 12
    assert record["user"] == "someone"
    assert record["state"] == "terminated"
    assert record["job_type"] == "PASSIVE"
    assert (record["started_at"], record["stopped_at"]) == (NOON_S, NOON_S + 3600)
    assert record["walltime_s"] == 7200
    assert record["exit_code"] == 0
    assert record["events"] == []
    assert record["types"] == []
    assert record["array_id"] is None
    assert record["has_times"]
    assert record["has_node_fields"]
    assert record["held_nodes"] == [
        {"node": "gruss-1.nancy.grid5000.fr", "cores": [0, 1], "gpus": []}
    ]


def test_parse_jobs_returns_equal_records_for_all_formats():
    records = [
        record_of(collection_page(details_job())),
        record_of(details_job()),
        record_of({"7": oarstat_job()}, TABLE),
        record_of(oarstat_job(), TABLE),
        record_of(gantt_answer()),
    ]
    texts = ("job_id", "user", "project", "queue", "command", "directory", "job_type", "types")
    times = ("submitted_at", "started_at", "stopped_at")
    for record in records:
        assert [record[name] for name in texts] == [
            7,
            "someone",
            "speech",
            "default",
            "./train.sh",
            "/home/someone",
            "PASSIVE",
            ["besteffort"],
        ]
        assert [record[name] for name in times] == [NOON_S - 60, NOON_S, NOON_S + 60]
        assert record["held_nodes"] == HELD
        assert record["unknown_resource"] is None


def test_parse_jobs_reads_fields_that_only_some_formats_have():
    record = record_of(details_job())
    assert record["request"] == "-l \"{type = 'default'}/gpu=1,walltime=2:0:0\""
    assert (record["array_id"], record["array_index"]) == (5, 3)
    assert record["exit_code"] == 768
    assert record["events"] == ["WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_TERMINATE_STATE"]
    record = record_of(gantt_answer())
    assert record["walltime_s"] == 7200
    assert record["events"] is None
    assert record["exit_code"] is None


def test_waiting_job_has_no_times_and_nodes_despite_predictions():
    predicted = {"state": "Waiting", "start_time": NOON_S + 600, "stop_time": NOON_S + 1200}
    for record in (
        record_of(gantt_answer(**predicted)),
        record_of({"7": oarstat_job(state="Waiting", startTime=NOON_S + 600, stopTime=0)}, TABLE),
        record_of(details_job(state="Hold", start_time=0, stop_time=0)),
        record_of(g5k_job(7, state="waiting", started_at=0, stopped_at=None)),
    ):
        assert record["started_at"] is None
        assert record["stopped_at"] is None
        assert record["held_nodes"] == []


def test_scheduled_and_reserved_resources_are_not_held():
    resources = [
        resource(1, cpuset="1", status="scheduled"),
        resource(2, cpuset="0", status="assigned"),
        resource(3, cpuset="2", status="reserved"),
    ]
    nodes = [{"network_address": "gruss-2.nancy.grid5000.fr", "status": "scheduled"}]
    record = record_of(details_job(resources=resources, nodes=nodes))
    assert record["held_nodes"] == [{"node": "gruss-1.nancy.grid5000.fr", "cores": [0], "gpus": []}]


def test_running_job_has_no_end_and_a_state_without_brackets():
    record = record_of(gantt_answer(state="Running (To be Deleted)", stop_time=NOON_S + 7200))
    assert record["state"] == "running"
    assert record["stopped_at"] is None
    assert record["held_nodes"] == HELD


def state_log(state, start, stop):
    return {"job_state": state, "date_start": start, "date_stop": stop}


def test_suspensions_last_until_the_job_runs_again():
    logs = [
        state_log("Running", NOON_S, NOON_S + 10),
        state_log("Resuming", NOON_S + 50, NOON_S + 60),
        state_log("SUSPENDED", NOON_S + 10, str(NOON_S + 50)),
        state_log("Running", NOON_S + 60, NOON_S + 70),
        state_log("Suspended", NOON_S + 70, 0),
    ]
    assert record_of(details_job(state_logs=logs))["suspensions"] == [
        {"started_at": NOON_S + 10, "stopped_at": NOON_S + 60},
        {"started_at": NOON_S + 70, "stopped_at": None},
    ]


def test_job_without_state_logs_has_unknown_suspensions():
    assert record_of(details_job())["suspensions"] is None
    assert record_of(details_job(state_logs=[]))["suspensions"] == []
    assert record_of(details_job(state_logs=[state_log("Running", NOON_S, 0)]))["suspensions"] == []


def test_reservation_cancelled_before_its_start_has_no_times():
    record = record_of(details_job(state="Error", start_time=NOON_S + 3600, stop_time=NOON_S))
    assert (record["started_at"], record["stopped_at"], record["held_nodes"]) == (None, None, [])


def test_node_without_identified_cores_has_null_cores():
    whole = [{"node": "gruss-1.nancy.grid5000.fr", "cores": None, "gpus": []}]
    assert record_of(g5k_job(1, resources_by_type={}))["held_nodes"] == whole
    lost = [resource(1, cpuset=None, status="assigned"), resource(2, status="assigned")]
    assert record_of(details_job(resources=lost))["held_nodes"] == whole
    assert record_of(details_job(resources=[]))["held_nodes"] == whole


def test_job_without_cores_has_no_held_nodes():
    record = record_of(g5k_job(1, resources_by_type={}, assigned_nodes=[]))
    assert record["has_node_fields"]
    assert record["held_nodes"] == []
    disk = [resource(17, node="", type="disk", status="assigned")]
    assert record_of(details_job(resources=disk, nodes=[]))["held_nodes"] == []


def test_records_without_times_or_node_fields_are_flagged():
    short = {"id": 3, "owner": "someone", "state": "Terminated", "name": "x", "submission": NOON_S}
    record = record_of(collection_page(short))
    assert record["submitted_at"] == NOON_S
    assert not record["has_times"]
    assert not record["has_node_fields"]
    record = record_of(collection_page(g5k_job(1, resources_by_type=None, assigned_nodes=None)))
    assert record["has_times"]
    assert not record["has_node_fields"]
    brief = oarstat_job()
    del brief["stopTime"]
    assert not record_of(brief, TABLE)["has_times"]
    assert record_of(brief | {"state": "Running"}, TABLE)["has_times"]


def test_unexplained_resource_is_unknown_unless_a_named_node_explains_it():
    assert record_of(oarstat_job())["unknown_resource"] == 1
    record = record_of(oarstat_job(assigned_resources=[1, 99]), TABLE)
    assert record["unknown_resource"] == 99
    addresses = ["gruss-1.nancy.grid5000.fr", "gruss-9.nancy.grid5000.fr"]
    record = record_of(
        oarstat_job(assigned_resources=[1, 99], assigned_network_address=addresses), TABLE
    )
    assert record["unknown_resource"] is None
    assert record["held_nodes"] == [
        {"node": addresses[0], "cores": [1], "gpus": [0]},
        {"node": addresses[1], "cores": None, "gpus": []},
    ]


def test_parse_resources_returns_the_same_table_for_all_formats():
    expected = {
        1: held_resources.Core("gruss-1.nancy.grid5000.fr", 1, 0),
        2: held_resources.Core("gruss-1.nancy.grid5000.fr", 0, 0),
        17: None,
    }
    items = [
        resource(1, cpuset=1, gpudevice=0),
        resource(2, cpuset=0, gpudevice=0),
        resource(17, node="", type="disk"),
    ]
    keyed = {str(item["id"]): item for item in items}
    for document in (collection_page(*items), items, keyed, gantt_answer()):
        assert job_records.parse_resources(document, file="resources/a.json") == expected
    assert job_records.parse_resources(collection_page(g5k_job(1)), file="jobs/a.json") == {}


def test_parse_jobs_of_an_empty_answer_returns_an_empty_frame():
    assert len(records_of(collection_page())) == 0
    assert len(records_of({})) == 0
    assert records_of([]).schema == pl.Schema(job_records.RECORD_SCHEMA)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"code": 401, "title": "Unauthorized", "message": "log in"}, "the API answered: log in"),
        ({"2": "Terminated"}, "not an answer of OAR: 'Terminated'"),
        (collection_page({"id": 1, "links": []}), "an object with the keys id, links is not a job"),
        (collection_page(g5k_job(1, user=None, user_uid=None)), "an object with the keys"),
        (collection_page({"id": 1, "network_address": "a-1"}), "the short form of resources"),
    ],
)
def test_parse_jobs_refuses_an_answer_without_jobs(document, expected):
    with pytest.raises(InputError) as error:
        records_of(document)
    assert str(error.value).startswith(f"jobs/a.json: {expected}")


def test_parse_jobs_reads_all_pages_of_one_file(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text(
        json.dumps(collection_page(g5k_job(1))) + "\n" + json.dumps(collection_page(g5k_job(2)))
    )
    found = [records_of(document)["job_id"].to_list() for document in files.read_documents(path)]
    assert found == [[1], [2]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"started_at": "noon"}, "text where a number belongs"),
        ({"started_at": float("inf")}, "text where a number belongs"),
        ({"walltime": 2**62}, "impossible number"),
        ({"submitted_at": -(2**63) - 1}, "impossible number"),
        ({"resources_by_type": {"cores": ["gruss-1/x"]}}, "text where a number belongs"),
        ({"resources_by_type": {"cores": ["gruss-1/40000"]}}, "impossible number"),
        ({"resources_by_type": {"cores": ["gruss-1/-1"]}}, "impossible number"),
        ({"resources_by_type": {"cores": 7}}, "no list of resources"),
        ({"types": 7}, "types are no list"),
        ({"user": None, "user_uid": None}, "no id, owner or state"),
        ({"state_logs": [state_log("Suspended", "noon", 0)]}, "text where a number belongs"),
    ],
)
def test_unreadable_field_gives_only_its_record_a_fault(changes, reason):
    records = records_of(collection_page(g5k_job(3), g5k_job(4, **changes), g5k_job(5)))
    assert records.select("job_id", "fault").rows() == [(3, None), (4, reason), (5, None)]
    faulty = records.row(1, named=True)
    assert faulty["file"] == "jobs/a.json"
    assert faulty["state"] == "terminated"  # a record without an end must not revive the job


def test_record_without_readable_id_has_a_fault():
    records = records_of(collection_page(g5k_job(3), g5k_job("first"), g5k_job(2**60)))
    assert records["job_id"].to_list() == [3, None, None]
    reasons = [None, "text where a number belongs", "impossible number"]
    assert records["fault"].to_list() == reasons


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("besteffort", ["besteffort"]),
        ("besteffort,idempotent", ["besteffort", "idempotent"]),
        (" idempotent; besteffort ", ["besteffort", "idempotent"]),
        ("{besteffort}", ["besteffort"]),
        ('{besteffort,"inner=123"}', ["besteffort", "inner=123"]),
        ('["container=lab"]', ["container=lab"]),
        ("inner=123", ["inner=123"]),
        ("besteffort,timesharing=user,name", ["besteffort", "timesharing=user,name"]),
        ("timesharing=*,*,deploy", ["deploy", "timesharing=*,*"]),
        ("monitor=prom_.*default_metrics", ["monitor=prom_.*default_metrics"]),
        ("", []),
        ([], []),
        (["inner=123", "inner=123"], ["inner=123"]),
        (None, None),
    ],
)
def test_types_are_read_from_a_list_or_a_text(text, expected):
    assert record_of(details_job(types=text))["types"] == expected


def test_nodes_and_resources_are_read_from_a_text():
    record = record_of(
        oarstat_job(assigned_resources="1, 2", assigned_network_address="x-1"), TABLE
    )
    assert record["held_nodes"] == HELD
    whole = g5k_job(1, resources_by_type=None, assigned_nodes="gruss-1,gruss-2")
    assert [held["node"] for held in record_of(whole)["held_nodes"]] == ["gruss-1", "gruss-2"]


def test_job_in_an_unknown_state_keeps_its_end():
    record = record_of(g5k_job(1, state="COMPLETED"))
    assert (record["state"], record["stopped_at"]) == ("completed", NOON_S + 3600)
    for state in job_records.JOB_STATES:
        ended = record_of(g5k_job(1, state=state))["stopped_at"] is not None
        assert ended == (state in job_records.ENDED_STATES)


def test_terminated_job_keeps_contradictory_times():
    record = record_of(details_job(start_time=NOON_S + 3600, stop_time=NOON_S))
    assert (record["started_at"], record["stopped_at"]) == (NOON_S + 3600, NOON_S)


def test_bare_resource_ids_are_looked_up_in_the_table():
    bare = [{"id": 1}, {"id": 2}, {"id": 17}]
    record = record_of(details_job(resources=bare), TABLE)
    assert (record["held_nodes"], record["unknown_resource"]) == (HELD, None)
    assert record_of(details_job(resources=[1, "2"]), TABLE)["held_nodes"] == HELD
    assert (
        record_of(details_job(resources=[{"id": 1}, {"id": 99}]), TABLE)["unknown_resource"] == 99
    )


def test_bare_resource_ids_without_a_table_give_the_named_nodes():
    whole = [{"node": "gruss-1.nancy.grid5000.fr", "cores": None, "gpus": []}]
    record = record_of(details_job(resources=[{"id": 700}]))
    assert (record["held_nodes"], record["unknown_resource"]) == (whole, None)
    named = record_of(details_job(resources=[{"id": 700}], nodes=["gruss-1.nancy.grid5000.fr"]))
    assert named["held_nodes"] == whole
    assert record_of(details_job(resources=[{"id": 700}], nodes=[]))["unknown_resource"] == 700


def test_unassigned_resources_and_disks_give_no_held_nodes():
    scheduled = [resource(1, status="scheduled")]
    named = [{"network_address": "gruss-1.nancy.grid5000.fr"}]
    assert record_of(details_job(resources=scheduled, nodes=named))["held_nodes"] == []
    disks = [{"id": 17, "type": "disk"}]
    assert record_of(details_job(resources=disks, nodes=named))["held_nodes"] == []
    assert record_of(g5k_job(1, resources_by_type={"disks": ["sdb.gruss-1"]}))["held_nodes"] == []


def test_repeated_key_is_a_fault_of_its_record(tmp_path):
    path = tmp_path / "jobs.json"
    one = json.dumps(g5k_job(1))
    twice = '{"uid": 9, ' + json.dumps(g5k_job(2))[1:]
    inside = json.dumps(g5k_job(3)).replace('{"cores":', '{"cores": [], "cores":')
    same = '{"uid": 4, ' + json.dumps(g5k_job(4))[1:]
    path.write_text(f'{{"items": [{one}, {twice}, {inside}, {same}]}}')
    (document,) = files.read_documents(path)
    fault = "a key is given twice, with different values"
    assert records_of(document)["fault"].to_list() == [None, fault, fault, None]


def test_parse_jobs_refuses_a_repeated_list_of_jobs(tmp_path):
    path = tmp_path / "jobs.json"
    lists = [json.dumps([g5k_job(key)]) for key in (1, 2)]
    path.write_text(f'{{"items": {lists[0]}, "items": {lists[1]}}}')
    (document,) = files.read_documents(path)
    with pytest.raises(InputError, match="the answer gives the key 'items' twice"):
        records_of(document)


def test_parse_resources_refuses_a_repeated_key(tmp_path):
    path = tmp_path / "resources.json"
    path.write_text(
        json.dumps(collection_page(resource(1))).replace('"cpuset":', '"cpuset": "9", "cpuset":')
    )
    (document,) = files.read_documents(path)
    with pytest.raises(InputError, match="resource 1 gives the key 'cpuset' twice"):
        job_records.parse_resources(document, file="resources/a.json")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resources_by_type": None, "assigned_nodes": [["gruss-1"]]}, "no text as a node's name"),
        (
            {"resources_by_type": None, "resources": [resource(1, network_address=["x"])]},
            "no text as a node's name",
        ),
        (
            {"resources_by_type": None, "resources": [resource(1, gpudevice=300)]},
            "impossible number",
        ),
        ({"name": "a\ud800"}, "text with half of a character"),
        ({"state": "a\ud800"}, "text with half of a character"),
        ({"types": ["\udfff"]}, "text with half of a character"),
        ({"state_logs": {"job_state": "Suspended"}}, "no list of objects"),
        ({"state_logs": "Suspended"}, "no list of objects"),
        ({"state_logs": ["Suspended"]}, "no list of objects"),
        ({"walltime": True}, "text where a number belongs"),
    ],
)
def test_field_of_a_wrong_type_gives_only_its_record_a_fault(changes, reason):
    records = records_of(collection_page(g5k_job(3), g5k_job(4, **changes)))
    assert records.select("job_id", "fault").rows() == [(3, None), (4, reason)]


@pytest.mark.parametrize("job_id", [True, float("nan"), float("inf"), [4], {"a": 4}])
def test_job_id_that_is_not_a_number_is_a_fault(job_id):
    records = records_of(collection_page(g5k_job(3), g5k_job(job_id)))
    assert records["job_id"].to_list() == [3, None]
    assert records["fault"].to_list() == [None, "text where a number belongs"]


@pytest.mark.parametrize(
    "types",
    [
        ["inner=1,besteffort"],
        ["{inner=1}", "besteffort"],
        [" inner=1 ", "besteffort", None],
        ["inner= 1", "besteffort"],
        [{"type": "inner=1"}, {"type": "besteffort"}],
        "inner = 1, besteffort",
        "INNER=1 BestEffort",
    ],
)
def test_types_are_equal_in_all_notations(types):
    assert record_of(g5k_job(2, types=types))["types"] == ["besteffort", "inner=1"]


def test_timesharing_type_keeps_its_comma_in_all_notations():
    for types in (
        "timesharing=*, *",
        ["timesharing=*,*"],
        ["TIMESHARING = *,*"],
        "{timesharing=*,*}",
    ):
        assert record_of(g5k_job(2, types=types))["types"] == ["timesharing=*,*"]


def test_parse_jobs_refuses_a_repeated_job_id_of_gantt(tmp_path):
    path = tmp_path / "gantt.json"
    one, other = (json.dumps(g5k_job(5, name=name)) for name in ("a", "b"))
    path.write_text(f'{{"jobs": {{"5": {one}, "5": {other}}}, "resources": []}}')
    (document,) = files.read_documents(path)
    with pytest.raises(InputError, match="the answer gives the key '5' twice"):
        records_of(document)


def test_repeated_key_inside_a_list_of_a_job_is_a_fault_of_its_record(tmp_path):
    path = tmp_path / "jobs.json"
    nodes = '[{"network_address": "gruss-1", "network_address": "gruss-2"}]'
    twice = json.dumps(g5k_job(2, nodes="NODES")).replace('"NODES"', nodes)
    path.write_text(f'{{"items": [{json.dumps(g5k_job(1))}, {twice}]}}')
    (document,) = files.read_documents(path)
    fault = "a key is given twice, with different values"
    assert records_of(document)["fault"].to_list() == [None, fault]


def test_documents_refuses_deeply_nested_json(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"jobs\.json: it is nested too deep"):
        files.read_documents(path)
