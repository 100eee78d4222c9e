from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations, Jobs, RejectedRows
from footprint.sources import files
from footprint.sources.oar import allocation_tables, job_records, job_tables
from tests.support.api_answers import NOON_S, collection_page, g5k_job, nodes_table, reference_node

START = datetime(2025, 3, 1, tzinfo=UTC)
END = datetime(2025, 4, 1, tzinfo=UTC)
START_S, END_S = int(START.timestamp()), int(END.timestamp())
NODES = nodes_table(
    reference_node("gruss-1", n_gpus=2),
    reference_node("gruss-2", n_gpus=2),
    reference_node("gros-1"),
)


def records_of(*jobs, file="jobs/a.json"):
    return job_records.parse_jobs(collection_page(*jobs), file=file, resources={})


def tables_of(*frames, nodes=NODES, start=START, end=END):
    return job_tables.tables_from_records(
        pl.concat(frames), nodes=nodes, site="nancy", start=start, end=end
    )


def rejected_of(result):
    return result.rejected.select("source", "reason", "n_rows", "example").collect().rows()


def job_ids(result):
    return result.jobs.collect()["job_id"].to_list()


def held_fields(*cores, nodes=None):
    return {
        "resources_by_type": {"cores": [f"{core}" for core in cores]},
        "assigned_nodes": nodes or sorted({core.partition("/")[0] for core in cores}),
    }


def test_job_tables_of_an_ended_job_have_its_times_and_allocation():
    result = tables_of(records_of(g5k_job(1, name="train")))
    (job,) = result.jobs.collect().to_dicts()
    assert job["started_at"] == datetime(2025, 3, 3, 12, tzinfo=UTC)
    assert job["stopped_at"] == datetime(2025, 3, 3, 13, tzinfo=UTC)
    assert job["submitted_at"] == datetime(2025, 3, 3, 11, 59, tzinfo=UTC)
    assert (job["site"], job["suspensions"], job["types"]) == ("nancy", None, [])
    assert result.allocations.collect().rows() == [(1, "gruss-1", [0, 1], [0], "cores")]
    assert rejected_of(result) == []
    Jobs.validate(result.jobs)
    Allocations.validate(result.allocations)
    RejectedRows.validate(result.rejected)


def test_allocations_of_full_and_short_node_names_are_merged_by_node():
    cores = ["gruss-2/3", "gruss-2/1", "gruss-1.nancy.grid5000.fr/2", "gros-1/0", "gruss-2/1"]
    result = tables_of(records_of(g5k_job(1, **held_fields(*cores))))
    assert result.allocations.collect().rows() == [
        (1, "gros-1", [0], [], "cores"),
        (1, "gruss-1", [2], [1], "cores"),
        (1, "gruss-2", [1, 3], [0, 1], "cores"),
    ]


def test_allocation_without_known_cores_has_all_cores_and_reservable_gpus():
    gpus = {
        "nvidia0": {"cpu_affinity": 0, "reservation": False},
        "nvidia1": {"cpu_affinity": 0},
        "nvidia2": {"cpu_affinity": 1},
    }
    nodes = nodes_table(reference_node("gruss-1", gpu_devices=gpus), reference_node("gros-1"))
    result = tables_of(
        records_of(g5k_job(1, **held_fields(nodes=["gruss-1", "gros-1"]))), nodes=nodes
    )
    assert result.allocations.collect().rows() == [
        (1, "gros-1", [0, 1, 2, 3], [], "whole_node"),
        (1, "gruss-1", [0, 1, 2, 3], [1, 2], "whole_node"),
    ]


