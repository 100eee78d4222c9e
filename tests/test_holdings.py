from datetime import UTC, datetime

import polars as pl
import pytest
from answers import NOON, g5k_job, node, nodes_table, page
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint import tables
from footprint.errors import InputError
from footprint.site import files, holdings, oar

START = datetime(2025, 3, 1, tzinfo=UTC)
END = datetime(2025, 4, 1, tzinfo=UTC)
START_S, END_S = int(START.timestamp()), int(END.timestamp())
NODES = nodes_table(node("gruss-1", n_gpus=2), node("gruss-2", n_gpus=2), node("gros-1"))


def records(*jobs, file="jobs/a.json"):
    return oar.parse_jobs(page(*jobs), file=file, resources={})


def found(*frames, nodes=NODES, start=START, end=END):
    return holdings.job_records(pl.concat(frames), nodes=nodes, site="nancy", start=start, end=end)


def aside(result):
    return result.set_aside.select("source", "reason", "n_rows", "example").collect().rows()


def jobs(result):
    return result.jobs.collect()["job_id"].to_list()


def held(*cores, nodes=None):
    return {
        "resources_by_type": {"cores": [f"{core}" for core in cores]},
        "assigned_nodes": nodes or sorted({core.partition("/")[0] for core in cores}),
    }


def test_a_job_and_what_it_held():
    result = found(records(g5k_job(1, name="train")))
    (job,) = result.jobs.collect().to_dicts()
    assert job["started_at"] == datetime(2025, 3, 3, 12, tzinfo=UTC)
    assert job["stopped_at"] == datetime(2025, 3, 3, 13, tzinfo=UTC)
    assert job["submitted_at"] == datetime(2025, 3, 3, 11, 59, tzinfo=UTC)
    assert (job["site"], job["suspensions"], job["types"]) == ("nancy", None, [])
    assert result.allocations.collect().rows() == [(1, "gruss-1", [0, 1], [0], "cores")]
    assert aside(result) == []
    tables.Jobs.validate(result.jobs)
    tables.Allocations.validate(result.allocations)
    tables.SetAside.validate(result.set_aside)


def test_cores_of_several_nodes_and_gpus_in_full_and_short_names():
    cores = ["gruss-2/3", "gruss-2/1", "gruss-1.nancy.grid5000.fr/2", "gros-1/0", "gruss-2/1"]
    result = found(records(g5k_job(1, **held(*cores))))
    assert result.allocations.collect().rows() == [
        (1, "gros-1", [0], [], "cores"),
        (1, "gruss-1", [2], [1], "cores"),
        (1, "gruss-2", [1, 3], [0, 1], "cores"),
    ]


def test_a_node_without_known_cores_was_held_whole_with_its_reservable_gpus():
    gpus = {
        "nvidia0": {"cpu_affinity": 0, "reservation": False},
        "nvidia1": {"cpu_affinity": 0},
        "nvidia2": {"cpu_affinity": 1},
    }
    nodes = nodes_table(node("gruss-1", gpu_devices=gpus), node("gros-1"))
    result = found(records(g5k_job(1, **held(nodes=["gruss-1", "gros-1"]))), nodes=nodes)
    assert result.allocations.collect().rows() == [
        (1, "gros-1", [0, 1, 2, 3], [], "whole_node"),
        (1, "gruss-1", [0, 1, 2, 3], [1, 2], "whole_node"),
    ]


def test_a_job_is_matched_with_the_hardware_of_its_start():
    since = datetime(2025, 3, 1, tzinfo=UTC)
    until = datetime(2025, 3, 10, tzinfo=UTC)
    nodes = pl.concat(
        nodes_table(description).with_columns(valid_from=pl.lit(start))
        for start, description in [
            (until, node("gruss-1", n_cores=8, n_gpus=4)),  # in no order
            (since, node("gruss-1", n_cores=4, n_gpus=2)),
        ]
    )
    day_s, whole = 86_400, held(nodes=["gruss-1"])
    since_s, until_s = int(since.timestamp()), int(until.timestamp())
    starts = [since_s - day_s, since_s, until_s - 1, until_s, until_s + day_s]
    cases = [
        g5k_job(key, started_at=start, stopped_at=until_s + 2 * day_s, **whole)
        for key, start in enumerate(starts)
    ]
    cases += [
        g5k_job(7, started_at=until_s - 1, stopped_at=until_s, **held("gruss-1/3")),
        g5k_job(8, started_at=until_s, stopped_at=until_s + 9, **held("gruss-1/3", "gruss-1/7")),
    ]
    rows = found(records(*cases), nodes=nodes).allocations.collect().rows()
    few = ("gruss-1", [0, 1, 2, 3], [0, 1], "whole_node")
    many = ("gruss-1", list(range(8)), [0, 1, 2, 3], "whole_node")
    assert rows[:5] == [(key, *(few if key < 3 else many)) for key in range(5)]
    assert rows[5:] == [
        (7, "gruss-1", [3], [1], "cores"),
        (8, "gruss-1", [3, 7], [2, 3], "cores"),
    ]
    late = g5k_job(9, started_at=until_s - 1, stopped_at=until_s, **held("gruss-1/7"))
    with pytest.raises(InputError, match="job 9 held core 7 of gruss-1"):
        found(records(late), nodes=nodes)


