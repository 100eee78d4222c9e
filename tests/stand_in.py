"""Scripts of rules, run in this process with a stand-in for `snakemake`."""

import logging
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.iocontainers import Namedlist

SCRIPTS = Path(__file__).parents[1] / "workflow/scripts"


def run_script(
    rule: str,
    *,
    logs: Path,
    input: Mapping[str, Any] | None = None,
    output: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    wildcards: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> str:
    """Run the script of a rule; what it printed and logged into a file of `logs`."""
    root = logging.getLogger()
    before = sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level
    log = logs / f"{rule}.log"
    stand_in = SimpleNamespace(
        input=Namedlist(fromdict=dict(input or {})),
        output=Namedlist(fromdict={name: str(path) for name, path in output.items()}),
        params=SimpleNamespace(**params or {}),
        wildcards=SimpleNamespace(**wildcards or {}),
        config=dict(config or {"download": {}}),
        threads=threads,
        log=[str(log)],
    )
    try:
        runpy.run_path(str(SCRIPTS / f"{rule}.py"), init_globals={"snakemake": stand_in})
    finally:
        stream = sys.stdout
        sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level = before
        logging.captureWarnings(False)
        stream.close()
    return log.read_text(encoding="utf-8")
