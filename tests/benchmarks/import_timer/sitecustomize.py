"""Processor seconds that a rule's script takes to start; Python imports this module at every start.

With this folder on `PYTHONPATH` and `MEASURED_STARTS` set to a folder, each script of a rule writes
a file there at its exit: the processor seconds until this module, and of all imports after it.
"""

import atexit
import os
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("MEASURED_STARTS")
importlib: Any = sys.modules["_frozen_importlib"]
find_and_load = importlib._find_and_load  # what `import` and `import_module` call
spent = {"start": time.process_time(), "imports": 0.0}
depth = 0


def timed_find_and_load(*arguments: Any) -> Any:
    """Import a module, and add the time of the outermost import."""
    global depth
    begin = time.process_time()
    depth += 1
    try:
        return find_and_load(*arguments)
    finally:
        depth -= 1
        if not depth:
            spent["imports"] += time.process_time() - begin


def write_times(folder: Path) -> None:
    """Write the seconds of this process, if it ran the script of a rule."""
    if hasattr(sys.modules["__main__"], "snakemake"):
        (folder / str(os.getpid())).write_text(str(sum(spent.values())))


if FOLDER:
    importlib._find_and_load = timed_find_and_load
    atexit.register(write_times, Path(FOLDER))
