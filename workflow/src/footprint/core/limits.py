"""Bounds of input files and studies, which protect memory and time from damaged or hostile input.

The configuration's section `limits` raises them. The Snakefile passes them on to the scripts of its
rules in an environment variable: they do not change results, so that another bound reruns no rule.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

LIMITS_VARIABLE = "FOOTPRINT_LIMITS"
"""Environment variable with the section `limits`, as JSON."""


class Limits(NamedTuple):
    """Bounds; `limits` of the configuration has the same names and defaults.

    Attributes:
        part_read_gb: Unpacked size in GB (10^9 bytes) of a file that is read in parts.
        whole_read_mb: Unpacked size in MB (10^6 bytes) of a file that is read as a whole.
        expansion: Unpacked size over packed size. Packed text of Kwollect reaches 60; DEFLATE
            cannot exceed 1032.
        depth: Depth of nested lists and objects in JSON and YAML. Answers of the services have 8.
        yaml_values: Number of values of a YAML file, each alias counted in full.
        study_years: Length of a study in years of 366 days.
    """

    part_read_gb: float = 64
    whole_read_mb: float = 1024
    expansion: float = 250
    depth: int = 64
    yaml_values: int = 200_000
    study_years: float = 10


def active_limits() -> Limits:
    """Return the bounds of this process: those of `pass_on_limits`, else the defaults."""
    text = os.environ.get(LIMITS_VARIABLE)
    return Limits(**json.loads(text)) if text else Limits()


def pass_on_limits(section: Mapping[str, float]) -> None:
    """Set the bounds of this process and of the processes that it starts.

    Args:
        section: Section `limits` of a checked configuration.
    """
    os.environ[LIMITS_VARIABLE] = json.dumps(dict(section))


def raise_advice(key: str) -> str:
    """Return the advice of an error about a bound, with its key in the configuration."""
    return f"check the file; if it is meant so, raise limits.{key} in config.yaml"
