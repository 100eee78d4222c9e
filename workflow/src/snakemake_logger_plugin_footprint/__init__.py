"""Snakemake logger of the terminal: `snakemake --logger footprint`, as profiles/default sets it.

Takes the log records of Snakemake and prints a header, one line a stage, each warning once, and
failures at the end with the last lines of their logs. Snakemake finds this package by its name, and
imports `LogHandler` and `LogHandlerSettings` from it. `--logger-footprint-off`, `--verbose` and
`--printshellcmds` print Snakemake's own output instead, and so does a dry run.

Modules:
    handler: from log records to printed text.
    stages: jobs by stage, and the expected end.
    block: lines that a terminal updates in place.
    failures: failed rules, their logs and what to do.
"""

from snakemake_logger_plugin_footprint.handler import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
