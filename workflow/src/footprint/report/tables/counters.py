"""Readers' table of energies by samples of power against energy counters."""

from __future__ import annotations

import polars as pl

from footprint.report.tables.formats import Column, ReaderTable
from footprint.validation.against_counters import summarise_ratios


def counters_table(compared: pl.DataFrame) -> ReaderTable:
    """Median and spread of the ratio of measured energies to counters, by cluster.

    Args:
        compared: `schemas.AgainstCounters`.
    """
    ratios = {"ratio_p50": "Median", "ratio_p05": "5 %", "ratio_p95": "95 %"}
    return ReaderTable(
        name="counters",
        title="Energies by samples of power against energy counters",
        note=(
            "Energy of a job on a node that it held alone, by samples of power, over the "
            "difference of the node’s energy counter, interpolated at the bounds of the job. Jobs "
            "longer than 60 s of which samples cover 95 % or more, without a gap or reset of the "
            "counter. An error of the meter’s gain is in both."
        ),
        rows=summarise_ratios(compared),
        columns=[
            Column(name="cluster", header="Cluster"),
            Column(name="n_compared", header="Jobs x nodes", decimals=0),
            Column(name="measured_kwh", header="Measured", unit="kWh", decimals=2),
            Column(name="counter_kwh", header="Counter", unit="kWh", decimals=2),
            *(
                Column(name=name, header=text, unit="×", decimals=3)
                for name, text in ratios.items()
            ),
        ],
    )
