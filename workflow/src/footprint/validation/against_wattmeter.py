"""Energy of each recorded run by every method, as a ratio to the energy of the wattmeter.

All methods are compared at a PUE of 1, since a wattmeter measures the node alone. The energies of a
tool are divided by its PUE, and variants of estimators with a PUE are not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import polars as pl

from footprint.allocation import node_allocations
from footprint.core.errors import InputError
from footprint.core.sums import standard_deviation
from footprint.core.units import H_PER_S, KWH_PER_J
from footprint.core.vocabulary import WELL_COVERED_FRAC
from footprint.energy import attribution
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.sensor_period import NOMINAL_PERIOD_S
from footprint.estimators import registry
from footprint.estimators.inputs import JOB_NODE_COLUMNS, EstimatorInputs
from footprint.hardware import catalogue
from footprint.schemas.estimates import Recorded
from footprint.schemas.validation import ValidationRuns
from footprint.schemas.writing import conform
from footprint.validation.recordings import BMC_METRIC, NODE, WATTMETER_METRIC, Recordings

CLUSTER = NODE.partition("-")[0]
MAX_GAP_S = 30.0
MAX_NODE_POWER_W = 4000.0
"""Above the maximum power of the node, a DGX-1 with eight V100 (3500 W)."""


class RecordedTool(NamedTuple):
    """A tool of the recordings: its name in the results, and the PUE that its energies include."""

    name: str
    pue: float


RECORDED_TOOLS = {
    # carbontracker 1.1.6, constants.py: PUE = 1.59, applied to the energies that it logs. The
    # logged joules of single processors confirm it; the authors divided by 1.67.
    "carbon_tracker": RecordedTool("carbontracker", 1.59),
    "codecarbon": RecordedTool("codecarbon", 1.0),
    "energy scope": RecordedTool("energyscope", 1.0),
    # emissions/constants.py: PUE = 1.58, in `total_power` by utils.py; the authors divided by it.
    "experiment_impact_tracker": RecordedTool("experiment_impact_tracker", 1.58),
}
"""Tools by their names in the recordings."""

NOT_RECORDED_REASON = "the tool recorded no energy"
UNKNOWN_TOOL_REASON = "not a tool that is known here"
NEGATIVE_REASON = "a part of the energy is negative"
EXCESSIVE_POWER_REASON = f"more than {MAX_NODE_POWER_W:.0f} W over the run"
NOT_MEASURED_REASON = (
    f"readings of the meter cover less than {100 * WELL_COVERED_FRAC:.0f} % of the run"
)
NO_REFERENCE_REASON = (
    f"readings of the wattmeter cover less than {100 * WELL_COVERED_FRAC:.0f} % of the run"
)


def compare_methods(
    recordings: Recordings, *, estimators: Sequence[str] | Literal["all"] = "all"
) -> pl.DataFrame:
    """Energy of every run by both meters, the tool that ran in it, and the estimators.

    An energy that cannot be used is null and has a reason. Every run and method has a row.

    Args:
        recordings: Runs and power.
        estimators: Names, or `all` for the default ones. `recorded` and estimators with a PUE are
            not compared.

    Returns:
        `schemas.ValidationRuns`.

    Raises:
        InputError: No estimator has one of the names.
    """
    runs = recordings.runs.with_columns(
        duration_s=(pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds() * 1e-6
    )
    reference = _metered_energies(runs, recordings.wattmeter, metric=WATTMETER_METRIC)
    methods = [
        reference.with_columns(method=pl.lit("wattmetre"), kind=pl.lit("meter")),
        _metered_energies(runs, recordings.bmc, metric=BMC_METRIC).with_columns(
            method=pl.lit("bmc"), kind=pl.lit("meter")
        ),
        _tool_energies(runs),
        *_estimated_energies(runs, estimators),
    ]
    wattmeter_kwh = pl.col("wattmeter_kwh")
    rows = (
        pl.concat(methods, how="diagonal")
        .join(runs.select("run_id", "application", "duration_s"), on="run_id")
        .join(reference.select("run_id", wattmeter_kwh="energy_kwh"), on="run_id")
        .with_columns(
            ratio=pl.when(wattmeter_kwh > 0).then(pl.col("energy_kwh") / wattmeter_kwh),
            reason=pl.coalesce(
                "reason", pl.when(wattmeter_kwh.is_null()).then(pl.lit(NO_REFERENCE_REASON))
            ),
        )
    )
    found: pl.DataFrame = conform(ValidationRuns, rows)
    return found


def _metered_energies(runs: pl.DataFrame, samples: pl.DataFrame, *, metric: str) -> pl.DataFrame:
    """Energy of each run by a meter, with power linear between its samples."""
    if runs.is_empty():
        unknown = {"energy_kwh": pl.Float64, "reason": pl.String}
        return runs.select("run_id", **{n: pl.lit(None, each) for n, each in unknown.items()})
    allocations = runs.select(
        "started_at",
        "stopped_at",
        job_id="run_id",
        node=pl.lit(NODE),
        share=1.0,
        gpus=0.0,
        cores=0.0,
        opens=True,
        closes=True,
    ).select(node_allocations.ALLOCATION_SCHEMA.names())
    days = allocations.select(
        start=pl.col("started_at").min().dt.truncate("1d"),
        end=pl.col("stopped_at").max().dt.truncate("1d"),
    ).row(0)
    found, _ = attribution.attribute_energy(
        [NODE],
        lambda _: samples,
        # `binary`: every run has the whole node, even if runs overlap
        IntegrationSettings(
            "binary", IntegrationMethod("trapezoid", MAX_GAP_S, 0.0, NOMINAL_PERIOD_S[metric])
        ),
        NodeRecords(allocations),
        start=days[0],
        end=days[1] + timedelta(days=1),
    )
    covered = pl.col("covered_s") >= WELL_COVERED_FRAC * pl.col("duration_s")
    return found.select(
        run_id="job_id",
        energy_kwh=pl.when(covered).then(pl.col("energy_j") * KWH_PER_J),
        reason=pl.when(~covered).then(pl.lit(NOT_MEASURED_REASON)),
    )


def _tool_energies(runs: pl.DataFrame) -> pl.DataFrame:
    """Energy of each run by the tool that ran in it, without its PUE."""
    pue = {name: tool.pue for name, tool in RECORDED_TOOLS.items()}
    names = {name: tool.name for name, tool in RECORDED_TOOLS.items()}
    energies = ["tool_kwh", "tool_gpu_kwh", "tool_cpu_kwh", "tool_ram_kwh"]
    energy_kwh = pl.col("tool_kwh") / pl.col("tool").replace_strict(
        pue, default=None, return_dtype=pl.Float64
    )
    most_kwh = MAX_NODE_POWER_W * pl.col("duration_s") * KWH_PER_J
    # a comparison with null is null, which gives no reason
    reason = (
        pl.when(~pl.col("tool").is_in(list(RECORDED_TOOLS)).fill_null(False))
        .then(pl.lit(UNKNOWN_TOOL_REASON))
        .when(~pl.col("tool_kwh").is_finite().fill_null(False))
        .then(pl.lit(NOT_RECORDED_REASON))
        .when(pl.min_horizontal(energies) < 0)
        .then(pl.lit(NEGATIVE_REASON))
        .when(energy_kwh > most_kwh)
        .then(pl.lit(EXCESSIVE_POWER_REASON))
    )
    return runs.with_columns(reason=reason).select(
        "run_id",
        "reason",
        method=pl.col("tool").replace(names).fill_null("(no tool)"),
        kind=pl.lit("tool"),
        energy_kwh=pl.when(pl.col("reason").is_null()).then(energy_kwh),
    )


def _estimated_energies(
    runs: pl.DataFrame, names: Sequence[str] | Literal["all"]
) -> list[pl.DataFrame]:
    """Energy of each run by each estimator, from the hardware alone."""
    known = estimator_inputs(runs)
    return [
        registry.estimate_jobs(known, each).select(
            "energy_kwh", run_id="job_id", method="estimator", kind=pl.lit("estimator")
        )
        for each in registry.select_estimators(names)
        if each.name != "recorded" and each.pue == 1
    ]


def estimator_inputs(runs: pl.DataFrame) -> EstimatorInputs:
    """Inputs of the estimators for runs on the whole node: its hardware, without series.

    Args:
        runs: `run_id`, `duration_s`.

    Raises:
        InputError: The node's cluster, processor or GPU is missing from
            `footprint.hardware.catalogue`.
    """
    node = _node_hardware()
    hours = pl.col("duration_s") * H_PER_S
    unknown = ("gpu_series_w", "core_use_frac", "thread_load_cubed", "package_power_w")
    held = runs.select(
        "duration_s",
        job_id="run_id",
        node=pl.lit(NODE),
        alone=True,
        coverage_frac=1.0,
        gpu_hours=hours * node["n_gpus"],
        core_hours=hours * node["n_cores"],
        memory_gbh=hours * node["memory_gib"],
        cpu_model=pl.lit(node["cpu_model"]),
        n_cpus=pl.lit(node["n_cpus"]),
        n_cores=pl.lit(node["n_cores"]),
        n_threads=pl.lit(node["n_threads"]),
        tdp_w=pl.lit(node["tdp_w"]),
        memory_gb=pl.lit(float(node["memory_gib"])),
        gpu_limit_w=pl.lit(node["power_limit_w"]),
        gpu_mlco2_w=pl.lit(node["mlco2_w"]),
        pre_volta_frac=float(node["generation"] in catalogue.GENERATIONS_BEFORE_VOLTA),
        **{name: pl.lit(None, pl.Float64) for name in unknown},
    )
    amounts = ("coverage_frac", "gpu_hours", "core_hours", "memory_gbh")
    return EstimatorInputs(
        held.select(list(JOB_NODE_COLUMNS)).lazy(),
        held.select("job_id", "duration_s", *amounts, has_known_nodes=True).lazy(),
        Recorded.create_empty().lazy(),
    )


def _node_hardware() -> dict[str, Any]:
    """Catalogue row of the node's cluster, with its processor and GPU."""
    found = (
        catalogue.read_clusters()
        .filter(pl.col("cluster") == CLUSTER)
        .join(catalogue.read_cpus().select("cpu_model", "tdp_w"), on="cpu_model")
        .join(catalogue.read_gpus().drop("source"), on="gpu_model")
    )
    if found.is_empty():
        raise InputError(
            f"the hardware of {NODE} is not known",
            where=catalogue.CHECKOUT_FOLDER,
            do=f"add {CLUSTER} to clusters.csv, its processor to cpus.csv and its GPU to gpus.csv",
        )
    return found.row(0, named=True)


