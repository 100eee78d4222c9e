"""Forms of a report: text, Markdown, LaTeX and JSON, with a table, bars and a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from footprint import __version__
from footprint.core.latex import escape_latex
from footprint.tracker.report import Line, Report

UNKNOWN = "–"
BAR_LENGTH = 40
BAR_MM = 60.0
FULL_COVERAGE_FRAC = 0.99
"""Coverage below this is reported as a limitation."""
ENERGY_HEADERS = ("Nodes (kWh)", "Devices (kWh)", "Read")
HEADERS = ("Phase", "Runs", "Jobs", "Time (h)", "GPU time (h)", *ENERGY_HEADERS)

COLUMN_NOTE = (
    "Nodes: measured energy of the nodes that the study attributed to the jobs. Devices: energy of "
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
        return "measured at the nodes by their BMC"
    names = [text for name, text in COMPONENT_NAMES.items() if name in report.total.devices_kwh]
    return f"read from the {' and '.join(names)} alone, without the rest of the nodes"


def report_title(report: Report) -> str:
    """Paper and days of a report."""
    first, last = report.first_at.date(), report.last_at.date()
    days = f"{first}" if first == last else f"{first} to {last}"
    return f"{report.paper or 'All tracked runs'}, {days}"


def appendix_sentence(report: Report) -> str:
    """Sentence for the appendix of a paper."""
    total, name = report.total, report.paper or "this work"
    runs = f"{total.n_runs} run{'s' if total.n_runs != 1 else ''}"
    if report.basis == "none":
        return (
            f"The development of {name} took {total.hours:.1f} h in {runs}; its energy is unknown."
        )
    text = f"The development of {name} took {_format_kwh(total.energy_kwh)} kWh over {runs}"
    training = next((line for line in report.lines if line.phase == "training"), None)
    training_kwh = None if training is None else report.energy_of(training)
    if training_kwh is not None:
        text += f"; training the reported model took {_format_kwh(training_kwh)} kWh of it"
    if report.ratio is not None:
        text += f", and the rest of its development {report.ratio:.3g} times as much"
    elif report.ratio_reason is not None and training is not None:
        text += f", a ratio is not given ({report.ratio_reason})"
    return f"{text}. Energy is {energy_basis(report)}; recorded with footprint {__version__}."


def limitations(report: Report) -> list[str]:
    """Sentences on runs, time and lines that the numbers leave out."""
    total = report.total
    sentences = []
    if report.basis == "nodes" and total.n_measured < total.n_runs:
        sentences.append(
            f"The study has no measurement of {total.n_runs - total.n_measured} of {total.n_runs} "
            "runs; the energy of nodes excludes them."
        )
    if (
        report.basis == "nodes"
        and total.nodes_frac is not None
        and total.nodes_frac < FULL_COVERAGE_FRAC
    ):
        sentences.append(
            f"The study measured the nodes in {total.nodes_frac:.0%} of the tracked time; the rest "
            "lies outside its window or has no readings."
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
        first = report.faults[0]
        others = f", and {len(report.faults) - 1} more" if len(report.faults) > 1 else ""
        sentences.append(f"Lines of the ledger that cannot be used: {first}{others}.")
    return sentences


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
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table_cells(line: Line) -> tuple[str, ...]:
    return (
        line.phase,
        str(line.n_runs),
        str(line.n_jobs),
        f"{line.hours:.1f}",
        UNKNOWN if line.gpu_hours is None else f"{line.gpu_hours:.1f}",
        _format_kwh(line.nodes_kwh),
        _format_kwh(sum(line.devices_kwh.values()) if line.devices_kwh else None),
        UNKNOWN if line.covered_frac is None else f"{line.covered_frac:.0%}",
    )


def _json_fields(line: Line) -> dict[str, Any]:
    return {**vars(line), "devices_kwh": dict(line.devices_kwh)}
