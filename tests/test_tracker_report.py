"""`footprint report`: what tracked runs used, in every form, with what is not known."""

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
from tracking import environment

from footprint.errors import InputError
from footprint.tracker import reading, report, report_forms
from footprint.tracker.reading import Energy, Read, Run
from footprint.tracker.report import Measured

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOST = "gruss-1.nancy.grid5000.fr"


def run(number: int, hours: float | None, gpu_kwh: float | None = None, **changes: Any) -> Run:
    devices = {} if gpu_kwh is None else {"gpu": Energy(gpu_kwh * 3.6e6, 1.0)}
    given: dict[str, Any] = {
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
    return Run(**given | changes)


def labelled(phase: str) -> dict[str, str]:
    return {"paper": "enhance_2025", "phase": phase}


CAMPAIGN = [
    run(1, 10, 4.0, labels=labelled("training")),
    run(2, 20, 6.0, labels=labelled("development")),
    run(3, 5, 2.0, labels=labelled("development"), end="seen"),
    run(4, 1, 0.5, labels=labelled("inference")),
    run(5, 8, 3.0, labels={"paper": "another"}),
]


def told(*runs: Run, **given: Any) -> report.Report:
    return report.report(Read(list(runs), []), **given)


def whole(energy_kwh: float, hours: float) -> Measured:
    """A job that was measured in all of its time."""
    return Measured(energy_kwh, hours * 3600, hours * 3600)


def test_runs_are_summed_by_phase() -> None:
    found = told(*CAMPAIGN, paper="enhance_2025")
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


def test_energies_of_the_nodes_go_before_those_of_devices() -> None:
    nodes = {
        ("nancy", 1001): whole(10.0, 10),
        ("nancy", 1002): Measured(30.0, 8 * 3600, 20 * 3600),
        ("lyon", 1003): whole(99.0, 5),
    }
    found = told(*CAMPAIGN, paper="enhance_2025", nodes=nodes)
    assert (found.basis, found.total.nodes_kwh) == ("nodes", 40.0)
    # 8 of 25 hours of development: a ratio of 30 to 10 kWh would count it for a third
    assert (found.ratio, found.ratio_reason) == (None, "32 % of development measured")
    assert found.total.n_measured == 2  # the job of Lyon is another with the same number
    doubts = " ".join(report_forms.doubts(found))
    assert "Of 2 of 4 runs the study measured nothing" in doubts
    assert "measured the nodes in 50% of the time that was tracked" in doubts
    assert (
        "took 40 kWh over 4 runs; training the reported model took 10 kWh of it, a ratio is not "
        "given (32 % of development measured)." in report_forms.sentence(found)
    )
    nodes[("nancy", 1002)] = whole(30.0, 20)
    nodes[("nancy", 1003)] = Measured(6.0, 2.5 * 3600, 5 * 3600)
    complete = told(*CAMPAIGN, paper="enhance_2025", nodes=nodes)
    assert (complete.ratio, complete.ratio_reason) == (pytest.approx(3.6), None)


TRAINED, TRIED = labelled("training"), labelled("development")


def ratio_of(*runs: Run, **jobs: Measured) -> tuple[float | None, str | None]:
    nodes = {("nancy", int(name.removeprefix("job_"))): of_job for name, of_job in jobs.items()}
    found = told(*runs, nodes=nodes)
    return found.ratio, found.ratio_reason


def test_ratio_job_measured_for_half_of_its_time_is_null() -> None:
    # held 10 h, tracked for 5 h of it; the study measured 5 h
    runs = run(1, 5, labels=TRAINED), run(2, 2, labels=TRIED)
    half = Measured(1.0, 5 * 3600, 10 * 3600)
    assert ratio_of(*runs, job_1001=half, job_1002=whole(1.0, 2)) == (
        None,
        "50 % of training measured",
    )
    assert ratio_of(*runs, job_1001=whole(2.0, 10), job_1002=whole(1.0, 2)) == (0.5, None)


def test_ratio_time_measured_of_one_job_does_not_count_for_another() -> None:
    # two trainings of 2 h tracked: 4 h of one job were measured, none of the other
    runs = run(1, 2, labels=TRAINED), run(3, 2, labels=TRAINED), run(2, 2, labels=TRIED)
    reason = "50 % of training measured"
    assert ratio_of(*runs, job_1001=whole(1.0, 4), job_1002=whole(1.0, 2)) == (None, reason)
    longer = Measured(1.0, 8 * 3600, 4 * 3600)
    assert ratio_of(*runs, job_1001=longer, job_1002=whole(1.0, 2)) == (None, reason)


def test_ratio_has_a_reason_where_it_is_null() -> None:
    training, development = run(1, 2, labels=TRAINED), run(2, 2, labels=TRIED)
    two = whole(1.0, 2)
    assert ratio_of(training, development, job_1002=two) == (None, "0 % of training measured")
    assert ratio_of(training, development, job_1001=two) == (None, "0 % of development measured")
    said = "0 % of training, 0 % of development measured"
    assert ratio_of(training, development) == (None, said)
    assert ratio_of(development, job_1002=two) == (None, "no training known")
    assert ratio_of(training, job_1001=two) == (None, "no development known")
    nothing = whole(0.0, 2)
    assert ratio_of(training, development, job_1001=nothing, job_1002=two) == (
        None,
        "training without measured energy",
    )
    unknown = Measured(1.0, 3600, None)
    assert ratio_of(training, development, job_1001=unknown, job_1002=two) == (
        None,
        "an unknown part of training measured",
    )
    found = told(training, development, nodes={("nancy", 1002): two})
    assert "a ratio is not given (0 % of training measured)" in report_forms.sentence(found)


def test_ratio_devices_read_for_half_of_the_training_is_null() -> None:
    half = run(1, 10, labels=labelled("training"), devices={"gpu": Energy(4.0 * 3.6e6, 0.5)})
    found = told(half, *CAMPAIGN[1:4], paper="enhance_2025")
    assert (found.basis, found.ratio) == ("devices", None)
    assert found.ratio_reason == "50 % of training measured"
    assert json.loads(report_forms.as_json(found))["ratio_reason"] == found.ratio_reason


def test_runs_of_one_job_share_its_energy_by_their_time() -> None:
    first = run(1, 30, labels=labelled("training"))
    second = run(2, 10, job_id=1001, labels=labelled("inference"))
    found = told(first, second, nodes={("nancy", 1001): whole(8.0, 40)})
    assert [line.nodes_kwh for line in found.lines] == [6.0, 2.0]
    assert found.total.n_jobs == 1
    only = told(first, second, run(3, 1, labels={"paper": "q"}), paper="q", nodes={})
    assert only.total.nodes_kwh is None


def test_runs_inside_others_are_not_counted_again() -> None:
    found = told(run(1, 10, 4.0), run(2, 9, 3.0, within="1"))
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
def test_the_phase_is_what_labels_say_or_imply(labels: dict[str, str], phase: str) -> None:
    assert report.phase(labels) == phase


def test_what_is_not_known_is_said_and_is_not_nothing() -> None:
    bare = run(1, None, n_gpus=None, absent={"rapl": "root alone"})
    found = report.report(Read([bare], [reading.Fault("a.jsonl", 3, reading.CUT)]))
    assert (found.basis, found.ratio) == ("none", None)
    assert (found.total.gpu_hours, found.total.energy_kwh) == (None, None)
    said = report_forms.text(found)
    assert "The end of 1 of 1 runs is not known" in said
    assert "Not read in 1 of 1 runs: rapl: root alone." in said
    assert "Lines of the ledger that cannot be used: a.jsonl:3: the line is cut off." in said
    assert said.splitlines()[-1].endswith("its energy is unknown.")
    assert "█" not in said


def test_no_run_is_a_mistake_that_is_explained() -> None:
    with pytest.raises(InputError, match=r"no run of 'x' .*papers of the ledger are another, enh"):
        told(*CAMPAIGN, paper="x")
    with pytest.raises(InputError, match="no run was tracked"):
        told()


def test_text_has_a_table_a_figure_and_a_sentence() -> None:
    said = report_forms.text(told(*CAMPAIGN, paper="enhance_2025"))
    assert said.splitlines()[0] == "enhance_2025, 2025-03-11 to 2025-03-14"
    assert re.search(r"^development +2 +2 +25\.0 +50\.0 +– +8 +100%$", said, re.M)
    assert re.search(r"^development  █{40} 8 kWh$", said, re.M)
    assert re.search(r"^training     █{20} 4 kWh$", said, re.M)
    assert "read from the GPUs alone, without the rest of the nodes" in said


def test_markdown_is_a_table_of_equal_width() -> None:
    said = report_forms.markdown(told(*CAMPAIGN))
    rows = [line for line in said.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == 2 + 4 + 1
    assert "\n> The development of this work took" in said


def test_latex_escapes_what_people_write() -> None:
    said = report_forms.latex(told(*CAMPAIGN, paper="enhance_2025"))
    assert r"enhance\_2025" in said
    assert re.search(r"(?<!\\)_", said) is None
    assert re.search(r"(?<!\\)%", said) is None
    assert said.count(r"\begin{") == said.count(r"\end{") == 4
    assert r"development & \rule{60.0mm}{2mm} 8 kWh \\" in said


def test_json_is_for_machines() -> None:
    found = json.loads(report_forms.as_json(told(*CAMPAIGN, paper="enhance_2025")))
    assert found["total"]["n_runs"] == 4
    assert found["phases"][0]["devices_kwh"] == {"gpu": 4.0}
    assert found["phases"][0]["nodes_kwh"] is None
    assert found["ratio"] == 2.0


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "footprint", "report", *words],
        env=environment(folder),
        capture_output=True,
        check=False,
        text=True,
    )


