"""Help, version, unknown names and completion of the command `footprint`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from footprint import __version__
from footprint.cli.main import build_parser
from tests.support.cli import run_cli

COMMANDS = sorted(build_parser()[1])


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "footprint", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_every_command_has_usage_and_an_example(command: str, option: str) -> None:
    done = run_process(command, option)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: footprint {command} ")
    example = done.stdout.partition("\nexample")[2].splitlines()[1]
    assert example.startswith(f"  footprint {command} ")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command(option: str) -> None:
    result = run_cli(option)
    assert result.exit_code == 0
    assert {f"    {name}" for name in COMMANDS} <= {
        line[: 4 + len(line[4:].split(" ")[0])] for line in result.output.splitlines()
    }
    assert "\nexamples:\n" in result.output


def test_version_is_printed() -> None:
    assert run_cli("--version") == (0, f"footprint {__version__}\n")


def test_help_and_version_need_no_installed_package() -> None:
    """`-S` hides every installed package; the path of the library is given."""
    for words in (["--version"], ["--help"], ["plan", "-h"]):
        source = build_parser.__code__.co_filename.rpartition("/footprint/")[0]
        done = subprocess.run(
            [sys.executable, "-S", "-m", "footprint", *words],
            env={"PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_command_without_the_pipeline_says_what_to_install() -> None:
    source = build_parser.__code__.co_filename.rpartition("/footprint/")[0]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "footprint", "explain", "1"],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "footprint explain needs `pip install 'footprint[pipeline]'` (polars is not installed)\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["labls"], "footprint: argument COMMAND: there is no `labls`; did you mean `labels`?"),
        (["xyz"], "footprint: argument COMMAND: there is no `xyz`; choose among init, run, "),
        (
            ["init", "x", "--source", "export"],
            "footprint init: argument --source: there is no `export`; did you mean `exports`?",
        ),
        (["explain", "five"], "footprint explain: argument job: `five` is no number of at least 0"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(words: list[str], message: str) -> None:
    result = run_cli(*words)
    assert result.exit_code == 2
    assert result.output.startswith(message)
    assert result.output.splitlines()[1].endswith(" -h shows the options")


def test_page_of_commands_lists_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs/commands.md").read_text()
    assert sorted(re.findall(r"^\| `footprint (\w+)", page, re.M)) == COMMANDS


def completed(line: str) -> list[str]:
    """What bash completes at the end of a line."""
    words = line.split(" ")
    script = (
        run_cli("completion", "bash").output
        + f"COMP_WORDS=({' '.join(each or chr(39) * 2 for each in words)})\n"
        + f'COMP_CWORD={len(words) - 1}\n_footprint\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_completion_of_bash_completes_commands_and_options() -> None:
    assert completed("footprint la") == ["labels"]
    assert completed("footprint labels --pr") == ["--project"]
    assert completed("footprint plan --pr") == []
    assert set(COMMANDS) < set(completed("footprint "))
    zsh = run_cli("completion", "zsh").output
    assert zsh.startswith("autoload -U +X bashcompinit && bashcompinit\n")
    assert zsh.endswith(run_cli("completion", "bash").output)
