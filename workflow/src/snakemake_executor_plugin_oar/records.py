"""Which outputs the jobs of a run make, kept so that a later run finds what still goes on.

Beside each script that is submitted lies a record of its outputs. OAR itself tells which jobs are
there, by the script that they run: a run that was killed leaves nothing that could be missed, even
between the submission of a job and the moment in which its id is known.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_executor_plugin_oar.answers import Job


class Earlier(NamedTuple):
    """A job of an earlier run that OAR still has, and its outputs with their fingerprints."""

    job_id: str
    outputs: Mapping[str, str]


def outputs(job: Any) -> dict[str, str]:
    """Each output of a job of Snakemake, with a fingerprint of what makes it.

    The fingerprint covers the rule, its parameters and its inputs: what was submitted before one of
    them changed is no longer the same.
    """
    members = job.jobs if job.is_group() else [job]
    return {
        str(path): fingerprint(each.rule.name, dict(each.params.items()), map(str, each.input))
        for each in members
        for path in each.output
    }


def fingerprint(rule: str, params: Mapping[str, Any], inputs: Iterable[str]) -> str:
    """A short hash of what makes an output."""
    told = json.dumps([rule, params, sorted(inputs)], sort_keys=True, default=repr)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def write(script: Path, made: Mapping[str, str]) -> None:
    """Keep beside a script which outputs it makes."""
    _of(script).write_text(json.dumps(made), encoding="utf-8")


def left_behind(jobs: Mapping[str, Job], folder: Path) -> list[Earlier]:
    """Jobs of earlier runs in this directory, of those that OAR told of.

    Args:
        jobs: Jobs by their id, with their `command`.
        folder: Where runs keep folders with their scripts.
    """
    found = []
    for job_id, job in jobs.items():
        script = _script(job["command"] or "")
        if script.parent.parent == folder and _of(script).is_file():
            made = json.loads(_of(script).read_text(encoding="utf-8"))
            found.append(Earlier(job_id, made))
    return found


def makers(wanted: Mapping[str, str], earlier: Iterable[Earlier]) -> tuple[list[str], bool]:
    """Which jobs write any of some outputs.

    Args:
        wanted: Outputs, with their fingerprints.
        earlier: Jobs of earlier runs.

    Returns:
        The ids of the jobs, and whether they make all the outputs just as they are wanted.
    """
    concerned = [each for each in earlier if each.outputs.keys() & wanted.keys()]
    made = {path: mark for each in concerned for path, mark in each.outputs.items()}
    same = all(made.get(path) == mark for path, mark in wanted.items())
    return [each.job_id for each in concerned], bool(concerned) and same


def _script(command: str) -> Path:
    try:
        return Path(*shlex.split(command)[:1])
    except ValueError:  # the command of a job that is not of Snakemake, with a lone quote
        return Path()


def _of(script: Path) -> Path:
    return script.with_name(f"{script.name}.outputs.json")
