"""Attribution by the power of single GPUs, under the gate `two_part`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from footprint.allocation import gpu_allocations, node_allocations
from footprint.core.errors import InputError
from footprint.energy import attribution, gpu_attribution
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.gpu_attribution import GpuActivity
from footprint.energy.sample_intervals import INTEGRATION_METHODS, IntegrationMethod
from footprint.schemas.raw import Allocations, DevicePower, Jobs, Nodes
from footprint.sources import device_download, monthly_files
from footprint.sources.exports.site import ExportedSite
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC
from tests.support import api_answers
from tests.support.integrations import have_one_period
from tests.support.project import Project, configure

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY_S = 86_400
IDLE_W = 100.0
GPU_IDLE_W = 30.0

NODE = {
    "node": "c-1",
    "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
    "site": "nancy",
    "cluster": "c",
    "n_cores": 4,
    "cores": [0, 1, 2, 3],
    "core_gpus": [0, 0, 1, 1],
    "gpus": [0, 1],
    "gpu_reservable": [True, True],
}


def rows(schema: Any, records: list[dict[str, Any]]) -> pl.LazyFrame:
    """Records as a table; columns not given are null."""
    empty = pl.DataFrame(schema.create_empty())
    return pl.LazyFrame(
        [{name: record.get(name) for name in empty.columns} for record in records],
        schema=empty.schema,
    )


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


Held = tuple[int, float, float, list[int], list[str]]


def job(number: int, start: float, stop: float, cores: list[int], *types: str) -> Held:
    return number, start, stop, cores, list(types)


def records(jobs: list[Held], nodes: list[dict[str, Any]]) -> tuple[pl.LazyFrame, ...]:
    return (
        rows(
            Jobs,
            [
                {"job_id": number, "started_at": at(a), "stopped_at": at(b), "types": types}
                for number, a, b, _, types in jobs
            ],
        ),
        rows(
            Allocations,
            [
                {"job_id": number, "node": "c-1", "cores": cores}
                for number, _, _, cores, _ in jobs
                if cores
            ],
        ),
        rows(Nodes, nodes),
    )


def series(times_s: Any, power_w: Any, *, gpu: int | None = None) -> pl.DataFrame:
    """Readings at seconds after START."""
    times = [at(float(second)) for second in times_s]
    of = {} if gpu is None else {"gpu": pl.repeat(gpu, len(times), dtype=pl.UInt8, eager=True)}
    return pl.DataFrame(
        {
            **of,
            "timestamp": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "power_w": pl.Series(power_w, dtype=pl.Float64),
        }
    )


def integrate(
    power: pl.DataFrame,
    jobs: list[Held],
    readings: pl.DataFrame | None,
    *,
    method: str = "trapezoid",
    jobs_complete: bool = True,
    days: tuple[int, int] = (0, 1),
    nodes: list[dict[str, Any]] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    tables_of = records(jobs, nodes or [NODE])
    whole = {"start": START, "end": START + timedelta(days=2)}
    allocations = node_allocations.build_allocations(
        *tables_of, gate="two_part", **whole
    ).allocations
    activity = None
    if readings is not None:
        activity = GpuActivity(
            gpu_allocations.build_gpu_allocations(*tables_of, **whole),
            lambda _: readings,
            {"c-1": [0, 1]},
        )
    return attribution.attribute_energy(
        ["c-1"],
        lambda _: power,
        IntegrationSettings("two_part", IntegrationMethod(method, 30, 20, 5.0), jobs_complete),
        NodeRecords(allocations, idle_power_w={"c-1": IDLE_W}, gpus=activity),
        start=START + timedelta(days=days[0]),
        end=START + timedelta(days=days[1]),
    )


def by_job(jobs: pl.DataFrame, column: str = "energy_j") -> dict[int, float]:
    return dict(jobs.select("job_id", column).iter_rows())


def by_class(classes: pl.DataFrame, column: str = "energy_j") -> dict[str, float]:
    summed = classes.group_by("class").agg(pl.col(column).sum())
    return dict(summed.select("class", column).iter_rows())


EVERY_5_S = np.arange(-10, DAY_S + 11, 5.0)
EVERY_15_S = np.arange(-75, DAY_S, 15.0)
NODE_400_W = series(EVERY_5_S, np.full(len(EVERY_5_S), 400.0))


def busy(gpu: int, power_w: float, start: float = 0, stop: float = 1000) -> pl.DataFrame:
    """A GPU that draws `power_w` from `start` to `stop`, and is idle else."""
    power = [power_w if start <= second < stop else GPU_IDLE_W for second in EVERY_15_S]
    return series(EVERY_15_S, power, gpu=gpu)


BOTH = [job(1, 0, 900, [0, 1]), job(2, 0, 900, [2, 3])]


class TestHandComputed:
    def test_power_above_idle_goes_to_the_job_of_the_busy_gpu(self) -> None:
        readings = pl.concat([busy(0, 230), busy(1, GPU_IDLE_W)])
        jobs, classes = integrate(NODE_400_W, BOTH, readings)
        # half of 100 W each, and the 300 W above to the job whose GPU works
        assert by_job(jobs) == pytest.approx({1: (50 + 300) * 900, 2: 50 * 900})
        assert "stranded" not in by_class(classes)

    def test_power_above_idle_is_split_by_the_power_of_busy_gpus(self) -> None:
        readings = pl.concat([busy(0, 230), busy(1, 80)])
        jobs, _ = integrate(NODE_400_W, BOTH, readings)
        # 200 W and 50 W above idle
        assert by_job(jobs) == pytest.approx({1: (50 + 240) * 900, 2: (50 + 60) * 900})

    def test_jobs_on_one_gpu_split_it_by_cores(self) -> None:
        jobs = [job(1, 0, 900, [0]), job(2, 0, 900, [1]), job(3, 0, 900, [2, 3])]
        readings = pl.concat([busy(0, 230), busy(1, 80)])
        found, _ = integrate(NODE_400_W, jobs, readings)
        assert by_job(found) == pytest.approx(
            {1: (25 + 120) * 900, 2: (25 + 120) * 900, 3: (50 + 60) * 900}
        )

    def test_energy_of_a_gpu_without_job_is_stranded(self) -> None:
        readings = pl.concat([busy(0, 230), busy(1, 80)])
        jobs, classes = integrate(NODE_400_W, BOTH[:1], readings)
        assert by_job(jobs) == pytest.approx({1: (50 + 240) * 900})
        assert by_class(classes)["stranded"] == pytest.approx((50 + 60) * 900)
        assert by_class(classes)["idle"] == pytest.approx(400 * (DAY_S - 900))

    def test_split_without_a_recent_reading_is_by_reservation(self) -> None:
        readings = pl.concat([busy(0, 230), busy(1, GPU_IDLE_W)]).filter(
            (pl.col("timestamp") <= at(300)) | (pl.col("timestamp") > at(900))
        )
        jobs, _ = integrate(NODE_400_W, BOTH, readings)
        # the reading of 300 s holds for the samples up to 360 s, and so until 365 s
        assert by_job(jobs) == pytest.approx({1: 350 * 365 + 200 * 535, 2: 50 * 365 + 200 * 535})

    def test_split_with_one_gpu_without_readings_is_by_reservation(self) -> None:
        jobs, _ = integrate(NODE_400_W, BOTH, busy(0, 230))
        assert by_job(jobs) == pytest.approx({1: 200 * 900, 2: 200 * 900})

    def test_split_needs_no_readings_of_a_gpu_that_jobs_cannot_hold(self) -> None:
        screen = NODE | {"gpus": [0, 1, 2], "gpu_reservable": [True, True, False]}
        readings = pl.concat([busy(0, 230), busy(1, GPU_IDLE_W)])
        jobs, _ = integrate(NODE_400_W, BOTH, readings, nodes=[screen])
        assert by_job(jobs) == pytest.approx({1: 350 * 900, 2: 50 * 900})

    def test_split_of_idle_gpus_is_by_reservation_despite_noise(self) -> None:
        readings = pl.concat([busy(0, GPU_IDLE_W + 4), busy(1, GPU_IDLE_W)])
        jobs, _ = integrate(NODE_400_W, BOTH, readings)
        assert by_job(jobs) == pytest.approx({1: 200 * 900, 2: 200 * 900})

    def test_split_of_a_node_without_readings_is_by_reservation(self) -> None:
        one, classes = integrate(NODE_400_W, BOTH[:1], busy(0, 1).clear())
        other, expected = integrate(NODE_400_W, BOTH[:1], None)
        assert one.equals(other)
        assert classes.equals(expected)

    def test_container_and_inner_job_have_the_energy_of_their_own_gpus(self) -> None:
        jobs = [
            job(1, 0, 900, [0, 1, 2, 3], "container"),
            job(2, 300, 600, [2, 3], "inner=1"),
        ]
        readings = pl.concat([busy(0, 80), busy(1, 230)])
        found, classes = integrate(NODE_400_W, jobs, readings)
        assert by_job(found) == pytest.approx({1: 400 * 600 + (50 + 60) * 300, 2: (50 + 240) * 300})
        assert "stranded" not in by_class(classes)

    def test_incomplete_jobs_give_a_job_its_gpu_and_its_reserved_share(self) -> None:
        readings = pl.concat([busy(0, 230, stop=600), busy(1, 80, stop=600)])
        jobs, classes = integrate(NODE_400_W, BOTH[:1], readings, jobs_complete=False)
        # 300 s without activity: half of all
        assert by_job(jobs) == pytest.approx({1: (50 + 240) * 600 + 200 * 300})
        assert set(by_class(classes)) == {"job", "unattributed"}

    def test_left_hold_keeps_the_split_of_the_last_sample(self) -> None:
        power = series(EVERY_5_S, np.where(EVERY_5_S < 500, 400.0, 200.0))
        readings = pl.concat([busy(0, 230, stop=500), busy(1, 230, start=500)])
        jobs, _ = integrate(power, BOTH, readings, method="left_hold")
        # the reading of 495 s, which has GPU 0 busy, holds until the one of 510 s
        assert by_job(jobs)[1] == pytest.approx(50 * 900 + 300 * 500 + 100 * 10)

    def test_variance_of_a_job_on_the_only_busy_gpu_is_that_of_the_node(self) -> None:
        power = series(EVERY_5_S, np.where(EVERY_5_S % 20 < 10, 400.0, 300.0))
        readings = pl.concat([busy(0, 230), busy(1, GPU_IDLE_W)])
        jobs, _ = integrate(power, BOTH, readings)
        whole, _ = integrate(power, [job(1, 0, 900, [0, 1, 2, 3])], None)
        variance = by_job(jobs, "variance_j2")
        assert variance[1] == pytest.approx(by_job(whole, "variance_j2")[1])
        assert variance[2] == pytest.approx(0)


class TestIdlePower:
    def test_idle_power_is_the_5th_percentile(self) -> None:
        frame = series(range(101), [*range(30, 130), 5000], gpu=0)
        assert gpu_attribution.gpu_idle_power_w(frame) == {0: pytest.approx(35)}

    def test_idle_power_of_an_always_busy_gpu_is_the_lowest_of_its_node(self) -> None:
        frame = pl.concat([series(range(9), [w] * 9, gpu=g) for g, w in enumerate((25, 45, 290))])
        assert gpu_attribution.gpu_idle_power_w(frame) == {0: 25, 1: 45, 2: 25}


class TestGpuAllocations:
    def test_reserved_parts_are_cores_held_over_cores_of_the_gpu(self) -> None:
        jobs, allocations, nodes = records([job(1, 0, 9, [0, 2, 3])], [NODE])
        parts = gpu_allocations.reserved_gpu_parts(jobs, allocations, nodes).collect()
        assert parts.select("node", "share").rows() == [("c-1/0", 0.5), ("c-1/1", 1.0)]

    def test_build_gpu_held_twice_on_a_free_node_is_refused(self) -> None:
        twice = [job(1, 0, 900, [0, 1]), job(2, 0, 900, [0])]
        with pytest.raises(InputError, match=r"c-1/0: jobs 1, 2 hold the same cores from"):
            gpu_allocations.build_gpu_allocations(
                *records(twice, [NODE]), start=START, end=START + timedelta(days=1)
            )


@st.composite
def nodes(draw: st.DrawFn) -> tuple[pl.DataFrame, list[Held], pl.DataFrame]:
    """Two days of irregular power and GPU readings, and jobs on cores, in containers or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    span = draw(st.sampled_from([600, 20_000, 2 * DAY_S]))
    origin = draw(st.sampled_from([0, DAY_S - 300]))

    def times(most: int) -> np.ndarray:
        count = draw(st.integers(0, most))
        return np.unique(np.round(rng.uniform(-40, span, count), 6)) + origin

    moments = times(400)
    power = series(moments, rng.choice([5.0, 90.0, 100.0, 250.5, 1000.0], len(moments)))
    of_gpus = []
    for gpu in range(2):
        moments = times(200)
        of_gpus.append(
            series(moments, rng.choice([30.0, 33.0, 80.0, 300.0], len(moments)), gpu=gpu)
        )
    jobs = []
    for core in range(4):
        bounds = np.unique(rng.integers(0, span, 2 * draw(st.integers(0, 3)))) + origin
        pairs = zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=False)
        jobs += [
            job(10 * core + i, a, b, [core]) for i, (a, b) in enumerate(pairs) if b <= 2 * DAY_S
        ]
    if draw(st.booleans()):
        jobs = [(*each[:4], ["inner=99"]) for each in jobs]
        jobs.append(job(99, 0, 2 * DAY_S, [0, 1, 2, 3], "container"))
    return power, jobs, pl.concat(of_gpus)


