"""Treatment of each column of each table that publication reads.

A column that is not listed here is left out: a new column is published only after a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

PUBLIC: Final = "public"
"""As it is: names of shown groups, dates, numbers of people, facts of hardware and models."""
ROUNDED: Final = "rounded"
"""Numbers, with as many significant digits as `rounding` allows in their row."""
HIDDEN: Final = "hidden"
"""Null in the publication; figures and tables show it as unknown."""

_ENERGIES = "measured_kwh estimated_kwh total_kwh total_low_kwh total_high_kwh"
_PHASES = " ".join(
    f"{phase}{end}_kwh"
    for phase in ("training", "inference", "development", "unknown")
    for end in ("", "_low", "_high")
)

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "levels": {
        PUBLIC: "level name method n_users",
        ROUNDED: f"n_jobs {_ENERGIES} measured_frac coverage_frac unknown_node_h covered_kwh "
        "gpu_hours core_hours overhead_kwh",
        # with the total, the energy of the few people of a group who used other nodes
        HIDDEN: "gpu_node_frac",
    },
    "carbon": {
        PUBLIC: "level name factor convention",
        ROUNDED: "energy_frac total_kwh unknown_node_h g_per_kwh carbon_kg carbon_low_kg "
        "carbon_high_kg",
    },
    "uncertainty": {
        PUBLIC: "level name source evaluation distribution correlated_over",
        ROUNDED: "share_frac degrees_of_freedom mean_shift_kwh standard_uncertainty_kwh low_kwh "
        "high_kwh",
    },
    "phase_ratio": {
        PUBLIC: "scope name role_basis ratio_reason",
        ROUNDED: "n_runs n_labelled n_uncertain_reported measured_kwh estimated_kwh total_kwh "
        f"{_PHASES} ratio ratio_low ratio_high development_measured_frac training_measured_frac "
        "development_known_frac training_known_frac",
        # each is another quotient by the energy of the reported training, often one run
        HIDDEN: "idle_kwh unknown_gpu_h ratio_all_unknown baseline_ratio",
    },
    "phase_sensitivities": {PUBLIC: "scope name choice value is_headline", ROUNDED: "ratio"},
    "ratio_uncertainty": {
        PUBLIC: "scope name source evaluation distribution correlated_over",
        ROUNDED: "share_frac degrees_of_freedom mean_shift_frac standard_uncertainty_frac "
        "ratio_low ratio_high",
    },
    "phase_energies": {
        PUBLIC: "scope name division part",
        ROUNDED: f"n_runs {_ENERGIES} measured_frac",
    },
    "node_energy": {
        # `frames` sums nodes to clusters, and days to the steps of the figure over time
        PUBLIC: "node day class cluster has_gpu",
        ROUNDED: "measured_kwh estimated_kwh total_kwh duration_s unknown_node_h overcount_kwh "
        "left_out_kwh",
    },
    "active_users": {
        PUBLIC: "basis until since n_users fewer_than known_frac is_partial",
        HIDDEN: "source",  # free text, such as a path
    },
    "notable_models": {PUBLIC: "model published_on training_flop domain source"},
    "hardware": {
        PUBLIC: "node valid_from cluster cpu_model tdp_w n_cpus n_cores n_threads memory_gb gpus "
        "gpu_models gpu_generations gpu_limits_w gpu_mlco2_w",
    },
    "node_power": {
        PUBLIC: "node cluster idle_basis",
        ROUNDED: "idle_power_w max_power_w n_idle_samples",
    },
    "virtual_meter": {
        PUBLIC: "basis cluster is_measured is_extrapolated n_clusters",
        ROUNDED: "measured_kwh predicted_kwh gpu_factor base_frac load_frac hardware_log_ratio "
        "error_log cluster_sd_log mean_sd_log degrees_of_freedom run_sd_log",
    },
}
"""Columns by treatment, of each table of `schemas.catalogue` that publication reads."""


def columns_treated(table: str, treatment: str) -> list[str]:
    """Columns of a table with a treatment, in the order of the list."""
    return COLUMNS[table].get(treatment, "").split()


def public_columns(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The listed columns of a frame, hidden ones as null.

    Args:
        table: Name of the table in `COLUMNS`.
        frame: The table.
    """
    listed = {name for treatment in COLUMNS[table] for name in columns_treated(table, treatment)}
    hidden = [name for name in columns_treated(table, HIDDEN) if name in frame.columns]
    kept = [name for name in frame.columns if name in listed]
    return frame.select(kept).with_columns(
        pl.lit(None, frame.schema[name]).alias(name) for name in hidden
    )
