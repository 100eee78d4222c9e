"""The command `footprint`: its options, and what it says of bad input."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from footprint import cli, label_files, serve
from footprint.errors import InputError
from footprint.site.grid5000 import planning

STUDY = {"study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"}}
SIMULATED = STUDY | {"source": {"kind": "simulated"}}
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs; it is left again, and nothing is set that the command reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOOTPRINT_SERVE_PASSWORD", raising=False)
    return tmp_path


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Configurations of which a plan was asked for, in place of the plans."""
    asked: list[dict[str, Any]] = []

    def text(config: dict[str, Any]) -> str:
        asked.append(config | {"cwd": Path.cwd()})
        return "the plan"

    monkeypatch.setattr(planning, "text", text)
    return asked


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was to be served, in place of a server."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        serve, "run", lambda config, **options: asked.append({"config": config, **options})
    )
    return asked


def save(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config))
    return path


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(cli.app, list(map(str, arguments)), env=environment)


def fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """The one line that `main` says of bad input."""
    monkeypatch.setattr(sys, "argv", ["footprint", *arguments])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 1
    assert exit.value.__suppress_context__  # no traceback
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err.rstrip("\n")


def test_without_a_command_the_commands_are_listed() -> None:
    told = run()
    assert told.exit_code == 2
    assert "labels" in told.output
    assert "plan" in told.output
    assert "serve" in told.output


# Configuration


def test_config_yaml_goes_first_and_later_files_override_it(
    folder: Path, planned: list[dict[str, Any]]
) -> None:
    save(folder / "config.yaml", SIMULATED)
    save(folder / "a.yaml", {"study": {"end": "2025-03-09"}, "source": {"seed": 5}})
    save(folder / "b.yaml", {"source": {"seed": 6}})
    told = run("plan", "--configfile", "a.yaml", "--configfile", "b.yaml")
    assert (told.exit_code, told.output) == (0, "the plan\n")
    [config] = planned
    assert config["study"]["start"] == "2025-03-03"
    assert config["study"]["end"] == "2025-03-09"
    assert config["source"]["seed"] == 6


def test_one_file_is_enough(folder: Path, planned: list[dict[str, Any]]) -> None:
    save(folder / "only.yaml", SIMULATED)
    assert run("plan", "--configfile", "only.yaml").exit_code == 0
    (folder / "only.yaml").rename(folder / "config.yaml")
    assert run("plan").exit_code == 0
    one, other = planned
    assert one == other


def test_a_plan_may_be_of_another_folder(folder: Path, planned: list[dict[str, Any]]) -> None:
    """Its config.yaml counts, and files named are those of the folder one is in."""
    save(folder / "study/config.yaml", SIMULATED)
    save(folder / "mine.yaml", {"source": {"seed": 7}})
    assert run("plan", "--directory", "study", "--configfile", "mine.yaml").exit_code == 0
    [config] = planned
    assert config["source"]["seed"] == 7
    assert config["cwd"] == folder / "study"
    assert run("plan", "--directory", "nowhere").exit_code == 2


# Bad input


def test_bad_input_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "config.yaml: there is no such file; mend the path"
    assert fails(monkeypatch, capsys, "plan") == missing
    assert fails(monkeypatch, capsys, "serve") == missing
    save(folder / "config.yaml", SIMULATED)
    told = fails(monkeypatch, capsys, "plan")
    assert told == "source.kind: `simulated` downloads nothing; a plan is for `grid5000`"
    told = fails(monkeypatch, capsys, "plan", "--configfile", "b.yaml")
    assert told.endswith("b.yaml: there is no such file; mend the path")
    (folder / "b.yaml").write_text("study: [")
    told = fails(monkeypatch, capsys, "serve", "--configfile", "b.yaml")
    assert told.startswith("b.yaml:1: not YAML (")
    save(folder / "b.yaml", {"study": {"site": "nancy", "ende": "2025-03-04"}})
    told = fails(monkeypatch, capsys, "serve", "--configfile", "b.yaml")
    assert told == "study.ende: unknown key; did you mean `end`?"


def test_a_service_that_refuses_is_one_line_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder / "config.yaml", SIMULATED)

    def refuses(_: Any) -> str:
        raise InputError("cannot be reached", where="https://api.example.org", do="check it")

    monkeypatch.setattr(planning, "text", refuses)
    told = fails(monkeypatch, capsys, "plan")
    assert told == "https://api.example.org: cannot be reached; check it"


def test_a_mistake_of_the_program_is_not_hidden(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder / "config.yaml", SIMULATED)

    def breaks(_: Any) -> str:
        raise KeyError("lost")

    monkeypatch.setattr(planning, "text", breaks)
    monkeypatch.setattr(sys, "argv", ["footprint", "plan"])
    with pytest.raises(KeyError, match="lost"):
        cli.main()


# Labels


@pytest.fixture
def study(folder: Path) -> Path:
    """A folder of two runs, one with 9 kWh and the other with 1, and no labels."""
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
            "energy_kwh": [1.0, 9.0],
            "kind": ["debug", "training_run"],
            "rule": ["short", "plateau"],
        }
    ).with_columns(pl.lit(None, pl.String).alias(name) for name in ("paper", "role"))
    jobs = pl.DataFrame({"job_id": [1, 2, 3], "user": ["amy", "bob", "amy"]}).with_columns(
        name=pl.lit("n"), command=pl.lit("./run.sh"), array_id=pl.lit(None, pl.Int64)
    )
    said = ("paper", "kind", "role", "phase")
    labelled = pl.DataFrame(
        schema={"job_id": pl.Int64, **dict.fromkeys(said, pl.String)},
    )
    here = folder / "study"
    tables = {
        "results/phases/runs": runs,
        "resources/nancy/jobs": jobs,
        "resources/nancy/labelled": labelled,
        "resources/nancy/run_of_job": pl.DataFrame({"job_id": [1, 2, 3], "run_id": [1, 2, 1]}),
    }
    for name, table in tables.items():
        path = here / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)
    return here