def test_the_command_reads_a_ledger_and_a_study(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    start = {"format": 1, "record": "start", "id": "a", "at": "2025-03-10T08:00:00Z", "host": HOST}
    start |= {"oar": {"job_id": 7}, "labels": {"paper": "p", "phase": "training"}}
    stop = {"format": 1, "record": "stop", "id": "a", "at": "2025-03-10T09:00:00Z"}
    lines = [start, stop | {"duration_s": 3600.0, "exit_status": 0}]
    (ledger / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    energy = tmp_path / "study/results/energy/jobs.parquet"
    missing = command(tmp_path, "--directory", str(tmp_path / "study"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "run the workflow first" in missing.stderr
    energy.parent.mkdir(parents=True)
    row = {
        "site": "nancy",
        "job_id": 7,
        "energy_kwh": 2.5,
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
        row | {"job_id": 13, "energy_kwh": None},
    ]
    pl.DataFrame(rows).write_parquet(energy)
    of_jobs = report.of_study(tmp_path / "study")
    parts = {7: 0.5, 8: 0.25, 9: 0.25, 10: None, 11: 0.5, 12: None}
    assert {job: of_job.measured_frac for (_, job), of_job in of_jobs.items()} == parts
    study = ["--directory", str(tmp_path / "study")]
    found = json.loads(command(tmp_path, "--json", "--paper", "p", *study).stdout)
    assert (found["phases"][0]["nodes_kwh"], found["phases"][0]["nodes_frac"]) == (2.5, 0.5)
    assert "training" in command(tmp_path).stdout
    assert r"\toprule" in command(tmp_path, "--format", "latex").stdout
    wrong = command(tmp_path, "--ledger", str(tmp_path / "none"))
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)
