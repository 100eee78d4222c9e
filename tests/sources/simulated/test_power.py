"""Power of the simulated site: exact integrals, true energies of jobs, faulty readings."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.schemas.validation import Truth
from footprint.schemas.writing import conform
from footprint.sources.kwollect.metrics import SIMULATED_METRIC
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.job_power import AddedPower
from footprint.sources.simulated.power_function import PowerFunction
from footprint.sources.simulated.sensors import FAULT_KINDS

START, END = datetime(2025, 3, 28, tzinfo=UTC), datetime(2025, 4, 4, tzinfo=UTC)
SMALL: dict[str, Any] = {
    "start": "2025-03-28",
    "end": "2025-04-04",
    "seed": 11,
    "nodes": {"graffiti": 4, "grappe": 2, "grat": 1, "gres": 1, "gruss": 2},
    "jobs": 400,
    # few long jobs, so that many others fit on few nodes
    "mix": {
        "chain": 0.004,
        "training": 0.03,
        "long_inference": 0.004,
        "idle_hold": 0.005,
        "besteffort": 0.05,
        "container": 0.05,
    },
}
NODES = ["graffiti-1", "graffiti-2", "graffiti-4", "grappe-2", "grat-1", "gres-1", "gruss-1"]


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return SimulatedSite.from_config(SMALL, site="nancy")


def cluster_readings(
    site: SimulatedSite, cluster: str, start: datetime = START, end: datetime = END
) -> dict[str, pl.DataFrame]:
    frames = site.power(metric=SIMULATED_METRIC, cluster=cluster, start=start, end=end)
    return {str(frame["node"][0]): frame for frame in frames}


def quadrature_j(signal: PowerFunction, first_s: float, last_s: float) -> float:
    """Integral by the midpoint rule, exact because the power is linear between its knots."""
    steps = [np.arange(0, last_s + step, step) for step in (1.25, 20.0)]
    knots = np.unique(np.concatenate([*steps, signal.breakpoints_s, [first_s, last_s]]))
    knots = knots[(knots >= first_s) & (knots <= last_s)]
    middles = 0.5 * (knots[1:] + knots[:-1])
    return float(np.sum(signal.power_w(middles) * np.diff(knots)))


@st.composite
def added_powers(draw: st.DrawFn) -> list[AddedPower]:
    n_jobs = draw(st.integers(0, 4))
    made = []
    for _ in range(n_jobs):
        starts = sorted(draw(st.lists(st.floats(0, 7000), min_size=2, max_size=8, unique=True)))
        watts = [draw(st.floats(0, 400)) for _ in starts[1:]] + [0.0]
        power_w = np.array(watts)
        made.append(
            AddedPower(np.array(starts), power_w, (0.012 * power_w) ** 2, (0.05 * power_w) ** 2)
        )
    return made


@settings(max_examples=40)
@given(added=added_powers(), bounds=st.tuples(st.floats(0, 7200), st.floats(0, 7200)))
def test_energy_j_equals_quadrature_of_power(
    added: list[AddedPower], bounds: tuple[float, float]
) -> None:
    first_s, last_s = sorted(bounds)
    signal = PowerFunction(5, "graffiti-1", added, idle_w=160.0, end_s=7200.0)
    low_j, high_j = signal.energy_j(np.array([first_s, last_s]))
    assert high_j - low_j == pytest.approx(
        quadrature_j(signal, first_s, last_s), rel=1e-9, abs=1e-6
    )
    times_s = np.linspace(0, 7200, 500)
    assert (signal.power_w(times_s) > 0).all()
    assert (np.diff(signal.energy_j(times_s)) > 0).all()


def test_power_without_jobs_equals_idle_power() -> None:
    signal = PowerFunction(5, "graffiti-1", [], idle_w=160.0, end_s=86400.0)
    power_w = signal.power_w(np.arange(0.0, 86400.0, 5.0))
    assert power_w.mean() == pytest.approx(160, abs=0.1)
    assert 0.5 < power_w.std() < 2


def test_power_of_a_job_adds_to_idle_power() -> None:
    job = AddedPower(np.array([100.3, 200.6]), np.array([250.0, 0.0]), np.zeros(2), np.zeros(2))
    signal = PowerFunction(5, "graffiti-1", [job], idle_w=160.0, end_s=7200.0)
    idle = PowerFunction(5, "graffiti-1", [], idle_w=160.0, end_s=7200.0)
    times_s = np.array([100.2, 100.3, 200.5, 200.6])
    assert signal.power_w(times_s) - idle.power_w(times_s) == pytest.approx([0, 250, 250, 0])
    more_j = signal.energy_j(np.array([7200.0])) - idle.energy_j(np.array([7200.0]))
    assert more_j == pytest.approx(250 * 100.3)


@pytest.mark.parametrize("node", NODES)
def test_true_cumulative_energy_equals_quadrature_of_power(site: SimulatedSite, node: str) -> None:
    signal = site.power_function(node)
    first_s = 9 * 86400.0
    expected_j = quadrature_j(signal, first_s, first_s + 7 * 86400)
    assert site.true_cumulative_j(node, [START, END]) == pytest.approx([0, expected_j], rel=1e-9)


def shares_by_hand(site: SimulatedSite) -> pl.DataFrame:
    """Share of each job on each node, from the tables and the definition of the gate `reserved`."""
    allocations = site.jobs(start=START, end=END).allocations.collect()
    hardware = {row["node"]: row for row in site.nodes().collect().to_dicts()}
    rows = []
    for job_id, node, cores, *_ in allocations.iter_rows():
        owner = dict(zip(hardware[node]["cores"], hardware[node]["core_gpus"], strict=True))
        gpus = hardware[node]["gpus"]
        of_gpu = [[core for core, its in owner.items() if its == gpu] for gpu in gpus]
        parts = [len(set(cores) & set(its)) / len(its) for its in of_gpu]
        share = sum(parts) / len(parts) if gpus else len(cores) / len(owner)
        rows.append((job_id, node, share))
    return pl.DataFrame(rows, ["job_id", "node", "share"], orient="row")


def test_true_energies_of_jobs_and_idle_time_add_up_to_the_node(site: SimulatedSite) -> None:
    records = site.jobs(start=START, end=END)
    jobs = records.jobs.collect().drop_nulls("started_at")
    held = (
        shares_by_hand(site)
        .join(jobs, on="job_id")
        .with_columns(
            first=pl.max_horizontal("started_at", pl.lit(START)).cast(pl.Datetime("us", "UTC")),
            last=pl.min_horizontal(pl.col("stopped_at").fill_null(END), pl.lit(END)).cast(
                pl.Datetime("us", "UTC")
            ),
            inner=pl.col("types").list.join(" ").str.contains("inner="),
        )
        .filter(pl.col("first") < pl.col("last"))
    )
    assert held.filter("inner").height > 5
    truth = conform(Truth, site.truth())
    for (node,), there in held.group_by("node"):
        # inner jobs use what their container holds: only the container occupies the node
        occupied = there.filter(~pl.col("inner"))
        spells = [
            *((row["first"], row["last"], row["share"]) for row in occupied.to_dicts()),
            *(
                (max(spell["started_at"], START), min(spell["stopped_at"], END), -row["share"])
                for row in there.to_dicts()
                for spell in row["suspensions"]
                if spell["started_at"] < END and spell["stopped_at"] > START
            ),
        ]
        bounds = sorted({START, END, *(at for spell in spells for at in spell[:2])})
        reached_j = site.true_cumulative_j(str(node), bounds)
        idle_j = 0.0
        for low, high, energy_j in zip(bounds, bounds[1:], np.diff(reached_j), strict=False):
            share = sum(s for first, last, s in spells if first <= low and last >= high)
            assert -1e-9 < share < 1 + 1e-9
            idle_j += (1 - share) * energy_j
        own_kwh = truth.filter(pl.col("node") == node)["true_kwh"].sum()
        assert own_kwh * 3.6e6 + idle_j == pytest.approx(reached_j[-1], rel=1e-9)


def test_true_energy_of_single_job_equals_share_of_node(site: SimulatedSite) -> None:
    truth = {(job, node): kwh for job, node, kwh, _ in site.truth().collect().iter_rows()}
    jobs = site.jobs(start=START, end=END).jobs.collect()
    plain = jobs.filter(
        pl.col("types").list.len() == 0,
        pl.col("suspensions").list.len() == 0,
        pl.col("started_at") >= START,
        pl.col("stopped_at") <= END,
        pl.col("stopped_at") > pl.col("started_at"),
    )
    shares = shares_by_hand(site).join(plain, on="job_id")
    assert shares.height > 100
    for row in shares.sort("job_id").head(40).to_dicts():
        low_j, high_j = site.true_cumulative_j(row["node"], [row["started_at"], row["stopped_at"]])
        expected_kwh = row["share"] * (high_j - low_j) / 3.6e6
        assert truth[row["job_id"], row["node"]] == pytest.approx(expected_kwh, rel=1e-9)


def test_truth_covers_the_study_alone(site: SimulatedSite) -> None:
    truth = site.truth().collect()
    jobs = site.jobs(start=START, end=END).jobs.collect()
    assert truth.join(jobs, on="job_id", how="anti").is_empty()
    assert jobs.filter(pl.col("started_at") < START).join(truth, on="job_id").height > 0
    late = jobs.filter((pl.col("started_at") >= END) | pl.col("started_at").is_null())
    assert late.join(truth, on="job_id").is_empty()


def site_fingerprint(site: SimulatedSite) -> str:
    records = site.jobs(start=START, end=END)
    frames = [site.nodes().collect(), records.jobs.collect(), site.truth().collect()]
    frames += cluster_readings(site, "graffiti", END - timedelta(days=1), END).values()
    text = "".join(
        frame.with_columns(pl.selectors.float().round(6)).write_ndjson() for frame in frames
    )
    return hashlib.sha256(text.encode()).hexdigest()


def test_site_in_another_process_is_identical(site: SimulatedSite) -> None:
    script = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[3])!r}]\n"
        "from tests.sources.simulated.test_power import *\n"
        "print(site_fingerprint(SimulatedSite.from_config(SMALL, site='nancy')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "1", "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == site_fingerprint(site)


def test_site_with_another_seed_differs(site: SimulatedSite) -> None:
    other = SimulatedSite.from_config({**SMALL, "seed": 12}, site="nancy")
    assert site_fingerprint(other) != site_fingerprint(site)


@settings(max_examples=10)
@given(cut_s=st.floats(3600, 40 * 3600), cluster=st.sampled_from(["graffiti", "gruss", "grat"]))
def test_readings_do_not_depend_on_the_window(cut_s: float, cluster: str) -> None:
    site = SimulatedSite.from_config(SMALL, site="nancy")
    begin, end = START - timedelta(seconds=60), START + timedelta(hours=43)
    cut = START + timedelta(seconds=cut_s)
    whole = cluster_readings(site, cluster, begin, end)
    left, right = (
        cluster_readings(site, cluster, begin, cut),
        cluster_readings(site, cluster, cut, end),
    )
    for node, frame in whole.items():
        parts = pl.concat([left[node], right[node]])
        assert_frame_equal(parts, frame, check_row_order=False, check_exact=True)
        assert (left[node]["timestamp"] < cut).all()
        assert (right[node]["timestamp"] >= cut).all()


def test_power_frames_follow_the_protocol(site: SimulatedSite) -> None:
    frames = cluster_readings(site, "graffiti")
    assert list(frames) == ["graffiti-1", "graffiti-2", "graffiti-3", "graffiti-4"]
    for frame in frames.values():
        assert frame.schema == {
            "node": pl.String(),
            "timestamp": pl.Datetime("us", "UTC"),
            "power_w": pl.Float64(),
        }
        assert not frame["timestamp"].is_sorted()
        assert frame["timestamp"].is_between(START, END, closed="left").all()


def test_power_without_bmc_or_of_other_metric_is_empty(site: SimulatedSite) -> None:
    assert cluster_readings(site, "gres") == {}
    other = site.power(metric="wattmetre_power_watt", cluster="graffiti", start=START, end=END)
    assert list(other) == []
    assert site.sensor_steps_w() == {"graffiti": 1, "grappe": 1, "grat": 36, "gres": 0, "gruss": 4}


def test_power_of_node_equals_its_frame_in_the_cluster(site: SimulatedSite) -> None:
    for node, frame in cluster_readings(site, "gruss").items():
        own = site.power_of(node, start=START, end=END)
        assert own is not None
        assert_frame_equal(own, frame, check_exact=True)
    assert site.power_of("gres-1", start=START, end=END) is None


def test_power_of_unknown_cluster_node_or_time_raises(site: SimulatedSite) -> None:
    with pytest.raises(InputError, match="the simulated site has no cluster 'grele'"):
        cluster_readings(site, "grele")
    with pytest.raises(InputError, match="graffiti-9: the simulated site has no such node"):
        site.true_cumulative_j("graffiti-9", [START])
    with pytest.raises(InputError, match="graffiti-1: a time lies outside the simulation"):
        site.true_cumulative_j("graffiti-1", [START - timedelta(days=30)])


@pytest.mark.parametrize("cluster", ["graffiti", "grappe", "grat", "gruss"])
def test_faults_in_readings_match_the_counts(site: SimulatedSite, cluster: str) -> None:
    counts: dict[tuple[str, str], int] = {
        (node, kind): n for node, kind, n in site.faults(start=START, end=END).collect().iter_rows()
    }
    most_w = dict(site.nodes().select("node", "max_plausible_power_w").collect().iter_rows())
    watts = pl.col("power_w")
    step_w = site.sensor_steps_w()[cluster]
    for node, frame in cluster_readings(site, cluster).items():
        once = frame.unique(["timestamp", "power_w"])
        assert once["timestamp"].is_unique().all()
        found = {
            "duplicate": frame.height - once.height,
            "nan": once.filter(watts.is_nan()).height,
            "null": once["power_w"].null_count(),
            "not_positive": once.filter(watts <= 0).height,
            "spike": once.filter(watts.is_not_nan() & (watts > most_w[node])).height,
        }
        assert found == {kind: counts[node, kind] for kind in found}
        every_s = (END - START).total_seconds() / 5.0007
        assert once.height + counts[node, "missed"] == pytest.approx(every_s, abs=30)
        good = once.filter(watts.is_not_nan() & (watts > 0) & (watts < most_w[node]))
        assert (good["power_w"] % step_w == 0).all()
        gaps_s = (
            good.sort("timestamp")["timestamp"].diff().dt.total_microseconds().drop_nulls() / 1e6
        )
        assert (
            ((gaps_s / 5.0007 - (gaps_s / 5.0007).round()).abs() < 0.01).filter(gaps_s < 60).all()
        )


def test_faults_of_every_kind_occur(site: SimulatedSite) -> None:
    faults = site.faults(start=START, end=END).collect()
    total = dict(faults.group_by("kind").agg(pl.col("n_readings").sum()).iter_rows())
    assert set(total) == set(FAULT_KINDS)
    assert min(total.values()) > 0


def test_stuck_sensor_repeats_one_reading(site: SimulatedSite) -> None:
    stuck = site.faults(start=START, end=END).filter(kind="stuck", n_readings=pl.col("n_readings"))
    stuck = stuck.filter(pl.col("n_readings") > 0).collect()
    assert stuck.height == 2
    for node, _, n in stuck.iter_rows():
        frame = cluster_readings(site, node.split("-")[0])[node].sort("timestamp")
        good = frame.filter(pl.col("power_w").is_not_nan() & pl.col("power_w").is_between(1, 6000))
        longest = good["power_w"].rle().struct.field("len").max()
        assert longest >= 0.99 * n  # type: ignore[operator]
        assert n > 1800


def test_drop_out_reports_a_few_watts_under_jobs(site: SimulatedSite) -> None:
    faults = site.faults(start=START, end=END).filter(kind="drop_out").collect()
    ((node, _, n),) = faults.filter(pl.col("n_readings") > 0).iter_rows()
    jobs = site.jobs(start=START, end=END)
    held = jobs.allocations.filter(node=node).join(jobs.jobs, on="job_id").collect()
    frame = cluster_readings(site, node.split("-")[0])[node]
    low = frame.unique(["timestamp", "power_w"]).filter(pl.col("power_w").is_between(2, 15))
    during = pl.any_horizontal(
        pl.col("timestamp").is_between(job["started_at"], job["stopped_at"])
        for job in held.drop_nulls("started_at")
        .with_columns(pl.col("stopped_at").fill_null(END))
        .to_dicts()
    )
    dropped = low.filter(during)
    # other faults replace a few of the readings
    assert 0.98 * n < dropped.height <= n
    spell_s = (dropped["timestamp"].max() - dropped["timestamp"].min()).total_seconds()  # type: ignore[operator,union-attr]
    assert 1800 < spell_s < 5.01 * n
    power_w = site.power_function(node).power_w(
        (dropped.sort("timestamp")["timestamp"] - (START - timedelta(days=9)))
        .dt.total_microseconds()
        .to_numpy()
        / 1e6
    )
    assert power_w.min() > 50


def test_sleeping_node_draws_up_to_20_w_and_runs_no_job(site: SimulatedSite) -> None:
    frame = cluster_readings(site, "grappe")["grappe-2"]
    asleep = frame.filter(pl.col("power_w").is_between(1, 20))
    assert 0 < asleep.height < frame.height
    jobs = site.jobs(start=START, end=END)
    held = jobs.allocations.filter(node="grappe-2").join(jobs.jobs, on="job_id").collect()
    for job in held.drop_nulls("started_at").to_dicts():
        during = asleep.filter(pl.col("timestamp").is_between(job["started_at"], job["stopped_at"]))
        assert during.is_empty()


def test_readings_integrate_to_the_true_energy_over_the_gain(site: SimulatedSite) -> None:
    # rounding is a large part of the few watts of a node that is off, and a stuck sensor is wrong
    # by any amount
    gain = site.meter_gains()["graffiti"]
    spells = site.faults(start=START, end=END).filter(pl.col("kind").is_in(["stuck", "drop_out"]))
    broken = spells.filter(pl.col("n_readings") > 0).collect()["node"].to_list()
    off = site.states(start=START, end=END).collect()["node"].to_list()
    sound = {
        node: frame
        for node, frame in cluster_readings(site, "graffiti").items()
        if node not in broken + off
    }
    assert sound
    for node, frame in sound.items():
        good = (
            frame.filter(pl.col("power_w").is_not_nan() & pl.col("power_w").is_between(1, 3000))
            .unique("timestamp")
            .sort("timestamp")
        )
        seconds = good["timestamp"].diff().dt.total_microseconds().to_numpy()[1:] / 1e6
        watts = good["power_w"].to_numpy()
        metered_j = np.diff(site.true_cumulative_j(node, good["timestamp"])) / gain
        near = seconds < 30
        measured_j = (0.5 * (watts[1:] + watts[:-1]) * seconds)[near].sum()
        assert measured_j == pytest.approx(metered_j[near].sum(), rel=1e-3)
        # and yet single readings are not means over their period
        assert np.abs(watts[1:] * seconds / metered_j - 1)[near].max() > 0.05


def test_default_site_yields_forty_million_readings() -> None:
    window = {"start": "2025-03-03", "end": "2025-04-28"}
    first, last = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 4, 28, tzinfo=UTC)
    site = SimulatedSite.from_config(window)
    faults = site.faults(start=first, end=last).collect()
    bad = faults.filter(~pl.col("kind").is_in(["duplicate", "stuck"]))["n_readings"].sum()
    every = faults["node"].n_unique() * (last - first).total_seconds() / 5.001
    assert every - bad >= 40_000_000
