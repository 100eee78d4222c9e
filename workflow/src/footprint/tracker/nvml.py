"""Energy of NVIDIA's GPUs, by their driver (NVML): counters, or power where a card has none.

Read through the package `nvidia-ml-py`, whose module is `pynvml`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from footprint.tracker import facts
from footprint.tracker.meter import Counted, Device, Found, Lost, Sampled

J_PER_MJ = 1e-3
W_PER_MW = 1e-3
MOST_W = 3000.0
"""More than a GPU draws."""

GONE = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_UNINITIALIZED", "NVML_ERROR_DRIVER_NOT_LOADED")
"""Errors after which a GPU will not answer again in this process."""


def find(visible: str | None = None) -> Found:
    """Every GPU that the job sees.

    Args:
        visible: `CUDA_VISIBLE_DEVICES`; None: as it is set for this process.
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return Found([], [], "the package nvidia-ml-py is not installed")
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except Exception as error:  # a driver that is missing, too old, or at fault
        return Found([], [], f"NVIDIA's driver does not answer ({error})")
    if not handles:
        return Found([], [], "NVIDIA's driver lists no GPU")
    setting = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    seen = facts.visible(setting, uuids)
    if not seen:
        return Found([], [], f"CUDA_VISIBLE_DEVICES leaves none of {len(handles)} GPUs")
    found: list[Device] = []
    told = []
    absent = None
    for place in seen:
        try:
            device = _device(nvml, handles[place], f"gpu-{place}")
        except Exception as error:
            absent = f"GPU {place} tells neither its energy nor its power ({error})"
            continue
        found.append(device)
        told.append(
            {
                "name": device.name,
                "basis": device.basis,
                "model": _fact(lambda h: _text(nvml.nvmlDeviceGetName(h)), handles[place]),
                "uuid": uuids[place],
                "limit_w": _fact(
                    lambda h: nvml.nvmlDeviceGetPowerManagementLimit(h) * W_PER_MW, handles[place]
                ),
            }
        )
    return Found(found, told, absent)


def _device(nvml: Any, handle: Any, name: str) -> Device:
    """The card by its counter, where it has one that tells, else by its power."""

    def counter_j() -> float:
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * J_PER_MJ

    def power_w() -> float:
        return float(nvml.nvmlDeviceGetPowerUsage(handle)) * W_PER_MW

    try:
        counter_j()
    except nvml.NVMLError:
        power_w()
        return Sampled("gpu", name, _lossy(nvml, power_w))
    return Counted("gpu", name, _lossy(nvml, counter_j), most_w=MOST_W)


def _lossy(nvml: Any, read: Callable[[], float]) -> Callable[[], float]:
    """The same; where the driver says that a GPU is gone, it is lost."""
    gone = {getattr(nvml, name) for name in GONE if hasattr(nvml, name)}

    def reading() -> float:
        try:
            return read()
        except nvml.NVMLError as error:
            if getattr(error, "value", None) in gone:
                raise Lost(str(error)) from None
            raise

    return reading


def _fact(read: Callable[[Any], Any], handle: Any) -> Any:
    try:
        return read(handle)
    except Exception:
        return None


def _text(value: Any) -> str:
    """Older versions of the package give bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
