"""Attribution on random nodes: a brute-force twin, conservation, and sums over days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import GATES
from footprint.energy import attribution, kernel
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.kernel import PROBE_EVERY
from footprint.energy.sample_intervals import IntegrationMethod
from tests.support.integrations import (
    DAY_S,
    EVERY_5_S,
    START,
    allocated,
    by_job,
    have_one_period,
    integrate,
    samples,
    unavailable,
)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Two days of irregular samples with gaps, jobs on four quarters of a node, and states."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 400))
    span = draw(st.sampled_from([600, 20_000, 2 * DAY_S]))
    origin = draw(st.sampled_from([0, DAY_S - 300]))
    times = np.unique(np.round(rng.uniform(-40, span, n), 6)) + origin
    power = rng.choice([5.0, 12.0, 100.0, 250.5, 1000.0], len(times))
    power = power + rng.choice([0.0, 1.0], len(times)) * rng.random(len(times))
    rows = []
    for quarter in range(draw(st.integers(1, 4))):
        bounds = np.unique(rng.integers(-20, span + 20, 2 * draw(st.integers(0, 4)))) + origin
        pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
        rows += [
            (10 * quarter + i, float(max(0, a)), float(min(2 * DAY_S, b)), 0.25)
            for i, (a, b) in enumerate(pairs)
            if max(0, a) < min(2 * DAY_S, b)
        ]
    states = [tuple(sorted(map(float, rng.integers(0, span, 2) + origin))) for _ in range(2)]
    return samples(times, power), allocated(*rows), unavailable(*states)  # type: ignore[arg-type]


MODES = st.tuples(
    st.sampled_from(GATES),
    st.sampled_from(["trapezoid", "left_hold", "sum_of_samples", "inner_trapezoid"]),
)


def brute_force_j(frame: pl.DataFrame, start: float, stop: float, *, max_gap_s: float) -> float:
    """Integral of piecewise-linear power over [start, stop], interval by interval."""
    origin = int(START.timestamp()) * 1_000_000
    times = (frame["timestamp"].cast(pl.Int64).to_numpy() - origin) / 1e6
    power = frame["power_w"].to_numpy()
    total = 0.0
    for i in range(len(times) - 1):
        t0, t1 = times[i], times[i + 1]
        if t1 - t0 > max_gap_s:
            continue
        a, b = max(t0, start), min(t1, stop)
        if b > a:
            at = np.interp([a, b], [t0, t1], [power[i], power[i + 1]])
            total += float(at.sum()) / 2 * (b - a)
    return total


def test_integrate_of_many_nodes_equals_each_node_alone() -> None:
    """Nodes with samples and without, and jobs on some."""
    rng = np.random.default_rng(3)
    names = [f"c-{i}" for i in range(43)]
    read = {
        name: samples(EVERY_5_S, rng.uniform(50, 500, len(EVERY_5_S))).head(900 * (i % 3))
        for i, name in enumerate(names)
    }
    held = pl.concat(
        allocated((i, 60.0 * i, 60.0 * i + 700, 0.5)).with_columns(node=pl.lit(name))
        for i, name in enumerate(names)
        if i % 4
    )
    integration = IntegrationSettings("reserved", IntegrationMethod("trapezoid", 30, 20, 5.0))

    def of(some: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        return attribution.attribute_energy(
            some,
            read.__getitem__,
            integration,
            NodeRecords(held),
            start=START,
            end=START + timedelta(days=1),
        )

    alone = [of([name]) for name in names]
    for whole, parts in zip(of(names), zip(*alone, strict=True), strict=True):
        assert len(whole) > len(names) / 2
        key = whole.columns[:3]
        assert_frame_equal(whole.sort(key), pl.concat(parts).sort(key))


class TestAlways:
    @given(nodes())
    @settings(max_examples=60)
    def test_job_energy_equals_a_brute_force_integral(
        self, node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
    ) -> None:
        frame, held, states = node
        jobs, _ = integrate(frame, held, states=states, days=(0, 2))
        origin = START.timestamp()
        expected = {
            row["job_id"]: row["share"]
            * brute_force_j(
                frame,
                row["started_at"].timestamp() - origin,
                row["stopped_at"].timestamp() - origin,
                max_gap_s=30,
            )
            for row in held.iter_rows(named=True)
        }
        assert by_job(jobs) == pytest.approx(expected, rel=1e-9, abs=1e-6)

    @given(nodes(), MODES)
    @settings(max_examples=150)
    def test_energy_and_time_are_conserved_under_every_gate_and_method(
        self, node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], mode: tuple[str, str]
    ) -> None:
        frame, held, states = node
        gate, method = mode
        # integrate() itself raises ConservationError when a node, a day or its jobs do not add up
        jobs, classes = integrate(
            frame, held, gate=gate, method=method, states=states, idle_power_w=90, days=(0, 2)
        )
        residue = (classes["overcount_j"] - classes["left_out_j"]).sum()
        job = classes.filter(pl.col("class") == "job")["energy_j"].sum()
        assert jobs["energy_j"].sum() == pytest.approx(job + residue, rel=1e-9, abs=1e-6)
        assert classes["duration_s"].sum() == pytest.approx(2 * DAY_S, abs=1e-6)
        if gate != "binary":
            assert (classes["overcount_j"] == 0).all()
            assert jobs["energy_j"].sum() <= classes["energy_j"].sum() * (1 + 1e-9) + 1e-6
        if method != "inner_trapezoid":
            assert classes["left_out_j"].abs().max() in (None, 0)
        assert (classes["energy_j"] >= -1e-6).all()
        assert (classes["duration_s"] >= -1e-6).all()

    @given(nodes(), MODES, st.sampled_from([None, 90]))
    @settings(max_examples=80)
    def test_size_of_blocks_changes_only_the_variance(
        self,
        node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
        mode: tuple[str, str],
        idle_power_w: float | None,
    ) -> None:
        frame, held, states = node
        gate, method = mode
        idle_w = 90 if gate == "two_part" else idle_power_w
        kept: dict[str, Any] = {"gate": gate, "method": method, "states": states}
        kept |= {"idle_power_w": idle_w, "days": (0, 2)}
        jobs, classes = integrate(frame, held, **kept)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "BLOCK_ROWS", PROBE_EVERY)
            jobs_in_blocks, classes_in_blocks = integrate(frame, held, **kept)
        # the first interval of each block counts as a step, also where it is noise
        drop = ["variance_j2"]
        assert_frame_equal(jobs.drop(drop), jobs_in_blocks.drop(drop), rel_tol=1e-9, abs_tol=1e-6)
        assert_frame_equal(classes, classes_in_blocks, rel_tol=1e-9, abs_tol=1e-6)

    @given(nodes(), MODES)
    @settings(max_examples=80)
    def test_two_days_equal_the_sum_of_each_day(
        self, node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], mode: tuple[str, str]
    ) -> None:
        frame, held, states = node
        gate, method = mode
        columns = ["duration_s", "covered_s", "share_s", "energy_j"]
        # samples of a monthly file: its own day and max_gap_s around it
        frames = [
            frame.filter(
                pl.col("timestamp").is_between(
                    START + timedelta(days=day, seconds=-30),
                    START + timedelta(days=day + 1, seconds=30),
                )
            )
            for day in (0, 1)
        ]
        # a sum of samples depends on the period that all samples of a file show
        assume(method != "sum_of_samples" or have_one_period([frame, *frames]))
        parts = [
            integrate(
                frames[day],
                held,
                gate=gate,
                method=method,
                states=states,
                idle_power_w=90,
                days=(day, day + 1),
            )
            for day in (0, 1)
        ]
        whole = integrate(
            frame, held, gate=gate, method=method, states=states, idle_power_w=90, days=(0, 2)
        )
        for i, key in enumerate((["job_id"], ["day", "class"])):
            names = [name for name in columns if name in whole[i].columns]
            summed = pl.concat([part[i] for part in parts]).group_by(key).agg(pl.col(names).sum())
            both = whole[i].join(summed, on=key, how="left", suffix="_parts").fill_null(0.0)
            for name in names:
                assert both[name].to_list() == pytest.approx(
                    both[f"{name}_parts"].to_list(), rel=1e-9, abs=1e-6
                )
