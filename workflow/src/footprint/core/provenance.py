"""Provenance line of figures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from footprint import __version__

SIMULATED_SITE = "simulated site"
"""Words of the provenance line of a simulated site."""


def is_simulated(provenance: str) -> bool:
    """Whether a provenance line is that of a simulated site."""
    return SIMULATED_SITE in provenance


def describe_study(config: Mapping[str, Any]) -> str:
    """Return the provenance line of figures and tables: site, window, source and version.

    As in `simulated site nancy · 2025-03-03 to 2025-04-28 · footprint 0.1.0`. The second date is
    the end of the study, which is excluded. The source is named unless it is `simulated`.

    Args:
        config: Prepared configuration.
    """
    study, kind = config["study"], config["source"]["kind"]
    is_simulated = kind == "simulated"
    parts = [
        f"{SIMULATED_SITE} {study['site']}" if is_simulated else study["site"],
        f"{study['start']} to {study['end']}",
        *([] if is_simulated else [kind]),
        f"footprint {__version__}",
    ]
    return " · ".join(parts)
