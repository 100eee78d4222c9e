"""Readers' table of every method against the wattmeter, over the recorded runs."""

from __future__ import annotations

import polars as pl

from footprint.report.tables.formats import Column, ReaderTable
from footprint.validation.against_wattmeter import summarise_methods

KIND_HEADINGS = {
    "meter": "Meters",
    "tool": "Tools that recorded the runs",
    "estimator": "Our estimators, from the hardware alone",
}
APPLICATION_PREFIX = "ratio_p50_"


def validation_table(runs: pl.DataFrame) -> ReaderTable:
    """Median and spread of each method's ratio to the wattmeter, and medians by application.

    Args:
        runs: `schemas.ValidationRuns`.
    """
    summary = summarise_methods(runs)
    heading = pl.col("kind").cast(pl.String).replace_strict(KIND_HEADINGS, return_dtype=pl.String)
    applications = [name for name in summary.columns if name.startswith(APPLICATION_PREFIX)]
    ratios = {"ratio_p50": "Median", "ratio_p05": "5 %", "ratio_p95": "95 %"}
    return ReaderTable(
        name="validation",
        title="All methods against the wattmeter",
        note=(
            "Energy of each run by a method over its energy by the wattmeter (1 s), all at a PUE "
            "of 1: the energies of carbontracker are divided by 1.59 and those of "
            "experiment-impact-tracker by 1.58, the PUE that they include. Meters are integrated "
            "as trapezoids, interpolated at the bounds of a run. Runs under a minute are included, "
            "although the BMC (5 s) has as few as five readings in them. Power: median of the "
            "runs’ mean powers. Rejected: impossible energies, such as negative ones. SD: standard "
            "deviation of the ratios. Columns ep, idle, lu and mg, if shown: median by "
            "application, a NAS benchmark on the processors or none (idle). The GPUs are idle in "
            "all runs."
        ),
        rows=summary.with_columns(group=heading),
        columns=[
            Column(name="method", header="Method"),
            Column(name="n_runs", header="Runs", decimals=0),
            Column(name="n_rejected", header="Rejected", decimals=0),
            Column(name="power_w", header="Power", unit="W", decimals=0),
            *(
                Column(name=name, header=text, unit="×", decimals=3)
                for name, text in ratios.items()
            ),
            Column(name="ratio_sd", header="SD", unit="×", decimals=3),
            *(
                Column(
                    name=name,
                    header=name.removeprefix(APPLICATION_PREFIX),
                    unit="×",
                    decimals=3,
                    printed=False,
                )
                for name in applications
            ),
        ],
    )
