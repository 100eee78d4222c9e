"""Readers' tables of the uncertainty budget and of the virtual meter."""

from __future__ import annotations

import polars as pl

from footprint.phases.ratio import SCOPES
from footprint.report.budget import (
    RATIO_SOURCE_NAMES,
    SOURCE_NAMES,
    place_of_source,
    sort_sources,
)
from footprint.report.tables.formats import Column, ReaderTable

BASIS_NAMES = {
    "virtual_meter": "Virtual meter: from GPU power and load",
    "hardware": "Hardware alone",
}


def uncertainty_table(uncertainty: pl.DataFrame) -> ReaderTable:
    """Uncertainty budget of the total energy of the site and of each paper.

    Args:
        uncertainty: `schemas.Uncertainty`.
    """
    rows = sort_sources(uncertainty).with_columns(
        pl.when(pl.col("level") == "site")
        .then(pl.format("Jobs of {}", "name"))
        .otherwise("name")
        .alias("group"),
        pl.col("source").replace(SOURCE_NAMES),
        pl.col("evaluation", "distribution").cast(pl.String),
    )
    return ReaderTable(
        name="uncertainty",
        title="Uncertainty budget of the total energies",
        note=(
            "As in JCGM 100. Type A: evaluated from data; B: from other knowledge. Shift: expected "
            "true energy minus the total; the total is not corrected for it, the interval is. "
            "Uncertainty: standard uncertainty. Low and high: the 95 % interval of the total if "
            "the source were the only one; quantiles of its distribution, not a multiple of the "
            "uncertainty. Share: part of the variance of the total. Freedom: degrees of freedom; "
            "a dash means infinite. Correlated over: what shares one error."
        ),
        rows=rows,
        columns=[
            Column(name="source", header="Source of uncertainty"),
            Column(name="evaluation", header="Type"),
            Column(name="distribution", header="Distribution", printed=False),
            Column(name="mean_shift_kwh", header="Shift", unit="kWh", digits=3),
            Column(name="standard_uncertainty_kwh", header="Uncertainty", unit="kWh", digits=3),
            Column(name="low_kwh", header="Low", unit="kWh", digits=3, printed=False),
            Column(name="high_kwh", header="High", unit="kWh", digits=3, printed=False),
            Column(name="share_frac", header="Share", unit="%", decimals=1, scale=100),
            Column(name="degrees_of_freedom", header="Freedom", decimals=0, printed=False),
            Column(name="correlated_over", header="Correlated over"),
        ],
    )


def ratio_uncertainty_table(uncertainty: pl.DataFrame) -> ReaderTable:
    """Uncertainty budget of R of each paper and project.

    Args:
        uncertainty: `schemas.RatioUncertainty`.
    """
    scope = pl.col("scope").cast(pl.Enum(SCOPES))
    rows = uncertainty.sort(scope, "name", place_of_source(), "source").with_columns(
        pl.when(pl.col("scope") == "paper")
        .then("name")
        .otherwise(pl.format("project {}", "name"))
        .alias("group"),
        pl.col("source").replace(RATIO_SOURCE_NAMES),
        pl.col("evaluation", "distribution").cast(pl.String),
    )
    return ReaderTable(
        name="ratio_uncertainty",
        title="Uncertainty budget of R",
        note=(
            "As in JCGM 101, annex B: each source varies alone. Type A: evaluated from data; B: "
            "from other knowledge. Shift: mean of R in the draws relative to R. Uncertainty: "
            "standard deviation of R relative to R. Both are of its logarithm. Low and high: the "
            "95 % interval of R if the source were the only one; high is missing where R has no "
            "upper end. Share: part of the sum of the squared uncertainties. Kinds of runs: drawn "
            "from the probabilities of the classifier. What meters and estimates share on both "
            "sides of R cancels. Choices, such as the jobs of a paper, are in no interval."
        ),
        rows=rows,
        columns=[
            Column(name="source", header="Source of uncertainty"),
            Column(name="evaluation", header="Type"),
            Column(name="distribution", header="Distribution", printed=False),
            Column(name="mean_shift_frac", header="Shift", unit="%", decimals=1, scale=100),
            Column(
                name="standard_uncertainty_frac",
                header="Uncertainty",
                unit="%",
                decimals=1,
                scale=100,
            ),
            Column(name="ratio_low", header="R low", unit="×", digits=3),
            Column(name="ratio_high", header="R high", unit="×", digits=3),
            Column(name="share_frac", header="Share", unit="%", decimals=1, scale=100),
            Column(name="degrees_of_freedom", header="Freedom", decimals=0, printed=False),
            Column(name="correlated_over", header="Correlated over"),
        ],
    )


def virtual_meter_table(virtual_meter: pl.DataFrame) -> ReaderTable:
    """Power models of nodes, with the error of each measured cluster when it is left out.

    Args:
        virtual_meter: `schemas.VirtualMeter`.
    """
    basis = pl.col("basis").cast(pl.String)
    rows = virtual_meter.sort(
        basis.cast(pl.Enum(list(BASIS_NAMES))), ~pl.col("is_measured"), "cluster"
    ).with_columns(
        basis.replace_strict(BASIS_NAMES, return_dtype=pl.String).alias("group"),
        pl.when("is_measured")
        .then(pl.lit("with readings"))
        .when("is_extrapolated")
        .then(pl.lit("none, outside the range"))
        .otherwise(pl.lit("none"))
        .alias("readings"),
        # of the measured energy: how much the model would have been off without this cluster
        (pl.col("predicted_kwh") / pl.col("measured_kwh") - 1).alias("error_frac"),
    )
    return ReaderTable(
        name="virtual_meter",
        title="Estimates of energy against readings, leaving one cluster out",
        note=(
            "Measured: energy of the time with readings. Left out: the same energy by a model that "
            "is fitted without the cluster. Error: Left out over Measured, minus 1; it is "
            "the error to expect for a cluster without readings. Spread: standard error of the "
            "model for the cluster; run: standard deviation between its runs. Outside the range: "
            "the hardware exceeds that of the clusters with readings, and the variance is doubled. "
            "A dash: no readings to compare with. docs/uncertainty.md has the models."
        ),
        rows=rows,
        columns=[
            Column(name="cluster", header="Cluster"),
            Column(name="readings", header="Readings"),
            Column(name="measured_kwh", header="Measured", unit="kWh", digits=3),
            Column(name="predicted_kwh", header="Left out", unit="kWh", digits=3),
            Column(name="error_frac", header="Error", unit="%", decimals=1, scale=100),
            Column(name="cluster_sd_log", header="Spread", unit="%", decimals=1, scale=100),
            Column(name="run_sd_log", header="Run", unit="%", decimals=1, scale=100),
            Column(name="gpu_factor", header="GPU factor", decimals=2, printed=False),
            Column(name="base_frac", header="Base", decimals=2, printed=False),
            Column(name="load_frac", header="Load", decimals=2, printed=False),
            Column(name="hardware_log_ratio", header="Log ratio", decimals=2, printed=False),
            Column(name="n_clusters", header="Clusters fitted", decimals=0, printed=False),
        ],
    )
