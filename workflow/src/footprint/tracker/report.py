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
from typing import NamedTuple

from footprint.core.errors import InputError
from footprint.core.vocabulary import MIN_COVERAGE_FRAC
from footprint.tracker import ledger, reading
from footprint.tracker.reading import COMPONENTS, TrackedRun

PHASES = ("training", "inference", "development", "not labelled")
RATIO_PHASES = ("training", "development")
J_PER_KWH = 3.6e6
GRID5000_DOMAIN = ".grid5000.fr"
SUMMARY = "Summarise tracked runs: a table, a figure, and a sentence for the appendix of a paper."


class MeasuredEnergy(NamedTuple):
    """Energy that a study measured of a job or run at its nodes.

    Attributes:
        energy_kwh: Measured energy.
        covered_s: Measured time.
        held_s: Time that the job held its nodes, including time outside the window of the study;
            None: unknown, as for a job that also held nodes outside the study.
    """

    energy_kwh: float
    covered_s: float
    held_s: float | None = None

    @property
    def measured_frac(self) -> float | None:
        """Measured share of the time held, at most 1; None: the time held is unknown."""
        if self.held_s is None:
            return None
        return min(self.covered_s / self.held_s, 1.0) if self.held_s else 1.0


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
        nodes_kwh: Measured energy of the nodes; None: no study, or it measured none of these runs.
        nodes_frac: Mean measured share of the runs' jobs, weighted by the durations of the runs;
            None: as `nodes_kwh`, no duration is recorded, or the share of some job is unknown.
        n_measured: Runs with measured energy of nodes.
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
    nodes_frac: float | None
    n_measured: int
    n_open: int

    @property
    def energy_kwh(self) -> float | None:
        """Energy of the nodes if measured, else of the devices that were read, else None."""
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
        basis: `nodes` (measured by the study), `devices`, or `none` (no energy is known).
        absent: Runs without some devices, by the reason.
        faults: Faults of the ledger.
    """

    paper: str | None
    first_at: datetime
    last_at: datetime
    lines: Sequence[Line]
    total: Line
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

        As in the study, at least 90 % of the time of both phases must be measured.
        """
        lines = {line.phase: line for line in self.lines if line.phase in RATIO_PHASES}
        missing = [phase for phase in RATIO_PHASES if phase not in lines]
        if missing:
            return f"no {missing[0]} known"
        fractions = {phase: self._measured_frac(line) for phase, line in lines.items()}
        texts = [
            f"{_format_percent(frac)} of {phase}"
            for phase, frac in fractions.items()
            if frac is None or frac < MIN_COVERAGE_FRAC * (1 - 1e-9)
        ]
        if texts:
            return f"{', '.join(texts)} measured"
        return None if self.energy_of(lines["training"]) else "training without measured energy"

    def _measured_frac(self, line: Line) -> float | None:
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
    nodes: Mapping[tuple[str, int], MeasuredEnergy] | None = None,
) -> Report:
    """Report on the tracked runs of a ledger.

    Args:
        contents: Contents of the ledger.
        paper: Only runs of this paper; None: every run.
        nodes: Energies that a study measured, by site and job.

    Raises:
        InputError: No run is left.
    """
    outermost = contents.outermost_runs()
    runs = [run for run in outermost if paper is None or run.labels.get("paper") == paper]
    if not runs:
        papers = sorted({run.labels["paper"] for run in contents.runs if "paper" in run.labels})
        hint = f"papers of the ledger are {', '.join(papers)}" if papers else "it has no paper"
        raise InputError(
            "no run was tracked" if paper is None else f"no run of {paper!r} was tracked",
            where="--ledger" if paper is None else "--paper",
            do="see docs/tracker.md" if paper is None else hint,
        )
    measured = _measured_energy_of_runs(outermost, nodes or {})
    runs_of_phase: dict[str, list[TrackedRun]] = {name: [] for name in PHASES}
    for run in runs:
        runs_of_phase[phase_of_labels(run.labels)].append(run)
    total = _sum_runs("all", runs, measured)
    return Report(
        paper=paper,
        first_at=min(run.started_at for run in runs),
        last_at=max(run.stopped_at or run.started_at for run in runs),
        lines=[
            _sum_runs(name, phase_runs, measured)
            for name, phase_runs in runs_of_phase.items()
            if phase_runs
        ],
        total=total,
        basis="nodes"
        if total.nodes_kwh is not None
        else "devices"
        if total.devices_kwh
        else "none",
        absent=Counter(f"{name}: {why}" for run in runs for name, why in run.absent.items()),
        faults=contents.faults,
    )


