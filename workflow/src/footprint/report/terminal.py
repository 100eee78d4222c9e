"""The text that a finished run prints in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from footprint.report import rejected_rows

SHOWN_LEVELS = ("site", "overhead", "project", "paper")


def results_text(results: str | Path, *, checked: bool) -> str:
    """Energy by level, coverage, R of the papers, rejected rows, and paths of the results.

    Sections without a results file are omitted.

    Args:
        results: Folder of the results.
        checked: Whether the study compares measured with true energies. If not, a comparison in the
            folder belongs to an earlier study and is omitted.
    """
    folder = Path(results)
    lines = []
    if (folder / "levels.parquet").exists():
        lines += ["", *_level_lines(pl.read_parquet(folder / "levels.parquet"))]
    ratio = folder / "phases" / "ratio.parquet"
    if ratio.exists():
        lines += _ratio_lines(pl.read_parquet(ratio))
    check = folder / "energy" / "simulation_check.parquet"
    if checked and check.exists():
        lines += ["", *_simulation_lines(pl.read_parquet(check))]
    rejected = folder / "energy" / "rejected.parquet"
    if rejected.exists() and (found := rejected_rows.rejected_row_lines(pl.read_parquet(rejected))):
        lines += ["", "rejected rows and limits of the input", *(f"  {line}" for line in found)]
    if lines:
        summary = f"{folder}/summary.md"
        lines += ["", *([f"Summary: {summary}"] if Path(summary).exists() else [])]
        lines += [f"Figures and tables: {folder}/figures, {folder}/tables; {folder}/report.html"]
    return "\n".join(lines)


def _level_lines(levels: pl.DataFrame) -> list[str]:
    measured = levels.filter(pl.col("method") == "bmc")
    shown = pl.concat(measured.filter(pl.col("level") == level) for level in SHOWN_LEVELS)
    return [f"{'level':<9}{'name':<34}{'kWh':>12}{'measured':>10}"] + [
        f"{row['level']:<9}{row['name'][:33]:<34}{_format_number(row['total_kwh']):>12}"
        f"{_format_percent(row['measured_frac']):>10}"
        for row in shown.iter_rows(named=True)
    ]


def _ratio_lines(ratio: pl.DataFrame) -> list[str]:
    """Lines with R of each paper and its range over the thresholds; empty without papers."""
    papers = ratio.filter(pl.col("scope") == "paper").sort("name")
    lines = [
        f"  {row['name'][:33]:<34}R {_ratio_text(row)}{_ratio_range(row)}; "
        f"{row['n_labelled']} of {row['n_runs']} runs labelled"
        for row in papers.iter_rows(named=True)
    ]
    head = "energy of development over training of the reported model (R)"
    return ["", head, *lines] if lines else []


def _ratio_text(row: dict[str, Any]) -> str:
    """R, or the reason for its absence."""
    if row["ratio"] is None and row["ratio_reason"] is not None:
        return f"not given ({row['ratio_reason']})"
    return _format_number(row["ratio"])


def _ratio_range(row: dict[str, Any]) -> str:
    if row["ratio_low"] is None:
        return ""
    low = _format_number(row["ratio_low"])
    high = "no end" if row["ratio_high"] is None else _format_number(row["ratio_high"])
    return "" if low == high == _format_number(row["ratio"]) else f" ({low} to {high})"


def _simulation_lines(check: pl.DataFrame) -> list[str]:
    return ["measured against true energy of the simulated site, by sensor step"] + [
        f"  {row['sensors']:<6} {_largest_error(row)}; true energy inside the 95 % interval for "
        f"{_format_percent(row['inside_frac'], 1)} of {row['n_jobs']} measured jobs, median width "
        f"{_format_percent(row['median_width_frac'], 2)}"
        for row in check.iter_rows(named=True)
    ]


def _largest_error(row: dict[str, Any]) -> str:
    if row["largest_error_frac"] is None:
        return "no job over 10 min to compare"
    largest = _format_percent(row["largest_error_frac"], 2)
    return f"largest error of {row['n_jobs_compared']} jobs over 10 min: {largest}"


def _format_number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}".replace(",", " ")


def _format_percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"