def test_gpus_that_oar_tells_win_over_the_rule():
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
        "start_time": NOON,
        "stop_time": NOON + 9,
        "resources": resources,
    }
    assert found(records(job)).allocations.collect()["gpus"].to_list() == [[1]]


def test_the_window_decides_by_what_was_held_else_by_submission():
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
    result = found(records(*cases))
    assert jobs(result) == [2, 3, 4, 6, 7]
    assert aside(result) == [("jobs/a.json", "outside the window", 4, "1")]
    assert set(result.allocations.collect()["job_id"]) == {2, 3, 4, 6}


def test_jobs_of_other_clusters_are_counted():
    result = found(
        records(
            g5k_job(1, **held("grvingt-1/0")),
            g5k_job(2, **held("grvingt-1/0", "gros-1/0", "grvingt-2/0")),
            g5k_job(3, **held("gros-1/1")),
        )
    )
    assert jobs(result) == [2, 3]
    assert aside(result) == [
        ("jobs/a.json", "node of another cluster", 2, "2"),
        ("jobs/a.json", "on other clusters only", 1, "1"),
    ]


def test_moldable_jobs_and_overlapping_pages_are_merged():
    result = found(
        records(g5k_job(2), g5k_job(1, walltime=60), g5k_job(1, walltime=9000), file="jobs/b.json"),
        records(g5k_job(2), file="jobs/a.json"),
    )
    assert jobs(result) == [1, 2]
    assert result.jobs.collect()["walltime_s"].to_list() == [9000, 7200]
    assert aside(result) == [("jobs/b.json", "repeated", 2, "1")]


def test_the_latest_and_fullest_record_wins():
    running = g5k_job(1, state="running", stopped_at=None, exit_code=None, name="train")
    ended = g5k_job(1, **held(nodes=["gruss-1"]))
    short = {"id": 1, "owner": "someone", "state": "Terminated", "submission": NOON - 60}
    expected = found(records(g5k_job(1, name="train"))).jobs.collect()
    for order in ([running, ended, short], [short, ended, running], [ended, running]):
        result = found(records(*order))
        assert_frame_equal(result.jobs.collect(), expected)
        assert result.allocations.collect().rows() == [(1, "gruss-1", [0, 1], [0], "cores")]


@settings(max_examples=30)
@given(order=st.permutations(range(5)))
def test_the_order_of_the_records_does_not_matter(order):
    cases = [
        records(g5k_job(1, state="running", stopped_at=None), file="jobs/a.json"),
        records(g5k_job(1, name="x", types=["exotic"], events=None), file="jobs/b.json"),
        records(g5k_job(1, command="y", **held(nodes=["gruss-1"])), file="jobs/c.json"),
        records(g5k_job(2), file="jobs/a.json"),
        records(g5k_job(2, walltime=5), file="jobs/d.json"),
    ]
    result = found(*(cases[position] for position in order))
    expected = found(*cases)
    for table, reference in zip(result, expected, strict=True):
        assert_frame_equal(table.collect(), reference.collect())


def suspended(*bounds):
    return [{"job_state": "Suspended", "date_start": a, "date_stop": b} for a, b in bounds]


