"""Tests of the comparison of tables in two folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.compare_results import table_differences


def _write(folder: Path, name: str = "jobs.parquet", **changes: Any) -> Path:
    columns = {
        "job_id": [1, 2, 3],
        "measured_kwh": [1.0, None, 3.0],
        "flags": [["a"], [], None],
        "user": ["ash", "fir", None],
    }
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns | changes, strict=False).write_parquet(folder / name)
    return folder


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, None),
        ({"measured_kwh": [1.0 + 1e-13, None, 3.0]}, None),
        ({"measured_kwh": [1.0 + 1e-11, None, 3.0]}, "column measured_kwh: 1 of 3 values differ"),
        ({"measured_kwh": [1.0, 0.0, 3.0]}, "column measured_kwh: 1 of 3 values differ"),
        ({"measured_kwh": [1.0, None, None]}, "column measured_kwh: 1 of 3 values differ"),
        ({"job_id": [1, 2, 4]}, "column job_id: 1 of 3 values differ"),
        ({"flags": [["a"], ["b"], None]}, "column flags: 1 of 3 values differ"),
        ({"user": ["ash", "fir", "yew"]}, "column user: 1 of 3 values differ"),
        ({"user": [1, 2, 3]}, "column user: String before, Int64 after"),
        ({"share": [1, 2, 3]}, "column share: only after"),
    ],
)
def test_differences_with_one_changed_column_name_it(
    tmp_path: Path, changes: dict[str, Any], line: str | None
) -> None:
    before, after = _write(tmp_path / "a"), _write(tmp_path / "b", **changes)
    found = list(table_differences(before, after))
    assert [each.startswith(f"jobs.parquet: {line}") for each in found] == ([True] if line else [])


def test_differences_report_files_and_row_counts(tmp_path: Path) -> None:
    before = _write(_write(tmp_path / "a"), "energy/nodes.parquet")
    after = _write(tmp_path / "b", job_id=[1], measured_kwh=[1.0], flags=[["a"]], user=["ash"])
    assert list(table_differences(before, after)) == [
        f"energy/nodes.parquet: only in {before}",
        "jobs.parquet: 3 rows before, 1 after",
    ]


def test_differences_with_renamed_tables_are_none(tmp_path: Path) -> None:
    before, after = _write(tmp_path / "a"), tmp_path / "b"
    after.mkdir()
    table = pl.read_parquet(before / "jobs.parquet").rename({"measured_kwh": "energy_kwh"})
    table.write_parquet(after / "job_energy.parquet")
    names = {"jobs.parquet": "job_energy.parquet", "measured_kwh": "energy_kwh"}
    assert list(table_differences(before, after, names=names)) == []
    assert len(list(table_differences(before, after))) == 2


def test_differences_with_renamed_folders_and_text_values_are_none(tmp_path: Path) -> None:
    before = _write(
        tmp_path / "a", "gates/ash.parquet", user=["offset", '{"offset": 1}', "offsets"]
    )
    after = _write(
        tmp_path / "b", "shares/ash.parquet", user=["overhead", '{"overhead": 1}', "offsets"]
    )
    names = {"gates": "shares", "offset": "overhead"}
    assert list(table_differences(before, after, names=names)) == []
    assert len(list(table_differences(before, after, names={"gates": "shares"}))) == 1
