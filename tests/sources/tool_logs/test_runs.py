"""Tests of `footprint.sources.tool_logs`."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.sources.tool_logs import carbontracker, run_records, runs

pytestmark = pytest.mark.filterwarnings("error")

HEADER = (
    "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,"
    "gpu_power,ram_power,cpu_energy,gpu_energy,ram_energy,energy_consumed,country_name,"
    "country_iso_code,region,cloud_provider,cloud_region,os,python_version,codecarbon_version,"
    "cpu_count,cpu_model,gpu_count,gpu_model,longitude,latitude,ram_total_size,tracking_mode,"
    "on_cloud,pue"
)
ROW = {
    "timestamp": "2025-04-18T18:55:33",
    "project_name": "codecarbon",
    "run_id": "r1",
    "experiment_id": "5b0fa12a-3dd7-45bb-9766-cc326314d9f1",
    "duration": "3600.5",
    "cpu_energy": "0.1",
    "gpu_energy": "0.25",
    "ram_energy": "0.05",
    "energy_consumed": "0.4",
    "codecarbon_version": "2.3.4",
    "cpu_model": '"Intel(R) Xeon(R) Gold 5220, 2.20GHz"',
    "pue": "1",
}
OLD_LOG = """\
2022-11-07 23:05:06 - carbontracker version 1.1.6
2022-11-07 23:05:06 - Only predicted and actual consumptions are multiplied by a PUE \
coefficient of 1.59 (Rhonda Ascierto, 2019, Uptime Institute Global Data Center Survey).
2022-11-07 23:05:06 - The following components were found: CPU with device(s) cpu:1, cpu:0.
2022-11-07 23:05:06 - Monitoring thread started.
2022-11-07 23:06:25 - Epoch 1:
2022-11-07 23:06:25 - Duration: 0:00:49.06
2022-11-07 23:06:25 - Average power usage (W) for cpu: [83.9587086 87.1897426]
2022-11-07 23:06:25 - Average power usage (W) for gpu: [136.86084615]
2022-11-07 23:06:25 - Carbon intensities (gCO2/kWh) fetched every 900 s at detected location ...
2022-11-07 23:06:25 - Monitoring thread ended.
"""
FOUND = "The following components were found: "
TWO_GPUS = FOUND + "GPU with device(s) NVIDIA A40, NVIDIA A40. CPU with device(s) Gold @ 2.10GHz."
GPU = "Average power usage (W) for gpu: "
CPU = "Average power usage (W) for cpu: "
OUTPUT = """\
2022-11-07 23:06:25 - CarbonTracker:
Actual consumption for 1 epoch(s):
\tTime:\t0:00:49
\tEnergy:\t0.006674 kWh
"""


def table(*rows: dict[str, str], header: str = HEADER) -> str:
    lines = [",".join(({**ROW, **row}).get(name, "") for name in header.split(",")) for row in rows]
    return "\n".join([header, *lines, ""])


def duration_of(message: str) -> timedelta:
    """The duration that a record states; none for other records, and for one that is not a time."""
    found = re.fullmatch(r"Duration: (?:(\d+) day, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", message)
    if not found:
        return timedelta()
    days, hours, minutes, seconds = found.groups(default="0")
    return timedelta(int(days), float(seconds), hours=int(hours), minutes=int(minutes))


def log(*messages: str, version: str = "2.3.0") -> str:
    """Return a log whose records are a second apart, and the end of an epoch its duration."""
    at = datetime(2024, 6, 1, 12)
    records = [f"carbontracker version {version}", *messages] if version else messages
    lines = []
    for text, after in zip(records, [*records[1:], ""], strict=True):
        at += duration_of(after)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S} - {text}")
        at += timedelta(seconds=1)
    return "\n".join([*lines, ""])


def epoch(*powers: str, duration: str = "1:00:00.00") -> list[str]:
    return ["Epoch 1:", f"Duration: {duration}", *powers]


def parsed(folder: Path, files: dict[str, str]) -> pl.DataFrame:
    paths = []
    for number, (label, content) in enumerate(files.items()):
        path = folder / str(number) / Path(label).name
        path.parent.mkdir()
        path.write_bytes(content.encode())
        paths.append((label, path))
    found = runs.parse_runs(paths)
    assert found.schema == run_records.RUN_SCHEMA
    return found


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that parses one file into rows."""

    def rows(content: str, label: str = "emissions.csv") -> list[dict[str, Any]]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return parsed(folder, {label: content}).to_dicts()

    return rows


# CodeCarbon


