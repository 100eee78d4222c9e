"""Rules, their scripts, functions and captions belong together."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import polars as pl
import pytest

from footprint.report import rendering
from tests.support.rule_scripts import SCRIPTS
from tests.support.workflow_rules import (
    BASES,
    LIBRARY,
    called_function,
    code_of,
    definitions_behind,
    workflow_rules,
)

RULES = SCRIPTS.parent / "rules"
CAPTIONS = SCRIPTS.parent / "src/footprint/report/captions"
TABLES = (pl.DataFrame, pl.LazyFrame)
NAMES = sorted(
    name
    for path in RULES.glob("*.smk")
    for name in re.findall(r"^(?:use rule \w+ as|rule) (\w+)", path.read_text(), re.M)
    if name not in BASES
)
DRAWN = [name for name in NAMES if name.startswith(("plot_", "tabulate_"))]
"""Rules of figures and readers' tables."""


SHARED_MODULES = {
    "plot_node_week": {"figures.busiest_week"},
    "plot_paper_runs": {"figures.paper_energy", "figures.phases"},
    "plot_ratio_uncertainty": {"figures.uncertainty"},
    "plot_ratios": {"figures.methods"},
    "tabulate_energy_over_time": {"tables.energy"},
}
"""Modules of other figures and tables from which a figure or table takes constants or helpers."""


def test_snakemake_reads_every_rule_of_the_files() -> None:
    assert len(NAMES) > 60
    assert sorted(workflow_rules()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_script_log_and_benchmark_of_its_name(name: str) -> None:
    rule = workflow_rules()[name]
    base = {"plot": "draw", "tabulate": "tabulate"}.get(name.partition("_")[0], name)
    assert rule.script == f"../scripts/{base}.py"
    assert re.fullmatch(rf"logs/{name}(/.+)?\.log", str(*rule.log))
    assert re.fullmatch(rf"benchmarks/{name}(/.+)?\.jsonl", str(rule.benchmark))
    assert re.fullmatch(r"[A-Z].*\.", rule.docstring)
    assert rule.conda_env == "../../envs/footprint.yaml"


def test_every_script_belongs_to_a_rule() -> None:
    used = {Path(rule.script).name for rule in workflow_rules().values()}
    assert {path.name for path in SCRIPTS.glob("*.py")} == used


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_script_is_short_and_without_control_flow(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 40
    assert text.startswith('"""')
    assert "logs.log_to_file(snakemake.log[0])\n" in text
    assert not re.search(r"^(def|class|for|while|try)\b", text, re.M)


@pytest.mark.parametrize("name", DRAWN)
def test_inputs_and_params_of_a_figure_or_table_are_arguments_of_its_function(name: str) -> None:
    rule = workflow_rules()[name]
    function = rendering.find_function(rule.params.function)
    parameters = inspect.signature(function, eval_str=True).parameters
    tables = {key for key, each in parameters.items() if each.annotation in TABLES}
    assert set(rule.input.keys()) == tables
    settings = {key for key, _ in rule.params.items()} - {"function", "code"}
    # draw.py gives the width of a figure of one column, of the rules with such files
    files = [key for key, _ in rule.output.items()]
    settings |= {"width_mm" for key in files if key.startswith("column_")}
    assert settings | {"provenance"} == (set(parameters) - tables) | {"provenance"}


def test_every_figure_and_table_has_a_caption_of_its_own() -> None:
    reports = {name: workflow_rules()[name].output[0].flags["report"] for name in DRAWN}
    captions = [Path(each.caption.get_path_or_uri(secret_free=True)) for each in reports.values()]
    assert len(set(captions)) == len(captions)
    assert {path.resolve() for path in captions} == set(CAPTIONS.glob("*.rst"))
    for name, report in reports.items():
        text = Path(report.caption.get_path_or_uri(secret_free=True)).read_text()
        params = re.findall(r"snakemake\.params\.(\w+)", text)
        assert set(params) <= set(workflow_rules()[name].params.keys())
        kind = "figure" if name.startswith("plot_") else "table"
        assert report.labels["shows"].endswith(f", {kind}")
        assert re.fullmatch(r"[1-6] [A-Z][a-z]+", report.category)


@pytest.mark.parametrize("name", NAMES)
def test_rule_uses_the_module_of_its_own_figure_or_table_alone(name: str) -> None:
    modules = {module for module, each in definitions_behind(name) if each}
    found = {
        module.removeprefix("footprint.report.")
        for module in modules
        if module.startswith(("footprint.report.figures.", "footprint.report.tables."))
        and module.rpartition(".")[2] not in {"style", "time_axis", "formats"}
    }
    own = {each.split(".report.")[1].rpartition(".")[0] for each in called_function(name)}
    assert bool(own) is (name in DRAWN)
    assert own <= found <= own | SHARED_MODULES.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_fingerprint_of_a_rule_covers_its_script_function_and_source(name: str) -> None:
    rule = workflow_rules()[name]
    assert rule.params.code == LIBRARY.fingerprint(*code_of(name))
