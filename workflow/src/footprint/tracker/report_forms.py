"""Forms of a report: text, Markdown, LaTeX and JSON, with a table, bars and a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from footprint import __version__
from footprint.core.latex import escape_latex
from footprint.tracker.reading import Fault
from footprint.tracker.report import Line, Report

UNKNOWN = "–"
BAR_LENGTH = 40
BAR_MM = 60.0
FULL_COVERAGE_FRAC = 0.99
"""Coverage below this is reported as a limitation."""
LEAST_MEASURED_FRAC = 0.5
"""Least measured part of an energy that is not called estimated."""
ENERGY_HEADERS = ("Nodes (kWh)", "Measured", "Devices (kWh)", "Read")
HEADERS = ("Phase", "Runs", "Jobs", "Time (h)", "GPU time (h)", *ENERGY_HEADERS)

COLUMN_NOTE = (
    "Nodes: energy of the nodes that the study attributed to the jobs, measured and estimated. "
    "Measured: part of it that was measured. Devices: energy of "
    "GPUs, processors and memory, from their counters or sampled power. Read: share of the time in "
    f"which devices were read. {UNKNOWN}: unknown."
)


def format_text(report: Report) -> str:
    """Report for a terminal."""
    rows = [HEADERS, *(_table_cells(line) for line in [*report.lines, report.total])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
    table = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    table.insert(1, "-" * max(map(len, table)))
    blocks = [
        report_title(report),
        "\n".join(table),
        text_bars(report),
        COLUMN_NOTE,
        *limitations(report),
    ]
    return "\n\n".join(block for block in [*blocks, appendix_sentence(report)] if block)


def format_markdown(report: Report) -> str:
    """Report for a Markdown page."""
    rows = [_table_cells(line) for line in report.lines]
    total = [f"**{cell}**" for cell in _table_cells(report.total)]
    table = [
        _markdown_row(HEADERS),
        "|---" + "|--:" * (len(HEADERS) - 1) + "|",
        *map(_markdown_row, [*rows, total]),
    ]
    bars = text_bars(report)
    figure = [f"```text\n{bars}\n```"] if bars else []
    blocks = [f"## {report_title(report)}", "\n".join(table), *figure, COLUMN_NOTE]
    return "\n\n".join([*blocks, *limitations(report), f"> {appendix_sentence(report)}"])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def format_latex(report: Report) -> str:
    r"""Report for a paper with `\usepackage{booktabs}`: a table, a figure of bars, a sentence."""
    body = [" & ".join(map(escape_latex, _table_cells(line))) + r" \\" for line in report.lines]
    total = (
        " & ".join(rf"\textbf{{{escape_latex(cell)}}}" for cell in _table_cells(report.total))
        + r" \\"
    )
    table = [
        r"\begin{table}[htbp]",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escape_latex(report_title(report))}. {escape_latex(COLUMN_NOTE)}}}",
        r"\begin{tabular}{@{}l" + "r" * (len(HEADERS) - 1) + r"@{}}",
        r"\toprule",
        " & ".join(map(escape_latex, HEADERS)) + r" \\",
        r"\midrule",
        *body,
        r"\midrule",
        total,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    bars = [
        rf"{escape_latex(name)} & \rule{{{BAR_MM * length_frac:.1f}mm}}{{2mm}} "
        rf"{escape_latex(energy)} \\"
        for name, length_frac, energy in _bar_rows(report)
    ]
    figure = [
        r"\begin{figure}[htbp]",
        r"\centering\small",
        r"\begin{tabular}{@{}rl@{}}",
        *bars,
        r"\end{tabular}",
        rf"\caption{{Energy by phase, {energy_basis(report)}.}}",
        r"\end{figure}",
    ]
    blocks = ["\n".join(table), *(["\n".join(figure)] if bars else [])]
    texts = [*limitations(report), appendix_sentence(report)]
    return "\n\n".join([*blocks, *map(escape_latex, texts)])


def format_json(report: Report) -> str:
    """Every field of a report as JSON, in kWh and hours; null is unknown."""
    return json.dumps(
        {
            "footprint": __version__,
            "paper": report.paper,
            "first_at": report.first_at.isoformat(),
            "last_at": report.last_at.isoformat(),
            "sites": list(report.sites),
            "basis": report.basis,
            "phases": [_json_fields(line) for line in report.lines],
            "total": _json_fields(report.total),
            "ratio": report.ratio,
            "ratio_reason": report.ratio_reason,
            "absent": dict(report.absent),
            "faults": [str(fault) for fault in report.faults],
            "sentence": appendix_sentence(report),
        },
        indent=2,
        ensure_ascii=False,
    )


FORMATTERS: dict[str, Callable[[Report], str]] = {
    "text": format_text,
    "markdown": format_markdown,
    "latex": format_latex,
    "json": format_json,
}


COMPONENT_NAMES = {"gpu": "GPUs", "cpu": "processors", "memory": "memory"}


def energy_basis(report: Report) -> str:
    """Origin of the energies, as a participle phrase."""
    if report.basis == "nodes":
        if report.total.nodes_measured_frac == 0:
            return "estimated without readings of the nodes' power"
        return "measured by the nodes' management controllers"
    names = [text for name, text in COMPONENT_NAMES.items() if name in report.total.devices_kwh]
    return f"read from the {' and '.join(names)} alone, without the rest of the nodes"


def report_title(report: Report) -> str:
    """Paper and days of a report."""
    first, last = report.first_at.date(), report.last_at.date()
    days = f"{first}" if first == last else f"{first} to {last}"
    return f"{report.paper or 'All tracked runs'}, {days}"


def appendix_sentence(report: Report) -> str:
    """Statement for the appendix of a paper: energy, R, origin and boundary.

    *All other runs* are those of the phase `development`.
    """
    total, name = report.total, report.paper or "this work"
    runs = f"{total.n_runs} run{'s' if total.n_runs != 1 else ''}"
    days = _days_text(report)
    if report.basis == "none":
        return (
            f"Research for {name} took {total.hours:.1f} h in {runs} {days}; its energy is unknown."
        )
    where = ""
    if report.basis == "nodes":
        sites = " and ".join(site.title() for site in report.sites)
        where = " at the compute nodes" + (f" of {sites}" if sites else "")
    energy, details = _energy_texts(total, report)
    text = f"Research for {name} used {energy} of electricity{where} in {runs} {days}{details}."
    return (
        f"{text}{_ratio_sentence(report)} {_capitalized(energy_basis(report))}; cooling, network, "
        f"storage and manufacturing are not included. Recorded with footprint {__version__}."
    )


def _days_text(report: Report) -> str:
    first, last = report.first_at.date(), report.last_at.date()
    if first == last:
        return f"on {first.day} {first:%B %Y}"
    since = f"{first.day} {first:%B}" + ("" if first.year == last.year else f" {first.year}")
    return f"between {since} and {last.day} {last:%B %Y}"


def _energy_texts(line: Line, report: Report) -> tuple[str, str]:
    """Energy of all runs, and its interval and measured part in brackets."""
    kwh = report.energy_of(line)
    if report.basis != "nodes" or kwh is None:
        return f"{_format_kwh(kwh)} kWh", ""
    text, interval = _with_interval(kwh, line.nodes_low_kwh, line.nodes_high_kwh)
    details = [f"interval of at least 95 %: {interval}"] if interval else []
    part = line.nodes_measured_frac
    if part is not None:
        rest = ", the rest estimated" if 0 < part < 1 else ""
        details.append(f"{part:.0%} measured{rest}".replace("%", " %"))
        text = f"an estimated {text}" if part < LEAST_MEASURED_FRAC else text
    if line.n_known < line.n_runs:
        text = f"at least {text}"
        details.append(f"the energy of {line.n_runs - line.n_known} runs is unknown")
    return text, f" ({'; '.join(details)})" if details else ""


def _with_interval(kwh: float, low: float | None, high: float | None) -> tuple[str, str]:
    """An energy with its unit, and both ends of its interval with the same decimals."""
    if low is None or high is None:
        return f"{_format_kwh(kwh)} kWh", ""
    low, high = min(low, kwh), max(high, kwh)
    digits = math.floor(math.log10(high)) if high > 0 else 0
    value, *ends = (f"{round(end, 2 - digits):.{max(2 - digits, 0)}f}" for end in (kwh, low, high))
    return f"{value} kWh", " to ".join(ends)


def _ratio_sentence(report: Report) -> str:
    """Energy of the reported training, and the ratio of all other runs to it."""
    lines = {line.phase: line for line in report.lines}
    training = lines.get("training")
    training_kwh = None if training is None else report.energy_of(training)
    if training is None or training_kwh is None:
        return ""
    excepted = [
        text
        for phase, text in {
            "inference": "inference with it",
            "not labelled": "runs without a label",
        }.items()
        if phase in lines
    ]
    others = "all other runs" + (f", except {' and '.join(excepted)}," if excepted else "")
    energy = f" Training the reported model took {_format_kwh(training_kwh)} kWh; "
    if report.ratio is not None:
        return f"{energy}{others} took {report.ratio:.3g} times as much."
    return f"{energy}the ratio of {others} to it cannot be given: {report.ratio_reason}."


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def limitations(report: Report) -> list[str]:
    """Sentences on runs, time and lines that the numbers leave out."""
    total = report.total
    sentences = []
    if report.basis == "nodes" and total.n_known < total.n_runs:
        sentences.append(
            f"The study has no energy of {total.n_runs - total.n_known} of {total.n_runs} "
            "runs; the energy of nodes excludes them."
        )
    if (
        report.basis == "nodes"
        and total.nodes_frac is not None
        and total.nodes_frac < FULL_COVERAGE_FRAC
    ):
        sentences.append(
            f"The study knows the energy of the nodes in {total.nodes_frac:.0%} of the tracked "
            "time; the rest lies outside its window, or has neither readings nor an estimate."
        )
    if total.n_open:
        sentences.append(
            f"The end of {total.n_open} of {total.n_runs} runs is unknown, as after a kill of the "
            "job; these runs count until their last sign of life."
        )
    sentences += [
        f"Not read in {n} of {total.n_runs} runs: {why}." for why, n in report.absent.items()
    ]
    if report.faults:
        sentences.append(f"Not used of the ledger: {describe_faults(report.faults)}.")
    return sentences


def describe_faults(faults: Sequence[Fault]) -> str:
    """Number of faults by reason, each with its first place; files are counted as lines are.

    Args:
        faults: Faults of a ledger.
    """
    faults_of_reason: dict[str, list[Fault]] = {}
    for fault in faults:
        faults_of_reason.setdefault(fault.reason, []).append(fault)
    return "; ".join(
        f"{len(found)} {'line' if found[0].line else 'file'}{'s' if len(found) > 1 else ''} "
        f"({reason}; first {found[0].place})"
        for reason, found in faults_of_reason.items()
    )


def text_bars(report: Report) -> str:
    """Bars of characters proportional to the energies; empty if no energy is known."""
    rows = [
        (name, "█" * max(round(BAR_LENGTH * length_frac), 1), energy)
        for name, length_frac, energy in _bar_rows(report)
    ]
    width = max((len(name) for name, _, _ in rows), default=0)
    return "\n".join(f"{name.ljust(width)}  {bar} {energy}" for name, bar, energy in rows)


def _bar_rows(report: Report) -> list[tuple[str, float, str]]:
    """Phase, length as a share of the longest bar, and printed energy of each bar."""
    energies = [(line.phase, report.energy_of(line)) for line in report.lines]
    max_kwh = max((kwh for _, kwh in energies if kwh is not None), default=0.0)
    return [
        (name, kwh / max_kwh, f"{_format_kwh(kwh)} kWh")
        for name, kwh in energies
        if kwh is not None and max_kwh
    ]


def _format_kwh(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    digits = math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, 2 - digits):.0f}" if value >= 100 else f"{value:.3g}"


def _table_cells(line: Line) -> tuple[str, ...]:
    return (
        line.phase,
        str(line.n_runs),
        str(line.n_jobs),
        f"{line.hours:.1f}",
        UNKNOWN if line.gpu_hours is None else f"{line.gpu_hours:.1f}",
        _format_kwh(line.nodes_kwh),
        UNKNOWN if line.nodes_measured_frac is None else f"{line.nodes_measured_frac:.0%}",
        _format_kwh(sum(line.devices_kwh.values()) if line.devices_kwh else None),
        UNKNOWN if line.covered_frac is None else f"{line.covered_frac:.0%}",
    )


def _json_fields(line: Line) -> dict[str, Any]:
    return {**vars(line), "devices_kwh": dict(line.devices_kwh)}
