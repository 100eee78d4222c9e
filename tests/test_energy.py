"""Gated integration of one node: cases by hand, a brute-force twin, and what must always hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint import energy, gates, integration, job_energy, segments
from footprint.conservation import ConservationError
from footprint.energy import Gate
from footprint.errors import InputError
from footprint.integration import PROBE_EVERY, Calibration
from footprint.intervals import Memory, Method
from footprint.tables import States

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY_S = 86_400
US = pl.Datetime("us", "UTC")


def samples(times_s: Any, power_w: Any) -> pl.DataFrame:
    """Samples at seconds after START."""
    origin = int(START.timestamp()) * 1_000_000
    times = [origin + round(float(each) * 1e6) for each in times_s]
    return pl.DataFrame(
        {
            "timestamp": pl.Series(times, dtype=pl.Int64).cast(US),
            "power_w": pl.Series(power_w, dtype=pl.Float64),
        }
    )


def pieces(*rows: tuple[int, float, float, float]) -> pl.DataFrame:
    """Gates from (job, start, stop, share); a node has 4 GPUs and 16 cores."""
    return pl.DataFrame(
        [
            {
                "job_id": job,
                "node": "c-1",
                "started_at": START + timedelta(seconds=start),
                "stopped_at": START + timedelta(seconds=stop),
                "share": share,
                "gpus": 4 * share,
                "cores": 16 * share,
                "opens": True,
                "closes": True,
            }
            for job, start, stop, share in rows
        ],
        schema=gates.PIECES,
    )


def unavailable(*intervals: tuple[float, float]) -> pl.DataFrame:
    rows = [
        {
            "node": "c-1",
            "started_at": START + timedelta(seconds=start),
            "stopped_at": START + timedelta(seconds=stop),
            "state": "maintenance",
        }
        for start, stop in intervals
    ]
    return pl.DataFrame(rows, schema=pl.DataFrame(States.create_empty()).schema)


def integrate(
    frame: pl.DataFrame,
    held: pl.DataFrame,
    *,
    policy: str = "reserved",
    method: str = "trapezoid",
    max_gap_s: float = 30,
    states: pl.DataFrame | None = None,
    idle_power_w: float | None = None,
    jobs_complete: bool = True,
    calibration: Calibration | None = None,
    days: tuple[int, int] = (0, 1),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    if policy == "binary":
        held = held.with_columns(share=pl.lit(1.0))
    occupancy = gates.occupancy(held.lazy()).collect()
    none = unavailable() if states is None else states
    gate = Gate(policy, Method(method, max_gap_s, 20, 5.0), jobs_complete, calibration)
    return energy.integrate(
        ["c-1"],
        lambda _: frame,
        gate,
        pieces=held,
        occupancy=occupancy,
        states=none,
        idle_power_w=None if idle_power_w is None else {"c-1": idle_power_w},
        start=START + timedelta(days=days[0]),
        end=START + timedelta(days=days[1]),
    )


def by_job(jobs: pl.DataFrame, column: str = "energy_j") -> dict[int, float]:
    return dict(jobs.select("job_id", column).iter_rows())


def by_class(classes: pl.DataFrame, column: str = "energy_j") -> dict[str, float]:
    return dict(
        classes.group_by("class").agg(pl.col(column).sum()).select("class", column).iter_rows()
    )


EVERY_5_S = np.arange(-10, DAY_S + 11, 5.0)
STEADY = samples(EVERY_5_S, np.full(len(EVERY_5_S), 200.0))
RAMP = samples(EVERY_5_S, 100 + EVERY_5_S / 1000)  # 100 W at midnight, 1 mW more each second


class TestHandComputed:
    def test_whole_node_at_constant_power(self) -> None:
        jobs, classes = integrate(STEADY, pieces((1, 1000, 4600, 1.0)))
        assert by_job(jobs) == pytest.approx({1: 200 * 3600})
        assert by_class(classes) == pytest.approx({"job": 200 * 3600, "idle": 200 * (DAY_S - 3600)})

    def test_bounds_between_samples_are_interpolated(self) -> None:
        jobs, _ = integrate(RAMP, pieces((1, 1002, 1013, 1.0)))
        # mean of 101.002 W and 101.013 W, 11 s
        assert by_job(jobs)[1] == pytest.approx((101.002 + 101.013) / 2 * 11, rel=1e-12)

    def test_left_hold_keeps_the_last_sample(self) -> None:
        jobs, _ = integrate(RAMP, pieces((1, 1002, 1013, 1.0)), method="left_hold")
        assert by_job(jobs)[1] == pytest.approx(101.000 * 3 + 101.005 * 5 + 101.010 * 3)

    def test_inner_trapezoid_goes_from_sample_to_sample_and_says_what_it_left_out(self) -> None:
        jobs, classes = integrate(RAMP, pieces((1, 1002, 1013, 1.0)), method="inner_trapezoid")
        inner = (101.005 + 101.010) / 2 * 5
        assert by_job(jobs)[1] == pytest.approx(inner)
        whole = (101.002 + 101.013) / 2 * 11
        assert by_class(classes)["job"] == pytest.approx(whole)
        assert by_class(classes, "left_out_j")["job"] == pytest.approx(whole - inner)

    def test_inner_trapezoid_of_a_job_between_two_samples_is_nothing(self) -> None:
        jobs, classes = integrate(STEADY, pieces((1, 1001, 1004, 1.0)), method="inner_trapezoid")
        assert by_job(jobs)[1] == 0
        assert by_class(classes, "left_out_j")["job"] == pytest.approx(600)

    def test_sum_of_samples_counts_start_but_not_stop(self) -> None:
        jobs, _ = integrate(RAMP, pieces((1, 1000, 1010, 1.0)), method="sum_of_samples")
        assert by_job(jobs)[1] == pytest.approx((101.000 + 101.005) * 5)

    def test_shares_split_the_node_and_strand_the_rest(self) -> None:
        jobs, classes = integrate(STEADY, pieces((1, 0, 100, 0.25), (2, 50, 100, 0.5)))
        assert by_job(jobs) == pytest.approx({1: 0.25 * 200 * 100, 2: 0.5 * 200 * 50})
        assert by_class(classes)["stranded"] == pytest.approx(0.75 * 200 * 50 + 0.25 * 200 * 50)

    def test_active_strands_nothing(self) -> None:
        jobs, classes = integrate(
            STEADY, pieces((1, 0, 100, 0.25), (2, 50, 100, 0.5)), policy="active"
        )
        assert by_job(jobs) == pytest.approx({1: 200 * 50 + 200 * 50 / 3, 2: 200 * 50 * 2 / 3})
        assert "stranded" not in by_class(classes)

    def test_binary_counts_a_shared_node_again_and_says_so(self) -> None:
        jobs, classes = integrate(
            STEADY, pieces((1, 0, 100, 0.25), (2, 50, 100, 0.5)), policy="binary"
        )
        assert by_job(jobs) == pytest.approx({1: 20_000, 2: 10_000})
        assert by_class(classes)["job"] == pytest.approx(20_000)
        assert by_class(classes, "overcount_j")["job"] == pytest.approx(10_000)

    def test_two_part_reserves_the_idle_power_and_shares_out_the_rest(self) -> None:
        jobs, classes = integrate(
            STEADY,
            pieces((1, 0, 100, 0.25), (2, 50, 100, 0.5)),
            policy="two_part",
            idle_power_w=120,
        )
        # job 1: a quarter of 120 W for 100 s, and of the 80 W above all for 50 s, a third for 50 s
        first = 0.25 * 120 * 100 + 80 * 50 + 80 * 50 / 3
        second = 0.5 * 120 * 50 + 80 * 50 * 2 / 3
        assert by_job(jobs) == pytest.approx({1: first, 2: second})
        assert by_class(classes)["stranded"] == pytest.approx(120 * (0.75 * 50 + 0.25 * 50))

    def test_a_gap_is_no_data_and_adds_nothing(self) -> None:
        kept = STEADY.filter(
            ~pl.col("timestamp").is_between(
                START + timedelta(seconds=1001), START + timedelta(seconds=1999)
            )
        )
        jobs, classes = integrate(kept, pieces((1, 900, 2100, 1.0)))
        assert by_job(jobs)[1] == pytest.approx(200 * 200)
        assert by_job(jobs, "covered_s")[1] == pytest.approx(200)
        assert by_job(jobs, "duration_s")[1] == pytest.approx(1200)
        assert by_class(classes, "duration_s")["no_data"] == pytest.approx(1000)

    def test_a_pause_of_max_gap_is_covered_and_a_longer_one_is_not(self) -> None:
        frame = samples([0, 30, 60.000001], [100, 100, 100])
        jobs, _ = integrate(frame, pieces((1, 0, 100, 1.0)))
        assert by_job(jobs, "covered_s")[1] == pytest.approx(30)

    def test_without_samples_all_is_no_data(self) -> None:
        jobs, classes = integrate(STEADY.clear(), pieces((1, 0, 100, 1.0)))
        assert by_job(jobs) == {1: 0.0}
        assert by_job(jobs, "covered_s") == {1: 0.0}
        assert by_class(classes, "duration_s") == {"no_data": DAY_S}

    def test_unavailable_comes_after_jobs_and_before_standby(self) -> None:
        frame = samples(EVERY_5_S, np.where(EVERY_5_S < 500, 200.0, 8.0))
        _, classes = integrate(frame, pieces((1, 0, 100, 1.0)), states=unavailable((50, 600)))
        seconds = by_class(classes, "duration_s")
        assert seconds["job"] == pytest.approx(100)
        assert seconds["unavailable"] == pytest.approx(500)
        assert seconds["standby"] == pytest.approx(DAY_S - 600)
        assert "idle" not in seconds

    def test_overlapping_states_count_once(self) -> None:
        _, classes = integrate(STEADY, pieces(), states=unavailable((50, 600), (100, 200)))
        assert by_class(classes, "duration_s")["unavailable"] == pytest.approx(550)

    def test_without_all_jobs_nothing_is_idle_or_stranded(self) -> None:
        _, classes = integrate(STEADY, pieces((1, 0, 100, 0.25)), jobs_complete=False)
        assert set(by_class(classes)) == {"job", "unattributed"}
        assert by_class(classes, "duration_s")["unattributed"] == pytest.approx(DAY_S - 25)

    def test_two_part_without_all_jobs_gives_no_job_more_than_it_reserved(self) -> None:
        jobs, _ = integrate(
            STEADY,
            pieces((1, 0, 100, 0.25)),
            policy="two_part",
            idle_power_w=120,
            jobs_complete=False,
        )
        assert by_job(jobs)[1] == pytest.approx(0.25 * 200 * 100)

    def test_calibration_is_applied_to_readings(self) -> None:
        jobs, _ = integrate(
            STEADY,
            pieces((1, 0, 100, 0.5)),
            calibration=Calibration(1.1, 7, slope_error=0.02, offset_error=3),
        )
        assert by_job(jobs)[1] == pytest.approx(0.5 * (1.1 * 200 + 7) * 100)
        assert by_job(jobs, "slope_error_j")[1] == pytest.approx(0.02 * 200 * 50)
        assert by_job(jobs, "offset_error_j")[1] == pytest.approx(3 * 50)

    def test_a_full_container_holds_the_node_and_uses_nothing(self) -> None:
        jobs, _ = integrate(STEADY, pieces((1, 0, 100, 0.0), (2, 0, 100, 1.0)))
        assert by_job(jobs) == pytest.approx({1: 0, 2: 20_000})
        assert by_job(jobs, "duration_s") == pytest.approx({1: 100, 2: 100})
        assert by_job(jobs, "covered_s") == pytest.approx({1: 100, 2: 100})

    def test_no_calibration_makes_power_negative(self) -> None:
        asleep = samples(np.arange(-10, 111, 5.0), np.full(25, 10.0))
        jobs, _ = integrate(asleep, pieces((1, 0, 100, 1.0)), calibration=Calibration(1.0, -15.0))
        assert by_job(jobs)[1] == 0

    @pytest.mark.parametrize("period_s", [5, 15, 25])
    def test_the_spread_is_that_of_noise_at_any_period(self, period_s: int) -> None:
        rng = np.random.default_rng(1)
        times = np.arange(-30, DAY_S + 31, period_s)
        frame = samples(times, 500 + 20 * rng.standard_normal(len(times)))
        jobs, _ = integrate(frame, pieces((1, 0, 80_000, 1.0)))
        expected_j2 = (20 * period_s) ** 2 * 80_000 / period_s
        assert by_job(jobs, "spread_j2")[1] == pytest.approx(expected_j2, rel=0.05)

    def test_a_container_has_what_its_inner_jobs_leave(self) -> None:
        held = pieces((1, 0, 20, 1.0), (1, 20, 60, 0.75), (1, 60, 100, 1.0), (2, 20, 60, 0.25))
        jobs, classes = integrate(STEADY, held)
        assert by_job(jobs) == pytest.approx({1: 200 * (100 - 10), 2: 200 * 10})
        assert by_job(jobs, "gpu_s") == pytest.approx({1: 4 * 90, 2: 40})
        assert by_job(jobs, "duration_s") == pytest.approx({1: 100, 2: 40})
        assert "stranded" not in by_class(classes)

    def test_days_are_utc_and_each_adds_up(self) -> None:
        times = np.arange(-10, 2 * DAY_S + 11, 5.0)
        frame = samples(times, np.full(len(times), 100.0))
        _, classes = integrate(frame, pieces((1, DAY_S - 50, DAY_S + 70, 1.0)), days=(0, 2))
        job = classes.filter(pl.col("class") == "job").sort("day")
        assert job["duration_s"].to_list() == pytest.approx([50, 70])

    @pytest.mark.parametrize("method", ["sum_of_samples", "inner_trapezoid"])
    def test_edge_term_job_over_two_partitions_is_that_of_one(self, method: str) -> None:
        times = np.arange(-10, 2 * DAY_S + 11, 5.0)
        frame = samples(times, np.full(len(times), 200.0))
        # jobs that start and stop inside, start or stop at the cut, and hold the node throughout
        held = pieces(
            (1, DAY_S - 600, DAY_S + 900, 0.25),
            (2, DAY_S - 600, DAY_S, 0.25),
            (3, DAY_S, DAY_S + 900, 0.25),
            (4, 100, 2 * DAY_S - 100, 0.25),
        )
        at_ends = held.with_columns(opens=pl.col("job_id") != 2, closes=pl.col("job_id") != 3)
        options = {"method": method, "calibration": Calibration(1.1, 7, 0.02, 3)}
        whole, _ = integrate(frame, at_ends, days=(0, 2), **options)
        days = [integrate(frame, at_ends, days=(day, day + 1), **options)[0] for day in (0, 1)]
        parts = pl.concat(days).group_by("job_id").agg(pl.col(energy.JOB_SUMS).sum())
        # a period of 5 s at 227 W and a quarter of the node, for both edges together
        period_j = 0.25 * (1.1 * 200 + 7) * 5
        expected = {1: period_j, 2: period_j / 2, 3: period_j / 2, 4: period_j}
        near = {"rel": 0.02 if method == "inner_trapezoid" else 1e-12}
        assert by_job(whole, "edge_j") == pytest.approx(expected, **near)
        assert by_job(parts, "edge_j") == pytest.approx(expected, **near)
        intervals = [
            job_energy.job_nodes(
                rows.with_columns(node=pl.lit("c-1")).lazy(),
                pl.LazyFrame({"node": ["c-1"], "cluster": ["c"], "has_gpu": [False]}),
                method=method,
            ).collect()
            for rows in (whole, pl.concat(days))
        ]
        assert_frame_equal(*intervals, rel_tol=1e-6)

    def test_a_lost_joule_is_noticed(self) -> None:
        held = pieces((1, 0, 100, 1.0))
        with pytest.raises(ConservationError, match="jobs do not add up to the class job"):
            energy.integrate(
                ["c-1"],
                lambda _: STEADY,
                Gate("reserved", Method("trapezoid", 30, 20)),
                pieces=held,
                occupancy=gates.occupancy(held.lazy()).collect().clear(),
                states=unavailable(),
                start=START,
                end=START + timedelta(days=1),
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
    return samples(times, power), pieces(*rows), unavailable(*states)  # type: ignore[arg-type]


MODES = st.tuples(
    st.sampled_from(gates.POLICIES),
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


def test_each_of_many_nodes_is_as_alone() -> None:
    """More nodes than are looked at together, with samples and without, and jobs on some."""
    rng = np.random.default_rng(3)
    names = [f"c-{i}" for i in range(2 * segments.NODES_AT_ONCE + 3)]
    read = {
        name: samples(EVERY_5_S, rng.uniform(50, 500, len(EVERY_5_S))).head(900 * (i % 3))
        for i, name in enumerate(names)
    }
    held = pl.concat(
        pieces((i, 60.0 * i, 60.0 * i + 700, 0.5)).with_columns(node=pl.lit(name))
        for i, name in enumerate(names)
        if i % 4
    )
    gate = Gate("reserved", Method("trapezoid", 30, 20, 5.0))

    def of(some: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        return energy.integrate(
            some,
            read.__getitem__,
            gate,
            pieces=held,
            occupancy=gates.occupancy(held.lazy()).collect(),
            states=unavailable(),
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
    def test_jobs_have_the_brute_force_integral(
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
    def test_everything_is_conserved_and_gates_never_add(
        self, node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], mode: tuple[str, str]
    ) -> None:
        frame, held, states = node
        policy, method = mode
        # integrate() itself raises ConservationError when a node, a day or its jobs do not add up
        jobs, classes = integrate(
            frame, held, policy=policy, method=method, states=states, idle_power_w=90, days=(0, 2)
        )
        residue = (classes["overcount_j"] - classes["left_out_j"]).sum()
        job = classes.filter(pl.col("class") == "job")["energy_j"].sum()
        assert jobs["energy_j"].sum() == pytest.approx(job + residue, rel=1e-9, abs=1e-6)
        assert classes["duration_s"].sum() == pytest.approx(2 * DAY_S, abs=1e-6)
        if policy != "binary":
            assert (classes["overcount_j"] == 0).all()
            assert jobs["energy_j"].sum() <= classes["energy_j"].sum() * (1 + 1e-9) + 1e-6
        if method != "inner_trapezoid":
            assert classes["left_out_j"].abs().max() in (None, 0)
        assert (classes["energy_j"] >= -1e-6).all()
        assert (classes["duration_s"] >= -1e-6).all()

    @given(nodes(), MODES, st.sampled_from([None, 90]))
    @settings(max_examples=80)
    def test_the_size_of_blocks_changes_nothing(
        self,
        node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
        mode: tuple[str, str],
        idle_power_w: float | None,
    ) -> None:
        frame, held, states = node
        policy, method = mode
        known = {"idle_power_w": 90 if policy == "two_part" else idle_power_w, "days": (0, 2)}
        kept = dict(policy=policy, method=method, states=states, **known)
        jobs, classes = integrate(frame, held, **kept)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(energy, "Memory", lambda: Memory(PROBE_EVERY))
            jobs_in_blocks, classes_in_blocks = integrate(frame, held, **kept)
        # alone, the first interval of each block tells no noise from steps
        drop = ["spread_j2"]
        assert_frame_equal(jobs.drop(drop), jobs_in_blocks.drop(drop), rel_tol=1e-9, abs_tol=1e-6)
        assert_frame_equal(classes, classes_in_blocks, rel_tol=1e-9, abs_tol=1e-6)

    @given(nodes(), MODES)
    @settings(max_examples=80)
    def test_two_days_are_the_sum_of_each(
        self, node: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], mode: tuple[str, str]
    ) -> None:
        frame, held, states = node
        policy, method = mode
        columns = ["duration_s", "covered_s", "share_s", "energy_j"]
        parts = [
            integrate(
                # what a partition holds: its own day and max_gap_s around it
                frame.filter(
                    pl.col("timestamp").is_between(
                        START + timedelta(days=day, seconds=-30),
                        START + timedelta(days=day + 1, seconds=30),
                    )
                ),
                held,
                policy=policy,
                method=method,
                states=states,
                idle_power_w=90,
                days=(day, day + 1),
            )
            for day in (0, 1)
        ]
        whole = integrate(
            frame, held, policy=policy, method=method, states=states, idle_power_w=90, days=(0, 2)
        )
        for i, key in enumerate((["job_id"], ["day", "class"])):
            names = [name for name in columns if name in whole[i].columns]
            summed = pl.concat([part[i] for part in parts]).group_by(key).agg(pl.col(names).sum())
            both = whole[i].join(summed, on=key, how="left", suffix="_parts").fill_null(0.0)
            for name in names:
                assert both[name].to_list() == pytest.approx(
                    both[f"{name}_parts"].to_list(), rel=1e-9, abs=1e-6
                )


def sum_of_samples_j(times_s: Any, power_w: Any, held: tuple[float, float]) -> float:
    jobs, _ = integrate(samples(times_s, power_w), pieces((1, *held, 1.0)), method="sum_of_samples")
    return by_job(jobs)[1]


def test_samples_count_for_their_own_period_whatever_the_nominal_one() -> None:
    for period_s in (0.02, 0.1, 1.0, 15.0):
        times = np.arange(0, max(600, 100 * period_s), period_s)
        found = sum_of_samples_j(times, np.full(len(times), 200.0), (60, 120))
        assert found == pytest.approx(200 * 60, rel=1e-3)


def test_period_of_a_coarse_clock_is_the_mean_distance() -> None:
    distances_us = np.resize([4_994_488, 4_994_488, 4_994_489, 5_010_488, 5_010_489], 3000)
    times_us = np.cumsum(distances_us)
    # (3 x 4.994488 s + 2 x 5.010488 s) / 5, but for microseconds
    mean_s = pytest.approx(5.0008884, rel=1e-5)
    assert integration.probe(times_us, np.full(3000, 200.0))[0] == mean_s
    assert integration.probe(np.delete(times_us, [7, 70]), np.full(2998, 200.0))[0] == mean_s


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
def test_a_period_is_the_mean_distance_however_it_varies(times: Any, mean_s: float) -> None:
    us = np.rint(np.asarray(times) * 1e6).astype(np.int64)
    assert integration.usual_period_s(us) == pytest.approx(mean_s, rel=2e-3)


def test_distances_too_diverse_have_no_period_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    times = np.cumsum(np.random.default_rng(1).exponential(10, 1000))
    assert sum_of_samples_j(times, np.full(1000, 100.0), (0, DAY_S)) == 1000 * 100 * 5
    assert caplog.messages == [
        "c-1 in 2025-03: distances of 1000 samples show no period; each counts for 5 s"
    ]


def test_too_few_samples_count_for_the_nominal_period() -> None:
    assert sum_of_samples_j([10, 13, 16], [100, 100, 100], (0, 60)) == 3 * 100 * 5


def test_missed_samples_do_not_lengthen_the_period() -> None:
    times = np.delete(np.arange(0, 600, 5.0), [3, 7, 8, 9, 50])
    found = sum_of_samples_j(times, np.full(len(times), 100.0), (0, 600))
    assert found == pytest.approx(len(times) * 5 * 100)


def test_a_stretch_with_another_period_counts_for_its_own() -> None:
    fast = np.arange(1000, 1100, 0.02)
    slow = np.arange(0, 3000, 1.0)
    times = np.concatenate([slow[slow < 1000], fast, slow[slow >= 1100]])
    power = np.full(len(times), 200.0)
    for held in ((0, 3000), (1000, 1100), (100, 900), (2000, 2900)):
        found = sum_of_samples_j(times, power, held)
        assert found == pytest.approx(200 * (held[1] - held[0]), rel=1e-3)


def test_a_calibration_that_clips_is_refused_by_node_and_month() -> None:
    line = Calibration(slope=1.0, offset=-150.0)
    steady = samples(np.arange(0, 600, 5.0), np.full(120, 100.0))
    with pytest.raises(InputError) as refused:
        integrate(steady, pieces((1, 0, 600, 1.0)), calibration=line)
    assert str(refused.value) == (
        "integration.calibration.c: gives less than 0 W for 120 of 120 readings of c-1 in 2025-03; "
        "correct its slope and offset: power is slope x reading + offset"
    )


def test_a_calibration_may_clip_standby_and_one_reading_in_a_hundred() -> None:
    line = Calibration(slope=1.0, offset=-25.0)
    power = np.concatenate([np.full(199, 100.0), [21.0], np.full(100, 9.0)])
    jobs, _ = integrate(
        samples(np.arange(300) * 5.0, power), pieces((1, 0, 900, 1.0)), calibration=line
    )
    assert by_job(jobs)[1] == pytest.approx(75 * 900)
    power[:2] = 21.0
    with pytest.raises(InputError, match="3 of 200 readings of c-1"):
        integrate(samples(np.arange(300) * 5.0, power), pieces(), calibration=line)


def test_a_calibration_that_clips_one_node_of_many_is_refused() -> None:
    times = np.arange(0, 600, 5.0)
    read = {f"c-{i}": samples(times, np.full(120, 90.0 if i == 7 else 200.0)) for i in range(150)}
    with pytest.raises(InputError, match="120 of 120 readings of c-7"):
        energy.integrate(
            list(read),
            read.__getitem__,
            Gate("reserved", Method("trapezoid", 30, 20), True, Calibration(1.0, -100.0)),
            pieces=pieces(),
            occupancy=gates.occupancy(pieces().lazy()).collect(),
            states=unavailable(),
            start=START,
            end=START + timedelta(days=1),
        )


def test_a_calibration_of_kilowatts_that_clips_is_refused() -> None:
    line = Calibration(slope=1000.0, offset=-600.0)
    with pytest.raises(InputError, match="120 of 120 readings of c-1"):
        integrate(samples(np.arange(0, 600, 5.0), np.full(120, 0.5)), pieces(), calibration=line)
