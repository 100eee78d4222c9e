"""Trackers of one machine share the energy of its devices."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from footprint.tracker import reading, shared_accounts
from footprint.tracker.meter import CountedDevice, DeviceLost, Meter, SampledDevice
from footprint.tracker.shared_accounts import SharedAccounts
from tests.support.tracked_commands import environment, read_ledger, wait_until

POWER_W = 100.0
TRACK_COUNTERS = [
    sys.executable,
    "-c",
    "import sys, pathlib; from footprint.tracker import command, rapl, recorder;"
    "folder = pathlib.Path(sys.argv.pop(1));"
    "recorder.COUNTER_PERIOD_S = 0.1;"
    "recorder.device_sources = lambda: {'rapl': lambda: rapl.find_counters(folder)};"
    "command.main(sys.argv[1:])",
]
"""`footprint track` with the counters in a folder, read often."""


class Machine:
    """A machine with a counter, and a clock set by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.at_s, self.counter_j = folder, 0.0, 5000.0

    def tracker(self, group: str, *, sampled_w: Callable[[], float] | None = None) -> Meter:
        """A tracker of this machine."""
        device = (
            CountedDevice("cpu", "p", lambda: self.counter_j)
            if sampled_w is None
            else SampledDevice("cpu", "p", sampled_w)
        )
        return Meter([device], lambda: self.at_s, SharedAccounts(group, self.folder))

    def work(self, seconds: float, power_w: float = POWER_W) -> None:
        """Let time pass."""
        self.at_s += seconds
        self.counter_j += seconds * power_w


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "accounts")


def end(meter: Meter) -> tuple[float, float]:
    totals = meter.read_devices(is_last=True)
    return totals.energy_j["cpu"], totals.covered_s["cpu"]


def test_accounts_two_trackers_divide_the_energy_of_their_common_time(machine: Machine) -> None:
    first, second = machine.tracker("a"), machine.tracker("b")
    first.read_devices()
    machine.work(10)
    second.read_devices()
    machine.work(20, power_w=50)
    assert end(second) == (pytest.approx(500), 20)
    machine.work(5)
    # alone for 10 s, half of 20 s, alone for 5 s, whenever each of them read
    assert end(first) == (pytest.approx(1000 + 500 + 500), 35)
    assert (first.most_trackers, second.most_trackers) == (2, 2)
    assert first.latest_totals().whole_j["cpu"] == pytest.approx(2500)
    assert second.latest_totals().whole_j["cpu"] == pytest.approx(1000)


def test_accounts_readings_at_any_times_add_up_to_the_counter(machine: Machine) -> None:
    meters = [machine.tracker(str(number)) for number in range(3)]
    for number, meter in enumerate(meters):
        machine.work(3, power_w=10 * number)
        meter.read_devices()
        if number == 0:
            start_j = machine.counter_j
    for number in (0, 0, 2, 1, 2, 0, 1, 1):
        machine.work(1 + number, power_w=100 * number + 7)
        meters[number].read_devices()
    assert sum(end(meter)[0] for meter in meters) == pytest.approx(machine.counter_j - start_j)
    assert list(machine.folder.iterdir()) == []


def test_accounts_sampled_power_is_divided_as_well(machine: Machine) -> None:
    first = machine.tracker("a", sampled_w=lambda: 100.0)
    second = machine.tracker("b", sampled_w=lambda: 300.0)
    for meter in (first, second, first, second):
        meter.read_devices()
        machine.work(2)
    # trapezoids between readings of either: 2 s at 200 W alone, then 6 s divided
    assert end(first)[0] + end(second)[0] == pytest.approx(4 * 2 * 200)


def test_accounts_inner_tracker_has_the_part_of_its_outer_one(machine: Machine) -> None:
    outer, inner, other = (machine.tracker(group) for group in ("a", "a", "b"))
    for meter in (outer, inner, other):
        meter.read_devices()
    machine.work(10)
    assert [end(meter)[0] for meter in (inner, other, outer)] == pytest.approx([500, 500, 500])
    assert outer.most_trackers == 2


