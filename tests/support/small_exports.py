"""A small folder of exports, for tests of the source `exports`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from footprint.sources.exports.site import ExportedSite
from tests.support.api_answers import collection_page, g5k_job, reference_node, save_json

METRIC = "bmc_node_power_watt"
DAY: dict[str, Any] = {
    "start": datetime(2025, 3, 3, tzinfo=UTC),
    "end": datetime(2025, 3, 4, tzinfo=UTC),
}


def seconds_after_noon(number: int) -> datetime:
    """Time so many seconds after noon of `DAY` (UTC)."""
    return datetime(2025, 3, 3, 12, 0, number, tzinfo=UTC)


def noon_reading(
    device: str, second: int, value: object = 100, metric: str = METRIC
) -> dict[str, Any]:
    """Record of Kwollect, so many seconds after noon of `DAY`."""
    return {
        "timestamp": f"2025-03-03T13:00:{second:02d}+01:00",
        "device_id": device,
        "metric_id": metric,
        "value": value,
        "labels": {},
    }


def write_exports(folder: Path) -> Path:
    """Write exports of two clusters with a job and two readings; the folder."""
    gruss = collection_page(
        reference_node("gruss-1", n_gpus=2), reference_node("gruss-2", n_gpus=2)
    )
    save_json(folder / "nodes" / "gruss.json", gruss)
    save_json(folder / "nodes" / "gros.json", collection_page(reference_node("gros-1")))
    save_json(folder / "jobs" / "page.json", collection_page(g5k_job(1)))
    save_json(
        folder / "power" / "a.json", [noon_reading("gruss-2", 10), noon_reading("gruss-1", 5)]
    )
    return folder


def exported_site(folder: Path) -> ExportedSite:
    """Site of a folder, with converted files in the subfolder `converted`."""
    return ExportedSite(folder, site="nancy", converted=folder / "converted")
