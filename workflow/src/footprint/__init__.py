"""The energy that deep-learning research really used, from the cluster's own logs."""

import os
from typing import Any

# Snakemake hands a rule's threads to OpenMP and BLAS only. Polars reads its own variable, once,
# when it is first imported: without this, eight rules on eight cores would start 64 Polars threads.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", os.environ["OMP_NUM_THREADS"])

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`footprint.track`, imported where it is used.

    By its name as a text: rules do not depend on the tracker, and what a rule imports is what makes
    it run again (`provenance.Library`).
    """
    if name != "track":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("footprint.tracker.marks").track