def test_accounts_killed_tracker_takes_no_more(machine: Machine) -> None:
    survivor = machine.tracker("a")
    survivor.read_devices()
    pid = os.fork()
    if pid == 0:
        machine.tracker("b").read_devices()
        os._exit(0)  # without a last reading, as when it is killed
    os.waitpid(pid, 0)
    machine.work(10)
    survivor.read_devices()
    assert end(survivor) == (pytest.approx(1000), 10)


def test_accounts_unseen_tracker_that_reads_no_more_is_removed_in_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, whose processes have other ids here."""
    monkeypatch.setattr(shared_accounts, "_process_name", lambda _: "")
    silent, survivor = machine.tracker("a"), machine.tracker("b")
    silent.read_devices()
    survivor.read_devices()
    machine.work(50)
    survivor.read_devices()
    machine.work(50)
    survivor.read_devices()
    machine.work(10)
    assert end(survivor)[0] == pytest.approx(2500 + 5000 + 1000)
    silent.read_devices()  # it was only stopped: what it missed stays unknown
    machine.work(10)
    assert end(silent) == (pytest.approx(1000), 10)


def test_accounts_reading_fails_leaves_gap_for_all(machine: Machine) -> None:
    counters = iter([0.0, 100.0, DeviceLost("gone")])

    def read() -> float:
        value = next(counters)
        if isinstance(value, Exception):
            raise value
        return value

    accounts = SharedAccounts("a", machine.folder)
    failing = Meter([CountedDevice("cpu", "p", read)], lambda: machine.at_s, accounts)
    other = machine.tracker("b")
    failing.read_devices()
    machine.work(1)
    failing.read_devices()
    failing.read_devices()
    assert failing.lost_devices == {"p": "gone"}
    machine.counter_j = 200.0
    other.read_devices()
    machine.work(1)
    assert end(other)[1] == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"last": 3}', b'{"last":[0,"NaN"],"members":{}}'])
def test_accounts_damaged_file_begins_again(machine: Machine, content: bytes) -> None:
    meter = machine.tracker("a")
    meter.read_devices()
    [path] = machine.folder.iterdir()
    path.write_bytes(content)
    machine.work(10)
    meter.read_devices()
    machine.work(10)
    assert end(meter) == (pytest.approx(1000), 10)


def test_accounts_folder_cannot_be_made_energy_is_whole_and_reason_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = Machine(tmp_path / "file")
    accounts = SharedAccounts("a", machine.folder)
    assert accounts.unshared_reason == f"{machine.folder}: File exists"
    meter = machine.tracker("a")
    meter.read_devices()
    machine.work(10)
    assert end(meter) == (pytest.approx(1000), 10)


def test_accounts_link_in_place_of_a_file_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    meter = machine.tracker("a")
    meter.read_devices()
    [path] = machine.folder.iterdir()
    path.unlink()
    (tmp_path / "precious").write_text("mine")
    path.symlink_to(tmp_path / "precious")
    machine.work(10)
    assert end(meter) == (0.0, 0.0)
    assert (tmp_path / "precious").read_text() == "mine"


def test_accounts_locked_file_delays_a_reading_and_loses_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_accounts, "LOCK_TIMEOUT_S", 0.05)
    meter = machine.tracker("a")
    meter.read_devices()
    [path] = machine.folder.iterdir()
    with shared_accounts._locked_account(path):
        machine.work(10)
        assert meter.read_devices().energy_j["cpu"] == 0.0
    assert end(meter) == (pytest.approx(1000), 10)


@contextmanager
def growing_counter(folder: Path) -> Iterator[Callable[[], float]]:
    """A processor's counter at `POWER_W`; the function returns its joules so far."""
    zone = folder / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0")
    (zone / "max_energy_range_uj").write_text("262143328850")
    began_s = time.monotonic()
    stopped = threading.Event()

    def write() -> float:
        energy_j = POWER_W * (time.monotonic() - began_s)
        (folder / "new").write_text(f"{energy_j * 1e6:.0f}")
        (folder / "new").replace(zone / "energy_uj")
        return energy_j

    def run() -> None:
        while not stopped.wait(0.01):
            write()

    write()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: int((zone / "energy_uj").read_text()) / 1e6
    finally:
        stopped.set()
        thread.join()


