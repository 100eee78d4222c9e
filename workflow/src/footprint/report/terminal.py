"""The text that a finished run prints in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from footprint.levels import eco2mix
from footprint.report import rejected_rows, wording

SHOWN_LEVELS = ("site", "overhead", "project", "paper")


def results_text(
    results: str | Path, *, checked: bool, similar_names: str | Path | None = None
) -> str:
    """Totals by level with intervals, R of the papers, rejected rows, and paths of the results.

    Sections without a results file are omitted.

    Args:
        results: Folder of the results.
        checked: Whether the study compares energies with true ones. If not, a comparison in the
            folder belongs to an earlier study and is omitted.
        similar_names: Counts of similar names (`labels.similar_names`). They are no rejected rows
            of the energies, so that new labels do not repeat these.
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
        lines += filter(None, [_simulation_line(pl.read_parquet(check))])
    counted = [folder / "energy" / "rejected.parquet", *([similar_names] if similar_names else [])]
    rejected = [pl.read_parquet(path) for path in map(Path, counted) if path.exists()]
    if rejected and (found := rejected_rows.rejected_row_lines(pl.concat(rejected))):
        lines += ["", "rejected rows and limits of the input", *(f"  {line}" for line in found)]
    if lines:
        lines += ["", *_path_lines(folder.absolute())]
    return "\n".join(lines)


def _path_lines(folder: Path) -> list[str]:
    """Absolute paths of the results that exist; the report, as a link, is last."""
    summary, report = folder / "summary.md", folder / "report.html"
    parts = [f"Figures, tables: {folder}/figures, {folder}/tables"]
    if summary.exists():
        parts.append(f"summary: {summary}")
    return ["; ".join(parts), *([f"Report: {report.as_uri()}"] if report.exists() else [])]


def intensity_errors(rejected: str | Path) -> str:
    """Lines about files of eCO2mix with which a run fails at its end; empty without errors.

    Args:
        rejected: Rejected rows of these files (`schemas.RejectedRows`); it may be missing.
    """
    if not Path(rejected).exists():
        return ""
    return "\n".join(eco2mix.error_lines(pl.read_parquet(rejected)))


def _level_lines(levels: pl.DataFrame) -> list[str]:
    measured = levels.filter(pl.col("method") == "bmc")
    shown = pl.concat(measured.filter(pl.col("level") == level) for level in SHOWN_LEVELS)
    return [f"{'level':<9}{'name':<34}{'total':>13}{'95 %':>17}{'measured':>10}"] + [
        _level_line(row) for row in shown.iter_rows(named=True)
    ]


def _level_line(row: dict[str, Any]) -> str:
    """Total of a row of the levels, its interval, and its measured part."""
    total, interval = wording.UNKNOWN, None
    if row["total_kwh"] is not None:
        total, interval = wording.energy_texts(
            row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
        )
        total = f">= {total}" if row["unknown_node_h"] else total
    part = "" if row["measured_frac"] is None else wording.format_percent(row["measured_frac"])
    line = f"{row['level']:<9}{row['name'][:33]:<34}{total:>13}{interval or '':>17}{part:>10}"
    return line.replace(wording.NARROW_SPACE, " ")


def _ratio_lines(ratio: pl.DataFrame) -> list[str]:
    """Lines with R of each paper and its interval; empty without papers."""
    papers = ratio.filter(pl.col("scope") == "paper").sort("name")
    lines = [
        f"  {row['name'][:33]:<34}R {_ratio_text(row)}; "
        f"{row['n_labelled']} of {row['n_runs']} runs labelled"
        for row in papers.iter_rows(named=True)
    ]
    head = "energy of development over training of the reported model (R)"
    return ["", head, *lines] if lines else []


def _ratio_text(row: dict[str, Any]) -> str:
    """R and its interval, or the reason for its absence."""
    text = wording.format_ratio_interval(
        row["ratio"], row["ratio_low"], row["ratio_high"], row["ratio_reason"]
    )
    return text.replace(wording.NARROW_SPACE, " ")


def _simulation_line(check: pl.DataFrame) -> str:
    """Comparison of all jobs with the truth, and of the sensors that do worst; empty without jobs.

    Sensors do worst whose intervals contain the truth for the smallest share of jobs.
    """
    rows = {row["sensors"]: row for row in check.iter_rows(named=True)}
    if (whole := rows.pop("all", None)) is None:
        return ""
    inside = f"{_format_percent(whole['inside_frac'], 1)} of {whole['n_jobs']} jobs"
    worst = min(rows.values(), key=lambda row: row["inside_frac"], default=whole)
    if worst["inside_frac"] < whole["inside_frac"]:
        sensors = worst["sensors"]
        kind = "nodes without readings" if sensors == "no readings" else f"sensors of {sensors}"
        lowest = f"{_format_percent(worst['inside_frac'], 1)} of {worst['n_jobs']}"
        inside += f", lowest for {kind} ({lowest})"
    return (
        f"Against the simulated truth: true energy inside the 95 % interval for {inside}; "
        f"{_largest_error(whole)}"
    )


def _largest_error(row: dict[str, Any]) -> str:
    if row["largest_error_frac"] is None:
        return "no measured job over 10 min to compare"
    largest = _format_percent(row["largest_error_frac"], 2)
    return f"largest error of measurement {largest} ({row['n_jobs_compared']} jobs over 10 min)"


def _format_percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"
