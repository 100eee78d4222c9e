"""Gains of the simulated meters, clusters without meters or series, and hidden hardware."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.sources.kwollect.metrics import LOAD_METRIC
from footprint.sources.simulated import SimulatedSite, hidden_hardware
from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.hardware import build_nodes, cluster_names
from footprint.sources.simulated.hidden_hardware import draw_hidden_hardware
from footprint.sources.simulated.meters import (
    MeterGains,
    clusters_without_meters,
    clusters_without_series,
)
from tests.sources.simulated.test_power import END, SMALL, START, cluster_readings

CLUSTERS = sorted(CLUSTER_HARDWARE)
WITH_GPUS = [name for name in CLUSTERS if CLUSTER_HARDWARE[name].gpus]
PERFECT: dict[str, Any] = {"low": 1, "high": 1}
N_SEEDS = 3000


def drawn_gains(gains: MeterGains) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Gains by seed and cluster."""
    return np.array([[gains.gain(seed, name) for name in CLUSTERS[:3]] for seed in range(N_SEEDS)])


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_gains_have_configured_mean_spread_and_correlation(correlation: float) -> None:
    gains = drawn_gains(MeterGains(correlation=correlation))
    assert gains.mean() == pytest.approx(1.05, abs=0.005)
    # a rectangular distribution of half width 0.1 has a standard deviation of 0.1 / sqrt(3)
    assert gains.std() == pytest.approx(0.1 / 3**0.5, rel=0.03)
    found = np.corrcoef(gains.T)[np.triu_indices(3, 1)]
    assert found == pytest.approx([correlation] * 3, abs=0.05)
    half = 0.1 * (correlation**0.5 + (1 - correlation) ** 0.5)
    assert np.abs(gains - 1.05).max() <= half + 1e-12
    assert MeterGains(correlation=correlation).lowest == pytest.approx(1.05 - half)


def test_gain_is_the_common_and_the_own_part_by_hand() -> None:
    wholly_common, independent = MeterGains(correlation=1), MeterGains(correlation=0)
    common, own = wholly_common.gain(3, "grele") - 1.05, independent.gain(3, "grele") - 1.05
    expected = 1.05 + 0.5**0.5 * (common + own)
    assert MeterGains().gain(3, "grele") == pytest.approx(expected, rel=1e-12)
    assert wholly_common.gain(3, "gruss") == wholly_common.gain(3, "grele")


def test_meter_without_uncertainty_has_gain_one() -> None:
    assert MeterGains.from_source({"meter": PERFECT}).gain(7, "grele") == 1.0
    assert MeterGains.from_source({}) == MeterGains(0.95, 1.15, 0.5)
    assert MeterGains.from_source({"meter": {"high": 1.2}}) == MeterGains(0.95, 1.2, 0.5)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"meter": {"mid": 1}}, "source.meter: there is no key 'mid'; choose among low, high"),
        ({"meter": {"low": "1"}}, "source.meter.low: '1' is not a number"),
        ({"meter": {"low": 1.2}}, "source.meter.low: 1.2 is above source.meter.high (1.15)"),
        ({"meter": {"correlation": 2}}, "source.meter.correlation: 2 is not a correlation"),
        ({"meter": {"low": 0.1, "high": 2}}, "source.meter: gains of 0.1 to 2 include -0.294"),
        ({"without_meters": "gres"}, "source.without_meters: 'gres' is not a list of clusters"),
        ({"without_series": 3}, "source.without_series: 3 is not a list of clusters"),
        (
            {"without_meters": ["gros"]},
            "source.without_meters: the simulated site has no cluster 'gros'; choose among",
        ),
        (
            {"nodes": {"graffiti": 1}, "without_series": ["grele"]},
            "source.without_series: the simulated site has no cluster 'grele'",
        ),
    ],
)
def test_wrong_keys_of_meters_raise(source: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)):
        cluster_names(source)


