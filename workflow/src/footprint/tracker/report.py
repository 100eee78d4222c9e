"""`footprint report`: energy of one person's tracked runs, for a paper's appendix.

Takes a ledger and, optionally, the results of a study. The energy is that of devices (ledger), or
that of the nodes that the jobs held (study); energies of the two bases are never added.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from footprint.core import names
from footprint.core.arguments import CommandParser
from footprint.core.errors import InputError
from footprint.core.vocabulary import MIN_COVERAGE_FRAC
from footprint.tracker import ledger, reading
from footprint.tracker.node_energies import NodesEnergy, read_job_energies
from footprint.tracker.reading import COMPONENTS, TrackedRun

PHASES = ("training", "inference", "development", "not labelled")
RATIO_PHASES = ("training", "development")
J_PER_KWH = 3.6e6
GRID5000_DOMAIN = ".grid5000.fr"
FIRST_RUN = "record one with `footprint track --paper NAME -- python train.py`"
SUMMARY = "Summarise tracked runs: a table, a figure, and a sentence for the appendix of a paper."


@dataclass(frozen=True, kw_only=True)
class Line:
    """Sums over the runs of a phase; its attributes are the keys of the JSON form.

    Attributes:
        phase: One of `PHASES`, or `all`.
        n_runs: Runs.
        n_jobs: OAR jobs of these runs.
        hours: Sum of their recorded durations.
        gpu_hours: Sum of duration times GPUs; None: the GPUs of some run are unknown.
        devices_kwh: Energy of the devices that were read, by component.
        covered_frac: Covered share of the time of devices; None: no duration is recorded.
        nodes_kwh: Total energy of the nodes, measured and estimated; None: no study, or it knows
            none of these runs.
        nodes_low_kwh: Sum of the lower ends of the runs' 95 % intervals. An interval of sums of
            ends holds at least 95 %, because the errors of runs are not wholly common. None: an
            end is unknown.
        nodes_high_kwh: Sum of the upper ends.
        nodes_measured_frac: Measured part of nodes_kwh; None: as `nodes_kwh`.
        nodes_frac: Mean share of the time of the runs' jobs with known energy, weighted by the
            durations of the runs; None: as `nodes_kwh`, no duration is recorded, or the share of
            some job is unknown.
        n_known: Runs with known energy of nodes.
        n_open: Runs without a stop record, which count until their last sign of life.
    """

    phase: str
    n_runs: int
    n_jobs: int
    hours: float
    gpu_hours: float | None
    devices_kwh: Mapping[str, float]
    covered_frac: float | None
    nodes_kwh: float | None
    nodes_low_kwh: float | None
    nodes_high_kwh: float | None
    nodes_measured_frac: float | None
    nodes_frac: float | None
    n_known: int
    n_open: int

    @property
    def energy_kwh(self) -> float | None:
        """Energy of the nodes if known, else of the devices that were read, else None."""
        if self.nodes_kwh is not None:
            return self.nodes_kwh
        return sum(self.devices_kwh.values()) if self.devices_kwh else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Energy of tracked runs by phase.

    Attributes:
        paper: Paper of the runs; None: every run of the ledger.
        first_at: Start of the first run.
        last_at: End of the last run.
        lines: A line for each phase with runs.
        total: Sums over all lines.
        sites: Sites of the nodes whose energy is known.
        basis: `nodes` (by the study), `devices`, or `none` (no energy is known).
        absent: Runs without some devices, by the reason.
        faults: Faults of the ledger.
    """

    paper: str | None
    first_at: datetime
    last_at: datetime
    lines: Sequence[Line]
    total: Line
    sites: Sequence[str]
    basis: str
    absent: Mapping[str, int]
    faults: Sequence[reading.Fault]

    @property
    def ratio(self) -> float | None:
        """Energy of development over training; None: see `ratio_reason`."""
        if self.ratio_reason is not None:
            return None
        energies = {line.phase: self.energy_of(line) or 0.0 for line in self.lines}
        return energies["development"] / energies["training"]

    @property
    def ratio_reason(self) -> str | None:
        """Reason for which the ratio is None; None where the ratio is given.

        As in the study, energy must be known for at least 90 % of the time of both phases.
        """
        lines = {line.phase: line for line in self.lines if line.phase in RATIO_PHASES}
        missing = [phase for phase in RATIO_PHASES if phase not in lines]
        if missing:
            return f"no {missing[0]} known"
        fractions = {phase: self._known_frac(line) for phase, line in lines.items()}
        texts = [
            f"{_format_percent(frac)} of {phase}"
            for phase, frac in fractions.items()
            if frac is None or frac < MIN_COVERAGE_FRAC * (1 - 1e-9)
        ]
        if texts:
            return f"{', '.join(texts)} known"
        return None if self.energy_of(lines["training"]) else "training without energy"

    def _known_frac(self, line: Line) -> float | None:
        if self.energy_of(line) is None:
            return 0.0
        return line.nodes_frac if self.basis == "nodes" else line.covered_frac

    def energy_of(self, line: Line) -> float | None:
        """Energy of a line on the basis of this report in kWh; None if unknown."""
        return line.nodes_kwh if self.basis == "nodes" else line.energy_kwh


