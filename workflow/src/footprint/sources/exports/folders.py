"""The folder of a user's exports: its files, and the clusters described in them.

The Snakefile lists its inputs with this module on every start. So the module reads the content of
`nodes/` alone, and does not import Polars.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.sources import files
from footprint.sources.node_names import GRID5000_PATTERN
from footprint.sources.reference_api import descriptions


def node_files(directory: Path) -> list[Path]:
    """Files `nodes/*.json`, answers of the Reference API.

    Raises:
        InputError: There is none, or one cannot be read.
    """
    content = "answers of /sites/<site>/clusters/<cluster>/nodes"
    return files.list_files(directory, "nodes", content=content, suffix=".json")


def job_files(directory: Path) -> list[Path]:
    """Files `jobs/*`, answers of APIs and outputs of OAR about jobs.

    Raises:
        InputError: There is none, or one cannot be read.
    """
    content = "pages of /sites/<site>/jobs, oarapi jobs/details, or outputs of oarstat -J"
    return files.list_files(directory, "jobs", content=content)


def resource_files(directory: Path) -> list[Path]:
    """Files `resources/*.json`, tables of OAR's resources; there may be none."""
    content = "answers of oarapi resources/details"
    return files.list_files(directory, "resources", content=content, suffix=".json", optional=True)


def power_files(directory: Path) -> list[Path]:
    """Files `power/*`, answers of Kwollect.

    Raises:
        InputError: There is none, or one cannot be read.
    """
    return files.list_files(directory, "power", content="answers of /sites/<site>/metrics")


def device_files(directory: Path) -> list[Path]:
    """Files `devices/*`, answers of Kwollect about GPUs; there may be none."""
    return files.list_optional_files(directory / "devices")[0]


def state_files(directory: Path) -> list[Path]:
    """Files `states/*`, notes on nodes that could not be used; there may be none."""
    return files.list_optional_files(directory / "states")[0]


def unreadable_entries(directory: Path, folder: str) -> list[tuple[str, str]]:
    """Entries of the optional folder `states` or `devices` that cannot be read: name and reason."""
    unreadable = files.list_optional_files(directory / folder)[1]
    return [(relative_name(path, directory), reason) for path, reason in unreadable]


class FolderTree(NamedTuple):
    """Files of a folder and its subfolders, and entries that cannot be read, each with a reason."""

    files: list[Path]
    unreadable: list[tuple[Path, str]]


CLOSED_FOLDER_REASON = "the folder cannot be opened"
NO_FILE_REASON = "neither a file nor a folder"


def list_tree(directory: Path, *, suffix: str = "") -> FolderTree:
    """Files of a folder and its subfolders, by name, without names that begin with a dot.

    Links are followed; a folder behind several links is listed once. A missing folder has no files.

    Args:
        directory: The folder.
        suffix: End of the names of files and dangling links; others are left out.
    """
    found = FolderTree([], [])
    if directory.is_dir():
        _walk(directory, suffix, found, {os.path.realpath(directory)})
    return FolderTree(sorted(found.files), sorted(found.unreadable))


def _walk(folder: Path, suffix: str, found: FolderTree, seen: set[str]) -> None:
    """Add the entries below a folder to `found`, and real paths of folders to `seen`."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        found.unreadable.append((folder, CLOSED_FOLDER_REASON))
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
            found.unreadable.append(
                (path, input_files.DANGLING_LINK if path.is_symlink() else NO_FILE_REASON)
            )


def recorded_files(directory: Path) -> list[Path]:
    """Files that energy tools recorded, in a folder and its subfolders; it may be missing."""
    return list_tree(directory).files


def unreadable_records(directory: Path) -> list[tuple[str, str]]:
    """Entries of the folder `recorded/` that cannot be read: relative path, and reason."""
    return [
        (relative_name(path, directory), reason) for path, reason in list_tree(directory).unreadable
    ]


def relative_name(path: Path, directory: Path) -> str:
    """Name of a file in tables and messages: its path relative to the folder of the exports."""
    return path.relative_to(directory).as_posix()


def described_clusters(directory: Path, pattern: str = GRID5000_PATTERN) -> list[str]:
    """Clusters with described nodes, sorted.

    Args:
        directory: Folder of the exports.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A file of `nodes/` cannot be read, none describes a node, or the name of a node
            does not match the pattern.
    """
    found: set[str] = set()
    for path in node_files(directory):
        where = relative_name(path, directory)
        documents = files.read_documents(path)
        if not documents:
            # an empty file is a failed download: the study would lack its cluster
            raise InputError("the file is empty", where=where, do=descriptions.SAVE_NODES)
        for document in documents:
            for node in descriptions.node_descriptions(document, where=where):
                found.add(descriptions.name_and_cluster(node, where=where, pattern=pattern)[1])
    if not found:
        where = str(directory / "nodes")
        raise InputError("no file describes a node", where=where, do=descriptions.SAVE_NODES)
    return sorted(found)