def test_suspensions_come_from_the_best_record_that_tells_them():
    spell = {
        "started_at": datetime(2025, 3, 3, 12, 10, tzinfo=UTC),
        "stopped_at": datetime(2025, 3, 3, 12, 20, tzinfo=UTC),
    }
    ended = g5k_job(1, state_logs=suspended((NOON + 600, NOON + 1200)))
    still = suspended((NOON + 600, 0))
    running = g5k_job(1, state="running", stopped_at=None, state_logs=still)
    silent = g5k_job(1, name="train", project=None)
    for order in ([ended, running, silent], [silent, running, ended]):
        assert found(records(*order)).jobs.collect()["suspensions"].to_list() == [[spell]]
    known = found(records(silent, running)).jobs.collect()["suspensions"].to_list()
    assert known == [[spell | {"stopped_at": None}]]
    assert found(records(g5k_job(1, state_logs=[]))).jobs.collect()["suspensions"].to_list() == [[]]


def test_an_ended_job_without_an_end_is_counted():
    result = found(records(g5k_job(1, stopped_at=None), g5k_job(2)))
    assert jobs(result) == [2]
    assert aside(result) == [("jobs/a.json", "ended, but no end is recorded", 1, "1")]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            [{"id": 3, "owner": "x", "state": "Terminated", "submission": NOON}],
            "jobs/a.json: job 3 is terminated, but no file says when it ran; save",
        ),
        (
            [g5k_job(3, resources_by_type=None, assigned_nodes=None)],
            "jobs/a.json: no file names the nodes of job 3; save /sites/<site>/jobs?resources=yes",
        ),
        (
            [g5k_job(3, **held("gruss-7/0"))],
            "jobs/a.json: job 3 held node gruss-7, which is not described; save",
        ),
        (
            [g5k_job(3, **held("gruss-1/4"))],
            "jobs/a.json: job 3 held core 4 of gruss-1, which its description lacks",
        ),
        (
            [g5k_job(3, **held("gemini-1.lyon.grid5000.fr/0"))],
            "jobs/a.json: job 3 held gemini-1.lyon.grid5000.fr, which is not a node of nancy",
        ),
        (
            [g5k_job(3), g5k_job(3, user="other")],
            "jobs/a.json: job 3 has different owners; keep the files of one site only",
        ),
        (
            [g5k_job(3), g5k_job(3, submitted_at=NOON - 50)],
            "jobs/a.json: job 3 has different times of submission; keep",
        ),
        (
            [{**g5k_job(3, resources_by_type=None), "resource_id": [12]}],
            "jobs/a.json: job 3 held resource 12, which no table of resources has; save oarapi",
        ),
    ],
)
def test_what_cannot_be_accounted_for_is_refused(case, expected):
    with pytest.raises(InputError) as error:
        found(records(*case))
    assert str(error.value).startswith(expected)


def test_faults_outside_the_window_do_no_harm():
    early = {"started_at": START_S - 20, "stopped_at": START_S - 10}
    result = found(
        records(
            g5k_job(1, **early, **held("gruss-7/0")),
            g5k_job(2, **early, resources_by_type=None, assigned_nodes=None),
        )
    )
    assert jobs(result) == []
    assert len(result.allocations.collect()) == 0