class TestAlways:
    @given(nodes(), st.sampled_from(INTEGRATION_METHODS), st.booleans())
    @settings(max_examples=60)
    def test_energy_and_time_are_conserved_with_gpu_readings(
        self, node: tuple[pl.DataFrame, list[Held], pl.DataFrame], method: str, complete: bool
    ) -> None:
        power, held, readings = node
        # integrate() itself raises ConservationError when a node, a day or its jobs do not add up
        jobs, classes = integrate(
            power, held, readings, method=method, jobs_complete=complete, days=(0, 2)
        )
        job_j = classes.filter(pl.col("class") == "job")["energy_j"].sum()
        left_out_j = classes["left_out_j"].sum()
        assert jobs["energy_j"].sum() == pytest.approx(job_j - left_out_j, rel=1e-9, abs=1e-6)
        assert (
            jobs["energy_j"].min() in (None, pytest.approx(0, abs=1e-6))
            or (jobs["energy_j"] >= -1e-6).all()
        )
        assert (classes["energy_j"] >= -1e-6).all()
        assert (jobs["variance_j2"] >= 0).all()
        if method != "inner_trapezoid":
            assert (classes["left_out_j"].abs() < 1e-6).all()
        # what the gate does not change: the node's energy, and all but job and stranded
        _, reserved = integrate(
            power, held, None, method=method, jobs_complete=complete, days=(0, 2)
        )
        whole = {name: reserved[name].sum() for name in ("energy_j", "duration_s")}
        assert classes["energy_j"].sum() == pytest.approx(whole["energy_j"], rel=1e-9, abs=1e-6)
        assert classes["duration_s"].sum() == pytest.approx(whole["duration_s"])

    @given(nodes(), st.sampled_from(INTEGRATION_METHODS))
    @settings(max_examples=30)
    def test_two_days_equal_the_sum_of_each_day(
        self, node: tuple[pl.DataFrame, list[Held], pl.DataFrame], method: str
    ) -> None:
        power, held, readings = node
        margins = [
            pl.col("timestamp").is_between(at(day * DAY_S - 30), at((day + 1) * DAY_S + 30))
            for day in (0, 1)
        ]
        frames = [power.filter(margin) for margin in margins]
        # a sum of samples depends on the period that all samples of a file show
        assume(method != "sum_of_samples" or have_one_period([power, *frames]))
        whole, _ = integrate(power, held, readings, method=method, days=(0, 2))
        parts = [
            integrate(own, held, readings, method=method, days=(day, day + 1))[0]
            for day, own in enumerate(frames)
        ]
        summed = pl.concat(parts).group_by("job_id").agg(pl.col("energy_j").sum()).sort("job_id")
        assert by_job(whole) == pytest.approx(by_job(summed), rel=1e-9, abs=1e-6)


