"""Text about one job: its allocations, power, energy, kind and labels, and the reasons for them.

It contains job ids, a command and exact times, so that it is for the terminal of the study's owner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.core.names import check_known, clean_name
from footprint.core.units import H_PER_S
from footprint.report import wording

KIND_REASONS = {
    "label": "a label gives the kind",
    "weights": "weights of these features speak for it",
    "recalibrated": "weights of these features, corrected by the labels of similar runs",
    "interactive": "it was submitted as an interactive job",
    "never_ran": "none of its jobs started",
}
"""Reason by `Runs.rule`."""

BASIS_NAMES = {
    "none": "nothing is estimated",
    "own_readings": "the node's own readings around the gap",
    "same_job": "other nodes of the job",
    "virtual_meter": "the virtual meter of the cluster",
    "hardware": "the hardware of the node",
}
"""Basis of the largest estimated part, by `estimate_basis`."""


def explain_job(folder: Path, job_id: int) -> str:
    """Return what the study knows of a job, and why.

    Args:
        folder: Folder of a finished study, with `results/` and, if it is still there, `resources/`.
        job_id: Id of the job.

    Returns:
        Lines: the job; its allocations with share, mean power, energy and interval; the total with
        its interval and the basis of the estimated part; the kind with its probabilities and
        reason; labels.

    Raises:
        InputError: The study is not finished, or has no such job.
    """
    jobs = _read(folder / "results/energy/jobs.parquet")
    check_known(str(job_id), set(map(str, jobs["job_id"])), where=f"job {job_id}", what="job")
    job = jobs.row(by_predicate=pl.col("job_id") == job_id, named=True)
    nodes = _rows(folder / "results/energy/job_nodes.parquet", job_id)
    resources = folder / "resources" / job["site"]
    lines = [*_job_lines(job, _rows(resources / "jobs.parquet", job_id)), ""]
    lines += [*_node_lines(nodes), ""] if nodes else []
    lines += [*_energy_lines(job), ""]
    lines += _run_lines(folder, job_id)
    lines += _label_lines(_rows(resources / "labels.parquet", job_id))
    return "\n".join(lines).replace(wording.NARROW_SPACE, " ")


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise InputError(
            "there is no such file yet",
            where=str(path),
            do="run the workflow first, or name its folder with --directory",
        )
    return pl.read_parquet(path)


def _rows(path: Path, job_id: int) -> list[dict[str, Any]]:
    """Rows of a job in a table; empty without the table."""
    if not path.is_file():
        return []
    return pl.scan_parquet(path).filter(pl.col("job_id") == job_id).collect().to_dicts()


def _job_lines(job: dict[str, Any], records: list[dict[str, Any]]) -> list[str]:
    where = ", ".join(
        f"{name} {clean_name(str(job[name]))}"
        for name in ("site", "project", "queue", "user")
        if job[name] is not None
    )
    lines = [f"Job {job['job_id']}: {where}"]
    if job["started_at"] is not None:
        start, stop = job["started_at"], job["stopped_at"]
        end = "still running" if stop is None else f"to {stop:%Y-%m-%d %H:%M:%S}"
        duration = wording.format_duration(job["duration_s"] * H_PER_S)
        lines.append(f"  ran from {start:%Y-%m-%d %H:%M:%S} {end} UTC; {duration} in the study")
    for record in records:
        for name in ("name", "command"):
            if record[name]:
                lines.append(f"  {name}: {clean_name(record[name])}")
    if job["flags"]:
        lines.append(f"  remarks: {', '.join(each.replace('_', ' ') for each in job['flags'])}")
    return lines


def _node_lines(nodes: list[dict[str, Any]]) -> list[str]:
    """A line an allocation; power is the job's energy on the node over its time there."""
    head = ("node", "time", "share", "mean power", "energy", "95 %", "measured")
    widths = (-16, 10, 7, 11, 11, 18, 10)
    lines = ["allocations (power and energy are the job's share of its node)", _row(head, widths)]
    for node in sorted(nodes, key=lambda each: str(each["node"])):
        total, interval = _energy_texts(node)
        hours = node["duration_s"] * H_PER_S
        known = node["total_kwh"] is not None and hours > 0
        power = f"{1000 * node['total_kwh'] / hours:.0f} W" if known else wording.UNKNOWN
        cells = (
            *(node["node"], wording.format_duration(hours)),
            *(wording.format_percent(node["share"]), power, total, interval),
            "" if node["measured_frac"] is None else wording.format_percent(node["measured_frac"]),
        )
        lines.append(_row(cells, widths))
    return lines