def summarise_methods(runs: pl.DataFrame) -> pl.DataFrame:
    """Ratios of each method over all runs, sorted by kind and median.

    Args:
        runs: `schemas.ValidationRuns`.

    Returns:
        `kind`, `method`, `n_runs` (compared), `n_rejected`, `power_w` (median of the runs' mean
        power); `ratio_p50`, `ratio_p05`, `ratio_p95` and `ratio_sd` of the ratios; the median of
        each application, as in `ratio_p50_mg`.
    """
    ratio = pl.col("ratio")
    power_w = pl.col("energy_kwh") / KWH_PER_J / pl.col("duration_s")
    of_application = {
        f"ratio_p50_{name}": ratio.filter(pl.col("application") == name).median()
        for name in runs["application"].unique().sort()
    }
    return (
        runs.group_by("kind", "method")
        .agg(
            n_runs=ratio.count().cast(pl.Int64),
            n_rejected=ratio.null_count().cast(pl.Int64),
            power_w=power_w.filter(ratio.is_not_null()).median(),
            ratio_p50=ratio.median(),
            ratio_p05=ratio.quantile(0.05, "linear"),
            ratio_p95=ratio.quantile(0.95, "linear"),
            ratio_sd=standard_deviation(ratio).round_sig_figs(9),
            **of_application,
        )
        .sort("kind", "ratio_p50", "method", nulls_last=True)
    )
