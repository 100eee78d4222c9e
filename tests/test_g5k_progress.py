"""How far a download is, as a terminal and a log show it."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from footprint.site.grid5000 import progress
from footprint.site.grid5000.progress import Progress

NOON = datetime(2025, 3, 31, 12, tzinfo=UTC)


class Clock:
    """Time that passes when a test says so."""

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
        """What was shown, one after the other."""
        return [text.rstrip("\r") for text in self.getvalue().split("\r\033[K")[1:]]


def quiet(n_requests: int) -> Progress:
    """Progress that no terminal shows, whatever the tests run in."""
    return Progress("gruss", n_requests, terminal=io.StringIO())


# What it says


def test_done_left_and_the_expected_end(clock: Clock) -> None:
    going = quiet(10)
    assert going.line() == "gruss: 0 of 10 requests; 0 samples"
    clock.s += 60
    going.done(1500, kept=False)
    going.done(1500, kept=False)
    # 30 s each, and 8 to come
    end = "about 4 min left, done at 12:05 UTC"
    assert going.line() == f"gruss: 2 of 10 requests; {end}; 3000 samples"


def test_nothing_is_left_at_the_end(clock: Clock) -> None:
    going = quiet(1)
    clock.s += 60
    going.done(2_500_000, kept=False)
    assert going.line() == "gruss: 1 of 1 requests; 2.5 M samples"


def test_more_requests_than_one_knew_put_the_end_off(clock: Clock) -> None:
    going = quiet(2)
    clock.s += 30
    going.done(10, kept=False)
    assert "about 30 s left, done at 12:01 UTC" in going.line()
    going.more(9)
    assert going.line().startswith("gruss: 1 of 11 requests; about 5 min left, done at 12:05 UTC")
    going.more(-10)
    assert going.line() == "gruss: 1 of 1 requests; 10 samples"


def test_an_end_on_another_day_has_its_date(clock: Clock) -> None:
    going = quiet(1001)
    clock.s += 120
    going.done(10, kept=False)
    # 1000 x 120 s = 33 h 20 min after 12:02
    assert "about 33.3 h left, done at 2025-04-01 21:22 UTC" in going.line()


def test_what_was_kept_before_does_not_spoil_the_estimate(clock: Clock) -> None:
    going = quiet(1005)
    for _ in range(1000):
        clock.s += 0.1  # reading what was kept takes its time, too
        going.done(10, kept=True)
    assert going.line() == "gruss: 1000 of 1005 requests; 10000 samples, 1000 requests kept before"
    clock.s += 20
    going.done(10, kept=False)
    # 20 s, and 4 to come; with the time for what was kept it would be 480 s
    assert "1001 of 1005 requests; about 80 s left, done at 12:03 UTC; " in going.line()


# In a log


def test_a_log_gets_a_plain_line_every_fifteen_seconds(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    going = quiet(200)
    for _ in range(100):
        clock.s += 1
        going.done(1, kept=False)
    assert len(caplog.messages) == 6
    start = "gruss: 15 of 200 requests; about 3 min left, done at 12:03 UTC; 15 samples"
    assert caplog.messages[0] == start
    assert not re.search(r"[\r\n\033]", "".join(caplog.messages))
    going.finish()
    assert caplog.messages[-1] == (
        "gruss: 100 samples from 100 requests, of which 0 were kept before; 100 s"
    )


def test_without_a_terminal_nothing_is_written_to_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", pipe)
    going = Progress("gruss", 2)
    clock.s += 60
    going.done(1, kept=False)
    going.finish()
    assert pipe.getvalue() == ""


def test_a_process_without_standard_error(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    going = Progress("gruss", 2)
    clock.s += 60
    going.done(1, kept=False)
    going.finish()
    assert going.n_done == 1


# On a terminal


def test_a_terminal_shows_one_line_in_place(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Tty()
    monkeypatch.setattr(sys, "__stderr__", terminal)
    going = Progress("gruss", 40)
    for _ in range(20):
        clock.s += 0.1
        going.done(1, kept=False)
    going.finish()
    *shown, cleared = terminal.updates()
    assert len(shown) == 4  # two a second
    assert shown[-1].startswith("gruss: 16 of 40 requests; about 2 s left, done at 12:00 UTC; ")
    assert cleared == ""
    assert "\n" not in terminal.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_the_line_fits_the_terminal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A longer one would go on in the next row, and stay there."""
    size = os.terminal_size((width, 24))
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    terminal = Tty()
    monkeypatch.setattr(terminal, "fileno", lambda: 2)
    what = "graffiti grouille gruss bmc_node_power_watt from 2025-03-31"
    going = Progress(what, 2000, terminal=terminal)
    for kept in (True, False):
        clock.s += 60
        going.done(1, kept=kept)
    shown = terminal.updates()[-1]
    assert len(shown) < width
    assert shown.startswith("graffiti")
    assert ("2 of 2000 requests; about 33.3 h left" in shown) == (width >= 80)
    assert (shown == going.line()) == (width == 300)


def test_a_terminal_that_is_gone_does_not_stop_a_download(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Tty()

    def gone(_: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(terminal, "write", gone)
    going = Progress("gruss", 2, terminal=terminal)
    for _ in range(2):
        clock.s += 60
        going.done(1, kept=False)
    going.finish()
    assert going.n_done == 2


# Several threads


def test_threads_lose_no_count() -> None:
    going = quiet(0)

    def work() -> None:
        for number in range(500):
            going.more(1)
            going.done(2, kept=number % 2 == 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = (going.n_requests, going.n_done, going.n_kept, going.n_items)
    assert counts == (2000, 2000, 1000, 4000)
