"""Cumulative energy of this machine's devices, from energy counters or sampled power.

Takes devices that are read repeatedly; gives joules and covered seconds by component. Time is not
covered where a counter was reset, a device did not respond, or two readings of power are farther
apart than `MAX_GAP_S`; nothing is interpolated there. Accounts divide the energy of a device among
the trackers that read it (`shared_accounts`).
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


class Reading(NamedTuple):
    """Value of a device's counter (J) or power (W) at a moment."""

    time_s: float
    value: float


class Device(Protocol):
    """A device whose energy can be read."""

    component: str
    """`gpu`, `cpu` or `memory`."""
    name: str
    identity: str
    """Name that every tracker of this machine gives to the device."""
    basis: str
    """`counter` or `sampled`."""

    def read_value(self) -> float:
        """Value of the counter in joules, or the power in watts.

        Raises:
            DeviceLost: The device is gone.
        """

    def joules_between(self, last: Reading, now: Reading) -> float | None:
        """Energy between two readings in joules; None if unknown.

        Args:
            last: The earlier reading.
            now: The later reading.
        """


class Share(NamedTuple):
    """Part of a device's energy that is due to this tracker.

    Attributes:
        energy_j: This tracker's part of the energy since its last reading in joules.
        whole_j: The whole energy of the device in that time.
        covered_s: Time since the last reading in which the energy is known.
        n_trackers: Trackers that the energy is divided among.
    """

    energy_j: float
    whole_j: float
    covered_s: float
    n_trackers: int


class Accounts(Protocol):
    """Divides the energy of devices among the trackers that read them."""

    def settle(self, device: Device, clock: Callable[[], float], *, is_last: bool) -> Share:
        """Read a device, and return this tracker's part since the last call.

        Args:
            device: The device.
            clock: Monotonic time in seconds.
            is_last: Whether this tracker reads no longer; it may begin again.

        Raises:
            DeviceLost: The device is gone.
        """


class OwnAccounts:
    """The whole energy of each device is that of this tracker."""

    def __init__(self) -> None:
        self._last: dict[str, Reading] = {}

    def settle(self, device: Device, clock: Callable[[], float], *, is_last: bool) -> Share:
        """Read a device, and return its energy since the last call (see `Accounts`)."""
        last = self._last.pop(device.name, None)
        now = Reading(clock(), device.read_value())
        if not is_last:
            self._last[device.name] = now
        energy_j = None if last is None else device.joules_between(last, now)
        if last is None or energy_j is None:
            return Share(0.0, 0.0, 0.0, 1)
        return Share(energy_j, energy_j, now.time_s - last.time_s, 1)


class DetectedDevices(NamedTuple):
    """Devices of a source, their facts for the ledger, and why devices are absent."""

    devices: list[Device]
    facts: list[dict[str, Any]]
    absent: str | None


