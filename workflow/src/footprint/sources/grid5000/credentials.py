"""User name and password of a Grid'5000 account, which no message or result ever contains."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from footprint.core.errors import InputError

USERNAME_VARIABLE = "FOOTPRINT_G5K_USERNAME"
PASSWORD_VARIABLE = "FOOTPRINT_G5K_PASSWORD"
DEFAULT_FILE = "~/.python-grid5000.yaml"
"""File of the python-grid5000 client."""

FILE_ADVICE = "set source.credentials to a file that contains them"
CREDENTIALS_ADVICE = f"set {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}, or {FILE_ADVICE}"


@dataclass(frozen=True)
class Credentials:
    """User name and password for HTTP Basic authentication."""

    username: str
    password: str = field(repr=False)


def find_credentials(
    path: str | None, *, environment: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Return credentials from the environment, else from a file; None if there are none.

    Inside Grid'5000 none are needed, so that their absence is no error here.

    Args:
        path: File with `username` and `password`; None: USUAL_FILE, if it exists.
        environment: Variables of the process.

    Raises:
        InputError: One of the two is missing, or the file is missing, invalid or readable by other
            users. No message quotes the file.
    """
    values = environment.get(USERNAME_VARIABLE), environment.get(PASSWORD_VARIABLE)
    if any(values):
        if not all(values):
            missing = USERNAME_VARIABLE if values[1] else PASSWORD_VARIABLE
            raise InputError("is not set, its counterpart is", where=missing, do="set both")
        return Credentials(str(values[0]), str(values[1]))
    file = Path(path or DEFAULT_FILE).expanduser()
    if not file.is_file():
        if path is None:
            return None
        what = f"file {path} does not exist"
        raise InputError(what, where="source.credentials", do="fix the path")
    found = _read_file(file)
    if found is None and path is not None:
        raise InputError("has no `username`", where=str(file), do="add it")
    return found


def _read_file(file: Path) -> Credentials | None:
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        do = f"run: chmod 600 {file}"
        raise InputError("contains a password and is open to other users", where=str(file), do=do)
    try:
        # all scalars as text, so that a password of digits stays as written
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        # the error of the parser would quote the line
        content = None
    if not isinstance(content, dict):
        do = "write `username: ...` and `password: ...` into it"
        raise InputError("is not a YAML file of credentials", where=str(file), do=do)
    return _credentials_of(content, file)


def _credentials_of(content: Mapping[str, Any], file: Path) -> Credentials | None:
    if not content.keys() & {"username", "password"}:
        return None  # the file may have other settings of the python-grid5000 client alone
    for name in ("username", "password"):
        if not isinstance(content.get(name), str) or not content[name]:
            raise InputError(f"has no `{name}`", where=str(file), do="add it")
    return Credentials(content["username"], content["password"])
