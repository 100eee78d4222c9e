"""Energy of devices: counters and sampled power, and nothing of what goes wrong with them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracking import IS_LOST, UNKNOWN, NVMLError, nvml, until

from footprint.tracker import facts, ledger, rapl, reading, recorder
from footprint.tracker import nvml as gpus
from footprint.tracker.meter import Counted, Device, Found, Lost, Meter, Sampled

HANGS_S = 120
"""Seconds after which a driver is taken to hang."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def metered(
    device: Device, steps_s: list[float], clock: Clock | None = None
) -> tuple[float, float]:
    """Joules and seconds covered of a device that is read after each step."""
    clock = clock or Clock()
    meter = Meter([device], clock)
    for step_s in [0.0, *steps_s]:
        clock.at_s += step_s
        found = meter.update()
    return found.energy_j[device.component], found.covered_s[device.component]


def values(*given: Any) -> Any:
    """A function that gives one value after the other; errors are raised."""
    rest = iter(given)

    def read() -> float:
        value = next(rest)
        if isinstance(value, Exception):
            raise value
        return float(value)

    return read


def test_a_counter_counts_from_the_first_reading() -> None:
    counter = Counted("gpu", "g", values(5000, 5600, 5900))
    assert metered(counter, [10, 5]) == (900.0, 15.0)


def test_a_counter_that_begins_again_goes_on() -> None:
    counter = Counted("cpu", "p", values(900, 50, 150), range_j=1000, most_w=50)
    assert metered(counter, [10, 10]) == (250.0, 20.0)


def test_a_counter_that_may_have_begun_again_twice_says_nothing() -> None:
    counter = Counted("cpu", "p", values(0, 500, 600), range_j=1000, most_w=50)
    assert metered(counter, [30, 10]) == (100.0, 10.0)


@pytest.mark.parametrize("odd", [0, 10**9])
def test_a_counter_that_was_reset_leaves_a_gap(odd: float) -> None:
    counter = Counted("gpu", "g", values(5000, odd, odd + 100))
    assert metered(counter, [10, 10]) == (100.0, 10.0)


def test_sampled_power_is_linear_between_near_readings() -> None:
    power = Sampled("gpu", "g", values(100, 200, 300, 300))
    assert metered(power, [2, 2, 60]) == (150 * 2 + 250 * 2, 4.0)


def test_a_reading_that_fails_is_a_gap_and_a_lost_device_stays_away() -> None:
    power = Sampled("gpu", "g", values(100, 100, ValueError(), 100, 100, Lost("gone")))
    clock = Clock()
    meter = Meter([power, Counted("gpu", "h", values(*range(0, 700, 100)))], clock)
    for _ in range(7):
        found = meter.update()
        clock.at_s += 1
    assert (found.energy_j["gpu"], found.covered_s["gpu"]) == (200.0 + 600.0, 2.0 + 6.0)
    assert meter.lost == {"g": "gone"}


def test_energy_between_two_moments_says_how_much_was_covered() -> None:
    clock = Clock()
    meter = Meter(
        [Counted("gpu", "g", values(0, 100, 300)), Sampled("gpu", "h", values(*[50] * 9))], clock
    )
    meter.update()
    clock.at_s += 10
    start = meter.update()
    clock.at_s += 20  # too far apart for sampled power
    found = meter.between(start, meter.update(), duration_s=20)
    assert found == {"gpu": {"energy_j": 200.0, "covered_frac": 0.5}}
    assert meter.between(start, start, duration_s=0)["gpu"]["covered_frac"] == 0.0


# NVML


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a stand-in for the package in its place."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda *given, **error: monkeypatch.setitem(sys.modules, "pynvml", nvml(given, **error))


def test_gpus_are_read_by_counter_or_by_power(driver: Any) -> None:
    driver({"counter_mj": values(0, 1000, 5000)}, {"power_mw": values(*[250_000] * 9)})
    found = gpus.find()
    assert found.absent is None
    assert [(each["name"], each["basis"]) for each in found.facts] == [
        ("gpu-0", "counter"),
        ("gpu-1", "sampled"),
    ]
    assert found.facts[0] | {"uuid": "GPU-0", "model": "Tesla", "limit_w": 250.0} == found.facts[0]
    assert metered(found.devices[0], [2]) == (4.0, 2.0)
    assert metered(found.devices[1], [2]) == (500.0, 2.0)


