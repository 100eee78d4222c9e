"""Jobs of the simulated site: every situation occurs, and no impossible one."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.labels import files, matching
from footprint.schemas.raw import Allocations, Jobs, States
from footprint.schemas.writing import conform
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.workload import DEFAULT_MIX

WINDOW = {"start": "2025-03-03", "end": "2025-04-28"}
START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 4, 28, tzinfo=UTC)
LABELS = Path(__file__).parents[3] / "docs" / "labels" / "simulated.yaml"


def build_site(source: Mapping[str, Any]) -> SimulatedSite:
    return SimulatedSite.from_config(dict(source), site="nancy")


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return build_site(WINDOW)


@pytest.fixture(scope="module")
def jobs(site: SimulatedSite) -> pl.DataFrame:
    return pl.DataFrame(conform(Jobs, site.jobs(start=START, end=END).jobs))


@pytest.fixture(scope="module")
def allocations(site: SimulatedSite) -> pl.DataFrame:
    records = site.jobs(start=START, end=END)
    return pl.DataFrame(conform(Allocations, records.allocations))


@pytest.fixture(scope="module")
def truth(site: SimulatedSite) -> pl.DataFrame:
    return site.true_kinds().collect()


def test_default_site_has_3000_jobs_in_submission_order(jobs: pl.DataFrame) -> None:
    assert jobs.height >= 3000
    submitted = jobs.sort("job_id")["submitted_at"]
    assert submitted.is_sorted()
    touching = (pl.col("started_at") < END) & (pl.col("stopped_at").fill_null(END) > START)
    assert jobs.filter(touching).height >= 3000


@pytest.mark.parametrize(("first", "last"), [(0, 56), (10, 11), (20.25, 20.5)])
def test_jobs_of_window_match_the_rule_of_oar(
    site: SimulatedSite, first: float, last: float
) -> None:
    start, end = (START + timedelta(days=days) for days in (first, last))
    every = site.jobs(start=START - timedelta(days=30), end=END + timedelta(days=1)).jobs.collect()
    submitted, started, stopped = every["submitted_at"], every["started_at"], every["stopped_at"]
    expected = [
        job_id
        for job_id, asked, began, ended in zip(
            every["job_id"], submitted, started, stopped, strict=True
        )
        if (
            start <= asked < end
            if began is None
            else began < end and (ended is None or ended > start or began >= start)
        )
    ]
    found = site.jobs(start=start, end=end).jobs.collect()["job_id"].to_list()
    assert found == expected
    assert 0 < len(found) < every.height
    later = every.filter(submitted.is_between(start, end), started >= end)
    assert not set(later["job_id"]) & set(found)


def test_job_without_duration_counts_by_its_start(site: SimulatedSite, jobs: pl.DataFrame) -> None:
    job_id, at = (
        jobs.filter(pl.col("started_at") == pl.col("stopped_at"))
        .select("job_id", "started_at")
        .row(0)
    )
    for start, end, there in [(at, at + timedelta(seconds=1), True), (START, at, False)]:
        found = site.jobs(start=start, end=end).jobs.collect()["job_id"]
        assert (job_id in found) is there


def test_jobs_of_users_and_projects_are_unequal(jobs: pl.DataFrame) -> None:
    by_user = jobs["user"].value_counts(sort=True)["count"]
    assert by_user.head(3).sum() > 0.25 * jobs.height
    assert by_user[-1] < 30
    by_project = jobs.group_by("project").agg(pl.col("user").n_unique())
    assert by_project.filter(pl.col("user") >= 5).height >= 3


def test_long_jobs_take_most_gpu_hours(jobs: pl.DataFrame, allocations: pl.DataFrame) -> None:
    hours = pl.col("stopped_at").fill_null(END).sub(pl.col("started_at")).dt.total_seconds() / 3600
    held = allocations.select("job_id", gpus=pl.col("gpus").list.len()).group_by("job_id").sum()
    ran = jobs.join(held, on="job_id").with_columns(hours=hours)
    gpu_hours = ran["hours"] * ran["gpus"]
    assert 0.3 < (ran["hours"] < 1 / 6).mean() < 0.8
    assert gpu_hours.filter(ran["hours"] < 1 / 6).sum() < 0.02 * gpu_hours.sum()
    assert gpu_hours.filter(ran["hours"] >= 12).sum() > 0.8 * gpu_hours.sum()
    # production clusters are well used, and by other work than training too
    assert 40_000 < gpu_hours.sum() < 120_000


def count_situations(jobs: pl.DataFrame, held: pl.DataFrame, truth: pl.DataFrame) -> dict[str, int]:
    """Number of jobs in each situation that the pipeline must support."""
    types = pl.col("types").list.join(" ")
    started, stopped = pl.col("started_at"), pl.col("stopped_at")
    walltime = pl.duration(seconds=pl.col("walltime_s"))
    n_nodes = held.group_by("job_id").len(name="n_nodes")
    everything = jobs.join(truth, on="job_id").join(n_nodes, on="job_id", how="left")
    lines = pl.col("array_index").len().over("array_id")
    events = pl.col("events").list
    conditions = {
        "whole node": pl.col("request").str.contains(r"/host=1,"),
        "one GPU": pl.col("request").str.contains("/gpu=1,"),
        "two GPUs": pl.col("request").str.contains("/gpu=2,"),
        "cores": pl.col("request").str.contains("/core="),
        "two nodes": pl.col("n_nodes") == 2,
        "array": lines > 3,
        "chain": (pl.col("chain_id").len().over("chain_id") > 1) & pl.col("chain_id").is_not_null(),
        "interactive": (pl.col("job_type") == "INTERACTIVE") & (pl.col("command") == ""),
        "interactive ends as error": (pl.col("job_type") == "INTERACTIVE")
        & (pl.col("state") == "error"),
        "failed": (pl.col("state") == "terminated") & (pl.col("exit_code") != 0),
        "killed by a signal": pl.col("exit_code") == 9,
        "deleted": events.contains("FRAG_JOB_REQUEST") & ~events.contains("WALLTIME"),
        "walltime": events.contains("WALLTIME") & (stopped - started >= walltime),
        "whole week": pl.col("walltime_s") == 168 * 3600,
        "besteffort": types.str.contains("besteffort") & (pl.col("queue") == "besteffort"),
        "besteffort killed": events.first() == "BESTEFFORT_KILL",
        "container": types.str.contains("container"),
        "inner": types.str.contains("inner="),
        "started before": (started < START) & (stopped.is_null() | (stopped > START)),
        "still running": stopped.is_null() & started.is_not_null() & (pl.col("state") == "running"),
        "ended after the study": stopped > END,
        "never started": started.is_null() & (pl.col("state") == "error"),
        "no time at all": started == stopped,
        "suspended": pl.col("suspensions").list.len() > 0,
        "unnamed": pl.col("name").is_null(),
        "a day of inference": (pl.col("kind") == "inference_run")
        & (stopped - started > timedelta(hours=20)),
    }
    kinds = set(truth["kind"].drop_nulls())
    return {
        **{name: everything.filter(condition).height for name, condition in conditions.items()},
        **{kind: truth.filter(pl.col("kind") == kind).height for kind in kinds},
        "same script": _count_scripts_of_two_kinds(everything),
    }


def _count_scripts_of_two_kinds(jobs: pl.DataFrame) -> int:
    script = pl.col("command").str.extract(r"^((?:python )?\S+)")
    work = jobs.filter(pl.col("kind").is_in(["training_run", "inference_run"]))
    return work.group_by("user", script).agg(pl.col("kind").n_unique()).filter(kind=2).height


def test_default_site_has_every_situation(
    jobs: pl.DataFrame, allocations: pl.DataFrame, truth: pl.DataFrame
) -> None:
    found = count_situations(jobs, allocations, truth)
    kinds = {"interactive", "debug", "idle_hold", "preprocessing", "training_run", "inference_run"}
    assert kinds <= set(found)
    assert [name for name, n in found.items() if n == 0] == []
    assert found["same script"] >= 5
    assert found["unnamed"] > 0.5 * jobs.height


def test_nodes_are_both_shared_and_idle(jobs: pl.DataFrame, allocations: pl.DataFrame) -> None:
    held = allocations.join(jobs, on="job_id").filter(pl.col("started_at").is_not_null())
    there = held.select("node", "started_at", pl.col("stopped_at").fill_null(END)).sort(
        "started_at"
    )
    before = pl.col("stopped_at").cum_max().shift().over("node")
    assert there.filter(pl.col("started_at") < before).height > 500
    # idle for a day or more
    assert there.filter(pl.col("started_at") - before > timedelta(days=1)).height > 10


def test_states_of_a_node_do_not_overlap(site: SimulatedSite) -> None:
    states = conform(States, site.states(start=START, end=END))
    assert {"maintenance", "suspected", "absent", "dead"} <= set(states["state"])
    assert states["stopped_at"].null_count() == 1
    overlapping = states.sort("node", "started_at").filter(
        pl.col("started_at") < pl.col("stopped_at").shift().over("node")
    )
    assert overlapping.is_empty()


def assert_jobs_are_possible(site: SimulatedSite, start: datetime, end: datetime) -> None:
    """Assert that no core is allocated twice or unusable, and that inner jobs stay inside."""
    records = site.jobs(start=start, end=end)
    jobs = records.jobs.collect()
    cores = (
        records.allocations.collect()
        .join(jobs, on="job_id")
        .filter(pl.col("started_at").is_not_null())
        .with_columns(
            stopped_at=pl.col("stopped_at").fill_null(end + timedelta(hours=12)),
            container=pl.col("types").list.join(" ").str.extract(r"inner=(\d+)").cast(pl.Int64),
        )
        .explode("cores", empty_as_null=False, keep_nulls=False)
    )
    for where in (["node", "cores"], ["container", "node", "cores"]):
        inner = pl.col("container").is_not_null() == (len(where) == 3)
        intervals = cores.filter(inner, pl.col("stopped_at") > pl.col("started_at"))
        intervals = intervals.sort(*where, "started_at")
        again = intervals.filter(pl.col("started_at") < pl.col("stopped_at").shift().over(where))
        assert again.is_empty()
    outer = cores.select(
        "job_id", "node", "cores", outer_start="started_at", outer_stop="stopped_at"
    )
    inside = cores.filter(
        pl.col("container").is_not_null(), pl.col("stopped_at") > pl.col("started_at")
    ).join(
        outer,
        left_on=["container", "node", "cores"],
        right_on=["job_id", "node", "cores"],
        how="left",
    )
    fits = (pl.col("started_at") >= pl.col("outer_start")) & (
        pl.col("stopped_at") <= pl.col("outer_stop")
    )
    assert inside.filter(fits.not_() | fits.is_null()).is_empty()
    states = site.states(start=start, end=end).collect()
    out = cores.join(states, on="node", suffix="_out").filter(
        (pl.col("started_at") < pl.col("stopped_at_out").fill_null(end + timedelta(days=1)))
        & (pl.col("stopped_at") > pl.col("started_at_out"))
        & (pl.col("stopped_at") > pl.col("started_at"))
    )
    assert out.is_empty()
    late = jobs.filter(
        (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() > pl.col("walltime_s") + 60
    )
    assert late.is_empty()


def test_jobs_of_default_site_are_possible(site: SimulatedSite) -> None:
    assert_jobs_are_possible(site, START, END)


@settings(max_examples=10)
@given(
    seed=st.integers(0, 10_000),
    nodes=st.dictionaries(
        st.sampled_from(["graffiti", "grue", "gruss", "gratouille", "grat", "grappe", "gres"]),
        st.integers(1, 3),
        min_size=1,
    ).filter(lambda nodes: set(nodes) != {"grappe"}),
    days=st.integers(1, 12),
)
def test_jobs_of_small_sites_are_possible(seed: int, nodes: dict[str, int], days: int) -> None:
    end = START + timedelta(days=days)
    source = {"start": "2025-03-03", "end": end.date(), "seed": seed, "nodes": nodes, "jobs": 300}
    small = build_site(source)
    assert_jobs_are_possible(small, START, end)
    assert small.jobs(start=START, end=end).jobs.collect().height > 50


def test_mix_with_one_activity_gives_its_kind(truth: pl.DataFrame) -> None:
    only = {name: 0 for name in DEFAULT_MIX if name != "debug"}
    source = {**WINDOW, "end": "2025-03-10", "jobs": 200, "mix": only}
    kinds = build_site(source).true_kinds().collect()["kind"].drop_nulls()
    # in addition to the reported trainings of the papers and their inference
    assert kinds.value_counts(sort=True)["kind"][0] == "debug"
    assert set(kinds) <= {"debug", "training_run", "inference_run"}
    assert truth["kind"].n_unique() == 7  # six and null


def test_labels_of_the_example_are_true(jobs: pl.DataFrame, truth: pl.DataFrame) -> None:
    rows = files.read_labels([LABELS])
    matched = matching.match_labels_to_jobs(rows, jobs.lazy())
    assert set(matched["label"]) == set(range(len(rows)))  # every label matches a job
    papers = matching.statement_of_jobs(rows, matched, statement="paper").collect()
    in_papers = truth.filter(pl.col("paper").is_not_null()).select("job_id", "paper")
    assert papers.sort("job_id").rows() == in_papers.sort("job_id").rows()
    sizes = dict(papers["paper"].value_counts().rows())
    assert len(sizes) >= 3
    assert max(sizes.values()) >= 200
    for statement in ("kind", "role", "phase"):
        said = matching.statement_of_jobs(rows, matched, statement=statement).collect()
        both = said.join(truth.drop_nulls("kind"), on="job_id", suffix="_true")
        assert both.height > 0
        assert (both[statement] == both[f"{statement}_true"]).all()


def test_paper_has_one_reported_training_and_its_inference(truth: pl.DataFrame) -> None:
    reported = truth.filter(pl.col("role") == "reported")
    trainings = reported.filter(pl.col("phase") == "training")
    chains = trainings.group_by("paper").agg(pl.col("chain_id").n_unique())
    assert chains["chain_id"].to_list() == [1, 1, 1]
    assert (
        reported.filter(pl.col("phase") == "inference")["paper"].value_counts()["count"] > 5
    ).all()


def test_chained_jobs_follow_one_another_within_48_h(
    jobs: pl.DataFrame, truth: pl.DataFrame
) -> None:
    links = jobs.join(truth.drop_nulls("chain_id"), on="job_id").sort("chain_id", "started_at")
    gap = (pl.col("submitted_at") - pl.col("stopped_at").shift()).over("chain_id")
    gaps = links.drop_nulls("started_at").select(gap.drop_nulls())["submitted_at"]
    assert len(gaps) > 30
    assert timedelta(0) < gaps.min() <= gaps.max() <= timedelta(hours=48)  # type: ignore[operator]
    same = links.group_by("chain_id").agg(pl.col("command").n_unique(), pl.col("user").n_unique())
    assert same["command"].max() == 1


def test_array_jobs_share_the_id_of_their_first_job(jobs: pl.DataFrame) -> None:
    lines = jobs.filter(pl.len().over("array_id") > 1)
    assert (
        lines.group_by("array_id").agg(pl.col("submitted_at").n_unique())["submitted_at"] == 1
    ).all()
    first = lines.filter(pl.col("array_index") == 1)
    assert (first["array_id"] == first["job_id"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": "2025-03-03"}, "study: the study ends before it starts"),
        ({"start": "3 March"}, "study.start: '3 March' is not a day; write it as 2025-03-03"),
        ({"seed": -1}, "source.seed: -1 is not a seed"),
        ({"jobs": "many"}, "source.jobs: 'many' is not a number of jobs"),
        ({"mix": {"sleep": 1}}, "source.mix: there is no activity 'sleep'; choose among debug,"),
        ({"mix": {"debug": -1}}, "source.mix.debug: -1 is not a weight"),
        ({"mix": dict.fromkeys(DEFAULT_MIX, 0)}, "source.mix: all weights are 0"),
        ({"nodes": {"gros": 1}}, "source.nodes: there is no simulated cluster 'gros'"),
    ],
)
def test_from_config_with_bad_value_raises(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)):
        build_site({**WINDOW, **change})
