"""Small simulated sites can be built, read and integrated, without records of the future."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.schemas.raw import Allocations, Jobs, Nodes, States
from footprint.schemas.validation import Truth
from footprint.schemas.writing import conform
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.hardware import build_nodes
from footprint.sources.simulated.job_requests import JobRequest, ProgramLoad
from footprint.sources.simulated.oar_records import suspension_interval_s
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.schedule import Job, Scheduler

pytestmark = pytest.mark.filterwarnings("error")

READING_DELAY = timedelta(hours=12)
SMALL = {
    "start": "2025-03-31",
    "end": "2025-04-04",
    "nodes": {"graffiti": 2, "grele": 2},
    "jobs": 120,
}


def assert_site_is_valid(source: dict[str, Any]) -> None:
    """Build a site, validate its tables, and compare its records with the time of reading."""
    site = SimulatedSite.from_config(source)
    window = {"start": site.start, "end": site.end}
    records = site.jobs(**window)
    jobs = pl.DataFrame(conform(Jobs, records.jobs))
    conform(Nodes, site.nodes())
    conform(Allocations, records.allocations)
    conform(States, site.states(**window))
    truth = pl.DataFrame(conform(Truth, site.truth()))
    assert site.true_kinds().collect().height == jobs.height
    held = records.allocations.collect().select("job_id", "node")
    assert truth.join(held, on=["job_id", "node"], how="anti").is_empty()
    reading_time = pl.lit(site.end + READING_DELAY)
    assert jobs.filter(pl.col("started_at") >= reading_time).is_empty()
    assert jobs.filter(pl.col("stopped_at") > reading_time).is_empty()
    suspensions = jobs.explode("suspensions").drop_nulls("suspensions")
    resumed = pl.col("suspensions").struct.field("stopped_at")
    assert suspensions.filter(resumed >= pl.col("stopped_at").fill_null(reading_time)).is_empty()


@pytest.mark.parametrize("seed", [2025, 36])
def test_site_with_a_suspension_planned_after_its_end_has_a_true_energy(seed: int) -> None:
    # both seeds once raised an IndexError in the integral of the noise
    assert_site_is_valid(SMALL | {"seed": seed})


def test_month_with_a_suspension_planned_after_its_end_has_a_true_energy() -> None:
    nodes = {"graffiti": 13, "gres": 2, "gruss": 2, "grele": 8}
    window = {"start": "2025-03-03", "end": "2025-03-31"}
    assert_site_is_valid(window | {"seed": 232, "nodes": nodes, "jobs": 1500})


@pytest.mark.parametrize("seed", range(24))
def test_small_site_of_any_seed_can_be_read_and_integrated(seed: int) -> None:
    shapes: list[dict[str, Any]] = [
        SMALL,
        {"start": "2025-03-03", "end": "2025-03-05", "nodes": {"graffiti": 1}, "jobs": 40},
        {"start": "2025-10-24", "end": "2025-10-31", "nodes": {"gruss": 2, "grat": 1}, "jobs": 90},
    ]
    assert_site_is_valid(shapes[seed % len(shapes)] | {"seed": seed})


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    start=st.dates(date(2021, 1, 1), date(2026, 12, 1)),
    days=st.integers(1, 5),
    # a site of grappe alone has no GPU, and is refused
    clusters=st.sets(
        st.sampled_from(["graffiti", "grappe", "grele", "gres", "gruss"]), min_size=1
    ).filter(lambda clusters: clusters != {"grappe"}),
    jobs=st.integers(1, 80),
)
def test_site_of_any_window_and_size_can_be_read_and_integrated(
    seed: int, start: date, days: int, clusters: set[str], jobs: int
) -> None:
    assert_site_is_valid(
        {
            "seed": seed,
            "start": start,
            "end": start + timedelta(days=days),
            "nodes": dict.fromkeys(sorted(clusters), 1),
            "jobs": jobs,
        }
    )


def job_request(**changes: Any) -> JobRequest:
    attributes: dict[str, Any] = {
        "login": "birch",
        "project": "speech",
        "kind": "training_run",
        "cluster": "graffiti",
        "load": ProgramLoad(shape="hold"),
        "runtime_s": 1000,
        "walltime_s": 2000,
        "command": "x",
    }
    return JobRequest(**(attributes | changes))


@pytest.mark.parametrize(
    ("stopped_s", "end_s", "expected"),
    [
        (1000, 5000.0, (110, 160)),
        (161, 5000.0, (110, 160)),
        (160, 5000.0, None),  # would end with the job
        (140, 5000.0, None),
        (105, 5000.0, None),
        (None, 161.0, (110, 160)),
        (None, 160.0, None),  # would end when the records are read
        (None, 100.0, None),
    ],
)
def test_suspension_interval_ends_before_job_and_simulation(
    stopped_s: int | None, end_s: float, expected: tuple[int, int] | None
) -> None:
    job = Job(job_request(suspended=(100, 50)), 0, started_s=10, stopped_s=stopped_s)
    assert suspension_interval_s(job, end_s=end_s) == expected


def test_scheduler_leaves_job_waiting_that_would_start_after_the_end() -> None:
    nodes = build_nodes({"nodes": {"graffiti": 1}})
    scheduler = Scheduler(nodes, [], random_generator(1, "scheduler"), end_s=5000)
    early, late = scheduler.run([(4900, job_request()), (4999, job_request(n_gpus=1))])
    assert (early.state, len(early.allocation)) == ("running", 1)
    # the node is allocated: only the first job starts
    assert (late.state, late.started_s, late.allocation) == ("waiting", None, [])
    (alone,) = Scheduler(nodes, [], random_generator(1, "scheduler"), end_s=5000).run(
        [(4999, job_request())]
    )
    assert (alone.state, alone.started_s, alone.stopped_s, alone.allocation) == (
        "waiting",
        None,
        None,
        [],
    )