def _format_percent(frac: float | None) -> str:
    """Format a fraction in per cent, rounded down."""
    return "an unknown part" if frac is None else f"{math.floor(100 * frac + 1e-9)} %"


def phase_of_labels(labels: Mapping[str, str]) -> str:
    """Phase of a run: the label `phase`, else implied by kind and role as in the pipeline."""
    kind, role = labels.get("kind"), labels.get("role")
    if "phase" in labels:
        return labels["phase"]
    if role == "reported" and kind in ("training_run", "inference_run"):
        return "training" if kind == "training_run" else "inference"
    is_development = role == "other" or kind not in (None, "training_run", "inference_run")
    return "development" if is_development and kind != "unknown" else "not labelled"


def build_report(
    contents: reading.LedgerContents,
    *,
    paper: str | None = None,
    nodes: Mapping[tuple[str, int], NodesEnergy] | None = None,
) -> Report:
    """Report on the tracked runs of a ledger.

    Args:
        contents: Contents of the ledger.
        paper: Only runs of this paper; None: every run.
        nodes: Energies of jobs by a study, by site and job.

    Raises:
        InputError: No run is left.
    """
    if paper is not None:
        paper = names.clean_name(paper)
        papers = {run.labels["paper"] for run in contents.runs if "paper" in run.labels}
        names.check_known(paper, papers, where="--paper", what="paper")
    outermost = contents.outermost_runs()
    runs = [run for run in outermost if paper is None or run.labels.get("paper") == paper]
    if not runs:
        what = "no run was tracked" if paper is None else f"no run of {paper!r} is an outermost one"
        if contents.faults:
            what += f" ({len(contents.faults)} lines or files not used; first {contents.faults[0]})"
        raise InputError(what, where="--ledger", do=FIRST_RUN)
    known = _energy_of_runs(outermost, nodes or {})
    runs_of_phase: dict[str, list[TrackedRun]] = {name: [] for name in PHASES}
    for run in runs:
        runs_of_phase[phase_of_labels(run.labels)].append(run)
    total = _sum_runs("all", runs, known)
    return Report(
        paper=paper,
        first_at=min(run.started_at for run in runs),
        last_at=max(run.stopped_at or run.started_at for run in runs),
        lines=[
            _sum_runs(name, phase_runs, known)
            for name, phase_runs in runs_of_phase.items()
            if phase_runs
        ],
        total=total,
        sites=sorted({known[r.identity].site or "" for r in runs if r.identity in known} - {""}),
        basis="nodes"
        if total.nodes_kwh is not None
        else "devices"
        if total.devices_kwh
        else "none",
        absent=Counter(f"{name}: {why}" for run in runs for name, why in run.absent.items()),
        faults=contents.faults,
    )


def _energy_of_runs(
    runs: Iterable[TrackedRun], nodes: Mapping[tuple[str, int], NodesEnergy]
) -> dict[str, NodesEnergy]:
    """Energy of nodes by run: each job's energy divided among its runs by their durations."""
    keys_of_job: dict[int | None, list[tuple[str, int]]] = {}
    for key in nodes:
        keys_of_job.setdefault(key[1], []).append(key)
    runs_of_key: dict[tuple[str, int], list[TrackedRun]] = {}
    for run in runs:
        for key in keys_of_job.get(run.job_id, ()):
            if _is_at_site(run.host, key[0]):
                runs_of_key.setdefault(key, []).append(run)
    known: dict[str, NodesEnergy] = {}
    for key, job_runs in runs_of_key.items():
        tracked_s = sum(run.duration_s or 0.0 for run in job_runs)
        for run in job_runs:
            share = (run.duration_s or 0.0) / tracked_s if tracked_s else 1 / len(job_runs)
            known[run.identity] = nodes[key].part(share)
    return known


def _is_at_site(host: str | None, site: str) -> bool:
    """Whether a host can be of a site: two sites use the same job ids for different jobs."""
    return host is None or GRID5000_DOMAIN not in host or host.endswith(f".{site}{GRID5000_DOMAIN}")


