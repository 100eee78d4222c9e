"""The recordings from the repository of their authors, at one commit, by `git`.

Git names everything by a hash of its content and computes it again from what arrives, from files
up to the commit: a commit that was fetched is a checksum of the files in it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from footprint.errors import InputError
from footprint.validation import recordings

FILES = (recordings.TABLE, recordings.METRICS)
TIMEOUT_S = 600
DO = f"set {recordings.WHERE} to a folder that has the recordings"

# Nobody is there to answer a question, and a server that says nothing is given up.
ALONE = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}
PATIENCE = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
# What points git at a repository of its own, as inside a hook.
ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
)
NO_SUCH_COMMIT = ("not our ref", "unadvertised object", "couldn't find remote ref")


class _GitError(Exception):
    """Git refused; its message is the argument."""


def fetch(url: str, commit: str, folder: str | Path) -> list[Path]:
    """Write the files of the recordings under `folder`, where the repository has them.

    Only they and the names of the rest are downloaded, where the server can do so.

    Args:
        url: Repository, as `git` takes it.
        commit: Its commit, 40 hexadecimal digits.
        folder: Made where it is missing.

    Raises:
        InputError: There is no `git`, the repository cannot be reached, or has no such commit, or
            no such files in it.
    """
    with tempfile.TemporaryDirectory() as clone:
        try:
            contents = _contents(url, commit, clone)
        except FileNotFoundError:
            raise InputError("there is no git to fetch the recordings with", do=DO) from None
        except subprocess.TimeoutExpired:
            raise InputError("no answer", where=url, do=f"try again, or {DO}") from None
    written = []
    for name, content in contents.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def _contents(url: str, commit: str, clone: str) -> dict[str, bytes]:
    """Each file of the recordings, fetched into an empty folder."""
    _git(clone, "init", "--quiet")
    # A remote with a name: git comes back to it for the files that the filter left out.
    _git(clone, "remote", "add", "--", "origin", url)
    asked = ("--quiet", "--depth=1", "--no-tags", "--filter=blob:none", "origin", commit)
    try:
        _git(clone, *PATIENCE, "fetch", *asked)
    except _GitError as error:
        raise _refused(str(error), url, commit) from None
    found = _git(clone, "rev-parse", "FETCH_HEAD^{commit}").decode().strip()
    if found != commit:
        raise InputError(f"gave commit {found} for {commit}", where=url, do=DO)
    contents = {}
    for name in FILES:
        try:
            contents[name] = _git(clone, *PATIENCE, "cat-file", "blob", f"{commit}:{name}")
        except _GitError as error:
            what = f"cannot get {name} at commit {commit} ({error})"
            raise InputError(what, where=url, do=f"mend validation.commit, or {DO}") from None
    return contents


def _refused(message: str, url: str, commit: str) -> InputError:
    if any(words in message for words in NO_SUCH_COMMIT):
        do = f"mend validation.commit, or {DO}"
        return InputError(f"has no commit {commit}", where=url, do=do)
    return InputError(f"the recordings cannot be fetched ({message})", where=url, do=DO)


def _git(folder: str, *arguments: str) -> bytes:
    """What git writes, run in a folder; its last line of complaint where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    done = subprocess.run(
        ["git", "-C", folder, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        env=environment | ALONE,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _GitError(lines[-1] if lines else f"git gave {done.returncode}")
    return done.stdout
