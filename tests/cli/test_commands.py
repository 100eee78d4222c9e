"""The command `footprint`: its options, and its messages for bad input."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint import cli, serve
from footprint.config import plan
from footprint.core.errors import InputError
from footprint.labels import files
from footprint.schemas.labels import GroupLabels, JobLabels
from footprint.schemas.phases import GroupRuns
from tests.support.cli import run_cli

STUDY = {"study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"}}
SIMULATED = STUDY | {"source": {"kind": "simulated"}}
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working directory of the command, without environment variables that it reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOOTPRINT_SERVE_PASSWORD", raising=False)
    return tmp_path


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Configurations passed to a stand-in for the plan."""
    calls: list[dict[str, Any]] = []

    def text(config: dict[str, Any]) -> str:
        calls.append(config | {"cwd": Path.cwd()})
        return "the plan"

    monkeypatch.setattr(plan, "describe_plan", text)
    return calls


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Options passed to a stand-in for the server."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        serve, "run_server", lambda config, **options: calls.append({"config": config, **options})
    )
    return calls


def save_config(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config))
    return path


def error_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """The single error line that `main` prints for bad input."""
    monkeypatch.setattr(sys, "argv", ["footprint", *arguments])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 1
    assert exit.value.__suppress_context__  # no traceback
    result = capsys.readouterr()
    assert result.out == ""
    assert result.err.count("\n") == 1
    return result.err.rstrip("\n")


def test_footprint_without_a_command_lists_the_commands() -> None:
    result = run_cli()
    assert result.exit_code == 2
    assert "labels" in result.output
    assert "plan" in result.output
    assert "serve" in result.output


# Configuration


def test_plan_merges_config_yaml_and_later_files(
    folder: Path, planned: list[dict[str, Any]]
) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    save_config(folder / "a.yaml", {"study": {"end": "2025-03-09"}, "source": {"seed": 5}})
    save_config(folder / "b.yaml", {"source": {"seed": 6}})
    result = run_cli("plan", "--configfile", "a.yaml", "--configfile", "b.yaml")
    assert (result.exit_code, result.output) == (0, "the plan\n")
    [config] = planned
    assert config["study"]["start"] == "2025-03-03"
    assert config["study"]["end"] == "2025-03-09"
    assert config["source"]["seed"] == 6


def test_plan_needs_one_configuration_file(folder: Path, planned: list[dict[str, Any]]) -> None:
    save_config(folder / "only.yaml", SIMULATED)
    assert run_cli("plan", "--configfile", "only.yaml").exit_code == 0
    (folder / "only.yaml").rename(folder / "config.yaml")
    assert run_cli("plan").exit_code == 0
    one, other = planned
    assert one == other


def test_plan_directory_uses_the_config_yaml_of_that_folder(
    folder: Path, planned: list[dict[str, Any]]
) -> None:
    """Paths of `--configfile` are relative to the folder of the call."""
    save_config(folder / "study/config.yaml", SIMULATED)
    save_config(folder / "mine.yaml", {"source": {"seed": 7}})
    assert run_cli("plan", "--directory", "study", "--configfile", "mine.yaml").exit_code == 0
    [config] = planned
    assert config["source"]["seed"] == 7
    assert config["cwd"] == folder / "study"
    assert run_cli("plan", "--directory", "nowhere").exit_code == 2


# Bad input


def test_bad_input_prints_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "config.yaml: there is no such file; fix the path"
    assert error_line(monkeypatch, capsys, "plan") == missing
    assert error_line(monkeypatch, capsys, "serve") == missing
    save_config(folder / "config.yaml", SIMULATED)
    result = error_line(monkeypatch, capsys, "plan", "--configfile", "b.yaml")
    assert result.endswith("b.yaml: there is no such file; fix the path")
    (folder / "b.yaml").write_text("study: [")
    result = error_line(monkeypatch, capsys, "serve", "--configfile", "b.yaml")
    assert result.startswith("b.yaml:1: not YAML (")
    save_config(folder / "b.yaml", {"study": {"site": "nancy", "ende": "2025-03-04"}})
    result = error_line(monkeypatch, capsys, "serve", "--configfile", "b.yaml")
    assert result == "study.ende: unknown key; did you mean `end`?"


