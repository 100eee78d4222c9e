"""Scripts of rules, run in this process with a stand-in for `snakemake`."""

import gc
import logging
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.iocontainers import Namedlist

from tests.support.workflow_rules import workflow_rules

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


def figure_paths(folder: Path) -> dict[str, Path]:
    """Paths of the formats of a figure in a folder."""
    return {form: folder / f"figure.{form}" for form in ("svg", "pdf", "png")}


def table_paths(folder: Path) -> dict[str, Path]:
    """Paths of the formats of a readers' table in a folder."""
    return {form: folder / f"table.{form}" for form in ("html", "csv", "tex")}


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
    """Run the script of a rule, and return its log.

    Args:
        rule: Name of the rule.
        logs: Folder of the log file.
        input: Input paths by name; a list of paths where the rule has several.
        output: Output paths by name; an empty list where the rule leaves a file out.
        params: Parameters by name, without the function of a figure or table.
        wildcards: Wildcards by name.
        config: Configuration of the study.
        threads: Threads of the rule.
    """
    root = logging.getLogger()
    before = sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level
    log = logs / f"{rule}.log"
    definition = workflow_rules()[rule]
    function = {key: value for key, value in definition.params.items() if key == "function"}
    stand_in = SimpleNamespace(
        input=Namedlist(fromdict=dict(input or {})),
        output=Namedlist(fromdict={name: path and str(path) for name, path in output.items()}),
        params=Namedlist(fromdict=function | dict(params or {})),
        wildcards=SimpleNamespace(**wildcards or {}),
        config=dict(config or {"download": {}}),
        threads=threads,
        log=[str(log)],
    )
    try:
        script = SCRIPTS / Path(definition.script).name
        runpy.run_path(str(script), init_globals={"snakemake": stand_in})
    finally:
        stream = sys.stdout
        sys.stdout, sys.stderr, sys.excepthook, root.handlers[:], root.level = before
        logging.captureWarnings(False)
        gc.unfreeze()
        stream.close()
    return log.read_text(encoding="utf-8")