def test_codecarbon_timestamp_is_the_end_in_local_time_of_paris(read: Any) -> None:
    stopped = datetime(2025, 4, 18, 16, 55, 33, tzinfo=UTC)
    (row,) = read(table({}))
    assert list(row.values())[:7] == ["emissions.csv", 2, "codecarbon", "2.3.4", "r1", None, None]
    assert row["stopped_at"] == stopped
    assert row["started_at"] == stopped - timedelta(seconds=3600.5)
    assert list(row.values())[9:15] == [3600.5, 0.25, 0.1, 0.05, 0.4, None]
    assert (row["limit"], row["job_candidates"], row["is_local_time"]) == (None, [], True)


def test_codecarbon_columns_are_selected_by_name_and_may_be_missing(read: Any) -> None:
    header = "energy_consumed,run_id,timestamp,duration,emissions"
    (row,) = read(table({}, header=header))
    assert (row["energy_kwh"], row["duration_s"], row["run"]) == (0.4, 3600.5, "r1")
    assert [row[name] for name in ("tool_version", "gpu_kwh", "cpu_kwh", "memory_kwh")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [
        ("2025-04-18T18:55:33+02:00", 16, 55),
        ("2025-04-18T18:55:33Z", 18, 55),
        ("2025-04-18 18:55:33.000000", 16, 55),
        ("2025-01-18T18:55:33", 17, 55),
        # This hour is repeated: the earlier time is taken, unless there is an offset.
        ("2025-10-26T02:30:33", 0, 30),
        ("2025-10-26T02:30:33+01:00", 1, 30),
        ("2025-10-26T03:00:33", 2, 0),
        # The minute before the skipped hour, and the minute after it.
        ("2025-03-30T01:59:33", 0, 59),
        ("2025-03-30T03:00:33", 1, 0),
    ],
)
def test_time_without_offset_is_local_time_of_paris(
    read: Any, text: str, hour: int, minute: int
) -> None:
    (row,) = read(table({"timestamp": text}))
    assert (row["stopped_at"].hour, row["stopped_at"].minute) == (hour, minute)


def test_run_across_a_clock_change_keeps_its_duration(read: Any) -> None:
    (row,) = read(table({"timestamp": "2025-10-26T03:30:00", "duration": "9000"}))
    # 2.5 hours before 02:30Z: 02:00 in Paris, before the hour is repeated.
    assert row["started_at"] == datetime(2025, 10, 26, 0, tzinfo=UTC)


def test_pue_is_divided_out_of_all_energies(read: Any) -> None:
    with_pue, without, less = read(
        table({"pue": "2.0"}, {"pue": "", "run_id": "r2"}, {"pue": "0", "run_id": "r3"})
    )
    energies = [with_pue[f"{name}_kwh"] for name in ("gpu", "cpu", "memory", "energy")]
    assert energies == [0.125, 0.05, 0.025, 0.2]
    assert without["energy_kwh"] == less["energy_kwh"] == 0.4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        # recorded: the counter of the processors wrapped
        ({"cpu_energy": "-0.0705", "duration": "49"}, "negative energy"),
        ({"energy_consumed": "-1"}, "negative energy"),
        ({"energy_consumed": ""}, "no energy"),
        ({"energy_consumed": "nan"}, "no energy"),
        ({"energy_consumed": "inf"}, "no energy"),
        ({"duration": "0"}, "energy without duration"),
        # recorded: tasks of versions 2.5 and 2.6 subtract a clock from another
        ({"duration": "-1796015162.08"}, "energy without duration"),
        ({"duration": "-5"}, "energy without duration"),
        ({"duration": "-5", "energy_consumed": "0"}, "negative duration"),
        ({"duration": "0", "energy_consumed": "0.0"}, None),
        ({"gpu_energy": "nan", "ram_energy": ""}, None),
    ],
)
def test_codecarbon_row_with_impossible_numbers_has_a_reason(
    read: Any, changes: dict[str, str], reason: str | None
) -> None:
    (row,) = read(table(changes))
    assert row["reason"] == reason


