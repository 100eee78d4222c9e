"""Failed rules: the end of their logs, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

SHOWN_LOG_LINES = 12
"""Number of lines of a log that are printed, from its end."""

READ_BYTES = 65_536
"""Size of the end of a log that is read."""

SAME_COMMAND = "run the same command again: finished steps are kept"

LOCK_ADVICE = (
    "What to do: if another run uses this folder, wait for its end. If a run here was killed, "
    "repeat the command with --unlock added (uv run snakemake --unlock), then run it again."
)


def read_log_end(paths: Sequence[str]) -> list[str]:
    """Return the last lines of the first log that has any; empty without one."""
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, Path(path).stat().st_size - READ_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            continue
        if lines := [line for line in text.splitlines() if line.strip()]:
            return lines
    return []


def find_signal(exception: str) -> str | None:
    """Return the name of the signal that ended the process of a rule, such as SIGKILL."""
    found = re.search(r"died with <Signals\.(\w+)", exception)
    return found[1] if found else None


def advise(log: Sequence[str], signal: str | None = None) -> str:
    """Return what to do about a failed rule, by its log and the signal that ended its process."""
    if signal or not log:
        end = f"was ended by {signal}" if signal else "ended without a message"
        return (
            f"the rule {end}: often the memory was full. Use fewer --cores, and {SAME_COMMAND}. "
            "If Snakemake itself was killed too, that command asks for --unlock first."
        )
    if any(line.startswith("Traceback (most recent call last)") for line in log):
        return (
            "this is a fault of the program or of its set-up, not of the data. Report it with the "
            f"log; once it is fixed, {SAME_COMMAND}."
        )
    return f"fix what the last line of the log reports, then {SAME_COMMAND}."


def describe_failure(
    rule: str,
    *,
    wildcards: Mapping[str, str],
    message: str | None,
    exception: str,
    logs: Sequence[str],
    log: Sequence[str],
) -> str:
    """Return the text about a failed rule.

    Args:
        rule: Name of the rule.
        wildcards: Wildcards of the job.
        message: Message of the executor, such as a reason of the cluster's scheduler.
        exception: Text of Snakemake's exception; it is printed if the log is empty.
        logs: Paths of the log files.
        log: Lines of the log (`read_log_end`).
    """
    of_job = ", ".join(f"{name}={value}" for name, value in wildcards.items())
    lines = [f"FAILED: {rule}" + (f" ({of_job})" if of_job else "")]
    if message:
        lines.append(f"  {message.strip()}")
    lines += [f"  log: {Path(path).absolute()}" for path in logs]
    if not log:
        lines.append("  (the log is empty)")
        lines += [f"  {line}" for line in exception.splitlines()[-1:]]
    lines += [f"  | {line}" for line in log[-SHOWN_LOG_LINES:]]
    lines.append(f"  What to do: {advise(log, find_signal(exception))}")
    return "\n".join(lines)
