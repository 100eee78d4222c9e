"""Time how answers of Kwollect become Parquet, on one core, against the `json` of Python.

    uv run python tests/benchmarks/read_answers.py --nodes 20 --days 4

Keeps answers of one day as the API writes them, then measures, each in processes of its own that
are bound to one core: *json*, what one writes first (`json.loads`, a data frame, Parquet);
*answer*, the same of one answer as the client does it; *1 day* and *... days*, from the kept
answers to the partition of a cluster and month, cleaned, as the rule `download_power` does it:
memory does not grow with the days. Prints the best time of each, samples per second, peak memory,
and how much faster it is than *json*.
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
from measuring import best

from footprint import power_months
from footprint.site import kwollect, pieces
from footprint.site.grid5000 import samples
from footprint.site.grid5000.chunks import Chunk
from footprint.site.grid5000.service import Service

START = datetime(2025, 3, 1, tzinfo=UTC)
METRIC, PERIOD_S = "bmc_node_power_watt", 5
PARIS, SEPARATOR = "+01:00", ",\n "
ACCESS = {"url": "http://127.0.0.1:1", "credentials": None, "ca_bundle": None}


def answer(nodes: list[str], start: datetime, end: datetime, rng: np.random.Generator) -> bytes:
    """An answer in the API's form and order: node by node, times with offset, no spaces."""
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
    """Answers of some days, and how they are asked for."""

    def __init__(self, folder: Path, n_nodes: int, n_days: int) -> None:
        self.folder, self.n_days = folder, n_days
        self.nodes = sorted(f"grele-{number}" for number in range(1, n_nodes + 1))
        self.query = samples.Query(
            site="nancy", metric=METRIC, n_nodes=n_nodes, concurrency=1, missing=frozenset()
        )

    def service(self) -> Service:
        """The service; it has no network, and needs none."""
        download = {"retries": 0, "wait_s": 1.0, "timeout_s": 1.0, "concurrency": 1}
        return Service.from_config(ACCESS | {"answers": self.folder / "answers"}, download)

    def days(self, n_days: int) -> tuple[datetime, datetime]:
        """A window of the first days."""
        return START, START + timedelta(days=n_days)

    def fill(self) -> int:
        """Keep the answers; the bytes of the first."""
        service, rng = self.service(), np.random.default_rng(1)
        [chunks] = self.query.chunks(self.nodes, *self.days(self.n_days))
        for chunk in chunks:
            content = answer(self.nodes, chunk.start, chunk.end, rng)
            service.answers.put(self.request(service, chunk), content, final=True)
        self.first.write_bytes(answer(self.nodes, *self.days(1), rng))
        return self.first.stat().st_size

    def request(self, service: Service, chunk: Chunk) -> str:
        """How a chunk is named."""
        return service.request(self.query.path, samples.parameters(chunk, {"metrics": METRIC}))

    @property
    def first(self) -> Path:
        """One answer as it comes."""
        return self.folder / "answer.json"


def on_one_core(work: Callable[[Path], None]) -> float:
    """Seconds that some work takes in a folder of its own."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        work(Path(folder))
        return time.perf_counter() - begin


def floor(kept: Kept, folder: Path) -> None:
    """What one writes first."""
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


def one_answer(kept: Kept, folder: Path) -> None:
    """One answer, as the client puts it on disk."""
    found = kwollect.answer(kept.first.read_bytes())
    pieces.write(found.rename({"device": "node"}), folder / "day.parquet")


def month(kept: Kept, n_days: int, folder: Path) -> None:
    """All that the rule `download_power` does with answers that have come."""
    start, end = kept.days(n_days)

    class Site:
        """The samples alone."""

        def power(self, **_: object) -> object:
            """Readings of all nodes."""
            frames = samples.download(
                kept.service(), kept.query, nodes=kept.nodes, start=start, end=end
            )
            for frame in frames:
                yield frame.select("node", "timestamp", "from_summary", power_w="value")

    described = {"cluster": "grele", "valid_from": start, "max_plausible_power_w": 3000.0}
    nodes = pl.DataFrame({"node": kept.nodes, **described})
    power_months.download(
        Site(),
        nodes,
        folder / "power.parquet",
        metric=METRIC,
        cluster="grele",
        start=start,
        end=end,
        max_gap_s=0,
    )


def main() -> None:
    """Keep the answers, measure, print the table."""
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
            "json": (1, partial(floor, kept)),
            "answer": (1, partial(one_answer, kept)),
            "1 day": (1, partial(month, kept, 1)),
            f"{arguments.days} days": (arguments.days, partial(month, kept, arguments.days)),
        }
        print(f"{'':<10}{'seconds':>9}{'k samples/s':>13}{'peak GB':>9}{'ratio':>7}")
        rates: dict[str, float] = {}
        for name, (n_days, work) in works.items():
            seconds, memory_gb = best(partial(on_one_core, work), arguments.repeats)
            rates[name] = a_day * n_days / seconds
            ratio = rates[name] / rates["json"]
            print(
                f"{name:<10}{seconds:>9.2f}{rates[name] / 1e3:>13.0f}{memory_gb:>9.2f}{ratio:>7.1f}"
            )


if __name__ == "__main__":
    main()