def test_allocation_without_known_cores_has_reservable_gpus_without_cores():
    of_cores = pl.Series([[0, 0, None, None]], dtype=NODES.schema["core_gpus"])
    nodes = nodes_table(reference_node("gruss-1", n_gpus=2)).with_columns(core_gpus=of_cores)
    jobs = [
        g5k_job(1, **held_fields(nodes=["gruss-1"])),
        g5k_job(2, **held_fields("gruss-1/0", "gruss-1/3")),
    ]
    assert tables_of(records_of(*jobs), nodes=nodes).allocations.collect().rows() == [
        (1, "gruss-1", [0, 1, 2, 3], [0, 1], "whole_node"),
        (2, "gruss-1", [0, 3], [0], "cores"),
    ]


def test_allocation_uses_the_description_valid_at_the_start_of_the_job():
    since = datetime(2025, 3, 1, tzinfo=UTC)
    until = datetime(2025, 3, 10, tzinfo=UTC)
    nodes = pl.concat(
        nodes_table(description).with_columns(valid_from=pl.lit(start))
        for start, description in [
            (until, reference_node("gruss-1", n_cores=8, n_gpus=4)),  # in no order
            (since, reference_node("gruss-1", n_cores=4, n_gpus=2)),
        ]
    )
    day_s, whole = 86_400, held_fields(nodes=["gruss-1"])
    since_s, until_s = int(since.timestamp()), int(until.timestamp())
    starts = [since_s - day_s, since_s, until_s - 1, until_s, until_s + day_s]
    cases = [
        g5k_job(key, started_at=start, stopped_at=until_s + 2 * day_s, **whole)
        for key, start in enumerate(starts)
    ]
    cases += [
        g5k_job(7, started_at=until_s - 1, stopped_at=until_s, **held_fields("gruss-1/3")),
        g5k_job(
            8, started_at=until_s, stopped_at=until_s + 9, **held_fields("gruss-1/3", "gruss-1/7")
        ),
    ]
    rows = tables_of(records_of(*cases), nodes=nodes).allocations.collect().rows()
    few_cores = ("gruss-1", [0, 1, 2, 3], [0, 1], "whole_node")
    many_cores = ("gruss-1", list(range(8)), [0, 1, 2, 3], "whole_node")
    assert rows[:5] == [(key, *(few_cores if key < 3 else many_cores)) for key in range(5)]
    assert rows[5:] == [
        (7, "gruss-1", [3], [1], "cores"),
        (8, "gruss-1", [3, 7], [2, 3], "cores"),
    ]
    late = g5k_job(9, started_at=until_s - 1, stopped_at=until_s, **held_fields("gruss-1/7"))
    with pytest.raises(InputError, match="job 9 held core 7 of gruss-1"):
        tables_of(records_of(late), nodes=nodes)


def test_allocation_prefers_gpus_listed_by_oar_to_gpus_of_the_cores():
    resources = [
        {
            "id": 1,
            "type": "default",
            "network_address": "gruss-1",
            "cpuset": 0,
            "gpudevice": 1,
            "status": "assigned",
        }
    ]
    job = {
        "id": 1,
        "owner": "someone",
        "state": "Error",
        "start_time": NOON_S,
        "stop_time": NOON_S + 9,
        "resources": resources,
    }
    assert tables_of(records_of(job)).allocations.collect()["gpus"].to_list() == [[1]]


def test_window_selects_started_jobs_by_run_time_and_others_by_submission():
    cases = [
        g5k_job(1, started_at=START_S - 10, stopped_at=START_S),
        g5k_job(2, started_at=START_S - 10, stopped_at=START_S + 1),
        g5k_job(3, started_at=START_S, stopped_at=START_S),
        g5k_job(4, started_at=END_S - 1, stopped_at=END_S + 10),
        g5k_job(5, started_at=END_S, stopped_at=END_S + 10),
        g5k_job(6, started_at=START_S - 10, stopped_at=None, state="running"),
        g5k_job(7, started_at=0, stopped_at=None, state="error", submitted_at=START_S),
        g5k_job(8, started_at=0, stopped_at=None, state="waiting", submitted_at=START_S - 1),
        g5k_job(9, started_at=0, stopped_at=None, state="waiting", submitted_at=END_S),
    ]
    result = tables_of(records_of(*cases))
    assert job_ids(result) == [2, 3, 4, 6, 7]
    assert rejected_of(result) == [("jobs/a.json", "outside the window", 4, "1")]
    assert set(result.allocations.collect()["job_id"]) == {2, 3, 4, 6}


