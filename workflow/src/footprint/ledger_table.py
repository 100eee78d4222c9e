"""The readers' table of what was tracked beside what OAR knows."""

from __future__ import annotations

import polars as pl

from footprint.reconciliation import IN_A_JOB, MISSED, OTHERS, TRACKED
from footprint.report_tables import Column, ReaderTable

SIDES = {
    "ledger": "What people tracked",
    "jobs": "Jobs of OAR",
    "lines": "Lines of ledgers that are not used",
}
FIRST = (IN_A_JOB, TRACKED, MISSED, OTHERS)


def ledger_table(reconciliation: pl.DataFrame) -> ReaderTable:
    """Runs of ledgers and jobs of OAR, beside each other.

    Args:
        reconciliation: `tables.Reconciliation`.
    """
    place = pl.col("name").replace_strict(
        {name: number for number, name in enumerate(FIRST)},
        default=len(FIRST),
        return_dtype=pl.Int64,
    )
    rows = reconciliation.sort(
        pl.col("side").cast(pl.Enum(list(SIDES))), place, "name"
    ).with_columns(pl.col("side").replace_strict(SIDES, return_dtype=pl.String).alias("group"))
    return ReaderTable(
        name="ledger",
        title="What was tracked, and what OAR knows",
        note=(
            "Tracked: commands and blocks in the ledgers of people, those inside others left out. "
            "A run is part of the job that it names, else of the only one that held its machine. "
            "Jobs are those that ran in the study. Where few people are behind a group of jobs, "
            "no group is shown. docs/tracker.md explains the reasons."
        ),
        rows=rows,
        columns=[
            Column(name="name", header="Which"),
            Column(name="n_rows", header="Count", decimals=0),
            Column(name="gpu_hours", header="GPU time", unit="h", decimals=0),
            Column(name="energy_kwh", header="Measured", unit="kWh", decimals=1),
        ],
    )
