"""Sites with habits: records and truth, power of the new courses, people and styles."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.schemas.raw import Jobs
from footprint.schemas.validation import TrueKinds
from footprint.schemas.writing import conform
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.habits import HABITS, WORK_SHARES
from footprint.sources.simulated.job_power import draw_program_course
from footprint.sources.simulated.job_requests import ProgramLoad
from footprint.sources.simulated.random_numbers import random_generator
from tests.sources.simulated.habits.test_campaigns import KINDS
from tests.sources.simulated.test_sites import SMALL, assert_site_is_valid

pytestmark = pytest.mark.filterwarnings("error")

LARGE = {"start": "2025-03-03", "end": "2025-03-24", "seed": 12, "jobs": 2000}


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return SimulatedSite.from_config(LARGE | {"habits": list(HABITS)})


@pytest.fixture(scope="module")
def jobs(site: SimulatedSite) -> pl.DataFrame:
    """Jobs of the site with their true kinds."""
    kinds = pl.DataFrame(conform(TrueKinds, site.true_kinds()))
    records = pl.DataFrame(conform(Jobs, site.jobs(start=site.start, end=site.end).jobs))
    return records.join(kinds, on="job_id")


def test_truth_names_the_kind_and_the_habit_of_every_job(jobs: pl.DataFrame) -> None:
    ran = jobs.drop_nulls("kind")
    found = dict(ran.drop_nulls("habit").select("habit", "kind").unique().iter_rows())
    assert found == KINDS
    share = ran["habit"].is_not_null().mean()
    assert isinstance(share, float)
    assert 0.5 < share < 0.85


def test_walltimes_of_a_person_follow_one_policy(jobs: pl.DataFrame) -> None:
    constant = {86400, 168 * 3600}
    production = jobs.filter(pl.col("queue") == "production")
    n_policies = production.group_by("user").agg(pl.col("walltime_s").unique())
    single = [set(values) for values in n_policies["walltime_s"] if len(values) == 1]
    assert constant <= {value for values in single for value in values}
    assert len(single) < len(n_policies)


def test_deployed_jobs_have_no_gpu_series(site: SimulatedSite, jobs: pl.DataFrame) -> None:
    deployed = jobs.filter(pl.col("types").list.contains("deploy"))
    share_of_users = deployed["user"].n_unique() / jobs["user"].n_unique()
    assert 0 < share_of_users < 0.6
    held = site.jobs(start=site.start, end=site.end).allocations.collect()
    row = (
        deployed.drop_nulls("stopped_at")
        .join(held, on="job_id")
        .filter(
            (pl.col("gpus").list.len() > 0)
            & (pl.col("stopped_at") - pl.col("started_at") > pl.duration(hours=1))
        )
    )
    job = row.row(0, named=True)
    series = site.devices_of(
        job["node"],
        metric="prom_DCGM_FI_DEV_POWER_USAGE",
        start=job["started_at"],
        end=job["stopped_at"],
    )
    assert series is None


@pytest.mark.parametrize("seed", range(6))
def test_small_site_with_habits_can_be_read_and_integrated(seed: int) -> None:
    assert_site_is_valid(SMALL | {"seed": seed, "habits": "seed"})


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    habits=st.lists(st.sampled_from(HABITS), min_size=1, unique=True),
    share=st.floats(0, 1),
    cluster=st.sampled_from(["graffiti", "gratouille", "grouille"]),
)
def test_site_of_any_habits_can_be_read_and_integrated(
    seed: int, habits: list[str], share: float, cluster: str
) -> None:
    source: dict[str, Any] = {"start": "2025-03-03", "end": "2025-03-05", "jobs": 40}
    chosen = {"habits": habits, "habit_share": share, "seed": seed, "nodes": {cluster: 1}}
    assert_site_is_valid(source | chosen)


def test_default_site_has_no_habit() -> None:
    kinds = SimulatedSite.from_config(SMALL).true_kinds().collect()
    assert kinds["habit"].null_count() == len(kinds) > 0
    assert set(WORK_SHARES) == set(KINDS)


def course_at(load: ProgramLoad, *, length_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Activity of the GPUs each second, and of the cores."""
    course = draw_program_course(load, length_s=length_s, rng=random_generator(1, "course"))
    at = np.searchsorted(course.starts_s, np.arange(0.0, length_s), side="right") - 1
    assert (np.diff(course.starts_s) >= 0).all()
    return course.gpu[at], course.cpu[at]


def test_trials_are_plateaus_of_several_levels_with_pauses() -> None:
    load = ProgramLoad(
        **{"shape": "trials", "gpu_level": 0.5, "cpu_level": 0.2, "startup_s": 600.0},
        **{"stretch_s": 1800.0, "dip_s": 300.0, "dip_depth": 0.3, "epoch_s": 600.0},
    )
    gpu, cpu = course_at(load, length_s=40 * 3600.0)
    assert (gpu[:600] == 0).all()
    assert 0.1 < (gpu == 0).mean() < 0.5
    plateaus = np.unique(gpu[gpu > 0.3])
    assert len(plateaus) > 20
    assert plateaus.max() <= 0.5 * 1.4
    assert cpu.max() == pytest.approx(0.2)


def test_server_rests_above_idle_and_answers_in_episodes() -> None:
    load = ProgramLoad(
        **{"shape": "server", "gpu_level": 0.8, "cpu_level": 0.1, "startup_s": 60.0},
        **{"stretch_s": 120.0, "dip_s": 600.0, "dip_depth": 0.9},
    )
    gpu, _ = course_at(load, length_s=40 * 3600.0)
    assert gpu[120:].min() == pytest.approx(0.08)
    assert 0.5 < (gpu <= 0.0801).mean() < 0.95
    assert 0.7 < gpu.max() <= 0.8