def test_nodes_of_other_clusters_are_rejected_and_counted():
    result = tables_of(
        records_of(
            g5k_job(1, **held_fields("grvingt-1/0")),
            g5k_job(2, **held_fields("grvingt-1/0", "gros-1/0", "grvingt-2/0")),
            g5k_job(3, **held_fields("gros-1/1")),
        )
    )
    assert job_ids(result) == [2, 3]
    assert rejected_of(result) == [
        ("jobs/a.json", "node of another cluster", 2, "2"),
        ("jobs/a.json", "on other clusters only", 1, "1"),
    ]


def test_records_of_moldable_jobs_and_overlapping_pages_are_merged():
    result = tables_of(
        records_of(
            g5k_job(2), g5k_job(1, walltime=60), g5k_job(1, walltime=9000), file="jobs/b.json"
        ),
        records_of(g5k_job(2), file="jobs/a.json"),
    )
    assert job_ids(result) == [1, 2]
    assert result.jobs.collect()["walltime_s"].to_list() == [9000, 7200]
    assert rejected_of(result) == [("jobs/b.json", "repeated", 2, "1")]


def test_merged_job_has_the_fields_of_the_latest_and_fullest_record():
    running = g5k_job(1, state="running", stopped_at=None, exit_code=None, name="train")
    ended = g5k_job(1, **held_fields(nodes=["gruss-1"]))
    short = {"id": 1, "owner": "someone", "state": "Terminated", "submission": NOON_S - 60}
    expected = tables_of(records_of(g5k_job(1, name="train"))).jobs.collect()
    for order in ([running, ended, short], [short, ended, running], [ended, running]):
        result = tables_of(records_of(*order))
        assert_frame_equal(result.jobs.collect(), expected)
        assert result.allocations.collect().rows() == [(1, "gruss-1", [0, 1], [0], "cores")]


@settings(max_examples=30)
@given(order=st.permutations(range(5)))
def test_job_tables_do_not_depend_on_the_order_of_records(order):
    cases = [
        records_of(g5k_job(1, state="running", stopped_at=None), file="jobs/a.json"),
        records_of(g5k_job(1, name="x", types=["exotic"], events=None), file="jobs/b.json"),
        records_of(g5k_job(1, command="y", **held_fields(nodes=["gruss-1"])), file="jobs/c.json"),
        records_of(g5k_job(2), file="jobs/a.json"),
        records_of(g5k_job(2, walltime=5), file="jobs/d.json"),
    ]
    result = tables_of(*(cases[position] for position in order))
    expected = tables_of(*cases)
    for table, reference in zip(result, expected, strict=True):
        assert_frame_equal(table.collect(), reference.collect())


def suspension_logs(*bounds):
    return [{"job_state": "Suspended", "date_start": a, "date_stop": b} for a, b in bounds]


def test_merged_job_has_suspensions_of_the_best_record_with_suspensions():
    interval = {
        "started_at": datetime(2025, 3, 3, 12, 10, tzinfo=UTC),
        "stopped_at": datetime(2025, 3, 3, 12, 20, tzinfo=UTC),
    }
    ended = g5k_job(1, state_logs=suspension_logs((NOON_S + 600, NOON_S + 1200)))
    lasting = suspension_logs((NOON_S + 600, 0))
    running = g5k_job(1, state="running", stopped_at=None, state_logs=lasting)
    without_logs = g5k_job(1, name="train", project=None)
    for order in ([ended, running, without_logs], [without_logs, running, ended]):
        assert tables_of(records_of(*order)).jobs.collect()["suspensions"].to_list() == [[interval]]
    known = tables_of(records_of(without_logs, running)).jobs.collect()["suspensions"].to_list()
    assert known == [[interval | {"stopped_at": None}]]
    assert tables_of(records_of(g5k_job(1, state_logs=[]))).jobs.collect()[
        "suspensions"
    ].to_list() == [[]]