def test_clusters_without_meters_by_default_are_the_catalogues() -> None:
    assert clusters_without_meters({}, CLUSTERS, seed=1) == {"gres"}
    assert clusters_without_meters({"without_meters": []}, CLUSTERS, seed=1) == set()
    assert clusters_without_meters({"without_meters": ["grue"]}, CLUSTERS, seed=1) == {"grue"}
    assert clusters_without_series({}, CLUSTERS, seed=1) == set()
    assert clusters_without_series({"without_series": ["grue"]}, CLUSTERS, seed=1) == {"grue"}


def test_clusters_drawn_by_seed_have_the_stated_probabilities() -> None:
    source = {"without_meters": "seed", "without_series": "seed"}
    n_meters = n_series = 0
    for seed in range(600):
        lacking = clusters_without_meters(source, CLUSTERS, seed=seed)
        assert not lacking.issuperset(WITH_GPUS)
        n_meters += len(lacking)
        n_series += len(clusters_without_series(source, CLUSTERS, seed=seed))
    assert n_meters / (600 * len(CLUSTERS)) == pytest.approx(0.35, abs=0.03)
    assert n_series / (600 * len(CLUSTERS)) == pytest.approx(0.2, abs=0.03)


def test_single_cluster_with_gpus_keeps_its_meters() -> None:
    source = {"without_meters": "seed"}
    drawn = [clusters_without_meters(source, ["grappe", "grue"], seed=seed) for seed in range(60)]
    assert set(drawn) == {frozenset(), frozenset({"grappe"})}


def test_nodes_of_clusters_without_meters_describe_no_power_metric() -> None:
    source = {"nodes": {"grappe": 1, "gres": 1}, "without_meters": ["grappe"]}
    grappe, gres = build_nodes(source)
    assert (grappe.has_meter, grappe.sensor_step_w) == (False, None)
    assert (gres.has_meter, gres.sensor_step_w) == (True, 1.0)
    site = SimulatedSite.from_config(SMALL | source | {"jobs": 20})
    metrics = dict(site.nodes().select("node", "power_metrics").collect().iter_rows())
    assert metrics == {"grappe-1": [], "gres-1": ["bmc_node_power_watt"]}
    assert set(site.meter_gains()) == {"gres"}
    assert site.power_of("grappe-1", start=START, end=START + timedelta(hours=1)) is None


def test_hidden_hardware_has_the_stated_bounds_and_spread() -> None:
    drawn = [draw_hidden_hardware(seed, name) for seed in range(300) for name in CLUSTERS]
    idle = np.log([each.idle_factor for each in drawn])
    assert idle.mean() == pytest.approx(0, abs=0.02)
    assert 0.22 < idle.std() < 0.25
    for attribute, bounds in (
        ("idle_factor", hidden_hardware.IDLE_FACTORS),
        ("loss_factor", (1.03, 1.20)),
        ("processor_range_frac", (0.55, 0.95)),
        ("series_factor", (0.95, 1.05)),
    ):
        values = np.array([getattr(each, attribute) for each in drawn])
        width = bounds[1] - bounds[0]
        assert bounds[0] <= values.min() < bounds[0] + 0.02 * width
        assert bounds[1] - 0.02 * width < values.max() <= bounds[1]


def test_idle_nodes_draw_more_than_their_idle_gpus() -> None:
    for name in WITH_GPUS:
        facts = CLUSTER_HARDWARE[name]
        lowest_w = 0.96 * hidden_hardware.IDLE_FACTORS[0] * facts.idle_w
        assert lowest_w > 1.15 * sum(gpu.idle_w for gpu in facts.gpus)


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return SimulatedSite.from_config(SMALL)


@pytest.fixture(scope="module")
def perfect() -> SimulatedSite:
    """The same site with meters of gain 1."""
    return SimulatedSite.from_config({**SMALL, "meter": PERFECT})


