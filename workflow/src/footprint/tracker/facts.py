"""What is known of a job before it starts: OAR's variables, host, commit, versions.

Everything is read from variables and files: no command is run, so that nothing waits.
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

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
NUMBERS = {"job_id": "OAR_JOB_ID", "array_id": "OAR_ARRAY_ID", "array_index": "OAR_ARRAY_INDEX"}
TEXTS = {"job_name": "OAR_JOB_NAME", "project": "OAR_PROJECT_NAME"}


def gather(environment: Mapping[str, str], folder: Path = Path()) -> dict[str, Any]:
    """Facts of a start record; those that are not known are null.

    Args:
        environment: Variables of the process.
        folder: Its working folder.
    """
    return {
        "oar": oar(environment),
        "host": os.uname().nodename,
        "user": user(),
        "visible_gpus": environment.get("CUDA_VISIBLE_DEVICES"),
        "commit": commit(folder),
        "versions": {"footprint": __version__, "python": platform.python_version()},
    }


def oar(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Job, array and name of the OAR job; null outside of one."""
    found: dict[str, Any] = {}
    for name, variable in NUMBERS.items():
        text = environment.get(variable, "")
        found[name] = int(text) if text.isascii() and text.isdecimal() else None
    found |= {name: environment.get(variable) or None for name, variable in TEXTS.items()}
    return found if found["job_id"] is not None else None


def user() -> str | None:
    """Login of whoever runs this; null where nothing tells."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # an account that the machine does not know, as in a container


def commit(folder: Path) -> str | None:
    """Commit that is checked out in a folder or above it; null: none, or it cannot be told."""
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
        return head if COMMIT.fullmatch(head) else None
    name = head.partition(":")[2].strip()
    shared = git / "commondir"
    common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    for path in (git / name, common / name):
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8").splitlines():
            found, _, ref = line.partition(" ")
            if ref == name and COMMIT.fullmatch(found):
                return found
    return None  # a branch without a commit


def visible(setting: str | None, uuids: list[str]) -> list[int]:
    """Places of the GPUs that `CUDA_VISIBLE_DEVICES` leaves, among those that the driver lists.

    As CUDA reads it: indices or beginnings of UUIDs; what follows the first that does not exist is
    not seen. (CUDA counts the fastest first and the driver by bus; on nodes with GPUs of one kind
    the two are the same.)

    Args:
        setting: The variable; None: it is not set, and all are seen.
        uuids: UUID of each GPU, in the driver's order.
    """
    if setting is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for word in setting.replace(" ", "").split(","):
        if word.isascii() and word.isdecimal():
            places = [int(word)] if int(word) < len(uuids) else []
        else:
            places = [i for i, uuid in enumerate(uuids) if word and uuid.startswith(word)]
        if len(places) != 1 or places[0] in found:
            break
        found += places
    return found