def test_ended_job_without_an_end_is_rejected():
    result = tables_of(records_of(g5k_job(1, stopped_at=None), g5k_job(2)))
    assert job_ids(result) == [2]
    assert rejected_of(result) == [("jobs/a.json", "ended, but no end is recorded", 1, "1")]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            [{"id": 3, "owner": "x", "state": "Terminated", "submission": NOON_S}],
            "jobs/a.json: job 3 is terminated, but no file has the start and end; save",
        ),
        (
            [g5k_job(3, resources_by_type=None, assigned_nodes=None)],
            "jobs/a.json: no file names the nodes of job 3; save /sites/<site>/jobs?resources=yes",
        ),
        (
            [g5k_job(3, **held_fields("gruss-7/0"))],
            "jobs/a.json: job 3 held node gruss-7, which is not described; save",
        ),
        (
            [g5k_job(3, **held_fields("gruss-1/4"))],
            "jobs/a.json: job 3 held core 4 of gruss-1, which its description lacks",
        ),
        (
            [g5k_job(3, **held_fields("gemini-1.lyon.grid5000.fr/0"))],
            "jobs/a.json: job 3 held gemini-1.lyon.grid5000.fr, which is not a node of nancy",
        ),
        (
            [g5k_job(3), g5k_job(3, user="other")],
            "jobs/a.json: job 3 has different owners; keep the files of one site only",
        ),
        (
            [g5k_job(3), g5k_job(3, submitted_at=NOON_S - 50)],
            "jobs/a.json: job 3 has different times of submission; keep",
        ),
        (
            [{**g5k_job(3, resources_by_type=None), "resource_id": [12]}],
            "jobs/a.json: job 3 held resource 12, which no table of resources has; save oarapi",
        ),
    ],
)
def test_unusable_records_of_all_jobs_raise_an_error_with_the_file(case, expected):
    with pytest.raises(InputError) as error:
        tables_of(records_of(*case))
    assert str(error.value).startswith(expected)


def test_faults_of_jobs_outside_the_window_raise_no_error():
    early = {"started_at": START_S - 20, "stopped_at": START_S - 10}
    result = tables_of(
        records_of(
            g5k_job(1, **early, **held_fields("gruss-7/0")),
            g5k_job(2, **early, resources_by_type=None, assigned_nodes=None),
        )
    )
    assert job_ids(result) == []
    assert len(result.allocations.collect()) == 0


