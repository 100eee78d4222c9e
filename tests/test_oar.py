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


def test_a_reservation_cancelled_before_its_start_never_started():
    record = only(details(state="Error", start_time=NOON + 3600, stop_time=NOON))
    assert (record["started_at"], record["stopped_at"], record["held"]) == (None, None, [])


def test_where_only_the_node_is_known_its_cores_are_not():
    whole = [{"node": "gruss-1.nancy.grid5000.fr", "cores": None, "gpus": []}]
    record = only(g5k_job(1, resources_by_type={"disks": ["sdb.gruss-1"]}))
    assert record["held"] == whole
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
        (page(g5k_job(4, started_at="noon")), "job 4 `started_at` is 'noon', not a number"),
        (
            page(g5k_job(4, resources_by_type={"cores": ["gruss-1/x"]})),
            "job 4 core gruss-1/x is 'x', not a number",
        ),
        (page({"id": 1, "network_address": "a-1"}), "the short form of resources"),
    ],
)
def test_what_is_no_job_is_refused_with_its_file(document, expected):
    with pytest.raises(InputError) as error:
        jobs_of(document)
    assert str(error.value).startswith(f"jobs/a.json: {expected}")


def recorded(shared_data, kind):
    return {
        path.name: files.documents(path)
        for path in sorted((shared_data / "oar" / kind).glob("*.json"))
    }


def test_every_recorded_answer_is_read_or_refused_for_what_it_is(shared_data):
    answers = recorded(shared_data, "rest") | recorded(shared_data, "oarstat")
    jobs, resources, refused = {}, {}, {}
    for name, documents in answers.items():
        try:
            jobs[name] = sum(len(jobs_of(document)) for document in documents)
            resources[name] = sum(
                len(oar.parse_resources(document, file=name)) for document in documents
            )
        except InputError as error:
            refused[name] = str(error).removeprefix("jobs/a.json: ").split(";")[0]
    assert len(answers) == 80
    assert refused == {
        "job-ok-noauth.json": "the API answered: A suitable authentication must be done before "
        "looking at jobs",
        "job-twonodes-nodes.json": "the short form of resources, without `type` and `cpuset`",
        "job-unknown.json": "the API answered: Job not found",
        "node-gpux-1.json": "the short form of resources, without `type` and `cpuset`",
        "oarstat-s-J-many.json": "this is no answer of OAR: 'Terminated'",
        "resource-9-jobs.json": "an object with the keys api_timestamp, id, links is no "
        "description of a job",
        "resources.json": "the short form of resources, without `type` and `cpuset`",
        "version.json": "an object with the keys api_timestamp, api_timezone, api_version, "
        "apilib_version, oar_version is no description of a job",
    }
    assert jobs["jobs-details-all-ended.json"] == 23
    assert jobs["jobs-from-to.json"] == 23
    assert jobs["oarstat-gantt-f-J.json"] == 23
    assert jobs["oarstat-f-J.json"] == 5
    assert jobs["jobs-from-future.json"] == 0
    assert resources["resources-details.json"] == 18
    assert resources["oarnodes-J.json"] == 18
    assert resources["job-waiting-resources.json"] == 16


def test_every_format_of_a_recorded_job_agrees(shared_data):
    folder = shared_data / "oar"
    table = oar.parse_resources(
        files.documents(folder / "rest" / "resources-details.json")[0], file="resources"
    )

    def read(*names):
        frames = [
            jobs_of(document, table)
            for name in names
            for document in files.documents(folder / name)
        ]
        return {record["job_id"]: record for record in pl.concat(frames).to_dicts()}

    ended = read("rest/jobs-details-all-ended.json")
    timeline = read("oarstat/oarstat-gantt-f-J.json")
    as_oar = read("rest/jobs-details-structure-oar.json")
    single = read(*(f"oarstat/{path.name}" for path in folder.glob("oarstat/oarstat-fj-*.json")))
    finished = [key for key, record in timeline.items() if record["state"] in oar.ENDED]
    assert len(finished) == 19
    assert len(single) == 14  # fifteen files, two of job 23
    same = ("user", "project", "queue", "name", "job_type", "command", "types", "submitted_at")
    for key in finished:
        for other in (timeline, as_oar, single):
            if key in other and other[key]["state"] == ended[key]["state"]:
                for field in (*same, "state", "started_at", "stopped_at", "walltime_s"):
                    assert other[key][field] == ended[key][field], (key, field)
                assert other[key]["held"] == ended[key]["held"]
    states = (shared_data / "oar" / "database" / "jobs.csv").read_text()
    rows = pl.read_csv(states.encode(), infer_schema_length=None).filter(pl.col("job_id") < 19)
    for row in rows.iter_rows(named=True):
        record = ended[row["job_id"]]
        assert record["state"] == row["state"].lower()
        assert record["user"] == row["job_user"]
        assert (record["started_at"], record["stopped_at"]) == (row["start_time"], row["stop_time"])
        assert record["exit_code"] == row["exit_code"]


def test_the_recorded_jobs_ended_as_they_were_made_to(shared_data):
    folder = shared_data / "oar"
    lines = (folder / "oarstat" / "ids.txt").read_text().split()
    ids = {label: int(key) for label, _, key in (line.partition("=") for line in lines) if key}
    document = files.documents(folder / "rest" / "jobs-details-all-ended.json")[0]
    jobs = {record["job_id"]: record for record in jobs_of(document).to_dicts()}
    failed, killed = jobs[ids["failed"]], jobs[ids["signal"]]
    assert (failed["state"], failed["exit_code"]) == ("terminated", 3 * 256)
    assert (killed["state"], killed["exit_code"]) == ("terminated", 9)
    for label, event in (
        ("walltime", "WALLTIME"),
        ("bekill", "BESTEFFORT_KILL"),
        ("deleted", "FRAG_JOB_REQUEST"),
    ):
        job = jobs[ids[label]]
        assert job["state"] == "error"
        assert event in job["events"]
        assert job["stopped_at"] > job["started_at"]
        assert job["held"]
    assert jobs[ids["walltime"]]["walltime_s"] == 12
    assert jobs[ids["besteff"]]["types"] == ["besteffort"]
    assert jobs[ids["monitor"]]["types"] == ["exotic", "monitor=wattmetre_power_watt"]
    assert jobs[ids["array"]]["array_id"] == ids["array"]
    assert [each["gpus"] for each in jobs[ids["gpu"]]["held"]] == [[0]]
    assert [len(each["cores"]) for each in jobs[ids["twonodes"]]["held"]] == [4, 4]
    assert [len(each["cores"]) for each in jobs[ids["disk"]]["held"]] == [1]
    for label in ("hold", "waiting"):
        assert jobs[ids[label]]["started_at"] is None
        assert jobs[ids[label]]["held"] == []


def test_pages_appended_to_one_file_are_all_read(tmp_path):
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(page(g5k_job(1))) + "\n" + json.dumps(page(g5k_job(2))))
    found = [jobs_of(document)["job_id"].to_list() for document in files.documents(path)]
    assert found == [[1], [2]]
