"""Exporters of the simulated site: power of single GPUs and load, in line with node power."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.energy.gpu_attribution import activity_parts_of_gpus
from footprint.sources import device_download
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC, SIMULATED_SERIES
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.electricity import Electricity
from footprint.sources.simulated.exporters import LOAD_METRIC, LoadAverage
from footprint.sources.simulated.hardware import build_nodes
from footprint.sources.simulated.job_power import ActivityCourse, JobWork
from footprint.sources.simulated.job_requests import JobRequest, ProgramLoad
from footprint.sources.simulated.schedule import Job
from tests.sources.simulated.test_power import END, SMALL, START

NO_VALUE = 2147483632
# Largest deviation of an idle GPU from its idle power.
IDLE_VARIATION_W = 0.6


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return SimulatedSite.from_config(SMALL, site="nancy")


def device_series(
    site: SimulatedSite, metric: str, cluster: str, start: datetime = START, end: datetime = END
) -> dict[str, pl.DataFrame]:
    frames = site.devices(metric=metric, cluster=cluster, start=start, end=end)
    return {str(frame["node"][0]): frame for frame in frames}


def gpu_powers(site: SimulatedSite, cluster: str) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Node, GPU and known readings (`timestamp`, `value`) of each GPU of a cluster."""
    for node, frame in device_series(site, GPU_POWER_METRIC, cluster).items():
        known = frame.filter(pl.col("value") != NO_VALUE)
        for (labels,), own in known.partition_by("labels", as_dict=True).items():
            yield node, int(str(labels)[8]), own.select("timestamp", "value")


def allocation_times(
    site: SimulatedSite, node: str, gpu: int | None = None
) -> list[tuple[datetime, datetime]]:
    """Start and end of the allocations of a node, or of one of its GPUs."""
    records = site.jobs(start=START - timedelta(days=9), end=END + timedelta(days=1))
    there = records.allocations.filter(pl.col("node") == node)
    if gpu is not None:
        there = there.filter(pl.col("gpus").list.contains(gpu))
    jobs = records.jobs.join(there, on="job_id").drop_nulls("started_at")
    last = END + timedelta(hours=12)
    return jobs.select("started_at", pl.col("stopped_at").fill_null(last)).collect().rows()


def is_within(
    times: pl.Series, intervals: list[tuple[datetime, datetime]], *, margin_s: float = 0
) -> NDArray[np.bool_]:
    """Mask of the times that lie in some interval, extended by a margin."""
    margin = timedelta(seconds=margin_s)
    inside = np.zeros(len(times), dtype=bool)
    for start, stop in intervals:
        inside |= times.is_between(start - margin, stop + margin, closed="left").to_numpy()
    return inside


def test_exporters_give_every_configurable_series(site: SimulatedSite) -> None:
    assert all(device_series(site, metric, "graffiti") for metric in SIMULATED_SERIES)


def test_device_frames_follow_the_protocol(site: SimulatedSite) -> None:
    frames = device_series(site, GPU_POWER_METRIC, "graffiti")
    assert list(frames) == ["graffiti-1", "graffiti-2", "graffiti-3", "graffiti-4"]
    for frame in frames.values():
        assert frame.schema == {
            "node": pl.String(),
            "labels": pl.String(),
            "timestamp": pl.Datetime("us", "UTC"),
            "value": pl.Float64(),
        }
        assert set(frame["labels"]) == {f'{{"gpu":"{gpu}"}}' for gpu in range(4)}
        assert frame["timestamp"].is_between(START, END, closed="left").all()
        assert frame["timestamp"].is_sorted()
        assert frame.select("labels", "timestamp").is_unique().all()
    for frame in device_series(site, LOAD_METRIC, "grappe").values():
        assert set(frame["labels"]) == {"{}"}


