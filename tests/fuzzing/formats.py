"""Good inputs of every format, and what a study takes from them: an energy and its counters."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml

from footprint.config import settings
from footprint.labels import files as label_files
from footprint.labels import from_ledgers
from footprint.levels import eco2mix, usage_files
from footprint.report.notable_models import download
from footprint.sources.exports import conversion, folders
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC
from footprint.sources.tool_logs import runs
from tests.sources.tool_logs import test_runs
from tests.support import api_answers, small_exports

DAY = small_exports.DAY
NOON_S = api_answers.NOON_S


class Reading(NamedTuple):
    """What a study takes from an input.

    Attributes:
        amounts: Energy, or what stands for it, rounded to 9 digits.
        n_counted: Rows that are counted as rejected, missing or unreadable.
    """

    amounts: tuple[float, ...]
    n_counted: int


class Format(NamedTuple):
    """A format: a good input, its file in the folder of a study, and its reader.

    Attributes:
        content: The good input.
        document: The same as a JSON document; None for a text of lines.
        file: Place of the file below the folder of the study.
        read: Function of the folder of the study and the file.
    """

    content: bytes
    document: Any
    file: str
    read: Callable[[Path, Path], Reading]


def _amount(value: float | None) -> float:
    return float(f"{value or 0.0:.9g}")


def _rejected(frame: pl.DataFrame) -> int:
    # an empty file is a row without a number
    return sum(max(1, n) for n in frame["n_rows"])


def write_study(folder: Path) -> None:
    """Write the exports of a small study, whose files are replaced by mutants."""
    small_exports.write_exports(folder)


def read_jobs(folder: Path, _: Path) -> Reading:
    """Core seconds of the jobs of a day."""
    found = small_exports.exported_site(folder).jobs(**DAY)
    jobs, held = found.jobs.collect(), found.allocations.collect()
    seconds = (
        held.join(jobs, on="job_id")
        .select((pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds())
        .to_series()
    )
    return Reading((_amount(seconds.sum()), len(held)), _rejected(found.rejected.collect()))


def read_nodes(folder: Path, _: Path) -> Reading:
    """Cores and GPUs of the described nodes."""
    folders.described_clusters(folder)
    nodes = small_exports.exported_site(folder).nodes().collect()
    return Reading((_amount(len(nodes)), _amount(nodes["n_cores"].sum())), 0)


def read_states(folder: Path, _: Path) -> Reading:
    """Seconds of the states that end, and the number of those that last."""
    site = small_exports.exported_site(folder)
    found = site.states(**DAY)
    frame = pl.DataFrame() if found is None else found.collect()
    rejected = site.jobs(**DAY).rejected.filter(pl.col("stage") == "states").collect()
    return Reading((_amount(len(frame)),), _rejected(rejected))


def read_devices(folder: Path, _: Path) -> Reading:
    """Sum and number of the readings of GPUs, in watts."""
    converted = folder / "converted"
    shutil.rmtree(converted, ignore_errors=True)
    site = small_exports.exported_site(folder)
    rejected = site.convert_devices(directory=converted)
    frames = site.devices(metric=GPU_POWER_METRIC, cluster="gruss", **DAY)
    power = pl.concat([pl.Series("value", [], pl.Float64), *(each["value"] for each in frames)])
    is_number = power.is_finite().fill_null(False)
    amounts = (_amount(power.filter(is_number).sum()), float(is_number.sum()))
    return Reading(amounts, _rejected(rejected) + int((~is_number).sum()))


def read_power(folder: Path, _: Path) -> Reading:
    """Sum of the readings of a day, in watts; readings without a number are counted."""
    converted = folder / "converted"
    shutil.rmtree(converted, ignore_errors=True)
    site = small_exports.exported_site(folder)
    rejected = site.convert_power(metric=small_exports.METRIC, directory=converted)
    target = converted / small_exports.METRIC
    outside = conversion.count_outside_study([target], clusters=["gruss", "gros"], **DAY)
    frames = [
        frame
        for cluster in ("gruss", "gros")
        for frame in site.power(metric=small_exports.METRIC, cluster=cluster, **DAY)
    ]
    power = pl.concat([pl.Series("power_w", [], pl.Float64), *(each["power_w"] for each in frames)])
    is_number = power.is_finite().fill_null(False)
    n_none = int((~is_number).sum())
    amounts = (_amount(power.filter(is_number).sum()), float(is_number.sum()))
    return Reading(amounts, _rejected(rejected) + _rejected(outside) + n_none)


def read_config(_: Path, file: Path) -> Reading:
    """Nothing that has an energy: the configuration is used or refused."""
    settings.check_readable(file)
    config = settings.read_configuration_files([file])
    settings.prepare_configuration(config)
    return Reading((), 0)


def read_labels(_: Path, file: Path) -> Reading:
    """Nothing that has an energy: the labels are used or refused."""
    label_files.read_drafts([file])
    return Reading((), 0)


def read_recorded(_: Path, file: Path) -> Reading:
    """Energy of the runs that can be used, in kWh."""
    found = runs.parse_runs([(file.name, file)])
    used = found.filter(pl.col("reason").is_null())
    return Reading((_amount(used["energy_kwh"].sum()), float(len(used))), len(found) - len(used))


def read_eco2mix(_: Path, file: Path) -> Reading:
    """Sum and number of the intensities."""
    day = datetime(2025, 3, 3, tzinfo=UTC)
    found = eco2mix.read_study_intensity([file], start=day, end=day + timedelta(days=1))
    values = found.intensity["g_per_kwh"]
    return Reading((_amount(values.sum()), float(len(values))), _rejected(found.rejected))


def read_epoch(_: Path, file: Path) -> Reading:
    """Number of models and the logarithm of their compute."""
    found = download.load_models(file=str(file), url=None)
    flop = found.models["training_flop"].drop_nulls().log10()
    return Reading((float(len(found.models)), _amount(flop.sum())), _rejected(found.rejected))


def read_ledgers(_: Path, file: Path) -> Reading:
    """Energy of the devices of all runs, in joules."""
    found = from_ledgers.read_ledgers([str(file)])
    from_ledgers.runs_table(found)
    energies = [part.energy_j for run in found.runs for part in run.devices.values()]
    assert all(math.isfinite(each) for each in energies)
    return Reading((_amount(sum(energies)), float(len(found.runs))), len(found.faults))


def read_history(_: Path, file: Path) -> Reading:
    """Number of started jobs; what cannot be read is counted."""
    found = usage_files.read_usage(history=str(file), statistics=None)
    n_started = 0 if found.history is None else found.history["started_at"].count()
    return Reading((float(n_started),), _rejected(found.rejected))


def read_statistics(_: Path, file: Path) -> Reading:
    """Sum of the numbers of users."""
    found = usage_files.read_usage(history=None, statistics=str(file))
    n_users = 0 if found.statistics is None else found.statistics["n_users"].sum()
    return Reading((_amount(n_users),), _rejected(found.rejected))


def _json(document: Any) -> tuple[bytes, Any]:
    return json.dumps(document).encode(), document


def _json_lines(records: list[dict[str, Any]]) -> tuple[bytes, Any]:
    return "".join(json.dumps(each) + "\n" for each in records).encode(), records


def _gantt() -> dict[str, Any]:
    resources = [
        {
            "resource_id": 700 + core,
            "type": "default",
            "network_address": "gruss-1.nancy.grid5000.fr",
            "cpuset": str(core),
            "gpudevice": 0,
        }
        for core in range(4)
    ]
    job = {
        "job_id": 7,
        "user": "ash",
        "project": "speech",
        "state": "Terminated",
        "start_time": NOON_S,
        "stop_time": NOON_S + 3600,
        "resource_id": [700, 701],
        "types": ["besteffort"],
        "walltime": 7200,
    }
    other = job | {"job_id": 8, "resource_id": [702, 703]}
    return {"jobs": {"7": job, "8": other}, "resources": resources, "dead_resources": {}}


def _oarapi() -> dict[str, Any]:
    held = {
        "id": 704,
        "type": "default",
        "network_address": "gruss-1.nancy.grid5000.fr",
        "cpuset": "0",
        "gpudevice": 0,
        "status": "assigned",
    }
    job = {
        "id": 9,
        "owner": "elm",
        "state": "Terminated",
        "submission_time": NOON_S - 60,
        "start_time": NOON_S,
        "stop_time": NOON_S + 3600,
        "resources": [held, held | {"id": 705, "cpuset": 1}],
        "types": [],
    }
    return {
        "items": [job, job | {"id": 10, "start_time": NOON_S + 4000, "stop_time": NOON_S + 5000}]
    }


def _readings() -> list[dict[str, Any]]:
    return [
        small_exports.noon_reading("gruss-1", second, 100 + second) for second in range(0, 60, 5)
    ]


def _gpu_readings() -> list[dict[str, Any]]:
    return [each | {"metric_id": GPU_POWER_METRIC, "labels": {"gpu": "0"}} for each in _readings()]


def _power_csv() -> bytes:
    lines = ["timestamp,device,metric_id,value,labels"]
    lines += [
        f'"{each["timestamp"]}","{each["device_id"]}","{each["metric_id"]}",{each["value"]},"{{}}"'
        for each in _readings()
    ]
    return "\n".join([*lines, ""]).encode()


def _eco2mix() -> bytes:
    lines = ["Périmètre\tNature\tDate\tHeures\tConsommation\tTaux de Co2"]
    lines += [
        f"France\tDonnées définitives\t2025-03-03\t{hour:02d}:{minute:02d}\t50000\t{20 + hour}"
        for hour in range(24)
        for minute in (0, 30)
    ]
    return "\n".join([*lines, "RTE ne pourra être tenu responsable"]).encode()


def _ledger() -> list[dict[str, Any]]:
    start = datetime(2025, 3, 3, 12, tzinfo=UTC)
    first = {"at": start.isoformat(), "host": "gruss-1", "oar": {"job_id": 1}, "command": ["train"]}
    later = [
        {
            "record": record,
            "at": (start + timedelta(seconds=seconds)).isoformat(),
            "duration_s": seconds,
            "devices": {"gpu": {"energy_j": 5000.0, "covered_frac": 1.0}},
        }
        for record, seconds in (("seen", 60), ("stop", 120))
    ]
    return [{"format": 1, "id": "a", **each} for each in ({"record": "start"} | first, *later)]


STATES = b"""node,state,from,to
gruss-1,Suspected,2025-03-03T14:00:00+01:00,2025-03-03T15:30:00+01:00
gruss-2,maintenance,1741003200,
"""
LABELS = [
    {"jobs": [1, 2], "paper": "speech", "kind": "training_run"},
    {"user": "ash", "name": "train_*", "paper": "Ünïcode", "phase": "training"},
]
EPOCH = (
    b"Model,Organization,Publication date,Domain,Training compute (FLOP),Notes\n"
    b'GPT-3 175B (davinci),OpenAI,2020-05-28,Language,3.14e+23,"Two\nlines, and a comma"\n'
    b"AlexNet,Toronto,2012-09-30,Vision,4.7e17,\n"
    b'Secret,Nobody,2024-01-01,"Multimodal,Language,Vision",,\n'
)
CONFIG = {
    "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28", "clusters": ["grele"]},
    "source": {"kind": "simulated", "seed": 3, "nodes": {"grele": 2}, "jobs": 40},
    "integration": {"gate": "binary", "idle_power": {"grele": 90}, "max_gap_s": 30},
    "phases": {"runs": {"gap_h": 48}, "thresholds": {}},
    "carbon": {"factors": [{"name": "x", "convention": "direct", "g_per_kwh": 20, "source": "y"}]},
    "limits": {"depth": 64},
}
LABEL_CSV = b"jobs,user,name,paper,kind\n1 2,,,speech,training_run\n,ash,train_*,speech,\n"
STATISTICS = b"year,active_users,source\n2023,400,report\n2024,420,\n"

_PAGE = api_answers.collection_page(
    api_answers.g5k_job(1),
    api_answers.g5k_job(2, started_at=NOON_S + 7000, stopped_at=NOON_S + 8000),
)
_NODES = api_answers.collection_page(
    *(api_answers.reference_node(f"gruss-{n}", n_gpus=2) for n in (1, 2))
)
FORMATS: dict[str, Format] = {
    "jobs, API": Format(*_json(_PAGE), "jobs/page.json", read_jobs),
    "jobs, oarapi": Format(*_json(_oarapi()), "jobs/page.json", read_jobs),
    "jobs, oarstat": Format(*_json(_gantt()), "jobs/page.json", read_jobs),
    "nodes": Format(*_json(_NODES), "nodes/gruss.json", read_nodes),
    "power, array": Format(*_json(_readings()), "power/a.json", read_power),
    "power, lines": Format(*_json_lines(_readings()), "power/a.json", read_power),
    "power, CSV": Format(_power_csv(), None, "power/a.json", read_power),
    "devices": Format(*_json(_gpu_readings()), "devices/a.json", read_devices),
    "states": Format(STATES, None, "states/notes.csv", read_states),
    "config.yaml": Format(json.dumps(CONFIG).encode(), CONFIG, "config.yaml", read_config),
    "config.yaml, lines": Format(yaml.safe_dump(CONFIG).encode(), None, "config.yaml", read_config),
    "labels, YAML": Format(json.dumps(LABELS).encode(), LABELS, "labels.yaml", read_labels),
    "labels, YAML lines": Format(yaml.safe_dump(LABELS).encode(), None, "labels.yaml", read_labels),
    "labels, CSV": Format(LABEL_CSV, None, "labels.csv", read_labels),
    "CodeCarbon": Format(
        test_runs.table({}, {"run_id": "r2"}).encode(), None, "emissions.csv", read_recorded
    ),
    "carbontracker": Format(test_runs.OLD_LOG.encode(), None, "1_carbontracker.log", read_recorded),
    "eco2mix": Format(_eco2mix(), None, "eco2mix.xls", read_eco2mix),
    "Epoch": Format(EPOCH, None, "epoch.csv", read_epoch),
    "ledger": Format(*_json_lines(_ledger()), "job-1.jsonl", read_ledgers),
    "usage.history": Format(*_json(_PAGE), "history.json", read_history),
    "usage.statistics": Format(STATISTICS, None, "statistics.csv", read_statistics),
}
"""Formats by name."""
