"""Which rules run again when code or settings change, and which packages their scripts load.

Tests that change the project restore it.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from footprint.core.fingerprint import LIBRARY_FOLDER, Library
from footprint.sources import registry
from tests.support.project import Project, configure, small_study
from tests.support.small_study import Study
from tests.support.workflow_rules import code_of, definitions_behind, workflow_rules

pytestmark = pytest.mark.workflow

# Code


def test_fingerprints_cover_all_code_that_scripts_execute(done: Study) -> None:
    assert len(done.records) > 50
    missed = {
        f"{rule}: {module}.{name}"
        for rule, record in done.records.items()
        for module, name in record.definitions - definitions_behind(rule)
    }
    assert not missed


def test_fingerprints_of_many_rules_cover_no_more_than_three_times_what_they_execute(
    done: Study,
) -> None:
    """Options that a small study does not use are covered and not executed."""
    executed = sum(len(record.definitions) for record in done.records.values())
    functions = {
        rule: {(module, name) for module, name in definitions_behind(rule) if name.islower()}
        for rule in done.records
    }
    assert executed > 1000
    assert sum(map(len, functions.values())) < 3 * executed


SIMULATED = {
    f"download_{what}" for what in ("devices", "jobs", "nodes", "power", "series", "truth")
}
SIMULATED |= {"check_simulation", "plot_simulation_check"}
SIMULATED |= {"compare_counters", "convert_devices", "convert_power"}  # not of a simulated site
RULES_OF_CONSTANTS = {
    "allocation.overlaps.LONGEST_TRIM": {"build_allocations"},
    "core.vocabulary.HOURLY_FACTOR": {"estimate_carbon", "tabulate_carbon", "write_summary"},
    "energy.idle_power.IDLE_QUANTILE": {"measure_node_power"},
    "energy.kernel.STEP_VARIANCE": {
        *("integrate_energy", "integrate_devices", "integrate_series", "compare_recordings"),
    },
    "levels.overhead.REDISTRIBUTIONS": {"build_levels", "reveal_names"},
    "report.notable_models.BUILT_IN_TABLE": {"read_models"},
    "schemas.phases.N_POWER_BINS": {
        *("measure_power_histograms", "extract_features", "classify_runs", "evaluate_phases"),
        "measure_reliability",
    },
    "sources.device_download.MAX_PLAUSIBLE_GPU_POWER_W": {"download_devices"},
    "sources.simulated.exporters._OWN_NOISE_W": SIMULATED,
}
"""Rules that use a constant, of the default study."""


@pytest.fixture
def edited_library(tmp_path: Path) -> Path:
    """A copy of the library, to be edited."""
    return Path(shutil.copytree(LIBRARY_FOLDER, tmp_path / "footprint"))


@cache
def fingerprints_by_rule(source: str, library: Path = LIBRARY_FOLDER) -> dict[str, str]:
    """Fingerprint of each rule in a study of a kind of source."""
    loaded = {registry.__name__: [registry.site_module({"kind": source})]}
    read = Library(library, loaded_by_name=loaded)
    return {rule: read.fingerprint(*code_of(rule)) for rule in workflow_rules()}


def rerun_rules(library: Path, *, source: str = "simulated") -> set[str]:
    """Rules that an edited copy of the library reruns, in a study of a kind of source."""
    before, after = fingerprints_by_rule(source), fingerprints_by_rule(source, library)
    return {rule for rule in before if after[rule] != before[rule]}


def with_other_comments(text: str) -> str:
    """Text of a module with a comment more, and other docstrings."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node):
            first = node.body[0].lineno - 1
            lines[first] = lines[first].replace('"""', '"""Edited. ', 1)
    return "".join(lines) + "\n# edited\n"


def edit_constant(library: Path, constant: str) -> None:
    """Change the value of a constant, named by module and name."""
    module, _, name = constant.rpartition(".")
    path = library.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text, count = re.subn(rf"^({name}\b[^=]*=) ", r"\1 0 or ", path.read_text(), flags=re.M)
    assert count == 1
    path.write_text(text)