@settings(max_examples=10)
@given(
    cuts_s=st.tuples(st.floats(0, 60 * 3600), st.floats(0, 60 * 3600)),
    cluster=st.sampled_from(["graffiti", "gruss", "grat"]),
    metric=st.sampled_from(SIMULATED_SERIES),
)
def test_device_values_do_not_depend_on_the_window(
    site: SimulatedSite, cuts_s: tuple[float, float], cluster: str, metric: str
) -> None:
    end = START + timedelta(hours=60)
    cuts = [START, *(START + timedelta(seconds=cut_s) for cut_s in sorted(cuts_s)), end]
    parts = [device_series(site, metric, cluster, start, stop) for start, stop in pairwise(cuts)]
    # a new site, whose caches are empty
    whole = device_series(
        SimulatedSite.from_config(SMALL, site="nancy"), metric, cluster, START, end
    )
    assert set(whole) == {node for part in parts for node in part}
    for node, frame in whole.items():
        pieces = pl.concat([part[node] for part in parts if node in part])
        assert_frame_equal(pieces, frame, check_exact=True)


def test_device_values_differ_with_another_seed(site: SimulatedSite) -> None:
    other = SimulatedSite.from_config({**SMALL, "seed": 12}, site="nancy")
    mine, others = (
        device_series(each, GPU_POWER_METRIC, "gruss")["gruss-1"] for each in (site, other)
    )
    assert not set(mine["timestamp"]) & set(others["timestamp"])


@pytest.mark.parametrize("cluster", ["graffiti", "gres", "gruss", "grat"])
def test_gpu_power_lies_between_idle_and_limit(site: SimulatedSite, cluster: str) -> None:
    busiest = []
    factor = site.hidden_hardware()[cluster].series_factor
    for _, number, own in gpu_powers(site, cluster):
        gpu, power_w = CLUSTER_HARDWARE[cluster].gpus[number], own["value"].to_numpy() / factor
        # values are rounded to 1 mW
        assert gpu.idle_w - IDLE_VARIATION_W <= power_w.min() < gpu.idle_w + 5
        assert power_w.max() <= gpu.limit_w + 0.001
        busiest.append(power_w.max() / gpu.limit_w)
    assert max(busiest) > 0.4


def test_gpus_without_allocation_are_idle(site: SimulatedSite) -> None:
    n_idle = n_busy = 0
    factor = site.hidden_hardware()["graffiti"].series_factor
    for node, number, own in gpu_powers(site, "graffiti"):
        busy = is_within(own["timestamp"], allocation_times(site, node, number))
        power_w = own["value"].to_numpy() / factor
        idle_w = CLUSTER_HARDWARE["graffiti"].gpus[number].idle_w
        assert np.abs(power_w[~busy] - idle_w).max(initial=0) < IDLE_VARIATION_W
        n_idle += (~busy).sum()
        n_busy += (power_w[busy] > idle_w + 20).sum()
    assert n_idle > 10_000
    assert n_busy > 10_000


@pytest.mark.parametrize("cluster", ["graffiti", "gruss", "grat"])
def test_gpu_powers_agree_with_power_of_the_node(site: SimulatedSite, cluster: str) -> None:
    facts, hidden = CLUSTER_HARDWARE[cluster], site.hidden_hardware()[cluster]
    processors_w = hidden.processor_range_frac * facts.n_cpus * facts.tdp_w
    for node, frame in device_series(site, GPU_POWER_METRIC, cluster).items():
        complete = frame.filter((pl.col("value") != NO_VALUE).all().over("timestamp"))
        summed = complete.group_by("timestamp", maintain_order=True).agg(pl.col("value").sum())
        gpus_w = summed["value"].to_numpy() / hidden.series_factor
        gpus_w -= sum(gpu.idle_w for gpu in facts.gpus)
        idle_w = idle_power_w(site, node)
        above_w = node_power_w(site, node, summed["timestamp"]) - idle_w
        # without losses, the rest is the power of processors
        others_w = above_w / hidden.loss_factor - gpus_w
        # noise of several jobs adds in quadrature in the node, and linearly over GPUs
        tolerance_w = 0.03 * idle_w + 0.05 * gpus_w
        assert (others_w > -tolerance_w).all()
        assert (others_w < processors_w + tolerance_w).all()
        assert gpus_w.max() > processors_w
        assert np.corrcoef(gpus_w, above_w)[0, 1] > 0.9


def node_power_w(site: SimulatedSite, node: str, times: pl.Series) -> NDArray[np.float64]:
    since = times - (START - timedelta(days=9))
    return site.power_function(node).power_w(since.dt.total_microseconds().to_numpy() / 1e6)


