"""Answers that were recorded from a real OAR."""

import polars as pl

from footprint.core.errors import InputError
from footprint.sources import files
from footprint.sources.oar import job_records


def records_of(document, resources=None):
    return job_records.parse_jobs(document, file="jobs/a.json", resources=resources or {})


def recorded(shared_data, kind):
    return {
        path.name: files.read_documents(path)
        for path in sorted((shared_data / "oar" / kind).glob("*.json"))
    }


def test_recorded_answers_are_read_or_refused_with_their_reason(shared_data):
    answers = recorded(shared_data, "rest") | recorded(shared_data, "oarstat")
    jobs, resources, refused = {}, {}, {}
    for name, documents in answers.items():
        try:
            jobs[name] = sum(len(records_of(document)) for document in documents)
            resources[name] = sum(
                len(job_records.parse_resources(document, file=name)) for document in documents
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
        "oarstat-s-J-many.json": "not an answer of OAR: 'Terminated'",
        "resource-9-jobs.json": "an object with the keys api_timestamp, id, links is not a job",
        "resources.json": "the short form of resources, without `type` and `cpuset`",
        "version.json": "an object with the keys api_timestamp, api_timezone, api_version, "
        "apilib_version, oar_version is not a job",
    }
    assert jobs["jobs-details-all-ended.json"] == 23
    assert jobs["jobs-from-to.json"] == 23
    assert jobs["oarstat-gantt-f-J.json"] == 23
    assert jobs["oarstat-f-J.json"] == 5
    assert jobs["jobs-from-future.json"] == 0
    assert resources["resources-details.json"] == 18
    assert resources["oarnodes-J.json"] == 18
    assert resources["job-waiting-resources.json"] == 16


def test_recorded_job_has_equal_records_in_all_formats(shared_data):
    folder = shared_data / "oar"
    table = job_records.parse_resources(
        files.read_documents(folder / "rest" / "resources-details.json")[0], file="resources"
    )

    def read(*names):
        frames = [
            records_of(document, table)
            for name in names
            for document in files.read_documents(folder / name)
        ]
        return {record["job_id"]: record for record in pl.concat(frames).to_dicts()}

    ended = read("rest/jobs-details-all-ended.json")
    timeline = read("oarstat/oarstat-gantt-f-J.json")
    as_oar = read("rest/jobs-details-structure-oar.json")
    single = read(*(f"oarstat/{path.name}" for path in folder.glob("oarstat/oarstat-fj-*.json")))
    finished = [
        key for key, record in timeline.items() if record["state"] in job_records.ENDED_STATES
    ]
    assert len(finished) == 19
    assert len(single) == 14  # fifteen files, two of them of job 23
    same = ("user", "project", "queue", "name", "job_type", "command", "types", "submitted_at")
    for key in finished:
        for other in (timeline, as_oar, single):
            if key in other and other[key]["state"] == ended[key]["state"]:
                for field in (*same, "state", "started_at", "stopped_at", "walltime_s"):
                    assert other[key][field] == ended[key][field], (key, field)
                assert other[key]["held_nodes"] == ended[key]["held_nodes"]
    states = (shared_data / "oar" / "database" / "jobs.csv").read_text()
    rows = pl.read_csv(states.encode(), infer_schema_length=None).filter(pl.col("job_id") < 19)
    for row in rows.iter_rows(named=True):
        record = ended[row["job_id"]]
        assert record["state"] == row["state"].lower()
        assert record["user"] == row["job_user"]
        assert (record["started_at"], record["stopped_at"]) == (row["start_time"], row["stop_time"])
        assert record["exit_code"] == row["exit_code"]


def test_recorded_jobs_have_the_states_and_events_of_their_submission(shared_data):
    folder = shared_data / "oar"
    lines = (folder / "oarstat" / "ids.txt").read_text().split()
    ids = {label: int(key) for label, _, key in (line.partition("=") for line in lines) if key}
    document = files.read_documents(folder / "rest" / "jobs-details-all-ended.json")[0]
    jobs = {record["job_id"]: record for record in records_of(document).to_dicts()}
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
        assert job["held_nodes"]
    assert jobs[ids["walltime"]]["walltime_s"] == 12
    assert jobs[ids["besteff"]]["types"] == ["besteffort"]
    assert jobs[ids["monitor"]]["types"] == ["exotic", "monitor=wattmetre_power_watt"]
    assert jobs[ids["array"]]["array_id"] == ids["array"]
    assert [each["gpus"] for each in jobs[ids["gpu"]]["held_nodes"]] == [[0]]
    assert [len(each["cores"]) for each in jobs[ids["twonodes"]]["held_nodes"]] == [4, 4]
    assert [len(each["cores"]) for each in jobs[ids["disk"]]["held_nodes"]] == [1]
    for label in ("hold", "waiting"):
        assert jobs[ids[label]]["started_at"] is None
        assert jobs[ids[label]]["held_nodes"] == []
