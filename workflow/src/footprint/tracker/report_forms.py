"""A report as text, Markdown, LaTeX and JSON: a table, bars for a figure, and a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from footprint import __version__
from footprint.tex import escaped
from footprint.tracker.report import Line, Report

UNKNOWN = "–"
BAR_LENGTH = 40
BAR_MM = 60.0
WHOLE_FRAC = 0.99
"""Less of the time than this is said."""
ENERGIES = ("Nodes (kWh)", "Devices (kWh)", "Read")
HEADERS = ("Phase", "Runs", "Jobs", "Time (h)", "GPU time (h)", *ENERGIES)

MEANINGS = (
    "Nodes: energy that the study measured at the nodes, by the part that the jobs held. Devices: "
    "GPUs, processors and memory, as their counters tell. Read: part of the time in which devices "
    f"were read. {UNKNOWN}: not known."
)


def text(report: Report) -> str:
    """For a terminal."""
    rows = [HEADERS, *(_cells(line) for line in [*report.lines, report.total])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADERS))]
    table = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    table.insert(1, "-" * max(map(len, table)))
    blocks = [title(report), "\n".join(table), bars(report), MEANINGS, *doubts(report)]
    return "\n\n".join(block for block in [*blocks, sentence(report)] if block)


def markdown(report: Report) -> str:
    """For a page or a README."""
    rows = [_cells(line) for line in report.lines]
    total = [f"**{cell}**" for cell in _cells(report.total)]
    table = [_row(HEADERS), "|---" + "|--:" * (len(HEADERS) - 1) + "|", *map(_row, [*rows, total])]
    figure = bars(report)
    fenced = [f"```text\n{figure}\n```"] if figure else []
    blocks = [f"## {title(report)}", "\n".join(table), *fenced, MEANINGS, *doubts(report)]
    return "\n\n".join([*blocks, f"> {sentence(report)}"])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def latex(report: Report) -> str:
    r"""For a paper with `\usepackage{booktabs}`: a table, a figure of bars, and the sentence."""
    body = [" & ".join(map(escaped, _cells(line))) + r" \\" for line in report.lines]
    last = " & ".join(rf"\textbf{{{escaped(cell)}}}" for cell in _cells(report.total)) + r" \\"
    table = [
        r"\begin{table}[htbp]",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escaped(title(report))}. {escaped(MEANINGS)}}}",
        r"\begin{tabular}{@{}l" + "r" * (len(HEADERS) - 1) + r"@{}}",
        r"\toprule",
        " & ".join(map(escaped, HEADERS)) + r" \\",
        r"\midrule",
        *body,
        r"\midrule",
        last,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    rules = [
        rf"{escaped(name)} & \rule{{{BAR_MM * part:.1f}mm}}{{2mm}} {escaped(energy)} \\"
        for name, part, energy in _parts(report)
    ]
    figure = [
        r"\begin{figure}[htbp]",
        r"\centering\small",
        r"\begin{tabular}{@{}rl@{}}",
        *rules,
        r"\end{tabular}",
        rf"\caption{{Energy by phase, {basis(report)}.}}",
        r"\end{figure}",
    ]
    blocks = ["\n".join(table), *(["\n".join(figure)] if rules else [])]
    return "\n\n".join([*blocks, *map(escaped, doubts(report)), escaped(sentence(report))])


def as_json(report: Report) -> str:
    """For machines: everything, in kWh and hours; null is unknown."""
    return json.dumps(
        {
            "footprint": __version__,
            "paper": report.paper,
            "first_at": report.first_at.isoformat(),
            "last_at": report.last_at.isoformat(),
            "basis": report.basis,
            "phases": [_fields(line) for line in report.lines],
            "total": _fields(report.total),
            "ratio": report.ratio,
            "ratio_reason": report.ratio_reason,
            "absent": dict(report.absent),
            "faults": [str(fault) for fault in report.faults],
            "sentence": sentence(report),
        },
        indent=2,
        ensure_ascii=False,
    )


FORMS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "json": as_json,
}


COMPONENTS = {"gpu": "GPUs", "cpu": "processors", "memory": "memory"}


def basis(report: Report) -> str:
    """Where the energies come from, in words."""
    if report.basis == "nodes":
        return "measured at the nodes by their BMC"
    read = [text for name, text in COMPONENTS.items() if name in report.total.devices_kwh]
    return f"read from the {' and '.join(read)} alone, without the rest of the nodes"


def title(report: Report) -> str:
    """What is told of, and of which days."""
    first, last = report.first_at.date(), report.last_at.date()
    days = f"{first}" if first == last else f"{first} to {last}"
    return f"{report.paper or 'All tracked runs'}, {days}"


def sentence(report: Report) -> str:
    """A sentence for the appendix of a paper."""
    total, name = report.total, report.paper or "this work"
    runs = f"{total.n_runs} run{'s' if total.n_runs != 1 else ''}"
    if report.basis == "none":
        return (
            f"The development of {name} took {total.hours:.1f} h in {runs}; its energy is unknown."
        )
    said = f"The development of {name} took {_kwh(total.energy_kwh)} kWh over {runs}"
    training = next((line for line in report.lines if line.phase == "training"), None)
    own = None if training is None else _energy(training, report)
    if own is not None:
        said += f"; training the reported model took {_kwh(own)} kWh of it"
    if report.ratio is not None:
        said += f", and the rest of its development {report.ratio:.3g} times as much"
    elif report.ratio_reason is not None and training is not None:
        said += f", a ratio is not given ({report.ratio_reason})"
    return f"{said}. Energy is {basis(report)}; recorded with footprint {__version__}."


def doubts(report: Report) -> list[str]:
    """What the numbers leave out, a sentence each."""
    total, said = report.total, []
    if report.basis == "nodes" and total.n_measured < total.n_runs:
        said.append(
            f"Of {total.n_runs - total.n_measured} of {total.n_runs} runs the study measured "
            "nothing: they are in no energy of nodes."
        )
    if report.basis == "nodes" and total.nodes_frac is not None and total.nodes_frac < WHOLE_FRAC:
        said.append(
            f"The study measured the nodes in {total.nodes_frac:.0%} of the time that was tracked: "
            "the rest lies outside of its days, or has no readings."
        )
    if total.n_open:
        said.append(
            f"The end of {total.n_open} of {total.n_runs} runs is not known, as of jobs that were "
            "killed: they count until their last sign of life."
        )
    said += [f"Not read in {n} of {total.n_runs} runs: {why}." for why, n in report.absent.items()]
    if report.faults:
        first = report.faults[0]
        rest = f", and {len(report.faults) - 1} more" if len(report.faults) > 1 else ""
        said.append(f"Lines of the ledger that cannot be used: {first}{rest}.")
    return said


def bars(report: Report) -> str:
    """Bars of characters, as long as the energies; empty where none is known."""
    rows = [
        (name, "█" * max(round(BAR_LENGTH * part), 1), kwh) for name, part, kwh in _parts(report)
    ]
    width = max((len(name) for name, _, _ in rows), default=0)
    return "\n".join(f"{name.ljust(width)}  {bar} {energy}" for name, bar, energy in rows)


def _parts(report: Report) -> list[tuple[str, float, str]]:
    """Phase, part of the largest energy, and the energy in words."""
    known = [(line.phase, _energy(line, report)) for line in report.lines]
    most = max((kwh for _, kwh in known if kwh is not None), default=0.0)
    return [
        (name, kwh / most, f"{_kwh(kwh)} kWh") for name, kwh in known if kwh is not None and most
    ]


def _energy(line: Line, report: Report) -> float | None:
    return line.nodes_kwh if report.basis == "nodes" else line.energy_kwh


def _kwh(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.phase,
        str(line.n_runs),
        str(line.n_jobs),
        f"{line.hours:.1f}",
        UNKNOWN if line.gpu_hours is None else f"{line.gpu_hours:.1f}",
        _kwh(line.nodes_kwh),
        _kwh(sum(line.devices_kwh.values()) if line.devices_kwh else None),
        UNKNOWN if line.covered_frac is None else f"{line.covered_frac:.0%}",
    )


def _fields(line: Line) -> dict[str, Any]:
    return {**vars(line), "devices_kwh": dict(line.devices_kwh)}
