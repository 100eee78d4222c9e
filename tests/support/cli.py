"""Calls of the command `footprint` in this process."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from footprint import cli


class Result(NamedTuple):
    """Exit status of a call, and its output on stdout and stderr together."""

    exit_code: int
    output: str


def run_cli(*arguments: str | Path, **environment: str) -> Result:
    """Run `footprint` with these arguments; variables are added to its environment."""
    output = io.StringIO()
    status = 0
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            cli.main(list(map(str, arguments)))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
    return Result(status, output.getvalue())
