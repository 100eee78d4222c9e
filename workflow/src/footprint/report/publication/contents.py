"""Figures and readers' tables of a publication, one by one, and why others are withheld."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from footprint.report import rendering


@dataclass(frozen=True)
class Item:
    """A figure or readers' table.

    Attributes:
        name: Name of its files, as in `results/figures` or `results/tables`.
        function: Its function in `footprint.report`.
        frames: Public frame by the name of the function's parameter.
    """

    name: str
    function: str
    frames: Mapping[str, str]


_RATIO = {"ratio": "phase_ratio"}
_SENSITIVITIES = {"sensitivities": "phase_sensitivities"}
_BY_CLUSTER = {"node_energy": "nodes_by_cluster"}
_BY_STEP = {"node_energy": "nodes_by_step"}
_LEVELS = {"levels": "levels"}
_BUDGET_OF_RATIO = {"uncertainty": "ratio_uncertainty"}

FIGURES: Final = (
    Item("energy_by_class", "figures.energy_by_class.plot", _BY_CLUSTER),
    Item("energy_over_time", "figures.energy_over_time.plot", _BY_STEP),
    Item("levels", "figures.levels.plot", _LEVELS),
    Item("uncertainty", "figures.uncertainty.plot", {"uncertainty": "uncertainty"} | _LEVELS),
    Item("methods", "figures.methods.plot", _LEVELS),
    Item("phases", "figures.phases.plot", _RATIO | _SENSITIVITIES),
    Item("sensitivities", "figures.sensitivities.plot", _RATIO | _SENSITIVITIES),
    Item("phase_energies", "figures.phase_energies.plot", {"energies": "phase_energies"}),
    Item("ratio_uncertainty", "figures.ratio_uncertainty.plot", _BUDGET_OF_RATIO | _RATIO),
    Item("active_users", "figures.active_users.plot", {"users": "active_users"}),
    Item("models", "figures.models.plot", {"models": "notable_models"}),
    Item("site_map", "figures.site_map.plot", {}),
)

TABLES: Final = (
    Item("study_summary", "tables.study.study_summary_table", _LEVELS | _BY_CLUSTER | _RATIO),
    Item("energy_by_class", "tables.energy.energy_by_class_table", _BY_CLUSTER),
    Item("energy_over_time", "tables.usage.energy_over_time_table", _BY_STEP),
    Item("levels", "tables.energy.levels_table", _LEVELS),
    Item("uncertainty", "tables.uncertainty.uncertainty_table", {"uncertainty": "uncertainty"}),
    Item("methods", "tables.estimates.methods_table", _LEVELS),
    Item("carbon", "tables.study.carbon_table", {"carbon": "carbon"}),
    Item("phases", "tables.phases.phases_table", _RATIO),
    Item("sensitivities", "tables.phases.sensitivities_table", _SENSITIVITIES),
    Item(
        "phase_energies",
        "tables.phase_energies.phase_energies_table",
        {"energies": "phase_energies"},
    ),
    Item("ratio_uncertainty", "tables.uncertainty.ratio_uncertainty_table", _BUDGET_OF_RATIO),
    Item("active_users", "tables.usage.active_users_table", {"users": "active_users"}),
    Item(
        "hardware",
        "tables.study.hardware_table",
        {"hardware": "hardware", "node_power": "node_power"},
    ),
    Item(
        "virtual_meter",
        "tables.uncertainty.virtual_meter_table",
        {"virtual_meter": "virtual_meter"},
    ),
)

_SINGLE_JOBS = "it shows single jobs"
_SINGLE_RUNS = "it shows single runs"
_FEW_PEOPLE = "some of its rows are of few people"

WITHHELD: Final[Mapping[str, str]] = {
    "concentration": "the largest jobs and runs are those of few people",
    "energy_per_run": _SINGLE_RUNS,
    "paper_runs": f"{_SINGLE_RUNS}, with their times",
    "node_week": f"{_SINGLE_JOBS}, with their times",
    "simulation_check": _SINGLE_JOBS,
    "validation": "it is of recorded runs, not of the study",
    "counters": _FEW_PEOPLE,
    "ratios": _FEW_PEOPLE,
    "estimators": _FEW_PEOPLE,
    "stages": _FEW_PEOPLE,
    "reliability": _FEW_PEOPLE,
    "evaluation": _FEW_PEOPLE,
    "ledger": "it compares single runs",
    "quality": "its note quotes rows and names of input files",
}
"""Figures and readers' tables that are never published, with the reason."""


def make(item: Item, frames: Mapping[str, pl.DataFrame], settings: Mapping[str, Any]) -> Any:
    """The figure or readers' table of an item, from public frames alone.

    Args:
        item: What to make.
        frames: Public frames by name.
        settings: Other arguments by name; those that the function does not take are left out.
    """
    function = rendering.find_function(item.function)
    taken = inspect.signature(function).parameters
    own = {name: frames[frame] for name, frame in item.frames.items()}
    return function(**own, **{name: each for name, each in settings.items() if name in taken})
