"""Last look at a readers' table: its sums and quotients are joined as they are printed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import polars.selectors as cs

from footprint.report.publication.rounding import MOST_DIGITS, JobList, rounded
from footprint.report.tables.formats import ReaderTable

_GROUP_COLUMNS = ("cluster", "first_day")
"""Columns of readers' tables that name a part of the job list."""


@dataclass(frozen=True)
class PrintedRows:
    """Rounds the rows of readers' tables until they join with nobody.

    Attributes:
        job_list: The job list of the study.
        groups: Names of shown groups: their rows were rounded with the others of these groups.
        jobs: Ids of the jobs of each cluster, and of each calendar step by its first day.
    """

    job_list: JobList
    groups: Collection[str]
    jobs: Mapping[str, pl.Series] = field(default_factory=dict)

    def round_table(self, table: ReaderTable) -> ReaderTable:
        """A readers' table with the digits that its rows may have; other numbers are null."""
        rows = table.rows.with_columns(cs.float().round_sig_figs(MOST_DIGITS))
        digits = [self._digits(row) for row in rows.iter_rows(named=True)]
        number = pl.col("digits")
        names = rows.select(cs.float()).columns
        numbered = rows.with_columns(pl.Series("digits", digits, dtype=pl.Int64))
        numbers = [rounded(name, rows.schema[name], number) for name in names]
        return replace(table, rows=numbered.with_columns(numbers).drop("digits"))

    def _digits(self, row: Mapping[str, Any]) -> int | None:
        if row.get("name") in self.groups:
            return MOST_DIGITS
        job_list = self.job_list
        for column in _GROUP_COLUMNS:
            if row.get(column) in self.jobs:
                job_list = job_list.of_group(self.jobs[row[column]])
        parts = [row, {"total_kwh": row.get("job")}]  # `job` is the energy of class `job`
        found = [job_list.digits_of_row(part) for part in parts]
        return None if None in found else min(n for n in found if n is not None)
