"""Recorded benchmark runs with the energies of a tool, and the node's power by two meters.

They are read from a folder with `runs.csv` and answers of Kwollect, or from a checkout of the
authors' repository, github.com/vladostp/an-experimental-comparison-of-software-based-power-meters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.kwollect import answers, fields

NODE = "gemini-1"
RECORDINGS_ORIGIN = f"{NODE}, Lyon, 7 and 8 November 2022 · Jay et al., CCGrid 2023"
BMC_METRIC, WATTMETER_METRIC = "bmc_node_power_watt", "wattmetre_power_watt"

DIRECTORY_KEY = "validation.directory"
RUNS_FILE, POWER_FOLDER = "runs.csv", "power"
AUTHORS_FOLDER = "GPU_Benchmarks/results/CPU_08_11"
AUTHORS_RUNS_FILE, AUTHORS_POWER_FILE = (
    f"{AUTHORS_FOLDER}/processed_table.csv",
    f"{AUTHORS_FOLDER}/g5k_metrics.csv",
)
FIRST_RUN_ID = 1_000_000
"""Id of the first run of the authors' table, which has no ids."""

RUN_COLUMNS = {
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
        runs: `run_id`, `application`, `tool`, `started_at` and `stopped_at` (UTC); energies of the
            tool, null if not recorded: `tool_kwh`, `tool_gpu_kwh`, `tool_cpu_kwh`, `tool_ram_kwh`.
        bmc: `timestamp`, `power_w` of the BMC, strictly ascending in time.
        wattmeter: `timestamp`, `power_w` of the wattmeter, strictly ascending in time.
    """

    runs: pl.DataFrame
    bmc: pl.DataFrame
    wattmeter: pl.DataFrame


def recording_files(directory: str | Path) -> list[Path]:
    """Files of a folder that `read_recordings` needs, in either layout; empty if it has neither."""
    folder = Path(directory)
    if (folder / RUNS_FILE).is_file():
        power = folder / POWER_FOLDER
        found = sorted(power.iterdir()) if power.is_dir() else []
        shown = (path for path in found if path.is_file() and not path.name.startswith("."))
        return [folder / RUNS_FILE, *shown]
    return [
        folder / name
        for name in (AUTHORS_RUNS_FILE, AUTHORS_POWER_FILE)
        if (folder / name).is_file()
    ]


def read_recordings(directory: str | Path) -> Recordings:
    """Read runs and power from a folder of either layout.

    Args:
        directory: Folder with `runs.csv` and `power/` (JSON or CSV of Kwollect), or a
            checkout of the authors' repository.

    Raises:
        InputError: The folder has neither layout, or a file cannot be used.
    """
    first, *others = recording_files(directory) or [Path(directory)]
    if first.name == RUNS_FILE and others:
        return _read_exports(first, others)
    if first.name == Path(AUTHORS_RUNS_FILE).name and others:
        return _read_checkout(first, others[0])
    raise InputError(
        f"{directory} contains neither {RUNS_FILE} with files in {POWER_FOLDER}/, "
        f"nor {AUTHORS_RUNS_FILE} with {Path(AUTHORS_POWER_FILE).name}",
        where=DIRECTORY_KEY,
        do="set a folder of the recordings or a checkout of validation.repository, or remove the "
        "key to download them",
    )


def _read_exports(runs: Path, power: list[Path]) -> Recordings:
    parts = [
        frame.filter(pl.col("device") == NODE).select("metric", "timestamp", power_w="value")
        for path in power
        for frame in answers.read_file(path)
    ]
    samples = pl.concat(parts)
    table = _read_columns(runs, ["uid", *RUN_COLUMNS.values()])
    numbers = pl.col("uid").cast(pl.Int64, strict=False)
    return Recordings(
        _parse_runs(table, RUN_COLUMNS, runs, run_id=numbers),
        *(
            _ordered_samples(
                samples.filter(pl.col("metric") == metric), metric, runs.parent / POWER_FOLDER
            )
            for metric in (BMC_METRIC, WATTMETER_METRIC)
        ),
    )


def _read_checkout(runs: Path, power: Path) -> Recordings:
    # A row has the reading of one meter; the field of the other is empty.
    readings = _read_columns(power, ["timestamp", BMC_METRIC, WATTMETER_METRIC])
    times = fields.parse_times(readings["timestamp"])
    if times.null_count():
        bad = readings["timestamp"].filter(times.is_null())[0]
        raise InputError(f"{bad!r} is not a time", where=str(power), do=_SAVE_ADVICE)
    samples = readings.with_columns(times.alias("timestamp"))
    table = _read_columns(runs, list(AUTHORS_COLUMNS.values()))
    numbers = FIRST_RUN_ID + pl.int_range(pl.len(), dtype=pl.Int64)
    return Recordings(
        _parse_runs(table, AUTHORS_COLUMNS, runs, run_id=numbers),
        *(
            _ordered_samples(
                samples.select("timestamp", power_w=_parsed_number(metric)), metric, power
            )
            for metric in (BMC_METRIC, WATTMETER_METRIC)
        ),
    )


_SAVE_ADVICE = "save it again"


def _read_columns(path: Path, needed: list[str]) -> pl.DataFrame:
    """Read columns of a CSV file as text; empty fields are null."""
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.ComputeError, pl.exceptions.NoDataError):
        raise InputError("cannot be read as CSV", where=str(path), do=_SAVE_ADVICE) from None
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise InputError(f"has no column {lacking[0]!r}", where=str(path), do=_SAVE_ADVICE)
    return table.select(needed)


def _parsed_number(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)


def _parse_runs(
    table: pl.DataFrame, columns: Mapping[str, str], path: Path, *, run_id: pl.Expr
) -> pl.DataFrame:
    """Parse runs from a table of texts, sorted by start; `columns` has its column names."""
    texts = ("application", "tool")
    times = ("started_at", "stopped_at")
    energies = [name for name in columns if name not in (*texts, *times)]
    found = table.select(
        run_id.alias("run_id"),
        *(pl.col(columns[name]).str.strip_chars().alias(name) for name in texts),
        *(_parsed_time(columns[name]).alias(name) for name in times),
        *(_parsed_number(columns[name]).alias(name) for name in energies),
    )
    lasts = pl.col("stopped_at") > pl.col("started_at")
    known = pl.col("run_id").is_not_null() & pl.col("application").is_not_null()
    bad = found.with_row_index("row").filter(~(lasts & known).fill_null(False))
    if not bad.is_empty():
        what = f"run {bad['row'][0] + 1} has no number, no application, or no start before its end"
        raise InputError(what, where=str(path), do="fix or remove it")
    twice = found.filter(pl.col("run_id").is_duplicated())["run_id"]
    if not twice.is_empty():
        raise InputError(f"run {twice[0]} occurs twice", where=str(path), do="remove one")
    return found.sort("started_at", "run_id")


def _parsed_time(name: str) -> pl.Expr:
    """Time in UTC from a column of seconds since 1970."""
    return (_parsed_number(name) * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def _ordered_samples(samples: pl.DataFrame, metric: str, path: Path) -> pl.DataFrame:
    """Positive samples in time order, one per time: requests for neighbouring runs overlap."""
    power = pl.col("power_w")
    found = (
        samples.select("timestamp", "power_w")
        .filter(power.is_finite() & (power > 0))
        .sort("timestamp", "power_w")
        .unique("timestamp", keep="first", maintain_order=True)
    )
    if found.is_empty():
        raise InputError(f"no reading of {metric} of {NODE}", where=str(path), do=_SAVE_ADVICE)
    return found