def _measured_energy_of_runs(
    runs: Iterable[TrackedRun], nodes: Mapping[tuple[str, int], MeasuredEnergy]
) -> dict[str, MeasuredEnergy]:
    """Measured energy by run: each job's energy divided among its runs by their durations."""
    keys_of_job: dict[int | None, list[tuple[str, int]]] = {}
    for key in nodes:
        keys_of_job.setdefault(key[1], []).append(key)
    runs_of_key: dict[tuple[str, int], list[TrackedRun]] = {}
    for run in runs:
        for key in keys_of_job.get(run.job_id, ()):
            if _is_at_site(run.host, key[0]):
                runs_of_key.setdefault(key, []).append(run)
    measured: dict[str, MeasuredEnergy] = {}
    for key, job_runs in runs_of_key.items():
        tracked_s = sum(run.duration_s or 0.0 for run in job_runs)
        for run in job_runs:
            share = (run.duration_s or 0.0) / tracked_s if tracked_s else 1 / len(job_runs)
            measured[run.identity] = nodes[key]._replace(energy_kwh=nodes[key].energy_kwh * share)
    return measured


def _is_at_site(host: str | None, site: str) -> bool:
    """Whether a host can be of a site: two sites use the same job ids for different jobs."""
    return host is None or GRID5000_DOMAIN not in host or host.endswith(f".{site}{GRID5000_DOMAIN}")


def _sum_runs(
    name: str, runs: Sequence[TrackedRun], measured: Mapping[str, MeasuredEnergy]
) -> Line:
    hours_of_run = {run.identity: (run.duration_s or 0.0) / 3600 for run in runs}
    hours = sum(hours_of_run.values())
    devices = {
        component: sum(run.devices[component].energy_j for run in runs if component in run.devices)
        for component in COMPONENTS
        if any(component in run.devices for run in runs)
    }
    covered_h = sum(hours_of_run[run.identity] * _mean_coverage(run) for run in runs)
    nodes = {run.identity: measured[run.identity] for run in runs if run.identity in measured}
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
        nodes_kwh=sum(each.energy_kwh for each in nodes.values()) if nodes else None,
        nodes_frac=_mean_measured_frac(hours_of_run, nodes) if nodes else None,
        n_measured=len(nodes),
        n_open=sum(run.end != "stopped" for run in runs),
    )


def _mean_measured_frac(
    hours_of_run: Mapping[str, float], nodes: Mapping[str, MeasuredEnergy]
) -> float | None:
    """Mean measured share of runs, weighted by duration; runs that are not measured count as 0."""
    fractions = {name: nodes[name].measured_frac if name in nodes else 0.0 for name in hours_of_run}
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
            raise InputError(
                "there is no such folder",
                where=str(folder),
                do="set --ledger to the folder of a ledger",
            )
        nodes = None if options.directory is None else read_job_energies(options.directory)
        contents = reading.read_ledgers(reading.ledger_files(folder))
        report = build_report(contents, paper=options.paper, nodes=nodes)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report_forms.FORMATTERS["json" if options.json else options.format](report))
    return 0


def _build_parser(forms: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="footprint report", description=SUMMARY)
    parser.add_argument("--paper", help="only runs of this paper")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="folder of the ledger")
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="folder of a completed study: use its measured energy of nodes",
    )
    parser.add_argument("--format", choices=forms, default="text", help="form of the report")
    parser.add_argument("--json", action="store_true", help="same as --format json")
    return parser


def read_job_energies(folder: Path) -> dict[tuple[str, int], MeasuredEnergy]:
    """Measured energy of each job of a study, by site and job.

    Raises:
        InputError: The study has no such results, or Polars is not installed.
    """
    path = folder / "results/energy/jobs.parquet"
    if not path.is_file():
        raise InputError("there is no such file yet", where=str(path), do="run the workflow first")
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise InputError(
            "reading the results of a study needs the package polars",
            where="--directory",
            do="pip install 'footprint[pipeline]'",
        ) from None
    flags = pl.col("flags").list
    is_clipped = flags.contains("starts_before_window") | (
        flags.contains("ends_after_window") & pl.col("stopped_at").is_not_null()
    )
    held_s = (
        pl.when(flags.contains("nodes_outside_study"))
        .then(None)
        .when(is_clipped)
        .then((pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds(fractional=True))
        .otherwise("duration_s")
    )
    covered_s = (pl.col("duration_s") * pl.col("coverage_frac")).fill_null(0.0)
    rows = (
        pl.read_parquet(path)
        .drop_nulls("measured_kwh")
        .select("site", "job_id", "measured_kwh", covered_s=covered_s, held_s=held_s)
    )
    return {(site, job): MeasuredEnergy(*energy) for site, job, *energy in rows.iter_rows()}