def test_unlabelled_runs_are_listed_and_written_once(study: Path, folder: Path) -> None:
    told = run("labels", "--directory", study)
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert re.split(r"  +", lines[1].strip())[:5] == ["1", "2", "1", "bob", "n"]
    assert "90 %" in lines[1]
    assert lines[-1].startswith("2 runs that labels do not settle, 10.0 kWh measured")
    narrowed = run("labels", "--directory", study, "--project", "speech", "--user", "amy")
    assert "bob" not in narrowed.output

    wanted = ["labels", "--directory", study, "--most", "1", "--write"]
    told = run(*wanted, "drafts.yaml")
    assert told.output.endswith(
        "drafts.yaml: 1 drafts written, 0 of these runs were there already.\n"
    )
    before = (folder / "drafts.yaml").read_text()
    assert [label.chain for label in label_files.read(["drafts.yaml"])] == [2]
    told = run(*wanted, "drafts.yaml")
    assert "0 drafts written, 1 of these runs were there already." in told.output
    assert (folder / "drafts.yaml").read_text() == before


def test_labels_of_what_is_not_there_are_refused(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = fails(monkeypatch, capsys, "labels")
    assert told == (
        "results/phases/runs.parquet: there is no such file yet; run the workflow first, or name "
        "its folder with --directory"
    )
    here = ["labels", "--directory", str(study)]
    told = fails(monkeypatch, capsys, *here, "--write", str(study / "results/drafts.yaml"))
    assert "label files hold logins, and results/ is published" in told
    assert "rows are written to YAML files only" in fails(
        monkeypatch, capsys, *here, "--write", "drafts.csv"
    )
    told = fails(monkeypatch, capsys, *here, "--site", "lyon")
    assert "resources/lyon/labelled.parquet: there is no such file yet" in told
    (study / "resources/lyon").mkdir()
    (study / "resources/lyon/labelled.parquet").touch()
    told = fails(monkeypatch, capsys, *here)
    assert told == "--site: there are several sites (lyon, nancy); choose one"
    assert run(*here, "--site", "nancy").exit_code == 0
    assert run(*here, "--most", "0").exit_code == 2


# Serving


def test_a_server_is_as_usual_unless_told(folder: Path, served: list[dict[str, Any]]) -> None:
    save(folder / "config.yaml", SIMULATED)
    assert run("serve").exit_code == 0
    [asked] = served
    faults = asked.pop("faults")
    assert asked.pop("config")["source"]["kind"] == "simulated"
    assert asked == {"port": 8642, "username": None, "password": None}
    assert faults.choose("/sites", can_be_too_much=True) is None


def test_options_of_a_server(folder: Path, served: list[dict[str, Any]]) -> None:
    save(folder / "config.yaml", SIMULATED)
    options = ["--port", "0", "--username", "alice", "--faults", "1", "--seed", "3"]
    told = run("serve", *options, FOOTPRINT_SERVE_PASSWORD=PASSWORD)
    assert told.exit_code == 0
    assert PASSWORD not in told.output
    [asked] = served
    expected = serve.Faults(seed=3, rate=1)
    faults = asked.pop("faults")
    kinds = [faults.choose(f"/{number}", can_be_too_much=True) for number in range(20)]
    assert kinds == [expected.choose(f"/{n}", can_be_too_much=True) for n in range(20)]
    assert None not in kinds
    del asked["config"]
    assert asked == {"port": 0, "username": "alice", "password": PASSWORD}


def test_serve_kind_limits_the_faults(
    folder: Path,
    served: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(folder / "config.yaml", SIMULATED)
    kinds = ["--kind", "empty_list", "--kind", "cut_jobs"]
    assert run("serve", "--faults", "1", *kinds).exit_code == 0
    faults = served[0]["faults"]
    chosen = {
        faults.choose(f"/{number}", can_be_too_much=True, of_lists=serve.KINDS)
        for number in range(20)
    }
    assert chosen == {"empty_list", "cut_jobs"}
    assert faults.choose("/sites", can_be_too_much=True) is None
    told = fails(monkeypatch, capsys, "serve", "--kind", "none")
    assert told.startswith("--kind: `none` is no kind of fault; choose among bad_gateway, ")
    output = run("serve", "--help").output
    assert all(kind in output for kind in serve.KINDS)


def test_a_password_alone_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder / "config.yaml", SIMULATED)
    monkeypatch.setenv("FOOTPRINT_SERVE_PASSWORD", PASSWORD)
    assert fails(monkeypatch, capsys, "serve") == "--username: missing; give both or none"


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
def test_options_out_of_range_are_refused(
    folder: Path, served: list[dict[str, Any]], options: list[str]
) -> None:
    save(folder / "config.yaml", SIMULATED)
    told = run("serve", *options)
    assert told.exit_code == 2
    assert options[0] in told.output
    assert served == []


def test_the_help_shows_no_password() -> None:
    told = run("serve", "--help", FOOTPRINT_SERVE_PASSWORD=PASSWORD, COLUMNS="200")
    assert told.exit_code == 0
    assert "FOOTPRINT_SERVE_PASSWORD" in told.output
    assert PASSWORD not in told.output