def sample(
    second: float,
    value: Any,
    *,
    metric: str = GPU_POWER_METRIC,
    node: str = "gruss-1",
    **labels: str,
) -> dict[str, Any]:
    """A sample of Kwollect, at seconds after noon."""
    return {
        "timestamp": datetime.fromtimestamp(api_answers.NOON_S + second, UTC).isoformat(),
        "device_id": node,
        "metric_id": metric,
        "value": value,
        "labels": labels,
    }


WINDOW = {"start": datetime(2025, 3, 3, tzinfo=UTC), "end": datetime(2025, 3, 4, tzinfo=UTC)}


class TestExports:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        nodes = api_answers.collection_page(
            api_answers.reference_node("gruss-1", n_gpus=2), api_answers.reference_node("gruss-2")
        )
        api_answers.save_json(tmp_path / "nodes" / "gruss.json", nodes)
        readings = [
            sample(0, 120.5, gpu="0", modelName="A40"),
            sample(0, 31, gpu="1"),
            sample(0, 119.5, gpu="0"),
            sample(15, "NaN", gpu="0"),
            sample(30, 0, gpu="1"),
            sample(45, 2147483632, gpu="1"),
            sample(-DAY_S / 2 - 80, 90, gpu="1"),
            sample(-DAY_S / 2 - 100, 90, gpu="1"),
            sample(0, 50, node="gros-1", gpu="0"),
            sample(0, 50, metric="prom_DCGM_FI_DEV_GPU_UTIL", gpu="0"),
        ]
        api_answers.save_json(tmp_path / "devices" / "a.json", readings)
        return tmp_path

    def test_download_cleans_readings_and_counts_rejected_ones(self, folder: Path) -> None:
        site = ExportedSite(folder, site="nancy", converted=folder / "converted")
        aside = site.convert_devices(directory=folder / "converted")
        assert aside.select("stage", "source", "reason", "n_rows", "example").rows() == [
            ("devices", "devices/a.json", "other cluster", 1, "gros-1"),
            ("devices", "devices/a.json", "other metric", 1, "prom_DCGM_FI_DEV_GPU_UTIL"),
        ]
        path = folder / "gruss.parquet"
        aside = device_download.download_gpu_power(
            site, path, cluster="gruss", max_gap_s=30, **WINDOW
        )
        assert aside.select("source", "reason", "n_rows").rows() == [
            ("gruss from 2025-03-03", "0 W or less", 1),
            ("gruss from 2025-03-03", "more than a GPU can draw", 1),
            ("gruss from 2025-03-03", "not a number", 1),
            ("gruss from 2025-03-03", "repeated", 1),
        ]
        found = pl.read_parquet(path)
        assert found.schema == pl.DataFrame(DevicePower.create_empty()).schema
        # one reading more than a gap and RECENT_S before the day is left out
        midnight = WINDOW["start"]
        assert found.select("gpu", "timestamp", "power_w").rows() == [
            (0, midnight + timedelta(hours=12), 119.5),
            (1, midnight - timedelta(seconds=80), 90.0),
            (1, midnight + timedelta(hours=12), 31.0),
        ]

    def test_download_without_files_writes_an_empty_table(self, folder: Path) -> None:
        (folder / "devices" / "a.json").unlink()
        site = ExportedSite(folder, site="nancy", converted=folder / "converted")
        assert site.convert_devices(directory=folder / "converted").is_empty()
        path = folder / "gruss.parquet"
        device_download.download_gpu_power(site, path, cluster="gruss", max_gap_s=30, **WINDOW)
        assert pl.read_parquet(path).is_empty()

    def test_monthly_files_are_read_by_node_across_months(self, tmp_path: Path) -> None:
        frames = {
            "a": [("c-1", 0, 0.0), ("c-1", 0, 15.0), ("c-1", 1, 0.0), ("c-2", 0, 0.0)],
            "b": [("c-1", 0, 15.0), ("c-1", 0, 30.0)],
        }
        for name, content in frames.items():
            frame = pl.DataFrame(
                {
                    "node": [node for node, _, _ in content],
                    "gpu": pl.Series([gpu for _, gpu, _ in content], dtype=pl.UInt8),
                    "timestamp": [at(second) for *_, second in content],
                    "power_w": 50.0,
                }
            )
            parts = frame.partition_by("node", "gpu", maintain_order=True)
            schema = monthly_files.DEVICE_POWER_SCHEMA
            monthly_files.write_monthly_file(parts, tmp_path / f"{name}.parquet", schema=schema)
        with pytest.raises(monthly_files.OrderError, match="samples of c-1 0 are not sorted"):
            monthly_files.write_monthly_file(
                parts[::-1] + parts, tmp_path / "c.parquet", schema=schema
            )
        gpus = tmp_path / "gpu_allocations.parquet"
        pl.DataFrame({"node": ["c-1/0", "cc-1/0"]}, schema={"node": pl.String}).write_parquet(gpus)
        described = tmp_path / "nodes.parquet"
        rows(Nodes, [NODE | {"gpu_reservable": [True, False]}]).sink_parquet(described)
        files = [str(tmp_path / f"{name}.parquet") for name in frames]
        paths = {"gpu_allocations": str(gpus), "nodes": str(described)}
        activity = GpuActivity.from_files(files, **paths, cluster="c")
        assert activity is not None
        assert activity.read("c-1").select("gpu", "timestamp").rows() == [
            (0, at(0)),
            (0, at(15)),
            (0, at(30)),
            (1, at(0)),
        ]
        assert activity.reservable == {"c-1": [0]}
        assert activity.allocations["node"].to_list() == ["c-1/0"]
        assert GpuActivity.from_files([], gpu_allocations="", nodes="", cluster="c") is None