def test_a_lost_gpu_is_lost_and_another_error_is_a_gap(driver: Any) -> None:
    lost, flaky = NVMLError(IS_LOST), NVMLError(UNKNOWN)
    driver(
        {"counter_mj": values(0, 0, 1000, lost)},
        {"counter_mj": values(0, 0, 1000, flaky, 3000, 4000)},
    )
    clock = Clock()
    meter = Meter(gpus.find().devices, clock)
    for _ in range(5):
        found = meter.update()
        clock.at_s += 1
    assert found.energy_j["gpu"] == 1 + 1 + 1
    assert list(meter.lost) == ["gpu-0"]


def test_gpus_that_cannot_be_read_are_said(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus.find().absent == "the package nvidia-ml-py is not installed"
    driver(error=9)
    assert gpus.find() == Found([], [], "NVIDIA's driver does not answer (error 9)")
    driver()
    assert gpus.find().absent == "NVIDIA's driver lists no GPU"
    driver({}, {"counter_mj": 1})
    found = gpus.find()
    assert [device.name for device in found.devices] == ["gpu-1"]
    assert found.absent is not None
    assert "GPU 0 tells neither" in found.absent
    assert gpus.find(visible="7").absent == "CUDA_VISIBLE_DEVICES leaves none of 2 GPUs"


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("2,0", [2, 0]),
        ("GPU-b,GPU-a", [1, 0]),
        ("1, 9, 0", [1]),
        ("-1", []),
        ("0,0,1", [0]),
        ("GPU-", []),
        ("NoDevFiles", []),
    ],
)
def test_visible_gpus_are_those_that_cuda_sees(setting: str | None, seen: list[int]) -> None:
    assert facts.visible(setting, ["GPU-a1", "GPU-b2", "GPU-c3"]) == seen


# RAPL


def zone(
    folder: Path, name: str, says: str, energy_uj: int, range_uj: int = 262_143_000_000
) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "name").write_text(f"{says}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return path


def test_packages_and_their_memory_are_counted_once(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 0)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 0)
    zone(tmp_path, "intel-rapl:1", "psys", 0)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    found = rapl.find(tmp_path)
    assert (found.absent, [each.component for each in found.devices]) == (None, ["cpu", "memory"])
    clock = Clock()
    meter = Meter(found.devices, clock)
    meter.update()
    (package / "energy_uj").write_text("61000000")
    (memory / "energy_uj").write_text("5000000")
    clock.at_s += 10
    assert meter.update().energy_j == pytest.approx({"cpu": 60.0, "memory": 5.0})
    (package / "energy_uj").unlink()
    clock.at_s += 10
    assert meter.update().energy_j == pytest.approx({"cpu": 60.0, "memory": 5.0})
    assert list(meter.lost) == ["package-0@intel-rapl:0"]


def test_processors_that_cannot_be_read_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rapl.find(tmp_path).absent == "this machine shows none"
    zone(tmp_path, "intel-rapl:0", "psys", 0)
    assert rapl.find(tmp_path).absent == "this machine counts no processor"
    zone(tmp_path, "intel-rapl:1", "package-0", 0)
    read_text = Path.read_text

    def refuse(path: Path, *given: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(path, *given, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert rapl.find(tmp_path) == Found([], [], "its counters may be read by root alone")


# The recorder


def recorded(
    folder: Path,
    find: recorder.Sources,
    *,
    happen: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> reading.Read:
    """The ledger of a span in which something happens, once devices are read."""
    own = recorder.Recorder(ledger.Ledger(folder, job=1, host="gruss-1"), find=find, clock=clock)
    span = own.begin(within=None)
    own.watch()
    own.ready.wait(HANGS_S)
    happen()
    own.end(span, exit_status=0)
    return reading.read(reading.files(folder))


def test_energy_is_in_the_record_of_the_stop(tmp_path: Path) -> None:
    counter = iter(range(0, 10_000, 36))
    device = Counted("gpu", "g", lambda: next(counter))
    clock = Clock()

    def pass_a_minute() -> None:
        clock.at_s += 60.0

    find = {"nvml": lambda: Found([device], [{"name": "g"}], None)}
    [run] = recorded(tmp_path, find, happen=pass_a_minute, clock=clock).runs
    assert (run.duration_s, run.devices["gpu"].energy_j) == (60.0, 36.0)
    assert run.devices["gpu"].covered_frac == 1.0
    assert (run.n_gpus, run.absent) == (1, {})


def test_signs_of_life_carry_the_energy_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BEAT_S", 0.0)
    monkeypatch.setattr(recorder, "COUNTED_EVERY_S", 0.02)
    counter = iter(range(0, 10_000, 1))
    device = Counted("gpu", "g", lambda: next(counter))

    def see() -> None:
        until(lambda: '"seen"' in next(tmp_path.iterdir()).read_text())

    recorded(tmp_path, {"nvml": lambda: Found([device], [], None)}, happen=see)
    [path] = tmp_path.iterdir()
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]))  # as a kill leaves it
    [run] = reading.read([path]).runs
    assert run.end == "seen"
    assert run.devices["gpu"].energy_j > 0


