"""Names of Kwollect's metrics: which there are, former ones, and which are power in watts.

Pure Python without Polars: a Snakefile checks the metric of a study here.
"""

from __future__ import annotations

from footprint.errors import InputError

FORMER_NAMES = {"bmc_node_power_watt": "bmc_power_node_watt"}
"""What Kwollect called a metric before: until 2020-05-19, on some clusters until 2021-04-30."""

GPU_POWER_METRIC = "prom_DCGM_FI_DEV_POWER_USAGE"
"""Power of each GPU; by default of jobs that deploy no system of their own, every 15 s."""
LOAD_METRIC = "prom_node_load1"
"""Load average of a node over a minute; collected as the power of GPUs is."""
PACKAGE_METRIC = "prom_node_rapl_package_joules_total"
"""Energy counter of each processor (RAPL); only of jobs that ask for it."""

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
"""Words of a metric's name that make it an energy, hence a counter."""

OTHER_UNITS = frozenset(
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
"""Words of a metric's name that make it a unit other than the watt."""


def names_of(metric: str) -> tuple[str, ...]:
    """Names by which a metric is stored: its own, and its former one if it has one."""
    former = FORMER_NAMES.get(metric)
    return (metric,) if former is None else (metric, former)


def check_power(metric: str) -> None:
    """Refuse a metric whose name says that its values are not power in watts.

    Kwollect's names end with the unit, counters with `_total`, after Prometheus' naming rules
    (https://prometheus.io/docs/practices/naming/).

    Raises:
        InputError: The metric is a counter, an energy, or has a unit other than W.
    """
    words = metric.lower().split("_")
    unit = next((word for word in words if word in OTHER_UNITS), None)
    if words[-1] == "total" or ENERGY_WORDS & set(words):
        what = f"{metric} is a counter of energy or events, not a power in watts"
    elif unit is not None:
        what = f"{metric} is in `{unit}` by its name, not in watts"
    else:
        return
    do = "set it to a metric in watts, as bmc_node_power_watt or wattmetre_power_watt"
    raise InputError(what, where="integration.metric", do=do)