def test_gains_do_not_depend_on_the_clusters_of_the_site(site: SimulatedSite) -> None:
    nodes = {"graffiti": 1, "gruss": 1, "grue": 1}
    other = SimulatedSite.from_config({**SMALL, "nodes": nodes, "jobs": 20})
    assert set(site.meter_gains()) == {"graffiti", "grappe", "grat", "gruss"}
    for cluster in ("graffiti", "gruss"):
        assert other.meter_gains()[cluster] == site.meter_gains()[cluster]
        assert other.hidden_hardware()[cluster] == site.hidden_hardware()[cluster]


def test_metered_energy_is_true_energy_over_the_gain(site: SimulatedSite) -> None:
    gain = pl.col("node").str.split("-").list.first()
    truth = site.truth().with_columns(
        gain=gain.replace_strict(site.meter_gains(), default=None, return_dtype=pl.Float64)
    )
    metered, unmetered = (
        truth.filter(pl.col("gain").is_not_null() == known).collect() for known in (True, False)
    )
    assert metered.height > 100
    ratio = metered.filter(pl.col("true_kwh") > 0).select(
        pl.col("true_kwh") / pl.col("metered_kwh") / pl.col("gain")
    )
    assert ratio.to_series().to_numpy() == pytest.approx(1, rel=1e-12)
    assert set(unmetered["node"]) == {"gres-1"}
    assert unmetered["metered_kwh"].null_count() == unmetered.height


def test_truth_does_not_depend_on_the_meters(site: SimulatedSite, perfect: SimulatedSite) -> None:
    true = site.truth().drop("metered_kwh").collect()
    assert_frame_equal(perfect.truth().drop("metered_kwh").collect(), true, check_exact=True)
    without = SimulatedSite.from_config({**SMALL, "without_meters": ["graffiti", "grat"]})
    assert_frame_equal(without.truth().drop("metered_kwh").collect(), true, check_exact=True)
    read = perfect.truth().drop_nulls("metered_kwh").collect()
    assert read["metered_kwh"].to_list() == read["true_kwh"].to_list()


@pytest.mark.parametrize("cluster", ["graffiti", "grat", "gruss"])
def test_sensors_read_true_power_over_the_gain(
    site: SimulatedSite, perfect: SimulatedSite, cluster: str
) -> None:
    gain, step_w = site.meter_gains()[cluster], site.sensor_steps_w()[cluster]
    end = START + timedelta(hours=20)
    exact = cluster_readings(perfect, cluster, START, end)
    for node, frame in cluster_readings(site, cluster, START, end).items():
        both = frame.join(exact[node], on="timestamp", suffix="_true").filter(
            pl.col("power_w").is_between(1, 5000)
        )
        assert both.height > 10_000
        gap_w = both["power_w"] - both["power_w_true"] / gain
        assert gap_w.abs().max() <= 0.5 * step_w * (1 + 1 / gain) + 1e-9  # type: ignore[operator]


def test_sensor_spells_match_the_counts_and_do_not_overlap(site: SimulatedSite) -> None:
    spells = site.sensor_spells().collect()
    assert set(spells["kind"]) == {"stuck", "drop_out"}
    hours = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() / 3600
    expected = spells.group_by("node", "kind").agg(n_expected=hours.sum() * 3600 / 5.0007)
    counts = site.faults(start=START, end=END).collect()
    both = expected.join(counts, on=["node", "kind"])
    assert both.height == expected.height
    # missed readings are not counted
    assert (both["n_readings"] / both["n_expected"]).is_between(0.9, 1.001).all()
    in_order = spells.sort("node", "started_at")
    gap = pl.col("started_at") - pl.col("stopped_at").shift().over("node")
    assert (in_order.select(gap.dt.total_seconds().drop_nulls()).to_series() > 0).all()