def test_plan_refused_by_a_service_prints_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_config(folder / "config.yaml", SIMULATED)

    def refuses(_: Any) -> str:
        raise InputError("cannot be reached", where="https://api.example.org", do="check it")

    monkeypatch.setattr(plan, "describe_plan", refuses)
    result = error_line(monkeypatch, capsys, "plan")
    assert result == "https://api.example.org: cannot be reached; check it"


def test_defect_of_the_program_keeps_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_config(folder / "config.yaml", SIMULATED)

    def breaks(_: Any) -> str:
        raise KeyError("lost")

    monkeypatch.setattr(plan, "describe_plan", breaks)
    monkeypatch.setattr(sys, "argv", ["footprint", "plan"])
    with pytest.raises(KeyError, match="lost"):
        cli.main()


# Labels


@pytest.fixture
def study(folder: Path) -> Path:
    """Study folder with two runs of 9 and 1 kWh, without labels."""
    started = datetime(2025, 3, 10, 8, tzinfo=UTC)
    runs = pl.DataFrame(
        {
            "run_id": [1, 2],
            "job_ids": [[1, 3], [2]],
            "user": ["u-00000001", "u-00000002"],
            "project": ["speech", "text"],
            "started_at": [started, started],
            "duration_s": [3600.0, 7200.0],
            "gpu_hours": [1.0, 2.0],
            "total_kwh": [1.0, 9.0],
            "kind": ["debug", "training_run"],
            "confidence": [0.9, 0.9],
            "rule": ["short", "plateau"],
        }
    ).with_columns(pl.lit(None, pl.String).alias(name) for name in ("paper", "role"))
    jobs = pl.DataFrame({"job_id": [1, 2, 3], "user": ["amy", "bob", "amy"]}).with_columns(
        name=pl.lit("n"), command=pl.lit("./run.sh"), array_id=pl.lit(None, pl.Int64)
    )
    labelled = pl.DataFrame(JobLabels.create_empty())
    features = runs.select("run_id", node_share=pl.lit(1.0), n_nodes=pl.lit(1))
    here = folder / "study"
    tables = {
        "results/phases/runs": runs,
        "results/phases/group_runs": pl.DataFrame(GroupRuns.create_empty()),
        "results/phases/features": features,
        "resources/nancy/jobs": jobs,
        "resources/nancy/labels": labelled,
        "resources/nancy/group_labels": pl.DataFrame(GroupLabels.create_empty()),
        "resources/nancy/run_of_job": pl.DataFrame({"job_id": [1, 2, 3], "run_id": [1, 2, 1]}),
    }
    for name, table in tables.items():
        path = here / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)
    return here


def test_labels_lists_groups_and_adds_each_draft_once(study: Path, folder: Path) -> None:
    result = run_cli("labels", "--directory", study)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert re.split(r"  +", lines[1].strip())[:5] == ["1", "bob", "1", "./run.sh", "group"]
    assert "90 %" in lines[1]
    assert lines[-1].startswith("2 groups of 2 runs without a labelled kind, 10.0 kWh")
    narrowed = run_cli("labels", "--directory", study, "--project", "speech", "--user", "amy")
    assert "bob" not in narrowed.output

    wanted = ["labels", "--directory", study, "--most", "1", "--write"]
    result = run_cli(*wanted, "drafts.yaml")
    assert result.output.endswith("drafts.yaml: 1 drafts added, 0 were in the file already.\n")
    written = (folder / "drafts.yaml").read_text()
    (draft,) = files.read_drafts(["drafts.yaml"])
    assert (draft.user, draft.group) == ("bob", "./run.sh")
    result = run_cli(*wanted, "drafts.yaml")
    assert "0 drafts added, 1 were in the file already." in result.output
    assert (folder / "drafts.yaml").read_text() == written


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--project", "Speach", "there is no project 'Speach'; did you mean `speech`?"),
        ("--user", "amyy", "there is no user 'amyy'; did you mean `amy`?"),
        ("--paper", "x", "there is no paper 'x'; there is no paper yet"),
    ],
)
def test_labels_of_an_unknown_name_are_refused_with_the_nearest(
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    hint: str,
) -> None:
    text = error_line(monkeypatch, capsys, "labels", "--directory", str(study), option, value)
    assert text == f"{option}: {hint}"


