"""Energy of devices from counters and sampled power, with gaps where a reading fails."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from footprint.tracker import facts, ledger, nvml, rapl, reading, recorder
from footprint.tracker.meter import (
    CountedDevice,
    DetectedDevices,
    Device,
    DeviceLost,
    Meter,
    SampledDevice,
)
from tests.support.tracked_commands import GPU_IS_LOST, UNKNOWN, NVMLError, fake_nvml, wait_until

HANGS_S = 120
"""Seconds after which a driver is taken to hang."""


class Clock:
    """A clock set by the test."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def energy_and_coverage(
    device: Device, steps_s: list[float], clock: Clock | None = None
) -> tuple[float, float]:
    """Joules and covered seconds of a device that is read after each step."""
    clock = clock or Clock()
    meter = Meter([device], clock)
    for step_s in [0.0, *steps_s]:
        clock.at_s += step_s
        found = meter.read_devices()
    return found.energy_j[device.component], found.covered_s[device.component]


def reader_of(*given: Any) -> Any:
    """A function that returns one value after the other, and raises those that are errors."""
    rest = iter(given)

    def read() -> float:
        value = next(rest)
        if isinstance(value, Exception):
            raise value
        return float(value)

    return read


def test_counted_device_first_reading_counts_no_energy() -> None:
    counter = CountedDevice("gpu", "g", reader_of(5000, 5600, 5900))
    assert energy_and_coverage(counter, [10, 5]) == (900.0, 15.0)


def test_counted_device_wraps_once_energy_continues() -> None:
    counter = CountedDevice("cpu", "p", reader_of(900, 50, 150), range_j=1000, max_power_w=50)
    assert energy_and_coverage(counter, [10, 10]) == (250.0, 20.0)


def test_counted_device_may_have_wrapped_twice_leaves_gap() -> None:
    counter = CountedDevice("cpu", "p", reader_of(0, 500, 600), range_j=1000, max_power_w=50)
    assert energy_and_coverage(counter, [30, 10]) == (100.0, 10.0)


@pytest.mark.parametrize("odd", [0, 10**9])
def test_counted_device_reset_leaves_gap(odd: float) -> None:
    counter = CountedDevice("gpu", "g", reader_of(5000, odd, odd + 100))
    assert energy_and_coverage(counter, [10, 10]) == (100.0, 10.0)


def test_sampled_device_readings_near_integrates_trapezoids() -> None:
    power = SampledDevice("gpu", "g", reader_of(100, 200, 300, 300))
    assert energy_and_coverage(power, [2, 2, 60]) == (150 * 2 + 250 * 2, 4.0)


def test_meter_reading_fails_leaves_gap_and_lost_device_is_not_read_again() -> None:
    power = SampledDevice(
        "gpu", "g", reader_of(100, 100, ValueError(), 100, 100, DeviceLost("gone"))
    )
    clock = Clock()
    meter = Meter([power, CountedDevice("gpu", "h", reader_of(*range(0, 700, 100)))], clock)
    for _ in range(7):
        found = meter.read_devices()
        clock.at_s += 1
    assert (found.energy_j["gpu"], found.covered_s["gpu"]) == (200.0 + 600.0, 2.0 + 6.0)
    assert meter.lost_devices == {"g": "gone"}


def test_energy_between_gap_in_power_returns_covered_share() -> None:
    clock = Clock()
    meter = Meter(
        [
            CountedDevice("gpu", "g", reader_of(0, 100, 300)),
            SampledDevice("gpu", "h", reader_of(*[50] * 9)),
        ],
        clock,
    )
    meter.read_devices()
    clock.at_s += 10
    start = meter.read_devices()
    clock.at_s += 20  # a gap for sampled power
    found = meter.energy_between(start, meter.read_devices(), duration_s=20)
    assert found == {"gpu": {"energy_j": 200.0, "covered_frac": 0.5}}
    assert meter.energy_between(start, start, duration_s=0)["gpu"]["covered_frac"] == 0.0


# NVML


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that replaces the package `pynvml` by a stand-in with the given GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda *gpus, **error: monkeypatch.setitem(
        sys.modules, "pynvml", fake_nvml(gpus, **error)
    )


def test_find_gpus_card_without_counter_is_sampled(driver: Any) -> None:
    driver({"counter_mj": reader_of(0, 1000, 5000)}, {"power_mw": reader_of(*[250_000] * 9)})
    found = nvml.find_gpus()
    assert found.absent is None
    assert [(each["name"], each["basis"]) for each in found.facts] == [
        ("gpu-0", "counter"),
        ("gpu-1", "sampled"),
    ]
    assert found.facts[0] | {"uuid": "GPU-0", "model": "Tesla", "limit_w": 250.0} == found.facts[0]
    assert energy_and_coverage(found.devices[0], [2]) == (4.0, 2.0)
    assert energy_and_coverage(found.devices[1], [2]) == (500.0, 2.0)


