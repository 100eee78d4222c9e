"""Facts of a job at its start: OAR's variables, host, login, commit, versions.

Takes environment variables and files; gives fields of a start record. No command is run, so that
nothing waits.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from footprint import __version__

COMMIT_PATTERN = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
OAR_NUMBER_VARIABLES = {
    "job_id": "OAR_JOB_ID",
    "array_id": "OAR_ARRAY_ID",
    "array_index": "OAR_ARRAY_INDEX",
}
OAR_TEXT_VARIABLES = {"job_name": "OAR_JOB_NAME", "project": "OAR_PROJECT_NAME"}


def start_facts(environment: Mapping[str, str], folder: Path = Path()) -> dict[str, Any]:
    """Fields of a start record; unavailable ones are None.

    Args:
        environment: Variables of the process.
        folder: Working folder of the process.
    """
    return {
        "oar": oar_job(environment),
        "host": os.uname().nodename,
        "user": login_name(),
        "visible_gpus": environment.get("CUDA_VISIBLE_DEVICES"),
        "commit": checked_out_commit(folder),
        "versions": {"footprint": __version__, "python": platform.python_version()},
    }


def oar_job(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Job, array and name of the OAR job; None outside OAR.

    Args:
        environment: Variables of the process.
    """
    fields: dict[str, Any] = {}
    for name, variable in OAR_NUMBER_VARIABLES.items():
        text = environment.get(variable, "")
        fields[name] = int(text) if text.isascii() and text.isdecimal() else None
    fields |= {
        name: environment.get(variable) or None for name, variable in OAR_TEXT_VARIABLES.items()
    }
    return fields if fields["job_id"] is not None else None


def login_name() -> str | None:
    """Login of the account that runs this process; None if the machine has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # the numeric id has no account, as in a container


def checked_out_commit(folder: Path) -> str | None:
    """Commit checked out in a folder or its nearest parent with `.git`; None if none is readable.

    Args:
        folder: Folder to start from.
    """
    try:
        folder = folder.absolute()
        for each in (folder, *folder.parents):
            if (each / ".git").exists():
                return _commit_of(each / ".git")
    except (OSError, UnicodeDecodeError):
        return None
    return None


def _commit_of(git: Path) -> str | None:
    if git.is_file():  # of a submodule or another working tree: `gitdir: <folder>`
        git = git.parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head if COMMIT_PATTERN.fullmatch(head) else None
    name = head.partition(":")[2].strip()
    shared = git / "commondir"
    common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    for path in (git / name, common / name):
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8").splitlines():
            commit, _, ref = line.partition(" ")
            if ref == name and COMMIT_PATTERN.fullmatch(commit):
                return commit
    return None  # a branch without a commit


def visible_gpus(setting: str | None, uuids: list[str]) -> list[int]:
    """Driver indices of the GPUs that `CUDA_VISIBLE_DEVICES` makes visible, in its order.

    CUDA's rule: the variable lists indices or prefixes of UUIDs, and entries from the first invalid
    one on are invisible. CUDA orders GPUs by speed and the driver by bus; the two orders agree on
    nodes whose GPUs are of one model.

    Args:
        setting: Value of the variable; None: not set, every GPU is visible.
        uuids: UUID of each GPU, in the driver's order.
    """
    if setting is None:
        return list(range(len(uuids)))
    visible: list[int] = []
    for word in setting.replace(" ", "").split(","):
        if word.isascii() and word.isdecimal():
            indices = [int(word)] if int(word) < len(uuids) else []
        else:
            indices = [i for i, uuid in enumerate(uuids) if word and uuid.startswith(word)]
        if len(indices) != 1 or indices[0] in visible:
            break
        visible += indices
    return visible