class _DeviceSum:
    """Energy of a device in joules, own part and whole, and its covered time in seconds."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.energy_j = self.whole_j = self.covered_s = 0.0


class EnergyTotals(NamedTuple):
    """Cumulative joules (own part and whole) and covered device seconds by component."""

    energy_j: dict[str, float]
    whole_j: dict[str, float]
    covered_s: dict[str, float]


class Meter:
    """Sums the energy of devices; thread-safe, and raises no error of a device.

    Args:
        devices: Devices to read.
        clock: Monotonic time in seconds.
        accounts: Divides the energy among trackers; None: it is all that of this one.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        clock: Callable[[], float] = time.monotonic,
        accounts: Accounts | None = None,
    ) -> None:
        self._clock = clock
        self._accounts = OwnAccounts() if accounts is None else accounts
        self._lock = threading.Lock()
        self._devices = [(device, _DeviceSum(device.component)) for device in devices]
        self._lost: dict[str, str] = {}
        self.n_devices: dict[str, int] = {}
        for device, _ in self._devices:
            self.n_devices[device.component] = self.n_devices.get(device.component, 0) + 1
        self.is_sampled = any(device.basis == "sampled" for device, _ in self._devices)
        self.most_trackers = 1
        """Most trackers so far that the energy of a device was divided among."""

    @property
    def lost_devices(self) -> dict[str, str]:
        """Error of each lost device, by the device's name."""
        return dict(self._lost)

    def read_devices(self, *, is_last: bool = False) -> EnergyTotals:
        """Read every device, and return the totals.

        Args:
            is_last: Whether the devices are not read after this, unless a run begins again.
        """
        with self._lock:
            for device, device_sum in self._devices:
                if device.name not in self._lost:
                    self._read_device(device, device_sum, is_last)
            return self._sum_totals()

    def latest_totals(self) -> EnergyTotals:
        """Totals of the last reading, without waiting for one in progress."""
        return self._sum_totals()

    def _read_device(self, device: Device, device_sum: _DeviceSum, is_last: bool) -> None:
        try:
            share = self._accounts.settle(device, self._clock, is_last=is_last)
        except DeviceLost as error:
            self._lost[device.name] = str(error)
        except Exception:
            return  # this reading failed; the next may succeed
        else:
            device_sum.energy_j += share.energy_j
            device_sum.whole_j += share.whole_j
            device_sum.covered_s += share.covered_s
            self.most_trackers = max(self.most_trackers, share.n_trackers)

    def _sum_totals(self) -> EnergyTotals:
        energy_j, whole_j, covered_s = (dict.fromkeys(self.n_devices, 0.0) for _ in range(3))
        for _, device_sum in self._devices:
            energy_j[device_sum.component] += device_sum.energy_j
            whole_j[device_sum.component] += device_sum.whole_j
            covered_s[device_sum.component] += device_sum.covered_s
        return EnergyTotals(energy_j, whole_j, covered_s)

    def energy_between(
        self, start: EnergyTotals, end: EnergyTotals, *, duration_s: float
    ) -> dict[str, Any]:
        """Energy between two moments by component, as a field of a record.

        Args:
            start: Totals at the first moment.
            end: Totals at the second moment.
            duration_s: Duration of the run in seconds.

        Returns:
            `energy_j` and `covered_frac` (covered share of the time of all devices) by component,
            and `whole_j`, the energy of the devices, where other trackers have a part of it.
        """
        energies: dict[str, dict[str, float]] = {}
        for component, n in self.n_devices.items():
            covered_s = end.covered_s[component] - start.covered_s.get(component, 0.0)
            energy_j = end.energy_j[component] - start.energy_j.get(component, 0.0)
            energies[component] = {
                "energy_j": round(energy_j, 3),
                "covered_frac": round(min(covered_s / (n * duration_s), 1.0), 6)
                if duration_s > 0
                else 0.0,
            }
            whole_j = end.whole_j[component] - start.whole_j.get(component, 0.0)
            if self.most_trackers > 1:
                energies[component]["whole_j"] = round(whole_j, 3)
        return energies


class SampledDevice:
    """A device that reports power alone: trapezoids between readings at most `MAX_GAP_S` apart.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Name of the device.
        power_w: Reads the power in watts; may raise `DeviceLost`.
        identity: Name of the device for other trackers; None: `name`.
    """

    basis = "sampled"

    def __init__(
        self,
        component: str,
        name: str,
        power_w: Callable[[], float],
        *,
        identity: str | None = None,
    ) -> None:
        self.component, self.name, self.identity = component, name, identity or name
        self.read_value = power_w

    def joules_between(self, last: Reading, now: Reading) -> float | None:
        """Energy between two readings in joules; None across a gap (see `Device`)."""
        duration_s = now.time_s - last.time_s
        return (last.value + now.value) / 2 * duration_s if duration_s <= MAX_GAP_S else None


class CountedDevice:
    """A device with a cumulative energy counter.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Name of the device.
        counter_j: Reads the counter, in joules; may raise `DeviceLost`.
        identity: Name of the device for other trackers; None: `name`.
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
        identity: str | None = None,
        range_j: float | None = None,
        max_power_w: float = 1500.0,
    ) -> None:
        self.component, self.name, self.identity = component, name, identity or name
        self.read_value = counter_j
        self._range_j, self._max_power_w = range_j, max_power_w

    def joules_between(self, last: Reading, now: Reading) -> float | None:
        """Energy between two readings in joules; None across a reset (see `Device`)."""
        energy_j = now.value - last.value
        duration_s = now.time_s - last.time_s
        if self._range_j is not None:
            if duration_s * self._max_power_w > self._range_j:
                return None
            energy_j += self._range_j if energy_j < 0 else 0.0
        # a negative or implausibly large difference: the counter was reset in between
        max_energy_j = (duration_s + COUNTER_STEP_S) * self._max_power_w
        return energy_j if 0 <= energy_j <= max_energy_j else None
