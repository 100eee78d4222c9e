"""Energy of the devices of this machine since a moment, from counters or from sampled power.

A device is read again and again; what it used in between is added up in joules, with the seconds
that were covered. Nothing is bridged: where a counter was reset, a device did not answer, or two
readings of power lie too far apart, the time is not covered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

MAX_GAP_S = 10.0
"""Longest time between two readings of power over which it is taken to be linear."""

STEP_S = 1.0
"""Counters go on in steps: two readings in a row may differ by what was used in this time."""


class Lost(Exception):
    """A device is gone for good, as a GPU that fell off the bus."""


class Device(Protocol):
    """Something that tells its energy."""

    component: str
    """`gpu`, `cpu` or `memory`."""
    name: str
    basis: str
    """`counter` or `sampled`."""

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """Energy since the last call in joules; None when it is not known.

        Args:
            last_s: Time of that call; None: this is the first, whose result is ignored.
            now_s: Time of this call.

        Raises:
            Lost: The device is gone.
        """


class Found(NamedTuple):
    """Devices of a source, what is known of them, and why there are none."""

    devices: list[Device]
    facts: list[dict[str, Any]]
    absent: str | None


class _Sum:
    """What a device has used, and the time in which that is known."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.energy_j = self.covered_s = 0.0


class Totals(NamedTuple):
    """Joules and device seconds covered, by component, at a moment."""

    at_s: float
    energy_j: dict[str, float]
    covered_s: dict[str, float]


class Meter:
    """Adds up what devices tell. Any thread may call it; nothing is raised.

    Args:
        devices: What is read.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, devices: Iterable[Device], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._devices = [(device, _Sum(device.component)) for device in devices]
        self._last_s: float | None = None
        self._lost: dict[str, str] = {}
        self.n_devices: dict[str, int] = {}
        for device, _ in self._devices:
            self.n_devices[device.component] = self.n_devices.get(device.component, 0) + 1
        self.is_sampled = any(device.basis == "sampled" for device, _ in self._devices)

    @property
    def lost(self) -> dict[str, str]:
        """Devices that were lost on the way, and why."""
        return dict(self._lost)

    def update(self) -> Totals:
        """Read every device."""
        with self._lock:
            now_s = self._clock()
            for device, total in self._devices:
                if device.name not in self._lost:
                    self._read(device, total, now_s)
            self._last_s = now_s
            return self._totals()

    def latest(self) -> Totals:
        """What the last update found, without waiting for one that is under way."""
        return self._totals()

    def _read(self, device: Device, total: _Sum, now_s: float) -> None:
        try:
            energy_j = device.joules_since(self._last_s, now_s)
        except Lost as error:
            self._lost[device.name] = str(error)
            return
        except Exception:
            energy_j = None  # this reading failed; the next may not
        if energy_j is not None and self._last_s is not None:
            total.energy_j += energy_j
            total.covered_s += now_s - self._last_s

    def _totals(self) -> Totals:
        energy_j = dict.fromkeys(self.n_devices, 0.0)
        covered_s = dict.fromkeys(self.n_devices, 0.0)
        for _, total in self._devices:
            energy_j[total.component] += total.energy_j
            covered_s[total.component] += total.covered_s
        return Totals(self._clock() if self._last_s is None else self._last_s, energy_j, covered_s)

    def between(self, start: Totals, end: Totals, *, duration_s: float) -> dict[str, Any]:
        """Energy from one moment to another, by component, as records have it.

        Args:
            start: What `update` gave at the first.
            end: What it gave at the second.
            duration_s: Seconds of what is tracked.

        Returns:
            `energy_j` and `covered_frac` (part of the time of all its devices) by component.
        """
        found = {}
        for component, n in self.n_devices.items():
            covered_s = end.covered_s[component] - start.covered_s.get(component, 0.0)
            energy_j = end.energy_j[component] - start.energy_j.get(component, 0.0)
            found[component] = {
                "energy_j": round(energy_j, 3),
                "covered_frac": round(min(covered_s / (n * duration_s), 1.0), 6)
                if duration_s > 0
                else 0.0,
            }
        return found


class Sampled:
    """A device that tells its power alone: linear between two readings that are near enough.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Its name.
        power_w: Reads its power; may raise `Lost`.
    """

    basis = "sampled"

    def __init__(self, component: str, name: str, power_w: Callable[[], float]) -> None:
        self.component, self.name = component, name
        self._power_w = power_w
        self._before_w: float | None = None

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """See `Device`."""
        before_w, self._before_w = self._before_w, None
        self._before_w = power_w = self._power_w()
        if last_s is None or before_w is None or now_s - last_s > MAX_GAP_S:
            return None
        return (before_w + power_w) / 2 * (now_s - last_s)


class Counted:
    """A device with a counter of its energy.

    Args:
        component: `gpu`, `cpu` or `memory`.
        name: Its name.
        counter_j: Reads the counter, in joules; may raise `Lost`.
        range_j: The value after which it begins again at 0; None: it never does.
        most_w: More than the device can draw: after a time in which it could have begun again more
            than once, what it used is not known.
    """

    basis = "counter"

    def __init__(
        self,
        component: str,
        name: str,
        counter_j: Callable[[], float],
        *,
        range_j: float | None = None,
        most_w: float = 1500.0,
    ) -> None:
        self.component, self.name = component, name
        self._counter_j, self._range_j, self._most_w = counter_j, range_j, most_w
        self._before_j: float | None = None

    def joules_since(self, last_s: float | None, now_s: float) -> float | None:
        """See `Device`."""
        before_j, self._before_j = self._before_j, None
        self._before_j = counter_j = self._counter_j()
        if last_s is None or before_j is None:
            return None
        energy_j = counter_j - before_j
        duration_s = now_s - last_s
        if self._range_j is not None:
            if duration_s * self._most_w > self._range_j:
                return None
            energy_j += self._range_j if energy_j < 0 else 0.0
        # less than nothing, or more than there can be: it was reset in between
        most_j = (duration_s + STEP_S) * self._most_w
        return energy_j if 0 <= energy_j <= most_j else None
