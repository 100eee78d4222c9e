"""`footprint report`: energy of tracked runs in every form, with unknown values."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.tracker import reading, report, report_forms
from footprint.tracker.node_energies import NodesEnergy, read_job_energies
from footprint.tracker.reading import DeviceEnergy, LedgerContents, TrackedRun
from tests.support.tracked_commands import environment

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOST = "gruss-1.nancy.grid5000.fr"


def run(
    number: int, hours: float | None, gpu_kwh: float | None = None, **changes: Any
) -> TrackedRun:
    devices = {} if gpu_kwh is None else {"gpu": DeviceEnergy(gpu_kwh * 3.6e6, 1.0)}
    fields: dict[str, Any] = {
        "file": f"job-{number}.jsonl",
        "line": 1,
        "identity": str(number),
        "host": HOST,
        "job_id": 1000 + number,
        "started_at": T0 + timedelta(days=number),
        "duration_s": None if hours is None else hours * 3600,
        "end": "started" if hours is None else "stopped",
        "devices": devices,
        "n_gpus": 2,
    }
    return TrackedRun(**fields | changes)


def labels_of(phase: str) -> dict[str, str]:
    return {"paper": "enhance_2025", "phase": phase}


CAMPAIGN = [
    run(1, 10, 4.0, labels=labels_of("training")),
    run(2, 20, 6.0, labels=labels_of("development")),
    run(3, 5, 2.0, labels=labels_of("development"), end="seen"),
    run(4, 1, 0.5, labels=labels_of("inference")),
    run(5, 8, 3.0, labels={"paper": "another"}),
]


def report_on(*runs: TrackedRun, **options: Any) -> report.Report:
    return report.build_report(LedgerContents(list(runs), []), **options)


def fully_measured(energy_kwh: float, hours: float) -> NodesEnergy:
    """Energy of a job whose whole time is measured."""
    ends = {"low_kwh": 0.9 * energy_kwh, "high_kwh": 1.2 * energy_kwh, "site": "nancy"}
    return NodesEnergy(energy_kwh, hours * 3600, hours * 3600, energy_kwh, **ends)


def test_build_report_runs_of_several_phases_are_summed_by_phase() -> None:
    found = report_on(*CAMPAIGN, paper="enhance_2025")
    lines = {line.phase: line for line in found.lines}
    assert list(lines) == ["training", "inference", "development"]
    development = lines["development"]
    assert (development.n_runs, development.n_jobs, development.n_open) == (2, 2, 1)
    assert (development.hours, development.gpu_hours) == (25.0, 50.0)
    assert development.devices_kwh == {"gpu": pytest.approx(8.0)}
    assert found.total.energy_kwh == pytest.approx(12.5)
    assert (found.basis, found.ratio) == ("devices", pytest.approx(2.0))
    assert (found.first_at, found.last_at) == (
        T0 + timedelta(days=1),
        T0 + timedelta(days=4, hours=1),
    )


def test_build_report_energy_of_nodes_takes_precedence_over_devices() -> None:
    nodes = {
        ("nancy", 1001): fully_measured(10.0, 10),
        ("nancy", 1002): NodesEnergy(30.0, 8 * 3600, 20 * 3600),
        ("lyon", 1003): fully_measured(99.0, 5),
    }
    found = report_on(*CAMPAIGN, paper="enhance_2025", nodes=nodes)
    assert (found.basis, found.total.nodes_kwh) == ("nodes", 40.0)
    # 8 of 25 hours of development: a ratio of 30 to 10 kWh would count it for a third
    assert (found.ratio, found.ratio_reason) == (None, "32 % of development known")
    assert found.total.n_known == 2  # the job of Lyon has the same id and is another job
    text = " ".join(report_forms.limitations(found))
    assert "The study has no energy of 2 of 4 runs" in text
    assert "knows the energy of the nodes in 50% of the tracked time" in text
    assert (
        "Research for enhance_2025 used at least an estimated 40 kWh of electricity at the compute "
        "nodes of Nancy in 4 runs between 11 March and 14 March 2025 (25 % measured, the rest "
        "estimated; the energy of 2 runs is unknown). Training the reported model took 10 kWh; the "
        "ratio of all other runs, except inference with it, to it cannot be given: 32 % of "
        "development known." in report_forms.appendix_sentence(found)
    )
    nodes[("nancy", 1002)] = fully_measured(30.0, 20)
    nodes[("nancy", 1003)] = NodesEnergy(6.0, 2.5 * 3600, 5 * 3600)
    complete = report_on(*CAMPAIGN, paper="enhance_2025", nodes=nodes)
    assert (complete.ratio, complete.ratio_reason) == (pytest.approx(3.6), None)


TRAINING_LABELS, DEVELOPMENT_LABELS = labels_of("training"), labels_of("development")


def ratio_of(*runs: TrackedRun, **jobs: NodesEnergy) -> tuple[float | None, str | None]:
    nodes = {("nancy", int(name.removeprefix("job_"))): energy for name, energy in jobs.items()}
    found = report_on(*runs, nodes=nodes)
    return found.ratio, found.ratio_reason


def test_ratio_job_measured_for_half_of_its_time_is_null() -> None:
    # held 10 h, tracked for 5 h of it; the study measured 5 h
    runs = run(1, 5, labels=TRAINING_LABELS), run(2, 2, labels=DEVELOPMENT_LABELS)
    half = NodesEnergy(1.0, 5 * 3600, 10 * 3600)
    assert ratio_of(*runs, job_1001=half, job_1002=fully_measured(1.0, 2)) == (
        None,
        "50 % of training known",
    )
    assert ratio_of(*runs, job_1001=fully_measured(2.0, 10), job_1002=fully_measured(1.0, 2)) == (
        0.5,
        None,
    )


def test_ratio_measured_time_of_one_job_does_not_count_for_another() -> None:
    # two trainings of 2 h tracked: 4 h of one job were measured, none of the other
    runs = (
        run(1, 2, labels=TRAINING_LABELS),
        run(3, 2, labels=TRAINING_LABELS),
        run(2, 2, labels=DEVELOPMENT_LABELS),
    )
    reason = "50 % of training known"
    development = fully_measured(1.0, 2)
    assert ratio_of(*runs, job_1001=fully_measured(1.0, 4), job_1002=development) == (None, reason)
    longer = NodesEnergy(1.0, 8 * 3600, 4 * 3600)
    assert ratio_of(*runs, job_1001=longer, job_1002=development) == (None, reason)


def test_ratio_reason_of_each_null_ratio_is_given() -> None:
    training = run(1, 2, labels=TRAINING_LABELS)
    development = run(2, 2, labels=DEVELOPMENT_LABELS)
    two = fully_measured(1.0, 2)
    assert ratio_of(training, development, job_1002=two) == (None, "0 % of training known")
    assert ratio_of(training, development, job_1001=two) == (None, "0 % of development known")
    both = "0 % of training, 0 % of development known"
    assert ratio_of(training, development) == (None, both)
    assert ratio_of(development, job_1002=two) == (None, "no training known")
    assert ratio_of(training, job_1001=two) == (None, "no development known")
    no_energy = fully_measured(0.0, 2)
    assert ratio_of(training, development, job_1001=no_energy, job_1002=two) == (
        None,
        "training without energy",
    )
    of_unknown_time = NodesEnergy(1.0, 3600, None)
    assert ratio_of(training, development, job_1001=of_unknown_time, job_1002=two) == (
        None,
        "an unknown part of training known",
    )
    found = report_on(training, development, nodes={("nancy", 1002): two})
    assert "Training the reported model" not in report_forms.appendix_sentence(found)


def test_ratio_devices_read_for_half_of_the_training_is_null() -> None:
    half = run(1, 10, labels=labels_of("training"), devices={"gpu": DeviceEnergy(4.0 * 3.6e6, 0.5)})
    found = report_on(half, *CAMPAIGN[1:4], paper="enhance_2025")
    assert (found.basis, found.ratio) == ("devices", None)
    assert found.ratio_reason == "50 % of training known"
    assert json.loads(report_forms.format_json(found))["ratio_reason"] == found.ratio_reason


def test_build_report_runs_of_one_job_share_its_energy_by_duration() -> None:
    first = run(1, 30, labels=labels_of("training"))
    second = run(2, 10, job_id=1001, labels=labels_of("inference"))
    found = report_on(first, second, nodes={("nancy", 1001): fully_measured(8.0, 40)})
    assert [line.nodes_kwh for line in found.lines] == [6.0, 2.0]
    assert found.total.n_jobs == 1
    only = report_on(first, second, run(3, 1, labels={"paper": "q"}), paper="q", nodes={})
    assert only.total.nodes_kwh is None


def test_build_report_nested_run_is_counted_once() -> None:
    found = report_on(run(1, 10, 4.0), run(2, 9, 3.0, within="1"))
    assert (found.total.n_runs, found.total.energy_kwh) == (1, pytest.approx(4.0))


@pytest.mark.parametrize(
    ("labels", "phase"),
    [
        ({"phase": "inference", "role": "other"}, "inference"),
        ({"kind": "training_run", "role": "reported"}, "training"),
        ({"kind": "inference_run", "role": "reported"}, "inference"),
        ({"kind": "training_run", "role": "other"}, "development"),
        ({"kind": "debug"}, "development"),
        ({"kind": "training_run"}, "not labelled"),
        ({"role": "reported"}, "not labelled"),
        ({"kind": "unknown", "role": "other"}, "not labelled"),
        ({}, "not labelled"),
    ],
)
def test_phase_of_labels_returns_stated_or_implied_phase(
    labels: dict[str, str], phase: str
) -> None:
    assert report.phase_of_labels(labels) == phase


def test_format_text_unknown_energy_is_reported_as_unknown() -> None:
    bare = run(1, None, n_gpus=None, absent={"rapl": "root alone"})
    found = report.build_report(
        LedgerContents([bare], [reading.Fault("a.jsonl", 3, reading.LINE_TRUNCATED)])
    )
    assert (found.basis, found.ratio) == ("none", None)
    assert (found.total.gpu_hours, found.total.energy_kwh) == (None, None)
    text = report_forms.format_text(found)
    assert "The end of 1 of 1 runs is unknown" in text
    assert "Not read in 1 of 1 runs: rapl: root alone." in text
    assert "Not used of the ledger: 1 line (the line is cut off; first a.jsonl:3)." in text
    assert text.splitlines()[-1].endswith("its energy is unknown.")
    assert "█" not in text


def test_build_report_no_run_raises_input_error_with_papers() -> None:
    with pytest.raises(InputError, match=r"no paper 'x'; choose among another, enh"):
        report_on(*CAMPAIGN, paper="x")
    with pytest.raises(InputError, match="no run was tracked"):
        report_on()


def test_format_text_campaign_has_table_bars_and_sentence() -> None:
    text = report_forms.format_text(report_on(*CAMPAIGN, paper="enhance_2025"))
    assert text.splitlines()[0] == "enhance_2025, 2025-03-11 to 2025-03-14"
    assert re.search(r"^development +2 +2 +25\.0 +50\.0 +– +– +8 +100%$", text, re.M)
    assert re.search(r"^development  █{40} 8 kWh$", text, re.M)
    assert re.search(r"^training     █{20} 4 kWh$", text, re.M)
    assert "Read from the GPUs alone, without the rest of the nodes" in text


def test_format_markdown_campaign_has_table_of_equal_width() -> None:
    text = report_forms.format_markdown(report_on(*CAMPAIGN))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == 2 + 4 + 1
    assert "\n> Research for this work used" in text


def test_format_latex_special_characters_are_escaped() -> None:
    text = report_forms.format_latex(report_on(*CAMPAIGN, paper="enhance_2025"))
    assert r"enhance\_2025" in text
    assert re.search(r"(?<!\\)_", text) is None
    assert re.search(r"(?<!\\)%", text) is None
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert r"development & \rule{60.0mm}{2mm} 8 kWh \\" in text


def test_format_json_campaign_has_all_fields() -> None:
    found = json.loads(report_forms.format_json(report_on(*CAMPAIGN, paper="enhance_2025")))
    assert found["total"]["n_runs"] == 4
    assert found["phases"][0]["devices_kwh"] == {"gpu": 4.0}
    assert found["phases"][0]["nodes_kwh"] is None
    assert found["ratio"] == 2.0


def run_report(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "footprint", "report", *words],
        env=environment(folder),
        capture_output=True,
        check=False,
        text=True,
    )


def test_report_command_reads_ledger_and_study(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    start = {"format": 1, "record": "start", "id": "a", "at": "2025-03-10T08:00:00Z", "host": HOST}
    start |= {"oar": {"job_id": 7}, "labels": {"paper": "p", "phase": "training"}}
    stop = {"format": 1, "record": "stop", "id": "a", "at": "2025-03-10T09:00:00Z"}
    lines = [start, stop | {"duration_s": 3600.0, "exit_status": 0}]
    (ledger / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    energy = tmp_path / "study/results/energy/jobs.parquet"
    missing = run_report(tmp_path, "--directory", str(tmp_path / "study"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "run the workflow first" in missing.stderr
    energy.parent.mkdir(parents=True)
    row = {
        "site": "nancy",
        "job_id": 7,
        "measured_kwh": 2.0,
        "total_kwh": 2.5,
        "total_low_kwh": 2.2,
        "total_high_kwh": 3.0,
        "unknown_node_h": 1.0,
        "duration_s": 1800.0,
        "coverage_frac": 0.5,
        "started_at": datetime(2025, 3, 10, 8, tzinfo=UTC),
        "stopped_at": datetime(2025, 3, 10, 9, tzinfo=UTC),
        "flags": ["still_running"],
    }
    rows = [
        row,
        # half of the hour lies before the study
        row | {"job_id": 8, "flags": ["starts_before_window"]},
        row | {"job_id": 9, "flags": ["ends_after_window"]},
        row | {"job_id": 10, "flags": ["nodes_outside_study"]},
        row | {"job_id": 11, "flags": ["ends_after_window"], "stopped_at": None},
        row | {"job_id": 12, "flags": ["starts_before_window"], "stopped_at": None},
        row | {"job_id": 13, "total_kwh": None},
        row | {"job_id": 14, "unknown_node_h": 0.0},
    ]
    pl.DataFrame(rows).write_parquet(energy)
    energies = read_job_energies(tmp_path / "study")
    fractions = {7: 0.5, 8: 0.25, 9: 0.25, 10: None, 11: 0.5, 12: None, 14: 1.0}
    assert {job: energy.known_frac for (_, job), energy in energies.items()} == fractions
    study = ["--directory", str(tmp_path / "study")]
    found = json.loads(run_report(tmp_path, "--json", "--paper", "p", *study).stdout)
    assert (found["phases"][0]["nodes_kwh"], found["phases"][0]["nodes_frac"]) == (2.5, 0.5)
    assert found["phases"][0]["nodes_measured_frac"] == 0.8
    assert (
        "used 2.50 kWh of electricity at the compute nodes of Nancy in 1 run on 10 March 2025 "
        "(interval of at least 95 %: 2.20 to 3.00; 80 % measured, the rest estimated). Training"
    ) in found["sentence"]
    assert "training" in run_report(tmp_path).stdout
    assert r"\toprule" in run_report(tmp_path, "--format", "latex").stdout
    wrong = run_report(tmp_path, "--ledger", str(tmp_path / "none"))
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)


def test_report_command_bad_lines_and_open_files_are_told(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    start = {"format": 1, "record": "start", "id": "a", "at": "2025-03-10T08:00:00Z"}
    (ledger / "a.jsonl").write_text(f"{json.dumps(start)}\n{{\nnot JSON }}\n{{\n")
    (ledger / "a.jsonl").chmod(0o644)
    (ledger / "b.jsonl").write_text("\n")
    (ledger / "b.jsonl").chmod(0o600)
    done = run_report(tmp_path)
    assert done.returncode == 0
    assert (
        "Not used of the ledger: 2 lines (the line is cut off; first a.jsonl:2); 1 line (the line "
        "is no record; first a.jsonl:3); 1 file (the file is empty; first b.jsonl)."
    ) in " ".join(done.stdout.split())
    assert done.stderr.count("\n") == 1
    assert "1 files of the ledger are open to other accounts by their mode" in done.stderr
    assert "chmod -R go-rwx" in done.stderr
    (ledger / "a.jsonl").write_text("{\n")
    (ledger / "a.jsonl").chmod(0o600)
    none = run_report(tmp_path)
    assert (none.returncode, none.stderr.count("\n")) == (1, 1)
    assert "2 lines or files not used; first a.jsonl:1: the line is cut off" in none.stderr