def test_many_jobs_unfolded_in_parts_have_the_same_allocations(monkeypatch):
    monkeypatch.setattr(allocation_tables, "JOBS_AT_ONCE", 2)
    cases = [g5k_job(key, **held_fields(f"gruss-1/{key % 4}")) for key in range(7)]
    rows = tables_of(records_of(*cases)).allocations.collect().rows()
    assert rows == [(key, "gruss-1", [key % 4], [key % 4 // 2], "cores") for key in range(7)]


def test_recorded_jobs_of_all_formats_merge_to_the_jobs_of_one_format(shared_data):
    folder = shared_data / "oar"
    table = job_records.parse_resources(
        files.read_documents(folder / "rest" / "resources-details.json")[0], file="resources"
    )
    names = [
        "rest/jobs-details-all-ended.json",
        "rest/jobs-details-limit-page1.json",
        "rest/jobs-from-to.json",
        "oarstat/oarstat-gantt-f-J.json",
        "oarstat/oarstat-f-J.json",
    ]
    frames = {
        name: job_records.parse_jobs(
            files.read_documents(folder / name)[0], file=name, resources=table
        )
        for name in names
    }
    toys = nodes_table(
        reference_node("cpux-1"),
        reference_node("cpux-2"),
        reference_node("gpux-1", n_cores=8, n_gpus=2),
    )
    day = {"start": datetime(2026, 11, 23, tzinfo=UTC), "end": datetime(2026, 11, 24, tzinfo=UTC)}
    together = tables_of(*frames.values(), nodes=toys, **day)
    alone = tables_of(frames[names[0]], nodes=toys, **day)
    # Job 24, a cancelled reservation, is missing in the list of ended jobs and waits in others.
    assert job_ids(together) == list(range(1, 25))
    # Only oarstat lists array indices, and the walltimes of jobs that never started.
    known = together.jobs.collect().filter(pl.col("job_id") != 24)
    only_in_oarstat = ["array_index", "walltime_s"]
    assert_frame_equal(known.drop(only_in_oarstat), alone.jobs.collect().drop(only_in_oarstat))
    assert known["walltime_s"].null_count() == 1  # the held job
    assert_frame_equal(together.allocations.collect(), alone.allocations.collect())
    assert len(alone.allocations.collect()) == 24
    n_rejected = together.rejected.collect()["n_rows"].sum()
    assert n_rejected == sum(map(len, frames.values())) - 24


def reasons_and_job_ids(*changes, **more):
    """Return reasons with counts, and kept jobs, of changed jobs 1, 2, ... and of job 99."""
    cases = [g5k_job(key, **each) for key, each in enumerate(changes, start=1)]
    result = tables_of(records_of(*cases, g5k_job(99), **more))
    return [row[1:] for row in rejected_of(result)], job_ids(result)


MS = 1000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "unheard-of", "stopped_at": None}, "state that OAR does not have, and no end"),
        ({"started_at": 0}, "terminated, but no start is recorded"),
        ({"started_at": NOON_S + 3601}, "ended before it started"),
        (
            {"started_at": NOON_S * MS, "stopped_at": NOON_S * MS + 9},
            "time in milliseconds, or after 2100",
        ),
        ({"submitted_at": NOON_S * MS}, "time in milliseconds, or after 2100"),
        ({"started_at": 86_400}, "time before 2000"),
        ({"started_at": -5}, "time before 2000"),
        ({"stopped_at": NOON_S + 11 * 366 * 86_400}, "ended more than ten years after its start"),
        (
            {"state": "running", "stopped_at": None, "walltime": 0},
            "runs with a walltime of 0, negative or over ten years",
        ),
        (
            {"state": "launching", "stopped_at": None, "walltime": -7200},
            "runs with a walltime of 0, negative or over ten years",
        ),
        (
            {"state": "running", "stopped_at": None, "walltime": 2**52},
            "runs with a walltime of 0, negative or over ten years",
        ),
        ({"state": "running", "stopped_at": None, "walltime": 2**62}, "impossible number"),
        ({"resources_by_type": {}, "assigned_nodes": []}, "held no core of a node"),
        ({"resources_by_type": {"disks": ["sdb.gruss-1"]}}, "held no core of a node"),
        ({"resources_by_type": None, "assigned_nodes": None}, "no file names its nodes"),
    ],
)
def test_unusable_job_is_rejected_with_its_reason(changes, reason):
    assert reasons_and_job_ids(changes) == ([(reason, 1, "1")], [99])


def test_job_without_times_is_rejected_if_other_jobs_have_times():
    short = {"id": 3, "owner": "x", "state": "Terminated", "submission": NOON_S}
    result = tables_of(records_of(g5k_job(1), short))
    assert job_ids(result) == [1]
    assert rejected_of(result) == [("jobs/a.json", "no file has its start and end", 1, "3")]


def test_terminated_job_with_null_start_is_rejected():
    result = tables_of(records_of(g5k_job(1) | {"started_at": None}))
    reason = "terminated, but no start is recorded"
    assert (job_ids(result), rejected_of(result)) == ([], [("jobs/a.json", reason, 1, "1")])


