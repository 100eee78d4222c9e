"""How far a download is: what is done, what is left, and when it should end."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TextIO

LOG_EVERY_S = 15.0
SHOW_EVERY_S = 0.5
USUAL_WIDTH, SHORT_NAME = 80, 16

log = logging.getLogger(__name__)


class Progress:
    """Counts requests and samples; tells the log every 15 s, and a terminal on a line of its own.

    A rule's script writes into its log. Where Snakemake runs in a terminal, the same line is shown
    there too, in place; rules that run at once take turns on it.
    """

    def __init__(
        self, what: str, n_requests: int, *, unit: str = "samples", terminal: TextIO | None = None
    ) -> None:
        """Start the clock.

        Args:
            what: What is downloaded.
            n_requests: Requests that it takes as far as one knows.
            unit: What is counted beside requests.
            terminal: Where to show the line in place; by default the process' own standard error,
                where that is a terminal.
        """
        self._what, self._unit, self.n_requests = what, unit, n_requests
        own = sys.__stderr__
        self._terminal = terminal or (own if own is not None and own.isatty() else None)
        self._began = self._fetching = self._logged = time.monotonic()
        self._shown = 0.0
        self.n_done = self.n_kept = self.n_items = 0
        self._lock = threading.Lock()

    def more(self, n_requests: int) -> None:
        """Some more requests are needed than one knew."""
        with self._lock:
            self.n_requests += n_requests

    def done(self, n_items: int, *, kept: bool) -> None:
        """One request is answered; `kept`: from the answers kept before."""
        with self._lock:
            self.n_done += 1
            self.n_kept += kept
            self.n_items += n_items
            now = time.monotonic()
            if self.n_done == self.n_kept:
                self._fetching = now  # what was kept took no time that tells of what is left
            if now - self._shown >= SHOW_EVERY_S:
                self._shown = now
                # the cursor stays at the start, so that whatever is printed next stands there
                self._show(f"{self._fitted()}\r")
            if now - self._logged >= LOG_EVERY_S:
                self._logged = now
                log.info("%s", self.line())

    def finish(self) -> None:
        """Tell the log what came, and clear the terminal's line."""
        self._show("")
        lasted_s = time.monotonic() - self._began
        log.info(
            "%s: %s from %d requests, of which %d were kept before; %s",
            self._what,
            _count(self.n_items, self._unit),
            self.n_done,
            self.n_kept,
            _duration(lasted_s),
        )

    def line(self) -> str:
        """What is done, what is left, and the expected end."""
        return f"{self._what}: {self._state()}"

    def _state(self) -> str:
        text = f"{self.n_done} of {self.n_requests} requests; "
        left = self.n_requests - self.n_done
        fetched = self.n_done - self.n_kept
        if left > 0 and fetched:
            left_s = left * (time.monotonic() - self._fetching) / fetched
            now = datetime.now(UTC)
            at = now + timedelta(seconds=left_s)
            day = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
            text += f"about {_duration(left_s)} left, done at {day}{at:%H:%M} UTC; "
        text += _count(self.n_items, self._unit)
        return f"{text}, {self.n_kept} requests kept before" if self.n_kept else text

    def _fitted(self) -> str:
        """The line, in one row of the terminal: in two, it could not be written over."""
        width = USUAL_WIDTH
        if self._terminal is not None:
            with suppress(OSError):
                width = os.get_terminal_size(self._terminal.fileno()).columns or width
        state = self._state()
        name = self._what[: max(SHORT_NAME, width - len(state) - 3)]
        return f"{name}: {state}"[: width - 1]

    def _show(self, line: str) -> None:
        """Write over the terminal's line; a terminal that is gone is no reason to stop."""
        if self._terminal is not None:
            try:
                self._terminal.write(f"\r\033[K{line}")
                self._terminal.flush()
            except OSError:
                self._terminal = None


def _count(n: int, unit: str) -> str:
    return f"{n / 1e6:.1f} M {unit}" if n >= 1_000_000 else f"{n} {unit}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
