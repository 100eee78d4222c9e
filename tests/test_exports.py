import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import zstandard
from answers import NOON, g5k_job, node, page, save

from footprint import tables
from footprint.errors import InputError
from footprint.site import converted, files, files_of, folders, open_site
from footprint.site.exports import ExportedSite

METRIC = "bmc_node_power_watt"
DAY = {
    "start": datetime(2025, 3, 3, tzinfo=UTC),
    "end": datetime(2025, 3, 4, tzinfo=UTC),
}


def sample(device, second, value=100, metric=METRIC):
    return {
        "timestamp": f"2025-03-03T13:00:{second:02d}+01:00",
        "device_id": device,
        "metric_id": metric,
        "value": value,
        "labels": {},
    }


@pytest.fixture
def folder(tmp_path):
    """Exports of two clusters with a job and some samples."""
    gruss = page(node("gruss-1", n_gpus=2), node("gruss-2", n_gpus=2))
    save(tmp_path / "nodes" / "gruss.json", gruss)
    save(tmp_path / "nodes" / "gros.json", page(node("gros-1")))
    save(tmp_path / "jobs" / "page.json", page(g5k_job(1)))
    save(tmp_path / "power" / "a.json", [sample("gruss-2", 10), sample("gruss-1", 5)])
    return tmp_path


def site(folder):
    return ExportedSite(folder, site="nancy", converted=folder / "converted")


def convert(folder, metric=METRIC):
    return site(folder).convert_power(metric=metric, directory=folder / "converted")


def readings(folder, cluster="gruss", metric=METRIC, **window):
    frames = site(folder).power(metric=metric, cluster=cluster, **(DAY | window))
    return [frame.rows() for frame in frames]


def second(number):
    return datetime(2025, 3, 3, 12, 0, number, tzinfo=UTC)


def test_the_configuration_opens_a_folder(folder):
    found = open_site({"kind": "exports", "directory": str(folder)}, site="nancy")
    assert found.nodes().collect()["node"].to_list() == ["gros-1", "gruss-1", "gruss-2"]
    tables.Nodes.validate(found.nodes())
    source = {"kind": "exports", "directory": str(folder)}
    assert open_site(source, site="nancy", converted=folder / "c").converted == folder / "c"
    with pytest.raises(InputError, match=r"nowhere: there is no such folder; set source.directory"):
        open_site(source | {"directory": "nowhere"}, site="nancy")


def test_files_are_listed_by_name_without_hidden_ones(folder):
    save(folder / "jobs" / "a.json", page())
    (folder / "jobs" / ".hidden").touch()
    (folder / "jobs" / ".git").mkdir()
    (folder / "jobs" / ".gone").symlink_to("nowhere")
    (folder / "nodes" / "gone.md").symlink_to("nowhere")
    (folder / "nodes" / "README.md").touch()
    (folder / "nodes" / "z.json.gz").write_bytes(gzip.compress(b'{"items": []}'))
    assert [path.name for path in folders.job_files(folder)] == ["a.json", "page.json"]
    assert [path.name for path in folders.node_files(folder)] == [
        "gros.json",
        "gruss.json",
        "z.json.gz",
    ]
    assert folders.resource_files(folder) == []
    assert folders.state_files(folder) == []


@pytest.mark.parametrize("name", ["nodes", "jobs", "power", "resources", "devices", "states"])
def test_entries_that_cannot_be_read_are_refused(folder, monkeypatch, name):
    source = {"kind": "exports", "directory": str(folder)}
    entry = folder / name / "x.json"
    entry.parent.mkdir(exist_ok=True)
    entry.symlink_to(folder / "nowhere.json")
    told = rf"/{name}/x.json: a link to a file that is not there; restore it or remove it$"
    with pytest.raises(InputError, match=told):
        files_of(source)
    entry.unlink()
    os.mkfifo(entry)
    with pytest.raises(InputError, match=rf"/{name}/x.json: neither a file nor a folder"):
        files_of(source)
    entry.unlink()
    (folder / name / "deeper").mkdir()
    told = rf"/{name}/deeper: a subfolder, which is not read; move its files up into {name}/$"
    with pytest.raises(InputError, match=told):
        files_of(source)
    (folder / name / "deeper").rmdir()
    entry.touch()
    files_of(source)
    may_open = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != entry and may_open(path, mode))
    told = rf"/{name}/x.json: the file cannot be opened; permit reading it or remove it$"
    with pytest.raises(InputError, match=told):
        files_of(source)