def test_job_with_a_usable_and_a_faulty_record_is_kept():
    result = tables_of(records_of(g5k_job(1, started_at=NOON_S * MS)), records_of(g5k_job(1)))
    assert job_ids(result) == [1]
    assert len(result.allocations.collect()) == 1
    reason = "time in milliseconds, or after 2100"
    assert rejected_of(result) == [("jobs/a.json", reason, 1, "1")]


def test_end_in_an_unknown_state_is_used_and_counted():
    result = tables_of(records_of(g5k_job(1, state="COMPLETED")))
    (job,) = result.jobs.collect().to_dicts()
    assert job["stopped_at"] == datetime(2025, 3, 3, 13, tzinfo=UTC)
    reason = "state that OAR does not have: the recorded end is used"
    assert rejected_of(result) == [("jobs/a.json", reason, 1, "1")]


def test_impossible_walltime_of_an_ended_job_is_null_and_counted():
    walltimes = [0, -1, 2**52, 1, None]
    cases = [g5k_job(key, walltime=each) for key, each in enumerate(walltimes, start=1)]
    result = tables_of(records_of(*cases))
    assert result.jobs.collect()["walltime_s"].to_list() == [None, None, None, 1, None]
    reason = "walltime of 0, negative or over ten years, of a job that ended: unknown"
    assert rejected_of(result) == [("jobs/a.json", reason, 3, "1")]


def test_cancelled_reservation_has_no_start():
    cancelled = g5k_job(1, state="error", started_at=NOON_S + 3600, stopped_at=NOON_S)
    result = tables_of(records_of(cancelled))
    assert result.jobs.collect()["started_at"].to_list() == [None]
    assert rejected_of(result) == []


def test_error_messages_list_all_faulty_jobs_and_nodes():
    undescribed = [
        g5k_job(3, **held_fields("gruss-7/0")),
        g5k_job(4, **held_fields("gruss-8/0", "gruss-7/1")),
    ]
    message = "jobs 3, 4 held nodes gruss-7, gruss-8, which are not described; save"
    with pytest.raises(InputError, match=message):
        tables_of(records_of(*undescribed))
    message = "jobs 3, 4 held cores 4 of gruss-1, 5 of gruss-2, which its description lacks"
    with pytest.raises(InputError, match=message):
        tables_of(
            records_of(
                g5k_job(3, **held_fields("gruss-1/4")), g5k_job(4, **held_fields("gruss-2/5"))
            )
        )
    twice = [g5k_job(key, user=user) for key in (3, 4) for user in ("ash", "elm")]
    with pytest.raises(InputError, match="jobs 3, 4 have different owners; keep"):
        tables_of(records_of(*twice))
    nameless = [g5k_job(key, resources_by_type=None, assigned_nodes=None) for key in (3, 4)]
    with pytest.raises(InputError, match="no file names the nodes of jobs 3, 4; save"):
        tables_of(records_of(*nameless))


@pytest.mark.parametrize(
    ("walltimes", "expected"), [((9000, 5400, 60), 5400), ((60, 3599), None), ((60, 3600), 3600)]
)
def test_moldable_job_has_the_smallest_walltime_not_shorter_than_the_job(walltimes, expected):
    result = tables_of(records_of(*(g5k_job(1, walltime=each) for each in walltimes)))
    assert result.jobs.collect()["walltime_s"].to_list() == [expected]


def test_record_with_a_different_end_is_rejected_with_its_own_reason():
    one, other = g5k_job(1), g5k_job(1, stopped_at=NOON_S + 1800, exit_code=None)
    result = tables_of(records_of(other, one, one))
    assert result.jobs.collect()["stopped_at"].to_list() == [datetime(2025, 3, 3, 13, tzinfo=UTC)]
    assert sorted(rejected_of(result)) == [
        ("jobs/a.json", "repeated", 1, "1"),
        ("jobs/a.json", "two different ends: the end of the fuller record is used", 1, "1"),
    ]


