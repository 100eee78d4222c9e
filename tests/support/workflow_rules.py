"""Rules of the workflow, as Snakemake reads them for the default study."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

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