def test_what_stands_in_the_place_of_a_folder_is_refused(folder, monkeypatch):
    source = {"kind": "exports", "directory": str(folder)}
    (folder / "resources").symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match=r"/resources: a link to a file that is not there"):
        files_of(source)
    (folder / "resources").unlink()
    (folder / "states").touch()
    with pytest.raises(InputError, match=r"/states: this is no folder; put the file into a folder"):
        files_of(source)
    (folder / "states").unlink()
    entries = Path.iterdir

    def refuse(path):
        if path.name == "jobs":
            raise PermissionError(13, "Permission denied")
        return entries(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"/jobs: the folder cannot be opened; permit reading"):
        files_of(source)


@pytest.mark.parametrize("name", ["nodes", "jobs", "power"])
def test_a_missing_or_empty_folder_is_named(folder, name):
    listed = {"nodes": folders.node_files, "jobs": folders.job_files, "power": folders.power_files}
    for path in (folder / name).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=rf"/{name}: no file; it must hold "):
        listed[name](folder)
    (folder / name).rmdir()
    with pytest.raises(InputError, match=rf"/{name}: there is no such folder; it must hold"):
        listed[name](folder)


def test_jobs_of_several_files_and_formats_are_one_table(folder):
    running = {
        "Job_Id": 2,
        "owner": "someone",
        "state": "Running",
        "startTime": NOON,
        "assigned_resources": [5, 6],
        "assigned_network_address": ["gros-1.nancy.grid5000.fr"],
    }
    save(folder / "jobs" / "oarstat.json", {"2": running})
    (folder / "jobs" / "nothing.json").touch()
    again = json.dumps(page(g5k_job(1))).encode()
    (folder / "jobs" / "page2.json.zst").write_bytes(zstandard.ZstdCompressor().compress(again))
    with pytest.raises(
        InputError, match=r"jobs/oarstat.json: job 2 held resource 5, which no table"
    ):
        site(folder).jobs(**DAY)
    core = {"type": "default", "network_address": "gros-1.nancy.grid5000.fr", "gpudevice": None}
    table = page({"id": 5, "cpuset": 2, **core}, {"id": 6, "cpuset": 3, **core})
    save(folder / "resources" / "a.json", table)
    found = site(folder).jobs(**DAY)
    assert found.jobs.collect()["job_id"].to_list() == [1, 2]
    assert found.allocations.collect().rows() == [
        (1, "gruss-1", [0, 1], [0], "cores"),
        (2, "gros-1", [2, 3], [], "cores"),
    ]
    assert found.set_aside.collect().rows() == [
        ("jobs", "jobs/nothing.json", "empty file", 0, None),
        ("jobs", "jobs/page2.json.zst", "repeated", 1, "1"),
    ]
    save(folder / "resources" / "b.json", page({"id": 5, "cpuset": 1, **core}))
    with pytest.raises(InputError, match=r"resources/b.json: resource 5 is not what another file"):
        site(folder).jobs(**DAY)


