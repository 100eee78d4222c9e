"""Period of a sensor from its samples, and energies by `sum_of_samples` that use it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from footprint.energy import sensor_period
from tests.support.integrations import DAY_S, allocated, by_job, integrate, samples


def sum_of_samples_j(times_s: Any, power_w: Any, held: tuple[float, float]) -> float:
    jobs, _ = integrate(
        samples(times_s, power_w), allocated((1, *held, 1.0)), method="sum_of_samples"
    )
    return by_job(jobs)[1]


def test_sum_of_samples_uses_the_period_of_the_samples() -> None:
    for period_s in (0.02, 0.1, 1.0, 15.0):
        times = np.arange(0, max(600, 100 * period_s), period_s)
        found = sum_of_samples_j(times, np.full(len(times), 200.0), (60, 120))
        assert found == pytest.approx(200 * 60, rel=1e-3)


def test_sensor_period_of_a_coarse_clock_is_the_mean_distance() -> None:
    distances_us = np.resize([4_994_488, 4_994_488, 4_994_489, 5_010_488, 5_010_489], 3000)
    times_us = np.cumsum(distances_us)
    # (3 x 4.994488 s + 2 x 5.010488 s) / 5, but for microseconds
    mean_s = pytest.approx(5.0008884, rel=1e-5)
    assert sensor_period.period_and_step(times_us, np.full(3000, 200.0))[0] == mean_s
    assert (
        sensor_period.period_and_step(np.delete(times_us, [7, 70]), np.full(2998, 200.0))[0]
        == mean_s
    )


@pytest.mark.parametrize(
    ("times", "mean_s"),
    [
        (np.cumsum(np.tile([4.0, 6.0], 500)), 5.0),
        (np.floor(np.arange(0, 5000, 5.4)), 5.4),
        (np.floor(np.arange(0, 5000, 2.5)), 2.5),
        (np.arange(0, 200, 0.125), 0.125),
        (np.arange(0, 300, 10.0), 10.0),
        (np.arange(2000) * 10 + np.random.default_rng(1).normal(0, 1.1, 2000), 10.0),
        (np.arange(2000) * 5 + np.random.default_rng(1).uniform(-1.5, 1.5, 2000), 5.0),
        # 1000 s at 50 Hz have more samples than 20 000 s at 1 Hz, but last shorter
        (np.r_[np.arange(0, 1000, 0.02), np.arange(1000, 20_000, 1.0)], 1.0),
        # as many at 40 ms, half of which are missing, as at 1 Hz
        (
            np.r_[
                np.sort(np.random.default_rng(1).choice(20_000, 10_000, False)) * 0.04,
                np.arange(1000, 12_000, 1.0),
            ],
            1.0,
        ),
    ],
    ids=["4/6", "5.4", "2.5", "8 Hz", "30 samples", "normal", "uniform", "50 Hz", "half of 25 Hz"],
)
def test_usual_period_is_the_mean_distance_however_it_varies(times: Any, mean_s: float) -> None:
    us = np.rint(np.asarray(times) * 1e6).astype(np.int64)
    assert sensor_period.usual_period_s(us) == pytest.approx(mean_s, rel=2e-3)


def test_sum_of_samples_without_a_period_uses_the_nominal_one_and_warns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = np.cumsum(np.random.default_rng(1).exponential(10, 1000))
    assert sum_of_samples_j(times, np.full(1000, 100.0), (0, DAY_S)) == 1000 * 100 * 5
    assert caplog.messages == [
        "c-1 in 2025-03: distances of 1000 samples show no period; each counts for 5 s"
    ]


def test_sum_of_samples_of_few_samples_uses_the_nominal_period() -> None:
    assert sum_of_samples_j([10, 13, 16], [100, 100, 100], (0, 60)) == 3 * 100 * 5


def test_sum_of_samples_missed_samples_do_not_lengthen_the_period() -> None:
    times = np.delete(np.arange(0, 600, 5.0), [3, 7, 8, 9, 50])
    found = sum_of_samples_j(times, np.full(len(times), 100.0), (0, 600))
    assert found == pytest.approx(len(times) * 5 * 100)


def test_sum_of_samples_stretch_with_another_period_uses_its_own() -> None:
    fast = np.arange(1000, 1100, 0.02)
    slow = np.arange(0, 3000, 1.0)
    times = np.concatenate([slow[slow < 1000], fast, slow[slow >= 1100]])
    power = np.full(len(times), 200.0)
    for held in ((0, 3000), (1000, 1100), (100, 900), (2000, 2900)):
        found = sum_of_samples_j(times, power, held)
        assert found == pytest.approx(200 * (held[1] - held[0]), rel=1e-3)
