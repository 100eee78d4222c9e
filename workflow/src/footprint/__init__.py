"""Measured energy of deep-learning research, from the logs of its cluster."""

import os
from typing import Any

# Snakemake passes a rule's threads to OpenMP and BLAS only. Polars reads its own variable, once, at
# its first import. Without this line, eight rules on eight cores would start 64 Polars threads.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", os.environ["OMP_NUM_THREADS"])

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return `footprint.track`, imported at its first use."""
    if name != "track":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from footprint.tracker.marks import track

    return track
