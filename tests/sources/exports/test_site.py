"""Site of a folder of exports: nodes, jobs, rejected rows and states."""

import json
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes, States
from footprint.sources.exports.site import ExportedSite
from footprint.sources.registry import open_site
from tests.support.api_answers import NOON_S, collection_page, g5k_job, save_json
from tests.support.small_exports import DAY, METRIC, exported_site, seconds_after_noon


def test_open_site_opens_the_folder_of_the_configuration(folder):
    found = open_site({"kind": "exports", "directory": str(folder)}, site="nancy")
    assert found.nodes().collect()["node"].to_list() == ["gros-1", "gruss-1", "gruss-2"]
    Nodes.validate(found.nodes())
    source = {"kind": "exports", "directory": str(folder)}
    assert open_site(source, site="nancy", converted=folder / "c").converted == folder / "c"
    with pytest.raises(InputError, match=r"nowhere: there is no such folder; set source.directory"):
        open_site(source | {"directory": "nowhere"}, site="nancy")


def test_jobs_of_several_files_and_formats_are_one_table(folder):
    running = {
        "Job_Id": 2,
        "owner": "someone",
        "state": "Running",
        "startTime": NOON_S,
        "assigned_resources": [5, 6],
        "assigned_network_address": ["gros-1.nancy.grid5000.fr"],
    }
    save_json(folder / "jobs" / "oarstat.json", {"2": running})
    (folder / "jobs" / "nothing.json").touch()
    again = json.dumps(collection_page(g5k_job(1))).encode()
    (folder / "jobs" / "page2.json.zst").write_bytes(pa.compress(again, codec="zstd", asbytes=True))
    with pytest.raises(
        InputError, match=r"jobs/oarstat.json: job 2 held resource 5, which no table"
    ):
        exported_site(folder).jobs(**DAY)
    core = {"type": "default", "network_address": "gros-1.nancy.grid5000.fr", "gpudevice": None}
    table = collection_page({"id": 5, "cpuset": 2, **core}, {"id": 6, "cpuset": 3, **core})
    save_json(folder / "resources" / "a.json", table)
    found = exported_site(folder).jobs(**DAY)
    assert found.jobs.collect()["job_id"].to_list() == [1, 2]
    assert found.allocations.collect().rows() == [
        (1, "gruss-1", [0, 1], [0], "cores"),
        (2, "gros-1", [2, 3], [], "cores"),
    ]
    assert found.rejected.collect().rows() == [
        ("jobs", "jobs/nothing.json", "empty file", 0, None),
        ("jobs", "jobs/page2.json.zst", "repeated", 1, "1"),
    ]
    save_json(folder / "resources" / "b.json", collection_page({"id": 5, "cpuset": 1, **core}))
    with pytest.raises(
        InputError,
        match=r"resources/b.json: resource 5 differs from the same resource in another file",
    ):
        exported_site(folder).jobs(**DAY)


