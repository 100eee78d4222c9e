"""Attribution on one node: cases by hand, and calibrations that are refused."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.allocation import node_allocations
from footprint.core.errors import InputError
from footprint.energy import attribution, job_energy
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.conservation import ConservationError
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.sources.calibration import Calibration
from tests.support.integrations import (
    DAY_S,
    EVERY_5_S,
    RAMP,
    START,
    STEADY,
    allocated,
    by_class,
    by_job,
    integrate,
    samples,
    unavailable,
)


class TestHandComputed:
    def test_job_on_a_whole_node_has_power_times_time(self) -> None:
        jobs, classes = integrate(STEADY, allocated((1, 1000, 4600, 1.0)))
        assert by_job(jobs) == pytest.approx({1: 200 * 3600})
        assert by_class(classes) == pytest.approx({"job": 200 * 3600, "idle": 200 * (DAY_S - 3600)})

    def test_trapezoid_interpolates_bounds_between_samples(self) -> None:
        jobs, _ = integrate(RAMP, allocated((1, 1002, 1013, 1.0)))
        # mean of 101.002 W and 101.013 W, 11 s
        assert by_job(jobs)[1] == pytest.approx((101.002 + 101.013) / 2 * 11, rel=1e-12)

    def test_left_hold_keeps_the_last_sample(self) -> None:
        jobs, _ = integrate(RAMP, allocated((1, 1002, 1013, 1.0)), method="left_hold")
        assert by_job(jobs)[1] == pytest.approx(101.000 * 3 + 101.005 * 5 + 101.010 * 3)

    def test_inner_trapezoid_counts_from_sample_to_sample_and_reports_the_rest(self) -> None:
        jobs, classes = integrate(RAMP, allocated((1, 1002, 1013, 1.0)), method="inner_trapezoid")
        inner = (101.005 + 101.010) / 2 * 5
        assert by_job(jobs)[1] == pytest.approx(inner)
        whole = (101.002 + 101.013) / 2 * 11
        assert by_class(classes)["job"] == pytest.approx(whole)
        assert by_class(classes, "left_out_j")["job"] == pytest.approx(whole - inner)

    def test_inner_trapezoid_of_a_job_between_two_samples_is_zero(self) -> None:
        jobs, classes = integrate(STEADY, allocated((1, 1001, 1004, 1.0)), method="inner_trapezoid")
        assert by_job(jobs)[1] == 0
        assert by_class(classes, "left_out_j")["job"] == pytest.approx(600)

    def test_sum_of_samples_counts_the_sample_at_start_but_not_at_stop(self) -> None:
        jobs, _ = integrate(RAMP, allocated((1, 1000, 1010, 1.0)), method="sum_of_samples")
        assert by_job(jobs)[1] == pytest.approx((101.000 + 101.005) * 5)

    def test_reserved_gate_splits_by_share_and_strands_the_rest(self) -> None:
        jobs, classes = integrate(STEADY, allocated((1, 0, 100, 0.25), (2, 50, 100, 0.5)))
        assert by_job(jobs) == pytest.approx({1: 0.25 * 200 * 100, 2: 0.5 * 200 * 50})
        assert by_class(classes)["stranded"] == pytest.approx(0.75 * 200 * 50 + 0.25 * 200 * 50)

    def test_active_gate_strands_nothing(self) -> None:
        jobs, classes = integrate(
            STEADY, allocated((1, 0, 100, 0.25), (2, 50, 100, 0.5)), gate="active"
        )
        assert by_job(jobs) == pytest.approx({1: 200 * 50 + 200 * 50 / 3, 2: 200 * 50 * 2 / 3})
        assert "stranded" not in by_class(classes)

    def test_binary_gate_reports_the_overcount_of_a_shared_node(self) -> None:
        jobs, classes = integrate(
            STEADY, allocated((1, 0, 100, 0.25), (2, 50, 100, 0.5)), gate="binary"
        )
        assert by_job(jobs) == pytest.approx({1: 20_000, 2: 10_000})
        assert by_class(classes)["job"] == pytest.approx(20_000)
        assert by_class(classes, "overcount_j")["job"] == pytest.approx(10_000)

    def test_two_part_gate_reserves_idle_power_and_splits_the_rest(self) -> None:
        jobs, classes = integrate(
            STEADY,
            allocated((1, 0, 100, 0.25), (2, 50, 100, 0.5)),
            gate="two_part",
            idle_power_w=120,
        )
        # job 1: a quarter of 120 W for 100 s, and of the 80 W above all for 50 s, a third for 50 s
        first = 0.25 * 120 * 100 + 80 * 50 + 80 * 50 / 3
        second = 0.5 * 120 * 50 + 80 * 50 * 2 / 3
        assert by_job(jobs) == pytest.approx({1: first, 2: second})
        assert by_class(classes)["stranded"] == pytest.approx(120 * (0.75 * 50 + 0.25 * 50))

    def test_gap_is_no_data_and_adds_no_energy(self) -> None:
        kept = STEADY.filter(
            ~pl.col("timestamp").is_between(
                START + timedelta(seconds=1001), START + timedelta(seconds=1999)
            )
        )
        jobs, classes = integrate(kept, allocated((1, 900, 2100, 1.0)))
        assert by_job(jobs)[1] == pytest.approx(200 * 200)
        assert by_job(jobs, "covered_s")[1] == pytest.approx(200)
        assert by_job(jobs, "duration_s")[1] == pytest.approx(1200)
        assert by_class(classes, "duration_s")["no_data"] == pytest.approx(1000)

    def test_interval_of_max_gap_is_covered_and_a_longer_one_is_not(self) -> None:
        frame = samples([0, 30, 60.000001], [100, 100, 100])
        jobs, _ = integrate(frame, allocated((1, 0, 100, 1.0)))
        assert by_job(jobs, "covered_s")[1] == pytest.approx(30)

    def test_node_without_samples_is_no_data(self) -> None:
        jobs, classes = integrate(STEADY.clear(), allocated((1, 0, 100, 1.0)))
        assert by_job(jobs) == {1: 0.0}
        assert by_job(jobs, "covered_s") == {1: 0.0}
        assert by_class(classes, "duration_s") == {"no_data": DAY_S}

    def test_class_unavailable_comes_after_job_and_before_standby(self) -> None:
        frame = samples(EVERY_5_S, np.where(EVERY_5_S < 500, 200.0, 8.0))
        _, classes = integrate(frame, allocated((1, 0, 100, 1.0)), states=unavailable((50, 600)))
        seconds = by_class(classes, "duration_s")
        assert seconds["job"] == pytest.approx(100)
        assert seconds["unavailable"] == pytest.approx(500)
        assert seconds["standby"] == pytest.approx(DAY_S - 600)
        assert "idle" not in seconds

    def test_class_unavailable_counts_overlapping_states_once(self) -> None:
        _, classes = integrate(STEADY, allocated(), states=unavailable((50, 600), (100, 200)))
        assert by_class(classes, "duration_s")["unavailable"] == pytest.approx(550)

    def test_incomplete_jobs_make_idle_and_stranded_unattributed(self) -> None:
        _, classes = integrate(STEADY, allocated((1, 0, 100, 0.25)), jobs_complete=False)
        assert set(by_class(classes)) == {"job", "unattributed"}
        assert by_class(classes, "duration_s")["unattributed"] == pytest.approx(DAY_S - 25)

    def test_two_part_gate_with_incomplete_jobs_gives_the_reserved_share(self) -> None:
        jobs, _ = integrate(
            STEADY,
            allocated((1, 0, 100, 0.25)),
            gate="two_part",
            idle_power_w=120,
            jobs_complete=False,
        )
        assert by_job(jobs)[1] == pytest.approx(0.25 * 200 * 100)

    def test_calibration_is_applied_to_readings(self) -> None:
        jobs, _ = integrate(
            STEADY,
            allocated((1, 0, 100, 0.5)),
            calibration=Calibration(1.1, 7),
        )
        assert by_job(jobs)[1] == pytest.approx(0.5 * (1.1 * 200 + 7) * 100)

    def test_full_container_holds_the_node_and_uses_nothing(self) -> None:
        jobs, _ = integrate(STEADY, allocated((1, 0, 100, 0.0), (2, 0, 100, 1.0)))
        assert by_job(jobs) == pytest.approx({1: 0, 2: 20_000})
        assert by_job(jobs, "duration_s") == pytest.approx({1: 100, 2: 100})
        assert by_job(jobs, "covered_s") == pytest.approx({1: 100, 2: 100})

    def test_calibration_below_zero_gives_zero_power(self) -> None:
        asleep = samples(np.arange(-10, 111, 5.0), np.full(25, 10.0))
        jobs, _ = integrate(
            asleep, allocated((1, 0, 100, 1.0)), calibration=Calibration(1.0, -15.0)
        )
        assert by_job(jobs)[1] == 0

    @pytest.mark.parametrize("period_s", [5, 15, 25])
    def test_variance_of_noise_is_right_at_any_period(self, period_s: int) -> None:
        rng = np.random.default_rng(1)
        times = np.arange(-30, DAY_S + 31, period_s)
        frame = samples(times, 500 + 20 * rng.standard_normal(len(times)))
        jobs, _ = integrate(frame, allocated((1, 0, 80_000, 1.0)))
        expected_j2 = (20 * period_s) ** 2 * 80_000 / period_s
        assert by_job(jobs, "variance_j2")[1] == pytest.approx(expected_j2, rel=0.05)

    def test_container_has_the_energy_that_its_inner_jobs_leave(self) -> None:
        held = allocated((1, 0, 20, 1.0), (1, 20, 60, 0.75), (1, 60, 100, 1.0), (2, 20, 60, 0.25))
        jobs, classes = integrate(STEADY, held)
        assert by_job(jobs) == pytest.approx({1: 200 * (100 - 10), 2: 200 * 10})
        assert by_job(jobs, "gpu_s") == pytest.approx({1: 4 * 90, 2: 40})
        assert by_job(jobs, "duration_s") == pytest.approx({1: 100, 2: 40})
        assert "stranded" not in by_class(classes)

    def test_classes_are_by_utc_day(self) -> None:
        times = np.arange(-10, 2 * DAY_S + 11, 5.0)
        frame = samples(times, np.full(len(times), 100.0))
        _, classes = integrate(frame, allocated((1, DAY_S - 50, DAY_S + 70, 1.0)), days=(0, 2))
        job = classes.filter(pl.col("class") == "job").sort("day")
        assert job["duration_s"].to_list() == pytest.approx([50, 70])

    @pytest.mark.parametrize("method", ["sum_of_samples", "inner_trapezoid"])
    def test_edge_term_of_a_job_over_two_windows_equals_that_of_one(self, method: str) -> None:
        times = np.arange(-10, 2 * DAY_S + 11, 5.0)
        frame = samples(times, np.full(len(times), 200.0))
        # jobs that start and stop inside, start or stop at the cut, and hold the node throughout
        held = allocated(
            (1, DAY_S - 600, DAY_S + 900, 0.25),
            (2, DAY_S - 600, DAY_S, 0.25),
            (3, DAY_S, DAY_S + 900, 0.25),
            (4, 100, 2 * DAY_S - 100, 0.25),
        )
        at_ends = held.with_columns(opens=pl.col("job_id") != 2, closes=pl.col("job_id") != 3)
        options = {"method": method, "calibration": Calibration(1.1, 7)}
        whole, _ = integrate(frame, at_ends, days=(0, 2), **options)
        days = [integrate(frame, at_ends, days=(day, day + 1), **options)[0] for day in (0, 1)]
        parts = pl.concat(days).group_by("job_id").agg(pl.col(attribution.JOB_SUM_COLUMNS).sum())
        # a period of 5 s at 227 W and a quarter of the node, for both edges together
        period_j = 0.25 * (1.1 * 200 + 7) * 5
        expected = {1: period_j, 2: period_j / 2, 3: period_j / 2, 4: period_j}
        near = {"rel": 0.02 if method == "inner_trapezoid" else 1e-12}
        assert by_job(whole, "edge_j") == pytest.approx(expected, **near)
        assert by_job(parts, "edge_j") == pytest.approx(expected, **near)
        intervals = [
            job_energy.job_node_energies(
                rows.with_columns(node=pl.lit("c-1")).lazy(),
                pl.LazyFrame({"node": ["c-1"], "cluster": ["c"], "has_gpu": [False]}),
                method=method,
            ).collect()
            for rows in (whole, pl.concat(days))
        ]
        assert_frame_equal(*intervals, rel_tol=1e-6)

    def test_integrate_with_lost_energy_raises_conservation_error(self) -> None:
        held = allocated((1, 0, 100, 1.0))
        with pytest.raises(ConservationError, match="jobs do not add up to the class job"):
            attribution.attribute_energy(
                ["c-1"],
                lambda _: STEADY,
                IntegrationSettings("reserved", IntegrationMethod("trapezoid", 30, 20)),
                NodeRecords(held, node_allocations.occupancy(held.lazy()).collect().clear()),
                start=START,
                end=START + timedelta(days=1),
            )


def test_calibration_that_clips_is_refused_with_node_and_month() -> None:
    line = Calibration(slope=1.0, offset=-150.0)
    steady = samples(np.arange(0, 600, 5.0), np.full(120, 100.0))
    with pytest.raises(InputError) as refused:
        integrate(steady, allocated((1, 0, 600, 1.0)), calibration=line)
    assert str(refused.value) == (
        "integration.calibration.c: gives less than 0 W for 120 of 120 readings of c-1 in 2025-03; "
        "fix its slope and offset: power is slope x reading + offset"
    )


def test_calibration_may_clip_standby_and_one_reading_in_a_hundred() -> None:
    line = Calibration(slope=1.0, offset=-25.0)
    power = np.concatenate([np.full(199, 100.0), [21.0], np.full(100, 9.0)])
    jobs, _ = integrate(
        samples(np.arange(300) * 5.0, power), allocated((1, 0, 900, 1.0)), calibration=line
    )
    assert by_job(jobs)[1] == pytest.approx(75 * 900)
    power[:2] = 21.0
    with pytest.raises(InputError, match="3 of 200 readings of c-1"):
        integrate(samples(np.arange(300) * 5.0, power), allocated(), calibration=line)


def test_calibration_that_clips_one_node_of_many_is_refused() -> None:
    times = np.arange(0, 600, 5.0)
    read = {f"c-{i}": samples(times, np.full(120, 90.0 if i == 7 else 200.0)) for i in range(150)}
    with pytest.raises(InputError, match="120 of 120 readings of c-7"):
        attribution.attribute_energy(
            list(read),
            read.__getitem__,
            IntegrationSettings(
                "reserved", IntegrationMethod("trapezoid", 30, 20), True, Calibration(1.0, -100.0)
            ),
            NodeRecords(allocated()),
            start=START,
            end=START + timedelta(days=1),
        )


def test_calibration_of_kilowatts_that_clips_is_refused() -> None:
    line = Calibration(slope=1000.0, offset=-600.0)
    with pytest.raises(InputError, match="120 of 120 readings of c-1"):
        integrate(samples(np.arange(0, 600, 5.0), np.full(120, 0.5)), allocated(), calibration=line)
