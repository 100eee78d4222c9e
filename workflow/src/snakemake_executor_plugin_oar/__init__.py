"""Snakemake executor for OAR, the batch scheduler of Grid'5000: `snakemake --executor oar`.

Takes jobs of Snakemake and submits each, or each group, as a job of OAR. Snakemake finds this
package by its name, and imports `Executor`, `ExecutorSettings` and `common_settings` from it.

Modules:
    executor: submission, status and cancellation of jobs.
    demands: options of `oarsub`.
    commands: calls of `oarsub`, `oarstat` and `oardel`.
    answers: output of these commands, parsed.
    records: outputs of submitted jobs, for later runs.
    settings: settings of the executor.
"""

from snakemake_executor_plugin_oar.executor import Executor, common_settings
from snakemake_executor_plugin_oar.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
