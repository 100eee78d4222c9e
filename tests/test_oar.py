import json

import polars as pl
import pytest
from answers import NOON, g5k_job, page

from footprint.errors import InputError
from footprint.site import files, oar


def jobs_of(document, resources=None):
    return oar.parse_jobs(document, file="jobs/a.json", resources=resources or {})


def only(document, resources=None):
    return jobs_of(document, resources).row(0, named=True)


def resource(key, node="gruss-1.nancy.grid5000.fr", cpuset="0", gpudevice=None, **changes):
    return {
        "id": key,
        "type": "default",
        "network_address": node,
        "cpuset": cpuset,
        "gpudevice": gpudevice,
        "state": "Alive",
    } | changes


def details(key=7, **changes):
    """A job of oarapi `jobs/details` that held cores 0 and 1, with GPU 0, of gruss-1."""
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
        "submission_time": NOON - 60,
        "start_time": NOON,
        "stop_time": NOON + 60,
        "walltime": 7200,
        "exit_code": 768,
        "events": [
            {"event_id": 12, "date": NOON + 60, "type": "SWITCH_INTO_TERMINATE_STATE"},
            {"event_id": "11", "date": NOON + 60, "type": "SEND_KILL_JOB"},
            {"event_id": 13, "date": NOON, "type": "WALLTIME"},
        ],
        "nodes": [{"network_address": node, "status": "assigned"}],
        "resources": [
            resource(1, cpuset="1", gpudevice=0, status="assigned"),
            resource(2, cpuset="0", gpudevice=0, status="assigned"),
            resource(17, node="", type="disk", status="assigned"),
        ],
    } | changes


def full(key=7, **changes):
    """The same as `oarstat -f -J` prints it."""
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
        "submissionTime": NOON - 60,
        "startTime": NOON,
        "stopTime": NOON + 60,
        "assigned_resources": [1, 2, 17],
        "assigned_network_address": ["gruss-1.nancy.grid5000.fr"],
        "events": [],
    } | changes


def gantt(**changes):
    """The same as `oarstat -J --gantt` prints it, with its table of resources."""
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
        "submission_time": str(NOON - 60),
        "start_time": NOON,
        "stop_time": NOON + 60,
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
    1: oar.Core("gruss-1.nancy.grid5000.fr", 1, 0),
    2: oar.Core("gruss-1.nancy.grid5000.fr", 0, 0),
    17: None,
}
HELD = [{"node": "gruss-1.nancy.grid5000.fr", "cores": [0, 1], "gpus": [0]}]


def test_a_job_of_the_grid5000_api():
    record = only(page(g5k_job(12, name="train", events=[])))
    assert record["job_id"] == 12
    assert record["user"] == "someone"
    assert record["state"] == "terminated"
    assert record["job_type"] == "PASSIVE"
    assert (record["started_at"], record["stopped_at"]) == (NOON, NOON + 3600)
    assert record["walltime_s"] == 7200
    assert record["exit_code"] == 0
    assert record["events"] == []
    assert record["types"] == []
    assert record["array_id"] is None
    assert record["has_times"]
    assert record["tells_nodes"]
    assert record["held"] == [{"node": "gruss-1.nancy.grid5000.fr", "cores": [0, 1], "gpus": []}]


def test_all_formats_of_a_job_say_the_same():
    records = [
        only(page(details())),
        only(details()),
        only({"7": full()}, TABLE),
        only(full(), TABLE),
        only(gantt()),
    ]
    told = ("job_id", "user", "project", "queue", "command", "directory", "job_type", "types")
    times = ("submitted_at", "started_at", "stopped_at")
    for record in records:
        assert [record[name] for name in told] == [
            7,
            "someone",
            "speech",
            "default",
            "./train.sh",
            "/home/someone",
            "PASSIVE",
            ["besteffort"],
        ]
        assert [record[name] for name in times] == [NOON - 60, NOON, NOON + 60]
        assert record["held"] == HELD
        assert record["unknown_resource"] is None


def test_what_only_some_formats_tell():
    record = only(details())
    assert record["request"] == "-l \"{type = 'default'}/gpu=1,walltime=2:0:0\""
    assert (record["array_id"], record["array_index"]) == (5, 3)
    assert record["exit_code"] == 768
    assert record["events"] == ["WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_TERMINATE_STATE"]
    record = only(gantt())
    assert record["walltime_s"] == 7200
    assert record["events"] is None
    assert record["exit_code"] is None


