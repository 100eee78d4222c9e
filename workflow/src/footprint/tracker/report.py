"""`footprint report`: what one person's tracked runs used, for a paper's appendix.

From the ledger alone it tells device energy; with the results of a study, the energy of the nodes
that these jobs held. Energies of the two kinds are never added.
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

from footprint.errors import InputError
from footprint.tracker import ledger, reading
from footprint.tracker.reading import COMPONENTS, Run
from footprint.vocabulary import LEAST_MEASURED_FRAC

PHASES = ("training", "inference", "development", "not labelled")
SIDES = ("training", "development")
J_PER_KWH = 3.6e6
DOMAIN = ".grid5000.fr"
SUMMARY = "Say what tracked runs used: table, figure, and a sentence for the appendix of a paper."


class Measured(NamedTuple):
    """What a study measured of a job at its nodes, and for how long.

    Attributes:
        energy_kwh: Measured energy.
        covered_s: Time measured.
        held_s: Time that the job held its nodes, outside the days of the study included; null:
            unknown, as of a job that held nodes outside the study as well.
    """

    energy_kwh: float
    covered_s: float
    held_s: float | None = None

    @property
    def measured_frac(self) -> float | None:
        """Measured part of the time held, at most 1; null: the time held is unknown."""
        if self.held_s is None:
            return None
        return min(self.covered_s / self.held_s, 1.0) if self.held_s else 1.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the runs of a phase used.

    Attributes:
        phase: One of `PHASES`, or `all`.
        n_runs: Runs.
        n_jobs: OAR jobs that they were part of.
        hours: Time that they took, as far as it is known.
        gpu_hours: The same times the GPUs that they saw; null: of some run that is not known.
        devices_kwh: Energy of GPUs, processors and memory, by component, of those that were read.
        covered_frac: Part of the time in which devices were read; null: no time is known.
        nodes_kwh: Energy of the nodes by the study; null: no study, or nothing was measured.
        nodes_frac: Part of the time in which the study measured them: each run has the part of its
            job, and counts by its own time; null: likewise, or the part of some job is unknown.
        n_measured: Runs of which the study measured something.
        n_open: Runs whose end is not known: they count until their last sign of life.
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
        """Energy of the nodes where it is known, else of the devices that were read."""
        if self.nodes_kwh is not None:
            return self.nodes_kwh
        return sum(self.devices_kwh.values()) if self.devices_kwh else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is told.

    Attributes:
        paper: Paper; None: all that the ledger has.
        first_at: Start of the first run.
        last_at: End of the last.
        lines: A line for each phase with runs.
        total: All of them.
        basis: `nodes` (the study's measurement) or `devices`; `none`: no energy is known.
        absent: Why devices were not read, and of how many runs.
        faults: Lines of the ledger that cannot be used.
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
        """Development over training; null: see `ratio_reason`."""
        if self.ratio_reason is not None:
            return None
        energies = {line.phase: self._energy(line) or 0.0 for line in self.lines}
        return energies["development"] / energies["training"]

    @property
    def ratio_reason(self) -> str | None:
        """Why the ratio is null; null where it is given.

        As in the study, at least 90 % of the time of both sides must have been measured.
        """
        sides = {line.phase: line for line in self.lines if line.phase in SIDES}
        missing = [phase for phase in SIDES if phase not in sides]
        if missing:
            return f"no {missing[0]} known"
        parts = {phase: self._measured_frac(line) for phase, line in sides.items()}
        said = [
            f"{_percent(part)} of {phase}"
            for phase, part in parts.items()
            if part is None or part < LEAST_MEASURED_FRAC * (1 - 1e-9)
        ]
        if said:
            return f"{', '.join(said)} measured"
        return None if self._energy(sides["training"]) else "training without measured energy"

    def _measured_frac(self, line: Line) -> float | None:
        if self._energy(line) is None:
            return 0.0
        return line.nodes_frac if self.basis == "nodes" else line.covered_frac

    def _energy(self, line: Line) -> float | None:
        return line.nodes_kwh if self.basis == "nodes" else line.energy_kwh


def _percent(part: float | None) -> str:
    """A part in per cent, rounded down."""
    return "an unknown part" if part is None else f"{math.floor(100 * part + 1e-9)} %"


def phase(labels: Mapping[str, str]) -> str:
    """Phase that labels say, or that their kind and role imply, as in the pipeline."""
    kind, role = labels.get("kind"), labels.get("role")
    if "phase" in labels:
        return labels["phase"]
    if role == "reported" and kind in ("training_run", "inference_run"):
        return "training" if kind == "training_run" else "inference"
    is_development = role == "other" or kind not in (None, "training_run", "inference_run")
    return "development" if is_development and kind != "unknown" else "not labelled"


def report(
    read: reading.Read,
    *,
    paper: str | None = None,
    nodes: Mapping[tuple[str, int], Measured] | None = None,
) -> Report:
    """What tracked runs used.

    Args:
        read: The ledger.
        paper: Only runs of this paper.
        nodes: What a study measured, by site and job.

    Raises:
        InputError: No run is left.
    """
    runs = [run for run in read.outermost() if paper is None or run.labels.get("paper") == paper]
    if not runs:
        papers = sorted({run.labels["paper"] for run in read.runs if "paper" in run.labels})
        known = f"papers of the ledger are {', '.join(papers)}" if papers else "it has no paper"
        raise InputError(
            "no run was tracked" if paper is None else f"no run of {paper!r} was tracked",
            where="--ledger" if paper is None else "--paper",
            do="see docs/tracker.md" if paper is None else known,
        )
    measured = _shared(read.outermost(), nodes or {})
    by_phase: dict[str, list[Run]] = {name: [] for name in PHASES}
    for run in runs:
        by_phase[phase(run.labels)].append(run)
    total = _line("all", runs, measured)
    return Report(
        paper=paper,
        first_at=min(run.started_at for run in runs),
        last_at=max(run.stopped_at or run.started_at for run in runs),
        lines=[_line(name, own, measured) for name, own in by_phase.items() if own],
        total=total,
        basis="nodes"
        if total.nodes_kwh is not None
        else "devices"
        if total.devices_kwh
        else "none",
        absent=Counter(f"{name}: {why}" for run in runs for name, why in run.absent.items()),
        faults=read.faults,
    )


def _shared(runs: Iterable[Run], nodes: Mapping[tuple[str, int], Measured]) -> dict[str, Measured]:
    """What was measured of each run: of its job, the energy by its part of the time tracked."""
    by_id: dict[int | None, list[tuple[str, int]]] = {}
    for key in nodes:
        by_id.setdefault(key[1], []).append(key)
    of_job: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        for key in by_id.get(run.job_id, ()):
            if _is_at(run.host, key[0]):
                of_job.setdefault(key, []).append(run)
    found: dict[str, Measured] = {}
    for key, own in of_job.items():
        whole_s = sum(run.duration_s or 0.0 for run in own)
        for run in own:
            part = (run.duration_s or 0.0) / whole_s if whole_s else 1 / len(own)
            found[run.identity] = nodes[key]._replace(energy_kwh=nodes[key].energy_kwh * part)
    return found


def _is_at(host: str | None, site: str) -> bool:
    """Whether a host may be of a site: job ids of two sites are not the same jobs."""
    return host is None or DOMAIN not in host or host.endswith(f".{site}{DOMAIN}")


def _line(name: str, runs: Sequence[Run], measured: Mapping[str, Measured]) -> Line:
    hours = {run.identity: (run.duration_s or 0.0) / 3600 for run in runs}
    seconds = sum(hours.values())
    devices = {
        component: sum(run.devices[component].energy_j for run in runs if component in run.devices)
        for component in COMPONENTS
        if any(component in run.devices for run in runs)
    }
    covered = sum(hours[run.identity] * _covered(run) for run in runs)
    nodes = {run.identity: measured[run.identity] for run in runs if run.identity in measured}
    gpus = [run.n_gpus for run in runs]
    return Line(
        phase=name,
        n_runs=len(runs),
        n_jobs=len({run.job_id for run in runs if run.job_id is not None}),
        hours=seconds,
        gpu_hours=None
        if None in gpus
        else sum(hours[run.identity] * (run.n_gpus or 0) for run in runs),
        devices_kwh={name: energy_j / J_PER_KWH for name, energy_j in devices.items()},
        covered_frac=covered / seconds if seconds else None,
        nodes_kwh=sum(each.energy_kwh for each in nodes.values()) if nodes else None,
        nodes_frac=_nodes_frac(hours, nodes) if nodes else None,
        n_measured=len(nodes),
        n_open=sum(run.end != "stopped" for run in runs),
    )


def _nodes_frac(hours: Mapping[str, float], nodes: Mapping[str, Measured]) -> float | None:
    """Mean of the measured parts of runs, by their time; what was not measured has the part 0."""
    parts = {name: nodes[name].measured_frac if name in nodes else 0.0 for name in hours}
    known = {name: part for name, part in parts.items() if part is not None}
    whole = sum(hours.values())
    if len(known) < len(parts) or not whole:
        return None
    return sum(hours[name] * part for name, part in known.items()) / whole


def _covered(run: Run) -> float:
    """Part of a run's time in which devices were read: the mean of the components that were."""
    parts = [energy.covered_frac for energy in run.devices.values()]
    return sum(parts) / len(parts) if parts else 0.0


