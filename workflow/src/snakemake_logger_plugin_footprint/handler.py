"""The log handler: log records of Snakemake as the text of the terminal."""

# no `from __future__ import annotations`: Snakemake reads the types of the settings
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from logging import DEBUG, ERROR, WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_footprint import failures
from snakemake_logger_plugin_footprint.block import Block
from snakemake_logger_plugin_footprint.stages import Progress, Stage, duration_text

NOTHING_TO_DO = "Nothing to be done"
"""Beginning of Snakemake's message that all results are up to date."""

STOP_MESSAGES = ("Terminating processes", "Will exit after")
"""Beginnings of Snakemake's messages that the user stops a run."""

LOG_HINT = "Complete log(s): "
"""Beginning of Snakemake's message with the path of its log."""

OWN_PACKAGES = frozenset({"snakemake", "snakemake_interface_executor_plugins"})
"""Packages whose messages are no news of a plugin or a hook."""

LONGEST_SILENCE_S = 600
"""Time after which progress within a stage is printed where nothing is updated in place."""

HIDDEN_ERRORS = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job")
"""Beginnings of errors that repeat a failure."""

HIDDEN_BEFORE_RUN = ("Assuming unrestricted shared filesystem usage",)


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings of the handler, which are options of `snakemake`."""

    off: bool = field(
        default=False,
        metadata={"help": "Print the output of Snakemake instead.", "required": False},
    )


class LogHandler(LogHandlerBase):
    """Prints a run of the workflow, and passes on what other commands of Snakemake print.

    The Snakefile describes the study in a record with the attributes `study` (text of the header),
    `rule_files` (rule file by rule) and `report` (path of the
    report). Without it, the jobs are counted in one line.
    """

    def __post_init__(self) -> None:
        """Choose the stream, and how it is written."""
        self._stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self._block = Block(self._stream) if self._stream.isatty() else None
        self._study: str | None = None
        self._rule_files: dict[str, str] = {}
        self._cores: int | None = None
        self._runs = False  # False until jobs are about to be run: other commands never are
        self._progress: Progress | None = None
        self._began_s = time.monotonic()
        self._wildcards: dict[int, dict[str, str]] = {}
        self._failures: dict[int, str] = {}
        self._exception = ""  # of the failure that is reported next
        self._warnings: set[str] = set()
        self._log: str | None = None
        self._report: Path | None = None
        self._is_stopped = False  # by the user
        self._printed_s = self._began_s
        self._handler = ColorizingTextHandler(self.common_settings.nocolor, self._stream)

    @property
    def is_off(self) -> bool:
        """Whether Snakemake prints its own output."""
        settings = self.common_settings
        wanted = isinstance(self.settings, LogHandlerSettings) and self.settings.off
        return bool(wanted or settings.dryrun or settings.verbose or settings.printshellcmds)

    @property
    def writes_to_stream(self) -> bool:
        """Whether Snakemake leaves the terminal to this handler."""
        return not self.is_off

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake writes its complete log to a file beside this handler."""
        return False

    @property
    def has_filter(self) -> bool:
        """False: the options `--quiet` of Snakemake apply."""
        return False

    @property
    def has_formatter(self) -> bool:
        """False: what is passed on has the format of Snakemake."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """False: the stages are known from the rule files."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Print a record, or keep what it says for later text."""
        if self.is_off:
            return
        try:
            self._handle_event(record, getattr(record, "event", None))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Print the end of a run: failures last, if there are any."""
        if self._runs:
            self._runs = False
            self._print_end()
        super().close()

    def _handle_event(self, record: LogRecord, event: LogEvent | None) -> None:
        fields = vars(record)
        if "rule_files" in fields:
            self._study, self._rule_files = fields["study"], fields["rule_files"]
            self._report = Path(fields["report"])
        elif event == LogEvent.WORKFLOW_STARTED:
            self._runs = True
        elif not self._runs:
            self._pass_on(record)
        elif event == LogEvent.RESOURCES_INFO:
            self._cores = fields.get("cores", self._cores)
        elif event == LogEvent.RUN_INFO:
            self._begin_run(dict(fields["stats"]))
        elif event == LogEvent.JOB_INFO:
            self._begin_job(fields)
        elif event == LogEvent.JOB_FINISHED:
            self._finish_job(fields["job_id"])
        elif event == LogEvent.JOB_ERROR:
            self._keep_failure(fields)
        elif record.levelno >= WARNING:
            self._handle_problem(record, event)
        elif event is None and record.levelno > DEBUG:
            self._handle_info(record)

    # --- jobs -----------------------------------------------------------------------------------

    def _begin_run(self, n_jobs: dict[str, int]) -> None:
        """Print the header, and begin to count jobs."""
        self._began_s = time.monotonic()
        n_jobs.pop("total", None)
        counted = {rule: n for rule, n in n_jobs.items() if rule != "all"}
        self._progress = Progress(counted, self._rule_files, self._began_s)
        parts = [f"{self._progress.n_jobs} steps"]
        if self._cores is not None:
            parts.append(f"{self._cores} cores")
        if self._study:
            parts.insert(0, self._study)
        self._print(", ".join(parts))

    def _begin_job(self, fields: dict[str, Any]) -> None:
        self._wildcards[fields["jobid"]] = dict(fields["wildcards"] or {})
        if self._progress is None:
            return
        self._progress.begin_job(fields["jobid"], fields["rule_name"], time.monotonic())
        self._redraw()

    def _finish_job(self, job: int) -> None:
        self._failures.pop(job, None)  # an attempt after a failed one succeeded
        if self._progress is None:
            return
        now_s = time.monotonic()
        stage = self._progress.finish_job(job, now_s)
        if self._block is not None:
            self._redraw()
        elif stage or now_s - self._printed_s > LONGEST_SILENCE_S:
            self._print(self._stage_line(stage) if stage else self._total_line(self._progress))

    def _redraw(self) -> None:
        """Update the lines of the stages in a terminal."""
        if self._block is None or self._progress is None:
            return
        begun = [each for each in self._progress.stages.values() if each.began_s is not None]
        self._block.show([*map(self._stage_line, begun), self._total_line(self._progress)])

    def _total_line(self, progress: Progress) -> str:
        """Steps done of all, and the expected end."""
        return f"  {progress.n_finished} of {progress.n_jobs} steps{self._expected_end()}"

    def _stage_line(self, stage: Stage) -> str:
        count = f"{stage.n_finished}/{stage.n_jobs}"
        ended_s = time.monotonic() if stage.ended_s is None else stage.ended_s
        spent = duration_text(ended_s - (stage.began_s or ended_s))
        filled = 20 * stage.n_finished // stage.n_jobs
        bar = f"{'#' * filled:<20}" if self._block is not None else ""
        end = self._expected_end() if self._block is None else ""
        return f"  {stage.name:<19} {bar}{count:>9} steps  {spent:>10}{end}"

    def _expected_end(self) -> str:
        """Expected end of the run, as the last words of a line; empty if it is not known."""
        now_s = time.monotonic()
        end_s = self._progress.expected_end_s(now_s) if self._progress else None
        if end_s is None:
            return ""
        clock = datetime.fromtimestamp(time.time() + end_s - now_s).strftime("%H:%M:%S")
        return f"   expected end {clock}"

    # --- messages -------------------------------------------------------------------------------

    def _keep_failure(self, fields: dict[str, Any]) -> None:
        """Keep a failure for the end of the run; the log is read before another attempt."""
        logs, job, rule = list(fields["log"]), fields["jobid"], fields["rule_name"]
        wildcards = self._wildcards.get(job, {})
        self._failures[job] = failures.describe_failure(
            rule,
            wildcards=wildcards,
            message=fields["rule_msg"],
            exception=self._exception,
            logs=logs,
            log=failures.read_log_end(logs[::-1]),
        )
        self._exception = ""
        if not self._is_stopped:
            self._print(f"{rule} failed; steps that run already are finished first")

    def _handle_problem(self, record: LogRecord, event: LogEvent | None) -> None:
        text = record.getMessage()
        if record.levelno >= ERROR and text.startswith(HIDDEN_ERRORS) and self._failures:
            return
        if text.startswith("RuleException:"):
            self._exception = text
            return
        if getattr(record, "exception", None) == "LockException":
            text += f"\n{failures.LOCK_ADVICE}"
        if event == LogEvent.GROUP_ERROR or text in self._warnings:
            return  # an error of each job of the group follows
        self._warnings.add(text)
        self._print(text)

    def _handle_info(self, record: LogRecord) -> None:
        """Print messages of executors and hooks, and few of Snakemake's own."""
        is_own = not OWN_PACKAGES.isdisjoint(Path(record.pathname).parts)
        text = record.getMessage()
        if text.startswith(LOG_HINT):
            self._log = text.removeprefix(LOG_HINT)
        elif text.startswith(STOP_MESSAGES):
            self._is_stopped = True
            self._print(text)
        elif text.startswith(NOTHING_TO_DO):
            self._print(text)
            if self._report and self._report.exists():
                self._print(f"Report: {self._report.absolute().as_uri()}")
        elif text and not is_own:
            self._print(text)

    def _pass_on(self, record: LogRecord) -> None:
        """Print a record of a command that runs no jobs, as Snakemake does."""
        if not record.getMessage().startswith(HIDDEN_BEFORE_RUN):
            self._handler.setFormatter(self.formatter)
            self._handler.emit(record)

    def _print_end(self) -> None:
        """Print the time that a run took and its log, or its failures."""
        self._block = None  # what the terminal shows stays there
        if self._progress is None:
            return
        spent = duration_text(time.monotonic() - self._began_s)
        log = f"; log: {self._log}" if self._log else ""
        done, steps = self._progress.n_finished, self._progress.n_jobs
        count = f"{steps} steps" if done == steps else f"{done} of {steps} steps"
        self._print(f"{count} done in {spent}{log}")
        if self._is_stopped:
            self._print(f"Stopped on request; {failures.SAME_COMMAND}")
            return
        for text in filter(None, [self._exception, *self._failures.values()]):
            self._print(f"\n{text}")

    def _print(self, text: str) -> None:
        self._printed_s = time.monotonic()
        if self._block is None:
            print(text, file=self._stream, flush=True)
        else:
            self._block.write(text)
            self._redraw()
