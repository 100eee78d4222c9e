"""Configurations of a study for tests, prepared as the workflow does, and their errors."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from footprint.config import settings
from footprint.core.errors import InputError

STUDY = {"site": "nancy", "start": date(2025, 3, 3), "end": date(2025, 4, 28)}


def prepared_configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as the pipeline uses it."""
    return settings.prepare_configuration(config)


def configuration_with_key(path: str, value: Any) -> dict[str, Any]:
    """The smallest configuration, with one key (`a.b`) set."""
    config: dict[str, Any] = {"study": dict(STUDY)}
    section = config
    *parents, key = path.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    return config


def exports_configuration(folder: Path, **source: Any) -> dict[str, Any]:
    """The smallest configuration of a folder of exports."""
    source = {"kind": "exports", "directory": str(folder), **source}
    return {"study": STUDY, "source": source}


def configuration_error(config: Mapping[str, Any]) -> str:
    """The error message of a configuration; it must be one line."""
    with pytest.raises(InputError) as caught:
        prepared_configuration(config)
    message = str(caught.value)
    assert "\n" not in message
    return message