def test_other_comments_and_docstrings_in_every_module_rerun_no_rule(edited_library: Path) -> None:
    for path in edited_library.rglob("*.py"):
        path.write_text(with_other_comments(path.read_text()))
    assert rerun_rules(edited_library) == set()


@pytest.mark.parametrize("constant", RULES_OF_CONSTANTS)
def test_changed_constant_reruns_the_rules_that_use_it_and_no_other(
    edited_library: Path, constant: str
) -> None:
    edit_constant(edited_library, constant)
    assert rerun_rules(edited_library) == RULES_OF_CONSTANTS[constant]


@pytest.mark.parametrize("source", ["exports", "grid5000"])
def test_changed_simulator_reruns_no_download_of_another_source(
    edited_library: Path, source: str
) -> None:
    edit_constant(edited_library, "sources.simulated.exporters._OWN_NOISE_W")
    assert rerun_rules(edited_library, source=source) == {
        "check_simulation",  # of the simulated site alone
        "plot_simulation_check",
    }


# Packages


RULES_OF_PACKAGES = {
    "matplotlib": {rule for rule in workflow_rules() if rule.startswith("plot_")},
    "great_tables": {rule for rule in workflow_rules() if rule.startswith("tabulate_")},
    "seaborn": {"plot_concentration"},
    "pandas": {"plot_concentration"},  # of seaborn
    "mistune": {"write_summary"},
    "jsonschema": {"write_report"},  # of altair
    "httpx": {"read_models"},
    "dataframely": {
        *(rule for rule in workflow_rules() if not rule.startswith(("plot_", "tabulate_"))),
        # names of estimators and columns of models are beside the schemas
        *("plot_models", "tabulate_estimators", "tabulate_methods", "tabulate_ratios"),
        # subjects and bins are beside the comparison of energies
        *("plot_reliability", "tabulate_reliability"),
    }
    - {"build_allocations", "write_summary"},
}
"""Rules whose scripts load a heavy package. The rules of packages that are not here are none."""

HEAVY_PACKAGES = (
    *RULES_OF_PACKAGES,
    *("IPython", "adbc_driver_postgresql", "ipywidgets", "pydantic", "scipy"),
    *("sqlalchemy", "starlette", "uvicorn"),
)


@pytest.mark.parametrize("package", HEAVY_PACKAGES)
def test_scripts_load_no_heavy_package_that_they_do_not_need(done: Study, package: str) -> None:
    loading = {rule for rule, record in done.records.items() if package in record.packages}
    assert loading == RULES_OF_PACKAGES.get(package, set()) & done.records.keys()


# Runs of Snakemake


RULES_AFTER_RATIO = dict.fromkeys(
    (
        *("compare_phases", "check_totals", "plot_phases", "tabulate_phases"),
        *("plot_sensitivities", "tabulate_sensitivities", "tabulate_study", "write_summary"),
        *("plot_phase_energies", "tabulate_phase_energies", "write_report"),
        *("plot_ratio_uncertainty", "tabulate_ratio_uncertainty"),
    ),
    1,
)
RULES_AFTER_RUNS = RULES_AFTER_RATIO | dict.fromkeys(
    (
        "classify_runs",
        "break_down_stages",
        "tabulate_stages",
        "plot_energy_per_run",
        "plot_paper_runs",
        "plot_concentration",
        "tabulate_concentration",
    ),
    1,
)
RULES_AFTER_FEATURES = {
    "extract_features": 1,
    "evaluate_phases": 1,
    "tabulate_evaluation": 1,
    "measure_reliability": 1,
    "plot_reliability": 1,
    "tabulate_reliability": 1,
} | RULES_AFTER_RUNS
RULES_OF_HISTOGRAMS = {"measure_power_histograms": 3}
RULES_OF_CARBON = {
    "estimate_carbon": 1,
    "tabulate_carbon": 1,
    "write_summary": 1,
    "write_report": 1,
}
RULES_OF_BUDGET = {"budget_uncertainty": 1, "plot_uncertainty": 1, "tabulate_uncertainty": 1}
RULES_AFTER_ENERGY = (
    RULES_AFTER_FEATURES
    | RULES_OF_CARBON
    | RULES_OF_BUDGET
    | {
        "plot_energy_over_time": 1,
        "fit_virtual_meter": 1,
        "tabulate_virtual_meter": 1,
        "estimate_gaps": 3,
        "combine_energy": 1,
        "compare_gates": 1,
        "check_simulation": 1,
        "estimate_energy": 1,
        "compare_estimates": 1,
        "build_levels": 1,
        "plot_energy_by_class": 1,
        "plot_levels": 1,
        "plot_methods": 1,
        "plot_node_week": 1,
        "plot_ratios": 1,
        "plot_simulation_check": 1,
        "tabulate_energy_by_class": 1,
        "tabulate_energy_over_time": 1,
        "tabulate_estimators": 1,
        "tabulate_levels": 1,
        "tabulate_methods": 1,
        "tabulate_quality": 1,
        "tabulate_ratios": 1,
        "tabulate_simulation_check": 1,
    }
)
RULES_AFTER_LEVELS = (
    RULES_AFTER_RATIO
    | RULES_OF_CARBON
    | RULES_OF_BUDGET
    | {"plot_paper_runs": 1, "break_down_stages": 1, "tabulate_stages": 1}
    | dict.fromkeys(
        ("build_levels", "plot_levels", "plot_methods", "tabulate_levels", "tabulate_methods"), 1
    )
)


