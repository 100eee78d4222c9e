"""Time the conversion of Kwollect's answers to Parquet on one core, against Python's `json`.

    uv run python tests/benchmarks/read_answers.py --nodes 20 --days 4

Keeps answers of one day as the API writes them, then measures, each in processes of its own that
are bound to one core: *json*, the plain way (`json.loads`, a data frame, Parquet);
*answer*, the client's conversion of one answer; *1 day* and *... days*, from the kept
answers to the cleaned monthly file of a cluster, as in the rule `download_power`. Memory
does not grow with the days. Prints the best time of each, samples per second, peak memory,
and the speed-up over *json*.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from measuring import best_cost

from footprint.core.calendar import Window
from footprint.sources import indexed_readings, power_download
from footprint.sources.cleaning import CleaningSettings
from footprint.sources.grid5000 import samples
from footprint.sources.grid5000.chunks import Chunk
from footprint.sources.grid5000.service import Service
from footprint.sources.kwollect import answers

START = datetime(2025, 3, 1, tzinfo=UTC)
METRIC, PERIOD_S = "bmc_node_power_watt", 5
PARIS, SEPARATOR = "+01:00", ",\n "
ACCESS = {"url": "http://127.0.0.1:1", "credentials": None, "ca_bundle": None}


def api_answer(nodes: list[str], start: datetime, end: datetime, rng: np.random.Generator) -> bytes:
    """Answer in the API's form and order: node by node, times with UTC offset, no spaces."""
    n_samples = int((end - start).total_seconds()) // PERIOD_S
    every = pl.datetime_range(
        start, end, f"{PERIOD_S}s", closed="left", time_unit="us", time_zone="UTC", eager=True
    )
    records = []
    for node in nodes:
        times = every + pl.Series(rng.integers(0, 900_000, n_samples)).cast(pl.Duration("us"))
        local = times.dt.convert_time_zone("Europe/Paris").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        power_w = np.round(900 + 50 * rng.standard_normal(n_samples)).astype(int).tolist()
        records += [
            f'{{"timestamp":"{at}{PARIS}","device_id":"{node}","metric_id":"{METRIC}",'
            f'"value":{value},"labels":{{}}}}'
            for at, value in zip(local, power_w, strict=True)
        ]
    return f"[{SEPARATOR.join(records)}]".encode()


class Kept:
    """Stored answers of some days, with their requests."""

    def __init__(self, folder: Path, n_nodes: int, n_days: int) -> None:
        self.folder, self.n_days = folder, n_days
        self.nodes = sorted(f"grele-{number}" for number in range(1, n_nodes + 1))
        self.query = samples.SampleQuery(
            site="nancy", metric=METRIC, n_nodes=n_nodes, concurrency=1, missing=frozenset()
        )

    def service(self) -> Service:
        """Service that reads stored answers and has no network."""
        download = {"retries": 0, "wait_s": 1.0, "timeout_s": 1.0, "concurrency": 1}
        return Service.from_config(ACCESS | {"answers": self.folder / "answers"}, download)

    def days(self, n_days: int) -> tuple[datetime, datetime]:
        """Window of the first days."""
        return START, START + timedelta(days=n_days)

    def fill(self) -> int:
        """Store the answers; the number of bytes of the first."""
        service, rng = self.service(), np.random.default_rng(1)
        [chunks] = self.query.chunk_groups(self.nodes, *self.days(self.n_days))
        for chunk in chunks:
            content = api_answer(self.nodes, chunk.start, chunk.end, rng)
            service.answers.save_content(self.request(service, chunk), content, is_final=True)
        self.first.write_bytes(api_answer(self.nodes, *self.days(1), rng))
        return self.first.stat().st_size

    def request(self, service: Service, chunk: Chunk) -> str:
        """How a chunk is named."""
        params = samples.request_parameters(chunk, {"metrics": METRIC})
        return service.request_key(self.query.path, params)

    @property
    def first(self) -> Path:
        """Path of one raw answer."""
        return self.folder / "answer.json"


def seconds_on_one_core(work: Callable[[Path], None]) -> float:
    """Seconds of a function on one core, in its own folder."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        work(Path(folder))
        return time.perf_counter() - begin


def parse_with_json(kept: Kept, folder: Path) -> None:
    """Convert an answer with `json.loads` and a data frame."""
    records = json.loads(kept.first.read_bytes())
    frame = pl.DataFrame(
        {
            "node": [record["device_id"] for record in records],
            "timestamp": [record["timestamp"] for record in records],
            "power_w": [record["value"] for record in records],
        }
    )
    time = pl.col("timestamp").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    frame.with_columns(time).write_parquet(folder / "day.parquet")


def parse_answer(kept: Kept, folder: Path) -> None:
    """Convert an answer as the client does."""
    found = answers.parse_answer(kept.first.read_bytes())
    indexed_readings.write_readings(found.rename({"device": "node"}), folder / "day.parquet")


def clean_month(kept: Kept, n_days: int, folder: Path) -> None:
    """Run the computations of the rule `download_power` on stored answers."""
    start, end = kept.days(n_days)

    class Site:
        """Site that has samples alone."""

        def power(self, **_: object) -> object:
            """Readings of all nodes."""
            frames = samples.download_samples(
                kept.service(), kept.query, nodes=kept.nodes, start=start, end=end
            )
            for frame in frames:
                yield frame.select("node", "timestamp", "from_summary", power_w="value")

    described = {"cluster": "grele", "valid_from": start, "max_plausible_power_w": 3000.0}
    nodes = pl.DataFrame({"node": kept.nodes, **described})
    power_download.download_power(
        Site(),
        nodes,
        folder / "power.parquet",
        metric=METRIC,
        cluster="grele",
        window=Window(start, end),
        settings=CleaningSettings(0),
    )


def main() -> None:
    """Store the answers, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = "1"
    a_day = arguments.nodes * 86_400 // PERIOD_S
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder), arguments.nodes, arguments.days)
        n_bytes = kept.fill()
        print(f"an answer: {a_day:,} samples of {arguments.nodes} nodes, {n_bytes / 1e6:.0f} MB")
        works: dict[str, tuple[int, Callable[[Path], None]]] = {
            "json": (1, partial(parse_with_json, kept)),
            "answer": (1, partial(parse_answer, kept)),
            "1 day": (1, partial(clean_month, kept, 1)),
            f"{arguments.days} days": (arguments.days, partial(clean_month, kept, arguments.days)),
        }
        print(f"{'':<10}{'seconds':>9}{'k samples/s':>13}{'peak GB':>9}{'ratio':>7}")
        rates: dict[str, float] = {}
        for name, (n_days, work) in works.items():
            seconds, memory_gb = best_cost(partial(seconds_on_one_core, work), arguments.repeats)
            rates[name] = a_day * n_days / seconds
            ratio = rates[name] / rates["json"]
            print(
                f"{name:<10}{seconds:>9.2f}{rates[name] / 1e3:>13.0f}{memory_gb:>9.2f}{ratio:>7.1f}"
            )


if __name__ == "__main__":
    main()
