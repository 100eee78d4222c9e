"""The user name and password of a Grid'5000 account, which no message or result ever shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from footprint.errors import InputError

USERNAME = "FOOTPRINT_G5K_USERNAME"
PASSWORD = "FOOTPRINT_G5K_PASSWORD"
USUAL_FILE = "~/.python-grid5000.yaml"
HOW = f"set {USERNAME} and {PASSWORD}, or name a file of them in source.credentials"


@dataclass(frozen=True)
class Credentials:
    """What HTTP Basic authentication needs."""

    username: str
    password: str = field(repr=False)


def find(path: str | None, *, environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Credentials from the environment, else from a file; None where there are none.

    Inside Grid'5000 none are needed, so none is no mistake yet. The usual file is that of the
    python-grid5000 client.

    Args:
        path: File of `username` and `password`; None: the usual one, where it exists.
        environment: Variables of the process.

    Raises:
        InputError: One of the two is missing, or the file is readable by others, or is no such
            file. No message holds what the file says.
    """
    told = environment.get(USERNAME), environment.get(PASSWORD)
    if any(told):
        if not all(told):
            missing = USERNAME if told[1] else PASSWORD
            raise InputError("is not set, its counterpart is", where=missing, do="set both")
        return Credentials(str(told[0]), str(told[1]))
    file = Path(path or USUAL_FILE).expanduser()
    if not file.is_file():
        if path is None:
            return None
        raise InputError(f"there is no file {path}", where="source.credentials", do="mend the path")
    found = _read(file)
    if found is None and path is not None:
        raise InputError("has no `username`", where=str(file), do="add it")
    return found


def _read(file: Path) -> Credentials | None:
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        do = f"run: chmod 600 {file}"
        raise InputError("holds a password and is open to other users", where=str(file), do=do)
    try:
        # all scalars as text: a password of digits is no number
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        # the error of the parser would quote the line
        content = None
    if not isinstance(content, dict):
        do = "write `username: ...` and `password: ...` into it"
        raise InputError("is not a YAML file of credentials", where=str(file), do=do)
    return _pair(content, file)


def _pair(content: Mapping[str, Any], file: Path) -> Credentials | None:
    if not content.keys() & {"username", "password"}:
        return None  # such files also hold other settings of the python-grid5000 client
    for name in ("username", "password"):
        if not isinstance(content.get(name), str) or not content[name]:
            raise InputError(f"has no `{name}`", where=str(file), do="add it")
    return Credentials(content["username"], content["password"])