def test_spells_on_many_sites_are_under_jobs_and_rare() -> None:
    n_spells = {"stuck": 0, "drop_out": 0}
    node_days = 0.0
    for seed in range(40):
        site = SimulatedSite.from_config({**SMALL, "seed": seed})
        for kind, n in site.sensor_spells().collect().group_by("kind").len().iter_rows():
            n_spells[kind] += n
        node_days += 7 * 9
    # 0.5 a site and one in 800 node-days; two more are stuck at most
    expected = 0.5 * 40 + node_days / 800
    assert 0.5 * expected < n_spells["drop_out"] <= 1.4 * expected
    assert 40 < n_spells["stuck"] < 2 * 40 + 1.4 * expected


def test_site_with_drawn_clusters_is_deterministic() -> None:
    source = {**SMALL, "seed": 3, "without_meters": "seed", "without_series": "seed"}
    first, second = (SimulatedSite.from_config(source) for _ in range(2))
    assert_frame_equal(first.truth().collect(), second.truth().collect(), check_exact=True)
    assert first.meter_gains() == second.meter_gains()
    window = {"start": START, "end": END}
    assert_frame_equal(first.faults(**window).collect(), second.faults(**window).collect())
    assert 0 < len(first.meter_gains()) < 5


def test_readings_with_drop_outs_do_not_depend_on_the_window(site: SimulatedSite) -> None:
    faults = site.faults(start=START, end=END).filter(kind="drop_out").collect()
    node = faults.filter(pl.col("n_readings") > 0)["node"].item()
    whole = site.power_of(node, start=START, end=END)
    days = [
        SimulatedSite.from_config(SMALL).power_of(
            node, start=START + timedelta(days=day), end=START + timedelta(days=day + 1)
        )
        for day in range(7)
    ]
    assert whole is not None
    parts = pl.concat([frame for frame in days if frame is not None])
    assert_frame_equal(parts, whole, check_row_order=False, check_exact=True)
    counted = [
        site.faults(start=START + timedelta(days=day), end=START + timedelta(days=day + 1))
        for day in range(7)
    ]
    by_day = pl.concat(counted).group_by("node", "kind").agg(pl.col("n_readings").sum())
    all_days = site.faults(start=START, end=END)
    assert_frame_equal(by_day.collect(), all_days.collect(), check_row_order=False)


def test_outages_of_the_collector_last_from_minutes_to_hours() -> None:
    lengths_h = []
    for seed in range(60):
        source = {
            "start": "2025-03-03",
            "end": "2025-03-05",
            "seed": seed,
            "nodes": {"graffiti": 2},
            "jobs": 2,
        }
        site = SimulatedSite.from_config(source)
        start, end = site.start - timedelta(days=9), site.end + timedelta(hours=12)
        frames = [site.power_of(f"graffiti-{n}", start=start, end=end) for n in (1, 2)]
        gaps = []
        for frame in frames:
            assert frame is not None
            times = frame["timestamp"].unique().sort()
            assert times.dtype == pl.Datetime("us", "UTC")
            seconds = times.dt.epoch("us").to_numpy() / 1e6
            at = int(np.argmax(np.diff(seconds)))
            gaps.append((seconds[at], seconds[at + 1]))
        if max(abs(a - b) for a, b in zip(*gaps, strict=True)) < 60:
            lengths_h.append((gaps[0][1] - gaps[0][0]) / 3600)
    assert len(lengths_h) > 30
    assert 0.4 < np.median(lengths_h) < 2
    assert max(lengths_h) > 3


def test_series_of_the_load_do_not_depend_on_meters() -> None:
    window = {"start": datetime(2025, 3, 29, tzinfo=UTC), "end": datetime(2025, 3, 30, tzinfo=UTC)}
    first, second = (
        SimulatedSite.from_config({**SMALL, "without_meters": names}).devices_of(
            "graffiti-1", metric=LOAD_METRIC, **window
        )
        for names in ([], ["graffiti"])
    )
    assert first is not None
    assert second is not None
    assert_frame_equal(first, second, check_exact=True)