def _row(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    texts = [
        f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}"
        for cell, width in zip(cells, widths, strict=True)
    ]
    return "  " + "".join(texts).rstrip()


def _energy_texts(row: dict[str, Any]) -> tuple[str, str]:
    """Total with its unit, and its interval; `at least` where a part is not even estimated."""
    if row["total_kwh"] is None:
        return wording.UNKNOWN, ""
    texts = wording.energy_texts(row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"])
    total = f">= {texts.total}" if row["unknown_node_h"] else texts.total
    return total, texts.interval or ""


def _energy_lines(job: dict[str, Any]) -> list[str]:
    total, interval = _energy_texts(job)
    lines = [f"energy: {total}" + (f" (95 %: {interval})" if interval else "")]
    if job["measured_frac"] is not None:
        measured = wording.format_energy(job["measured_kwh"] or 0.0)
        lines.append(f"  measured: {measured}, {wording.format_percent(job['measured_frac'])}")
    if job["estimated_kwh"]:
        estimated = wording.format_energy(job["estimated_kwh"])
        lines.append(f"  estimated: {estimated}, from {BASIS_NAMES[job['estimate_basis']]}")
    if job["unknown_node_h"]:
        unknown = wording.format_duration(job["unknown_node_h"], of="node ")
        lines.append(f"  without readings or an estimate: {unknown}")
    return lines


def _run_lines(folder: Path, job_id: int) -> list[str]:
    """Run of the job, its kind with probabilities, and the reason."""
    path = folder / "results/phases/runs.parquet"
    if not path.is_file():
        return ["kind: not classified yet; run the whole workflow"]
    found = pl.scan_parquet(path).filter(pl.col("job_ids").list.contains(job_id)).collect()
    if found.is_empty():
        return ["kind: not classified"]
    run = found.row(0, named=True)
    n_jobs = len(run["job_ids"])
    merged = f", {n_jobs} jobs of a {run['merged_by']}" if n_jobs > 1 else ""
    lines = [f"run {run['run_id']}{merged}: {wording.format_energy(run['total_kwh'])}"]
    if run["kind"] is None:
        return [*lines, f"kind: none, as {KIND_REASONS['never_ran']}"]
    probabilities = sorted(
        (
            (run[f"p_{kind}"], name)
            for kind, name in wording.KIND_NAMES.items()
            if f"p_{kind}" in run
        ),
        reverse=True,
    )
    shown = ", ".join(
        f"{name} {wording.format_percent(share)}" for share, name in probabilities if share
    )
    lines.append(f"kind: {wording.KIND_NAMES[run['kind']]} ({shown})")
    lines.append(f"  why: {KIND_REASONS.get(run['rule'], run['rule'])}")
    lines += [f"    {each}" for each in run["features"].split("; ") if each]
    basis = f", by {run['role_basis']}" if run["role_basis"] else ""
    role = f"; role: {run['role']}{basis}" if run["role"] else ""
    return [*lines, f"phase: {run['phase']}{role}"]


def _label_lines(labels: list[dict[str, Any]]) -> list[str]:
    given = [
        f"{name} {clean_name(str(value))}"
        for row in labels
        for name, value in row.items()
        if name != "job_id" and value is not None
    ]
    return [f"labels: {', '.join(given) if given else 'none; `footprint labels` drafts them'}"]
