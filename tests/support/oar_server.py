"""Real OAR server on this machine, and an unprivileged user of it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.dispositions import start_process

STATE_FOLDER = Path(os.environ.get("OAR_STATE", "/var/lib/oar-real"))
DATABASE_ADDRESS = f"127.0.0.1:{os.environ.get('OAR_PG_PORT', '54329')}"
API_URL = f"http://127.0.0.1:{os.environ.get('OAR_API_PORT', '6668')}/oarapi"


class OarServer(NamedTuple):
    """Folder of the server's scripts, and passwords of its database."""

    scripts: Path
    secrets: dict[str, str]


def command_output(*words: str, **environment: str) -> str:
    """Run a command, which must succeed, and return its output."""
    done = subprocess.run(
        words, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def wait_for(what: str, condition: Callable[[], Any], *, longest_s: float = 60) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + longest_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {longest_s} s for {what}"
        time.sleep(0.3)
    return found


@contextmanager
def running_server(scripts: Path) -> Iterator[OarServer]:
    """Yield a running server; one that was running before is not stopped."""
    release = Path("/etc/os-release")
    if os.geteuid() != 0 or "\nID=debian\n" not in release.read_text(encoding="utf-8"):
        pytest.skip("a real OAR needs root on Debian")
    setup = str(scripts / "setup-real-oar.sh")
    runs = ": down" not in command_output(setup, "status")
    if not runs:
        done = subprocess.run([setup], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode and "\nE: " in f"\n{done.stderr}":  # the form of errors of apt-get
            pytest.skip(f"OAR's packages cannot be installed here: {done.stderr[-200:]}")
    try:
        if not runs:
            assert done.returncode == 0, done.stderr[-2000:]
        secrets = dict(line.split("=") for line in (STATE_FOLDER / "secrets").read_text().split())
        yield OarServer(scripts, secrets)
    finally:
        if not runs:
            command_output(str(scripts / "teardown.sh"), "--reset")


class ClusterUser:
    """Unprivileged user of the server, with a folder of her own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.home = pwd.getpwnam(name).pw_dir
        shutil.chown(folder, name, name)

    def environment_of_python(self, library: Path) -> str:
        """Create an environment for her with a library from her folder; the path of its Python.

        It uses the system's Python, because that of the tests may be in a folder of root.
        """
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        system = Path(f"/usr/bin/python{version}")
        packages = sysconfig.get_path("purelib")
        if not system.exists():
            pytest.skip(f"there is no {system} that {self.name} could use")
        if self.does("test", "-r", f"{packages}/snakemake/__init__.py").returncode:
            pytest.skip(f"{self.name} cannot read the packages in {packages}")
        command_output(str(system), "-m", "venv", "--without-pip", str(self.folder / "venv"))
        paths = self.folder / f"venv/lib/python{version}/site-packages/packages.pth"
        paths.write_text(f"{library}\n{packages}\n", encoding="utf-8")
        return str(self.folder / "venv/bin/python")

    def environment(self, **changes: str) -> dict[str, str]:
        """Variables of a login."""
        usual = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        return usual | {"HOME": self.home, "USER": self.name, "LOGNAME": self.name} | changes

    def start(self, *words: str, cwd: Path | None = None, **changes: str) -> subprocess.Popen[str]:
        """Start a command of hers; its output is written to `said.log` in its directory."""
        where = cwd or self.folder
        with (where / "said.log").open("w", encoding="utf-8") as said:
            return start_process(
                words,
                cwd=where,
                env=self.environment(PWD=str(where), **changes),
                user=self.name,
                group=self.name,
                extra_groups=[],
                umask=0o022,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def does(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of hers, and wait for its end."""
        return subprocess.run(
            words,
            cwd=cwd or self.folder,
            env=self.environment(PWD=str(cwd or self.folder)),
            user=self.name,
            group=self.name,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def submit(self, *options: str) -> int:
        """Submit a job, and return its id."""
        done = self.does("oarsub", "-O", "/dev/null", "-E", "/dev/null", *options)
        lines = done.stdout.splitlines()
        [found] = [each for each in lines if each.startswith("OAR_JOB_ID=")]
        return int(found.partition("=")[2])

    def active(self) -> list[dict[str, Any]]:
        """Unfinished jobs of hers, launched from her folder."""
        jobs = json.loads(self.does("oarstat", "-u", "-J").stdout or "{}")
        return [
            job
            for job in jobs.values()
            if Path(job["launchingDirectory"]).is_relative_to(self.folder)
        ]
