"""Download of the recordings from their authors' repository, at one commit, by `git`.

Git identifies files and commits by hashes and verifies them on arrival. The id of a fetched commit
is therefore a checksum of its files.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from footprint.core.errors import InputError
from footprint.validation import recordings

FETCHED_FILES = (recordings.AUTHORS_RUNS_FILE, recordings.AUTHORS_POWER_FILE)
TIMEOUT_S = 600
DIRECTORY_ADVICE = f"set {recordings.DIRECTORY_KEY} to a folder that has the recordings"

# No prompts, and stalled transfers are aborted.
NON_INTERACTIVE_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}
LOW_SPEED_OPTIONS = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
# Variables that direct git to another repository, as inside a hook.
REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
)
MISSING_COMMIT_MESSAGES = ("not our ref", "unadvertised object", "couldn't find remote ref")


class _GitError(Exception):
    """A git command failed; the argument is its message."""


def fetch_recordings(url: str, commit: str, folder: str | Path) -> list[Path]:
    """Write the files of the recordings under `folder`, at their paths in the repository.

    If the server can filter, only these files and the names of the others are downloaded.

    Args:
        url: Address of the repository, as `git` accepts it.
        commit: Its commit, 40 hexadecimal digits.
        folder: Folder, created if missing.

    Returns:
        Paths of the written files.

    Raises:
        InputError: `git` is missing, the repository cannot be reached, or it does not have the
            commit or the files.
    """
    with tempfile.TemporaryDirectory() as clone:
        try:
            contents = _fetch_contents(url, commit, clone)
        except FileNotFoundError:
            raise InputError(
                "git is not installed and is needed to download the recordings", do=DIRECTORY_ADVICE
            ) from None
        except subprocess.TimeoutExpired:
            raise InputError(
                "no answer", where=url, do=f"try again, or {DIRECTORY_ADVICE}"
            ) from None
    written = []
    for name, content in contents.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def _fetch_contents(url: str, commit: str, clone: str) -> dict[str, bytes]:
    """Content of each file of the recordings, fetched into an empty folder."""
    _run_git(clone, "init", "--quiet")
    # A named remote, from which git later fetches the files that the filter excluded.
    _run_git(clone, "remote", "add", "--", "origin", url)
    asked = ("--quiet", "--depth=1", "--no-tags", "--filter=blob:none", "origin", commit)
    try:
        _run_git(clone, *LOW_SPEED_OPTIONS, "fetch", *asked)
    except _GitError as error:
        raise _fetch_error(str(error), url, commit) from None
    found = _run_git(clone, "rev-parse", "FETCH_HEAD^{commit}").decode().strip()
    if found != commit:
        raise InputError(
            f"returned commit {found} instead of {commit}", where=url, do=DIRECTORY_ADVICE
        )
    contents = {}
    for name in FETCHED_FILES:
        try:
            contents[name] = _run_git(
                clone, *LOW_SPEED_OPTIONS, "cat-file", "blob", f"{commit}:{name}"
            )
        except _GitError as error:
            what = f"cannot fetch {name} at commit {commit} ({error})"
            raise InputError(
                what, where=url, do=f"fix validation.commit, or {DIRECTORY_ADVICE}"
            ) from None
    return contents


def _fetch_error(message: str, url: str, commit: str) -> InputError:
    if any(words in message for words in MISSING_COMMIT_MESSAGES):
        do = f"fix validation.commit, or {DIRECTORY_ADVICE}"
        return InputError(f"has no commit {commit}", where=url, do=do)
    return InputError(
        f"the recordings cannot be downloaded ({message})", where=url, do=DIRECTORY_ADVICE
    )


def _run_git(folder: str, *arguments: str) -> bytes:
    """Output of git, run in a folder; on failure, the last line of its errors is raised."""
    environment = {
        name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES
    }
    done = subprocess.run(
        ["git", "-C", folder, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        env=environment | NON_INTERACTIVE_ENVIRONMENT,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _GitError(lines[-1] if lines else f"git exited with {done.returncode}")
    return done.stdout