def test_many_jobs_are_unfolded_in_parts(monkeypatch):
    monkeypatch.setattr(holdings, "JOBS_AT_ONCE", 2)
    cases = [g5k_job(key, **held(f"gruss-1/{key % 4}")) for key in range(7)]
    rows = found(records(*cases)).allocations.collect().rows()
    assert rows == [(key, "gruss-1", [key % 4], [key % 4 // 2], "cores") for key in range(7)]


def test_the_recorded_jobs_of_all_sources_together(shared_data):
    folder = shared_data / "oar"
    table = oar.parse_resources(
        files.documents(folder / "rest" / "resources-details.json")[0], file="resources"
    )
    names = [
        "rest/jobs-details-all-ended.json",
        "rest/jobs-details-limit-page1.json",
        "rest/jobs-from-to.json",
        "oarstat/oarstat-gantt-f-J.json",
        "oarstat/oarstat-f-J.json",
    ]
    frames = {
        name: oar.parse_jobs(files.documents(folder / name)[0], file=name, resources=table)
        for name in names
    }
    toys = nodes_table(node("cpux-1"), node("cpux-2"), node("gpux-1", n_cores=8, n_gpus=2))
    day = {"start": datetime(2026, 11, 23, tzinfo=UTC), "end": datetime(2026, 11, 24, tzinfo=UTC)}
    together = found(*frames.values(), nodes=toys, **day)
    alone = found(frames[names[0]], nodes=toys, **day)
    # The reservation, job 24, was cancelled: the list of ended jobs lacks it, others saw it wait.
    assert jobs(together) == list(range(1, 25))
    # Only oarstat tells array indices, and the walltimes of jobs that never started.
    known = together.jobs.collect().filter(pl.col("job_id") != 24)
    told_elsewhere = ["array_index", "walltime_s"]
    assert_frame_equal(known.drop(told_elsewhere), alone.jobs.collect().drop(told_elsewhere))
    assert known["walltime_s"].null_count() == 1  # the held job
    assert_frame_equal(together.allocations.collect(), alone.allocations.collect())
    assert len(alone.allocations.collect()) == 24
    n_set_aside = together.set_aside.collect()["n_rows"].sum()
    assert n_set_aside == sum(map(len, frames.values())) - 24


def rejected(*changes, **more):
    """Reasons and counts of the records of jobs 1, 2, ... with these changes, beside job 99."""
    cases = [g5k_job(key, **each) for key, each in enumerate(changes, start=1)]
    result = found(records(*cases, g5k_job(99), **more))
    return [row[1:] for row in aside(result)], jobs(result)


MS = 1000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "unheard-of", "stopped_at": None}, "state that OAR does not have, and no end"),
        ({"started_at": 0}, "terminated, but no start is recorded"),
        ({"started_at": NOON + 3601}, "ended before it started"),
        (
            {"started_at": NOON * MS, "stopped_at": NOON * MS + 9},
            "time in milliseconds, or after 2100",
        ),
        ({"submitted_at": NOON * MS}, "time in milliseconds, or after 2100"),
        ({"started_at": 86_400}, "time before 2000"),
        ({"started_at": -5}, "time before 2000"),
        ({"stopped_at": NOON + 11 * 366 * 86_400}, "ended more than ten years after its start"),
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
        ({"state": "running", "stopped_at": None, "walltime": 2**62}, "a number that cannot be"),
        ({"resources_by_type": {}, "assigned_nodes": []}, "held no core of a node"),
        ({"resources_by_type": {"disks": ["sdb.gruss-1"]}}, "held no core of a node"),
        ({"resources_by_type": None, "assigned_nodes": None}, "no file names its nodes"),
    ],
)
def test_a_job_that_cannot_be_used_is_rejected_and_counted(changes, reason):
    assert rejected(changes) == ([(reason, 1, "1")], [99])


def test_a_job_without_times_is_rejected_where_others_have_them():
    short = {"id": 3, "owner": "x", "state": "Terminated", "submission": NOON}
    result = found(records(g5k_job(1), short))
    assert jobs(result) == [1]
    assert aside(result) == [("jobs/a.json", "no file says when it ran", 1, "3")]


def test_a_start_of_null_is_no_start():
    result = found(records(g5k_job(1) | {"started_at": None}))
    reason = "terminated, but no start is recorded"
    assert (jobs(result), aside(result)) == ([], [("jobs/a.json", reason, 1, "1")])


def test_a_good_record_of_a_job_wins_over_one_with_a_fault():
    result = found(records(g5k_job(1, started_at=NOON * MS)), records(g5k_job(1)))
    assert jobs(result) == [1]
    assert len(result.allocations.collect()) == 1
    reason = "time in milliseconds, or after 2100"
    assert aside(result) == [("jobs/a.json", reason, 1, "1")]


def test_an_end_in_an_unknown_state_is_used_and_counted():
    result = found(records(g5k_job(1, state="COMPLETED")))
    (job,) = result.jobs.collect().to_dicts()
    assert job["stopped_at"] == datetime(2025, 3, 3, 13, tzinfo=UTC)
    reason = "state that OAR does not have: the recorded end is used"
    assert aside(result) == [("jobs/a.json", reason, 1, "1")]


def test_an_impossible_walltime_of_an_ended_job_is_unknown_and_counted():
    walltimes = [0, -1, 2**52, 1, None]
    cases = [g5k_job(key, walltime=each) for key, each in enumerate(walltimes, start=1)]
    result = found(records(*cases))
    assert result.jobs.collect()["walltime_s"].to_list() == [None, None, None, 1, None]
    reason = "walltime of 0, negative or over ten years, of a job that ended: unknown"
    assert aside(result) == [("jobs/a.json", reason, 3, "1")]


def test_a_cancelled_reservation_never_started():
    cancelled = g5k_job(1, state="error", started_at=NOON + 3600, stopped_at=NOON)
    result = found(records(cancelled))
    assert result.jobs.collect()["started_at"].to_list() == [None]
    assert aside(result) == []


