"""The page of the report: its data and its text, filled into the template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from jinja2 import Environment, StrictUndefined

from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.report import wording
from footprint.report.appendix import StudyScope
from footprint.report.page import charts, run_rows, timeline
from footprint.report.page.scopes import LEVEL_HEADINGS

RUN_HEADERS = {
    "run_id": "Run",
    "total_kwh": "Energy (kWh)",
    "kind": "Kind",
    "phase": "Phase",
    "user": "Person",
    "project": "Team",
    "paper": "Paper",
    "started_at": "Start (UTC)",
    "duration_h": "Hours",
    "gpu_hours": "GPU hours",
    "total_low_kwh": "Low (kWh)",
    "total_high_kwh": "High (kWh)",
    "measured_frac": "Measured (%)",
    "clusters": "Clusters",
}
"""Columns of the table of runs, with their headers."""

GROUP_HEADERS = {
    "week": "Week",
    "total_kwh": "Energy (kWh)",
    "phase": "Phase",
    "user": "Person",
    "project": "Team",
    "paper": "Paper",
    "n_runs": "Runs",
    "duration_h": "Hours",
    "gpu_hours": "GPU hours",
    "measured_frac": "Measured (%)",
}
"""Columns of the table of weeks, in place of runs above `run_rows.MOST_RUNS`."""


class PageRuns(NamedTuple):
    """Runs of a study, which a published page has not.

    Attributes:
        runs: Result of `run_rows.runs_of_page`.
        bars: Result of `timeline.energy_by_bar`.
        traces: Result of `traces.power_traces`.
    """

    runs: pl.DataFrame
    bars: pl.DataFrame
    traces: Sequence[Mapping[str, Any]]


def page_data(
    scopes: Sequence[Mapping[str, Any]], *, study: StudyScope, runs: PageRuns | None
) -> dict[str, Any]:
    """Data of the page, for JSON: all but `details` is needed at once.

    Args:
        scopes: Result of `scopes.page_scopes`.
        study: Site and days of the study.
        runs: Runs of the study; None: the page has no runs, and no energy over time.
    """
    data = {
        "scopes": list(scopes),
        "phases": charts.phase_order(),
        "kinds": dict(wording.KIND_NAMES),
        "charts": charts.page_charts(),
    }
    if runs is None:
        return data | {"bars": None, "runs": None, "detailed": [], "details": {}}
    return data | {
        "bars": _bars(runs.bars, study),
        "runs": _table_of_runs(runs.runs),
        "detailed": [trace["run_id"] for trace in runs.traces],
        "details": _details(runs.runs, runs.traces),
    }


def _bars(bars: pl.DataFrame, study: StudyScope) -> dict[str, Any]:
    """Length of a bar in words, and the bars of each scope."""
    every = timeline.bar_length(study.start, study.end)
    ends = bars.with_columns(end=pl.col("bar").dt.offset_by(every))
    of_scope: dict[str, list[list[Any]]] = {}
    for scope, day, phase, kwh, end in ends.iter_rows():
        row = [day.isoformat(), end.isoformat(), phase, _rounded(kwh), wording.format_energy(kwh)]
        of_scope.setdefault(scope, []).append(row)
    return {"every": {"1d": "day", "1w": "week", "1mo": "month"}[every], "rows": of_scope}


def _table_of_runs(runs: pl.DataFrame) -> dict[str, Any]:
    """Headers and rows of the table; `single`: whether a row is one run."""
    single = len(runs) <= run_rows.MOST_RUNS
    headers = RUN_HEADERS if single else GROUP_HEADERS
    shown = runs if single else run_rows.grouped_runs(runs)
    shown = shown.select(*headers).with_columns(pl.col("measured_frac") * 100)
    if single:
        names = pl.col("kind").cast(pl.String).replace_strict(wording.KIND_NAMES, default=None)
        shown = shown.with_columns(kind=names)
    rows = [[_cell(value) for value in row] for row in shown.iter_rows()]
    numbers = [name for name, kind in shown.schema.items() if kind.is_numeric()]
    return {
        "single": single,
        "columns": list(headers),
        "headers": list(headers.values()),
        "numbers": numbers,
        "rows": rows,
    }


def _details(runs: pl.DataFrame, traces: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Kind with its reasons, jobs and power of the runs that have a trace."""
    trace_of = {trace["run_id"]: trace for trace in traces}
    rows = runs.filter(pl.col("run_id").is_in(list(trace_of))).select(
        *("run_id", "job_ids", "rule", "features"), *PROBABILITY_COLUMNS
    )
    found = {}
    for row in rows.iter_rows(named=True):
        chances = {name.removeprefix("p_"): row[name] for name in PROBABILITY_COLUMNS}
        found[str(row["run_id"])] = {
            "jobs": row["job_ids"],
            "rule": row["rule"],
            "features": row["features"],
            "chances": {k: round(p, 3) for k, p in chances.items() if p is not None},
            "trace": {k: v for k, v in trace_of[row["run_id"]].items() if k != "run_id"},
        }
    return found


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return value.isoformat() if isinstance(value, date) else value


def _rounded(value: float) -> float:
    """A number with five significant digits."""
    return float(f"{value:.5g}")


def page_html(
    data: Mapping[str, Any],
    sections: Sequence[Mapping[str, Any]],
    *,
    study: StudyScope,
    provenance: str,
    notes: Sequence[str] = (),
) -> str:
    """The page, which loads nothing from outside.

    Args:
        data: Result of `page_data`.
        sections: Result of `exhibits.ordered_exhibits`.
        study: Site and days of the study.
        provenance: Site, period, source and version.
        notes: What a published page withholds, and why.
    """
    environment = Environment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    figures = {
        exhibit["id"]: exhibit["svg"]
        for section in sections
        for exhibit in section["exhibits"]
        if exhibit["kind"] == "figure"
    }
    template, style, script = (
        (Path(__file__).parent / name).read_text(encoding="utf-8")
        for name in ("page.html.j2", "page.css", "page.js")
    )
    return environment.from_string(template).render(
        study=study,
        provenance=provenance,
        notes=notes,
        headings=list(LEVEL_HEADINGS.values()),
        scopes=data["scopes"],
        has_runs=data["runs"] is not None,
        sections=sections,
        data=_script_json({name: part for name, part in data.items() if name != "details"}),
        details=_script_json(data["details"]),
        figures=_script_json(figures),
        style=style,
        script=script,
        vega=charts.vega_script().replace("</script", "<\\/script"),
    )


def _script_json(value: Any) -> str:
    """JSON for a `script` element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
