from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.units import Z95
from footprint.energy import kernel
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.sources.generic import counters

METHOD = IntegrationMethod("counter", 30.0, 0.0)
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def readings(seconds: Any, energies_j: Any) -> pl.DataFrame:
    times = [NOON + timedelta(seconds=float(each)) for each in seconds]
    return pl.DataFrame(
        {"timestamp": times, "energy_j": list(energies_j)},
        schema={"timestamp": pl.Datetime("us", "UTC"), "energy_j": pl.Float64},
    )


def energy_j(power: pl.DataFrame, seconds: list[float]) -> list[float]:
    """Energies from the first to each other moment, by the kernel of the study."""
    samples = kernel.NodeSamples.from_frame(power, METHOD)
    moments = np.array([int(NOON.timestamp() * 1e6) + round(each * 1e6) for each in seconds])
    of_node = kernel.cumulative_integrals(samples, moments, METHOD).of_node[0]
    return list(of_node[1:] - of_node[0])


@given(
    gains=st.lists(st.integers(0, 5000), min_size=2, max_size=40),
    steps=st.lists(st.integers(1, 400), min_size=40, max_size=40),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_counter_energy_is_interpolated_between_its_moves(
    gains: list[int], steps: list[int], bounds: tuple[float, float]
) -> None:
    seconds = np.cumsum([0, *steps[: len(gains)]])
    values = np.cumsum([1e6, *map(float, gains)])
    moved = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    power = counters.power_of_counter(readings(seconds, values), "n")
    if len(moved) < 2:
        assert power.is_empty()
        return
    is_used = np.diff(seconds[moved]) <= counters.LONGEST_SPAN_S
    if not is_used.all():
        return
    first, last = sorted(each * float(seconds[moved[-1]]) for each in bounds)
    expected = np.interp([first, last], seconds[moved], values[moved])
    found = energy_j(power, [first, last])
    assert found[0] == pytest.approx(expected[1] - expected[0], abs=1e-3)


def test_counter_order_and_repetition_of_readings_do_not_matter() -> None:
    found = readings([0, 5, 5, 10], [10.0, 20.0, 19.0, 40.0])
    shuffled = pl.concat([found[::-1], found])
    assert counters.power_of_counter(found, "n").equals(counters.power_of_counter(shuffled, "n"))
    assert counters.power_of_counter(found, "n")["power_w"].to_list() == [2.0, 4.0, 4.0]


def test_counter_without_values_has_no_power() -> None:
    found = readings([0, 5, 10], [None, float("nan"), -5.0])
    assert counters.power_of_counter(found, "n").is_empty()
    assert counters.power_of_counter(readings([0, 5], [7.0, 7.0]), "n").is_empty()


def test_counter_of_coarse_steps_is_spread_over_the_time_of_a_step() -> None:
    """A counter of 1000 J that moves each 100 s, read every 5 s, is 10 W throughout."""
    seconds = np.arange(0, 1001, 5)
    found = counters.power_of_counter(readings(seconds, np.floor(seconds / 100) * 1000.0), "n")
    assert found["power_w"].unique().to_list() == [10.0]
    assert found["timestamp"].diff().max() == timedelta(seconds=5)
    assert energy_j(found, [200, 250, 730]) == pytest.approx([500, 5300])


def test_counter_time_longer_than_the_limit_is_a_gap() -> None:
    found = counters.power_of_counter(
        readings([0, 5, 5 + 3601, 5 + 3606], [0.0, 500.0, 9e5, 9e5 + 600]), "n"
    )
    assert found["power_w"].to_list() == [100.0, 100.0, 120.0, 120.0]
    assert energy_j(found, [0, 3606]) == pytest.approx([500.0])
    assert energy_j(found, [0, 5 + 3606]) == pytest.approx([1100.0])


def test_counter_reset_takes_the_power_before_it_for_one_interval() -> None:
    found = counters.power_of_counter(readings([0, 5, 10, 15], [900.0, 1000.0, 10.0, 160.0]), "n")
    assert found["power_w"].to_list() == [20.0, 20.0, 30.0, 30.0]
    assert energy_j(found, [0, 15]) == pytest.approx([100.0 + 100.0 + 150.0])


@pytest.mark.parametrize("step_j", [1.0, 36.0, 3600.0])
def test_counter_interval_by_its_bounds_contains_the_energy(step_j: float) -> None:
    """Half width of `job_energy` for both bounds: Z95 / sqrt(6) x the energy of one period."""
    random = np.random.default_rng(7)
    second = np.arange(0, 20_001)
    power_w = np.repeat(random.uniform(80, 400, 1001), 20)[:20_000]
    true_j = np.concatenate([[0.0], np.cumsum(power_w)])
    read = np.arange(0, 20_001, 3)
    found = counters.power_of_counter(readings(read, np.floor(true_j[read] / step_j) * step_j), "n")
    samples = kernel.NodeSamples.from_frame(found, METHOD)
    starts = random.uniform(100, 18_000, 500)
    stops = starts + random.uniform(60, 1500, 500)
    energies, half_widths = [], []
    for start, stop in zip(starts, stops, strict=True):
        (energy,) = energy_j(found, [start, stop])
        energies.append(energy)
        half_widths.append(Z95 / 6**0.5 * samples.period_s * energy / (stop - start))
    true = np.interp(stops, second, true_j) - np.interp(starts, second, true_j)
    inside = np.abs(np.array(energies) - true) <= np.array(half_widths)
    assert inside.mean() >= 0.93
    assert np.median(half_widths) <= 2 * max(step_j, 3 * 400)


def test_counter_energy_has_no_error_of_sampling() -> None:
    found = counters.power_of_counter(readings([0, 5, 10, 15], [0.0, 500.0, 2000.0, 2100.0]), "n")
    moments = np.array([int(NOON.timestamp() * 1e6) + each for each in (0, 7_000_000, 15_000_000)])
    samples = kernel.NodeSamples.from_frame(found, METHOD)
    of_node = kernel.cumulative_integrals(samples, moments, METHOD).of_node
    assert of_node[kernel.INTEGRAL_COLUMNS.index("variance_j2")].tolist() == [0.0, 0.0, 0.0]
    assert samples.step_w == 0.0