def test_all_jobs_and_nodes_at_fault_are_listed_at_once():
    strangers = [g5k_job(3, **held("gruss-7/0")), g5k_job(4, **held("gruss-8/0", "gruss-7/1"))]
    told = "jobs 3, 4 held nodes gruss-7, gruss-8, which are not described; save"
    with pytest.raises(InputError, match=told):
        found(records(*strangers))
    told = "jobs 3, 4 held cores 4 of gruss-1, 5 of gruss-2, which its description lacks"
    with pytest.raises(InputError, match=told):
        found(records(g5k_job(3, **held("gruss-1/4")), g5k_job(4, **held("gruss-2/5"))))
    twice = [g5k_job(key, user=user) for key in (3, 4) for user in ("ash", "elm")]
    with pytest.raises(InputError, match="jobs 3, 4 have different owners; keep"):
        found(records(*twice))
    nameless = [g5k_job(key, resources_by_type=None, assigned_nodes=None) for key in (3, 4)]
    with pytest.raises(InputError, match="no file names the nodes of jobs 3, 4; save"):
        found(records(*nameless))


@pytest.mark.parametrize(
    ("walltimes", "expected"), [((9000, 5400, 60), 5400), ((60, 3599), None), ((60, 3600), 3600)]
)
def test_moldable_job_has_the_smallest_walltime_that_it_fits_into(walltimes, expected):
    result = found(records(*(g5k_job(1, walltime=each) for each in walltimes)))
    assert result.jobs.collect()["walltime_s"].to_list() == [expected]


def test_two_ends_of_one_job_have_a_reason_of_their_own():
    one, other = g5k_job(1), g5k_job(1, stopped_at=NOON + 1800, exit_code=None)
    result = found(records(other, one, one))
    assert result.jobs.collect()["stopped_at"].to_list() == [datetime(2025, 3, 3, 13, tzinfo=UTC)]
    assert sorted(aside(result)) == [
        ("jobs/a.json", "repeated", 1, "1"),
        ("jobs/a.json", "two different ends: that of the fuller record is used", 1, "1"),
    ]


@pytest.mark.parametrize(
    "end", [{"stopped_at": NOON - 5}, {"stopped_at": (NOON + 60) * 1000}, {"stopped_at": "noon"}]
)
def test_a_rejected_end_does_not_revive_a_running_record(end):
    running = g5k_job(1, state="running", stopped_at=None)
    result = found(records(running), records(g5k_job(1, **end), g5k_job(2), file="jobs/b.json"))
    assert jobs(result) == [2]
    expected = ("jobs/a.json", "ended, but the record of its end is rejected", 1, "1")
    assert expected in aside(result)
    assert len(aside(result)) == 2
    again = found(records(running, g5k_job(1)), records(g5k_job(1, **end), file="jobs/b.json"))
    assert jobs(again) == [1]


def spell(start, stop):
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
def test_suspensions_lie_within_their_job_or_are_unknown(logs, expected, reason):
    logs = [spell(NOON + start, NOON + stop) for start, stop in logs]
    result = found(records(g5k_job(1, state_logs=logs), g5k_job(2)))
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
    assert [row[1:] for row in aside(result)] == ([(reasons[reason], 1, "1")] if reason else [])


def test_suspensions_in_milliseconds_are_unknown():
    logs = [spell((NOON + 60) * 1000, (NOON + 120) * 1000)]
    result = found(records(g5k_job(1, state_logs=logs)))
    assert result.jobs.collect()["suspensions"].to_list() == [None]
    assert [row[2] for row in aside(result)] == [1]


def test_a_running_job_without_a_walltime_has_ended_where_later_jobs_held_its_cores():
    endless = {"state": "running", "stopped_at": None, "walltime": None}
    later = {"started_at": NOON + 7200, "stopped_at": NOON + 9000}
    result = found(records(g5k_job(1, **endless), g5k_job(2, **later)))
    assert jobs(result) == [2]
    assert result.allocations.collect()["job_id"].to_list() == [2]
    reason = "runs without a walltime, and later jobs held its cores"
    assert aside(result) == [("jobs/a.json", reason, 1, "1")]
    alone = g5k_job(2, **later, **held("gruss-1/2", "gruss-2/0"))
    assert jobs(found(records(g5k_job(1, **endless), alone))) == [1, 2]
    inner = g5k_job(2, **later, types=["inner=1"])
    around = g5k_job(1, **endless, types=["container"])
    assert jobs(found(records(around, inner))) == [1, 2]
