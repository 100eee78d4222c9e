"""Energy of a real GPU, by the tracker and by `nvidia-smi` beside each other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest
from tracking import only_run, track

pytestmark = pytest.mark.slow

LOAD = """
import time
end = time.monotonic() + 30
try:
    import torch
    rows = torch.rand(8192, 8192, device="cuda")
except Exception:
    time.sleep(30)  # without a load, what an idle GPU draws
else:
    while time.monotonic() < end:
        rows = (rows @ rows).clamp(0, 1)
        torch.cuda.synchronize()
"""


def test_energy_is_that_of_nvidia_smi(tmp_path: Path) -> None:
    pytest.importorskip("pynvml")
    if shutil.which("nvidia-smi") is None:
        pytest.skip("there is no NVIDIA GPU")
    query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-lms", "200"]
    beside = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    try:
        assert track(tmp_path, "--", sys.executable, "-c", LOAD).returncode == 0
    finally:
        beside.terminate()
    said, _ = beside.communicate()
    run = only_run(tmp_path)
    assert run.n_gpus
    assert run.duration_s is not None
    # a line each GPU and reading
    power_w = mean(float(line) for line in said.split()) * run.n_gpus
    assert run.devices["gpu"].covered_frac > 0.9
    assert run.devices["gpu"].energy_j == pytest.approx(power_w * run.duration_s, rel=0.1)
