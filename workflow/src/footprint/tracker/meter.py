"""Cumulative energy of this machine's devices, from energy counters or sampled power.

Takes devices that are read repeatedly; gives joules and covered seconds by component. Time is not
covered where a counter was reset, a device did not respond, or two readings of power are farther
apart than `MAX_GAP_S`; nothing is interpolated there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

MAX_GAP_S = 10.0
"""Longest time between two readings of power over which power is assumed linear."""

COUNTER_STEP_S = 1.0
"""Counters advance in steps: two readings in a row may differ by the energy of this time."""


class DeviceLost(Exception):
    """A device is permanently gone, such as a GPU that fell off the bus."""


class Device(Protocol):
    """A device whose energy can be read."""

    component: str
    """`gpu`, `cpu` or `memory`."""
    name: str
    basis: str
    """`counter` or `sampled`."""

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """Energy since the last call in joules; None if unknown.

        Args:
            last_s: Time of the last call; None: this is the first call, whose result is ignored.
            now_s: Time of this call.

        Raises:
            DeviceLost: The device is gone.
        """


class DetectedDevices(NamedTuple):
    """Devices of a source, their facts for the ledger, and why devices are absent."""

    devices: list[Device]
    facts: list[dict[str, Any]]
    absent: str | None


class _DeviceSum:
    """Energy of a device in joules, and its covered time in seconds."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.energy_j = self.covered_s = 0.0


class EnergyTotals(NamedTuple):
    """Cumulative joules and covered device seconds by component at a moment."""

    time_s: float
    energy_j: dict[str, float]
    covered_s: dict[str, float]


class Meter:
    """Sums the energy of devices; thread-safe, and raises no error of a device.

    Args:
        devices: Devices to read.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, devices: Iterable[Device], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._devices = [(device, _DeviceSum(device.component)) for device in devices]
        self._last_s: float | None = None
        self._lost: dict[str, str] = {}
        self.n_devices: dict[str, int] = {}
        for device, _ in self._devices:
            self.n_devices[device.component] = self.n_devices.get(device.component, 0) + 1
        self.is_sampled = any(device.basis == "sampled" for device, _ in self._devices)

    @property
    def lost_devices(self) -> dict[str, str]:
        """Error of each lost device, by the device's name."""
        return dict(self._lost)

    def read_devices(self) -> EnergyTotals:
        """Read every device, and return the totals."""
        with self._lock:
            now_s = self._clock()
            for device, device_sum in self._devices:
                if device.name not in self._lost:
                    self._read_device(device, device_sum, now_s)
            self._last_s = now_s
            return self._sum_totals()

    def latest_totals(self) -> EnergyTotals:
        """Totals of the last reading, without waiting for one in progress."""
        return self._sum_totals()

    def _read_device(self, device: Device, device_sum: _DeviceSum, now_s: float) -> None:
        try:
            energy_j = device.joules_since(self._last_s, now_s)
        except DeviceLost as error:
            self._lost[device.name] = str(error)
            return
        except Exception:
            energy_j = None  # this reading failed; the next may succeed
        if energy_j is not None and self._last_s is not None:
            device_sum.energy_j += energy_j
            device_sum.covered_s += now_s - self._last_s

    def _sum_totals(self) -> EnergyTotals:
        energy_j = dict.fromkeys(self.n_devices, 0.0)
        covered_s = dict.fromkeys(self.n_devices, 0.0)
        for _, device_sum in self._devices:
            energy_j[device_sum.component] += device_sum.energy_j
            covered_s[device_sum.component] += device_sum.covered_s
        time_s = self._clock() if self._last_s is None else self._last_s
        return EnergyTotals(time_s, energy_j, covered_s)

    def energy_between(
        self, start: EnergyTotals, end: EnergyTotals, *, duration_s: float
    ) -> dict[str, Any]:
        """Energy between two moments by component, as a field of a record.

        Args:
            start: Totals at the first moment.
            end: Totals at the second moment.
            duration_s: Duration of the run in seconds.

        Returns:
            `energy_j` and `covered_frac` (covered share of the time of all devices) by component.
        """
        energies = {}
        for component, n in self.n_devices.items():
            covered_s = end.covered_s[component] - start.covered_s.get(component, 0.0)
            energy_j = end.energy_j[component] - start.energy_j.get(component, 0.0)
            energies[component] = {
                "energy_j": round(energy_j, 3),
                "covered_frac": round(min(covered_s / (n * duration_s), 1.0), 6)
                if duration_s > 0
                else 0.0,
            }
        return energies


class SampledDevice:
    """A device that reports power alone: trapezoids between readings at most `MAX_GAP_S` apart.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Name of the device.
        power_w: Reads the power in watts; may raise `DeviceLost`.
    """

    basis = "sampled"

    def __init__(self, component: str, name: str, power_w: Callable[[], float]) -> None:
        self.component, self.name = component, name
        self._power_w = power_w
        self._last_w: float | None = None

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """Energy since the last call in joules; None across a gap (see `Device`)."""
        last_w, self._last_w = self._last_w, None
        self._last_w = power_w = self._power_w()
        if last_s is None or last_w is None or now_s - last_s > MAX_GAP_S:
            return None
        return (last_w + power_w) / 2 * (now_s - last_s)


class CountedDevice:
    """A device with a cumulative energy counter.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Name of the device.
        counter_j: Reads the counter, in joules; may raise `DeviceLost`.
        range_j: Value after which the counter wraps around to 0; None: it never wraps.
        max_power_w: Upper bound of the device's power. After a time in which the counter could have
            wrapped more than once at this power, the energy is unknown.
    """

    basis = "counter"

    def __init__(
        self,
        component: str,
        name: str,
        counter_j: Callable[[], float],
        *,
        range_j: float | None = None,
        max_power_w: float = 1500.0,
    ) -> None:
        self.component, self.name = component, name
        self._counter_j, self._range_j, self._max_power_w = counter_j, range_j, max_power_w
        self._last_j: float | None = None

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """Energy since the last call in joules; None across a reset (see `Device`)."""
        last_j, self._last_j = self._last_j, None
        self._last_j = counter_j = self._counter_j()
        if last_s is None or last_j is None:
            return None
        energy_j = counter_j - last_j
        duration_s = now_s - last_s
        if self._range_j is not None:
            if duration_s * self._max_power_w > self._range_j:
                return None
            energy_j += self._range_j if energy_j < 0 else 0.0
        # a negative or implausibly large difference: the counter was reset in between
        max_energy_j = (duration_s + COUNTER_STEP_S) * self._max_power_w
        return energy_j if 0 <= energy_j <= max_energy_j else None