def test_serve_takes_no_password_on_the_command_line(
    folder: Path, served: list[dict[str, Any]]
) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    result = run_cli("serve", "--username", "me", "--password", PASSWORD)
    assert result.exit_code == 2
    assert not served


def test_labels_without_results_or_site_is_refused(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = error_line(monkeypatch, capsys, "labels")
    assert result == (
        "results/phases/runs.parquet: there is no such file yet; run the workflow first, or name "
        "its folder with --directory"
    )
    here = ["labels", "--directory", str(study)]
    result = error_line(monkeypatch, capsys, *here, "--write", str(study / "results/drafts.yaml"))
    assert "label files hold logins, and results/ is published" in result
    assert "rows are written to YAML files only" in error_line(
        monkeypatch, capsys, *here, "--write", "drafts.csv"
    )
    result = error_line(monkeypatch, capsys, *here, "--site", "lyon")
    assert "resources/lyon/labels.parquet: there is no such file yet" in result
    (study / "resources/lyon").mkdir()
    (study / "resources/lyon/labels.parquet").touch()
    result = error_line(monkeypatch, capsys, *here)
    assert result == "--site: there are several sites (lyon, nancy); choose one"
    assert run_cli(*here, "--site", "nancy").exit_code == 0
    assert run_cli(*here, "--most", "0").exit_code == 2


# Serving


def test_serve_without_options_has_the_defaults(folder: Path, served: list[dict[str, Any]]) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    assert run_cli("serve").exit_code == 0
    [call] = served
    faults = call.pop("faults")
    assert call.pop("config")["source"]["kind"] == "simulated"
    assert call == {"port": 8642, "access": serve.Access()}
    assert faults.choose_fault("/sites", can_be_too_much=True) is None


def test_serve_passes_its_options_to_the_server(folder: Path, served: list[dict[str, Any]]) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    options = ["--port", "0", "--username", "alice", "--faults", "1", "--seed", "3"]
    result = run_cli("serve", *options, FOOTPRINT_SERVE_PASSWORD=PASSWORD)
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    [call] = served
    expected = serve.Faults(seed=3, rate=1)
    faults = call.pop("faults")
    kinds = [faults.choose_fault(f"/{number}", can_be_too_much=True) for number in range(20)]
    assert kinds == [expected.choose_fault(f"/{n}", can_be_too_much=True) for n in range(20)]
    assert None not in kinds
    del call["config"]
    assert call == {"port": 0, "access": serve.Access("alice", PASSWORD)}


def test_serve_kind_limits_the_faults(
    folder: Path,
    served: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    kinds = ["--kind", "empty_list", "--kind", "cut_jobs"]
    assert run_cli("serve", "--faults", "1", *kinds).exit_code == 0
    faults = served[0]["faults"]
    chosen = {
        faults.choose_fault(f"/{number}", can_be_too_much=True, of_lists=serve.FAULT_KINDS)
        for number in range(20)
    }
    assert chosen == {"empty_list", "cut_jobs"}
    assert faults.choose_fault("/sites", can_be_too_much=True) is None
    result = error_line(monkeypatch, capsys, "serve", "--kind", "none")
    assert result.startswith("--kind: there is no kind of fault 'none'; ")
    output = run_cli("serve", "--help").output
    assert all(kind in output for kind in serve.FAULT_KINDS)


def test_serve_with_a_password_alone_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    monkeypatch.setenv("FOOTPRINT_SERVE_PASSWORD", PASSWORD)
    assert error_line(monkeypatch, capsys, "serve") == "--username: missing; set both or none"


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--port", "any"],
        ["--faults", "1.1"],
        ["--faults", "-0.1"],
        ["--seed", "x"],
    ],
)
def test_serve_options_out_of_range_are_refused(
    folder: Path, served: list[dict[str, Any]], options: list[str]
) -> None:
    save_config(folder / "config.yaml", SIMULATED)
    result = run_cli("serve", *options)
    assert result.exit_code == 2
    assert options[0] in result.output
    assert served == []


def test_serve_help_does_not_show_the_password() -> None:
    result = run_cli("serve", "--help", FOOTPRINT_SERVE_PASSWORD=PASSWORD, COLUMNS="200")
    assert result.exit_code == 0
    assert "FOOTPRINT_SERVE_PASSWORD" in result.output
    assert PASSWORD not in result.output
