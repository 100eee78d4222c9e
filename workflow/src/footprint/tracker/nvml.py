"""Energy of NVIDIA GPUs from their driver (NVML): counters, or power where a card has no counter.

Takes readings through the package `nvidia-ml-py`, whose module is `pynvml`; gives devices of a
meter.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from footprint.tracker import facts
from footprint.tracker.meter import (
    CountedDevice,
    DetectedDevices,
    Device,
    DeviceLost,
    SampledDevice,
)

J_PER_MJ = 1e-3
W_PER_MW = 1e-3
MAX_POWER_W = 3000.0
"""Upper bound of a GPU's power."""

LOST_GPU_ERRORS = (
    "NVML_ERROR_GPU_IS_LOST",
    "NVML_ERROR_UNINITIALIZED",
    "NVML_ERROR_DRIVER_NOT_LOADED",
)
"""Errors after which a GPU no longer responds in this process."""


def find_gpus(visible: str | None = None) -> DetectedDevices:
    """Every GPU that is visible to the job.

    Args:
        visible: Value of `CUDA_VISIBLE_DEVICES`; None: the value of this process.
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return DetectedDevices([], [], "the package nvidia-ml-py is not installed")
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        uuids = [_decode_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except Exception as error:  # a driver that is missing, too old, or broken
        return DetectedDevices([], [], f"NVIDIA's driver does not respond ({error})")
    if not handles:
        return DetectedDevices([], [], "NVIDIA's driver lists no GPU")
    setting = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    indices = facts.visible_gpus(setting, uuids)
    if not indices:
        return DetectedDevices([], [], f"CUDA_VISIBLE_DEVICES hides all {len(handles)} GPUs")
    devices: list[Device] = []
    gpu_facts = []
    absent = None
    for index in indices:
        try:
            device = _gpu_device(nvml, handles[index], f"gpu-{index}", uuids[index])
        except Exception as error:
            absent = f"GPU {index} reports neither energy nor power ({error})"
            continue
        devices.append(device)
        gpu_facts.append(
            {
                "name": device.name,
                "basis": device.basis,
                "model": _read_or_none(
                    lambda h: _decode_text(nvml.nvmlDeviceGetName(h)), handles[index]
                ),
                "uuid": uuids[index],
                "limit_w": _read_or_none(
                    lambda h: nvml.nvmlDeviceGetPowerManagementLimit(h) * W_PER_MW, handles[index]
                ),
            }
        )
    return DetectedDevices(devices, gpu_facts, absent)


def _gpu_device(nvml: Any, handle: Any, name: str, uuid: str) -> Device:
    """A card by its energy counter if it has a working one, else by its power."""

    def counter_j() -> float:
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * J_PER_MJ

    def power_w() -> float:
        return float(nvml.nvmlDeviceGetPowerUsage(handle)) * W_PER_MW

    try:
        counter_j()
    except nvml.NVMLError:
        power_w()
        return SampledDevice("gpu", name, _raise_if_lost(nvml, power_w), identity=uuid)
    return CountedDevice(
        "gpu", name, _raise_if_lost(nvml, counter_j), identity=uuid, max_power_w=MAX_POWER_W
    )


def _raise_if_lost(nvml: Any, read: Callable[[], float]) -> Callable[[], float]:
    """A reader that raises `DeviceLost` on the errors of `LOST_GPU_ERRORS`."""
    lost_values = {getattr(nvml, name) for name in LOST_GPU_ERRORS if hasattr(nvml, name)}

    def read_value() -> float:
        try:
            return read()
        except nvml.NVMLError as error:
            if getattr(error, "value", None) in lost_values:
                raise DeviceLost(str(error)) from None
            raise

    return read_value


def _read_or_none(read: Callable[[Any], Any], handle: Any) -> Any:
    try:
        return read(handle)
    except Exception:
        return None


def _decode_text(value: Any) -> str:
    """A text; older versions of the package return bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
