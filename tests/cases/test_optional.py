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
        assert len(rejected.filter(stage=stage)) == len(DAMAGED_FILES) + 1
