"""Measured energy of deep-learning research, from the logs of its cluster.

Everything is loaded at its first use: a tracked job needs the standard library alone, the functions
for notebooks need `pip install 'footprint[pipeline]'`.

- `integrate`: energy of jobs from two frames, samples of power and allocations.
- `open_results`: the tables of a study (`Results`), as frames.
- `track`: record a block or a function of a training script.
- `InputError`: raised for input that cannot be used, with one line that says how to fix it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` takes milliseconds, in which a signal is not held yet
if TYPE_CHECKING:
    from typing import Any

    from footprint.api import Results, integrate, open_results
    from footprint.core.errors import InputError
    from footprint.tracker.marks import track

# Snakemake passes a rule's threads to OpenMP and BLAS only. Polars reads its own variable, once, at
# its first import. Without this line, eight rules on eight cores would start 64 Polars threads.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", os.environ["OMP_NUM_THREADS"])

__version__ = "0.1.0"
__all__ = ["InputError", "Results", "integrate", "open_results", "track"]


def __getattr__(name: str) -> Any:
    """Return a member of `__all__`, imported at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = {"InputError": "core.errors", "track": "tracker.marks"}.get(name, "api")
    try:
        return getattr(import_module(f"footprint.{module}"), name)
    except ModuleNotFoundError as error:
        # an AttributeError, so that `help(footprint)` shows the rest
        raise AttributeError(
            f"footprint.{name} needs {error.name}: pip install 'footprint[pipeline]'"
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
