"""What is tracked, from its start to its end: records, a sign of life in between, device energy."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from footprint.tracker import ledger as ledgers
from footprint.tracker.ledger import Ledger
from footprint.tracker.meter import Device, Found, Meter, Totals

BEAT_S = 30.0
"""Shortest time between two signs of life; they become rarer as a run grows older."""
BEAT_FRAC = 0.01
BEAT_MOST_S = 300.0
COUNTED_EVERY_S = 10.0
SAMPLED_EVERY_S = 2.0
"""Power changes within seconds; a counter only has to be read before it begins again."""
MOST_OF_A_CORE = 0.003
"""Part of one core that readings may cost: where they are slow, they become rarer."""
LAST_READING_S = 2.0
"""Longest wait for a driver that does not answer at the end."""
COMPANION_S = 30.0
"""The same for a companion, which may still be about to start."""


class Companion(Protocol):
    """Another tool that runs beside what is tracked."""

    def start(self) -> None:
        """Begin."""

    def beat(self) -> None:
        """Write down what is known so far."""

    def stop(self) -> None:
        """End."""


Sources = Mapping[str, Callable[[], Found]]


def sources() -> Sources:
    """Where device energy comes from, by name."""
    from footprint.tracker import nvml, rapl

    return {"nvml": nvml.find, "rapl": rapl.find}


class Span:
    """Something that is tracked: a command, a training, an epoch.

    Args:
        within: Identity of what is around it.
        started_s: Start, by the recorder's clock.
        start: What devices had used then; None: not read yet.
    """

    def __init__(self, *, within: str | None, started_s: float, start: Totals | None) -> None:
        self.identity = os.urandom(8).hex()
        self.within, self.started_s, self.start = within, started_s, start
        self.beat_s = 0.0


class Recorder:
    """Writes what a process tracks into its ledger. Nothing is raised to what is tracked.

    Args:
        ledger: File of this process.
        find: Where device energy comes from; empty: it is not asked for.
        companions: Tools that run beside.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        find: Sources,
        companions: Iterable[Companion] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger = ledger
        self._find = find
        self._companions = list(companions)
        self._clock = clock
        self._meter: Meter | None = None
        self._spans: dict[str, Span] = {}
        self._lock = threading.Lock()
        self._watching: tuple[threading.Thread, _Requests] | None = None
        self._hangs = False
        self._cost_s = 0.0
        self.ready = threading.Event()

    def begin(self, *, within: str | None, **fields: Any) -> Span:
        """Write a start record; `watch` has to follow.

        Args:
            within: Identity of what is tracked around it; None: nothing.
            fields: What the record says beside identity and time.
        """
        start = self._reading() if self._watching is not None else None
        span = Span(within=within, started_s=self._clock(), start=start)
        self._spans[span.identity] = span
        self.ledger.append(
            "start", id=span.identity, within=within, at=ledgers.now(), **_known(fields)
        )
        return span

    def watch(self) -> None:
        """Look after devices and signs of life in a thread, until the last span ends."""
        with self._lock:
            if self._watching is not None:
                return
            requests: _Requests = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._watch, args=[requests], name="footprint", daemon=True
            )
            self.ready.clear()
            try:
                thread.start()
            except RuntimeError:
                self.ready.set()  # no more threads may be started: start and stop are all there is
            else:
                self._watching = thread, requests

    def _reading(self) -> Totals | None:
        """What devices have used up to now, asked of the thread; null before it has begun.

        The thread asks the driver: what is tracked waits only so long for one that hangs, and once.
        """
        watching, meter = self._watching, self._meter
        if watching is None or meter is None:
            return None
        if not self._hangs:
            answered = threading.Event()
            watching[1].put(answered)
            self._hangs = not answered.wait(LAST_READING_S)
        return meter.latest()

    def note(self, record: str, span: Span, **fields: Any) -> None:
        """Write what happened to a span, as a signal, with its duration and energy so far.

        Args:
            record: Kind of the record.
            span: What it happened to.
            fields: What else the record says.
        """
        self._append(record, span, self._clock(), fields)

    def _append(self, record: str, span: Span, at_s: float, fields: Mapping[str, Any]) -> None:
        so_far = self._so_far(span, at_s)
        self.ledger.append(record, id=span.identity, at=ledgers.now(), **so_far, **_known(fields))

    def end(self, span: Span, **fields: Any) -> None:
        """Write a stop record, with the energy of its devices.

        Args:
            span: What ends.
            fields: What the record says beside time and energy.
        """
        stopped_s = self._clock()
        with self._lock:
            self._spans.pop(span.identity, None)
            ending = None if self._spans else self._watching
            if ending is not None:
                self._watching = None
        if ending is None:
            self._reading()
        else:
            # the thread takes the last reading: a driver that hangs must not hold the command up
            thread, requests = ending
            requests.put(None)
            thread.join(COMPANION_S if self._companions else LAST_READING_S)
        self._append("stop", span, stopped_s, fields)

    def _so_far(self, span: Span, at_s: float) -> dict[str, Any]:
        duration_s = at_s - span.started_s
        found: dict[str, Any] = {"duration_s": round(duration_s, 3)}
        meter = self._meter
        if meter is not None and meter.n_devices:
            latest = meter.latest()
            start = span.start or latest  # nothing was read since it began
            found["devices"] = meter.between(start, latest, duration_s=duration_s)
            if meter.lost:
                found["lost"] = meter.lost
        return found

    def _watch(self, requests: _Requests) -> None:
        """What the thread does."""
        try:
            if self._meter is None:
                self._meter = self._open()
            first = self._meter.update()
            for span in list(self._spans.values()):
                span.start = span.start or first
            self.ready.set()
            self._beside("start")
            self._go_on(self._meter, requests)
            self._meter.update()
            self._beside("stop")
        except Exception as error:
            self._failed("watch", error)
        finally:
            self.ready.set()

    def _go_on(self, meter: Meter, requests: _Requests) -> None:
        """Read devices now and then, and when it is asked for, until the end."""
        while True:
            least_s = SAMPLED_EVERY_S if meter.is_sampled else COUNTED_EVERY_S
            answered = _next(requests, max(least_s, self._cost_s / MOST_OF_A_CORE))
            if answered is None:
                return
            before_s = time.thread_time()
            meter.update()
            self._beat()
            self._cost_s = time.thread_time() - before_s
            answered.set()

    def _open(self) -> Meter:
        """Find the devices, and write down once which there are and which are absent."""
        devices: list[Device] = []
        found, absent = [], {}
        for name, find in self._find.items():
            try:
                source = find()
            except Exception as error:
                source = Found([], [], str(error))
            devices += source.devices
            found += [{"source": name, **fact} for fact in source.facts]
            if source.absent is not None:
                absent[name] = source.absent
        if self._find:
            self.ledger.append("devices", at=ledgers.now(), found=found, absent=absent)
        return Meter(devices, self._clock)

    def _beat(self) -> None:
        """A sign of life for what nothing else is around, where it is due."""
        now_s = self._clock()
        for span in list(self._spans.values()):
            age_s = now_s - span.started_s
            due_s = min(max(BEAT_S, age_s * BEAT_FRAC), BEAT_MOST_S)
            if span.within not in self._spans and age_s - span.beat_s >= due_s - 0.5:
                span.beat_s = age_s
                self._append("seen", span, now_s, {})
                self._beside("beat")

    def _beside(self, what: str) -> None:
        for companion in self._companions:
            try:
                getattr(companion, what)()
            except Exception as error:
                self._failed(type(companion).__name__, error)

    def _failed(self, name: str, error: Exception) -> None:
        self.ledger.append("companion", at=ledgers.now(), name=name, error=str(error))


_Requests = queue.SimpleQueue[threading.Event | None]
"""Readings that are asked for, each with what is set once it is taken; None: the end."""


def _next(requests: _Requests, wait_s: float) -> threading.Event | None:
    """The next request; one that nobody waits for, where none comes in time."""
    try:
        return requests.get(timeout=wait_s)
    except queue.Empty:
        return threading.Event()


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