def test_a_waiting_job_holds_nothing_whatever_is_predicted():
    predicted = {"state": "Waiting", "start_time": NOON + 600, "stop_time": NOON + 1200}
    for record in (
        only(gantt(**predicted)),
        only({"7": full(state="Waiting", startTime=NOON + 600, stopTime=0)}, TABLE),
        only(details(state="Hold", start_time=0, stop_time=0)),
        only(g5k_job(7, state="waiting", started_at=0, stopped_at=None)),
    ):
        assert record["started_at"] is None
        assert record["stopped_at"] is None
        assert record["held"] == []


def test_only_assigned_resources_count():
    resources = [
        resource(1, cpuset="1", status="scheduled"),
        resource(2, cpuset="0", status="assigned"),
        resource(3, cpuset="2", status="reserved"),
    ]
    nodes = [{"network_address": "gruss-2.nancy.grid5000.fr", "status": "scheduled"}]
    record = only(details(resources=resources, nodes=nodes))
    assert record["held"] == [{"node": "gruss-1.nancy.grid5000.fr", "cores": [0], "gpus": []}]


def test_a_running_job_has_no_end_and_its_state_no_brackets():
    record = only(gantt(state="Running (To be Deleted)", stop_time=NOON + 7200))
    assert record["state"] == "running"
    assert record["stopped_at"] is None
    assert record["held"] == HELD


def state_log(state, start, stop):
    return {"job_state": state, "date_start": start, "date_stop": stop}


def test_suspensions_last_until_the_job_runs_again():
    logs = [
        state_log("Running", NOON, NOON + 10),
        state_log("Resuming", NOON + 50, NOON + 60),
        state_log("SUSPENDED", NOON + 10, str(NOON + 50)),
        state_log("Running", NOON + 60, NOON + 70),
        state_log("Suspended", NOON + 70, 0),
    ]
    assert only(details(state_logs=logs))["suspensions"] == [
        {"started_at": NOON + 10, "stopped_at": NOON + 60},
        {"started_at": NOON + 70, "stopped_at": None},
    ]


def test_a_job_without_state_logs_may_have_been_suspended():
    assert only(details())["suspensions"] is None
    assert only(details(state_logs=[]))["suspensions"] == []
    assert only(details(state_logs=[state_log("Running", NOON, 0)]))["suspensions"] == []


def test_a_reservation_cancelled_before_its_start_never_started():
    record = only(details(state="Error", start_time=NOON + 3600, stop_time=NOON))
    assert (record["started_at"], record["stopped_at"], record["held"]) == (None, None, [])


def test_where_only_the_node_is_known_its_cores_are_not():
    whole = [{"node": "gruss-1.nancy.grid5000.fr", "cores": None, "gpus": []}]
    assert only(g5k_job(1, resources_by_type={}))["held"] == whole
    lost = [resource(1, cpuset=None, status="assigned"), resource(2, status="assigned")]
    assert only(details(resources=lost))["held"] == whole
    assert only(details(resources=[]))["held"] == whole


def test_a_job_may_hold_nothing_at_all():
    record = only(g5k_job(1, resources_by_type={}, assigned_nodes=[]))
    assert record["tells_nodes"]
    assert record["held"] == []
    disk = [resource(17, node="", type="disk", status="assigned")]
    assert only(details(resources=disk, nodes=[]))["held"] == []


def test_answers_without_times_or_nodes_are_marked():
    short = {"id": 3, "owner": "someone", "state": "Terminated", "name": "x", "submission": NOON}
    record = only(page(short))
    assert record["submitted_at"] == NOON
    assert not record["has_times"]
    assert not record["tells_nodes"]
    record = only(page(g5k_job(1, resources_by_type=None, assigned_nodes=None)))
    assert record["has_times"]
    assert not record["tells_nodes"]
    brief = full()
    del brief["stopTime"]
    assert not only(brief, TABLE)["has_times"]
    assert only(brief | {"state": "Running"}, TABLE)["has_times"]


def test_resources_that_no_table_explains():
    assert only(full())["unknown_resource"] == 1
    record = only(full(assigned_resources=[1, 99]), TABLE)
    assert record["unknown_resource"] == 99
    addresses = ["gruss-1.nancy.grid5000.fr", "gruss-9.nancy.grid5000.fr"]
    record = only(full(assigned_resources=[1, 99], assigned_network_address=addresses), TABLE)
    assert record["unknown_resource"] is None
    assert record["held"] == [
        {"node": addresses[0], "cores": [1], "gpus": [0]},
        {"node": addresses[1], "cores": None, "gpus": []},
    ]


def test_tables_of_resources():
    expected = {
        1: oar.Core("gruss-1.nancy.grid5000.fr", 1, 0),
        2: oar.Core("gruss-1.nancy.grid5000.fr", 0, 0),
        17: None,
    }
    items = [
        resource(1, cpuset=1, gpudevice=0),
        resource(2, cpuset=0, gpudevice=0),
        resource(17, node="", type="disk"),
    ]
    keyed = {str(item["id"]): item for item in items}
    for document in (page(*items), items, keyed, gantt()):
        assert oar.parse_resources(document, file="resources/a.json") == expected
    assert oar.parse_resources(page(g5k_job(1)), file="jobs/a.json") == {}


