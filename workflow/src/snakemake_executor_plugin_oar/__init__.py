"""Snakemake's jobs as jobs of OAR, the batch scheduler of Grid'5000: `snakemake --executor oar`.

Snakemake finds this package by its name, and takes `Executor`, `ExecutorSettings` and
`common_settings` from it.
"""

from snakemake_executor_plugin_oar.executor import Executor, common_settings
from snakemake_executor_plugin_oar.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
