"""The folder of a new study: its configuration, labels, and the key of its pseudonyms."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from footprint.config import settings
from footprint.core import pseudonyms
from footprint.core.errors import InputError

KEY_BYTES = 32

HEADER = "# docs/configuration.md describes all keys and their defaults.\n"

LABELS = """\
# Labels of jobs: which paper they were for, and what they were (docs/labels.md).
# `footprint labels --directory {folder} --write {folder}/labels.yaml` appends drafts. A row:
#
# - user: login
#   command: "*train.py*"
#   paper: mine
[]
"""


def study_configuration(
    source: str, *, site: str, start: str, end: str, data: Path | None, key: Path
) -> dict[str, Any]:
    """Return the configuration of a new study.

    Args:
        source: Kind of the source.
        site: Site.
        start: First day.
        end: Day after the last day.
        data: Folder of saved files; None: the source has none.
        key: File of the key; a simulated site needs none.
    """
    config: dict[str, Any] = {"study": {"site": site, "start": start, "end": end}}
    config["source"] = {"kind": source}
    if data is not None:
        config["source"]["directory"] = str(data.expanduser().absolute())
    if source != "simulated":
        config["labels"] = {"files": ["labels.yaml"]}
        config["privacy"] = {"key": str(key.absolute())}
    return config


def write_study(
    folder: Path, *, source: str, site: str, start: str, end: str, data: Path | None, key: Path
) -> list[Path]:
    """Write the files of a new study; nothing is written if the configuration cannot be used.

    Args:
        folder: Folder of the study; made if it is missing.
        source: See `study_configuration`, as the others.
        site: Site.
        start: First day.
        end: Day after the last day.
        data: Folder of saved files.
        key: File of the key. An existing one is used; a new one is readable by its owner alone.

    Returns:
        Paths of the written files.

    Raises:
        InputError: The folder has a configuration already, or an answer cannot be used.
    """
    path = folder / "config.yaml"
    if path.exists():
        raise InputError("exists already", where=str(path), do="edit it, or choose another folder")
    config = study_configuration(source, site=site, start=start, end=end, data=data, key=key)
    if data is not None and not data.expanduser().is_dir():
        raise InputError("there is no such folder", where=str(data), do="fix the path")
    # the file of labels is not written yet
    settings.prepare_configuration(
        {name: each for name, each in config.items() if name != "labels"}
    )
    key_exists = key.exists()
    if source != "simulated" and key_exists:
        pseudonyms.load_key(str(key), simulated=False, published=folder / "results")
    folder.mkdir(parents=True, exist_ok=True)
    written = [path]
    path.write_text(HEADER + _yaml(config), encoding="utf-8")
    if source == "simulated":
        return written
    labels = folder / "labels.yaml"
    if not labels.exists():
        labels.write_text(LABELS.format(folder=folder), encoding="utf-8")
        written.append(labels)
    if not key_exists:
        _write_key(key)
        written.append(key)
    return written


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _write_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
