"""Recorded runs of benchmarks with what a tool said of each, and the node's power by two meters.

Read from a folder with `runs.csv` and answers of Kwollect, or from a checkout of the repository of
the authors, github.com/vladostp/an-experimental-comparison-of-software-based-power-meters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.errors import InputError
from footprint.site import kwollect

NODE = "gemini-1"
ORIGIN = f"{NODE}, Lyon, 7 and 8 November 2022 · Jay et al., CCGrid 2023"
BMC, WATTMETRE = "bmc_node_power_watt", "wattmetre_power_watt"

WHERE = "validation.directory"
RUNS, POWER = "runs.csv", "power"
CAMPAIGN = "GPU_Benchmarks/results/CPU_08_11"
TABLE, METRICS = f"{CAMPAIGN}/processed_table.csv", f"{CAMPAIGN}/g5k_metrics.csv"
FIRST_RUN = 1_000_000
"""Number of the first run of the authors' table, which has none."""

COLUMNS = {
    "application": "application",
    "tool": "tool",
    "started_at": "started_at",
    "stopped_at": "stopped_at",
    "tool_kwh": "tool_energy_kwh",
    "tool_gpu_kwh": "tool_gpu_kwh",
    "tool_cpu_kwh": "tool_cpu_kwh",
    "tool_ram_kwh": "tool_ram_kwh",
}
AUTHORS_COLUMNS = {
    "application": "gpu_0_appli",
    "tool": "tool_name",
    "started_at": "gpu_0_start_benchmark",
    "stopped_at": "gpu_0_stop_benchmark",
    "tool_kwh": "tool_energy_consumption(kWh)",
    "tool_gpu_kwh": "tool_gpu_energy",
    "tool_cpu_kwh": "tool_cpu_energy",
    "tool_ram_kwh": "tool_ram_energy",
}


class Recordings(NamedTuple):
    """Runs on one node, and its power.

    Attributes:
        runs: `run_id`, `application`, `tool`, `started_at` and `stopped_at` (UTC), and as the tool
            recorded them, null where it did not: `tool_kwh`, `tool_gpu_kwh`, `tool_cpu_kwh`,
            `tool_ram_kwh`.
        bmc: `timestamp`, `power_w` of the BMC, strictly ascending in time.
        wattmetre: The same of the wattmetre.
    """

    runs: pl.DataFrame
    bmc: pl.DataFrame
    wattmetre: pl.DataFrame


def files(directory: str | Path) -> list[Path]:
    """Files of a folder that `read` reads, in either layout; none where it holds neither."""
    folder = Path(directory)
    if (folder / RUNS).is_file():
        power = folder / POWER
        found = sorted(power.iterdir()) if power.is_dir() else []
        shown = (path for path in found if path.is_file() and not path.name.startswith("."))
        return [folder / RUNS, *shown]
    return [folder / name for name in (TABLE, METRICS) if (folder / name).is_file()]


def read(directory: str | Path) -> Recordings:
    """Runs and power, from whichever layout the folder has.

    Args:
        directory: Folder that holds `runs.csv` and `power/` (JSON or CSV of Kwollect), or a
            checkout of the authors' repository.

    Raises:
        InputError: The folder holds neither, or a file of it cannot be used.
    """
    first, *others = files(directory) or [Path(directory)]
    if first.name == RUNS and others:
        return _from_exports(first, others)
    if first.name == Path(TABLE).name and others:
        return _from_checkout(first, others[0])
    raise InputError(
        f"{directory} holds neither {RUNS} with files in {POWER}/, nor {TABLE} with "
        f"{Path(METRICS).name}",
        where=WHERE,
        do="name a folder of the recordings or a checkout of validation.repository, or leave the "
        "key out to have them fetched",
    )


