"""Energy of a real GPU: the tracker against `nvidia-smi`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest

from tests.support.tracked_commands import only_run, run_track

pytestmark = pytest.mark.slow

LOAD = """
import time
end = time.monotonic() + 30
try:
    import torch
    rows = torch.rand(8192, 8192, device="cuda")
except Exception:
    time.sleep(30)  # without PyTorch, the GPU stays idle
else:
    while time.monotonic() < end:
        rows = (rows @ rows).clamp(0, 1)
        torch.cuda.synchronize()
"""


def test_track_real_gpu_energy_agrees_with_nvidia_smi(tmp_path: Path) -> None:
    pytest.importorskip("pynvml")
    if shutil.which("nvidia-smi") is None:
        pytest.skip("there is no NVIDIA GPU")
    query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-lms", "200"]
    sampler = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    try:
        assert run_track(tmp_path, "--", sys.executable, "-c", LOAD).returncode == 0
    finally:
        sampler.terminate()
    samples, _ = sampler.communicate()
    run = only_run(tmp_path)
    assert run.n_gpus
    assert run.duration_s is not None
    # a line for each GPU and reading
    power_w = mean(float(line) for line in samples.split()) * run.n_gpus
    assert run.devices["gpu"].covered_frac > 0.9
    assert run.devices["gpu"].energy_j == pytest.approx(power_w * run.duration_s, rel=0.1)