@pytest.mark.parametrize(
    ("fields", "is_equal"),
    [
        ({}, True),
        ({"energy_consumed": "0.4039"}, True),
        ({"energy_consumed": "0.41"}, False),
        ({"energy_consumed": "0.2"}, False),
        ({"energy_consumed": "4.0"}, False),
        ({"energy_consumed": "0"}, False),
        ({"ram_energy": ""}, True),
        ({"ram_energy": "", "energy_consumed": "0.6"}, True),  # the rest may be memory
        ({"ram_energy": "", "energy_consumed": "0.3"}, False),  # two parts are more than the total
        ({"pue": "2"}, True),
    ],
)
def test_parts_that_contradict_their_total_are_unknown(
    read: Any, fields: dict[str, str], is_equal: bool
) -> None:
    (row,) = read(table(fields))
    parts = [row[f"{name}_kwh"] for name in ("gpu", "cpu", "memory")]
    assert row["reason"] is None
    assert row["energy_kwh"] == float(fields.get("energy_consumed", 0.4)) / float(
        fields.get("pue", 1)
    )
    if is_equal:
        assert row["limit"] is None
        assert parts[0] == 0.25 / float(fields.get("pue", 1))
    else:
        assert row["limit"] == "its parts do not add up to its total: used without parts"
        assert parts == [None, None, None]


def test_longest_state_of_a_run_is_used(tmp_path: Path) -> None:
    states = table(
        {"duration": "10"}, {"duration": "30"}, {"duration": "20"}, {"run_id": "r2"}, {"run_id": ""}
    )
    backup = table({"duration": "30"}, {"run_id": "r3"}, {"run_id": ""})
    found = parsed(tmp_path, {"emissions.csv": states, "emissions.csv.bak": backup})
    earlier = "an earlier state of the same run"
    assert found["reason"].to_list() == [earlier, earlier, earlier, *[None] * 5]
    assert found["line"].to_list() == [2, 3, 4, 5, 6, 2, 3, 4]


def test_run_with_a_faulty_last_state_is_not_used(read: Any) -> None:
    rows = read(table({"duration": "10"}, {"duration": "30", "cpu_energy": "-1"}))
    assert [row["reason"] for row in rows] == [
        "an earlier state of the same run",
        "negative energy",
    ]


def test_tasks_are_not_used_if_their_run_is(tmp_path: Path) -> None:
    tasks = table({}, {}, header=f"task_name,{HEADER}")
    found = parsed(tmp_path, {"emissions.csv": table({"duration": "10"}), "tasks.csv": tasks})
    task = "a task of a run: the run's own row is used"
    assert found["reason"].to_list() == [None, task, task]


def test_repeated_headers_and_empty_lines_are_skipped(read: Any) -> None:
    other = table({"run_id": "r2"}, header="run_id,energy_consumed,duration,timestamp")
    rows = read(table({}) + "\n" + other)
    assert [(row["line"], row["run"]) for row in rows] == [(2, "r1"), (5, "r2")]
    assert read(HEADER) == []


def test_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "1234567.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + table({}).encode()))
    assert runs.parse_runs([("a/1234567.csv.gz", path)])["job_id"].to_list() == [1_234_567]
    assert runs.parse_runs([]).schema == run_records.RUN_SCHEMA


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (table({}, {"duration": "1h"}), {3: "a number cannot be read"}),
        (table({}, {"duration": ""}), {3: "its duration cannot be read"}),
        (table({"duration": "1e12"}, {}), {2: "its duration cannot be read"}),
        (table({"gpu_energy": "?"}, {}), {2: "a number cannot be read"}),
        (table({"pue": "one"}, {}), {2: "a number cannot be read"}),
        (table({"timestamp": "yesterday"}, {}), {2: "a time cannot be read"}),
        (table({"timestamp": "2025-04-18"}, {}), {2: "a time cannot be read"}),
        (table({"timestamp": ""}, {}), {2: "a time cannot be read"}),
        (
            table({"timestamp": "2025-03-30T02:30:00"}, {}),
            {2: "its time does not exist in Paris: summer time began"},
        ),
        (table({}) + "a,b\n", {3: "another number of fields than the header has"}),
        (table({"run_id": "x" * 200_000}, {}), {2: "the line is not CSV"}),
        # A line torn by another writer, with an open quote, is the only line lost.
        (
            table({}).replace("\n2025", '\n2025-04-18T1,"Intel(R) Xe\n2025'),
            {2: "the line is not CSV"},
        ),
        (table({}) + "ne" + "," * 31 + "\n", {3: "a time cannot be read"}),
        (table({}) + "," * 31 + "\n", {3: "a time cannot be read"}),
        (table({"pue": "\x00"}, {}), {None: "not a text file"}),
    ],
)
def test_unreadable_line_of_codecarbon_is_rejected_alone(
    read: Any, content: str, lines: dict[int, str]
) -> None:
    rows = read(content, "1234567/e.csv")
    rejected = {row["line"]: row["reason"] for row in rows if row["reason"] is not None}
    assert rejected == lines
    used = [row for row in rows if row["reason"] is None]
    assert [row["energy_kwh"] for row in used] == ([] if None in lines else [0.4])
    assert {row["source"] for row in rows} == {"1234567/e.csv"}
    faulty = next(row for row in rows if row["reason"] is not None)
    assert [faulty[name] for name in ("started_at", "stopped_at", "energy_kwh")] == [None] * 3


