"""The folder of a user's exports: which files it holds, and which clusters they are about.

No content is read but that of `nodes/`, and Polars is not needed, so that a Snakefile can ask on
every start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from footprint.errors import InputError
from footprint.node_names import GRID5000
from footprint.site import files, reference


def node_files(directory: Path) -> list[Path]:
    """Answers of the Reference API: `nodes/*.json`.

    Raises:
        InputError: There are none.
    """
    holds = "answers of /sites/<site>/clusters/<cluster>/nodes"
    return files.listed(directory, "nodes", holds=holds, suffix=".json")


def job_files(directory: Path) -> list[Path]:
    """Answers and outputs of OAR about jobs: `jobs/*`.

    Raises:
        InputError: There are none.
    """
    holds = "pages of /sites/<site>/jobs, oarapi jobs/details, or outputs of oarstat -J"
    return files.listed(directory, "jobs", holds=holds)


def resource_files(directory: Path) -> list[Path]:
    """Tables of OAR's resources, which may be missing: `resources/*.json`."""
    holds = "answers of oarapi resources/details"
    return files.listed(directory, "resources", holds=holds, suffix=".json", optional=True)


def power_files(directory: Path) -> list[Path]:
    """Answers of Kwollect: `power/*`.

    Raises:
        InputError: There are none.
    """
    return files.listed(directory, "power", holds="answers of /sites/<site>/metrics")


def device_files(directory: Path) -> list[Path]:
    """Answers of Kwollect about single GPUs, which may be missing: `devices/*`."""
    holds = "answers of /sites/<site>/metrics about prom_DCGM_FI_DEV_POWER_USAGE"
    return files.listed(directory, "devices", holds=holds, optional=True)


def state_files(directory: Path) -> list[Path]:
    """Notes on nodes that could not be used, which may be missing: `states/*`."""
    return files.listed(directory, "states", holds="node, state, from, to", optional=True)


class Tree(NamedTuple):
    """Files of a folder and its subfolders, and the entries that cannot be read."""

    files: list[Path]
    unreadable: list[tuple[Path, str]]


CLOSED_FOLDER = "the folder cannot be opened"
NO_FILE = "neither a file nor a folder"


def tree(directory: Path, *, suffix: str = "") -> Tree:
    """Files below a folder, by name; names that begin with a dot do not count.

    Links are followed, and a folder that several links lead to counts once. A folder that is
    missing has no files.

    Args:
        directory: The folder.
        suffix: What names of files and of dangling links end with.
    """
    found = Tree([], [])
    if directory.is_dir():
        _walk(directory, suffix, found, {os.path.realpath(directory)})
    return Tree(sorted(found.files), sorted(found.unreadable))


def _walk(folder: Path, suffix: str, found: Tree, seen: set[str]) -> None:
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        found.unreadable.append((folder, CLOSED_FOLDER))
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                _walk(path, suffix, found, seen)
        elif not name.endswith(suffix):
            continue
        elif path.is_file():
            found.files.append(path)
        else:
            found.unreadable.append((path, files.LINK_TO_NOTHING if path.is_symlink() else NO_FILE))


def recorded_files(directory: Path) -> list[Path]:
    """What tools recorded in jobs, in a folder and its subfolders, which may be missing."""
    return tree(directory).files


def unreadable_records(directory: Path) -> list[tuple[str, str]]:
    """Entries of that folder that cannot be read: path relative to it, and the reason."""
    return [(label(path, directory), reason) for path, reason in tree(directory).unreadable]


def label(path: Path, directory: Path) -> str:
    """A file as tables and messages name it: relative to the folder of the exports."""
    return path.relative_to(directory).as_posix()


def clusters(directory: Path, pattern: str = GRID5000) -> list[str]:
    """Clusters of which nodes are described, sorted.

    Args:
        directory: Folder of the exports.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A file of `nodes/` cannot be read, none describes a node, or the name of a node
            does not match the pattern.
    """
    found = set()
    for path in node_files(directory):
        where = label(path, directory)
        documents = files.documents(path)
        if not documents:
            # a download that failed: its cluster would be missing without a word
            raise InputError("the file is empty", where=where, do=reference.SAVE_NODES)
        for document in documents:
            for node in reference.node_objects(document, where=where):
                found.add(reference.name_and_cluster(node, where=where, pattern=pattern)[1])
    if not found:
        where = str(directory / "nodes")
        raise InputError("no file describes a node", where=where, do=reference.SAVE_NODES)
    return sorted(found)