def test_find_gpus_lost_gpu_is_dropped_and_other_error_leaves_gap(driver: Any) -> None:
    lost, flaky = NVMLError(GPU_IS_LOST), NVMLError(UNKNOWN)
    driver(
        {"counter_mj": reader_of(0, 0, 1000, lost)},
        {"counter_mj": reader_of(0, 0, 1000, flaky, 3000, 4000)},
    )
    clock = Clock()
    meter = Meter(nvml.find_gpus().devices, clock)
    for _ in range(5):
        found = meter.read_devices()
        clock.at_s += 1
    assert found.energy_j["gpu"] == 1 + 1 + 1
    assert list(meter.lost_devices) == ["gpu-0"]


def test_find_gpus_not_readable_returns_reason(
    driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.find_gpus().absent == "the package nvidia-ml-py is not installed"
    driver(error=9)
    assert nvml.find_gpus() == DetectedDevices([], [], "NVIDIA's driver does not respond (error 9)")
    driver()
    assert nvml.find_gpus().absent == "NVIDIA's driver lists no GPU"
    driver({}, {"counter_mj": 1})
    found = nvml.find_gpus()
    assert [device.name for device in found.devices] == ["gpu-1"]
    assert found.absent is not None
    assert "GPU 0 reports neither energy nor power" in found.absent
    assert nvml.find_gpus(visible="7").absent == "CUDA_VISIBLE_DEVICES hides all 2 GPUs"


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
def test_visible_gpus_setting_follows_rule_of_cuda(setting: str | None, seen: list[int]) -> None:
    assert facts.visible_gpus(setting, ["GPU-a1", "GPU-b2", "GPU-c3"]) == seen


# RAPL


def make_zone(
    folder: Path, name: str, zone_name: str, energy_uj: int, range_uj: int = 262_143_000_000
) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "name").write_text(f"{zone_name}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return path


def test_find_counters_nested_zones_count_packages_and_memory_once(tmp_path: Path) -> None:
    package = make_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    make_zone(tmp_path, "intel-rapl:0:0", "core", 0)
    memory = make_zone(tmp_path, "intel-rapl:0:1", "dram", 0)
    make_zone(tmp_path, "intel-rapl:1", "psys", 0)
    make_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    found = rapl.find_counters(tmp_path)
    assert (found.absent, [each.component for each in found.devices]) == (None, ["cpu", "memory"])
    clock = Clock()
    meter = Meter(found.devices, clock)
    meter.read_devices()
    (package / "energy_uj").write_text("61000000")
    (memory / "energy_uj").write_text("5000000")
    clock.at_s += 10
    assert meter.read_devices().energy_j == pytest.approx({"cpu": 60.0, "memory": 5.0})
    (package / "energy_uj").unlink()
    clock.at_s += 10
    assert meter.read_devices().energy_j == pytest.approx({"cpu": 60.0, "memory": 5.0})
    assert list(meter.lost_devices) == ["package-0@intel-rapl:0"]


def test_find_counters_not_readable_returns_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rapl.find_counters(tmp_path).absent == "this machine has no RAPL counters"
    make_zone(tmp_path, "intel-rapl:0", "psys", 0)
    assert rapl.find_counters(tmp_path).absent == "this machine has no RAPL counter of a processor"
    make_zone(tmp_path, "intel-rapl:1", "package-0", 0)
    read_text = Path.read_text

    def refuse(path: Path, *words: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(path, *words, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert rapl.find_counters(tmp_path) == DetectedDevices(
        [], [], "only root may read the RAPL counters"
    )


# The recorder


def ledger_after_run(
    folder: Path,
    sources: recorder.DeviceSources,
    *,
    during_run: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> reading.LedgerContents:
    """Contents of the ledger after a run that calls `during_run` once devices are read."""
    run_recorder = recorder.Recorder(
        ledger.Ledger(folder, job=1, host="gruss-1"), sources=sources, clock=clock
    )
    run = run_recorder.begin_run(within=None)
    run_recorder.start_thread()
    run_recorder.ready.wait(HANGS_S)
    during_run()
    run_recorder.end_run(run, exit_status=0)
    return reading.read_ledgers(reading.ledger_files(folder))


def test_recorder_run_ends_stop_record_has_energy(tmp_path: Path) -> None:
    counter = iter(range(0, 10_000, 36))
    device = CountedDevice("gpu", "g", lambda: next(counter))
    clock = Clock()

    def pass_a_minute() -> None:
        clock.at_s += 60.0

    sources = {"nvml": lambda: DetectedDevices([device], [{"name": "g"}], None)}
    [run] = ledger_after_run(tmp_path, sources, during_run=pass_a_minute, clock=clock).runs
    assert (run.duration_s, run.devices["gpu"].energy_j) == (60.0, 36.0)
    assert run.devices["gpu"].covered_frac == 1.0
    assert (run.n_gpus, run.absent) == (1, {})


def test_recorder_run_killed_last_sign_of_life_has_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SIGN_OF_LIFE_MIN_S", 0.0)
    monkeypatch.setattr(recorder, "COUNTER_PERIOD_S", 0.02)
    counter = iter(range(0, 10_000, 1))
    device = CountedDevice("gpu", "g", lambda: next(counter))

    def wait_for_sign_of_life() -> None:
        wait_until(lambda: '"seen"' in next(tmp_path.iterdir()).read_text())

    sources = {"nvml": lambda: DetectedDevices([device], [], None)}
    ledger_after_run(tmp_path, sources, during_run=wait_for_sign_of_life)
    [path] = tmp_path.iterdir()
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]))  # the ledger of a killed process
    [run] = reading.read_ledgers([path]).runs
    assert run.end == "seen"
    assert run.devices["gpu"].energy_j > 0


def test_recorder_source_fails_records_reason(tmp_path: Path) -> None:
    def fails() -> DetectedDevices:
        raise RuntimeError("at fault")

    [run] = ledger_after_run(tmp_path, {"rapl": fails}).runs
    assert (run.absent, run.devices) == ({"rapl": "at fault"}, {})


def test_recorder_driver_hangs_at_start_run_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "READING_TIMEOUT_S", 0.05)
    released = threading.Event()

    def hang() -> DetectedDevices:
        assert released.wait(HANGS_S)
        return DetectedDevices([], [], None)

    run_recorder = recorder.Recorder(
        ledger.Ledger(tmp_path, job=1, host="gruss-1"), sources={"nvml": hang}
    )
    started = run_recorder.begin_run(within=None)
    run_recorder.start_thread()
    run_recorder.end_run(started)
    assert not run_recorder.ready.is_set()  # the end was written while the driver still hung
    [run] = reading.read_ledgers(reading.ledger_files(tmp_path)).runs
    released.set()
    assert (run.end, run.devices) == ("stopped", {})


