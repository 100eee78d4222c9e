"""Power of nodes that no job holds, relative to their hardware."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.energy.free_power import measure_free_power
from tests.energy.test_gap_energy import (
    END_S,
    HARDWARE,
    IDLE_W,
    MODELS,
    NOTHING,
    classes_of,
    estimate,
    segment,
    segments,
)

MEASURED = segments(
    # idle for the first half hour of each free spell, then in standby
    segment("c-1", 0, 10_000, 1.0, 300.0),
    segment("c-1", 10_000, 13_600, 0.0, IDLE_W),
    segment("c-1", 13_600, 20_000, 1.0, 300.0),
    segment("c-1", 20_000, 86_400, 0.0, 0.2 * IDLE_W),
    segment("c-1", 86_400, END_S, 0.0, 0.1 * IDLE_W),
)


HAS_GPU = HARDWARE.filter(node="c-1")["has_gpu"].item()


def ratios(found: pl.DataFrame, *, has_gpu: bool = HAS_GPU) -> dict[tuple[bool, bool], float]:
    own = found.filter(has_gpu=has_gpu).select("is_unavailable", "is_long", "ratio")
    return {row[:2]: row[2] for row in own.rows()}


def test_free_power_of_long_spells_is_that_of_standby() -> None:
    found = ratios(measure_free_power(MEASURED, HARDWARE, MODELS))
    long = (0.2 * 66_400 + 0.1 * 86_400) / (66_400 + 86_400)
    assert found[False, False] == pytest.approx(1.0)
    assert found[False, True] == pytest.approx(long)
    # nothing is known of nodes of the other kind
    others = ratios(measure_free_power(MEASURED, HARDWARE, MODELS), has_gpu=not HAS_GPU)
    assert set(others.values()) == {1.0}
    # nothing is known of unavailable nodes
    assert found[True, False] == found[True, True] == 1.0


def test_free_node_without_readings_draws_the_measured_part_of_its_idle_power() -> None:
    free_power = measure_free_power(MEASURED, HARDWARE, MODELS)
    rows = segments(segment("c-2", 0, 86_400, 0.0, None), segment("c-2", 86_400, END_S, 0.0, None))
    found = estimate(rows, NOTHING, free_power=free_power)
    ratio = ratios(free_power)[False, True]
    assert classes_of(found) == {"idle": pytest.approx(ratio * IDLE_W * END_S)}


def test_free_power_without_readings_is_the_idle_power() -> None:
    rows = segments(segment("c-1", 0, END_S, 0.0, None))
    assert set(ratios(measure_free_power(rows, HARDWARE, MODELS)).values()) == {1.0}