def test_row_without_its_empty_columns_is_read_by_the_other_columns(read: Any) -> None:
    # CodeCarbon 3.2.9, 35 fields under 38
    full = {"country_iso_code": "FRA", "tracking_mode": "machine", "on_cloud": "N", "pue": "2"}
    whole = table(full)
    header, row, _ = whole.split("\n")
    cells = row.replace(ROW["cpu_model"], "Xeon").split(",")
    names = header.split(",")
    short = [
        cell
        for name, cell in zip(names, cells, strict=True)
        if name not in ("region", "longitude", "latitude")
    ]
    (found,) = read("\n".join([header, ",".join(short)]))
    assert (found["energy_kwh"], found["reason"]) == (0.2, None)
    assert (found["run"], found["tool_version"]) == ("r1", "2.3.4")
    for torn in (short[1:], short[:-1], ["x", *short[:-1]]):
        (found,) = read("\n".join([header, ",".join(torn)]))
        assert found["reason"] == "another number of fields than the header has"


def test_gpu_energy_of_0_with_listed_gpus_is_rejected(read: Any) -> None:
    def reason(**fields: str) -> str | None:
        found: str | None = read(table(fields, header=f"{HEADER}"))[0]["reason"]
        return found

    not_read = "GPUs are listed and their energy is 0: it was not read"
    assert reason(gpu_energy="0.0", gpu_count="2") == not_read
    assert reason(gpu_energy="0.0", gpu_count="") is None
    assert reason(gpu_energy="0.0", gpu_count="", gpu_model="2 x Tesla K40m") == not_read
    assert reason(gpu_energy="0.0", gpu_count="0", gpu_model="2 x Tesla K40m") is None
    assert reason(gpu_energy="0.0", gpu_count="0") is None
    assert reason(gpu_energy="0.1", gpu_count="2") is None
    assert reason(gpu_energy="", gpu_count="2") is None
    nothing = {"gpu_energy": "0", "energy_consumed": "0", "duration": "0"}
    assert reason(gpu_count="2", **nothing) is None


def test_files_of_codecarbon_1_have_one_run_a_line_without_components(read: Any) -> None:
    header = (
        "timestamp,experiment_id,project_name,duration,emissions,energy_consumed,country_name,"
        "country_iso_code,region,on_cloud,cloud_provider,cloud_region"
    )
    one, two = read(table({}, {}, header=header), "4288294/emissions.csv")
    assert (one["run"], two["run"]) == ("4288294/emissions.csv:2", "4288294/emissions.csv:3")
    assert (one["job_id"], one["energy_kwh"], one["reason"]) == (4_288_294, 0.4, None)
    assert [one[name] for name in ("gpu_kwh", "cpu_kwh", "memory_kwh")] == [None] * 3


def test_tasks_without_their_run_are_used_once(tmp_path: Path) -> None:
    header = f"task_name,{HEADER}"
    two = table({"duration": "40"}, {"duration": "3400", "energy_consumed": "-1"}, header=header)
    found = parsed(tmp_path, {"emissions_base_r1.csv": two, "copy.csv": two})
    twice = "the same task is in another line"
    assert found["reason"].to_list() == [None, "negative energy", twice, "negative energy"]


def test_run_shorter_than_its_tasks_has_their_times(tmp_path: Path) -> None:
    # recorded with versions 2.3.5 to 3.3.2: the run has the duration of its last task
    times = [("2025-04-18T18:00:40", "40"), ("2025-04-18T18:55:33", "3000")]
    tasks = [
        {"timestamp": at, "duration": duration, "energy_consumed": "0.2"} for at, duration in times
    ]
    of_tasks = table(*tasks, header=f"task_name,{HEADER}")
    run = table({"duration": "3000"})
    files = {"emissions.csv": run, "emissions_base_r1.csv": of_tasks, "copy.csv": of_tasks}
    row = parsed(tmp_path, files).row(0, named=True)
    assert (row["reason"], row["energy_kwh"], row["duration_s"]) == (None, 0.4, 3040)
    assert row["started_at"] == datetime(2025, 4, 18, 16, tzinfo=UTC)
    assert row["stopped_at"] == datetime(2025, 4, 18, 16, 55, 33, tzinfo=UTC)
    assert row["limit"] == "its duration is of its last task only: used with the times of its tasks"


