"""Options that name the configuration of a study, and its files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from footprint.core.arguments import existing_folder


def add_configfile(parser: argparse.ArgumentParser) -> None:
    """Add the option `--configfile`."""
    parser.add_argument(
        "--configfile",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="configuration that overrides config.yaml, as for snakemake; may be repeated",
    )


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Add the option `--directory`."""
    parser.add_argument(
        "--directory",
        type=existing_folder,
        default=Path(),
        metavar="DIR",
        help="folder of the study, as for snakemake (default: this one)",
    )


def read_configuration(directory: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Return the checked configuration of a study, and make its folder the current one.

    Args:
        directory: Folder of the study, whose config.yaml comes first if it exists.
        files: Files of `--configfile`, relative to the folder of the call.

    Raises:
        InputError: A file is missing or cannot be used.
    """
    from footprint.config import settings

    if directory != Path():
        files = [path.absolute() for path in files]
        os.chdir(directory)
    default = Path("config.yaml")
    first = [default] if default.is_file() or not files else []
    return settings.prepare_configuration(settings.read_configuration_files([*first, *files]))
