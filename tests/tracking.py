"""`footprint track` as a user runs it, and the ledger that it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from dispositions import default_dispositions

from footprint.tracker import reading

SOURCE = Path(__file__).parents[1] / "workflow/src"
TRACK = [sys.executable, "-m", "footprint", "track"]
QUICK = [
    sys.executable,
    "-c",
    "import sys; from footprint.tracker import command, recorder; recorder.BEAT_S = 0.5;"
    "recorder.COUNTED_EVERY_S = 0.1; command.main(sys.argv[1:])",
]
"""The same, with a sign of life every tenth of a second."""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Variables of a job: this library, a ledger in `folder`, nothing of a tracker around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FOOTPRINT_", "OAR_", "CUDA_", "XDG_"))
    }
    own = {"PYTHONPATH": str(SOURCE), "FOOTPRINT_LEDGER": str(folder / "ledger")}
    return kept | own | variables


def track(
    folder: Path, *words: str, tracker: Sequence[str] = TRACK, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run `footprint track` with these words to its end."""
    given = {"env": environment(folder), "capture_output": True, "check": False} | options
    with default_dispositions():
        return subprocess.run([*tracker, *words], **given)


def ledger(folder: Path) -> reading.Read:
    """What the ledger of `environment` says."""
    return reading.read(reading.files(folder / "ledger"))


def only_run(folder: Path) -> reading.Run:
    """The one run of the ledger, of which every line can be used."""
    read = ledger(folder)
    assert read.faults == []
    [run] = read.runs
    return run


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for a condition; the limit only ends a test that would hang."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class NVMLError(Exception):
    """As `nvidia-ml-py` has it: an error with a value."""

    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


NOT_SUPPORTED, IS_LOST, UNKNOWN = 3, 15, 999


def nvml(gpus: Sequence[Mapping[str, Any]], *, error: int | None = None) -> ModuleType:
    """A stand-in for `pynvml`, with the functions that are used.

    Args:
        gpus: Of each, `counter_mj` and `power_mw`: what a call gives, or the error that it raises,
            as functions or values.
        error: What `nvmlInit` raises.
    """

    def told(gpu: Mapping[str, Any], name: str) -> int:
        value = gpu.get(name, NVMLError(NOT_SUPPORTED))
        value = value() if callable(value) else value
        if isinstance(value, Exception):
            raise value
        return int(value)

    def init() -> None:
        if error is not None:
            raise NVMLError(error)

    made: Any = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_ERROR_GPU_IS_LOST=IS_LOST,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda place: gpus[place],
        nvmlDeviceGetUUID=lambda gpu: gpu.get("uuid", f"GPU-{list(gpus).index(gpu)}"),
        nvmlDeviceGetName=lambda _: b"Tesla",
        nvmlDeviceGetPowerManagementLimit=lambda _: 250_000,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: told(gpu, "counter_mj"),
        nvmlDeviceGetPowerUsage=lambda gpu: told(gpu, "power_mw"),
    )
    module: ModuleType = made
    return module
