"""The readers' table of every method against the wattmetre, on the recorded runs."""

from __future__ import annotations

import polars as pl

from footprint.report_tables import Column, ReaderTable

KIND_HEADINGS = {
    "meter": "Meters",
    "tool": "Tools that ran in the runs",
    "estimator": "Our estimators, from hardware alone",
}
OF_APPLICATION = "ratio_p50_"


def validation_table(summary: pl.DataFrame) -> ReaderTable:
    """Median and spread of each method's ratios to the wattmetre, and medians by application.

    Args:
        summary: Result of `against_wattmetre.summary`.
    """
    heading = pl.col("kind").cast(pl.String).replace_strict(KIND_HEADINGS, return_dtype=pl.String)
    applications = [name for name in summary.columns if name.startswith(OF_APPLICATION)]
    ratios = {"ratio_p50": "Median", "ratio_p05": "5 %", "ratio_p95": "95 %"}
    return ReaderTable(
        name="validation",
        title="All methods against the wattmetre",
        note=(
            "Each run’s energy by a method over that by the wattmetre (1 s), all at a PUE of 1: "
            "carbontracker’s are divided by 1.59 and those of experiment-impact-tracker by 1.58, "
            "which they include. Meters are integrated as trapezoids, interpolated at the bounds "
            "of a run; runs under a minute count too, though a BMC (5 s) has as few as five "
            "readings in them. Power: median of the runs’ means. Set aside: what cannot be, as a "
            "negative energy. SD: standard deviation of the ratios. Columns ep, idle, lu and mg, "
            "where shown: medians by what ran, nothing or a NAS benchmark on the processors. The "
            "GPUs are idle in all runs."
        ),
        rows=summary.with_columns(group=heading),
        columns=[
            Column(name="method", header="Method"),
            Column(name="n_runs", header="Runs", decimals=0),
            Column(name="n_set_aside", header="Set aside", decimals=0),
            Column(name="power_w", header="Power", unit="W", decimals=0),
            *(
                Column(name=name, header=text, unit="×", decimals=3)
                for name, text in ratios.items()
            ),
            Column(name="ratio_sd", header="SD", unit="×", decimals=3),
            *(
                Column(
                    name=name,
                    header=name.removeprefix(OF_APPLICATION),
                    unit="×",
                    decimals=3,
                    printed=False,
                )
                for name in applications
            ),
        ],
    )
