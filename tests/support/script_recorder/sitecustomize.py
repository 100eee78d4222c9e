"""Recorder of what a rule's script loads and executes; Python imports it at every start.

With this folder on `PYTHONPATH` and `RECORDED_SCRIPTS` set to a folder, the script of each rule
writes a file there at its exit: rule, packages loaded, and the library's functions executed.
"""

import atexit
import inspect
import json
import os
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FOLDER = os.environ.get("RECORDED_SCRIPTS")
LIBRARY = f"{os.sep}workflow{os.sep}src{os.sep}footprint{os.sep}"
"""End of the path of the library's folder; a checkout's own folder may be called footprint too."""

executed: dict[int, CodeType] = {}


def record_call(frame: FrameType, event: str, _: Any) -> None:
    """Keep the code of a function of the library, unless the import of a module calls it."""
    code = frame.f_code
    if event != "call" or id(code) in executed or LIBRARY not in code.co_filename:
        return
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == "<module>" and LIBRARY in caller.f_code.co_filename:
            return
        caller = caller.f_back
    if code.co_flags & inspect.CO_OPTIMIZED:  # bodies of classes are not
        executed[id(code)] = code


def write_record(folder: Path) -> None:
    """Write the record of this process, if it ran the script of a rule."""
    sys.setprofile(None)
    snakemake = getattr(sys.modules["__main__"], "snakemake", None)
    if snakemake is None:
        return
    definitions = {
        (module_name(code.co_filename), code.co_qualname.partition(".")[0])
        for code in executed.values()
        if not code.co_qualname.startswith("<")  # a lambda is part of the constant that has it
    }
    record = {
        "rule": snakemake.rule,
        "packages": sorted({name.partition(".")[0] for name in sys.modules}),
        "definitions": sorted(definitions),
    }
    (folder / f"{snakemake.rule}.{os.getpid()}.json").write_text(json.dumps(record))


def module_name(path: str) -> str:
    """Dotted name of a module of the library, from its path."""
    parts = Path(path.rpartition(LIBRARY)[2]).with_suffix("").parts
    return ".".join(part for part in ("footprint", *parts) if part != "__init__")


if FOLDER:
    atexit.register(write_record, Path(FOLDER))
    sys.setprofile(record_call)
