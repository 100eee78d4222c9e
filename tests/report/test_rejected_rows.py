"""Rejected rows as lines of the summaries."""

from __future__ import annotations

from typing import Any

import polars as pl

from footprint.report import rejected_rows
from footprint.schemas.raw import RejectedRows


def _rejected(*rows: tuple[Any, ...]) -> pl.DataFrame:
    schema = pl.DataFrame(RejectedRows.create_empty()).schema
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_lines_sum_the_sources_of_a_reason() -> None:
    found = rejected_rows.rejected_row_lines(
        _rejected(
            ("power", "power/b.json", "other metric", 1200, "temperature"),
            ("power", "power/a.json", "other metric", 34, "pdu"),
            ("jobs", "jobs/a.json", "no walltime", 1, None),
        )
    )
    assert found == [
        "jobs: no walltime: 1 (jobs/a.json)",
        "power: other metric: 1\u00a0234 (2 sources, as in pdu)",
    ]


def test_lines_begin_with_the_inputs_of_the_measurement() -> None:
    stages = ["carbon", "devices", "hardware", "jobs", "ledger", "models", "power", "recorded"]
    many = [("carbon", "a", f"reason {i:03}", 1, "x") for i in range(rejected_rows.MOST_LINES)]
    others = [(stage, "a", "r", 1, "x") for stage in [*stages[1:], "states", "new"]]
    found = rejected_rows.rejected_row_lines(_rejected(*many, *others))
    assert [line.partition(":")[0] for line in found[:8]] == [
        *("jobs", "power", "hardware", "states", "devices", "recorded", "ledger", "carbon")
    ]
    assert found[-1] == "9 more reasons: energy/rejected.parquet"
    shown = rejected_rows.rejected_row_lines(_rejected(*others))
    assert [line.partition(":")[0] for line in shown[-3:]] == ["ledger", "models", "new"]


def test_lines_beyond_the_limit_are_counted() -> None:
    n = rejected_rows.MOST_LINES + 3
    found = rejected_rows.rejected_row_lines(
        _rejected(*(("jobs", "a", f"reason {i:03}", 1, "x") for i in range(n)))
    )
    assert len(found) == rejected_rows.MOST_LINES + 1
    assert found[-1] == "3 more reasons: energy/rejected.parquet"
    assert rejected_rows.rejected_row_lines(_rejected()) == []
