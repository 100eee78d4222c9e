"""Log records of Snakemake as the text of the terminal."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from snakemake_logger_plugin_footprint import LogHandler, LogHandlerSettings, failures

SNAKEMAKE = "/x/site-packages/snakemake/workflow.py"
PLUGIN = "/x/snakemake_executor_plugin_oar/executor.py"


class Terminal(io.StringIO):
    """Stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Settings(MockOutputSettings):
    """Settings of `snakemake` without options."""

    def __init__(self, **changes: bool) -> None:
        super().__init__()
        self.printshellcmds = False
        for name, value in changes.items():
            setattr(self, name, value)


def emit(
    handler: LogHandler,
    message: str = "",
    event: LogEvent | None = None,
    *,
    level: int = logging.INFO,
    path: str = SNAKEMAKE,
    **fields: Any,
) -> None:
    record = logging.LogRecord("snakemake.logging", level, path, 1, message, (), None)
    vars(record).update(fields, **({"event": event} if event else {}))
    handler.emit(record)


def begin_run(handler: LogHandler, **n_jobs: int) -> None:
    """Emit what Snakemake emits before the first job."""
    emit(handler, study="nancy, 2 days", report="report.html", rule_files={"plot": "paper"})
    emit(handler, "Assuming unrestricted shared filesystem usage.")
    emit(handler, "Workflow has started!", LogEvent.WORKFLOW_STARTED)
    emit(handler, "Building DAG of jobs...")
    emit(handler, "Provided cores: 8", LogEvent.RESOURCES_INFO, cores=8)
    total = sum(n_jobs.values())
    emit(handler, "Job stats:", LogEvent.RUN_INFO, stats={**n_jobs, "total": total})


def begin_job(handler: LogHandler, job: int, rule: str = "plot") -> None:
    emit(handler, "", LogEvent.JOB_INFO, jobid=job, rule_name=rule, wildcards={"month": "2025-03"})


def finish_job(handler: LogHandler, job: int) -> None:
    emit(handler, f"Finished jobid: {job}", LogEvent.JOB_FINISHED, job_id=job)


def fail_job(handler: LogHandler, job: int, log: Path) -> None:
    fields = {"jobid": job, "rule_name": "plot", "rule_msg": None, "log": [str(log)]}
    emit(handler, "Error in rule", LogEvent.JOB_ERROR, level=logging.ERROR, **fields)


def new_handler() -> LogHandler:
    """Handler that writes to the captured stderr, which is no terminal."""
    return LogHandler(Settings(), LogHandlerSettings())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "plot.log"
    path.write_text("a.csv:3: no power; fix it\n")
    return path