def idle_power_w(site: SimulatedSite, node: str) -> float:
    """Median power of a node without allocations."""
    minutes = pl.datetime_range(START, END, "1m", eager=True, time_zone="UTC")
    free = minutes.filter(~is_within(minutes, allocation_times(site, node)))
    return float(np.median(node_power_w(site, node, free)))


@pytest.mark.parametrize(
    ("metric", "cluster"), list(product(SIMULATED_SERIES, ["graffiti", "gruss"]))
)
def test_device_values_exist_exactly_during_allocations(
    site: SimulatedSite, metric: str, cluster: str
) -> None:
    for node, frame in device_series(site, metric, cluster).items():
        intervals = allocation_times(site, node)
        times = frame["timestamp"].unique().sort()
        assert is_within(times, intervals).all()
        every = pl.Series(
            [START + timedelta(seconds=15 * n) for n in range(7 * 5760)],
            dtype=pl.Datetime("us", "UTC"),
        )
        n_expected = is_within(every, intervals).sum()
        assert 0.99 * n_expected < len(times) <= n_expected + len(intervals)
        gaps_s = times.diff().drop_nulls().dt.total_microseconds() / 1e6
        close = gaps_s.filter(gaps_s < 600) / 15.0007
        assert ((close - close.round()).abs() < 0.01).all()
        assert (close.round() > 1).any()  # missed


def test_exporter_of_deployed_node_gives_no_values() -> None:
    node = build_nodes({"nodes": {"graffiti": 1}})[0]
    plain = JobRequest(
        login="oak",
        project="larsen",
        kind="debug",
        cluster="graffiti",
        walltime_s=3600,
        runtime_s=3600,
        load=ProgramLoad(shape="hold", cpu_level=0.5),
        command="",
    )
    jobs = [
        Job(request, 0, job_id=number, started_s=7200 * number, stopped_s=7200 * number + 3600)
        for number, request in enumerate([replace(plain, types=("deploy",)), plain])
    ]
    for job in jobs:
        job.allocation.append((node, node.full_mask))
    electricity = Electricity(1, [node], jobs, [], study_s=(0, 86_400), end_s=86_400)
    exporter = electricity.exporter(node, LOAD_METRIC)
    assert exporter is not None
    frame = exporter.frame(start_s=0, end_s=86_400, origin_us=0)
    assert frame is not None
    times_s = frame["timestamp"].dt.epoch("s")
    assert 7200 <= times_s.min() < times_s.max() < 10_800  # type: ignore[operator]
    assert exporter.frame(start_s=0, end_s=7200, origin_us=0) is None


def test_load_average_is_damped_mean_of_busy_cores() -> None:
    rng = np.random.default_rng(3)
    work = []
    for n_cores in (4, 12):
        starts_s = np.sort(rng.integers(0, 4000, 30)).astype(float)
        cpu = np.append(rng.random(29), 0.0)
        work.append(JobWork(ActivityCourse(starts_s, np.zeros(30), cpu), n_cores, [], 0.0))
    times_s = np.arange(0.0, 6000.0, 0.25)
    busy = np.zeros(len(times_s))
    for work_item in work:
        piece = np.searchsorted(work_item.course.starts_s, times_s, side="right")
        busy += work_item.n_cores * np.append(0.0, work_item.course.cpu)[piece]
    expected = np.zeros(len(times_s))
    for n in range(1, len(times_s)):
        expected[n] = expected[n - 1] + (busy[n - 1] - expected[n - 1]) * 0.25 / 60
    middle = np.full((len(times_s), 1), 0.5)
    found = LoadAverage(work).values(times_s, middle)[:, 0]
    assert found == pytest.approx(expected, abs=0.02)
    assert found.max() > 4


def test_load_average_is_plausible_for_the_cores(site: SimulatedSite) -> None:
    for cluster in ("graffiti", "grappe"):
        n_cores = CLUSTER_HARDWARE[cluster].n_cpus * CLUSTER_HARDWARE[cluster].cores_per_cpu
        loads = [frame["value"] for frame in device_series(site, LOAD_METRIC, cluster).values()]
        together = pl.concat(loads)
        assert together.min() >= 0  # type: ignore[operator]
        # bursts exceed the plateau by up to a fifth
        assert 0.3 * n_cores < together.max() < 1.25 * n_cores  # type: ignore[operator]
        for load in loads:
            assert load.diff().abs().quantile(0.9) < 0.1 * n_cores  # type: ignore[operator]