def _sum_runs(name: str, runs: Sequence[TrackedRun], known: Mapping[str, NodesEnergy]) -> Line:
    hours_of_run = {run.identity: (run.duration_s or 0.0) / 3600 for run in runs}
    hours = sum(hours_of_run.values())
    devices = {
        component: sum(run.devices[component].energy_j for run in runs if component in run.devices)
        for component in COMPONENTS
        if any(component in run.devices for run in runs)
    }
    covered_h = sum(hours_of_run[run.identity] * _mean_coverage(run) for run in runs)
    nodes = {run.identity: known[run.identity] for run in runs if run.identity in known}
    nodes_kwh = sum(each.energy_kwh for each in nodes.values())
    measured_kwh = sum(each.measured_kwh for each in nodes.values())
    gpus = [run.n_gpus for run in runs]
    return Line(
        phase=name,
        n_runs=len(runs),
        n_jobs=len({run.job_id for run in runs if run.job_id is not None}),
        hours=hours,
        gpu_hours=None
        if None in gpus
        else sum(hours_of_run[run.identity] * (run.n_gpus or 0) for run in runs),
        devices_kwh={name: energy_j / J_PER_KWH for name, energy_j in devices.items()},
        covered_frac=covered_h / hours if hours else None,
        nodes_kwh=nodes_kwh if nodes else None,
        nodes_low_kwh=_sum_of_ends(each.low_kwh for each in nodes.values()),
        nodes_high_kwh=_sum_of_ends(each.high_kwh for each in nodes.values()),
        nodes_measured_frac=measured_kwh / nodes_kwh if nodes_kwh else None,
        nodes_frac=_mean_known_frac(hours_of_run, nodes) if nodes else None,
        n_known=len(nodes),
        n_open=sum(run.end != "stopped" for run in runs),
    )


def _sum_of_ends(ends_kwh: Iterable[float | None]) -> float | None:
    """Sum of ends of intervals; None if one is unknown or there are none."""
    ends = list(ends_kwh)
    known = [end for end in ends if end is not None]
    return sum(known) if known and len(known) == len(ends) else None


def _mean_known_frac(
    hours_of_run: Mapping[str, float], nodes: Mapping[str, NodesEnergy]
) -> float | None:
    """Mean known share of the time of runs, weighted by duration; 0 for runs of unknown energy."""
    fractions = {name: nodes[name].known_frac if name in nodes else 0.0 for name in hours_of_run}
    known = {name: frac for name, frac in fractions.items() if frac is not None}
    total_h = sum(hours_of_run.values())
    if len(known) < len(fractions) or not total_h:
        return None
    return sum(hours_of_run[name] * frac for name, frac in known.items()) / total_h


def _mean_coverage(run: TrackedRun) -> float:
    """Mean coverage of a run's components that were read; 0 if none was."""
    coverages = [energy.covered_frac for energy in run.devices.values()]
    return sum(coverages) / len(coverages) if coverages else 0.0


def main(arguments: Sequence[str]) -> int:
    """Run `footprint report`, and return its exit status.

    Args:
        arguments: Arguments after `footprint report`.
    """
    from footprint.tracker import report_forms

    options = _build_parser(sorted(report_forms.FORMATTERS)).parse_args(arguments)
    folder = (options.ledger or ledger.default_folder()).expanduser()
    try:
        if not folder.is_dir():
            if options.ledger is None:
                raise InputError("no run was tracked yet", where=str(folder), do=FIRST_RUN)
            raise InputError(
                "there is no such folder",
                where=str(folder),
                do="set --ledger to the folder of a ledger",
            )
        nodes = None if options.directory is None else read_job_energies(options.directory)
        contents = reading.read_folder(folder)
        open_files = ledger.readable_by_others(reading.ledger_files(folder))
        report = build_report(contents, paper=options.paper, nodes=nodes)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if open_files:
        print(
            f"footprint: {len(open_files)} files of the ledger are open to other accounts by their "
            f"mode, as {open_files[0].name}; run `chmod -R go-rwx {folder}`",
            file=sys.stderr,
        )
    print(report_forms.FORMATTERS["json" if options.json else options.format](report))
    return 0


def _build_parser(forms: list[str]) -> argparse.ArgumentParser:
    parser = CommandParser(
        "footprint report",
        description=SUMMARY,
        examples=[
            "footprint report --paper mine",
            "footprint report --paper mine --directory ~/study --format latex",
        ],
    )
    parser.add_argument("--paper", help="only runs of this paper")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="folder of the ledger")
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="folder of a completed study: use its energies of nodes",
    )
    parser.add_argument("--format", choices=forms, default="text", help="form of the report")
    parser.add_argument("--json", action="store_true", help="same as --format json")
    return parser
