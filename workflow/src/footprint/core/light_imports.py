"""Imports of packages without the optional packages that they load where these are installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hide_packages(*names: str) -> Iterator[None]:
    """Let imports inside a `with` block find no package of these names.

    Snakemake and Jupyter bring large packages that others load for conversions and displays that
    nothing here uses: half a second of each script. A package that is loaded already stays.

    Args:
        names: Names of packages.
    """
    hidden = dict.fromkeys(set(names) - sys.modules.keys())
    sys.modules.update(hidden)  # type: ignore[arg-type]  # a module that is None is not found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