def test_a_source_that_fails_is_said(tmp_path: Path) -> None:
    def fails() -> Found:
        raise RuntimeError("at fault")

    [run] = recorded(tmp_path, {"rapl": fails}).runs
    assert (run.absent, run.devices) == ({"rapl": "at fault"}, {})


def test_a_driver_that_hangs_does_not_hold_the_command_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LAST_READING_S", 0.05)
    released = threading.Event()

    def hang() -> Found:
        assert released.wait(HANGS_S)
        return Found([], [], None)

    own = recorder.Recorder(ledger.Ledger(tmp_path, job=1, host="gruss-1"), find={"nvml": hang})
    span = own.begin(within=None)
    own.watch()
    own.end(span)
    assert not own.ready.is_set()  # the end was written while the driver still hung
    [run] = reading.read(reading.files(tmp_path)).runs
    released.set()
    assert (run.end, run.devices) == ("stopped", {})


def test_readings_become_rarer_where_they_are_dear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "COUNTED_EVERY_S", 0.0)
    count = 0

    def dear() -> float:
        nonlocal count
        count += 1
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return 0.0

    def wait_for_more() -> None:
        until(lambda: count == 2)
        time.sleep(0.5)
        assert count == 2

    find = {"rapl": lambda: Found([Counted("cpu", "p", dear)], [], None)}
    recorded(tmp_path, find, happen=wait_for_more)
    # 0.01 s of work, then 3.3 s of rest: the first, one more, and the last
    assert count == 3


def test_time_between_two_spans_is_in_neither(tmp_path: Path) -> None:
    counter = iter(range(0, 10_000, 100))
    device = Counted("gpu", "g", lambda: next(counter))
    own = recorder.Recorder(
        ledger.Ledger(tmp_path, job=1, host="gruss-1"),
        find={"nvml": lambda: Found([device], [], None)},
    )
    for _ in range(2):
        span = own.begin(within=None)
        own.watch()
        own.ready.wait()
        inner = own.begin(within=span.identity)
        own.end(inner)
        own.end(span)
    runs = reading.read(reading.files(tmp_path)).runs
    # readings at: the start, the start and the end of what is inside, the end; and so again
    assert [run.devices["gpu"].energy_j for run in runs] == [300.0, 100.0, 300.0, 100.0]


def test_a_driver_that_hangs_later_holds_nothing_up_but_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_s: list[float | None] = []

    class Waited(threading.Event):
        """An event that records how long it is waited for."""

        def wait(self, timeout: float | None = None) -> bool:
            waits_s.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(recorder, "LAST_READING_S", 0.1)
    released, first = threading.Event(), iter([True])

    def counter() -> float:
        if not next(first, False):
            assert released.wait(HANGS_S)
        return 0.0

    device = Counted("gpu", "g", counter)
    own = recorder.Recorder(
        ledger.Ledger(tmp_path, job=1, host="gruss-1"),
        find={"nvml": lambda: Found([device], [], None)},
    )
    outer = own.begin(within=None)
    own.watch()
    own.ready.wait()
    monkeypatch.setattr(recorder.threading, "Event", Waited)
    for _ in range(50):
        own.end(own.begin(within=outer.identity))
    own.end(outer)
    assert waits_s == [0.1]
    runs = reading.read(reading.files(tmp_path)).runs
    assert {run.end for run in runs} == {"stopped"}
    assert {run.devices["gpu"].covered_frac for run in runs} == {0.0}
    released.set()