def test_recorder_readings_slow_are_taken_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "COUNTER_PERIOD_S", 0.0)
    count = 0

    def read_slowly() -> float:
        nonlocal count
        count += 1
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return 0.0

    def wait_for_more() -> None:
        wait_until(lambda: count == 2)
        time.sleep(0.5)
        assert count == 2

    sources = {"rapl": lambda: DetectedDevices([CountedDevice("cpu", "p", read_slowly)], [], None)}
    ledger_after_run(tmp_path, sources, during_run=wait_for_more)
    # 0.01 s of work needs 3.3 s of rest: readings at the start, once more, and at the end
    assert count == 3


def test_recorder_two_runs_in_a_row_exclude_time_between(tmp_path: Path) -> None:
    counter = iter(range(0, 10_000, 100))
    device = CountedDevice("gpu", "g", lambda: next(counter))
    run_recorder = recorder.Recorder(
        ledger.Ledger(tmp_path, job=1, host="gruss-1"),
        sources={"nvml": lambda: DetectedDevices([device], [], None)},
    )
    for _ in range(2):
        run = run_recorder.begin_run(within=None)
        run_recorder.start_thread()
        run_recorder.ready.wait()
        inner = run_recorder.begin_run(within=run.identity)
        run_recorder.end_run(inner)
        run_recorder.end_run(run)
    runs = reading.read_ledgers(reading.ledger_files(tmp_path)).runs
    # twice: readings at the outer start, the inner start, the inner end, the outer end
    assert [run.devices["gpu"].energy_j for run in runs] == [300.0, 100.0, 300.0, 100.0]


def test_recorder_driver_hangs_later_delays_runs_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_s: list[float | None] = []

    class RecordedEvent(threading.Event):
        """An event that records the time limits of its waits."""

        def wait(self, timeout: float | None = None) -> bool:
            waits_s.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(recorder, "READING_TIMEOUT_S", 0.1)
    released, first = threading.Event(), iter([True])

    def counter() -> float:
        if not next(first, False):
            assert released.wait(HANGS_S)
        return 0.0

    device = CountedDevice("gpu", "g", counter)
    run_recorder = recorder.Recorder(
        ledger.Ledger(tmp_path, job=1, host="gruss-1"),
        sources={"nvml": lambda: DetectedDevices([device], [], None)},
    )
    outer = run_recorder.begin_run(within=None)
    run_recorder.start_thread()
    run_recorder.ready.wait()
    monkeypatch.setattr(recorder.threading, "Event", RecordedEvent)
    for _ in range(50):
        run_recorder.end_run(run_recorder.begin_run(within=outer.identity))
    run_recorder.end_run(outer)
    assert waits_s == [0.1]
    runs = reading.read_ledgers(reading.ledger_files(tmp_path)).runs
    assert {run.end for run in runs} == {"stopped"}
    assert {run.devices["gpu"].covered_frac for run in runs} == {0.0}
    released.set()
