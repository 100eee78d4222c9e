"""Files of other tools, from the folders `tools-*` of FOOTPRINT_SHARED_CASES."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest
import yaml

from footprint.estimators import recorded_runs
from footprint.labels import files as label_files
from footprint.levels import eco2mix
from footprint.schemas.raw import RejectedRows
from footprint.sources.exports import folders
from footprint.sources.registry import open_site
from footprint.sources.tool_logs import runs as recorded_files
from tests.support.project import Project, configure

pytestmark = pytest.mark.filterwarnings("error")

START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 3, 4, tzinfo=UTC)
JOB, PAIR, LATER = 4_288_294, 4_288_310, 4_288_295
SAME_MACHINE_AND_TIME = "the same machine, at the same time"
UNEQUAL_PARTS = "its parts do not add up to its total: used without parts"
EXPECTED_RECORDS = {
    "tools-01-torn-line": ({JOB: 0.3}, {"a time cannot be read": 1}),
    # half a run with the parts of a whole one; the task of 40 s too
    "tools-02-shifted-rows": ({JOB: 0.3}, {UNEQUAL_PARTS: 2}),
    "tools-03-ranks": ({JOB: 0.3}, {SAME_MACHINE_AND_TIME: 3}),
    "tools-05-one-of-two-nodes": ({PAIR: 0.3}, {}),
    "tools-07-gpu-without-counter": (
        {},
        {"GPUs are listed and their energy is 0: it was not read": 1},
    ),
    "tools-08-codecarbon-1": ({JOB: 0.3}, {}),
    "tools-09-tasks-only": ({JOB: 0.293}, {UNEQUAL_PARTS: 2}),
    # five files of the same time; each is matched with its job
    "tools-11-job-id-in-names": ({JOB: 0.3}, {SAME_MACHINE_AND_TIME: 4}),
    "tools-12-other-file": ({JOB: 0.3}, {"of no tool that is known": 1, "the file is empty": 1}),
    # 58 minutes of (120 + 80) W of GPUs and (60 + 55) W of processors, by both versions
    "tools-13-carbontracker-prefix": ({JOB: 0.315 * 58 / 60}, {SAME_MACHINE_AND_TIME: 1}),
    "tools-22-ledger-as-recorded": (
        {JOB: 0.3},
        {"a ledger of the tracker: labels.ledgers names its folder": 1},
    ),
}
"""Energy by job in kWh, and counts of rejected or limited records by reason, of each folder."""


@pytest.fixture(scope="module")
def study(shared_cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the study that the records belong to."""
    folder = tmp_path_factory.mktemp("study")
    script = shared_cases / "make_study.py"
    subprocess.run([sys.executable, str(script)], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("case", EXPECTED_RECORDS)
def test_case_of_records_gives_energies_and_rejected_counts(
    shared_cases: Path, study: Path, case: str
) -> None:
    site = open_site({"kind": "exports", "directory": str(study / "exports")}, site="nancy")
    jobs = site.jobs(start=START, end=END)
    folder = shared_cases / case / "recorded"
    files = folders.recorded_files(folder)
    runs = recorded_files.parse_runs((folders.relative_name(path, folder), path) for path in files)
    found = recorded_runs.match_runs_to_jobs(runs, jobs.jobs, jobs.allocations, site.nodes())
    energies, reasons = EXPECTED_RECORDS[case]
    assert dict(found.jobs.select("job_id", "energy_kwh").iter_rows()) == pytest.approx(energies)
    counted = found.rejected.group_by("reason").agg(pl.col("n_rows").sum())
    assert dict(counted.iter_rows()) == reasons
    if energies and (UNEQUAL_PARTS in reasons or case == "tools-08-codecarbon-1"):
        parts = found.jobs.select("gpu_kwh", "cpu_kwh", "memory_kwh").row(0)
        assert parts == (None, None, None)
    if case == "tools-05-one-of-two-nodes":  # not compared with the energy of both
        assert found.jobs["least_node_s"].to_list() == [0.0]


@pytest.mark.parametrize(
    ("file", "n_values"),
    [
        ("tools-14-eco2mix-api/a-technical.csv", 48),
        ("tools-16-eco2mix-short-year/eco2mix.csv", None),
    ],
)
def test_case_of_eco2mix_gives_intensities_of_the_day(
    shared_cases: Path, file: str, n_values: int | None
) -> None:
    found = eco2mix.read_study_intensity([shared_cases / file], start=START, end=END)
    assert found.rejected.is_empty()
    assert n_values in (None, found.intensity.height)
    inside = found.intensity.filter(pl.col("timestamp").is_between(START, END, closed="left"))
    assert inside.height >= 46  # the last hour in UTC is of the next day in Paris
    assert found.intensity["g_per_kwh"].is_between(15, 100).all()


@pytest.mark.parametrize(
    ("file", "paper", "kind", "role", "phase"),
    [
        ("a-semicolon-bom.csv", "Débruitage-2025", "training_run", "reported", "training"),
        ("c-floatid.csv", "p", None, None, None),
        ("m-trailing-comma.csv", "p", None, None, None),
    ],
)
def test_case_of_spreadsheet_labels_is_read_as_meant(
    shared_cases: Path, file: str, paper: str, kind: str, role: str, phase: str
) -> None:
    path = shared_cases / "tools-18-excel-labels" / file
    (label,) = label_files.read_labels([path])
    assert label == label_files.Label(
        where=f"{path}:2", jobs=(JOB,), paper=paper, kind=kind, role=role, phase=phase
    )


def write_processor_series(path: Path) -> None:
    """Half of grele-1's threads busy in JOB and LATER; 50 W a processor, counted in JOB alone."""
    lines = ["timestamp,device,metric_id,value,labels"]
    for hour in (8, 10):
        start_s = int(START.timestamp()) + hour * 3600
        for s in range(-60, 3660, 15):
            lines.append(f"{start_s + s},grele-1,prom_node_load1,24,{{}}")
            if hour == 8:
                lines += [
                    f"{start_s + s},grele-1,prom_node_rapl_package_joules_total,{50 * (s + 60)},"
                    f'"{{""index"": ""{index}""}}"'
                    for index in (0, 1)
                ]
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.workflow
def test_faulty_optional_files_do_not_stop_a_study(
    shared_cases: Path, study: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Project(tmp_path_factory.mktemp("optional"))
    config = yaml.safe_load((study / "config.yaml").read_text("utf-8"))
    config["study"] |= {key: str(config["study"][key]) for key in ("start", "end")}
    shutil.copytree(study / "exports", tmp_path / "exports")
    kept = tmp_path / "exports/recorded"
    for case in EXPECTED_RECORDS:
        shutil.copytree(shared_cases / case / "recorded", kept / case)
    for path in kept.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # the original is read-only
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
    (kept / "pointer.csv").write_bytes(pointer)
    (kept / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (kept / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (kept / "gone.csv").symlink_to("nowhere.csv")
    ledger = tmp_path / "ledger"
    shutil.copytree(kept / "tools-22-ledger-as-recorded", ledger)
    (ledger / "torn.jsonl").write_bytes(b'{"format": 1, "rec\n' + b"[" * 100_000)
    (ledger / "gone.jsonl").symlink_to("nowhere.jsonl")
    write_processor_series(tmp_path / "exports/devices/grele-1.csv")
    (tmp_path / "eco2mix.csv").write_bytes(pointer)
    (tmp_path / "epoch.csv").write_bytes(pointer)
    config["labels"]["ledgers"] = ["ledger"]
    configure(tmp_path, **config, carbon={"eco2mix": "eco2mix.csv"}, epoch={"file": "epoch.csv"})
    ends = ("energy/jobs", "energy/rejected", "levels", "carbon", "estimates/jobs", "ledger")
    targets = [f"results/{end}.parquet" for end in ends]
    project.run(
        tmp_path, "--cores", "2", *targets, "results/tables/carbon.csv", "results/summary.md"
    )

    def table(name: str) -> pl.DataFrame:
        return pl.read_parquet(tmp_path / f"results/{name}.parquet")

    # measured energies are as without these files: 500 W for an hour, both nodes
    measured = dict(table("energy/jobs").select("job_id", "measured_kwh").iter_rows())
    assert measured[JOB] == pytest.approx(0.5, rel=0.01)
    rejected = table("energy/rejected")
    assert RejectedRows.is_valid(rejected)
    reasons = {row["source"]: row["reason"] for row in rejected.iter_rows(named=True)}
    assert reasons["pointer.csv"] == "a pointer of Git LFS: the file itself was not fetched"
    assert reasons["cut.csv.gz"] == "the compressed file is damaged or incomplete"
    assert reasons["image.png"] == "not a text file"
    assert reasons["gone.csv"] == "a link to a file that is not there"
    assert reasons["tools-12-other-file/README.md"] == "of no tool that is known"
    assert reasons["carbon.eco2mix"] == "a pointer of Git LFS: the file itself was not fetched"
    assert reasons["epoch.file"].endswith("the built-in models replace it")
    of_ledgers = rejected.filter(pl.col("source") == "labels.ledgers")["reason"].to_list()
    assert {"the file cannot be opened", "the line is cut off"} <= set(of_ledgers)
    # hourly carbon is unknown; other results exist
    carbon = table("carbon")
    hours = carbon.filter(pl.col("factor") == "eco2mix")
    assert hours.height > 0
    assert hours["carbon_kg"].null_count() == hours.height
    assert carbon.filter(pl.col("factor") == "RTE 2024")["carbon_kg"].null_count() == 0
    assert not table("levels").is_empty()
    # a record of one of two nodes is not compared with both
    records = table("estimates/jobs").filter(pl.col("estimator").str.starts_with("recorded@"))
    compared = dict(records.select("job_id", "covered_kwh").iter_rows())
    assert compared[PAIR] is None
    assert compared[JOB] is not None
    assert LATER not in compared
    # CodeCarbon takes counters and load of devices/, and what it finds for the E5-2650 v4
    tool = {
        (row["estimator"].partition("@")[0], row["job_id"]): (row["basis"], row["cpu_kwh"])
        for row in table("estimates/jobs").iter_rows(named=True)
    }
    near = partial(pytest.approx, rel=1e-6)
    by_load_kwh = 2 * 0.105 * (0.1 + 0.9 * 0.5**3)
    assert tool["codecarbon_2", JOB] == ("series+tdp", near(0.1))
    assert tool["codecarbon_3", JOB] == ("series+tdp", near(0.1))
    assert tool["codecarbon_2", LATER] == ("tdp+any", near(0.085 / 2))
    assert tool["codecarbon_3", LATER] == ("load+tdp", near(by_load_kwh))