@pytest.mark.parametrize(
    "end",
    [{"stopped_at": NOON_S - 5}, {"stopped_at": (NOON_S + 60) * 1000}, {"stopped_at": "noon"}],
)
def test_running_record_is_rejected_if_the_record_of_the_end_is_rejected(end):
    running = g5k_job(1, state="running", stopped_at=None)
    result = tables_of(
        records_of(running), records_of(g5k_job(1, **end), g5k_job(2), file="jobs/b.json")
    )
    assert job_ids(result) == [2]
    expected = ("jobs/a.json", "ended, but the record of its end is rejected", 1, "1")
    assert expected in rejected_of(result)
    assert len(rejected_of(result)) == 2
    again = tables_of(
        records_of(running, g5k_job(1)), records_of(g5k_job(1, **end), file="jobs/b.json")
    )
    assert job_ids(again) == [1]


def suspension_log(start, stop):
    return {"job_state": "Suspended", "date_start": start, "date_stop": stop}


@pytest.mark.parametrize(
    ("logs", "expected", "reason"),
    [
        ([(60, 120)], [(60, 120)], None),
        ([(-600, -60), (60, 120)], [(60, 120)], "cut"),
        ([(-600, 60)], [(0, 60)], "cut"),
        ([(3000, 7200)], [(3000, 3600)], "cut"),
        ([(4000, 7200)], [], "cut"),
        ([(120, 60), (300, 600)], None, "unknown"),
        ([(300, 60), (100, 600)], None, "unknown"),
    ],
)
def test_suspensions_are_clipped_to_the_job_or_unknown(logs, expected, reason):
    logs = [suspension_log(NOON_S + start, NOON_S + stop) for start, stop in logs]
    result = tables_of(records_of(g5k_job(1, state_logs=logs), g5k_job(2)))
    got = result.jobs.collect()["suspensions"].to_list()[0]
    noon = datetime(2025, 3, 3, 12, tzinfo=UTC)
    if expected is None:
        assert got is None
    else:
        keys = ("started_at", "stopped_at")
        assert [tuple((each[k] - noon).total_seconds() for k in keys) for each in got] == expected
    reasons = {
        "cut": "suspension before the start or after the end of its job: cut there",
        "unknown": "suspension with impossible times: unknown when it was suspended",
    }
    assert [row[1:] for row in rejected_of(result)] == (
        [(reasons[reason], 1, "1")] if reason else []
    )


def test_suspensions_in_milliseconds_are_unknown():
    logs = [suspension_log((NOON_S + 60) * 1000, (NOON_S + 120) * 1000)]
    result = tables_of(records_of(g5k_job(1, state_logs=logs)))
    assert result.jobs.collect()["suspensions"].to_list() == [None]
    assert [row[2] for row in rejected_of(result)] == [1]


def test_running_job_without_walltime_is_rejected_if_later_jobs_held_its_cores():
    endless = {"state": "running", "stopped_at": None, "walltime": None}
    later = {"started_at": NOON_S + 7200, "stopped_at": NOON_S + 9000}
    result = tables_of(records_of(g5k_job(1, **endless), g5k_job(2, **later)))
    assert job_ids(result) == [2]
    assert result.allocations.collect()["job_id"].to_list() == [2]
    reason = "runs without a walltime, and later jobs held its cores"
    assert rejected_of(result) == [("jobs/a.json", reason, 1, "1")]
    alone = g5k_job(2, **later, **held_fields("gruss-1/2", "gruss-2/0"))
    assert job_ids(tables_of(records_of(g5k_job(1, **endless), alone))) == [1, 2]
    inner = g5k_job(2, **later, types=["inner=1"])
    around = g5k_job(1, **endless, types=["container"])
    assert job_ids(tables_of(records_of(around, inner))) == [1, 2]