@contextmanager
def edited(project: Project, file: str, old: str, new: str) -> Iterator[None]:
    """Replace a text in a file of the project, for a while."""
    path = project.folder / file
    before, times = path.read_text(), path.stat()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("file", "old", "new", "rerun"),
    [
        (
            "src/footprint/report/figures/levels.py",
            "ROW_MM = 4.4",
            "ROW_MM = 5",
            {"plot_levels": 1, "write_report": 1},
        ),
        ("src/footprint/report/figures/levels.py", "ROW_MM = 4.4", "ROW_MM = 4.4  # edited", {}),
        ("src/footprint/schemas/energy.py", '"""', '"""Edited. ', {}),
        (
            "src/footprint/energy/quantisation.py",
            "return STEADY_STEPS *",
            "return 2 * STEADY_STEPS *",
            {"integrate_energy": 6} | RULES_AFTER_ENERGY,
        ),
        (
            "src/footprint/sources/cleaning.py",
            "PEAK_QUANTILE = 0.99",
            "PEAK_QUANTILE = 0.98",
            {
                "download_power": 6,
                "measure_node_power": 3,
                "integrate_energy": 6,
                "tabulate_hardware": 1,
            }
            | RULES_OF_HISTOGRAMS
            | RULES_AFTER_ENERGY,
        ),
        ("scripts/estimate_carbon.py", '"""', '"""Edited. ', RULES_OF_CARBON),
    ],
    ids=("figure", "comment", "docstring", "energy", "cleaning", "script"),
)
def test_edited_code_reruns_dependent_rules(
    project: Project, done: Study, file: str, old: str, new: str, rerun: dict[str, int]
) -> None:
    with edited(project, f"workflow/{file}", old, new):
        assert project.planned(done.folder) == rerun


def test_changed_setting_reruns_dependent_rules(project: Project, done: Study) -> None:
    config: dict[str, Any] = small_study(project, levels={"redistribution": "energy"})
    configure(done.folder, **config)
    try:
        assert project.planned(done.folder) == RULES_AFTER_LEVELS
    finally:
        configure(done.folder, **small_study(project))


def test_changed_meter_reruns_intervals_and_no_month(project: Project, done: Study) -> None:
    configure(done.folder, **small_study(project, integration={"meter": {"high": 1.1}}))
    try:
        planned = project.planned(done.folder).keys()
    finally:
        configure(done.folder, **small_study(project))
    assert {"combine_energy", "build_levels", "budget_uncertainty"} <= planned
    of_months = {"download_power", "integrate_energy", "integrate_series", "measure_node_power"}
    assert not planned & (of_months | {"fit_virtual_meter", "estimate_gaps"})
