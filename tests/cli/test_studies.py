"""The commands `init` and `run`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from footprint.cli import studies
from footprint.config import settings
from footprint.core import pseudonyms
from footprint.core.errors import InputError
from footprint.labels import files
from tests.support.cli import run_cli

ROOT = Path(__file__).parents[2]
DAYS = ("--site", "nancy", "--start", "2025-03-03", "--end", "2025-04-28")


def test_init_writes_a_study_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, key = tmp_path / "study", tmp_path / "keys/my.key"
    result = run_cli("init", folder, "--source", "grid5000", *DAYS, "--key", key)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        *(f"wrote {path}" for path in (folder / "config.yaml", folder / "labels.yaml", key)),
        f"next: footprint plan --directory {folder}",
        f"next: footprint run {folder}",
    ]
    monkeypatch.chdir(folder)
    config = settings.prepare_configuration(settings.read_configuration_files(["config.yaml"]))
    assert config["study"]["site"] == "nancy"
    assert str(config["study"]["end"]) == "2025-04-28"
    assert config["labels"]["files"] == ["labels.yaml"]
    assert files.read_labels(config["labels"]["files"]) == []
    assert len(pseudonyms.load_key(config["privacy"]["key"], simulated=False)) == 64
    assert key.stat().st_mode & 0o077 == 0


def test_init_uses_an_existing_key_and_keeps_labels(tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    data = tmp_path / "tables"
    data.mkdir()
    for number in (1, 2):
        folder = tmp_path / f"study {number}"
        given = ("--source", "generic", "--data", data, *DAYS, "--key", key)
        assert run_cli("init", folder, *given).exit_code == 0
        text = key.read_text()
    assert key.read_text() == text
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["source"] == {"kind": "generic", "directory": str(data)}
    before = (folder / "config.yaml").read_text()
    result = run_cli("init", folder, *given)
    assert result.exit_code == 1
    assert result.output.startswith(f"{folder}/config.yaml: exists already; ")
    assert (folder / "config.yaml").read_text() == before


def test_init_of_the_simulated_site_needs_no_key(tmp_path: Path) -> None:
    result = run_cli("init", tmp_path, "--source", "simulated", *DAYS, "--key", tmp_path / "key")
    assert result.exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--start", "2025-13-01"), "study.start: "),
        (("--end", "2025-03-01"), "study.end: 2025-03-01 is not after study.start"),
        (("--source", "exports", "--data", "nowhere"), "nowhere: there is no such folder"),
        (("--key", "short.key"), "privacy.key "),
    ],
)
def test_init_with_a_bad_answer_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.key").write_text("short")
    given = ("--source", "grid5000", "--key", "new.key", *DAYS)
    result = run_cli("init", "study", *given, *changes)
    assert result.exit_code == 1
    assert result.output.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["short.key"]


def test_init_without_a_terminal_names_the_missing_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    result = run_cli("init", tmp_path / "study", "--source", "simulated")
    assert result == (1, "--site: missing; set it, or run this in a terminal\n")


def test_init_asks_what_no_option_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["simulated", "", "lyon", "2025-03-03", "2025-03-04"])
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    assert run_cli("init", tmp_path).exit_code == 0
    assert len(asked) == 5  # an empty answer is asked again
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["study"]["site"] == "lyon"


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that replaced the process."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: calls.append(words))
    return calls


def test_run_calls_snakemake_in_the_folder(tmp_path: Path, executed: list[list[str]]) -> None:
    (tmp_path / "config.yaml").touch()
    begin = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    result = run_cli("run", tmp_path, "--cores", "3", "--", "-n", "all")
    assert result.output == f"snakemake {' '.join(executed[0][3:])}\n"
    assert executed == [[*begin, "--directory", str(tmp_path), "--cores", "3", "-n", "all"]]
    run_cli("run", tmp_path)
    assert executed[1][-2:] == ["--cores", str(len(os.sched_getaffinity(0)))]
    run_cli("run", tmp_path, "--oar")
    assert executed[2][-2:] == ["--profile", str(ROOT / "profiles/grid5000")]
    assert run_cli("run", tmp_path, "--oar", "--cores", "2").output.startswith("--cores: OAR")


def test_run_without_a_study_is_refused(tmp_path: Path, executed: list[list[str]]) -> None:
    result = run_cli("run", tmp_path)
    assert result.exit_code == 1
    assert result.output == (
        f"{tmp_path}/config.yaml: there is no such file; "
        f"make the study with `footprint init {tmp_path}`\n"
    )
    assert executed == []


def test_run_without_the_workflow_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel has the library alone."""
    (tmp_path / "config.yaml").touch()
    monkeypatch.setattr(studies, "__file__", str(tmp_path / "a/b/c/d/e.py"))
    with pytest.raises(InputError, match="the workflow is not installed with this package"):
        studies.snakemake_command(tmp_path, cores=1, oar=False, options=[])


@pytest.mark.workflow
def test_dry_run_of_a_new_study_plans_its_rules(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert run_cli("init", folder, "--source", "simulated", *DAYS).exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", "footprint", "run", str(folder), "--", "-n"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "write_report" in done.stdout
