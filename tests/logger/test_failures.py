"""Texts about failed rules."""

from pathlib import Path
from typing import Any

import pytest

from snakemake_logger_plugin_footprint import failures

KILLED = "RuleException:\nCalledProcessError:\n'python x' died with <Signals.SIGKILL: 9>."
TRACEBACK = ["Traceback (most recent call last):", '  File "x.py", line 3', "KeyError: 'a'"]


def describe(**changes: Any) -> str:
    usual: dict[str, Any] = {
        "wildcards": {},
        "message": None,
        "exception": "",
        "logs": [],
        "log": [],
    }
    return failures.describe_failure("combine", **usual | changes)


@pytest.mark.parametrize(
    ("exception", "log", "advice"),
    [
        ("", ["a.csv:3: no power; fix it"], "fix what the last line of the log reports"),
        ("", TRACEBACK, "a fault of the program"),
        ("", [], "ended without a message: often the memory was full"),
        (KILLED, [], "ended by SIGKILL: often the memory was full"),
        (KILLED, ["a note"], "ended by SIGKILL: often the memory was full"),
    ],
)
def test_advice_follows_from_log_and_signal(exception: str, log: list[str], advice: str) -> None:
    last = describe(exception=exception, log=log).splitlines()[-1]
    assert last.startswith("  What to do: ")
    assert advice in last
    assert failures.SAME_COMMAND in last
    assert ("--unlock" in last) == ("memory" in last)


def test_failure_has_wildcards_message_and_absolute_log() -> None:
    lines = describe(
        wildcards={"month": "2025-03"}, message="exit status 1. ", logs=["logs/a.log"], log=["x"]
    ).splitlines()
    assert lines[0] == "FAILED: combine (month=2025-03)"
    assert lines[1:4] == ["  exit status 1.", f"  log: {Path.cwd()}/logs/a.log", "  | x"]


def test_failure_with_an_empty_log_has_the_exception() -> None:
    assert "  'python x' died with <Signals.SIGKILL: 9>." in describe(exception=KILLED).splitlines()


def test_failure_has_the_end_of_a_long_log(tmp_path: Path) -> None:
    empty, long = tmp_path / "empty.log", tmp_path / "long.log"
    empty.touch()
    long.write_text("".join(f"line {number}\n\n" for number in range(50_000)))
    log = failures.read_log_end([str(tmp_path / "none.log"), str(empty), str(long)])
    assert log[-1] == "line 49999"
    text = describe(log=log)
    assert text.count("  | ") == failures.SHOWN_LOG_LINES
    assert failures.read_log_end([str(empty)]) == []