def test_jobs_of_a_truncated_file_are_refused_with_the_line(folder):
    path = save_json(folder / "jobs" / "b.json", collection_page(g5k_job(1)))
    text = json.dumps(collection_page(g5k_job(1)), indent=1)
    path.write_text(text[: len(text) // 2])
    lines = text[: len(text) // 2].count("\n") + 1
    with pytest.raises(InputError, match=rf"jobs/b.json:{lines}: the JSON breaks off here"):
        exported_site(folder).jobs(**DAY)
    path.write_text("<html>\n")
    with pytest.raises(InputError, match=r"jobs/b.json:1: this is not JSON .*: <html>"):
        exported_site(folder).jobs(**DAY)


def test_states_are_read_from_csv_and_json(folder):
    assert exported_site(folder).states(**DAY) is None
    (folder / "states").mkdir()
    (folder / "states" / "a.csv").write_text(
        "node,state,from,to\n"
        "gruss-1.nancy.grid5000.fr,Absent,2025-03-03T13:00:00+01:00,1741003260\n"
        "gruss-1,dead,2025-03-01T00:00:00Z,2025-03-02T00:00:00Z\n"
        "gros-1,Maintenance,1741003200,\n"
        "gros-1,Maintenance,1741003200,0\n"
        "grvingt-1,standby,2025-03-02T00:00:00Z,2025-03-05T00:00:00Z\n"
    )
    lasting = {"node": "gruss-2", "state": "Suspected", "from": NOON_S, "to": None}
    save_json(folder / "states" / "b.json", [lasting, {**lasting, "from": str(NOON_S + 5)}])
    found = exported_site(folder).states(**DAY).collect()
    States.validate(found)
    minute = datetime(2025, 3, 3, 12, 1, tzinfo=UTC)
    start, end = datetime(2025, 3, 2, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC)
    assert found.select("node", "started_at", "stopped_at", "state").rows() == [
        ("gros-1", seconds_after_noon(0), None, "maintenance"),
        ("gruss-1", seconds_after_noon(0), minute, "absent"),
        ("gruss-2", seconds_after_noon(0), None, "suspected"),
        ("gruss-2", seconds_after_noon(5), None, "suspected"),
        ("grvingt-1", start, end, "standby"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node,from,to\n", "states/a.csv:1: no column state; states need the columns node,"),
        ("node,state,from,to\ngros-1,broken,1741003200,\n", "states/a.csv:2: state 'broken' of"),
        (
            "node,state,from,to\n\ngros-1,dead,2025-03-03T00:00:00,\n",
            "states/a.csv:3: cannot read the time '2025-03-03T00:00:00'; a time needs an offset",
        ),
        (
            "node,state,from,to\ngros-1,dead,1741003200,1741003100\n",
            "states/a.csv:2: the state ends before it starts",
        ),
        ("[1]", "states/a.csv, item 1: 1 is not an object"),
    ],
)
def test_states_that_cannot_be_read_are_rejected_with_the_line(folder, caplog, text, expected):
    (folder / "states").mkdir()
    (folder / "states" / "a.csv").write_text(text)
    site = exported_site(folder)
    assert site.states(**DAY) is None
    assert caplog.messages[0].startswith(expected)
    (row,) = site.jobs(**DAY).rejected.filter(stage="states").collect().to_dicts()
    assert (row["source"], row["n_rows"]) == ("states/a.csv", 1)
    assert row["reason"] in caplog.messages[0]


def test_recordings_of_gemini_are_read_completely(shared_data, tmp_path):
    gemini = ExportedSite(shared_data / "gemini-2022-11", site="lyon", converted=tmp_path)
    window = {
        "start": datetime(2022, 11, 7, tzinfo=UTC),
        "end": datetime(2022, 11, 9, tzinfo=UTC),
    }
    found = gemini.jobs(**window)
    assert len(found.jobs.collect()) == 152
    assert len(found.rejected.collect()) == 0
    allocations = found.allocations.collect()
    assert len(allocations) == 152
    assert set(allocations["cores"].list.len()) == {40}
    assert allocations["gpus"].unique().to_list() == [list(range(8))]
    for metric, n_samples, other in (
        (METRIC, 4297, 21492),
        ("wattmetre_power_watt", 21492, 4297),
    ):
        rejected = gemini.convert_power(metric=metric, directory=tmp_path)
        assert rejected.select("reason", "n_rows").rows() == [("other metric", other)]
        (power,) = gemini.power(metric=metric, cluster="gemini", **window)
        assert len(power) == n_samples
        assert power["power_w"].is_not_nan().all()
        assert power.schema == pl.Schema(
            {"node": pl.String, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64}
        )


def listing(total, *jobs, address=None):
    links = [{"rel": "self", "href": address}] if address else []
    return collection_page(*jobs) | {"total": total, "links": links}


def not_listed(folder, *documents):
    for path in (folder / "jobs").iterdir():
        path.unlink()
    for number, document in enumerate(documents):
        save_json(folder / "jobs" / f"{number}.json", document)
    rows = exported_site(folder).jobs(**DAY).rejected.collect()
    reason = 'counted in "total" of the answer, but listed in no file'
    return rows.filter(pl.col("reason") == reason).select("source", "n_rows").rows()


def test_jobs_counted_in_a_page_but_in_no_file_are_rejected_rows(folder):
    three = [g5k_job(key) for key in (1, 2, 3)]
    assert not_listed(folder, listing(400, *three)) == [("jobs/0.json", 397)]
    assert not_listed(folder, listing("400", *three)) == [("jobs/0.json", 397)]
    for unknown in (None, True, -1, "many", 2.5):
        assert not_listed(folder, listing(unknown, *three)) == []
    assert not_listed(folder, listing(3, *three)) == []
    assert not_listed(folder, listing(3, *three[:2]), listing(3, *three[1:])) == []


def test_listings_are_distinguished_by_their_address_without_paging(folder):
    day, jobs = "/oarapi/jobs/details.json?from=1&to=2", [g5k_job(key) for key in (1, 2)]
    other = "/oarapi/jobs/details.json?from=2&to=3"
    first = listing(2, jobs[0], address=f"{day}&limit=1&offset=0")
    assert not_listed(folder, first, listing(2, jobs[1], address=f"{day}&limit=1&offset=1")) == []
    apart = listing(2, jobs[1], address=f"{other}&limit=1&offset=0")
    assert not_listed(folder, first, apart) == [("jobs/0.json", 1), ("jobs/1.json", 1)]


def test_list_from_the_newest_job_to_before_the_study_is_complete(folder):
    early = int(DAY["start"].timestamp()) - 1
    old = g5k_job(1, submitted_at=early, started_at=early, stopped_at=NOON_S)
    assert not_listed(folder, listing(2_000_000, g5k_job(2), old)) == []
    # a job before the study that is not last in the list does not end the list
    assert not_listed(folder, listing(400, old, g5k_job(2), g5k_job(3))) == [("jobs/0.json", 397)]
    pages = [
        listing(6, g5k_job(6), g5k_job(5)) | {"offset": "0"},
        listing(6, g5k_job(4), g5k_job(3)) | {"offset": 2},
        listing(6, g5k_job(2), old) | {"offset": 4},
    ]
    assert not_listed(folder, *pages) == []
    assert not_listed(folder, pages[0], pages[2]) == [("jobs/0.json", 2)]
    back = [each | {"total": 600} for each in pages]
    assert not_listed(folder, *reversed(back)) == []
    assert not_listed(folder, back[2], back[0]) == [("jobs/0.json", 596)]
    assert not_listed(folder, back[1], back[2]) == [("jobs/0.json", 596)]
    by_date = {
        "id": 1,
        "owner": "x",
        "state": "Terminated",
        "submission_time": early,
        "start_time": early,
        "stop_time": NOON_S,
        "nodes": [{"network_address": "gruss-1"}],
    }
    assert not_listed(folder, listing(2, by_date)) == [("jobs/0.json", 1)]