class TestInterface(TestLogHandlerBase):
    """What the interface of Snakemake asks of every handler."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettings:
        return LogHandlerSettings()


def test_run_prints_header_stages_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    begin_run(handler, plot=2, all=1)
    for job in (1, 2):
        begin_job(handler, job)
    for job in (1, 2):
        finish_job(handler, job)
    emit(handler, "Complete log(s): /study/x.log")
    emit(handler, "Elapsed time: 0:01")
    handler.close()
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "nancy, 2 days, 2 steps, 8 cores"
    assert lines[1].split() == ["results", "and", "report", "2/2", "steps", "0", "s"]
    assert lines[2:] == ["2 steps done in 0 s; log: /study/x.log"]


def test_terminal_updates_a_block_of_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    handler = new_handler()
    begin_run(handler, plot=2)
    begin_job(handler, 1)
    finish_job(handler, 1)
    emit(handler, "the disk is nearly full " * 9, level=logging.WARNING)
    finish_job(handler, 1)
    handler.close()
    shown = terminal.getvalue().split("\x1b[2A\r\x1b[J")  # two lines up, cleared
    assert len(shown) == 4
    assert "  1 of 2 steps\n" in shown[1]
    assert shown[1].startswith("  results and report  ##########          ")
    assert shown[2].startswith("the disk is nearly full the disk")
    assert all(len(line) < 60 for text in shown[1:2] for line in text.splitlines())


def test_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    begin_run(handler, plot=1)
    for _ in range(3):
        emit(handler, "low on space", level=logging.WARNING)
    emit(handler, "another", level=logging.WARNING)
    assert capsys.readouterr().err.splitlines()[1:] == ["low on space", "another"]


def test_messages_of_plugins_are_printed_and_own_ones_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = new_handler()
    begin_run(handler, plot=1)
    emit(handler, "Adopted: OAR job 3", path=PLUGIN)
    emit(handler, "Select jobs to execute...")
    emit(handler, "sampling", level=logging.DEBUG, path=PLUGIN)
    assert capsys.readouterr().err.splitlines()[1:] == ["Adopted: OAR job 3"]


def test_failure_is_last_and_printed_once(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    begin_run(handler, plot=2)
    begin_job(handler, 1)
    emit(handler, "RuleException:\nexit status 1", LogEvent.ERROR, level=logging.ERROR)
    fail_job(handler, 1, log)
    emit(handler, "Exiting because a job execution failed. Look above", level=logging.ERROR)
    text = "WorkflowError:\nAt least one job did not complete successfully."
    emit(handler, text, LogEvent.ERROR, level=logging.ERROR)
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "plot failed; steps that run already are finished first"
    assert lines[2] == "0 of 2 steps done in 0 s"
    assert lines[3:7] == [
        "",
        "FAILED: plot (month=2025-03)",
        f"  log: {log}",
        "  | a.csv:3: no power; fix it",
    ]
    assert lines[7].startswith("  What to do: fix what the last line")
    assert len(lines) == 8


def test_failed_attempt_is_forgotten_after_success(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = new_handler()
    begin_run(handler, plot=1)
    begin_job(handler, 1)
    fail_job(handler, 1, log)
    begin_job(handler, 1)
    finish_job(handler, 1)
    handler.close()
    text = capsys.readouterr().err
    assert "FAILED" not in text
    assert text.splitlines()[-1] == "1 steps done in 0 s"


def test_exception_without_failed_job_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    begin_run(handler, plot=1)
    emit(handler, "RuleException:\nlost", LogEvent.ERROR, level=logging.ERROR)
    handler.close()
    assert capsys.readouterr().err.endswith("\nRuleException:\nlost\n")


def test_stopped_run_prints_no_failures(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    begin_run(handler, plot=1)
    begin_job(handler, 1)
    emit(handler, "Terminating processes on user request, this might take some time.")
    fail_job(handler, 1, log)
    handler.close()
    text = capsys.readouterr().err
    assert "FAILED" not in text
    assert text.endswith(f"Stopped on request; {failures.SAME_COMMAND}\n")


def test_locked_folder_says_how_to_unlock(capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    emit(handler, "", LogEvent.WORKFLOW_STARTED)
    fields = {"exception": "LockException", "level": logging.ERROR}
    emit(handler, "LockException: no", LogEvent.ERROR, **fields)
    handler.close()
    assert capsys.readouterr().err == f"LockException: no\n{failures.LOCK_ADVICE}\n"


def test_nothing_to_do_names_the_report(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = new_handler()
    monkeypatch.chdir(tmp_path)
    Path("report.html").touch()
    emit(handler, study="nancy", report="report.html", rule_files={})
    emit(handler, "", LogEvent.WORKFLOW_STARTED)
    emit(handler, "Nothing to be done (all requested files are present and up to date).")
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Nothing to be done")
    assert lines[1:] == [f"Report: {(tmp_path / 'report.html').as_uri()}"]


def test_other_commands_print_what_snakemake_prints(capsys: pytest.CaptureFixture[str]) -> None:
    handler = new_handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    emit(handler, study="nancy", report="report.html", rule_files={})
    emit(handler, "Building DAG of jobs...")
    emit(handler, "Report created.")
    handler.close()
    assert capsys.readouterr().err == "Building DAG of jobs...\nReport created.\n"


@pytest.mark.parametrize("option", ["dryrun", "verbose", "printshellcmds", "off"])
def test_options_leave_the_terminal_to_snakemake(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    off = option == "off"
    settings = Settings() if off else Settings(**{option: True})
    handler = LogHandler(settings, LogHandlerSettings(off=off))
    assert not handler.writes_to_stream
    begin_run(handler, plot=1)
    handler.close()
    assert capsys.readouterr().err == ""
    assert LogHandler(Settings(), LogHandlerSettings()).writes_to_stream
