"""Movement of GPU power as evidence of stuck sensors, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from footprint.core.arrays import Integers
from footprint.sources.gpu_movement import gpu_power_moves, sensor_step_w

START = datetime(2025, 3, 3, tzinfo=UTC)
ORIGIN_US = int(START.timestamp()) * 1_000_000


def gpu_power(*gpus: dict[int, float]) -> pl.DataFrame:
    """Power of GPUs 0, 1, ... by minute after the start."""
    return pl.DataFrame(
        [
            (gpu, START + timedelta(minutes=minute), power_w)
            for gpu, own in enumerate(gpus)
            for minute, power_w in own.items()
        ],
        schema={"gpu": pl.UInt8, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
        orient="row",
    )


def read_at(*minutes: int) -> Integers:
    return np.array(minutes, dtype=np.int64) * 60_000_000 + ORIGIN_US


EVERY_MINUTE = read_at(*range(30))
STEADY = dict.fromkeys(range(30), 50.0)
RISING = {minute: 50.0 + 40.0 * (minute >= 15) for minute in range(30)}


@pytest.mark.parametrize(("step_w", "moves"), [(1, True), (8, True), (8.1, False)])
def test_gpu_power_moves_by_five_steps_of_the_sensor(step_w: float, moves: bool) -> None:
    assert gpu_power_moves(gpu_power(STEADY, RISING), EVERY_MINUTE, step_w=step_w) is moves


def test_gpu_power_moves_not_where_gpus_compensate_one_another() -> None:
    falling = {minute: 140.0 - power_w for minute, power_w in RISING.items()}
    assert not gpu_power_moves(gpu_power(falling, RISING), EVERY_MINUTE, step_w=1)


def test_gpu_power_moves_not_by_noise_below_the_least_movement() -> None:
    noisy = {minute: 50.0 + 24.9 * (minute >= 15) for minute in range(30)}
    assert not gpu_power_moves(gpu_power(noisy), EVERY_MINUTE, step_w=0.1)


def test_gpu_power_moves_not_by_single_readings() -> None:
    spiking = STEADY | {7: 300.0, 18: 1.0}
    assert not gpu_power_moves(gpu_power(spiking), EVERY_MINUTE, step_w=1)


def test_gpu_power_moves_not_where_a_gpu_is_not_read() -> None:
    # without GPU 1, the sum would fall by 90 W from minute 15 on
    partial = dict.fromkeys(range(15), 90.0)
    assert not gpu_power_moves(gpu_power(STEADY, partial), EVERY_MINUTE, step_w=1)


def test_gpu_power_moves_not_while_the_node_is_not_read() -> None:
    peak = {minute: 50.0 + 40.0 * (9 <= minute < 21) for minute in range(30)}
    around = read_at(*range(9), *range(21, 30))
    assert not gpu_power_moves(gpu_power(peak), around, step_w=1)
    assert gpu_power_moves(gpu_power(peak), EVERY_MINUTE, step_w=1)


def test_gpu_power_moves_not_by_fewer_than_three_readings_in_a_block() -> None:
    every_other = {minute: power_w for minute, power_w in RISING.items() if minute % 2 == 0}
    assert not gpu_power_moves(gpu_power(every_other), EVERY_MINUTE, step_w=1)


def test_gpu_power_moves_not_outside_the_spell() -> None:
    assert not gpu_power_moves(gpu_power(RISING), read_at(*range(15)), step_w=1)
    assert not gpu_power_moves(gpu_power(), EVERY_MINUTE, step_w=1)
    assert not gpu_power_moves(gpu_power({0: 1.0}), EVERY_MINUTE, step_w=1)


def test_sensor_step_is_a_low_quantile_of_changes() -> None:
    assert sensor_step_w(np.array([12.0, 24.0, 24.0, 12.0, 48.0])) == 12
    rounding = np.cumsum(np.append(np.tile([12.0, -12.0], 20), 1e-13))
    assert sensor_step_w(rounding) == pytest.approx(12)


def test_sensor_step_is_at_most_the_reading_where_readings_never_change() -> None:
    assert sensor_step_w(np.array([264.0, 264.0])) == 264
    assert sensor_step_w(np.array([])) == 0
