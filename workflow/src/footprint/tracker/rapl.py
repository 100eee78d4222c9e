"""Energy counters of processors and memory (RAPL), from Linux's `powercap` files.

The counters cover the whole machine, whoever uses it. On most systems only root may read them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from footprint.tracker.meter import CountedDevice, DetectedDevices, Device, DeviceLost

POWERCAP_FOLDER = Path("/sys/class/powercap")
J_PER_UJ = 1e-6
MAX_POWER_W = 1000.0
"""Upper bound of a processor's power."""


def find_counters(folder: Path = POWERCAP_FOLDER) -> DetectedDevices:
    """Every readable package (component `cpu`) and its memory (`memory`).

    Three zones are skipped, as their energy is counted already: cores and graphics are parts of a
    package, `psys` contains packages, and `intel-rapl-mmio` repeats the zones of `intel-rapl`.

    Args:
        folder: Folder of the zones.
    """
    zones = sorted(folder.glob("intel-rapl:*"))
    devices: list[Device] = []
    absent = None if zones else "this machine has no RAPL counters"
    for zone in zones:
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            component = {"pac": "cpu", "dra": "memory"}.get(name[:3])
            if component is None:
                continue
            counter_j = _counter_reader(zone)
            counter_j()
            range_j = float((zone / "max_energy_range_uj").read_text()) * J_PER_UJ
        except PermissionError:
            absent = "only root may read the RAPL counters"
        except (OSError, ValueError) as error:
            absent = f"the RAPL counters cannot be read ({error})"
        else:
            devices.append(
                CountedDevice(
                    component,
                    f"{name}@{zone.name}",
                    _raise_if_lost(counter_j),
                    range_j=range_j,
                    max_power_w=MAX_POWER_W,
                )
            )
    if zones and not devices and absent is None:
        absent = "this machine has no RAPL counter of a processor"
    facts = [{"name": each.name, "basis": each.basis} for each in devices]
    return DetectedDevices(devices, facts, absent)


def _counter_reader(zone: Path) -> Callable[[], float]:
    path = zone / "energy_uj"
    return lambda: int(path.read_text(encoding="ascii")) * J_PER_UJ


def _raise_if_lost(counter_j: Callable[[], float]) -> Callable[[], float]:
    """A reader that raises `DeviceLost` where the counter is gone or may no longer be read."""

    def read() -> float:
        try:
            return counter_j()
        except (PermissionError, FileNotFoundError) as error:
            raise DeviceLost(str(error.strerror)) from None

    return read
