"""Readers' table that compares tracked runs with the jobs of OAR."""

from __future__ import annotations

import polars as pl

from footprint.labels.reconciliation import JOBS_OF_OTHERS, MISSED_JOBS, RUNS_IN_JOBS, TRACKED_JOBS
from footprint.report.tables.formats import Column, ReaderTable

SIDE_HEADINGS = {
    "ledger": "Tracked runs",
    "jobs": "Jobs of OAR",
    "lines": "Rejected lines of ledgers",
}
FIRST_ROWS = (RUNS_IN_JOBS, TRACKED_JOBS, MISSED_JOBS, JOBS_OF_OTHERS)


def ledger_table(reconciliation: pl.DataFrame) -> ReaderTable:
    """Runs of ledgers, jobs of OAR by whether they were tracked, and rejected lines of ledgers.

    Args:
        reconciliation: `schemas.Reconciliation`.
    """
    place = pl.col("name").replace_strict(
        {name: number for number, name in enumerate(FIRST_ROWS)},
        default=len(FIRST_ROWS),
        return_dtype=pl.Int64,
    )
    rows = reconciliation.sort(
        pl.col("side").cast(pl.Enum(list(SIDE_HEADINGS))), place, "name"
    ).with_columns(
        pl.col("side").replace_strict(SIDE_HEADINGS, return_dtype=pl.String).alias("group")
    )
    return ReaderTable(
        name="ledger",
        title="Tracked runs and jobs of OAR",
        note=(
            "Tracked runs: commands and blocks in the ledgers of people, without those inside "
            "another one. A run is part of the job that it names, else of the only job that held "
            "its node. Jobs: those that ran in the study. If a group of jobs has few people, no "
            "group is shown. docs/tracker.md explains the reasons."
        ),
        rows=rows,
        columns=[
            Column(name="name", header="Which"),
            Column(name="n_rows", header="Count", decimals=0),
            Column(name="gpu_hours", header="GPU time", unit="h", digits=3),
            Column(name="measured_kwh", header="Measured", unit="kWh", digits=3),
        ],
    )