def test_nothing_is_an_answer_too():
    assert len(jobs_of(page())) == 0
    assert len(jobs_of({})) == 0
    assert jobs_of([]).schema == pl.Schema(oar.RECORD)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"code": 401, "title": "Unauthorized", "message": "log in"}, "the API answered: log in"),
        ({"2": "Terminated"}, "this is no answer of OAR: 'Terminated'"),
        (page({"id": 1, "links": []}), "an object with the keys id, links is no description of"),
        (page(g5k_job(1, user=None, user_uid=None)), "an object with the keys"),
        (page({"id": 1, "network_address": "a-1"}), "the short form of resources"),
    ],
)
def test_what_is_no_job_is_refused_with_its_file(document, expected):
    with pytest.raises(InputError) as error:
        jobs_of(document)
    assert str(error.value).startswith(f"jobs/a.json: {expected}")


def test_pages_appended_to_one_file_are_all_read(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(page(g5k_job(1))) + "\n" + json.dumps(page(g5k_job(2))))
    found = [jobs_of(document)["job_id"].to_list() for document in files.documents(path)]
    assert found == [[1], [2]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"started_at": "noon"}, "text where a number belongs"),
        ({"started_at": float("inf")}, "text where a number belongs"),
        ({"walltime": 2**62}, "a number that cannot be"),
        ({"submitted_at": -(2**63) - 1}, "a number that cannot be"),
        ({"resources_by_type": {"cores": ["gruss-1/x"]}}, "text where a number belongs"),
        ({"resources_by_type": {"cores": ["gruss-1/40000"]}}, "a number that cannot be"),
        ({"resources_by_type": {"cores": ["gruss-1/-1"]}}, "a number that cannot be"),
        ({"resources_by_type": {"cores": 7}}, "no list of resources"),
        ({"types": 7}, "types are no list"),
        ({"user": None, "user_uid": None}, "no id, owner or state"),
        ({"state_logs": [state_log("Suspended", "noon", 0)]}, "text where a number belongs"),
    ],
)
def test_a_record_that_cannot_be_read_has_a_fault_and_the_others_are_read(changes, reason):
    records = jobs_of(page(g5k_job(3), g5k_job(4, **changes), g5k_job(5)))
    assert records.select("job_id", "fault").rows() == [(3, None), (4, reason), (5, None)]
    faulty = records.row(1, named=True)
    assert faulty["file"] == "jobs/a.json"
    assert faulty["state"] == "terminated"  # a record without an end must not revive the job


def test_a_record_without_readable_id_has_a_fault():
    records = jobs_of(page(g5k_job(3), g5k_job("first"), g5k_job(2**60)))
    assert records["job_id"].to_list() == [3, None, None]
    reasons = [None, "text where a number belongs", "a number that cannot be"]
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
def test_types_may_be_a_list_or_a_text(text, expected):
    assert only(details(types=text))["types"] == expected


def test_nodes_and_resources_may_be_a_text():
    record = only(full(assigned_resources="1, 2", assigned_network_address="x-1"), TABLE)
    assert record["held"] == HELD
    whole = g5k_job(1, resources_by_type=None, assigned_nodes="gruss-1,gruss-2")
    assert [held["node"] for held in only(whole)["held"]] == ["gruss-1", "gruss-2"]


def test_a_state_that_oar_does_not_have_keeps_the_recorded_end():
    record = only(g5k_job(1, state="COMPLETED"))
    assert (record["state"], record["stopped_at"]) == ("completed", NOON + 3600)
    for state in oar.STATES:
        ended = only(g5k_job(1, state=state))["stopped_at"] is not None
        assert ended == (state in oar.ENDED)


def test_a_terminated_job_keeps_times_that_contradict_each_other():
    record = only(details(start_time=NOON + 3600, stop_time=NOON))
    assert (record["started_at"], record["stopped_at"]) == (NOON + 3600, NOON)


def test_bare_resource_ids_are_looked_up():
    bare = [{"id": 1}, {"id": 2}, {"id": 17}]
    record = only(details(resources=bare), TABLE)
    assert (record["held"], record["unknown_resource"]) == (HELD, None)
    assert only(details(resources=[1, "2"]), TABLE)["held"] == HELD
    assert only(details(resources=[{"id": 1}, {"id": 99}]), TABLE)["unknown_resource"] == 99