def test_pipeline_rejects_unknown_values_of_dcgm(site: SimulatedSite) -> None:
    n_unknown = 0
    for cluster in ("graffiti", "gres", "gruss", "grat"):
        for frame in device_series(site, GPU_POWER_METRIC, cluster).values():
            readings = device_download.with_gpu_index(frame)
            judged = [
                device_download.mark_rejected_readings(own) for own in readings.partition_by("gpu")
            ]
            reasons = pl.concat(judged)["reason"].drop_nulls()
            assert len(reasons) == (frame["value"] == NO_VALUE).sum()
            assert set(reasons) <= {"more than a GPU can draw"}
            n_unknown += len(reasons)
    assert n_unknown > 5


def test_gpu_attribution_finds_the_busy_gpus(site: SimulatedSite) -> None:
    readings = pl.concat(
        own.with_columns(gpu=pl.lit(number, pl.UInt8))
        for node, number, own in gpu_powers(site, "graffiti")
        if node == "graffiti-1"
    ).rename({"value": "power_w"})
    samples = site.power_of("graffiti-1", start=START, end=END)
    assert samples is not None
    times = samples["timestamp"].unique().sort()
    parts = activity_parts_of_gpus(times.cast(pl.Int64).to_numpy(), readings, required=range(4))
    known = np.sum(list(parts.values()), axis=0) > 0
    assert known.sum() > 10_000
    for number, part in parts.items():
        near = is_within(times, allocation_times(site, "graffiti-1", number), margin_s=60)
        assert (part[~near] == 0).all()
        assert part[near & known].mean() > 0.1


def test_devices_without_series_give_no_frames(site: SimulatedSite) -> None:
    assert device_series(site, GPU_POWER_METRIC, "grappe") == {}
    assert device_series(site, "prom_node_memory_MemFree_bytes", "graffiti") == {}
    before = START - timedelta(days=30)
    assert device_series(site, LOAD_METRIC, "graffiti", before, before + timedelta(days=1)) == {}


def test_clusters_without_series_have_meters_alone(site: SimulatedSite) -> None:
    other = SimulatedSite.from_config({**SMALL, "without_series": ["gruss"]}, site="nancy")
    for metric in SIMULATED_SERIES:
        assert device_series(other, metric, "gruss") == {}
    assert other.power_of("gruss-1", start=START, end=END) is not None
    mine, others = (device_series(each, LOAD_METRIC, "grappe") for each in (site, other))
    assert set(mine) == set(others)
    assert_frame_equal(mine["grappe-1"], others["grappe-1"], check_exact=True)


def test_devices_of_unknown_cluster_or_node_raise(site: SimulatedSite) -> None:
    for metric in (GPU_POWER_METRIC, "prom_node_memory_MemFree_bytes"):
        with pytest.raises(InputError, match="the simulated site has no cluster 'grele'"):
            site.devices(metric=metric, cluster="grele", start=START, end=END)
        with pytest.raises(InputError, match="graffiti-9: the simulated site has no such node"):
            site.devices_of("graffiti-9", metric=metric, start=START, end=END)
    with pytest.raises(InputError, match="graffiti-9: the simulated site has no such node"):
        site.power_of("graffiti-9", start=START, end=END)


def test_readings_requested_by_threads_equal_sequential_ones(site: SimulatedSite) -> None:
    nodes = site.nodes().collect()["node"].to_list()
    days = [START + timedelta(days=day) for day in range(3)]
    requests = list(product([None, *SIMULATED_SERIES], nodes, days))

    def request_readings(
        of: SimulatedSite, metric: str | None, node: str, day: datetime
    ) -> pl.DataFrame | None:
        end = day + timedelta(days=1)
        if metric is None:
            return of.power_of(node, start=day, end=end)
        return of.devices_of(node, metric=metric, start=day, end=end)

    fresh = SimulatedSite.from_config(SMALL, site="nancy")
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: request_readings(fresh, *each), requests))
    for each, frame in zip(requests, together, strict=True):
        alone = request_readings(site, *each)
        assert (alone is None) == (frame is None)
        if alone is not None and frame is not None:
            assert_frame_equal(frame, alone, check_exact=True)
    assert sum(frame is not None for frame in together) > len(requests) / 2
