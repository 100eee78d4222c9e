"""Cost of `footprint track`: its start, its readings, and a thousand commands at once.

    python tests/benchmarks/track_command.py [--seconds 60] [--call-ms 0.3]

Readings are of two processor counters (files in Linux's layout) and of eight GPUs that report power
alone, the most expensive case, through a stand-in whose every call takes some processor time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.tracked_commands import TRACK, environment, fake_nvml

from footprint.tracker import ledger, nvml, rapl, reading, recorder


def elapsed_ms(words: list[str], folder: Path, times: int) -> list[float]:
    """Milliseconds of each of `times` runs of a command."""
    found = []
    for _ in range(times):
        before_s = time.perf_counter()
        subprocess.run(words, env=environment(folder), check=True)
        found.append((time.perf_counter() - before_s) * 1e3)
    return found


def sampling_frac(folder: Path, *, seconds: float, call_ms: float) -> float:
    """Share of one core that tracking a run costs, all threads of this process included."""
    for number in range(2):
        zone = folder / f"intel-rapl:{number}"
        zone.mkdir()
        for name, text in (
            ("name", f"package-{number}"),
            ("energy_uj", "1000000"),
            ("max_energy_range_uj", "262143000000"),
        ):
            (zone / name).write_text(text)

    def power_mw() -> int:
        end = time.thread_time() + call_ms / 1e3
        while time.thread_time() < end:
            pass
        return 250_000

    sys.modules["pynvml"] = fake_nvml([{"power_mw": power_mw} for _ in range(8)])
    file = ledger.Ledger(folder / "ledger", job=1, host="gruss-1")
    sources = {"nvml": nvml.find_gpus, "rapl": lambda: rapl.find_counters(folder)}
    run_recorder = recorder.Recorder(file, sources=sources)
    run = run_recorder.begin_run(within=None)
    run_recorder.start_thread()
    run_recorder.ready.wait()
    before_s = time.process_time()
    time.sleep(seconds)
    cost_s = time.process_time() - before_s
    run_recorder.end_run(run, exit_status=0)
    return cost_s / seconds


def run_at_once(folder: Path, count: int) -> tuple[float, int, int]:
    """Seconds, whole records and faults of `count` commands at the same time."""
    before_s = time.perf_counter()
    started = [
        subprocess.Popen([*TRACK, "--no-devices", "--", "true"], env=environment(folder))
        for _ in range(count)
    ]
    for each in started:
        each.wait()
    contents = reading.read_ledgers(reading.ledger_files(folder / "ledger"))
    whole = sum(run.end == "stopped" for run in contents.runs)
    return time.perf_counter() - before_s, whole, len(contents.faults)


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--call-ms", type=float, default=0.3)
    given = options.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bare = elapsed_ms(["true"], folder, 20)
        tracked = elapsed_ms([*TRACK, "--", "true"], folder, 20)
        print(
            f"start: {statistics.median(tracked) - statistics.median(bare):.0f} ms more than the "
            f"command alone, {max(tracked):.0f} ms at most (20 runs)"
        )
    with TemporaryDirectory() as name:
        frac = sampling_frac(Path(name), seconds=given.seconds, call_ms=given.call_ms)
        print(f"readings of 8 GPUs and 2 processors: {frac:.3%} of one core")
    with TemporaryDirectory() as name:
        seconds, whole, faults = run_at_once(Path(name), 1000)
        print(f"1000 at once: {whole} whole records, {faults} faults, {seconds:.0f} s")


if __name__ == "__main__":
    main()
