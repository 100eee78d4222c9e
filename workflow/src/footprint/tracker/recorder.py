"""Records of a process's runs while they last: start, signs of life, stop, device energy.

Takes a ledger and sources of device energy; gives records, with device readings in a thread.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from footprint.tracker import ledger as ledgers
from footprint.tracker.ledger import Ledger
from footprint.tracker.meter import DetectedDevices, Device, EnergyTotals, Meter
from footprint.tracker.shared_accounts import SharedAccounts

SIGN_OF_LIFE_MIN_S = 30.0
"""Shortest time between two signs of life; the time grows with the age of a run."""
SIGN_OF_LIFE_AGE_FRAC = 0.01
SIGN_OF_LIFE_MAX_S = 300.0
COUNTER_PERIOD_S = 10.0
SAMPLING_PERIOD_S = 2.0
"""Power changes within seconds; a counter only has to be read before it wraps around."""
MAX_CORE_FRAC = 0.003
"""Largest share of one core that readings may cost: slow readings are taken less often."""
READING_TIMEOUT_S = 2.0
"""Longest wait for a driver that does not respond."""
COMPANION_TIMEOUT_S = 30.0
"""Longest wait at the end of a run with companions, which may still be starting."""


class Companion(Protocol):
    """Another tool that runs beside a tracked run."""

    def start(self) -> None:
        """Start the tool."""

    def flush(self) -> None:
        """Write the results so far."""

    def stop(self) -> None:
        """Stop the tool."""


DeviceSources = Mapping[str, Callable[[], DetectedDevices]]


def device_sources() -> DeviceSources:
    """Functions that find devices, by the name of their source."""
    from footprint.tracker import nvml, rapl

    return {"nvml": nvml.find_gpus, "rapl": rapl.find_counters}


class OngoingRun:
    """A run that has started: a command, a training, an epoch.

    Args:
        within: Identity of the enclosing run.
        started_s: Start, by the recorder's clock.
        start: Energy of the devices at the start; None: not read yet.
    """

    def __init__(self, *, within: str | None, started_s: float, start: EnergyTotals | None) -> None:
        self.identity = os.urandom(8).hex()
        self.within, self.started_s, self.start = within, started_s, start
        self.last_sign_of_life_s = 0.0


class Recorder:
    """Writes the runs of a process into its ledger; raises no error into the tracked run.

    Args:
        ledger: File of this process.
        sources: Functions that find devices; empty: device energy is not read.
        companions: Tools to run beside.
        accounts: Divides the energy of devices among trackers; None: it is all that of this one.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        sources: DeviceSources,
        companions: Iterable[Companion] = (),
        accounts: SharedAccounts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger = ledger
        self._sources = sources
        self._companions = list(companions)
        self._accounts = accounts
        self._clock = clock
        self._meter: Meter | None = None
        self._runs: dict[str, OngoingRun] = {}
        self._lock = threading.Lock()
        self._thread: tuple[threading.Thread, _Requests] | None = None
        self._hangs = False
        self._reading_cost_s = 0.0
        self.ready = threading.Event()
        self.absent_devices: dict[str, str] | None = None
        """Reason for absent devices, by source; None: the devices have not been found yet."""

    def begin_run(self, *, within: str | None, **fields: Any) -> OngoingRun:
        """Write a start record; call `start_thread` after it.

        Args:
            within: Identity of the enclosing run; None: there is none.
            fields: Fields of the record beside identity and time.
        """
        start = self._request_reading() if self._thread is not None else None
        run = OngoingRun(within=within, started_s=self._clock(), start=start)
        self._runs[run.identity] = run
        self.ledger.append(
            "start",
            id=run.identity,
            within=within,
            at=ledgers.current_time(),
            **_without_none(fields),
        )
        return run

    def start_thread(self) -> None:
        """Read devices and write signs of life in a thread, until the last run ends."""
        with self._lock:
            if self._thread is not None:
                return
            requests: _Requests = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._run_thread, args=[requests], name="footprint", daemon=True
            )
            self.ready.clear()
            try:
                thread.start()
            except RuntimeError:
                self.ready.set()  # thread limit reached: only start and stop are recorded
            else:
                self._thread = thread, requests

    def _request_reading(self) -> EnergyTotals | None:
        """Energy of the devices up to now, read by the thread; None before its first reading.

        The thread calls the driver: a driver that hangs delays the tracked run by
        `READING_TIMEOUT_S`, and only once.
        """
        thread, meter = self._thread, self._meter
        if thread is None or meter is None:
            return None
        if not self._hangs:
            answered = threading.Event()
            thread[1].put(answered)
            self._hangs = not answered.wait(READING_TIMEOUT_S)
        return meter.latest_totals()

    def record_event(self, record: str, run: OngoingRun, **fields: Any) -> None:
        """Write an event of a run, such as a signal, with duration and energy so far.

        Args:
            record: Kind of the record.
            run: Run of the event.
            fields: Other fields of the record.
        """
        self._append_record(record, run, self._clock(), fields)

    def _append_record(
        self, record: str, run: OngoingRun, time_s: float, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        usage = self._usage_fields(run, time_s)
        self.ledger.append(
            record, id=run.identity, at=ledgers.current_time(), **usage, **_without_none(fields)
        )
        return usage

    def end_run(self, run: OngoingRun, **fields: Any) -> dict[str, Any]:
        """Write a stop record, and return its fields of duration and energy of the devices.

        Args:
            run: Run that ends.
            fields: Fields of the record beside time and energy.
        """
        stopped_s = self._clock()
        with self._lock:
            self._runs.pop(run.identity, None)
            last_thread = None if self._runs else self._thread
            if last_thread is not None:
                self._thread = None
        if last_thread is None:
            self._request_reading()
        else:
            # the thread takes the last reading: a driver that hangs must not hold the command up
            thread, requests = last_thread
            requests.put(None)
            thread.join(COMPANION_TIMEOUT_S if self._companions else READING_TIMEOUT_S)
        return self._append_record("stop", run, stopped_s, fields)

    def _usage_fields(self, run: OngoingRun, time_s: float) -> dict[str, Any]:
        """Duration and device energy of a run up to a moment, as fields of a record."""
        duration_s = time_s - run.started_s
        fields: dict[str, Any] = {"duration_s": round(duration_s, 3)}
        meter = self._meter
        if meter is not None and meter.n_devices:
            latest = meter.latest_totals()
            start = run.start or latest  # no reading since the run began
            fields["devices"] = meter.energy_between(start, latest, duration_s=duration_s)
            if meter.lost_devices:
                fields["lost"] = meter.lost_devices
            if meter.most_trackers > 1:
                fields["trackers"] = meter.most_trackers
        return fields

    def _run_thread(self, requests: _Requests) -> None:
        """Find the devices, read them until the last run ends, and record any error."""
        try:
            if self._meter is None:
                self._meter = self._open_meter()
            first = self._meter.read_devices()
            for run in list(self._runs.values()):
                run.start = run.start or first
            self.ready.set()
            self._call_companions("start")
            self._read_repeatedly(self._meter, requests)
            self._meter.read_devices(is_last=True)
            self._call_companions("stop")
        except Exception as error:
            self._record_error("watch", error)
        finally:
            self.ready.set()

    def _read_repeatedly(self, meter: Meter, requests: _Requests) -> None:
        """Read devices periodically and at each request, until the request to end."""
        while True:
            period_s = SAMPLING_PERIOD_S if meter.is_sampled else COUNTER_PERIOD_S
            answered = _next_request(requests, max(period_s, self._reading_cost_s / MAX_CORE_FRAC))
            if answered is None:
                return
            before_s = time.thread_time()
            meter.read_devices()
            self._write_signs_of_life()
            self._reading_cost_s = time.thread_time() - before_s
            answered.set()

    def _open_meter(self) -> Meter:
        """Find the devices, and record once those found and the reasons for absent ones."""
        devices: list[Device] = []
        found, absent = [], {}
        for name, find in self._sources.items():
            try:
                detected = find()
            except Exception as error:
                detected = DetectedDevices([], [], str(error))
            devices += detected.devices
            found += [{"source": name, **fact} for fact in detected.facts]
            if detected.absent is not None:
                absent[name] = detected.absent
        self.absent_devices = absent
        if self._sources:
            self.ledger.append(
                "devices",
                at=ledgers.current_time(),
                found=found,
                absent=absent,
                **self._sharing_fields(),
            )
        return Meter(devices, self._clock, self._accounts)

    def _sharing_fields(self) -> dict[str, Any]:
        """Whether other trackers of this machine have their part of the energy."""
        if self._accounts is None:
            return {}
        reason = self._accounts.unshared_reason
        return {"shared": reason is None} | ({} if reason is None else {"unshared": reason})

    def _write_signs_of_life(self) -> None:
        """Write a sign of life of each outermost run for which one is due."""
        now_s = self._clock()
        for run in list(self._runs.values()):
            age_s = now_s - run.started_s
            due_s = min(max(SIGN_OF_LIFE_MIN_S, age_s * SIGN_OF_LIFE_AGE_FRAC), SIGN_OF_LIFE_MAX_S)
            if run.within not in self._runs and age_s - run.last_sign_of_life_s >= due_s - 0.5:
                run.last_sign_of_life_s = age_s
                self._append_record("seen", run, now_s, {})
                self._call_companions("flush")

    def _call_companions(self, method: str) -> None:
        for companion in self._companions:
            try:
                getattr(companion, method)()
            except Exception as error:
                self._record_error(type(companion).__name__, error)

    def _record_error(self, name: str, error: Exception) -> None:
        self.ledger.append("companion", at=ledgers.current_time(), name=name, error=str(error))


_Requests = queue.SimpleQueue[threading.Event | None]
"""Requested readings, each with an event to set once it is taken; None ends the thread."""


def _next_request(requests: _Requests, wait_s: float) -> threading.Event | None:
    """The next request; after `wait_s` without one, an event that no thread waits for."""
    try:
        return requests.get(timeout=wait_s)
    except queue.Empty:
        return threading.Event()


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