def test_run_longer_than_its_tasks_keeps_its_times(tmp_path: Path) -> None:
    of_tasks = table({"duration": "40"}, header=f"task_name,{HEADER}")
    files = {"emissions.csv": table({"duration": "40.05"}), "tasks.csv": of_tasks}
    row = parsed(tmp_path, files).row(0, named=True)
    assert (row["duration_s"], row["limit"]) == (40.05, None)


OF_2_2 = HEADER.replace("experiment_id,", "")
OF_3_0 = HEADER.replace("energy_consumed,", "energy_consumed,water_consumed,") + ",wue"
OF_3_2 = OF_3_0.replace(
    "tracking_mode,",
    "tracking_mode,cpu_utilization_percent,gpu_utilization_percent,ram_utilization_percent,"
    "ram_used_gb,",
)
TASKS_OF_3_2 = "task_name," + OF_3_2.replace("experiment_id,", "").replace("region,c", "c", 1)
TASKS_OF_3_2 = TASKS_OF_3_2.replace("longitude,latitude,", "").replace(",pue,wue", "")


@pytest.mark.parametrize(
    "header",
    [
        OF_2_2,
        f"task_name,{OF_2_2.removesuffix(',pue')}",
        HEADER,
        f"task_name,{HEADER.replace('experiment_id,', '').removesuffix(',pue')}",
        OF_3_0,
        OF_3_2,
        TASKS_OF_3_2,
    ],
    ids=["2.2.7", "2.3.5 tasks", "2.8.4", "2.8.4 tasks", "3.0.8", "3.3.2", "3.3.2 tasks"],
)
def test_columns_of_all_versions_of_codecarbon_are_read(read: Any, header: str) -> None:
    fields = {"project_name": "oar-4288294", "gpu_count": "2", "tracking_mode": "machine"}
    (row,) = read(table(fields | {"country_iso_code": "FRA"}, header=header))
    assert (row["job_id"], row["duration_s"], row["reason"]) == (4_288_294, 3600.5, None)
    assert [row[f"{part}_kwh"] for part in ("gpu", "cpu", "memory", "energy")] == [
        0.25,
        0.1,
        0.05,
        0.4,
    ]


