"""Helpers of the tracker tests: `footprint track` as a user runs it, and its ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from footprint.tracker import reading
from tests.support.dispositions import default_dispositions

SOURCE = Path(__file__).parents[2] / "workflow/src"
TRACK = [sys.executable, "-m", "footprint", "track"]
TRACK_OFTEN = [
    sys.executable,
    "-c",
    "import sys; from footprint.tracker import command, recorder;"
    "recorder.SIGN_OF_LIFE_MIN_S = 0.5;"
    "recorder.COUNTER_PERIOD_S = 0.1; command.main(sys.argv[1:])",
]
"""`footprint track` with a sign of life every tenth of a second."""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Variables of a job: this library, a ledger in `folder`, no enclosing tracker."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FOOTPRINT_", "OAR_", "CUDA_", "XDG_"))
    }
    own = {"PYTHONPATH": str(SOURCE), "FOOTPRINT_LEDGER": str(folder / "ledger")}
    return kept | own | variables


def run_track(
    folder: Path, *words: str, tracker: Sequence[str] = TRACK, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Finished process of `footprint track` with these words."""
    settings = {"env": environment(folder), "capture_output": True, "check": False} | options
    with default_dispositions():
        return subprocess.run([*tracker, *words], **settings)


def read_ledger(folder: Path) -> reading.LedgerContents:
    """Contents of the ledger of `environment`."""
    return reading.read_ledgers(reading.ledger_files(folder / "ledger"))


def only_run(folder: Path) -> reading.TrackedRun:
    """The only run of a ledger without faults."""
    contents = read_ledger(folder)
    assert contents.faults == []
    [run] = contents.runs
    return run


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition holds; the limit only ends a test that would hang."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition did not hold within {seconds} s"
        time.sleep(0.01)


class NVMLError(Exception):
    """An error with a value, as in `nvidia-ml-py`."""

    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


NOT_SUPPORTED, GPU_IS_LOST, UNKNOWN = 3, 15, 999


def fake_nvml(gpus: Sequence[Mapping[str, Any]], *, error: int | None = None) -> ModuleType:
    """A stand-in for `pynvml`, with the functions that the tracker calls.

    Args:
        gpus: For each GPU, `counter_mj` and `power_mw`: the value or error of a call, or a function
            that returns it.
        error: Value of the error that `nvmlInit` raises; None: no error.
    """

    def read_value(gpu: Mapping[str, Any], name: str) -> int:
        value = gpu.get(name, NVMLError(NOT_SUPPORTED))
        value = value() if callable(value) else value
        if isinstance(value, Exception):
            raise value
        return int(value)

    def init() -> None:
        if error is not None:
            raise NVMLError(error)

    stand_in: Any = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_ERROR_GPU_IS_LOST=GPU_IS_LOST,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda place: gpus[place],
        nvmlDeviceGetUUID=lambda gpu: gpu.get("uuid", f"GPU-{list(gpus).index(gpu)}"),
        nvmlDeviceGetName=lambda _: b"Tesla",
        nvmlDeviceGetPowerManagementLimit=lambda _: 250_000,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: read_value(gpu, "counter_mj"),
        nvmlDeviceGetPowerUsage=lambda gpu: read_value(gpu, "power_mw"),
    )
    module: ModuleType = stand_in
    return module