def test_bare_resource_ids_without_a_table_are_the_named_nodes():
    whole = [{"node": "gruss-1.nancy.grid5000.fr", "cores": None, "gpus": []}]
    record = only(details(resources=[{"id": 700}]))
    assert (record["held"], record["unknown_resource"]) == (whole, None)
    named = only(details(resources=[{"id": 700}], nodes=["gruss-1.nancy.grid5000.fr"]))
    assert named["held"] == whole
    assert only(details(resources=[{"id": 700}], nodes=[]))["unknown_resource"] == 700


def test_resources_of_other_types_or_not_assigned_are_no_node():
    scheduled = [resource(1, status="scheduled")]
    named = [{"network_address": "gruss-1.nancy.grid5000.fr"}]
    assert only(details(resources=scheduled, nodes=named))["held"] == []
    disks = [{"id": 17, "type": "disk"}]
    assert only(details(resources=disks, nodes=named))["held"] == []
    assert only(g5k_job(1, resources_by_type={"disks": ["sdb.gruss-1"]}))["held"] == []


def test_a_key_given_twice_is_a_fault_of_its_record(tmp_path):
    path = tmp_path / "jobs.json"
    one = json.dumps(g5k_job(1))
    twice = '{"uid": 9, ' + json.dumps(g5k_job(2))[1:]
    inside = json.dumps(g5k_job(3)).replace('{"cores":', '{"cores": [], "cores":')
    same = '{"uid": 4, ' + json.dumps(g5k_job(4))[1:]
    path.write_text(f'{{"items": [{one}, {twice}, {inside}, {same}]}}')
    (document,) = files.documents(path)
    fault = "a key is given twice, with different values"
    assert jobs_of(document)["fault"].to_list() == [None, fault, fault, None]


def test_a_list_of_jobs_given_twice_is_refused(tmp_path):
    path = tmp_path / "jobs.json"
    lists = [json.dumps([g5k_job(key)]) for key in (1, 2)]
    path.write_text(f'{{"items": {lists[0]}, "items": {lists[1]}}}')
    (document,) = files.documents(path)
    with pytest.raises(InputError, match="the answer gives the key 'items' twice"):
        jobs_of(document)


def test_a_resource_that_gives_a_key_twice_is_refused(tmp_path):
    path = tmp_path / "resources.json"
    path.write_text(json.dumps(page(resource(1))).replace('"cpuset":', '"cpuset": "9", "cpuset":'))
    (document,) = files.documents(path)
    with pytest.raises(InputError, match="resource 1 gives the key 'cpuset' twice"):
        oar.parse_resources(document, file="resources/a.json")


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
            "a number that cannot be",
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
def test_a_record_of_wrong_types_has_a_fault_and_the_others_are_read(changes, reason):
    records = jobs_of(page(g5k_job(3), g5k_job(4, **changes)))
    assert records.select("job_id", "fault").rows() == [(3, None), (4, reason)]


@pytest.mark.parametrize("job_id", [True, float("nan"), float("inf"), [4], {"a": 4}])
def test_an_id_that_is_no_number_is_a_fault(job_id):
    records = jobs_of(page(g5k_job(3), g5k_job(job_id)))
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
def test_types_are_the_same_in_every_form(types):
    assert only(g5k_job(2, types=types))["types"] == ["besteffort", "inner=1"]


def test_timesharing_keeps_its_comma_in_every_form():
    for types in (
        "timesharing=*, *",
        ["timesharing=*,*"],
        ["TIMESHARING = *,*"],
        "{timesharing=*,*}",
    ):
        assert only(g5k_job(2, types=types))["types"] == ["timesharing=*,*"]


def test_a_job_id_given_twice_by_gantt_is_refused(tmp_path):
    path = tmp_path / "gantt.json"
    one, other = (json.dumps(g5k_job(5, name=name)) for name in ("a", "b"))
    path.write_text(f'{{"jobs": {{"5": {one}, "5": {other}}}, "resources": []}}')
    (document,) = files.documents(path)
    with pytest.raises(InputError, match="the answer gives the key '5' twice"):
        jobs_of(document)


def test_a_key_given_twice_in_a_list_of_a_job_is_a_fault_of_its_record(tmp_path):
    path = tmp_path / "jobs.json"
    nodes = '[{"network_address": "gruss-1", "network_address": "gruss-2"}]'
    twice = json.dumps(g5k_job(2, nodes="NODES")).replace('"NODES"', nodes)
    path.write_text(f'{{"items": [{json.dumps(g5k_job(1))}, {twice}]}}')
    (document,) = files.documents(path)
    fault = "a key is given twice, with different values"
    assert jobs_of(document)["fault"].to_list() == [None, fault]


def test_json_that_is_nested_too_deeply_is_refused(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"jobs\.json: the JSON is nested too deep"):
        files.documents(path)