def test_track_two_commands_at_once_share_the_energy_of_the_devices(tmp_path: Path) -> None:
    variables = environment(tmp_path, FOOTPRINT_ACCOUNTS=str(tmp_path / "accounts"))
    with growing_counter(tmp_path / "zones") as counter_j:
        before_j = counter_j()
        started = [
            subprocess.Popen(
                [*TRACK_COUNTERS, str(tmp_path / "zones"), "--", "sleep", seconds], env=variables
            )
            for seconds in ("3", "3")
        ]
        assert [each.wait() for each in started] == [0, 0]
        whole_j = counter_j() - before_j
    contents = read_ledger(tmp_path)
    assert contents.faults == []
    runs = contents.runs
    parts_j = [run.devices["cpu"].energy_j for run in runs]
    assert sum(parts_j) <= whole_j
    assert sum(parts_j) >= 0.3 * whole_j  # the rest is the start and the end of the processes
    for run in runs:
        energy = run.devices["cpu"]
        assert energy.covered_frac > 0.3
        assert run.duration_s is not None
        alone_j = POWER_W * run.duration_s * energy.covered_frac
        assert energy.whole_j == pytest.approx(alone_j, rel=0.2)
        assert energy.energy_j < 0.9 * energy.whole_j
    assert list((tmp_path / "accounts").iterdir()) == []


def test_track_inner_command_has_the_energy_of_the_outer_one(tmp_path: Path) -> None:
    variables = environment(tmp_path, FOOTPRINT_ACCOUNTS=str(tmp_path / "accounts"))
    track = [*TRACK_COUNTERS, str(tmp_path / "zones"), "--"]
    with growing_counter(tmp_path / "zones"):
        done = subprocess.run([*track, *track, "sleep", "1.5"], env=variables, check=False)
    assert done.returncode == 0
    contents = read_ledger(tmp_path)
    outer, inner = contents.runs
    assert contents.outermost_runs() == [outer]
    for run in (outer, inner):
        energy = run.devices["cpu"]
        assert energy.shared_j is None
        assert run.duration_s is not None
        expected_j = POWER_W * run.duration_s * energy.covered_frac
        assert energy.energy_j == pytest.approx(expected_j, rel=0.25)


def test_track_killed_beside_another_sum_stays_within_the_devices(tmp_path: Path) -> None:
    variables = environment(tmp_path, FOOTPRINT_ACCOUNTS=str(tmp_path / "accounts"))
    track = [*TRACK_COUNTERS, str(tmp_path / "zones"), "--", "sleep"]
    with growing_counter(tmp_path / "zones") as counter_j:
        before_j = counter_j()
        killed = subprocess.Popen([*track, "60"], env=variables)
        wait_until(lambda: any(tmp_path.glob("accounts/*.json")))
        survivor = subprocess.Popen([*track, "2"], env=variables)
        time.sleep(1)
        killed.kill()
        killed.wait()
        assert survivor.wait() == 0
        whole_j = counter_j() - before_j
    energies = [
        each.energy_j for run in read_ledger(tmp_path).runs for each in run.devices.values()
    ]
    assert 0 < sum(energies) <= whole_j


def test_read_ledgers_shared_energy_has_part_and_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"format":1,"record":"start","id":"a","at":"2025-03-10T08:00:00Z"}\n'
        '{"format":1,"record":"stop","id":"a","at":"2025-03-10T08:01:00Z","duration_s":60,'
        '"devices":{"cpu":{"energy_j":40,"covered_frac":1,"whole_j":100}},"trackers":2}\n'
    )
    [run] = reading.read_folder(tmp_path).runs
    assert (run.devices["cpu"].energy_j, run.devices["cpu"].whole_j) == (40, 100)
