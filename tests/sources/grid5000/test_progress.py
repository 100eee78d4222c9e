"""Progress of a download in a terminal and in a log."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from footprint.sources.grid5000 import progress
from footprint.sources.grid5000.progress import Progress

NOON = datetime(2025, 3, 31, 12, tzinfo=UTC)


class Clock:
    """Time that passes only when a test advances it."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s

    def now(self, zone: tzinfo) -> datetime:
        return (NOON + timedelta(seconds=self.s - 1000.0)).astimezone(zone)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(progress, "datetime", clock)
    caplog.set_level(logging.INFO, logger=progress.__name__)
    return clock


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True

    def updates(self) -> list[str]:
        """Return the shown lines, in order."""
        return [text.rstrip("\r") for text in self.getvalue().split("\r\033[K")[1:]]


def hidden_progress(n_requests: int) -> Progress:
    """Return a progress that no terminal shows, even if the tests run in one."""
    return Progress("gruss", n_requests, terminal=io.StringIO())


# Status line


def test_status_line_has_requests_done_and_left_and_the_expected_end(clock: Clock) -> None:
    counted = hidden_progress(10)
    assert counted.status_line() == "gruss: 0 of 10 requests; 0 samples"
    clock.s += 60
    counted.count_answer(1500, is_kept=False)
    counted.count_answer(1500, is_kept=False)
    # 30 s each, and 8 to come
    end = "about 4 min left, done at 12:05 UTC"
    assert counted.status_line() == f"gruss: 2 of 10 requests; {end}; 3000 samples"


def test_status_line_of_a_finished_download_has_no_end(clock: Clock) -> None:
    counted = hidden_progress(1)
    clock.s += 60
    counted.count_answer(2_500_000, is_kept=False)
    assert counted.status_line() == "gruss: 1 of 1 requests; 2.5 M samples"


def test_added_requests_change_the_expected_end(clock: Clock) -> None:
    counted = hidden_progress(2)
    clock.s += 30
    counted.count_answer(10, is_kept=False)
    assert "about 30 s left, done at 12:01 UTC" in counted.status_line()
    counted.add_requests(9)
    assert counted.status_line().startswith(
        "gruss: 1 of 11 requests; about 5 min left, done at 12:05 UTC"
    )
    counted.add_requests(-10)
    assert counted.status_line() == "gruss: 1 of 1 requests; 10 samples"


def test_expected_end_on_another_day_has_its_date(clock: Clock) -> None:
    counted = hidden_progress(1001)
    clock.s += 120
    counted.count_answer(10, is_kept=False)
    # 1000 x 120 s = 33 h 20 min after 12:02
    assert "about 33.3 h left, done at 2025-04-01 21:22 UTC" in counted.status_line()


def test_kept_answers_do_not_change_the_expected_end(clock: Clock) -> None:
    counted = hidden_progress(1005)
    for _ in range(1000):
        clock.s += 0.1  # reading kept answers takes time too
        counted.count_answer(10, is_kept=True)
    assert (
        counted.status_line()
        == "gruss: 1000 of 1005 requests; 10000 samples, 1000 requests kept before"
    )
    clock.s += 20
    counted.count_answer(10, is_kept=False)
    # 20 s each, and 4 to come; with the time of the kept answers it would be 480 s
    assert "1001 of 1005 requests; about 80 s left, done at 12:03 UTC; " in counted.status_line()


# In a log


def test_log_has_a_plain_line_every_fifteen_seconds(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    counted = hidden_progress(200)
    for _ in range(100):
        clock.s += 1
        counted.count_answer(1, is_kept=False)
    assert len(caplog.messages) == 6
    start = "gruss: 15 of 200 requests; about 3 min left, done at 12:03 UTC; 15 samples"
    assert caplog.messages[0] == start
    assert not re.search(r"[\r\n\033]", "".join(caplog.messages))
    counted.finish()
    assert caplog.messages[-1] == (
        "gruss: 100 samples from 100 requests, of which 0 were kept before; 100 s"
    )


def test_standard_error_that_is_no_terminal_stays_empty(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", pipe)
    counted = Progress("gruss", 2)
    clock.s += 60
    counted.count_answer(1, is_kept=False)
    counted.finish()
    assert pipe.getvalue() == ""


def test_progress_without_standard_error_counts(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    counted = Progress("gruss", 2)
    clock.s += 60
    counted.count_answer(1, is_kept=False)
    counted.finish()
    assert counted.n_done == 1


# On a terminal


def test_terminal_shows_one_line_in_place(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Tty()
    monkeypatch.setattr(sys, "__stderr__", terminal)
    counted = Progress("gruss", 40)
    for _ in range(20):
        clock.s += 0.1
        counted.count_answer(1, is_kept=False)
    counted.finish()
    *shown, cleared = terminal.updates()
    assert len(shown) == 4  # two a second
    assert shown[-1].startswith("gruss: 16 of 40 requests; about 2 s left, done at 12:00 UTC; ")
    assert cleared == ""
    assert "\n" not in terminal.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_shown_line_fits_the_width_of_the_terminal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A longer line would continue in the next row, and stay there."""
    size = os.terminal_size((width, 24))
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    terminal = Tty()
    monkeypatch.setattr(terminal, "fileno", lambda: 2)
    name = "graffiti grouille gruss bmc_node_power_watt from 2025-03-31"
    counted = Progress(name, 2000, terminal=terminal)
    for kept in (True, False):
        clock.s += 60
        counted.count_answer(1, is_kept=kept)
    shown = terminal.updates()[-1]
    assert len(shown) < width
    assert shown.startswith("graffiti")
    assert ("2 of 2000 requests; about 33.3 h left" in shown) == (width >= 80)
    assert (shown == counted.status_line()) == (width == 300)


def test_closed_terminal_does_not_stop_the_download(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Tty()

    def fail_to_write(_: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(terminal, "write", fail_to_write)
    counted = Progress("gruss", 2, terminal=terminal)
    for _ in range(2):
        clock.s += 60
        counted.count_answer(1, is_kept=False)
    counted.finish()
    assert counted.n_done == 2


# Several threads


def test_counts_of_several_threads_are_complete() -> None:
    counted = hidden_progress(0)

    def work() -> None:
        for number in range(500):
            counted.add_requests(1)
            counted.count_answer(2, is_kept=number % 2 == 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = (counted.n_requests, counted.n_done, counted.n_kept, counted.n_items)
    assert counts == (2000, 2000, 1000, 4000)