@pytest.mark.parametrize(
    ("label", "content", "reason"),
    [
        ("e.csv", b"run_id,duration\n", "of no tool that is known"),
        ("README.md", b"my notes\n", "of no tool that is known"),
        ("e.csv", b" \n", "the file is empty"),
        ("e.csv", b"", "the file is empty"),
        ("x.png", b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        (
            "e.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
            "a pointer of Git LFS: the file itself was not fetched",
        ),
        (
            "e.csv.gz",
            gzip.compress(b"x" * 999, mtime=0)[:-9],
            "the compressed file is damaged or incomplete",
        ),
        (
            "20250303-job-4288294-grele-1-00000000.jsonl",
            b'{"format":1,"record":"start"}\n',
            "a ledger of the tracker: labels.ledgers names its folder",
        ),
        ("deep.jsonl", b"[" * 100_000, "of no tool that is known"),
        ("log.jsonl", b'{"step": 1}\n', "of no tool that is known"),
    ],
)
def test_other_file_is_rejected_as_a_whole(
    tmp_path: Path, label: str, content: bytes, reason: str
) -> None:
    (tmp_path / label).write_bytes(content)
    good = tmp_path / "good.csv"
    good.write_text(table({}))
    found = runs.parse_runs([(label, tmp_path / label), ("good.csv", good)])
    rejected, used = found.to_dicts()
    assert (rejected["source"], rejected["line"], rejected["reason"]) == (label, None, reason)
    assert (used["reason"], used["energy_kwh"]) == (None, 0.4)


def test_file_that_cannot_be_opened_is_rejected(tmp_path: Path) -> None:
    (row,) = runs.parse_runs([("gone.csv", tmp_path / "gone.csv")]).to_dicts()
    assert row["reason"] == "there is no such file"


def test_file_that_unpacks_to_too_much_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LARGEST_MB", 2)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(bytes(1 << 23)))
    (row,) = runs.parse_runs([("bomb.csv.gz", path)]).to_dicts()
    assert row["reason"] == "the file is too large (over 2 MB)"


def test_line_breaks_of_all_systems_are_accepted(read: Any) -> None:
    for end in ("\r\n", "\r"):
        (row,) = read(table({}).replace("\n", end))
        assert (row["line"], row["energy_kwh"]) == (2, 0.4)


# carbontracker


def test_log_of_carbontracker_1_gives_energies_of_gpu_and_cpu(read: Any) -> None:
    (row,) = read(OLD_LOG, "a/x_carbontracker.log")
    gpu_kwh, cpu_kwh = 49.06 * 136.86084615 / 3.6e6, 49.06 * (83.9587086 + 87.1897426) / 3.6e6
    label = "a/x_carbontracker.log"
    assert list(row.values())[:7] == [label, 1, "carbontracker", "1.1.6", label, None, None]
    assert row["started_at"] == datetime(2022, 11, 7, 22, 5, 6, tzinfo=UTC)
    assert row["stopped_at"] == datetime(2022, 11, 7, 22, 6, 25, tzinfo=UTC)
    assert row["duration_s"] == 49.06
    assert row["gpu_kwh"] == pytest.approx(gpu_kwh, rel=1e-12)
    assert row["cpu_kwh"] == pytest.approx(cpu_kwh, rel=1e-12)
    assert row["energy_kwh"] == pytest.approx(gpu_kwh + cpu_kwh, rel=1e-12)
    assert (row["memory_kwh"], row["reason"]) == (None, None)


def test_mean_power_of_carbontracker_2_is_multiplied_by_the_devices(read: Any) -> None:
    (row,) = read(log(TWO_GPUS, *epoch(GPU + "100.0", CPU + "50.0")))
    assert (row["gpu_kwh"], row["cpu_kwh"]) == pytest.approx((0.2, 0.05))
    (row,) = read(log(*epoch(GPU + "100.0")))
    assert row["reason"] == "a mean power of an unknown number of devices"
    (row,) = read(log(FOUND + "GPU with device(s) A40.", *epoch(GPU + "0.0195")))
    assert (row["gpu_kwh"], row["reason"]) == (pytest.approx(0.0195e-3), None)


def test_energies_of_epochs_with_all_notations_of_duration_are_summed(read: Any) -> None:
    content = log(
        *epoch(GPU + "[100. 1.e+02]", duration="1:02:03.5"),
        *epoch(GPU + "[ 50.\n 50.]", duration="1 day, 2:03:04.5"),
        *epoch(GPU + "[0. 0.]", duration="0:00:00.5"),
    )
    (row,) = read(content)
    seconds = 3723.5, 86_400 + 7384.5, 0.5
    assert row["duration_s"] == sum(seconds)
    assert row["gpu_kwh"] == pytest.approx((200 * seconds[0] + 100 * seconds[1]) / 3.6e6)
    assert (row["cpu_kwh"], row["energy_kwh"]) == (None, row["gpu_kwh"])


def test_component_at_0_w_throughout_is_unknown(read: Any) -> None:
    (row,) = read(log(TWO_GPUS, *epoch(GPU + "100.0", CPU + "0.0")))
    assert (row["cpu_kwh"], row["energy_kwh"]) == (None, pytest.approx(0.2))
    (row,) = read(log(*epoch(CPU + "0.0")))
    assert (row["energy_kwh"], row["reason"]) == (None, "no energy")


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("carbontracker version 1.1.6\n", 1, "no line has a time"),
        (log(*epoch(GPU + "[1 x]")), 1, "a number cannot be read"),
        (log(*epoch(GPU + "[1]", duration="1 h")), 1, "its duration cannot be read"),
        (
            log(*epoch("Average power usage (W) for fan: 1")),
            1,
            "power of a component that is not known",
        ),
        (
            OLD_LOG.replace("11-07 23:06:25 - Mon", "13-07 23:06:25 - Mon"),
            1,
            "a time cannot be read",
        ),
    ],
)
def test_unreadable_run_of_a_log_is_rejected_alone(
    read: Any, content: str, line: int, reason: str
) -> None:
    (row,) = read(content, "4288294/x.log")
    assert (row["line"], row["reason"], row["tool"]) == (line, reason, "carbontracker")
    assert (row["job_id"], row["energy_kwh"]) == (4_288_294, None)
    if "no line" not in reason:
        # other runs of the log are used
        torn, good = read(content + OLD_LOG, "4288294/x.log")
        assert (torn["reason"], good["reason"]) == (reason, None)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (epoch(GPU + "nan"), "no power of an epoch"),
        (epoch(GPU + "[100. nan]"), "no power of an epoch"),
        (epoch(GPU + "None"), "no power of an epoch"),
        (epoch(GPU + "[100."), "no power of an epoch"),
        (epoch(GPU + "[]"), "no power of an epoch"),
        (epoch(), "no power of an epoch"),
        (epoch(GPU + "[1]", CPU + "[1]") + epoch(GPU + "[1]"), "no power of an epoch"),
        ([*epoch(GPU + "[1]"), "Epoch 2:"], "no power of an epoch"),
        (epoch(GPU + "[-1]"), "negative energy"),
        (epoch(GPU + "[1]", duration="0:00:00.00"), None),
        (epoch(GPU + "[1]", duration="-0:00:09.00"), "negative energy"),
        (["Epoch 1:"], "no epoch was finished"),
        ([FOUND], "no epoch was finished"),
    ],
)
def test_unusable_log_has_a_reason_and_its_times(
    read: Any, messages: list[str], reason: str
) -> None:
    (row,) = read(log(*messages))
    assert row["reason"] == reason
    assert row["started_at"] == datetime(2024, 6, 1, 10, tzinfo=UTC)
    least = sum(map(duration_of, messages), timedelta(seconds=len(messages)))
    assert row["stopped_at"] == datetime(2024, 6, 1, 10, tzinfo=UTC) + least


