"""Energy of each recorded run by every method, over that of the wattmetre.

All methods are compared at a PUE of 1, since a wattmetre measures the node alone: a tool's own
factor is divided out, and variants of estimators that have one are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import polars as pl

from footprint import energy, gates, hardware, tables
from footprint.energy import Gate
from footprint.errors import InputError
from footprint.estimators import registry
from footprint.estimators.facts import HELD, Facts
from footprint.integration import NOMINAL_PERIOD_S
from footprint.intervals import Method
from footprint.job_energy import WELL_COVERED_FRAC
from footprint.summation import standard_deviation
from footprint.units import H_PER_S, KWH_PER_J
from footprint.validation.recordings import BMC, NODE, WATTMETRE, Recordings

CLUSTER = NODE.partition("-")[0]
MAX_GAP_S = 30.0
MOST_W = 4000.0
"""More than the node can draw: a DGX-1 with eight V100 has a maximum of 3500 W."""


class Tool(NamedTuple):
    """A tool of the recordings: its name here, and the PUE that its energies include."""

    name: str
    pue: float


TOOLS = {
    # carbontracker 1.1.6, constants.py: PUE = 1.59, applied to the energies that it logs. The
    # joules of single processors beside them confirm it; the authors divided by 1.67.
    "carbon_tracker": Tool("carbontracker", 1.59),
    "codecarbon": Tool("codecarbon", 1.0),
    "energy scope": Tool("energyscope", 1.0),
    # emissions/constants.py: PUE = 1.58, in `total_power` by utils.py; the authors divided by it.
    "experiment_impact_tracker": Tool("experiment_impact_tracker", 1.58),
}
"""By their names in the recordings."""

NOT_RECORDED = "the tool recorded no energy"
UNKNOWN_TOOL = "not a tool that is known here"
NEGATIVE = "a part of the energy is negative"
TOO_MUCH = f"more than {MOST_W:.0f} W over the run"
NOT_MEASURED = f"readings of the meter cover less than {100 * WELL_COVERED_FRAC:.0f} % of the run"
NO_REFERENCE = (
    f"readings of the wattmetre cover less than {100 * WELL_COVERED_FRAC:.0f} % of the run"
)


def compare(
    recordings: Recordings, *, estimators: Sequence[str] | Literal["all"] = "all"
) -> pl.DataFrame:
    """Every run by both meters, the tool that ran in it, and the estimators.

    What cannot be an energy is null and has a reason; no row is dropped.

    Args:
        recordings: Runs and power.
        estimators: Names, or `all` for every usual one. Those of records, and those with a PUE of
            their own, are left out.

    Returns:
        `tables.ValidationRuns`.

    Raises:
        InputError: A name that no estimator has.
    """
    runs = recordings.runs.with_columns(
        duration_s=(pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds() * 1e-6
    )
    reference = _metered(runs, recordings.wattmetre, metric=WATTMETRE)
    methods = [
        reference.with_columns(method=pl.lit("wattmetre"), kind=pl.lit("meter")),
        _metered(runs, recordings.bmc, metric=BMC).with_columns(
            method=pl.lit("bmc"), kind=pl.lit("meter")
        ),
        _told(runs),
        *_estimated(runs, estimators),
    ]
    wattmetre = pl.col("wattmetre_kwh")
    rows = (
        pl.concat(methods, how="diagonal")
        .join(runs.select("run_id", "application", "duration_s"), on="run_id")
        .join(reference.select("run_id", wattmetre_kwh="energy_kwh"), on="run_id")
        .with_columns(
            ratio=pl.when(wattmetre > 0).then(pl.col("energy_kwh") / wattmetre),
            reason=pl.coalesce("reason", pl.when(wattmetre.is_null()).then(pl.lit(NO_REFERENCE))),
        )
    )
    found: pl.DataFrame = tables.conform(tables.ValidationRuns, rows)
    return found


def _metered(runs: pl.DataFrame, samples: pl.DataFrame, *, metric: str) -> pl.DataFrame:
    """Energy of each run by a meter, power being linear between its readings and at the bounds."""
    if runs.is_empty():
        unknown = {"energy_kwh": pl.Float64, "reason": pl.String}
        return runs.select("run_id", **{n: pl.lit(None, each) for n, each in unknown.items()})
    pieces = runs.select(
        "started_at",
        "stopped_at",
        job_id="run_id",
        node=pl.lit(NODE),
        share=1.0,
        gpus=0.0,
        cores=0.0,
        opens=True,
        closes=True,
    ).select(gates.PIECES.names())
    days = pieces.select(
        start=pl.col("started_at").min().dt.truncate("1d"),
        end=pl.col("stopped_at").max().dt.truncate("1d"),
    ).row(0)
    found, _ = energy.integrate(
        [NODE],
        lambda _: samples,
        # `binary`: every run has the whole node, also where two of them overlap
        Gate("binary", Method("trapezoid", MAX_GAP_S, 0.0, NOMINAL_PERIOD_S[metric])),
        pieces=pieces,
        occupancy=gates.occupancy(pieces.lazy()).collect(),
        states=pl.DataFrame(tables.States.create_empty()),
        start=days[0],
        end=days[1] + timedelta(days=1),
    )
    covered = pl.col("covered_s") >= WELL_COVERED_FRAC * pl.col("duration_s")
    return found.select(
        run_id="job_id",
        energy_kwh=pl.when(covered).then(pl.col("energy_j") * KWH_PER_J),
        reason=pl.when(~covered).then(pl.lit(NOT_MEASURED)),
    )


def _told(runs: pl.DataFrame) -> pl.DataFrame:
    """What the tool that ran in each run says of it, without its PUE."""
    pue = {name: tool.pue for name, tool in TOOLS.items()}
    names = {name: tool.name for name, tool in TOOLS.items()}
    energies = ["tool_kwh", "tool_gpu_kwh", "tool_cpu_kwh", "tool_ram_kwh"]
    told = pl.col("tool_kwh") / pl.col("tool").replace_strict(
        pue, default=None, return_dtype=pl.Float64
    )
    most_kwh = MOST_W * pl.col("duration_s") * KWH_PER_J
    # a comparison with null is null, and so is no reason
    reason = (
        pl.when(~pl.col("tool").is_in(list(TOOLS)).fill_null(False))
        .then(pl.lit(UNKNOWN_TOOL))
        .when(~pl.col("tool_kwh").is_finite().fill_null(False))
        .then(pl.lit(NOT_RECORDED))
        .when(pl.min_horizontal(energies) < 0)
        .then(pl.lit(NEGATIVE))
        .when(told > most_kwh)
        .then(pl.lit(TOO_MUCH))
    )
    return runs.with_columns(reason=reason).select(
        "run_id",
        "reason",
        method=pl.col("tool").replace(names).fill_null("(no tool)"),
        kind=pl.lit("tool"),
        energy_kwh=pl.when(pl.col("reason").is_null()).then(told),
    )


def _estimated(runs: pl.DataFrame, names: Sequence[str] | Literal["all"]) -> list[pl.DataFrame]:
    """What each estimator says of each run, from the hardware alone."""
    known = facts(runs)
    return [
        registry.estimate(known, each).select(
            "energy_kwh", run_id="job_id", method="estimator", kind=pl.lit("estimator")
        )
        for each in registry.chosen(names)
        if each.name != "recorded" and each.pue == 1
    ]


def facts(runs: pl.DataFrame) -> Facts:
    """What the estimators know of runs that held the whole node: its hardware, and no series.

    Args:
        runs: `run_id`, `duration_s`.

    Raises:
        InputError: The node's cluster, processor or GPU is in no table of `footprint.hardware`.
    """
    node = _hardware()
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
        n_cpus=pl.lit(node["n_cpus"]),
        n_cores=pl.lit(node["n_cores"]),
        tdp_w=pl.lit(node["tdp_w"]),
        memory_gb=pl.lit(float(node["memory_gib"])),
        gpu_limit_w=pl.lit(node["power_limit_w"]),
        gpu_mlco2_w=pl.lit(node["mlco2_w"]),
        pre_volta_frac=float(node["generation"] in hardware.PRE_VOLTA),
        **{name: pl.lit(None, pl.Float64) for name in unknown},
    )
    amounts = ("coverage_frac", "gpu_hours", "core_hours", "memory_gbh")
    return Facts(
        held.select(list(HELD)).lazy(),
        held.select("job_id", "duration_s", *amounts, known=True).lazy(),
        tables.Recorded.create_empty().lazy(),
    )


def _hardware() -> dict[str, Any]:
    """The node's cluster with its processor and GPU, of the tables of `footprint.hardware`."""
    found = (
        hardware.clusters()
        .filter(pl.col("cluster") == CLUSTER)
        .join(hardware.cpus().select("cpu_model", "tdp_w"), on="cpu_model")
        .join(hardware.gpus().drop("source"), on="gpu_model")
    )
    if found.is_empty():
        raise InputError(
            f"the hardware of {NODE} is not known",
            where=hardware.EDITED,
            do=f"clusters.csv needs {CLUSTER}, cpus.csv and gpus.csv its processor and its GPU",
        )
    return found.row(0, named=True)


def summary(runs: pl.DataFrame) -> pl.DataFrame:
    """Each method over all runs: sorted by kind, then by median.

    Args:
        runs: `tables.ValidationRuns`.

    Returns:
        `kind`, `method`, `n_runs` compared and `n_set_aside`, `power_w` (median of the runs' mean
        power), of the ratios `ratio_p50`, `ratio_p05`, `ratio_p95`, `ratio_sd`, and for each
        application their median, as in `ratio_p50_mg`.
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
            n_set_aside=ratio.null_count().cast(pl.Int64),
            power_w=power_w.filter(ratio.is_not_null()).median(),
            ratio_p50=ratio.median(),
            ratio_p05=ratio.quantile(0.05, "linear"),
            ratio_p95=ratio.quantile(0.95, "linear"),
            ratio_sd=standard_deviation(ratio).round_sig_figs(9),
            **of_application,
        )
        .sort("kind", "ratio_p50", "method", nulls_last=True)
    )