def test_a_truncated_file_is_refused_with_its_line(folder):
    path = save(folder / "jobs" / "b.json", page(g5k_job(1)))
    text = json.dumps(page(g5k_job(1)), indent=1)
    path.write_text(text[: len(text) // 2])
    lines = text[: len(text) // 2].count("\n") + 1
    with pytest.raises(InputError, match=rf"jobs/b.json:{lines}: the JSON breaks off here"):
        site(folder).jobs(**DAY)
    path.write_text("<html>\n")
    with pytest.raises(InputError, match=r"jobs/b.json:1: this is not JSON .*: <html>"):
        site(folder).jobs(**DAY)


def test_power_is_read_by_node_and_window(folder):
    lines = [sample("gruss-1.nancy.grid5000.fr", 0, "NaN"), sample("gruss-1", 59, None)]
    (folder / "power" / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert len(convert(folder)) == 0
    first, second_node = readings(folder)
    assert [row[:2] for row in first] == [("gruss-1", second(each)) for each in (5, 0, 59)]
    assert first[0][2] == 100.0
    assert first[1][2] != first[1][2]
    assert first[2][2] is None
    assert second_node == [("gruss-2", second(10), 100.0)]
    window = {"start": second(5), "end": second(10)}
    assert readings(folder, **window) == [[("gruss-1", second(5), 100.0)]]
    window = {"start": second(1), "end": second(59)}
    assert [len(rows) for rows in readings(folder, **window)] == [1, 1]
    assert readings(folder, cluster="gros") == []


def test_other_samples_are_counted_by_file_and_reason(folder):
    extra = [
        sample("gruss-1-bmc", 5),
        sample("gruss-2-bmc", 5),
        sample("gruss-1-bmc", 5, metric="bmc_ambient_temp_celsius"),
        sample("grvingt-1", 5),
        sample("gros-wattmetre2", 5),
        sample("gros-pdu3-port-7", 5),
        sample("gros-1", 5),
    ]
    save(folder / "power" / "b.json", extra)
    save(folder / "power" / "c.json", [])
    assert convert(folder).rows() == [
        ("power", "power/b.json", "not a node", 1, "gros-wattmetre2"),
        ("power", "power/b.json", "other cluster", 2, "gros-pdu3-port-7"),
        ("power", "power/b.json", "other metric", 1, "bmc_ambient_temp_celsius"),
        ("power", "power/b.json", "virtual device", 2, "gruss-1-bmc"),
    ]
    assert readings(folder, cluster="gros") == [[("gros-1", second(5), 100.0)]]


def test_a_node_missing_from_a_described_cluster_is_refused(folder):
    save(folder / "power" / "b.json", [sample("gruss-9", 5)])
    with pytest.raises(InputError, match=r"b.json: has samples of node gruss-9, which is not"):
        convert(folder)
    save(folder / "power" / "b.json", [sample("gruss-9", 5, metric="other")])
    assert convert(folder)["reason"].to_list() == ["other metric"]


def test_power_must_have_been_converted_for_the_metric(folder):
    convert(folder)
    with pytest.raises(ValueError, match="wattmetre"):
        readings(folder, metric="wattmetre_power_watt")
    with pytest.raises(ValueError, match=METRIC):
        list(ExportedSite(folder, site="nancy").power(metric=METRIC, cluster="gros", **DAY))


def test_samples_of_another_site_are_set_aside(folder):
    there = "gruss-1.lyon.grid5000.fr"
    here = sample("gruss-1.nancy.grid5000.fr", 7)
    save(folder / "power" / "a.json", [here, sample(there, 5), sample(there, 6)])
    aside = convert(folder)
    assert aside.rows() == [("power", "power/a.json", "node of another site", 2, there)]
    assert readings(folder) == [[("gruss-1", second(7), 100.0)]]
    gpu = {"metric_id": "prom_DCGM_FI_DEV_POWER_USAGE", "labels": {"gpu": "0"}}
    save(folder / "devices" / "a.json", [here | gpu, sample(there, 5) | gpu])
    aside = site(folder).convert_devices(directory=folder / "converted")
    assert aside.rows() == [("devices", "devices/a.json", "node of another site", 1, there)]


def test_converting_twice_gives_the_same_bytes(folder, tmp_path):
    for name in ("one", "two"):
        site(folder).convert_power(metric=METRIC, directory=tmp_path / name)
    written = {path.name for path in (tmp_path / "one" / METRIC).iterdir()}
    assert written == {"00000-00000-a.json.parquet", "index.parquet", "series.parquet"}
    for name in written:
        contents = [(tmp_path / each / METRIC / name).read_bytes() for each in ("one", "two")]
        assert contents[0] == contents[1]


def test_states_are_read_from_csv_and_json(folder):
    assert site(folder).states(**DAY) is None
    (folder / "states").mkdir()
    (folder / "states" / "a.csv").write_text(
        "node,state,from,to\n"
        "gruss-1.nancy.grid5000.fr,Absent,2025-03-03T13:00:00+01:00,1741003260\n"
        "gruss-1,dead,2025-03-01T00:00:00Z,2025-03-02T00:00:00Z\n"
        "gros-1,Maintenance,1741003200,\n"
        "gros-1,Maintenance,1741003200,0\n"
        "grvingt-1,standby,2025-03-02T00:00:00Z,2025-03-05T00:00:00Z\n"
    )
    lasting = {"node": "gruss-2", "state": "Suspected", "from": NOON, "to": None}
    save(folder / "states" / "b.json", [lasting, {**lasting, "from": str(NOON + 5)}])
    found = site(folder).states(**DAY).collect()
    tables.States.validate(found)
    minute = datetime(2025, 3, 3, 12, 1, tzinfo=UTC)
    start, end = datetime(2025, 3, 2, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC)
    assert found.select("node", "started_at", "stopped_at", "state").rows() == [
        ("gros-1", second(0), None, "maintenance"),
        ("gruss-1", second(0), minute, "absent"),
        ("gruss-2", second(0), None, "suspected"),
        ("gruss-2", second(5), None, "suspected"),
        ("grvingt-1", start, end, "standby"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node,from,to\n", "states/a.csv:1: no column state; states need the columns node,"),
        ("node,state,from,to\ngros-1,broken,1741003200,\n", "states/a.csv:2: state 'broken' of"),
        (
            "node,state,from,to\n\ngros-1,dead,2025-03-03T00:00:00,\n",
            "states/a.csv:3: cannot tell the time of '2025-03-03T00:00:00'; a time needs an offset",
        ),
        (
            "node,state,from,to\ngros-1,dead,1741003200,1741003100\n",
            "states/a.csv:2: the state ends before it starts",
        ),
        ("[1]", "states/a.csv, item 1: this is no state"),
    ],
)
def test_states_that_cannot_be_read_are_refused(folder, text, expected):
    (folder / "states").mkdir()
    (folder / "states" / "a.csv").write_text(text)
    with pytest.raises(InputError) as error:
        site(folder).states(**DAY)
    assert str(error.value).startswith(expected)


def test_states_that_contradict_are_refused(folder):
    lines = ["node,state,from,to", "gros-1,dead,1741003200,", "gros-1,absent,1741003200,"]
    (folder / "states").mkdir()
    path = folder / "states" / "a.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match="gros-1 has two states from 2025-03-03T12:00:00Z on"):
        site(folder).states(**DAY)
    path.write_text("node,state,from,to\ngros-7,dead,1741003200,\n")
    with pytest.raises(InputError, match="node gros-7 is not described; save"):
        site(folder).states(**DAY)


def test_listing_a_folder_needs_no_polars(folder):
    """The modules that a Snakefile asks import it neither themselves nor through each other."""
    source = Path(files.__file__).parent
    program = (
        "import sys, types\n"
        "package = types.ModuleType('footprint.site')\n"
        f"package.__path__ = [{str(source)!r}]\n"
        "sys.modules['footprint.site'] = package\n"
        "from pathlib import Path\n"
        "from footprint.site import folders\n"
        f"print(folders.clusters(Path({str(folder)!r})), 'polars' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['gros', 'gruss'] False\n"


def test_the_recordings_of_gemini_are_read_whole(shared_data, tmp_path):
    gemini = ExportedSite(shared_data / "gemini-2022-11", site="lyon", converted=tmp_path)
    window = {
        "start": datetime(2022, 11, 7, tzinfo=UTC),
        "end": datetime(2022, 11, 9, tzinfo=UTC),
    }
    found = gemini.jobs(**window)
    assert len(found.jobs.collect()) == 152
    assert len(found.set_aside.collect()) == 0
    held = found.allocations.collect()
    assert len(held) == 152
    assert set(held["cores"].list.len()) == {40}
    assert held["gpus"].unique().to_list() == [list(range(8))]
    for metric, n_samples, other in (
        (METRIC, 4297, 21492),
        ("wattmetre_power_watt", 21492, 4297),
    ):
        aside = gemini.convert_power(metric=metric, directory=tmp_path)
        assert aside.select("reason", "n_rows").rows() == [("other metric", other)]
        (power,) = gemini.power(metric=metric, cluster="gemini", **window)
        assert len(power) == n_samples
        assert power["power_w"].is_not_nan().all()
        assert power.schema == pl.Schema(
            {"node": pl.String, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64}
        )


def test_samples_outside_the_study_are_counted(folder):
    rows = [sample("gros-1", 1), sample("gruss-1", 2)]
    rows += [sample("gruss-1", 3) | {"timestamp": "2025-03-05T00:00:00Z"}]
    save(folder / "power" / "b.json", rows)
    convert(folder)
    found = converted.outside_study(folder / "converted" / METRIC, clusters=["gruss"], **DAY)
    assert found.select("reason", "n_rows", "example").rows() == [
        ("cluster not studied", 1, "gros-1"),
        ("outside the study's days", 1, "gruss-1"),
    ]


def test_an_empty_file_of_nodes_is_no_cluster_less(folder):
    (folder / "nodes" / "grele.json").write_text("")
    with pytest.raises(InputError, match=r"nodes/grele\.json: the file is empty"):
        folders.clusters(folder)


def test_a_metric_that_no_file_has_is_refused_with_those_that_there_are(folder):
    with pytest.raises(InputError, match=r"no sample of bmc_power; the files .* bmc_node_power_w"):
        convert(folder, metric="bmc_power")


def test_devices_may_have_other_series_only(folder):
    save(folder / "devices" / "a.json", [sample("gruss-1", 5, metric="prom_other")])
    aside = site(folder).convert_devices(directory=folder / "converted-devices")
    assert aside.select("reason", "n_rows").rows() == [("other metric", 1)]


def listing(total, *jobs, address=None):
    links = [{"rel": "self", "href": address}] if address else []
    return page(*jobs) | {"total": total, "links": links}


def not_listed(folder, *documents):
    for path in (folder / "jobs").iterdir():
        path.unlink()
    for number, document in enumerate(documents):
        save(folder / "jobs" / f"{number}.json", document)
    rows = site(folder).jobs(**DAY).set_aside.collect()
    reason = 'counted in "total" of the answer, but listed in no file'
    return rows.filter(pl.col("reason") == reason).select("source", "n_rows").rows()


def test_jobs_that_a_page_counts_but_no_file_lists_are_counted(folder):
    three = [g5k_job(key) for key in (1, 2, 3)]
    assert not_listed(folder, listing(400, *three)) == [("jobs/0.json", 397)]
    assert not_listed(folder, listing("400", *three)) == [("jobs/0.json", 397)]
    for unknown in (None, True, -1, "many", 2.5):
        assert not_listed(folder, listing(unknown, *three)) == []
    assert not_listed(folder, listing(3, *three)) == []
    assert not_listed(folder, listing(3, *three[:2]), listing(3, *three[1:])) == []


def test_listings_are_told_apart_by_their_address_without_paging(folder):
    day, jobs = "/oarapi/jobs/details.json?from=1&to=2", [g5k_job(key) for key in (1, 2)]
    other = "/oarapi/jobs/details.json?from=2&to=3"
    first = listing(2, jobs[0], address=f"{day}&limit=1&offset=0")
    assert not_listed(folder, first, listing(2, jobs[1], address=f"{day}&limit=1&offset=1")) == []
    apart = listing(2, jobs[1], address=f"{other}&limit=1&offset=0")
    assert not_listed(folder, first, apart) == [("jobs/0.json", 1), ("jobs/1.json", 1)]


def test_a_list_from_the_newest_job_back_to_before_the_study_is_whole(folder):
    early = int(DAY["start"].timestamp()) - 1
    old = g5k_job(1, submitted_at=early, started_at=early, stopped_at=NOON)
    assert not_listed(folder, listing(2_000_000, g5k_job(2), old)) == []
    # a job of before the study that is not the last of the list says nothing about the end of it
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
        "stop_time": NOON,
        "nodes": [{"network_address": "gruss-1"}],
    }
    assert not_listed(folder, listing(2, by_date)) == [("jobs/0.json", 1)]


def test_samples_under_the_former_name_are_of_the_metric(folder):
    former = [sample("gruss-1", 20, metric="bmc_power_node_watt"), sample("gruss-1", 25)]
    save(folder / "power" / "b.json", former)
    assert len(convert(folder)) == 0
    [first, _] = readings(folder)
    assert [row[1] for row in first] == [second(each) for each in (5, 20, 25)]


def test_the_former_name_alone_is_the_metric_too(folder):
    save(folder / "power" / "a.json", [sample("gruss-1", 20, metric="bmc_power_node_watt")])
    convert(folder)
    assert len(readings(folder)) == 1


def test_labels_tell_series_apart_where_there_are_some(folder):
    labelled = [sample("gruss-1", 20) | {"labels": {"psu": text}} for text in ("1", "2")]
    save(folder / "power" / "b.json", labelled)
    convert(folder)
    first, second_node = site(folder).power(metric=METRIC, cluster="gruss", **DAY)
    assert first["labels"].to_list() == ["{}", '{"psu": "1"}', '{"psu": "2"}']
    assert "labels" not in second_node.columns


def test_series_of_other_metrics_are_listed_by_device(folder):
    other = [sample("gruss-1", 5, metric="pdu_outlet_power_watt")] * 2
    save(folder / "power" / "b.json", other)
    convert(folder)
    seen = pl.read_parquet(folder / "converted" / METRIC / converted.SERIES_SEEN)
    assert seen.rows() == [
        (METRIC, "gruss-1", 1),
        (METRIC, "gruss-2", 1),
        ("pdu_outlet_power_watt", "gruss-1", 2),
    ]