@pytest.mark.slow
@pytest.mark.workflow
def test_study_with_readings_of_gpus_splits_by_them_under_two_part(tmp_path: Path) -> None:
    """Two jobs from noon to one, each on a GPU of a node that draws 100 W, and 400 W with them."""
    exports = tmp_path / "exports"
    api_answers.save_json(
        exports / "nodes/all.json",
        api_answers.collection_page(api_answers.reference_node("gruss-1", n_gpus=2)),
    )
    cores = {1: ["gruss-1/0", "gruss-1/1"], 2: ["gruss-1/2", "gruss-1/3"]}
    jobs = [
        api_answers.g5k_job(uid, resources_by_type={"cores": own}) for uid, own in cores.items()
    ]
    api_answers.save_json(exports / "jobs/page.json", api_answers.collection_page(*jobs))
    working = range(3601)
    power = [
        sample(second, 400 if second in working else 100, metric="bmc_node_power_watt")
        for second in range(-600, 4200, 5)
    ]
    api_answers.save_json(exports / "power/day.json", power)
    devices = [
        sample(second, 230 if gpu == 0 and second in working else 30, gpu=str(gpu))
        for second in range(-600, 4200, 15)
        for gpu in (0, 1)
    ]
    api_answers.save_json(exports / "devices/day.json", [*devices, devices[0]])
    project = Project(tmp_path)
    config = {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"},
        "source": {"kind": "exports", "directory": str(exports)},
        "labels": {"files": []},
        "levels": {"users": []},
        "privacy": {"key": "public"},
    }
    results = "results/energy"
    study = configure(tmp_path / "reserved", **config)
    # readings of GPUs are counted, but change nothing under this gate
    output = project.run(study, "-n", f"{results}/jobs.parquet").output
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    assert "/node_allocations.parquet" in inputs["integrate_energy"]
    assert "gpu" not in inputs["integrate_energy"].lower()
    assert "convert_devices" in inputs
    study = configure(tmp_path / "two_part", **config, integration={"gate": "two_part"})
    project.run(study, "--cores", "2", f"{results}/jobs.parquet")
    jobs_found = pl.read_parquet(study / results / "job_nodes.parquet")
    assert by_job(jobs_found, "measured_kwh") == pytest.approx({1: 0.050 + 0.300, 2: 0.050})
    aside = pl.read_parquet(study / results / "rejected.parquet")
    assert aside.select("stage", "source", "reason", "n_rows").rows() == [
        ("devices", "gruss from 2025-03-03", "repeated", 1)
    ]
