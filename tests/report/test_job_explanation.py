"""The text about one job."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.report.job_explanation import explain_job

JOB = {
    "job_id": 7,
    "site": "nancy",
    "user": "u-00000001",
    "project": "speech",
    "queue": "production",
    "started_at": datetime(2025, 3, 3, 8, tzinfo=UTC),
    "stopped_at": datetime(2025, 3, 3, 10, tzinfo=UTC),
    "duration_s": 7200.0,
    "measured_kwh": 0.9,
    "estimated_kwh": 0.3,
    "total_kwh": 1.2,
    "total_low_kwh": 1.1,
    "total_high_kwh": 1.5,
    "measured_frac": 0.75,
    "estimate_basis": "virtual_meter",
    "unknown_node_h": 0.0,
    "flags": ["shared_node"],
}
NODE = {
    **{name: JOB[name] for name in ("job_id", "total_kwh", "total_low_kwh", "total_high_kwh")},
    **{name: JOB[name] for name in ("duration_s", "measured_frac", "unknown_node_h")},
    "node": "gruss-1",
    "share": 0.5,
}
RUN = {
    "run_id": 7,
    "job_ids": [7, 8],
    "merged_by": "chain",
    "total_kwh": 3.0,
    "kind": "training_run",
    "role": "reported",
    "role_basis": "label",
    "phase": "training",
    "rule": "weights",
    "features": "recipe step the longest (+0.8); ran 24 to 48 h (+0.4)",
    "p_training_run": 0.9,
    "p_debug": 0.1,
    "p_idle_hold": 0.0,
}


def write(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    path = folder / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Study of one job, without the raw records."""
    write(tmp_path, "results/energy/jobs", JOB)
    write(tmp_path, "results/energy/job_nodes", NODE)
    write(tmp_path, "results/phases/runs", RUN)
    return tmp_path


def test_explanation_has_share_power_energy_and_kind(folder: Path) -> None:
    lines = explain_job(folder, 7).splitlines()
    assert lines[0] == "Job 7: site nancy, project speech, queue production, user u-00000001"
    assert (
        lines[1] == "  ran from 2025-03-03 08:00:00 to 2025-03-03 10:00:00 UTC; 2.00 h in the study"
    )
    assert lines[2] == "  remarks: shared node"
    [row] = [line.split() for line in lines if "gruss-1" in line]
    assert " ".join(row) == "gruss-1 2.00 h 50 % 600 W 1.20 kWh 1.10 to 1.50 75 %"
    assert "energy: 1.20 kWh (95 %: 1.10 to 1.50)" in lines
    assert "  measured: 900 Wh, 75 %" in lines
    assert "  estimated: 300 Wh, from the virtual meter of the cluster" in lines
    start = lines.index("run 7, 2 jobs of a chain: 3.00 kWh")
    assert lines[start + 1 :] == [
        "kind: training (training 90 %, debug 10 %)",
        "  why: weights of these features speak for it",
        "    recipe step the longest (+0.8)",
        "    ran 24 to 48 h (+0.4)",
        "phase: training; role: reported, by label",
        "labels: none; `footprint labels` drafts them",
    ]


def test_explanation_has_command_and_labels_of_the_records(folder: Path) -> None:
    job = {"job_id": 7, "name": None, "command": "python train.py\x1b[31m"}
    write(folder, "resources/nancy/jobs", job, job | {"job_id": 8, "command": "other"})
    write(folder, "resources/nancy/labels", {"job_id": 7, "paper": "mine", "kind": None})
    text = explain_job(folder, 7)
    assert "\n  command: python train.py?[31m\n" in text
    assert "other" not in text
    assert text.endswith("\nlabels: paper mine")


def test_unknown_energy_is_at_least_what_is_known(folder: Path) -> None:
    write(folder, "results/energy/jobs", JOB | {"unknown_node_h": 2.0})
    text = explain_job(folder, 7)
    assert "energy: >= 1.20 kWh" in text
    assert "  without readings or an estimate: 2.00 node h\n" in text
    nothing = dict.fromkeys(("measured_kwh", "estimated_kwh", "total_kwh", "measured_frac"))
    nothing |= dict.fromkeys(("total_low_kwh", "total_high_kwh"))
    write(folder, "results/energy/jobs", JOB | nothing)
    write(folder, "results/energy/job_nodes", NODE | nothing)
    lines = explain_job(folder, 7).splitlines()
    assert "energy: unknown" in lines
    [row] = [line.split() for line in lines if "gruss-1" in line]
    assert " ".join(row) == "gruss-1 2.00 h 50 % unknown unknown"


def test_job_that_never_started_has_no_kind(folder: Path) -> None:
    never = {"started_at": None, "stopped_at": None, "duration_s": None}
    write(folder, "results/energy/jobs", JOB | never)
    write(folder, "results/energy/job_nodes", NODE | {"job_id": 9})
    write(folder, "results/phases/runs", RUN | {"kind": None, "rule": "never_ran"})
    text = explain_job(folder, 7)
    assert "ran from" not in text
    assert "allocations" not in text
    assert "\nkind: none, as none of its jobs started\n" in text


def test_unknown_job_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(InputError, match=r"job 77: there is no job '77'; did you mean `7`\?"):
        explain_job(folder, 77)


def test_study_without_results_is_refused(folder: Path) -> None:
    (folder / "results/phases/runs.parquet").unlink()
    assert "kind: not classified yet; run the whole workflow" in explain_job(folder, 7)
    with pytest.raises(InputError, match=r"jobs\.parquet: there is no such file yet; run the work"):
        explain_job(folder / "nowhere", 7)
