"""Tests of power histograms: seconds of each job by power of its node and of its GPUs."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.allocation import node_allocations
from footprint.phases import power_histograms, power_ranges
from footprint.phases.power_histograms import own_time_frac_below, time_frac_below
from footprint.phases.power_ranges import PowerRange
from footprint.schemas.energy import NodePower
from footprint.schemas.phases import N_POWER_BINS, PowerHistograms
from footprint.sources.calibration import Calibration

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 3, tzinfo=UTC)


def seconds_after_start(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def samples(*pairs: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": [seconds_after_start(s) for s, _ in pairs],
            "power_w": [float(w) for _, w in pairs],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
    )


def allocations(*rows: tuple[int, str, float, float, float]) -> pl.DataFrame:
    """Allocations from job, node, start, stop and share."""
    return pl.DataFrame(
        [
            (j, n, seconds_after_start(a), seconds_after_start(b), s, 0.0, 0.0, True, True)
            for j, n, a, b, s in rows
        ],
        schema=node_allocations.ALLOCATION_SCHEMA,
        orient="row",
    )


def node_power(**nodes: tuple[float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (name.replace("_", "-"), "c", idle, "samples", high, 100)
            for name, (idle, high) in nodes.items()
        ],
        schema=NodePower.create_empty().schema,
        orient="row",
    )


def hardware(limits: dict[str, list[float | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(node, START, list(range(len(of))), of) for node, of in limits.items()],
        schema={
            "node": pl.String,
            "valid_from": pl.Datetime("us", "UTC"),
            "gpus": pl.List(pl.UInt8),
            "gpu_limits_w": pl.List(pl.Float64),
        },
        orient="row",
    )


def nonempty_bins(values: list[float]) -> dict[int, float]:
    """Seconds of the bins that have any."""
    return {i: seconds for i, seconds in enumerate(values) if seconds}


def measured_histograms(
    read: dict[str, pl.DataFrame], held: pl.DataFrame, **options_given: object
) -> pl.DataFrame:
    options = {
        "read_gpus": None,
        "gpu_allocations": None,
        "node_power": node_power(n_1=(100.0, 500.0), n_2=(100.0, 500.0)),
        "hardware": hardware({"n-1": [300.0, 300.0], "n-2": [300.0, 300.0]}),
        "max_gap_s": 30.0,
        **options_given,
    }
    read_gpus = options.pop("read_gpus")
    return power_histograms.measure_power_histograms(
        list(read), read.__getitem__, read_gpus, allocations=held, **options
    )  # type: ignore[arg-type]


def test_sample_counts_at_its_power_until_the_next_sample_or_end_of_allocation() -> None:
    # idle 100, highest 500: 100 W is level 0, 310 W is (310 - 100) / 400 = 0.525, bin 21
    power = samples((0, 100), (10, 310), (20, 100), (30, 100))
    table = measured_histograms({"n-1": power}, allocations((7, "n-1", 4, 23, 1.0)))
    # from 4 to 10 and from 20 to 23 at idle, from 10 to 20 at 0.525
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {0: 9.0, 21: 10.0}
    assert table.select("idle_power_w", "max_power_w").row(0) == (100.0, 500.0)
    assert table["gpu_histogram_s"].to_list() == [None]


def test_power_below_idle_or_above_highest_counts_in_first_and_last_bin() -> None:
    power = samples((0, 60), (10, 499.99), (20, 900), (30, 500), (40, 100))
    table = measured_histograms({"n-1": power}, allocations((7, "n-1", 0, 40, 1.0)))
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {
        0: 10.0,
        N_POWER_BINS - 1: 30.0,
    }


def test_time_without_samples_counts_in_no_bin() -> None:
    # the sample at 10 has no next within 30 s
    power = samples((0, 100), (10, 100), (100, 300), (110, 300))
    table = measured_histograms({"n-1": power}, allocations((7, "n-1", 0, 200, 1.0)))
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {0: 10.0, 20: 10.0}


def test_job_without_samples_and_node_without_power_range_have_no_row() -> None:
    power = samples((0, 100), (10, 100))
    held = allocations((7, "n-1", 50, 60, 1.0), (8, "n-2", 0, 10, 1.0))
    powers = node_power(n_1=(100.0, 500.0), n_2=(None, None))
    assert measured_histograms({"n-1": power, "n-2": power}, held, node_power=powers).is_empty()


def test_container_counts_while_inner_jobs_leave_a_share() -> None:
    power = samples(*((s, 100) for s in range(0, 50, 10)))
    held = allocations((7, "n-1", 0, 10, 1.0), (7, "n-1", 10, 30, 0.0), (7, "n-1", 30, 40, 0.5))
    table = measured_histograms({"n-1": power}, held)
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {0: 20.0}


def test_node_power_ranges_of_node_never_busy_uses_cluster_median() -> None:
    powers = node_power(n_1=(100.0, 103.0), n_2=(100.0, 500.0), n_3=(100.0, 500.0))
    ranges = power_ranges.node_power_ranges(powers)
    assert ranges["n-1"] == PowerRange(100.0, 500.0)
    assert ranges["n-2"] == PowerRange(100.0, 500.0)


def test_calibration_applies_to_samples() -> None:
    # 2 x 50 + 0 is idle
    table = measured_histograms(
        {"n-1": samples((0, 50), (10, 50))},
        allocations((7, "n-1", 0, 10, 1.0)),
        calibration=Calibration(slope=2.0, offset=0.0),
    )
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {0: 10.0}


def gpu_readings(*rows: tuple[int, float, float]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [(gpu, seconds_after_start(s), float(w)) for gpu, s, w in rows],
        schema={"gpu": pl.UInt8, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
        orient="row",
    )
    return frame.sort("gpu", "timestamp")


def test_gpu_seconds_are_multiplied_by_share_of_gpu() -> None:
    # idle 20 W, limit 300 W: 160 W is level 0.5, bin 20. The job has GPU 0 and half of GPU 1.
    idle = [(gpu, s, 20) for gpu in (0, 1) for s in range(0, 1500, 15)]
    busy = [(gpu, s, 160) for gpu in (0, 1) for s in range(1500, 1530, 15)]
    last = [(gpu, 1530, 20) for gpu in (0, 1)]
    readings = gpu_readings(*idle, *busy, *last)
    held = allocations((7, "n-1/0", 1470, 1530, 1.0), (7, "n-1/1", 1470, 1530, 0.5))
    table = measured_histograms(
        {"n-1": samples((1470, 100), (1480, 100))},
        allocations((7, "n-1", 1470, 1530, 0.75)),
        read_gpus=lambda _: readings,
        gpu_allocations=held,
    )
    # 30 s idle and 30 s busy, of 1.5 GPUs
    assert nonempty_bins(table["gpu_histogram_s"][0].to_list()) == {0: 45.0, 20: 45.0}
    assert nonempty_bins(table["node_histogram_s"][0].to_list()) == {0: 10.0}


def test_gpu_power_ranges_of_gpu_always_busy_uses_lowest_idle_of_cluster() -> None:
    quiet = gpu_readings(*((0, s, 20) for s in range(0, 60, 15)))
    busy = gpu_readings(*((0, s, 150) for s in range(0, 60, 15)))
    read = {"n-1": quiet, "n-2": busy}.__getitem__
    ranges = power_ranges.gpu_power_ranges(
        ["n-1", "n-2"], read, {"n-1": {0: 300.0}, "n-2": {0: 300.0}}
    )
    assert ranges["n-1"][0] == PowerRange(20.0, 300.0)
    assert ranges["n-2"][0] == PowerRange(25.0, 300.0)  # 1.25 x 20


def test_gpu_limits_w_omits_gpus_without_limit() -> None:
    assert power_ranges.gpu_limits_w(hardware({"n-1": [300.0, None]})) == {"n-1": {0: 300.0}}


@st.composite
def samples_and_intervals(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    times = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=30)))
    powers = draw(st.lists(st.integers(50, 600), min_size=len(times), max_size=len(times)))
    bounds = st.tuples(st.integers(0, 300), st.integers(1, 100)).map(lambda x: (x[0], x[0] + x[1]))
    return list(zip(times, powers, strict=True)), draw(st.lists(bounds, min_size=1, max_size=6))


@given(samples_and_intervals())
@settings(max_examples=60)
def test_job_histograms_equal_counting_second_by_second(
    case: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    read, intervals = case
    power_range, gap = PowerRange(100.0, 500.0), 30
    held = allocations(*((job, "n-1", a, b, 1.0) for job, (a, b) in enumerate(intervals)))
    table = power_histograms.job_histograms("n-1", samples(*read), power_range, held, max_gap_s=gap)
    expected: dict[int, dict[int, float]] = {}
    for job, (start, stop) in enumerate(intervals):
        counts: dict[int, float] = {}
        for (since, watts), (until, _) in itertools.pairwise(read):
            if until - since > gap:
                continue
            inside = sum(start <= second < stop for second in range(since, until))
            step = min(max(int(np.floor((watts - 100) / 400 * N_POWER_BINS)), 0), N_POWER_BINS - 1)
            counts[step] = counts.get(step, 0) + inside
        counts = {step: seconds for step, seconds in counts.items() if seconds}
        if counts:
            expected[job] = counts
    got = {
        job: nonempty_bins(values)
        for job, values in zip(table["job_id"], table["histogram_s"].to_list(), strict=True)
    }
    assert got == expected


@given(st.lists(st.integers(1, 299), min_size=1, max_size=5, unique=True))
@settings(max_examples=40)
def test_job_histograms_of_adjacent_jobs_sum_to_that_of_one_job(cuts: list[int]) -> None:
    rng = np.random.default_rng(len(cuts))
    read = samples(
        *((s, w) for s, w in zip(range(0, 301, 5), rng.uniform(90, 510, 61), strict=True))
    )
    edges = [0, *sorted(cuts), 300]
    held = allocations(
        *((i, "n-1", a, b, 1.0) for i, (a, b) in enumerate(itertools.pairwise(edges)))
    )
    whole = allocations((99, "n-1", 0, 300, 1.0))
    power_range = PowerRange(100.0, 500.0)
    parts = power_histograms.job_histograms("n-1", read, power_range, held, max_gap_s=30)
    once = power_histograms.job_histograms("n-1", read, power_range, whole, max_gap_s=30)
    total = parts["histogram_s"].to_numpy().sum(axis=0)
    np.testing.assert_allclose(total, once["histogram_s"].to_numpy()[0], atol=1e-9)
    assert total.sum() == pytest.approx(300.0)


def test_measure_power_histograms_without_nodes_returns_empty_table() -> None:
    empty = measured_histograms({}, allocations())
    assert_frame_equal(empty, pl.DataFrame(PowerHistograms.create_empty()))


def histogram(**bins: float) -> pl.Series:
    """Power histogram with seconds by bin: `s3=30` are 30 s in the fourth of forty bins."""
    values = [0.0] * N_POWER_BINS
    for name, seconds in bins.items():
        values[int(name[1:])] = seconds
    return pl.Series([values], dtype=pl.List(pl.Float32))


def frac_below(level: float, **bins: float) -> float:
    frame = pl.DataFrame({"h": histogram(**bins)})
    return float(frame.select(time_frac_below("h", level)).item())


def test_time_frac_below_is_exact_at_bins_and_proportional_between() -> None:
    # bins of 0.025: bin 3 is from 0.075 to 0.1
    assert frac_below(0.1, s3=30.0, s4=10.0) == pytest.approx(0.75)
    assert frac_below(0.075, s3=30.0, s4=10.0) == 0.0
    assert frac_below(0.0875, s3=30.0, s4=10.0) == pytest.approx(0.375)  # half of bin 3
    assert frac_below(1.0, s39=1.0) == 1.0
    assert frac_below(2.0, s39=1.0) == 1.0
    assert frac_below(0.0, s0=1.0) == 0.0


def own_frac_below(node: pl.Series, gpu: pl.Series | None, share: float) -> float | None:
    none = pl.Series([None], dtype=pl.List(pl.Float32))
    frame = pl.DataFrame(
        {
            "node_histogram_s": node,
            "gpu_histogram_s": none if gpu is None else gpu,
            "node_share": [share],
        }
    )
    value = frame.select(own_time_frac_below(0.1, gpu_level=0.05)).item()
    return None if value is None else float(value)


def test_own_time_frac_below_prefers_gpus_and_uses_both_on_whole_node() -> None:
    idle, busy = histogram(s0=10.0), histogram(s20=10.0)
    assert own_frac_below(busy, idle, 0.5) == 1.0  # the power of the node is that of other jobs
    assert own_frac_below(busy, idle, 1.0) == 0.0  # its processors draw the power
    assert own_frac_below(idle, idle, 1.0) == 1.0
    assert own_frac_below(busy, None, 0.5) == 0.0
    assert own_frac_below(pl.Series([None], dtype=pl.List(pl.Float32)), None, 1.0) is None