def test_log_without_version_starts_with_its_first_line(read: Any) -> None:
    (row,) = read("\n" + log("Monitoring thread started.", *epoch(GPU + "[1]"), version=""))
    assert (row["line"], row["tool_version"], row["reason"]) == (2, None, None)
    assert row["started_at"] == datetime(2024, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "first", "second", "reason"),
    [
        ("1.2.5", "0:04:00.00", "0:05:59.00", None),
        ("1.2.5", "0:05:00.00", "0:05:01.00", None),  # times are cut to seconds
        ("2.4.3", "3 days, 0:00:00.00", "0:04:00.00", "its epochs last longer than its log"),
        ("2.4.3", "0:05:00.00", "0:05:03.00", "its epochs last longer than its log"),
        # a log whose start is lost: its first epoch began before it
        ("", "1 day, 0:00:00.00", "0:04:00.00", None),
        ("", "0:04:00.00", "1 day, 0:00:00.00", "its epochs last longer than its log"),
    ],
)
def test_log_of_ten_minutes_holds_no_epochs_of_days(
    read: Any, version: str, first: str, second: str, reason: str | None
) -> None:
    start = f"09:00:00 - carbontracker version {version}" if version else "09:00:00 - Epoch 1:"
    epochs = [
        f"09:{minute} - {text}"
        for minute, duration in (("05:00", first), ("10:00", second))
        for text in epoch(GPU + "[100.]", duration=duration)
    ]
    lines = [start, *epochs[0 if version else 1 :]]
    (row,) = read("\n".join(f"2025-03-03 {line}" for line in lines))
    assert row["reason"] == reason


def test_run_repeated_in_another_log_is_used_once(tmp_path: Path) -> None:
    first, second = OLD_LOG, log(*epoch(GPU + "[1]"), version="1.1.6")
    found = parsed(tmp_path, {"a.log": first + second, "b.log": second})
    assert found["run"].to_list() == ["a.log", "a.log:11", "b.log"]
    assert found["reason"].to_list() == [None, None, "the same run is in another log"]
    assert found["line"].to_list() == [1, 11, 1]


def test_log_across_the_repeated_hour_ends_where_its_epochs_fit(read: Any) -> None:
    def rows(start: str, end: str, duration: str) -> list[int]:
        records = ["carbontracker version 1.1.6", *epoch(GPU + "[1]", duration=duration)]
        times = [start, *[end] * 3]
        lines = (
            f"2025-10-26 {time} - {message}" for time, message in zip(times, records, strict=True)
        )
        (row,) = read("\n".join(lines))
        return [row["started_at"].hour, row["stopped_at"].hour]

    assert rows("02:10:00", "02:50:00", "0:39:00.00") == [0, 0]
    assert rows("01:50:00", "02:20:00", "1:29:00.00") == [23, 1]
    assert rows("02:50:00", "02:10:00", "0:19:00.00") == [0, 1]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x_output.log", OUTPUT, carbontracker.OUTPUT_LOG),
        (
            "stdout.txt",
            "CarbonTracker:\nActual consumption for 1 epoch(s):\n",
            carbontracker.OUTPUT_LOG,
        ),
        ("x_carbontracker_output.log", "", carbontracker.OUTPUT_LOG),
        (
            "x_carbontracker_err.log",
            "2022-11-07 23:06:25,123 - MainThread - WARNING - Epoch duration is too short",
            carbontracker.ERROR_LOG,
        ),
    ],
)
def test_other_files_of_carbontracker_are_rejected_with_their_reason(
    read: Any, name: str, content: str, reason: str
) -> None:
    (row,) = read(content, f"1234567/{name}")
    assert (row["reason"], row["line"], row["job_id"]) == (reason, 1, 1_234_567)
    assert (row["started_at"], row["duration_s"], row["energy_kwh"]) == (None, None, None)
    assert carbontracker.OUTPUT_LOG.endswith("include a PUE; the standard log is used")


