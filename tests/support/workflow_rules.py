"""Rules of the workflow, as Snakemake reads them for the default study."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from footprint.core.fingerprint import Library
from footprint.sources import registry

LIBRARY = Library(loaded_by_name={registry.__name__: [registry.site_module({"kind": "simulated"})]})
"""The library as rules of the default study load it."""

ROOT = Path(__file__).parents[2]
BASES = frozenset({"draw", "tabulate"})
"""Rules from which others inherit; no plan has them."""


@cache
def workflow_rules() -> Mapping[str, Rule]:
    """Rules that run a script, by name, without those that others inherit from."""
    quiet = OutputSettings(quiet={Quietness.ALL})
    with contextlib.chdir(ROOT), SnakemakeApi(quiet) as api:
        workflow = api.workflow(ResourceSettings(), snakefile=ROOT / "Snakefile")._workflow
        return {
            rule.name: rule for rule in workflow.rules if rule.script and rule.name not in BASES
        }


def called_function(name: str) -> list[str]:
    """Dotted name of the function that a rule of a figure or table names."""
    function = workflow_rules()[name].params.get("function")
    return [f"footprint.report.{function}"] if function else []


def code_of(name: str) -> tuple[Path, list[str]]:
    """Script of a rule, and the functions that the script calls by their names."""
    script = Path(workflow_rules()[name].script).name
    return ROOT / "workflow/scripts" / script, called_function(name)


def definitions_behind(name: str) -> set[tuple[str, str]]:
    """Module and name of each definition of the library that a rule's fingerprint covers."""
    return LIBRARY.definitions_behind(*code_of(name))
