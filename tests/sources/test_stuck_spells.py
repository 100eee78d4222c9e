"""Stuck spells: constructed readings, the simulated site, and real recordings without any."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint.allocation import held_intervals
from footprint.core.arrays import Floats, Integers
from footprint.core.calendar import Window
from footprint.sources import cleaning, device_download, monthly_files, stuck_spells
from footprint.sources.held_time import HeldTime
from footprint.sources.kwollect import answers
from footprint.sources.simulated import SimulatedSite

DAY_S, PERIOD_S = 86_400, 5


def times_us(seconds: Floats) -> Integers:
    return np.asarray(np.rint(seconds * 1e6), dtype=np.int64)


def noisy_power(seconds: Floats, *, at_w: float = 200.0, width: int = 2) -> Floats:
    """Readings in steps of 1 W that change at nearly every sample."""
    moves = np.random.default_rng(1).integers(-width, width + 1, len(seconds))
    return at_w + moves.astype(np.float64)


def held_by(*jobs: tuple[float, float]) -> HeldTime:
    starts, stops = (np.sort(times_us(np.array(bounds))) for bounds in zip(*jobs, strict=True))
    return HeldTime(starts, stops)


def stuck_spells_s(
    seconds: Floats, power_w: Floats, held: HeldTime | None = None
) -> list[tuple[float, float]]:
    rows = stuck_spells.find_stuck_spells(
        times_us(seconds), power_w, held=held or HeldTime(), off_threshold_w=20
    )
    return [(float(seconds[low]), float(seconds[high])) for low, high in rows]


SECONDS = np.arange(0, DAY_S, PERIOD_S, dtype=np.float64)


def test_constant_power_is_not_stuck() -> None:
    steady = np.full(len(SECONDS), 200.0)
    assert stuck_spells_s(SECONDS, steady) == []
    assert stuck_spells_s(SECONDS, steady, held_by((3600, 7200), (10_000, 20_000))) == []


def test_spell_much_longer_than_others_of_its_reading_is_stuck() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:3000] = 200
    power_w[[999, 3000]] = 201
    assert stuck_spells_s(SECONDS, power_w) == [(5000, 14_995)]


def test_spell_below_an_hour_without_jobs_is_not_stuck() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:1719] = 200
    power_w[[999, 1719]] = 201
    assert stuck_spells_s(SECONDS, power_w) == []


def test_spell_continues_across_missing_readings() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:3000] = 200
    power_w[[999, 3000]] = 201
    kept = np.ones(len(SECONDS), dtype=bool)
    kept[1500:1600] = kept[2000:2100] = False
    assert stuck_spells_s(SECONDS[kept], power_w[kept]) == [(5000, 14_995)]


def test_spell_with_another_long_spell_of_its_reading_is_not_stuck() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:3000] = 200
    power_w[5000:5300] = 200
    power_w[[999, 3000, 4999, 5300]] = 201
    assert stuck_spells_s(SECONDS, power_w) == []


def test_spell_of_a_reading_without_other_spells_is_not_stuck() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:3000] = 450
    assert stuck_spells_s(SECONDS, power_w) == []


def test_spell_with_few_other_spells_of_its_reading_is_not_stuck() -> None:
    power_w = noisy_power(SECONDS, at_w=500)
    power_w[1000:3000] = 200
    for low in range(4000, 4000 + 60 * 110, 110):  # 60 spells of 100 readings
        power_w[low : low + 100] = 200
    assert stuck_spells_s(SECONDS, power_w) == []


def test_spell_whose_reading_moves_only_in_another_use_is_not_stuck() -> None:
    # the reading moves under a job; the node is free in the spell
    power_w = noisy_power(SECONDS)
    held = held_by((0, 5000), (15_000, DAY_S))
    power_w[1000:3000] = 200
    assert stuck_spells_s(SECONDS, power_w, held) == []


def jobs_every(hours: float, *, move: bool = True) -> tuple[Floats, HeldTime]:
    """Readings without noise on a node that a job holds for an hour every few hours."""
    power_w = np.full(len(SECONDS), 200.0)
    starts = np.arange(1800, DAY_S - 3600, hours * 3600)
    for number, start in enumerate(starts):
        rows = (start <= SECONDS) & (start + 3600 > SECONDS)
        power_w[rows] += (100 + number) * move
    return power_w, held_by(*((start, start + 3600) for start in starts))


def test_spell_across_bounds_of_jobs_is_stuck_where_readings_usually_move() -> None:
    power_w, held = jobs_every(2)
    rows = (SECONDS > 45_500) & (SECONDS < 53_000)  # two bounds of jobs
    power_w[rows] = 333
    assert stuck_spells_s(SECONDS, power_w, held) == [(45_505, 52_995)]


def test_spell_across_bounds_of_jobs_is_not_stuck_where_readings_seldom_move() -> None:
    power_w, held = jobs_every(2, move=False)
    power_w[(SECONDS > 45_500) & (SECONDS < 53_000)] = 333
    assert stuck_spells_s(SECONDS, power_w, held) == []


def test_spell_across_one_job_is_not_stuck_with_few_other_bounds() -> None:
    # the 2 bounds of another job: ((0 + 1) / (2 + 2)) ** 2 > 0.05
    power_w = np.full(len(SECONDS), 200.0)
    held = held_by((40_000, 45_000), (5000, 6000))
    power_w[(SECONDS >= 5000) & (SECONDS < 6000)] = 300
    power_w[(SECONDS > 38_000) & (SECONDS < 47_000)] = 333
    assert stuck_spells_s(SECONDS, power_w, held) == []


def test_spell_across_jobs_is_not_stuck_where_readings_never_move() -> None:
    # ((0 + 1) / (0 + 2)) ** 6 <= 0.05, from no other bound at all
    held = held_by((20_000, 23_600), (30_000, 33_600), (40_000, 43_600))
    assert stuck_spells_s(SECONDS, np.full(len(SECONDS), 120.0), held) == []


def test_steady_power_in_the_middle_of_a_coarse_step_is_not_stuck() -> None:
    # four loads of two hours stand still, a fifth between 200 W and 204 W flips every 50 s
    power_w = np.full(len(SECONDS), 100.0)
    for place in range(4):
        power_w[2000 * place : 2000 * place + 1440] = 200.0 + 4 * place
    power_w[10_000:12_000] = np.resize(np.repeat([200.0, 204.0], 10), 2000)
    assert stuck_spells_s(SECONDS[:12_000], power_w[:12_000], held_by((0, DAY_S))) == []


def test_spell_below_the_standby_threshold_is_not_stuck() -> None:
    power_w = noisy_power(SECONDS, at_w=12)
    power_w[1000:3000] = 12
    power_w[[999, 3000]] = 13
    assert stuck_spells_s(SECONDS, power_w) == []


def test_two_stuck_spells_of_one_reading_are_both_found() -> None:
    power_w = noisy_power(SECONDS)
    for low, high in ((1000, 2500), (6000, 7200)):
        power_w[low:high] = 200
        power_w[[low - 1, high]] = 201
    assert stuck_spells_s(SECONDS, power_w) == [(5000, 12_495), (30_000, 35_995)]


def test_spell_in_which_gpu_power_moves_is_stuck_without_jobs_or_other_spells() -> None:
    power_w = noisy_power(SECONDS)
    power_w[1000:1300] = 450  # 25 minutes of a reading that never occurs elsewhere
    power_w[5000:5300] = 460
    timestamp = pl.Series(times_us(SECONDS[::3])).cast(pl.Datetime("us", "UTC"))
    moved_w = 60.0 + 40.0 * (SECONDS[::3] > 1150 * PERIOD_S)
    gpus = pl.DataFrame({"timestamp": timestamp, "power_w": moved_w}).with_columns(
        gpu=pl.lit(0, pl.UInt8)
    )
    rows = stuck_spells.find_stuck_spells(
        times_us(SECONDS),
        power_w,
        held=HeldTime(),
        off_threshold_w=20,
        read_gpu_power=lambda: gpus,
    )
    assert rows == [(1000, 1299)]
    assert stuck_spells_s(SECONDS, power_w) == []


def test_spell_is_not_stuck_where_jobs_ran_while_readings_were_missing() -> None:
    power_w, held = jobs_every(2)
    power_w[(SECONDS > 45_500) & (SECONDS < 47_800)] = 333
    held = HeldTime(
        np.sort(np.append(held.starts_us, times_us(np.array([46_500.0])))),
        np.sort(np.append(held.stops_us, times_us(np.array([46_900.0])))),
    )
    kept = (SECONDS <= 46_400) | (SECONDS >= 47_000)
    assert stuck_spells_s(SECONDS, power_w, held) == [(45_505, 47_795)]
    assert stuck_spells_s(SECONDS[kept], power_w[kept], held) == []


def test_fewer_than_two_samples_have_no_spells() -> None:
    assert stuck_spells_s(SECONDS[:0], SECONDS[:0]) == []
    assert stuck_spells_s(SECONDS[:1], np.array([200.0])) == []


# The simulated site and real recordings.

START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 4, 28, tzinfo=UTC)
MONTHS = ((START, datetime(2025, 4, 1, tzinfo=UTC)), (datetime(2025, 4, 1, tzinfo=UTC), END))


class CleanedSite:
    """Cleaned readings of a simulated site, and its true stuck spells."""

    def __init__(self, seed: int) -> None:
        source = {"start": "2025-03-03", "end": "2025-04-28", "seed": seed, "jobs": 3600}
        self.site = SimulatedSite.from_config(source)
        records = self.site.jobs(start=START, end=END)
        self.held = held_intervals.held_intervals_of_jobs(
            records.jobs, records.allocations, end=END
        )
        self.states = self.site.states(start=START, end=END).collect()
        described = self.site.nodes().collect()
        self.limits = dict(described.select("node", "max_plausible_power_w").iter_rows())

    def clean(self, node: str, folder: Path | None = None) -> list[cleaning.CleanedNode]:
        """Cleaned months of a node; with a folder for its files, GPU power is evidence."""
        held = held_intervals.held_time_of_nodes(self.held, self.states, end=END).get(node)
        frames = [
            (self.site.power_of(node, start=low, end=high), low, high) for low, high in MONTHS
        ]
        return [
            cleaning.clean_readings(
                frame,
                max_plausible_power_w=self.limits[node],
                window=Window(low, high),
                settings=cleaning.CleaningSettings(30, 20),
                held=held,
                read_gpu_power=self.gpu_power(node, low, high, folder) if folder else None,
            )
            for frame, low, high in frames
            if frame is not None
        ]

    def gpu_power(
        self, node: str, start: datetime, end: datetime, folder: Path
    ) -> Callable[[], pl.DataFrame]:
        path = folder / f"{node}-{start:%Y-%m}.parquet"
        device_download.download_gpu_power(
            self.site, path, cluster=node.split("-")[0], start=start, end=end, max_gap_s=30
        )
        return partial(monthly_files.gpu_power_reader(path), node)

    def true_spells(self) -> dict[str, list[tuple[datetime, datetime]]]:
        stuck = self.site.sensor_spells().filter(kind="stuck").collect()
        return {
            str(node): own.select("started_at", "stopped_at").rows()
            for (node,), own in stuck.partition_by("node", as_dict=True).items()
        }


def test_stuck_spells_of_simulated_sites_are_found() -> None:
    true_s = kept_s = 0.0
    for judged in (CleanedSite(seed) for seed in (2025, 101)):
        for node, spells in judged.true_spells().items():
            for first, last in spells:
                true_s += (last - first).total_seconds()
                inside = pl.col("timestamp").is_between(first, last)
                kept_s += 5.0 * sum(len(each.samples.filter(inside)) for each in judged.clean(node))
    assert kept_s <= 0.2 * true_s > 0


def test_stuck_spell_under_one_job_is_found_by_gpu_power(
    tmp_path: Path,
) -> None:
    judged = CleanedSite(502)
    [(first, last)] = judged.true_spells()["graffiti-5"]
    inside = pl.col("timestamp").is_between(first, last)
    alone, with_gpus = (
        sum(len(each.samples.filter(inside)) for each in judged.clean("graffiti-5", folder))
        for folder in (None, tmp_path)
    )
    assert alone > 1500
    assert with_gpus <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2025, 11])
def test_samples_of_working_simulated_sensors_are_rarely_stuck(seed: int) -> None:
    judged = CleanedSite(seed)
    faulty = set(judged.site.sensor_spells().collect()["node"])
    n_samples = n_stuck = n_drop_outs = 0
    for node in judged.limits.keys() - faulty:
        for cleaned in judged.clean(node):
            n_samples += len(cleaned.samples)
            n_stuck += int(cleaned.quality["n_stuck"].sum())
            n_drop_outs += int(cleaned.quality["n_drop_out"].sum())
    assert n_samples > 25_000_000
    assert n_stuck <= 0.001 * n_samples
    assert n_drop_outs == 0


def test_real_node_gemini_1_has_no_stuck_spell(shared_data: Path) -> None:
    folder = shared_data / "gemini-2022-11"
    jobs = pl.read_json(folder / "jobs/jobs.json")
    items = jobs["items"].explode().struct.unnest() if "items" in jobs.columns else jobs
    bounds = items.select("started_at", "stopped_at").cast(pl.Float64)
    held = held_by(*bounds.iter_rows())
    assert len(held.starts_us) == 152
    for metric in ("bmc_node_power_watt", "wattmetre_power_watt"):
        frame = pl.concat(answers.read_file(folder / f"power/{metric}.jsonl.gz")).sort("timestamp")
        times = frame["timestamp"].to_numpy().view(np.int64)
        power_w = frame["value"].to_numpy()
        assert len(times) > 4000
        assert stuck_spells.find_stuck_spells(times, power_w, held=held, off_threshold_w=20) == []


def test_real_nodes_of_cresco6_have_no_stuck_spell(shared_data: Path) -> None:
    folder = shared_data / "cresco6"
    jobs = pl.read_csv(io.BytesIO(gzip.decompress((folder / "jobs_data.csv.gz").read_bytes())))
    nodes = pl.col("nodes").str.split(":").list.eval(pl.element().str.split("*").list.last())
    held = (
        jobs.select("start_ts", "end_ts", node=nodes)
        .explode("node")
        .drop_nulls()
        .select("node", *(pl.col(name).cast(pl.Float64) for name in ("start_ts", "end_ts")))
    )
    n_samples = 0
    for path in sorted((folder / "sensors").iterdir()):
        day = pl.read_csv(
            io.BytesIO(gzip.decompress(path.read_bytes())), separator="\t", infer_schema_length=0
        ).select(
            node="nodename",
            second=pl.col("timestamp_measure").cast(pl.Float64),
            power_w=pl.col("sys_power").cast(pl.Float64, strict=False),
        )
        for (node,), own in day.drop_nulls().partition_by("node", as_dict=True).items():
            own = own.sort("second", "power_w").unique("second", keep="first", maintain_order=True)
            jobs_there = held.filter(pl.col("node") == node).drop("node").rows()
            seconds, power_w = own["second"].to_numpy(), own["power_w"].to_numpy()
            assert (
                stuck_spells_s(seconds, power_w, held_by(*jobs_there) if jobs_there else None) == []
            )
            n_samples += len(own)
    assert n_samples > 20_000