def main(arguments: Sequence[str]) -> int:
    """Run `footprint report`; the exit status.

    Args:
        arguments: What stands behind `footprint report`.
    """
    from footprint.tracker import report_forms

    options = _parser(sorted(report_forms.FORMS)).parse_args(arguments)
    folder = (options.ledger or ledger.default_folder()).expanduser()
    try:
        if not folder.is_dir():
            raise InputError("there is no such folder", where=str(folder), do="name the ledger")
        energies = None if options.directory is None else of_study(options.directory)
        told = report(reading.read(reading.files(folder)), paper=options.paper, nodes=energies)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report_forms.FORMS["json" if options.json else options.format](told))
    return 0


def _parser(forms: list[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="footprint report", description=SUMMARY)
    made.add_argument("--paper", help="only runs of this paper")
    made.add_argument("--ledger", type=Path, metavar="DIR", help="folder of the records")
    made.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="folder of a study that has been run: energy of the nodes comes from its results",
    )
    made.add_argument("--format", choices=forms, default="text", help="what is written")
    made.add_argument("--json", action="store_true", help="the same as --format json")
    return made


def of_study(folder: Path) -> dict[tuple[str, int], Measured]:
    """What a study measured of each job, by site and job."""
    path = folder / "results/energy/jobs.parquet"
    if not path.is_file():
        raise InputError("there is no such file yet", where=str(path), do="run the workflow first")
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise InputError(
            "reading a study needs more than the tracker",
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
        .drop_nulls("energy_kwh")
        .select("site", "job_id", "energy_kwh", covered_s=covered_s, held_s=held_s)
    )
    return {(site, job): Measured(*of_job) for site, job, *of_job in rows.iter_rows()}
