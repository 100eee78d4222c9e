"""A study of which everything optional is damaged: its energies, and what it says at its end."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.support.project import Project, configure

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n"
DAMAGED_FILES = {
    "README.md": b"# Read me\n",
    "lfs.json": POINTER,
    "empty": b"",
    "cut.json.gz": gzip.compress(b"[{}]" * 99)[:-5],
    "deep.json": b"[" * 100_000,
    "bomb.json.gz": gzip.compress(bytes(150 << 20)),
}


def damage_optional_files(folder: Path) -> None:
    """Add damaged files of every optional kind to the folder of a study."""
    for name in ("states", "devices", "recorded"):
        where = folder / "exports" / name
        where.mkdir(exist_ok=True)
        (where / "gone").symlink_to("nowhere")
        for file, content in DAMAGED_FILES.items():
            (where / file).write_bytes(content)
    (folder / "ledgers").mkdir()
    (folder / "ledgers/torn.jsonl").write_bytes(b"\0" * 99)
    states = ["gone-1,dead,1741003200,", "grele-1,dead,1741003200,", "grele-1,absent,1741003200,"]
    states += ["grele-9,absent,1741003200,"]
    (folder / "exports/states/contradictory.csv").write_text(
        "\n".join(["node,state,from,to", *states])
    )
    (folder / "jobs.parquet").write_bytes(b"PAR1")
    (folder / "users.csv").write_text("year,active_users\n2024,many\n")
    (folder / "eco2mix.xls").write_bytes(POINTER)
    (folder / "epoch.csv").write_bytes("Model".encode("utf-16"))


@pytest.mark.slow
@pytest.mark.workflow
def test_study_with_damaged_optional_files_gives_its_energies(
    shared_cases: Path, tmp_path: Path
) -> None:
    tables, output = {}, ""
    project = Project(tmp_path)
    for name in ("whole", "damaged"):
        folder = tmp_path / name
        folder.mkdir()
        script = [sys.executable, str(shared_cases / "make_study.py")]
        subprocess.run(script, cwd=folder, check=True)
        config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        if name == "damaged":
            damage_optional_files(folder)
            config["labels"] = {"files": [], "ledgers": ["ledgers"]}
            config |= {"carbon": {"eco2mix": "eco2mix.xls"}, "epoch": {"file": "epoch.csv"}}
            config["usage"] = {"history": "jobs.parquet", "statistics": "users.csv"}
        configure(folder, **json.loads(json.dumps(config, default=str)))
        targets = ["results/energy/jobs.parquet"] if name == "whole" else []
        done = project.run(folder, "--cores", "2", *targets)
        output = done.output
        tables[name] = pl.read_parquet(folder / "results/energy/jobs.parquet")
    energies = pl.col("job_id", "measured_kwh", "total_kwh")
    assert tables["damaged"].select(energies).equals(tables["whole"].select(energies))
    end = output.partition("rejected rows and limits of the input")[2]
    assert "states: a pointer of Git LFS: the file itself was not fetched: 1 (states/lfs" in end
    assert "more reasons: energy/rejected.parquet" in end
    rejected = pl.read_parquet(tmp_path / "damaged/results/energy/rejected.parquet")
    assert {"ledger", "carbon", "models"} <= set(rejected["stage"])
    for stage in ("devices", "states", "recorded"):
        of_files = rejected.filter(pl.col("stage") == stage, pl.col("source") != "states of nodes")
        assert len(of_files) == len(DAMAGED_FILES) + 1
    of_states = rejected.filter(source="states of nodes").sort("reason")
    assert of_states.select("reason", "n_rows").rows() == [
        ("another state of the node from the same time on: neither is used", 2),
        ("node that is not described", 2),
    ]
    of_usage = rejected.filter(stage="usage").sort("source")
    assert of_usage.select("source", "reason").rows() == [
        ("usage.history", "not a Parquet file of jobs"),
        ("usage.statistics", "active_users is 'many', not a whole number from 0 on"),
    ]
    (users,) = pl.read_parquet(tmp_path / "damaged/results/active_users.parquet").to_dicts()
    assert users["basis"] == "jobs"


@pytest.mark.slow
@pytest.mark.workflow
def test_study_with_wrong_eco2mix_gives_its_energies_and_fails_at_its_end(
    shared_cases: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    folder = tmp_path / "study"
    folder.mkdir()
    script = [sys.executable, str(shared_cases / "make_study.py")]
    subprocess.run(script, cwd=folder, check=True)
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    header = "Date;Heures;Taux de CO2\n"
    (folder / "old.csv").write_text(f"{header}2024-03-03;09:00;20\n")
    (folder / "wrong.csv").write_text(f"{header}2025-03-03;09:00;20\n2025-03-03;10:00;inf\n")
    config["carbon"] = {"eco2mix": ["old.csv", "wrong.csv"]}
    configure(folder, **json.loads(json.dumps(config, default=str)))
    targets = ["results/carbon.parquet", "results/summary.md"]
    done = project.run(folder, "--cores", "2", *targets, status=1)
    assert "Traceback" not in done.output
    errors = [line for line in done.output.splitlines() if line.startswith("ERROR: carbon.eco2mix")]
    assert sorted(errors) == [
        "ERROR: carbon.eco2mix: old.csv: 2024-03-03 to 2024-03-03: no value lies in the study (1 "
        "values), so that the file is not used; name a file of the study's days, or remove the "
        "file from carbon.eco2mix",
        "ERROR: carbon.eco2mix: wrong.csv:3: its intensity is not a number from 0 to 2000 (1 "
        "values), so that the file is not used; fix or remove the line, or remove the file from "
        "carbon.eco2mix",
    ]
    energies = pl.read_parquet(folder / "results/energy/jobs.parquet")["measured_kwh"]
    assert energies.null_count() == 0
    carbon = pl.read_parquet(folder / "results/carbon.parquet")
    by_hours = carbon.filter(factor="eco2mix")
    assert by_hours["carbon_kg"].null_count() == by_hours.height > 0
    assert carbon.filter(pl.col("factor") != "eco2mix")["carbon_kg"].null_count() == 0
    config["carbon"] = {"eco2mix": None}
    configure(folder, **json.loads(json.dumps(config, default=str)))
    assert "ERROR" not in project.run(folder, "--cores", "2", *targets).output
