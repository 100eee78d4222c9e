"""Names of Kwollect's metrics, their former names, and a check for power in watts.

This module does not import Polars, because the Snakefile checks the metric of a study with it.
"""

from __future__ import annotations

from footprint.core.errors import InputError

FORMER_NAMES = {"bmc_node_power_watt": "bmc_power_node_watt"}
"""Former names of renamed metrics, used until 2020-05-19, on some clusters until 2021-04-30."""

GPU_POWER_METRIC = "prom_DCGM_FI_DEV_POWER_USAGE"
"""Power of each GPU in W, every 15 s; collected by default for jobs that deploy no system."""
MAX_READING_AGE_S = 60.0
"""Longest time for which a reading of a GPU is valid, in seconds: Kwollect collects one every 15 s,
and three may be missing."""
LOAD_METRIC = "prom_node_load1"
"""Load average of a node over a minute, every 15 s; collected for the same jobs."""
PACKAGE_METRIC = "prom_node_rapl_package_joules_total"
"""Energy counter of each processor (RAPL) in J; collected only for jobs that request it."""
EXPORTED_SERIES = (GPU_POWER_METRIC, LOAD_METRIC, PACKAGE_METRIC)
"""Series that are read from exported files."""

TABLE_SERIES = (GPU_POWER_METRIC, LOAD_METRIC)
"""Series that are read from the table `devices` of the source `generic`."""

SIMULATED_METRIC = "bmc_node_power_watt"
"""Power of each node of the simulated site."""
SIMULATED_SERIES = (GPU_POWER_METRIC, LOAD_METRIC)
"""Other series of the simulated site."""

ENERGY_WORDS = frozenset(
    {
        "energy",
        "joule",
        "joules",
        "kj",
        "kilojoule",
        "kilojoules",
        "wh",
        "kwh",
        "watthour",
        "watthours",
        "kilowatthour",
        "kilowatthours",
    }
)
"""Words in the name of a metric of energy, which is a counter."""

OTHER_UNIT_WORDS = frozenset(
    {
        "kilowatt",
        "kilowatts",
        "kw",
        "milliwatt",
        "milliwatts",
        "mw",
        "megawatt",
        "megawatts",
        "microwatt",
        "microwatts",
        "uw",
        "amp",
        "amps",
        "ampere",
        "amperes",
        "volt",
        "volts",
        "va",
        "voltampere",
        "voltamperes",
        "celsius",
        "rpm",
        "percent",
        "ratio",
        "bytes",
        "hertz",
        "hz",
        "seconds",
    }
)
"""Words in the name of a metric in a unit other than the watt."""


def stored_names(metric: str) -> tuple[str, ...]:
    """Names under which Kwollect stored a metric: its own, and its former name if it has one."""
    former = FORMER_NAMES.get(metric)
    return (metric,) if former is None else (metric, former)


def check_power_metric(metric: str) -> None:
    """Refuse a metric whose name is of another quantity than power in watts.

    Names in Kwollect follow the rules of Prometheus: they end with the unit, counters with `_total`
    (https://prometheus.io/docs/practices/naming/).

    Args:
        metric: The metric.

    Raises:
        InputError: The metric is a counter, an energy, or in a unit other than W.
    """
    words = metric.lower().split("_")
    unit = next((word for word in words if word in OTHER_UNIT_WORDS), None)
    if words[-1] == "total" or ENERGY_WORDS & set(words):
        what = f"{metric} is a counter of energy or events, not a power in watts"
    elif unit is not None:
        what = f"{metric} is in `{unit}` by its name, not in watts"
    else:
        return
    do = "set a metric in watts, as bmc_node_power_watt or wattmetre_power_watt"
    raise InputError(what, where="integration.metric", do=do)
