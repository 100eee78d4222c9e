"""`footprint.integrate`: energies by hand, refused input, and the numbers of the pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import footprint
from footprint.api import integration
from footprint.core.units import KWH_PER_J
from tests.support.rule_chain import CLUSTERS, MONTHS, RuleChain

TEN = datetime(2025, 3, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
NODE = "graffiti-1"


def samples(
    *, start: datetime = TEN, hours: float = 1, power_w: float = 400.0, node: str = NODE
) -> pl.DataFrame:
    times = pl.datetime_range(start, start + hours * HOUR, "5s", eager=True)
    return pl.DataFrame({"node": node, "timestamp": times, "power_w": power_w})


def held(*jobs: dict[str, Any]) -> pl.DataFrame:
    """Allocations; by default job 7 has half of the node from 10 to 11."""
    usual = {"job_id": 7, "node": NODE, "started_at": TEN, "stopped_at": TEN + HOUR, "share": 0.5}
    return pl.DataFrame([usual | job for job in jobs or ({},)])


def kwh(frame: pl.DataFrame) -> dict[int, float]:
    return dict(frame.select("job_id", "measured_kwh").rows())


# Energies, computed by hand: 400 W for an hour are 0.4 kWh


def test_integrate_gives_a_job_its_share_of_the_energy() -> None:
    energy = footprint.integrate(samples(), held({}, {"job_id": 8, "share": 0.25}))
    assert kwh(energy) == pytest.approx({7: 0.2, 8: 0.1})
    assert energy["coverage_frac"].to_list() == [1, 1]
    assert energy.columns == list(integration.IntegratedEnergy.columns())
    assert integration.IntegratedEnergy.is_valid(energy)


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("reserved", {7: 0.2, 8: 0.1}),
        ("binary", {7: 0.4, 8: 0.4}),
        ("active", {7: 0.4 * 2 / 3, 8: 0.4 / 3}),
        ("two_part", {7: 0.05 + 0.3 * 2 / 3, 8: 0.025 + 0.3 / 3}),
    ],
)
def test_integrate_divides_power_by_the_gate(gate: str, expected: dict[int, float]) -> None:
    jobs = held({}, {"job_id": 8, "share": 0.25})
    energy = footprint.integrate(samples(), jobs, gate=gate, idle_power_w={NODE: 100.0})
    assert kwh(energy) == pytest.approx(expected)


def test_integrate_without_shares_gives_jobs_the_whole_node() -> None:
    assert kwh(footprint.integrate(samples(), held().drop("share"))) == pytest.approx({7: 0.4})


@pytest.mark.parametrize("before", [timedelta(), HOUR])
def test_integrate_of_a_job_beyond_the_samples_lowers_the_coverage(before: timedelta) -> None:
    job = held({"started_at": TEN - before, "stopped_at": TEN + 2 * HOUR - before})
    row = footprint.integrate(samples(), job).row(0, named=True)
    assert row["measured_kwh"] == row["estimated_kwh"] == pytest.approx(0.2)
    assert row["coverage_frac"] == pytest.approx(0.5)
    assert row["duration_s"] == 7200


def test_integrate_over_a_gap_counts_no_energy_in_it() -> None:
    times = pl.col("timestamp").is_between(TEN + HOUR / 4, TEN + HOUR / 2, closed="none")
    row = footprint.integrate(samples().filter(~times), held()).row(0, named=True)
    assert row["measured_kwh"] == pytest.approx(0.15)
    assert row["coverage_frac"] == pytest.approx(0.75)
    whole = footprint.integrate(samples().filter(~times), held(), max_gap_s=900)
    assert kwh(whole) == pytest.approx({7: 0.2})


def test_integrate_leaves_a_job_without_samples_unknown() -> None:
    jobs = held({}, {"job_id": 8, "node": "gros-1"})
    energy = footprint.integrate(samples(), jobs)
    assert kwh(energy) == {7: pytest.approx(0.2), 8: None}
    assert energy["coverage_frac"].to_list() == [1, 0]
    assert energy["estimated_kwh"].to_list() == [0, None]


def test_integrate_estimates_a_node_without_samples_by_other_nodes_of_the_job() -> None:
    jobs = held({"share": 1.0}, {"share": 1.0, "node": "graffiti-2"}, {"job_id": 8})
    jobs = jobs.with_columns(
        node=pl.Series(["graffiti-1", "graffiti-2", "graffiti-3"]),
    )
    energy = footprint.integrate(samples(), jobs)
    assert energy["measured_kwh"].to_list() == [pytest.approx(0.4), None, None]
    assert energy["estimated_kwh"].to_list() == [0, pytest.approx(0.4), None]
    apart = footprint.integrate(
        samples(node="a-1"), jobs.with_columns(node=pl.Series(["a-1", "b-1", "b-2"]))
    )
    assert apart["estimated_kwh"].to_list() == [0, None, None]


def test_integrate_over_ends_of_months_and_years_adds_up() -> None:
    new_year = datetime(2025, 1, 1, tzinfo=UTC)
    power = samples(start=new_year - 2 * HOUR, hours=4)
    job = held({"started_at": new_year - HOUR, "stopped_at": new_year + HOUR})
    [row] = footprint.integrate(power, job).rows(named=True)
    assert row["measured_kwh"] == pytest.approx(0.4)
    assert row["duration_s"] == row["covered_s"] == pytest.approx(7200)


@given(cut=st.integers(1, 3599), share=st.floats(0.01, 1), scale=st.floats(0.5, 2))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_integrate_of_a_job_cut_in_two_adds_up_and_is_linear(
    cut: int, share: float, scale: float
) -> None:
    at = TEN + timedelta(seconds=cut)
    whole = footprint.integrate(samples(), held({"share": share}))
    jobs = held({"stopped_at": at, "share": share}, {"started_at": at, "share": share})
    parts = footprint.integrate(samples(power_w=400 * scale), jobs)
    assert kwh(parts)[7] == pytest.approx(kwh(whole)[7] * scale, rel=1e-9)


# Input that is read as meant


def test_integrate_reads_other_forms_as_meant() -> None:
    expected = footprint.integrate(samples(), held())
    paris = ZoneInfo("Europe/Paris")
    shuffled = samples().sample(fraction=1, shuffle=True, seed=1)
    missing = pl.DataFrame(
        {
            "node": NODE,
            "timestamp": [TEN + timedelta(seconds=1)] * 2,
            "power_w": [None, float("nan")],
        }
    )
    odd = pl.concat([shuffled, samples().head(3), missing]).with_columns(
        pl.col("timestamp").dt.convert_time_zone(paris.key).dt.cast_time_unit("ns"),
        pl.col("node").cast(pl.Categorical),
        note=pl.lit("x"),
    )
    jobs = held().with_columns(
        pl.col("started_at", "stopped_at").dt.convert_time_zone(paris.key), gpus=pl.lit("two")
    )
    assert_frame_equal(footprint.integrate(odd, jobs), expected, check_exact=True)
    assert_frame_equal(footprint.integrate(odd.lazy(), jobs.lazy()), expected, check_exact=True)


def test_integrate_of_whole_watts_equals_that_of_floats() -> None:
    power = samples().with_columns(pl.col("power_w").cast(pl.UInt16))
    assert_frame_equal(footprint.integrate(power, held()), footprint.integrate(samples(), held()))


def test_integrate_of_no_allocation_is_an_empty_frame() -> None:
    energy = footprint.integrate(samples(), held().clear())
    assert integration.IntegratedEnergy.is_valid(energy)
    assert energy.is_empty()
    brief = held({"stopped_at": TEN})
    assert footprint.integrate(samples(), brief).is_empty()


# Input that is refused in one line


NAIVE = pl.col("timestamp").dt.replace_time_zone(None)
BEFORE = TEN - HOUR


@pytest.mark.parametrize(
    ("power", "jobs", "options", "message"),
    [
        (samples(), held(), {"gate": "half"}, r"gate: 'half' is unknown; use binary, reserved, "),
        (samples(), held(), {"method": "sum"}, r"method: 'sum' is unknown; use trapezoid, "),
        (
            samples(),
            held(),
            {"max_gap_s": 0},
            r"max_gap_s: is 0; set seconds between 0 and 1000000000",
        ),
        (
            samples(),
            held(),
            {"gate": "two_part"},
            r"idle_power_w: is None for graffiti-1, .+ as in",
        ),
        (
            samples(),
            held(),
            {"gate": "two_part", "idle_power_w": {NODE: float("nan")}},
            r"idle_power_w: is nan for graffiti-1",
        ),
        ([], held(), {}, r"power: is builtins\.list, not a frame of polars; convert it"),
        (samples().drop("power_w"), held(), {}, r"power: has no column power_w, only node, timest"),
        (
            samples().with_columns(NAIVE),
            held(),
            {},
            r"power\.timestamp: has times without a time z",
        ),
        (
            samples().with_columns(pl.col("timestamp").cast(pl.String)),
            held(),
            {},
            r"power\.timestamp: is String; convert it to Datetime",
        ),
        (
            samples(power_w=-1),
            held(),
            {},
            r"power, row with .+power_w -1\.0: is not a power \(and 7",
        ),
        (samples(power_w=float("inf")), held(), {}, r"power, row with .+inf: is not a power"),
        (
            pl.concat([samples(), samples(power_w=1.0)]),
            held(),
            {},
            r"power, row with node graffiti-1, .+ 400\.0: has another power at the same time",
        ),
        (
            samples().with_columns(timestamp=pl.lit(None, pl.Datetime("us", "UTC"))),
            held(),
            {},
            r"power, row with .+: has no time",
        ),
        (
            samples(node="graffiti-1.nancy"),
            held(),
            {},
            r"power: has no sample of the 1 nodes of the allocations, as graffiti-1; use the same",
        ),
        (samples(), held().drop("node"), {}, r"allocations: has no column node, only job_id, "),
        (
            samples(),
            held({"job_id": "a"}),
            {},
            r"allocations\.job_id: is String; convert it to Int64",
        ),
        (
            samples(),
            held({}, {"stopped_at": None}),
            {},
            r"stopped_at None.+: lacks a value; fill it",
        ),
        (
            samples(),
            held({"stopped_at": BEFORE}),
            {},
            r"row with job_id 7.+: stops before it starts",
        ),
        (samples(), held({"share": 1.01}), {}, r"share 1\.01: has a share outside 0 to 1"),
        (samples(), held({"share": -0.1}), {}, r"share -0\.1: has a share outside 0 to 1"),
        (samples(), held({"share": float("nan")}), {}, r"share nan: has a share outside 0 to 1"),
        (
            samples(),
            held({"stopped_at": datetime(9999, 12, 31, tzinfo=UTC)}),
            {},
            r"is not between the years 1970 and 2100; set the real times",
        ),
        (samples(), held({}, {}), {}, r"overlaps with another of the same job; merge the two"),
        (
            samples(),
            held({}, {"job_id": 8, "share": 0.75}),
            {},
            r"allocations: graffiti-1: jobs 7, 8 together hold 1\.25 of the node from 2025-03-03 "
            r'10:00:00 UTC; fix the shares or times, or use the gate "binary"',
        ),
    ],
)
def test_integrate_refuses_input_in_one_line(
    power: pl.DataFrame, jobs: pl.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(footprint.InputError, match=message) as caught:
        footprint.integrate(power, jobs, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# The numbers of the pipeline, on files of a small study over the end of a month


def test_integrate_equals_the_energies_of_the_pipeline(chain: RuleChain) -> None:
    # the pipeline estimates the cluster without readings from its hardware
    expected = chain.read("energy-job_nodes").filter(pl.col("cluster") != "gres")
    energy = footprint.integrate(chain.power(), chain.read("node_allocations")).filter(
        ~pl.col("node").str.starts_with("gres-")
    )
    assert len(energy) > 20
    assert energy["measured_kwh"].min() < 0.01 < 1 < energy["measured_kwh"].max()
    assert_frame_equal(
        energy, expected.select(energy.columns), rel_tol=1e-12, abs_tol=1e-15, check_exact=False
    )


@pytest.mark.parametrize("gate", ["binary", "active", "two_part"])
@pytest.mark.parametrize("method", ["trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples"])
def test_integrate_equals_the_sums_of_the_pipeline_for_each_gate_and_method(
    chain: RuleChain, tmp_path: Path, gate: str, method: str
) -> None:
    again = chain.continue_in(tmp_path / "study", gate=gate, method=method)
    again.build_allocations()
    idle_w = {f"grele-{number}": 150.0 for number in (1, 2)} | {"gres-1": 100.0}
    pl.DataFrame({"node": list(idle_w), "idle_power_w": list(idle_w.values())}).write_parquet(
        again.path("idle")
    )
    given_idle = again.path("idle") if gate == "two_part" else None
    for cluster in CLUSTERS:
        for month in MONTHS:
            again.integrate_energy(cluster, month, node_power=given_idle)
    sums = pl.concat(
        pl.read_parquet(path)
        for cluster in CLUSTERS
        for path in again.monthly_paths("sums", cluster)
    )
    expected = sums.group_by("job_id", "node").agg(kwh=pl.col("energy_j").sum() * KWH_PER_J)
    energy = footprint.integrate(
        again.power(), again.read("node_allocations"), gate, method, idle_power_w=idle_w
    )
    both = energy.join(expected, on=["job_id", "node"], how="full").sort("job_id", "node")
    assert both["node"].null_count() == both["node_right"].null_count() == 0
    assert_frame_equal(
        both.select(pl.col("measured_kwh").fill_null(0.0)),
        both.select(measured_kwh="kwh"),
        rel_tol=1e-12,
        abs_tol=1e-15,
        check_exact=False,
    )


@pytest.mark.parametrize("method", ["trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples"])
def test_integrate_of_a_job_in_rows_that_touch_equals_the_job_in_one_row(method: str) -> None:
    start, middle = TEN + timedelta(seconds=3), TEN + timedelta(minutes=30, seconds=2)
    stop = TEN + timedelta(minutes=59, seconds=57)
    whole = held({"started_at": start, "stopped_at": stop})
    parts = held(
        {"started_at": start, "stopped_at": middle}, {"started_at": middle, "stopped_at": stop}
    )
    assert_frame_equal(
        footprint.integrate(samples(), parts, method=method),
        footprint.integrate(samples(), whole, method=method),
        rel_tol=1e-9,
        check_exact=False,
    )


@pytest.mark.parametrize("idle", [100.0, {NODE: "5"}])
def test_integrate_refuses_idle_power_that_is_no_power_by_node(idle: Any) -> None:
    with pytest.raises(footprint.InputError, match="idle_power_w"):
        footprint.integrate(samples(), held(), gate="two_part", idle_power_w=idle)


@pytest.mark.parametrize("gap", ["30", HOUR, 1e12])
def test_integrate_refuses_a_gap_that_is_no_number_of_seconds(gap: Any) -> None:
    with pytest.raises(footprint.InputError, match="max_gap_s"):
        footprint.integrate(samples(), held(), max_gap_s=gap)
