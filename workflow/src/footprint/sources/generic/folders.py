"""Files of the generic tables in a folder, and the clusters of its nodes.

A table is one file `jobs.csv` or `jobs.parquet` in the folder, any number of files in a subfolder
`jobs/`, or both. The Snakefile lists its inputs with this module on every start, so it does not
import Polars at first.
"""

from __future__ import annotations

import os
from pathlib import Path

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.core.json_schema import spelling_hint
from footprint.sources import files
from footprint.sources.generic import columns, headers
from footprint.sources.node_names import GENERIC_PATTERN

SUFFIXES = (".csv", ".tsv", ".psv", ".parquet")
"""Ends of the names of files of a table, before `.gz` or `.zst`."""


def table_files(directory: Path, table: str) -> list[Path]:
    """Files of a table, by name; of an optional table there may be none.

    Raises:
        InputError: There is none of a required table; one cannot be read; or a file in the folder
            looks like a table and is none.
    """
    _check_names(directory)
    found = [path for path in _entries(directory) if _table_of(path) == table]
    for path in found:
        _check_file(path)
    folder = directory / table
    if folder.exists() or folder.is_symlink():
        found += files.list_files(directory, table, content=f"tables of {table}", optional=True)
    if not found and table in columns.REQUIRED_TABLES:
        where = str(directory)
        do = f"add {table}.csv, {table}.parquet or files in {table}/ (docs/your-cluster.md)"
        raise InputError(f"no table `{table}`", where=where, do=do)
    return found


def relative_name(path: Path, directory: Path) -> str:
    """Name of a file in tables and messages: its path relative to the folder."""
    return path.relative_to(directory).as_posix()


def has_counters(directory: Path) -> bool:
    """Whether each file of `power` has an energy counter beside the power.

    Raises:
        InputError: See `table_files` and `headers.read_header`.
    """
    found = [
        headers.read_header(path, table="power", where=relative_name(path, directory))
        for path in table_files(directory, "power")
    ]
    return any(each.has("energy_j") and each.has("power_w") for each in found)


def described_clusters(directory: Path, pattern: str = GENERIC_PATTERN) -> list[str]:
    """Clusters of the nodes in the table `nodes`, sorted.

    Raises:
        InputError: A file cannot be read, or the name of a node does not match the pattern.
    """
    from footprint.sources.generic import hardware  # imports Polars

    return (
        hardware.read_nodes(directory, site="", pattern=pattern)["cluster"]
        .unique()
        .sort()
        .to_list()
    )


def _entries(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))


def _table_of(path: Path) -> str | None:
    """Table of a file in the folder, by its name; None where it is none."""
    name = Path(files.uncompressed_name(path))
    return name.stem if name.suffix in SUFFIXES and not path.is_dir() else None


def _check_names(directory: Path) -> None:
    """Refuse a file that looks like a table whose name is misspelt: it would be left out."""
    for path in _entries(directory):
        table = _table_of(path)
        if table is not None and table not in columns.TABLES:
            hint = spelling_hint(table, columns.TABLES) or f"tables are {', '.join(columns.TABLES)}"
            do = f"{hint}; rename the file, or move it elsewhere"
            raise InputError(f"`{table}` is no table", where=str(path), do=do)


def _check_file(path: Path) -> None:
    input_files.check_regular(path, where=str(path))
    if not os.access(path, os.R_OK):
        do = files.PERMISSION_ADVICE
        raise InputError("the file cannot be opened", where=str(path), do=do)
