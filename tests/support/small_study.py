"""A small simulated study whose workflow has run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.support.project import CompletedRun

START, SEAM, END = (datetime(2025, *day, tzinfo=UTC) for day in ((3, 31), (4, 1), (4, 2)))
METRIC = "bmc_node_power_watt"
MONTHS = ("2025-03", "2025-04")


class ScriptRecord(NamedTuple):
    """Packages that scripts loaded, and definitions (module, name) that they executed."""

    packages: set[str]
    definitions: set[tuple[str, str]]


class Study:
    """Directory in which the workflow ran."""

    def __init__(self, folder: Path, ran: CompletedRun, records: Path | None = None) -> None:
        self.folder = folder
        self.ran = ran
        self._records = records

    @cached_property
    def records(self) -> dict[str, ScriptRecord]:
        """Packages that the scripts of each rule loaded, and definitions that they executed."""
        found: dict[str, ScriptRecord] = {}
        for path in self._records.iterdir() if self._records else ():
            record = json.loads(path.read_text())
            packages, definitions = found.setdefault(record["rule"], ScriptRecord(set(), set()))
            packages.update(record["packages"])
            definitions.update((module, name) for module, name in record["definitions"])
        return found

    def read(self, path: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / path)

    def energy(self, name: str) -> pl.DataFrame:
        return self.read(f"results/energy/{name}.parquet")

    def resource(self, name: str) -> pl.DataFrame:
        return self.read(f"resources/nancy/{name}.parquet")

    def samples(self, node: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Samples of a node: seconds since START, and watts, without repeated margins of months."""
        cluster = node.rpartition("-")[0]
        found = pl.concat(
            self.resource(f"power/{METRIC}/{cluster}/{month}").filter(pl.col("node") == node)
            for month in MONTHS
        )
        found = found.unique("timestamp").sort("timestamp")
        since = (found["timestamp"] - START).dt.total_microseconds() / 1e6
        return since.to_numpy(), found["power_w"].to_numpy()
