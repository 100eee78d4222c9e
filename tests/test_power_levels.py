"""Histograms of power: seconds of each job at each level of its node and of its own GPUs."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint import gates, tables
from footprint.integration import Calibration
from footprint.phases import power_levels
from footprint.phases.power_levels import Span, below_frac, own_below_frac
from footprint.tables.phases import N_LEVELS

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 3, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def samples(*pairs: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame(
        {"timestamp": [at(s) for s, _ in pairs], "power_w": [float(w) for _, w in pairs]},
        schema={"timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
    )


def pieces(*rows: tuple[int, str, float, float, float]) -> pl.DataFrame:
    """Job, node, start, stop, share."""
    return pl.DataFrame(
        [(j, n, at(a), at(b), s, 0.0, 0.0, True, True) for j, n, a, b, s in rows],
        schema=gates.PIECES,
        orient="row",
    )


def node_power(**nodes: tuple[float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (name.replace("_", "-"), "c", idle, "samples", high, 100)
            for name, (idle, high) in nodes.items()
        ],
        schema=tables.NodePower.create_empty().schema,
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


def found(list_of: list[float]) -> dict[int, float]:
    """The steps that have any time."""
    return {i: seconds for i, seconds in enumerate(list_of) if seconds}


def levels(read: dict[str, pl.DataFrame], held: pl.DataFrame, **known: object) -> pl.DataFrame:
    options = {
        "read_gpus": None,
        "gpu_pieces": None,
        "node_power": node_power(n_1=(100.0, 500.0), n_2=(100.0, 500.0)),
        "hardware": hardware({"n-1": [300.0, 300.0], "n-2": [300.0, 300.0]}),
        "max_gap_s": 30.0,
        **known,
    }
    read_gpus = options.pop("read_gpus")
    return power_levels.levels(list(read), read.__getitem__, read_gpus, pieces=held, **options)  # type: ignore[arg-type]


def test_a_sample_counts_at_its_level_until_the_next_and_only_while_the_job_holds_the_node() -> (
    None
):
    # idle 100, highest 500: 100 W is level 0, 310 W is (310 - 100) / 400 = 0.525, step 21.
    power = samples((0, 100), (10, 310), (20, 100), (30, 100))
    table = levels({"n-1": power}, pieces((7, "n-1", 4, 23, 1.0)))
    # from 4 to 10 and from 20 to 23 at idle, from 10 to 20 at 0.525
    assert found(table["node_level_s"][0].to_list()) == {0: 9.0, 21: 10.0}
    assert table.select("idle_power_w", "max_power_w").row(0) == (100.0, 500.0)
    assert table["gpu_level_s"].to_list() == [None]


def test_what_lies_below_idle_or_above_the_highest_counts_in_the_first_and_last_step() -> None:
    power = samples((0, 60), (10, 499.99), (20, 900), (30, 500), (40, 100))
    table = levels({"n-1": power}, pieces((7, "n-1", 0, 40, 1.0)))
    assert found(table["node_level_s"][0].to_list()) == {0: 10.0, N_LEVELS - 1: 30.0}


def test_time_without_samples_is_at_no_level() -> None:
    # the sample at 10 has no next within 30 s
    power = samples((0, 100), (10, 100), (100, 300), (110, 300))
    table = levels({"n-1": power}, pieces((7, "n-1", 0, 200, 1.0)))
    assert found(table["node_level_s"][0].to_list()) == {0: 10.0, 20: 10.0}


def test_a_job_without_samples_and_a_node_without_known_power_have_no_row() -> None:
    power = samples((0, 100), (10, 100))
    held = pieces((7, "n-1", 50, 60, 1.0), (8, "n-2", 0, 10, 1.0))
    known = node_power(n_1=(100.0, 500.0), n_2=(None, None))
    assert levels({"n-1": power, "n-2": power}, held, node_power=known).is_empty()


def test_a_container_counts_where_its_inner_jobs_leave_something() -> None:
    power = samples(*((s, 100) for s in range(0, 50, 10)))
    held = pieces((7, "n-1", 0, 10, 1.0), (7, "n-1", 10, 30, 0.0), (7, "n-1", 30, 40, 0.5))
    table = levels({"n-1": power}, held)
    assert found(table["node_level_s"][0].to_list()) == {0: 20.0}


def test_a_node_that_was_never_busy_has_the_range_of_its_cluster() -> None:
    known = node_power(n_1=(100.0, 103.0), n_2=(100.0, 500.0), n_3=(100.0, 500.0))
    spans = power_levels.node_spans(known)
    assert spans["n-1"] == Span(100.0, 500.0)
    assert spans["n-2"] == Span(100.0, 500.0)


def test_samples_are_calibrated_as_the_idle_power_was() -> None:
    # 2 x 50 + 0 is idle
    table = levels(
        {"n-1": samples((0, 50), (10, 50))},
        pieces((7, "n-1", 0, 10, 1.0)),
        calibration=Calibration(slope=2.0, offset=0.0),
    )
    assert found(table["node_level_s"][0].to_list()) == {0: 10.0}


def gpu_readings(*rows: tuple[int, float, float]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [(gpu, at(s), float(w)) for gpu, s, w in rows],
        schema={"gpu": pl.UInt8, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
        orient="row",
    )
    return frame.sort("gpu", "timestamp")


def test_gpu_seconds_count_by_the_part_of_each_gpu_held() -> None:
    # idle 20 W, limit 300 W: 160 W is level 0.5, step 20. The job has GPU 0 and half of GPU 1.
    idle = [(gpu, s, 20) for gpu in (0, 1) for s in range(0, 1500, 15)]
    busy = [(gpu, s, 160) for gpu in (0, 1) for s in range(1500, 1530, 15)]
    last = [(gpu, 1530, 20) for gpu in (0, 1)]
    readings = gpu_readings(*idle, *busy, *last)
    held = pieces((7, "n-1/0", 1470, 1530, 1.0), (7, "n-1/1", 1470, 1530, 0.5))
    table = levels(
        {"n-1": samples((1470, 100), (1480, 100))},
        pieces((7, "n-1", 1470, 1530, 0.75)),
        read_gpus=lambda _: readings,
        gpu_pieces=held,
    )
    # 30 s idle and 30 s busy, of 1.5 GPUs
    assert found(table["gpu_level_s"][0].to_list()) == {0: 45.0, 20: 45.0}
    assert found(table["node_level_s"][0].to_list()) == {0: 10.0}


def test_a_gpu_that_was_always_busy_idles_as_the_others_of_its_cluster() -> None:
    quiet = gpu_readings(*((0, s, 20) for s in range(0, 60, 15)))
    busy = gpu_readings(*((0, s, 150) for s in range(0, 60, 15)))
    read = {"n-1": quiet, "n-2": busy}.__getitem__
    spans = power_levels.gpu_spans(["n-1", "n-2"], read, {"n-1": {0: 300.0}, "n-2": {0: 300.0}})
    assert spans["n-1"][0] == Span(20.0, 300.0)
    assert spans["n-2"][0] == Span(25.0, 300.0)  # 1.25 x 20


def test_a_gpu_without_a_known_limit_has_no_levels() -> None:
    assert power_levels.limits_w(hardware({"n-1": [300.0, None]})) == {"n-1": {0: 300.0}}


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    times = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=30)))
    powers = draw(st.lists(st.integers(50, 600), min_size=len(times), max_size=len(times)))
    bounds = st.tuples(st.integers(0, 300), st.integers(1, 100)).map(lambda x: (x[0], x[0] + x[1]))
    return list(zip(times, powers, strict=True)), draw(st.lists(bounds, min_size=1, max_size=6))


@given(cases())
@settings(max_examples=60)
def test_histograms_are_those_of_counting_second_by_second(
    case: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    read, intervals = case
    span, gap = Span(100.0, 500.0), 30
    held = pieces(*((job, "n-1", a, b, 1.0) for job, (a, b) in enumerate(intervals)))
    table = power_levels.seconds_at_levels("n-1", samples(*read), span, held, max_gap_s=gap)
    expected: dict[int, dict[int, float]] = {}
    for job, (start, stop) in enumerate(intervals):
        counts: dict[int, float] = {}
        for (since, watts), (until, _) in itertools.pairwise(read):
            if until - since > gap:
                continue
            inside = sum(start <= second < stop for second in range(since, until))
            step = min(max(int(np.floor((watts - 100) / 400 * N_LEVELS)), 0), N_LEVELS - 1)
            counts[step] = counts.get(step, 0) + inside
        counts = {step: seconds for step, seconds in counts.items() if seconds}
        if counts:
            expected[job] = counts
    got = {
        job: found(values)
        for job, values in zip(table["job_id"], table["level_s"].to_list(), strict=True)
    }
    assert got == expected


@given(st.lists(st.integers(1, 299), min_size=1, max_size=5, unique=True))
@settings(max_examples=40)
def test_jobs_that_follow_one_another_share_out_the_time_covered(cuts: list[int]) -> None:
    rng = np.random.default_rng(len(cuts))
    read = samples(
        *((s, w) for s, w in zip(range(0, 301, 5), rng.uniform(90, 510, 61), strict=True))
    )
    edges = [0, *sorted(cuts), 300]
    held = pieces(*((i, "n-1", a, b, 1.0) for i, (a, b) in enumerate(itertools.pairwise(edges))))
    whole = pieces((99, "n-1", 0, 300, 1.0))
    span = Span(100.0, 500.0)
    parts = power_levels.seconds_at_levels("n-1", read, span, held, max_gap_s=30)
    once = power_levels.seconds_at_levels("n-1", read, span, whole, max_gap_s=30)
    total = parts["level_s"].to_numpy().sum(axis=0)
    np.testing.assert_allclose(total, once["level_s"].to_numpy()[0], atol=1e-9)
    assert total.sum() == pytest.approx(300.0)


def test_months_with_overlapping_margins_and_no_node_at_all_give_the_table() -> None:
    empty = levels({}, pieces())
    assert_frame_equal(empty, pl.DataFrame(tables.PowerLevels.create_empty()))


def histogram(**steps: float) -> pl.Series:
    values = [0.0] * N_LEVELS
    for step, seconds in steps.items():
        values[int(step[1:])] = seconds
    return pl.Series([values], dtype=pl.List(pl.Float32))


def below(level: float, **steps: float) -> float:
    frame = pl.DataFrame({"h": histogram(**steps)})
    return float(frame.select(below_frac("h", level)).item())


def test_the_part_below_a_level_is_exact_at_steps_and_in_proportion_between() -> None:
    # steps of 0.025: step 3 is from 0.075 to 0.1
    assert below(0.1, s3=30.0, s4=10.0) == pytest.approx(0.75)
    assert below(0.075, s3=30.0, s4=10.0) == 0.0
    assert below(0.0875, s3=30.0, s4=10.0) == pytest.approx(0.375)  # half of step 3
    assert below(1.0, s39=1.0) == 1.0
    assert below(2.0, s39=1.0) == 1.0
    assert below(0.0, s0=1.0) == 0.0


def own(node: pl.Series, gpu: pl.Series | None, share: float) -> float | None:
    none = pl.Series([None], dtype=pl.List(pl.Float32))
    frame = pl.DataFrame(
        {"node_level_s": node, "gpu_level_s": none if gpu is None else gpu, "node_share": [share]}
    )
    value = frame.select(own_below_frac(0.1, gpu_level=0.05)).item()
    return None if value is None else float(value)


def test_own_gpus_tell_before_the_node_and_both_where_the_node_is_the_jobs_own() -> None:
    idle, busy = histogram(s0=10.0), histogram(s20=10.0)
    assert own(busy, idle, 0.5) == 1.0  # others draw the node's power
    assert own(busy, idle, 1.0) == 0.0  # its processors do
    assert own(idle, idle, 1.0) == 1.0
    assert own(busy, None, 0.5) == 0.0
    assert own(pl.Series([None], dtype=pl.List(pl.Float32)), None, 1.0) is None
