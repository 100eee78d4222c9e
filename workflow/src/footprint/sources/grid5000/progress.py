"""Progress of a download: requests done and left, and the expected end."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TextIO

LOG_INTERVAL_S = 15.0
DISPLAY_INTERVAL_S = 0.5
DEFAULT_WIDTH, SHORTEST_NAME_WIDTH = 80, 16
"""Characters of a terminal's row, and of a name that is cut to fit it."""

log = logging.getLogger(__name__)


class Progress:
    """Counts requests and items; logs them every 15 s, and shows them in one line of a terminal.

    A rule's script writes into its log. If Snakemake runs in a terminal, the same line is shown
    there too, in place. Rules that run at the same time show their lines in turn.
    """

    def __init__(
        self, name: str, n_requests: int, *, unit: str = "samples", terminal: TextIO | None = None
    ) -> None:
        """Start the clock.

        Args:
            name: Name of the download.
            n_requests: Requests that it needs, as far as known.
            unit: Name of the items that are counted beside requests.
            terminal: Where to show the line in place; by default the process' own standard error,
                if that is a terminal.
        """
        self._name, self._unit, self.n_requests = name, unit, n_requests
        own = sys.__stderr__
        self._terminal = terminal or (own if own is not None and own.isatty() else None)
        self._began = self._fetching_since = self._last_logged = time.monotonic()
        self._last_shown = 0.0
        self.n_done = self.n_kept = self.n_items = 0
        self._lock = threading.Lock()

    def add_requests(self, n_requests: int) -> None:
        """Raise the number of requests that the download needs."""
        with self._lock:
            self.n_requests += n_requests

    def count_answer(self, n_items: int, *, is_kept: bool) -> None:
        """Count the answer to one request, and log or show the line when it is due.

        Args:
            n_items: Items of the answer.
            is_kept: Whether the answer was kept before this download.
        """
        with self._lock:
            self.n_done += 1
            self.n_kept += is_kept
            self.n_items += n_items
            now = time.monotonic()
            if self.n_done == self.n_kept:
                self._fetching_since = now  # the time of kept answers does not predict the rest
            if now - self._last_shown >= DISPLAY_INTERVAL_S:
                self._last_shown = now
                # the cursor stays at the start, so that the next output overwrites the line
                self._show(f"{self._fitted_line()}\r")
            if now - self._last_logged >= LOG_INTERVAL_S:
                self._last_logged = now
                log.info("%s", self.status_line())

    def finish(self) -> None:
        """Log the totals, and clear the terminal's line."""
        self._show("")
        duration_s = time.monotonic() - self._began
        log.info(
            "%s: %s from %d requests, of which %d were kept before; %s",
            self._name,
            _count_text(self.n_items, self._unit),
            self.n_done,
            self.n_kept,
            _duration_text(duration_s),
        )

    def status_line(self) -> str:
        """Return the requests done and left, the expected end, and the items so far."""
        return f"{self._name}: {self._status()}"

    def _status(self) -> str:
        text = f"{self.n_done} of {self.n_requests} requests; "
        n_left = self.n_requests - self.n_done
        n_fetched = self.n_done - self.n_kept
        if n_left > 0 and n_fetched:
            left_s = n_left * (time.monotonic() - self._fetching_since) / n_fetched
            now = datetime.now(UTC)
            end = now + timedelta(seconds=left_s)
            day = "" if end.date() == now.date() else f"{end:%Y-%m-%d} "
            text += f"about {_duration_text(left_s)} left, done at {day}{end:%H:%M} UTC; "
        text += _count_text(self.n_items, self._unit)
        return f"{text}, {self.n_kept} requests kept before" if self.n_kept else text

    def _fitted_line(self) -> str:
        """The line cut to one row of the terminal: two rows could not be overwritten."""
        width = DEFAULT_WIDTH
        if self._terminal is not None:
            with suppress(OSError):
                width = os.get_terminal_size(self._terminal.fileno()).columns or width
        status = self._status()
        name = self._name[: max(SHORTEST_NAME_WIDTH, width - len(status) - 3)]
        return f"{name}: {status}"[: width - 1]

    def _show(self, line: str) -> None:
        """Overwrite the terminal's line. A closed terminal does not stop the download."""
        if self._terminal is not None:
            try:
                self._terminal.write(f"\r\033[K{line}")
                self._terminal.flush()
            except OSError:
                self._terminal = None


def _count_text(n: int, unit: str) -> str:
    return f"{n / 1e6:.1f} M {unit}" if n >= 1_000_000 else f"{n} {unit}"


def _duration_text(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
