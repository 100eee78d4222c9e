"""What a run says in the terminal when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from footprint import rejected_rows

LEVELS = ("site", "offset", "project", "paper")


def text(results: str | Path, *, checked: bool) -> str:
    """Energy by level, coverage, R of the papers, rejected rows, and where to look.

    What was not made is left out.

    Args:
        results: Folder of the results.
        checked: Whether the study compares measured with true energies; if not, a comparison that
            lies there is of an earlier one.
    """
    folder = Path(results)
    lines = []
    if (folder / "levels.parquet").exists():
        lines += ["", *_levels(pl.read_parquet(folder / "levels.parquet"))]
    ratio = folder / "phases" / "ratio.parquet"
    if ratio.exists():
        lines += _ratios(pl.read_parquet(ratio))
    check = folder / "energy" / "simulation_check.parquet"
    if checked and check.exists():
        lines += ["", *_simulation(pl.read_parquet(check))]
    set_aside = folder / "energy" / "set_aside.parquet"
    if set_aside.exists() and (rejected := rejected_rows.lines(pl.read_parquet(set_aside))):
        lines += ["", "rejected rows and limits of the input", *(f"  {line}" for line in rejected)]
    if lines:
        in_words = f"{folder}/summary.md"
        lines += ["", *([f"In words: {in_words}"] if Path(in_words).exists() else [])]
        lines += [f"Figures and tables: {folder}/figures, {folder}/tables; {folder}/report.html"]
    return "\n".join(lines)


def _levels(levels: pl.DataFrame) -> list[str]:
    measured = levels.filter(pl.col("method") == "bmc")
    shown = pl.concat(measured.filter(pl.col("level") == level) for level in LEVELS)
    return [f"{'level':<9}{'name':<34}{'kWh':>12}{'measured':>10}"] + [
        f"{row['level']:<9}{row['name'][:33]:<34}{_number(row['energy_kwh']):>12}"
        f"{_percent(row['coverage_frac']):>10}"
        for row in shown.iter_rows(named=True)
    ]


def _ratios(ratio: pl.DataFrame) -> list[str]:
    """R of each paper with its range over the thresholds; nothing where there are no papers."""
    papers = ratio.filter(pl.col("scope") == "paper").sort("name")
    lines = [
        f"  {row['name'][:33]:<34}R {_ratio(row)}{_range(row)}; "
        f"{row['n_labelled']} of {row['n_runs']} runs labelled"
        for row in papers.iter_rows(named=True)
    ]
    head = "development over training of the reported model (R)"
    return ["", head, *lines] if lines else []


def _ratio(row: dict[str, Any]) -> str:
    """R, or why there is none."""
    if row["ratio"] is None and row["ratio_reason"] is not None:
        return f"not given ({row['ratio_reason']})"
    return _number(row["ratio"])


def _range(row: dict[str, Any]) -> str:
    if row["ratio_low"] is None:
        return ""
    low = _number(row["ratio_low"])
    high = "no end" if row["ratio_high"] is None else _number(row["ratio_high"])
    return "" if low == high == _number(row["ratio"]) else f" ({low} to {high})"


def _simulation(check: pl.DataFrame) -> list[str]:
    return ["measured against true energy of the simulated site, by sensor step"] + [
        f"  {row['sensors']:<6} {_largest_error(row)}; truth inside the interval of "
        f"{_percent(row['inside_frac'], 1)} of {row['n_jobs']} measured jobs, median width "
        f"{_percent(row['median_width_frac'], 2)}"
        for row in check.iter_rows(named=True)
    ]


def _largest_error(row: dict[str, Any]) -> str:
    if row["largest_error_frac"] is None:
        return "no job over 10 min to compare"
    largest = _percent(row["largest_error_frac"], 2)
    return f"largest error of {row['n_jobs_compared']} jobs over 10 min {largest}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}".replace(",", " ")


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"
