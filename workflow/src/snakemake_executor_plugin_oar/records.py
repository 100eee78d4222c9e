"""Records of the outputs of submitted jobs, by which a later run finds jobs that still run.

A record lies beside each submitted script. OAR lists the jobs, and the script in a job's command
leads to its record. No id is stored: a run killed between the submission of a job and the arrival
of its id loses no job.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_executor_plugin_oar.answers import Job


class EarlierJob(NamedTuple):
    """A job of an earlier run that OAR still lists, and its outputs with their fingerprints."""

    job_id: str
    outputs: Mapping[str, str]


def output_fingerprints(job: Any) -> dict[str, str]:
    """Fingerprint of each output of a job, or group, of Snakemake, by path.

    The fingerprint covers the rule, its parameters and the names of its inputs: it differs if one
    of them changed since an earlier submission.
    """
    members = job.jobs if job.is_group() else [job]
    return {
        str(path): rule_fingerprint(each.rule.name, dict(each.params.items()), map(str, each.input))
        for each in members
        for path in each.output
    }


def rule_fingerprint(rule: str, params: Mapping[str, Any], inputs: Iterable[str]) -> str:
    """Hash of a rule, its parameters and its inputs: 16 hexadecimal digits."""
    text = json.dumps([rule, params, sorted(inputs)], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_record(script: Path, outputs: Mapping[str, str]) -> None:
    """Write the record of a script's outputs beside it.

    Args:
        script: Script of the job.
        outputs: Result of `output_fingerprints`.
    """
    _record_path(script).write_text(json.dumps(outputs), encoding="utf-8")


def find_earlier_jobs(jobs: Mapping[str, Job], folder: Path) -> list[EarlierJob]:
    """Jobs of earlier runs in this directory, among the jobs that OAR lists.

    Args:
        jobs: Jobs by id, with their `command`.
        folder: Folder in which each run has a folder with its scripts.
    """
    earlier = []
    for job_id, job in jobs.items():
        script = _script_path(job["command"] or "")
        if script.parent.parent == folder and _record_path(script).is_file():
            outputs = json.loads(_record_path(script).read_text(encoding="utf-8"))
            earlier.append(EarlierJob(job_id, outputs))
    return earlier


def jobs_that_write(
    wanted: Mapping[str, str], earlier: Iterable[EarlierJob]
) -> tuple[list[str], bool]:
    """Jobs of earlier runs that write any of the wanted outputs.

    Args:
        wanted: Outputs with their fingerprints.
        earlier: Jobs of earlier runs.

    Returns:
        Ids of these jobs, and whether they write all wanted outputs with equal fingerprints.
    """
    writers = [each for each in earlier if each.outputs.keys() & wanted.keys()]
    written = {path: mark for each in writers for path, mark in each.outputs.items()}
    are_equal = all(written.get(path) == mark for path, mark in wanted.items())
    return [each.job_id for each in writers], bool(writers) and are_equal


def _script_path(command: str) -> Path:
    try:
        return Path(*shlex.split(command)[:1])
    except ValueError:  # a job from elsewhere, whose command has an unmatched quote
        return Path()


def _record_path(script: Path) -> Path:
    return script.with_name(f"{script.name}.outputs.json")
