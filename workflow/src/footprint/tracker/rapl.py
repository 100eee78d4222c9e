"""Energy counters of processors and memory (RAPL), as Linux shows them under `powercap`.

They count the whole machine, whoever uses it. On most systems root alone may read them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from footprint.tracker.meter import Counted, Device, Found, Lost

FOLDER = Path("/sys/class/powercap")
J_PER_UJ = 1e-6
MOST_W = 1000.0
"""More than a processor draws."""


def find(folder: Path = FOLDER) -> Found:
    """Every package (component `cpu`) and its memory (`memory`) that can be read.

    The cores and the graphics of a package are part of it, `psys` holds packages, and the zones of
    `intel-rapl-mmio` are those of `intel-rapl` again: none of them is counted.
    """
    zones = sorted(folder.glob("intel-rapl:*"))
    devices: list[Device] = []
    absent = None if zones else "this machine shows none"
    for zone in zones:
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            component = {"pac": "cpu", "dra": "memory"}.get(name[:3])
            if component is None:
                continue
            counter_j = _counter(zone)
            counter_j()
            range_j = float((zone / "max_energy_range_uj").read_text()) * J_PER_UJ
        except PermissionError:
            absent = "its counters may be read by root alone"
        except (OSError, ValueError) as error:
            absent = f"its counters cannot be read ({error})"
        else:
            label = f"{name}@{zone.name}"
            devices.append(
                Counted(component, label, _lossy(counter_j), range_j=range_j, most_w=MOST_W)
            )
    if zones and not devices and absent is None:
        absent = "this machine counts no processor"
    facts = [{"name": each.name, "basis": each.basis} for each in devices]
    return Found(devices, facts, absent)


def _counter(zone: Path) -> Callable[[], float]:
    path = zone / "energy_uj"
    return lambda: int(path.read_text(encoding="ascii")) * J_PER_UJ


def _lossy(counter_j: Callable[[], float]) -> Callable[[], float]:
    """The same; a counter that may no longer be read, or is gone, is lost."""

    def read() -> float:
        try:
            return counter_j()
        except (PermissionError, FileNotFoundError) as error:
            raise Lost(str(error.strerror)) from None

    return read
