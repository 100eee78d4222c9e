"""Requests in the style of a person: walltimes, jobs that resume after them, own systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.sources.simulated.habits.people import PersonalStyle
from footprint.sources.simulated.habits.requested import (
    DEFAULT_LIMIT_S,
    PRODUCTION_LIMIT_S,
    style_campaign,
)
from footprint.sources.simulated.job_requests import JobRequest, ProgramLoad
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

pytestmark = pytest.mark.filterwarnings("error")


def job_request(**changes: Any) -> JobRequest:
    """A training of three hours of a habit, which asks for twelve."""
    attributes: dict[str, Any] = {
        **{"login": "birch", "project": "multispeech", "kind": "training_run"},
        **{"cluster": "graffiti", "load": ProgramLoad(shape="hold"), "command": "x", "n_gpus": 1},
        **{"runtime_s": 3 * HOUR_S, "walltime_s": 12 * HOUR_S, "habit": "loader_bound_training"},
    }
    return JobRequest(**(attributes | changes))


def styled(request: JobRequest, **style: Any) -> JobRequest:
    """The request in a style of its owner."""
    styles = {"birch": PersonalStyle(**style)}
    (result,) = style_campaign([request], styles, random_generator(1, "style"))
    return result


def links_of(request: JobRequest) -> list[JobRequest]:
    """A request and those that follow it, one after the other."""
    links = [request]
    while links[-1].then:
        ((_, follower),) = links[-1].then
        links.append(follower)
    return links


def test_usual_style_leaves_usual_work_unchanged() -> None:
    request = job_request(habit=None, runtime_s=40 * HOUR_S, then=((5, job_request(habit=None)),))
    assert styled(request) == request


def test_walltime_follows_the_policy_of_the_person() -> None:
    request = job_request()
    assert styled(request).walltime_s == 12 * HOUR_S
    assert styled(request, walltimes="day_walltime").walltime_s == DAY_S
    assert styled(request, walltimes="limit_walltime").walltime_s == PRODUCTION_LIMIT_S == 7 * DAY_S
    fitted_s = styled(request, walltimes="fitted_walltime").walltime_s
    assert 1.05 * 3 * HOUR_S <= fitted_s <= 1.6 * 3 * HOUR_S + HOUR_S
    assert fitted_s % 600 == 0
    on_default_queue = job_request(cluster="grouille")
    limited = styled(on_default_queue, walltimes="limit_walltime")
    assert limited.walltime_s == DEFAULT_LIMIT_S == 62 * HOUR_S


def test_lines_of_a_campaign_request_one_fitted_walltime() -> None:
    lines = [job_request(runtime_s=minutes * 60, array=1) for minutes in (5, 20, 100)]
    styles = {"birch": PersonalStyle(walltimes="fitted_walltime")}
    found = style_campaign(lines, styles, random_generator(1, "style"))
    (walltime_s,) = {line.walltime_s for line in found}
    assert 105 * 60 <= walltime_s <= 170 * 60


def test_work_longer_than_the_walltime_is_resumed_within_its_chain() -> None:
    request = job_request(runtime_s=60 * HOUR_S, chain=4, ending="deleted", suspended=None)
    links = links_of(styled(request, walltimes="day_walltime"))
    assert [link.walltime_s for link in links] == [DAY_S] * 3
    # the walltime ends all but the last, which does the rest of the work
    assert [link.runtime_s for link in links] == [2 * DAY_S, 2 * DAY_S, 12 * HOUR_S]
    assert [link.ending for link in links] == ["done", "done", "deleted"]
    assert {link.chain for link in links} == {4}


def test_work_without_a_chain_is_ended_by_its_walltime() -> None:
    found = styled(job_request(runtime_s=60 * HOUR_S), walltimes="day_walltime")
    assert (found.runtime_s, found.walltime_s, found.then) == (60 * HOUR_S, DAY_S, ())


def test_usual_job_ended_by_walltime_is_deleted_after_the_same_time_under_a_longer_one() -> None:
    request = job_request(habit=None, runtime_s=24 * HOUR_S, walltime_s=12 * HOUR_S)
    found = styled(request, walltimes="limit_walltime")
    assert (found.runtime_s, found.ending) == (12 * HOUR_S, "deleted")


def test_style_applies_to_followers_and_inner_jobs() -> None:
    inner = job_request(n_gpus=1)
    request = job_request(then=((60, inner),), inside=((60, inner),), types=("container",))
    found = styled(request, walltimes="day_walltime")
    for pairs in (found.then, found.inside):
        assert [(delay_s, each.walltime_s) for delay_s, each in pairs] == [(60, DAY_S)]


def test_own_system_takes_whole_nodes_and_no_array_nor_prompt() -> None:
    styles = {"birch": PersonalStyle(own_system=True)}

    def share_of_deployed(request: JobRequest) -> float:
        found = style_campaign([request] * 300, styles, random_generator(1, "style"))
        deployed = [each for each in found if "deploy" in each.types]
        assert all((each.n_gpus, each.n_cores) == (0, 0) for each in deployed)
        return len(deployed) / 300

    assert 0.7 < share_of_deployed(job_request()) < 0.9
    for changes in ({"array": 3}, {"interactive": True}, {"types": ("besteffort",)}):
        assert share_of_deployed(replace(job_request(), **changes)) == 0
    assert share_of_deployed(job_request(n_gpus=0, n_cores=4)) == 0


@given(
    runtime_h=st.integers(1, 300),
    walltimes=st.sampled_from(
        ["usual_walltime", "fitted_walltime", "day_walltime", "limit_walltime"]
    ),
    walltime_h=st.integers(1, 168),
)
def test_chain_does_all_of_the_work(runtime_h: int, walltimes: Any, walltime_h: int) -> None:
    request = job_request(
        runtime_s=runtime_h * HOUR_S, walltime_s=walltime_h * HOUR_S, chain=1, ending="done"
    )
    links = links_of(styled(request, walltimes=walltimes))
    worked_s = sum(min(link.runtime_s, link.walltime_s) for link in links)
    assert runtime_h * HOUR_S <= worked_s <= runtime_h * HOUR_S + 60
    assert all(link.walltime_s <= PRODUCTION_LIMIT_S for link in links)
