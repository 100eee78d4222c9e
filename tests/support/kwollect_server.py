"""Real Kwollect on this machine: its own SQL on a PostgreSQL database, behind HTTP."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.oar_server import command_output

API_URL = f"http://127.0.0.1:{os.environ.get('KWOLLECT_API_PORT', '6670')}"
LONGEST_SETUP_S = 300
INSTALLATION_FAULTS = ("apt-get install failed", "pip install failed", "run as root once")
"""Ends of the script's messages where its packages cannot be had."""


class KwollectServer(NamedTuple):
    """The script that starts and stops the server."""

    script: Path

    def run_sql(self, statements: str) -> str:
        """Run statements as Kwollect's own user, and return their rows."""
        options = ("-qAt", "-v", "ON_ERROR_STOP=1", "-c", statements)
        return command_output(str(self.script), "psql", *options)


@contextmanager
def running_server(scripts: Path) -> Iterator[KwollectServer]:
    """Yield a running server; one that was running before is not stopped."""
    script = scripts / "setup-real-kwollect.sh"
    runs = ": down" not in command_output(str(script), "status")
    if not runs:
        started = subprocess.run(
            [str(script)], capture_output=True, text=True, check=False, timeout=LONGEST_SETUP_S
        )
        if started.returncode and any(fault in started.stderr for fault in INSTALLATION_FAULTS):
            pytest.skip(f"Kwollect's packages cannot be installed here: {started.stderr[-200:]}")
    try:
        if not runs:
            assert started.returncode == 0, started.stderr[-2000:]
        yield KwollectServer(script)
    finally:
        if not runs:
            command_output(str(script), "stop")