# Hints


@pytest.mark.parametrize(
    ("label", "fields", "job_id", "host"),
    [
        ("emissions.csv", {"experiment_id": "1234567"}, 1_234_567, None),
        ("emissions.csv", {"experiment_id": "1234567.0"}, 1_234_567, None),
        ("emissions.csv", {"project_name": "OAR_1234567"}, 1_234_567, None),
        ("emissions.csv", {"project_name": "job-1234567"}, 1_234_567, None),
        ("emissions.csv", {"project_name": "123", "experiment_id": "run"}, None, None),
        ("7654321/e.csv", {"experiment_id": "1234567", "project_name": "5555"}, 1_234_567, None),
        ("1234567/emissions.csv", {}, 1_234_567, None),
        ("2025/oar-1234567/emissions.csv", {}, 1_234_567, None),
        ("2025/emissions-1234567.csv", {}, 1_234_567, None),
        ("oar-1234567.log", {}, 1_234_567, None),
        ("1234567.csv", {}, 1_234_567, None),
        ("12345678901234567890.csv", {}, None, None),
        ("graffiti-3/emissions.csv", {}, None, "graffiti-3"),
        ("graffiti-3.nancy.grid5000.fr/emissions.csv", {}, None, "graffiti-3"),
        ("graffiti-3.emissions.csv", {}, None, "graffiti-3"),
        ("graffiti-3.nancy.grid5000.fr.csv", {}, None, "graffiti-3"),
        ("gros-12-emissions.csv", {}, None, "gros-12"),
        ("gros-12x.csv", {}, None, None),
        ("gros-2.nancy.grid5000.fr/seed-1/emissions.csv", {}, None, "gros-2"),
        ("gros-2/gros-3/1234567/emissions.csv", {}, 1_234_567, "gros-3"),
        ("run-1/job-2/oar-1234567/emissions-7.csv", {}, 1_234_567, None),
        ("OAR_JOB_ID=4288294/emissions.csv", {}, 4_288_294, None),
        ("4288294_asr/emissions.csv", {}, 4_288_294, None),
        ("run4288294/emissions.csv", {}, 4_288_294, None),
        ("OAR.4288294/emissions.csv", {}, 4_288_294, None),
        ("OAR.asr.4288294.stdout/emissions.csv", {}, 4_288_294, None),
        ("4288294_2025-03-03T090030Z_carbontracker.csv", {}, 4_288_294, None),
        ("4288294_1234.root_2025-03-03T090030Z_carbontracker.csv", {}, 4_288_294, None),
        ("20250303-4288294/e.csv", {}, 4_288_294, None),
        # no job, or several
        ("2025-03-03T090030Z/e.csv", {}, None, None),
        ("20250303/e.csv", {}, 20_250_303, None),
        ("run-20250303/e.csv", {}, None, None),
        ("seed42_12345/e.csv", {}, None, None),
        ("4288294_4288295/e.csv", {}, None, None),
        ("4288294_4288295/run4288296/e.csv", {}, 4_288_296, None),
    ],
)
def test_job_and_node_are_inferred_from_fields_and_paths(
    read: Any, label: str, fields: dict[str, str], job_id: int | None, host: str | None
) -> None:
    (row,) = read(table(fields), label)
    assert (row["job_id"], row["host"]) == (job_id, host)


@pytest.mark.parametrize(
    ("label", "fields", "candidates"),
    [
        ("4288294_4288295/e.csv", {}, [4_288_294, 4_288_295]),
        ("4288294_4288295/run4288296/e.csv", {}, [4_288_296, 4_288_294, 4_288_295]),
        ("exp_1000000/e.csv", {"project_name": "asr_4288294"}, [4_288_294, 1_000_000]),
        ("4288294_4288294/e.csv", {"project_name": "asr 4288294"}, [4_288_294]),
        ("e.csv", {"experiment_id": "5b0fa12a-3dd7-45bb-9766-123456780000"}, []),
        ("2025-03-03T090030Z/seed42.csv", {}, []),
    ],
)
def test_numbers_of_longer_names_are_candidates(
    read: Any, label: str, fields: dict[str, str], candidates: list[int]
) -> None:
    (row,) = read(table(fields), label)
    assert row["job_candidates"] == candidates
