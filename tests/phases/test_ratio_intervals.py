"""Tests of the interval of R: errors of one cluster cancel, those of two clusters do in part."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from footprint.phases import energies, ratio, ratio_intervals, roles
from footprint.totals.group_parts import Moves
from tests.phases.test_ratio import LABELS, RUN_SCHEMA, Row, levels_frame, run, time_frame
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

RUNS = [run(1, "training_run", 10.0), run(2, "debug", 30.0)]


def job_node(job_id: int, cluster: str, measured_kwh: float | None, **more: Any) -> Row:
    row = {"job_id": job_id, "node": f"{cluster}-1", "cluster": cluster, "share": 1.0}
    time = {"duration_s": 3600.0, "covered_s": 0.0 if measured_kwh is None else 3600.0}
    return row | time | {"measured_kwh": measured_kwh, "estimated_kwh": 0.0} | more


def ratio_row(
    job_nodes: list[Row],
    *,
    meters: dict[str, Any] | None = None,
    virtual_meter: pl.DataFrame | None = None,
    runs: list[Row] | None = None,
    moves: Moves | None = None,
) -> Row:
    labelled = labels_frame(*LABELS[:1])
    rows = RUNS if runs is None else runs
    frame = pl.LazyFrame(rows, RUN_SCHEMA).with_columns(job_ids=pl.concat_list("run_id"))
    frame = frame.join(roles.assign_roles(frame, labelled), on="run_id")
    time = time_frame(rows, run_1=3600.0, run_2=3600.0)
    groups = {"levels": levels_frame(), "time": time}
    errors = energies.errors_of_study(
        pl.LazyFrame(job_nodes, infer_schema_length=None),
        job_energy=pl.LazyFrame(schema={"job_id": pl.Int64, "similar": pl.Int64}),
        virtual_meter=virtual_meter,
        meters=meters,
    )
    intervals = ratio_intervals.intervals_of_ratios(
        ratio.rows_of_groups(frame, **groups), frame, errors, moves
    )
    found = ratio.compare_development_with_training(frame, **groups, intervals=intervals)
    row: Row = found.filter(scope="paper").collect().row(0, named=True)
    return row


def test_gain_of_one_cluster_cancels_in_the_ratio() -> None:
    row = ratio_row([job_node(1, "a", 10.0), job_node(2, "a", 30.0)])
    assert row["ratio"] == 3.0
    # Only the gain by run is left: rectangular, +-2 % a job, sd 0.0115 on each side, which gives
    # 3 x 1.96 x sqrt(2) x 0.0115 / 1.05 (the mean gain) = 0.0914.
    assert row["ratio_low"] == pytest.approx(3.0 - 0.0914, abs=0.01)
    assert row["ratio_high"] == pytest.approx(3.0 + 0.0914, abs=0.01)
    # Each side is uncertain by the gain 1.05 + 0.1 sqrt(0.5) (U_0 + U_m): triangular, with the
    # 97.5 % quantile 1.05 + 0.1414 (1 - sqrt(0.05)) = 1.160.
    assert row["training_low_kwh"] == pytest.approx(9.40, abs=0.06)
    assert row["training_high_kwh"] == pytest.approx(11.60, abs=0.06)


def test_independent_gains_of_two_clusters_do_not_cancel() -> None:
    nodes = [job_node(1, "a", 10.0), job_node(2, "b", 30.0)]
    apart = ratio_row(nodes, meters={"low": 0.9, "high": 1.1, "correlation": 0.0})
    # The quotient of two gains, rectangular on 0.9 to 1.1: P(g_b / g_a < q) is the area of a corner
    # of the square of 0.2 x 0.2. Its 2.5 % quantile is q:
    # a triangle with legs h = 1.1 q - 0.9 and h / q has the area h^2 / 2 q = 0.025 x 0.04 = 0.001
    # for h = 0.0414, q = 0.8558. The gain by run widens it by less than 0.01.
    assert apart["ratio_low"] == pytest.approx(3 * 0.8558, abs=0.03)
    assert apart["ratio_high"] == pytest.approx(3 / 0.8558, abs=0.04)
    together = ratio_row(nodes, meters={"low": 0.9, "high": 1.1, "correlation": 1.0})
    assert together["ratio_high"] - together["ratio_low"] < 0.25
    half = ratio_row(nodes, meters={"low": 0.9, "high": 1.1, "correlation": 0.5})
    widths = [row["ratio_high"] - row["ratio_low"] for row in (together, half, apart)]
    assert widths == sorted(widths)


def virtual_meter_table(**changes: Any) -> pl.DataFrame:
    row = {
        "basis": "virtual_meter",
        "cluster": "b",
        "is_measured": False,
        "n_clusters": 0,
        "cluster_sd_log": 0.1,
        "mean_sd_log": 0.0,
        "degrees_of_freedom": 1000,
        "run_sd_log": 0.0,
    }
    return pl.DataFrame([row | changes])


def test_training_that_is_estimated_alone_has_the_interval_of_its_estimate() -> None:
    estimated = {"estimated_kwh": 10.0, "virtual_meter_kwh": 10.0, "own_readings_kwh": 0.0}
    runs = [run(1, "training_run", None, estimated_kwh=10.0, total_kwh=10.0), RUNS[1]]
    nodes = [
        job_node(1, "b", None, **estimated),
        job_node(2, "a", 30.0, virtual_meter_kwh=0.0, own_readings_kwh=0.0),
    ]
    exact = {"low": 1.0, "high": 1.0, "correlation": 0.0}
    row = ratio_row(nodes, runs=runs, virtual_meter=virtual_meter_table(), meters=exact)
    assert (row["ratio"], row["training_measured_frac"]) == (3.0, 0.0)
    # exp(1.96 x 0.1) = 1.2165 up and down
    assert row["ratio_low"] == pytest.approx(3.0 / 1.2165, rel=0.01)
    assert row["ratio_high"] == pytest.approx(3.0 * 1.2165, rel=0.01)


def test_interval_of_paper_without_training_is_null() -> None:
    runs = [run(2, "debug", 30.0)]
    row = ratio_row([job_node(2, "a", 30.0)], runs=runs)
    names = ("ratio", "ratio_low", "ratio_high", "training_low_kwh")
    assert [row[name] for name in names] == [None] * 4
    assert row["ratio_reason"] == ratio.NO_TRAINING_REASON
    # asymmetric: the meter is expected to under-read
    assert row["development_low_kwh"] < 30.0 < row["development_high_kwh"]


def test_paper_without_development_has_a_ratio_of_zero_without_width() -> None:
    row = ratio_row([job_node(1, "a", 10.0)], runs=RUNS[:1])
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (0.0, 0.0, 0.0)


def test_ratio_outside_of_the_quantiles_widens_its_interval() -> None:
    # a gain far from 1 on one cluster alone, by its calibration
    nodes = [job_node(1, "a", 10.0), job_node(2, "b", 30.0)]
    row = ratio_row(nodes, meters={"low": 1.5, "high": 1.5, "correlation": 0.0})
    assert row["training_low_kwh"] == 10.0
    assert row["training_high_kwh"] > 14.0