def _from_exports(runs: Path, power: list[Path]) -> Recordings:
    parts = [
        frame.filter(pl.col("device") == NODE).select("metric", "timestamp", power_w="value")
        for path in power
        for frame in kwollect.samples(path)
    ]
    samples = pl.concat(parts)
    table = _text(runs, ["uid", *COLUMNS.values()])
    numbers = pl.col("uid").cast(pl.Int64, strict=False)
    return Recordings(
        _runs(table, COLUMNS, runs, run_id=numbers),
        *(
            _ascending(samples.filter(pl.col("metric") == metric), metric, runs.parent / POWER)
            for metric in (BMC, WATTMETRE)
        ),
    )


def _from_checkout(runs: Path, power: Path) -> Recordings:
    # A row has the reading of one meter: the field of the other is empty.
    readings = _text(power, ["timestamp", BMC, WATTMETRE])
    times = kwollect.utc(readings["timestamp"])
    if times.null_count():
        bad = readings["timestamp"].filter(times.is_null())[0]
        raise InputError(f"cannot tell the time of {bad!r}", where=str(power), do=_AGAIN)
    samples = readings.with_columns(times.alias("timestamp"))
    table = _text(runs, list(AUTHORS_COLUMNS.values()))
    numbers = FIRST_RUN + pl.int_range(pl.len(), dtype=pl.Int64)
    return Recordings(
        _runs(table, AUTHORS_COLUMNS, runs, run_id=numbers),
        *(
            _ascending(samples.select("timestamp", power_w=_number(metric)), metric, power)
            for metric in (BMC, WATTMETRE)
        ),
    )


_AGAIN = "save it again"


def _text(path: Path, needed: list[str]) -> pl.DataFrame:
    """Columns of a CSV file as text; empty fields are null."""
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.ComputeError, pl.exceptions.NoDataError):
        raise InputError("cannot be read as CSV", where=str(path), do=_AGAIN) from None
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise InputError(f"has no column {lacking[0]!r}", where=str(path), do=_AGAIN)
    return table.select(needed)


def _number(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)


def _runs(
    table: pl.DataFrame, columns: Mapping[str, str], path: Path, *, run_id: pl.Expr
) -> pl.DataFrame:
    """Runs in order of their start, from a table of texts and the names of its columns."""
    texts = ("application", "tool")
    times = ("started_at", "stopped_at")
    energies = [name for name in columns if name not in (*texts, *times)]
    found = table.select(
        run_id.alias("run_id"),
        *(pl.col(columns[name]).str.strip_chars().alias(name) for name in texts),
        *(_moment(columns[name]).alias(name) for name in times),
        *(_number(columns[name]).alias(name) for name in energies),
    )
    lasts = pl.col("stopped_at") > pl.col("started_at")
    known = pl.col("run_id").is_not_null() & pl.col("application").is_not_null()
    bad = found.with_row_index("row").filter(~(lasts & known).fill_null(False))
    if not bad.is_empty():
        what = f"run {bad['row'][0] + 1} has no number, no application, or no start before its end"
        raise InputError(what, where=str(path), do="mend or remove it")
    twice = found.filter(pl.col("run_id").is_duplicated())["run_id"]
    if not twice.is_empty():
        raise InputError(f"run {twice[0]} stands twice", where=str(path), do="remove one")
    return found.sort("started_at", "run_id")


def _moment(name: str) -> pl.Expr:
    """Seconds since 1970 as a time in UTC."""
    return (_number(name) * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def _ascending(samples: pl.DataFrame, metric: str, path: Path) -> pl.DataFrame:
    """Samples in order, one a moment: requests for neighbouring runs overlap."""
    power = pl.col("power_w")
    found = (
        samples.select("timestamp", "power_w")
        .filter(power.is_finite() & (power > 0))
        .sort("timestamp", "power_w")
        .unique("timestamp", keep="first", maintain_order=True)
    )
    if found.is_empty():
        raise InputError(f"no reading of {metric} of {NODE}", where=str(path), do=_AGAIN)
    return found
