"""Campaigns of each habit of work: true kinds, durations, commands, and differences inside."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.habits.choice import WORK_SHARES, ChosenHabits
from footprint.sources.simulated.habits.people import draw_people
from footprint.sources.simulated.habits.requests import CAMPAIGNS, HabitualWork
from footprint.sources.simulated.hardware import node_counts
from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.request_sampler import Campaign
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

pytestmark = pytest.mark.filterwarnings("error")

KINDS = {
    "late_resume": "training_run",
    "reserved_node_training": "training_run",
    "one_job_sweep": "training_run",
    "array_sweep": "training_run",
    "loader_bound_training": "training_run",
    "multi_node_training": "training_run",
    "fine_tuning": "training_run",
    "inference_server": "inference_run",
    "evaluation_array": "inference_run",
    "corpus_generation": "inference_run",
    "processors_on_gpu_nodes": "preprocessing",
    "open_notebook": "interactive",
    "crash_loop": "debug",
}
COUNTS = node_counts({})
N_CAMPAIGNS = 60


def draw_campaigns(habit: str, commands: str = "informing_commands") -> list[Campaign]:
    """Campaigns of one habit on the default site, all in one style of commands."""
    chosen = ChosenHabits(share=1.0, commands=(commands,))
    work = HabitualWork(5, chosen, COUNTS, count(1), n_jobs=3000)
    sampler = work.sampler(random_generator(5, "habit", habit), habit, habit=habit)
    return [CAMPAIGNS[habit](sampler) for _ in range(N_CAMPAIGNS)]


def requests_of(campaigns: list[Campaign]) -> list[JobRequest]:
    """All requests, with those that follow them."""

    def walk(request: JobRequest) -> Iterator[JobRequest]:
        yield request
        for _, follower in request.then:
            yield from walk(follower)

    return [each for campaign in campaigns for first in campaign for each in walk(first)]


def delays_of(campaigns: list[Campaign]) -> list[int]:
    """Delays in seconds before the requests that follow others."""
    return [delay_s for request in requests_of(campaigns) for delay_s, _ in request.then]


def test_every_habit_of_work_has_a_campaign_and_a_kind() -> None:
    assert set(KINDS) == set(CAMPAIGNS) == set(WORK_SHARES)


@pytest.mark.parametrize("habit", WORK_SHARES)
def test_requests_of_habit_have_its_kind_and_fit_the_nodes(habit: str) -> None:
    requests = requests_of(draw_campaigns(habit))
    people = draw_people(5, habit)
    assert {(each.kind, each.habit) for each in requests} == {(KINDS[habit], habit)}
    assert {each.login for each in requests} <= people
    for each in requests:
        assert 1 <= each.n_nodes <= COUNTS[each.cluster]
        assert 0 <= each.n_gpus <= len(CLUSTER_HARDWARE[each.cluster].gpus)
        assert CLUSTER_HARDWARE[each.cluster].gpus
        assert not each.n_cores
        assert 0 < each.runtime_s <= 8 * DAY_S
        assert 0 < each.load.gpu_level <= 0.97 or each.kind == "preprocessing"


@pytest.mark.parametrize("habit", WORK_SHARES)
def test_loads_and_durations_differ_inside_a_habit(habit: str) -> None:
    requests = requests_of(draw_campaigns(habit))
    runtimes = np.quantile([each.runtime_s for each in requests], [0.05, 0.95])
    assert runtimes[1] > 3 * runtimes[0]
    levels = [
        each.load.cpu_level if habit == "processors_on_gpu_nodes" else each.load.gpu_level
        for each in requests
    ]
    low, high = np.quantile(levels, [0.05, 0.95])
    assert high - low > 0.2
    assert len({each.cluster for each in requests}) > 2


def test_commands_inform_or_are_silent_without_another_difference() -> None:
    for habit in WORK_SHARES:
        informing, silent, codes = (
            requests_of(draw_campaigns(habit, style))
            for style in ("informing_commands", "silent_commands", "code_commands")
        )
        for one, other, third in zip(informing, silent, codes, strict=True):
            assert (one.runtime_s, one.login, one.load) == (
                other.runtime_s,
                other.login,
                other.load,
            )
            assert (one.runtime_s, one.cluster) == (third.runtime_s, third.cluster)
        if habit in ("reserved_node_training", "open_notebook"):
            continue
        assert all(".sh" in each.command for each in silent)
        assert {each.name for each in silent} == {None}
        assert any(" " in each.command and ".sh" not in each.command for each in informing)


def test_late_resume_is_often_later_than_two_days() -> None:
    delays_s = delays_of(draw_campaigns("late_resume"))
    late = sum(delay_s > 2 * DAY_S for delay_s in delays_s) / len(delays_s)
    assert 0.2 < late < 0.6
    assert min(delays_s) >= 2 * HOUR_S
    requests = requests_of(draw_campaigns("late_resume"))
    assert len({each.chain for each in requests}) == N_CAMPAIGNS
    assert min(each.runtime_s for each in requests) > HOUR_S


def test_reserved_node_training_sleeps_in_a_passive_job() -> None:
    requests = requests_of(draw_campaigns("reserved_node_training", "silent_commands"))
    assert all("sleep" in each.command and not each.interactive for each in requests)
    assert {each.load.shape for each in requests} == {"trials"}


def test_sweeps_are_arrays_loops_or_one_job_with_trials() -> None:
    in_one = requests_of(draw_campaigns("one_job_sweep"))
    assert {each.load.shape for each in in_one} == {"trials"}
    assert any("multirun" in each.command or "optuna" in each.command for each in in_one)
    arrays = draw_campaigns("array_sweep")
    keys = [{line.array for line in campaign} for campaign in arrays]
    assert all(len(key) == 1 for key in keys)
    assert 0.2 < sum(key == {None} for key in keys) / N_CAMPAIGNS < 0.6
    # early stopping: many lines are much shorter than the longest
    longest_s = {id(campaign): max(line.runtime_s for line in campaign) for campaign in arrays}
    short = [
        line.runtime_s < 0.45 * longest_s[id(campaign)] for campaign in arrays for line in campaign
    ]
    assert 0.3 < np.mean(short) < 0.7


def test_loader_bound_training_is_a_saw_tooth_at_low_power() -> None:
    for each in requests_of(draw_campaigns("loader_bound_training")):
        load = each.load
        assert load.gpu_level <= 0.45
        assert load.stretch_s < 200
        assert load.dip_depth >= 0.4


def test_multi_node_training_takes_several_whole_nodes() -> None:
    requests = requests_of(draw_campaigns("multi_node_training"))
    assert {each.n_gpus for each in requests} == {0}
    assert min(each.n_nodes for each in requests) == 2
    assert max(each.n_nodes for each in requests) == 4


def test_fine_tuning_lasts_5_to_40_minutes() -> None:
    minutes = [each.runtime_s / 60 for each in requests_of(draw_campaigns("fine_tuning"))]
    assert min(minutes) >= 5
    assert max(minutes) <= 40


def test_servers_and_generation_run_for_days() -> None:
    for habit in ("inference_server", "corpus_generation"):
        runtimes_s = [each.runtime_s for each in requests_of(draw_campaigns(habit))]
        assert np.mean(np.array(runtimes_s) > DAY_S) > 0.3
    servers = requests_of(draw_campaigns("inference_server"))
    assert any(each.command.startswith("vllm serve") for each in servers)


def test_evaluation_array_has_tens_to_hundreds_of_short_jobs() -> None:
    campaigns = draw_campaigns("evaluation_array")
    sizes = [len(campaign) for campaign in campaigns]
    assert min(sizes) >= 25
    assert max(sizes) > 200
    assert np.median([line.runtime_s for line in requests_of(campaigns)]) < 1200


def test_processors_on_gpu_nodes_leave_the_gpus_idle() -> None:
    for each in requests_of(draw_campaigns("processors_on_gpu_nodes")):
        assert (each.load.shape, each.load.gpu_level) == ("processors", 0.0)
    # it is named after a training, and is none
    commands = {each.command for each in requests_of(draw_campaigns("processors_on_gpu_nodes"))}
    assert any("train_tokenizer" in command for command in commands)


def test_open_notebook_is_a_prompt_or_serves_a_notebook() -> None:
    requests = requests_of(draw_campaigns("open_notebook"))
    assert all(each.interactive or "jupyter" in each.command for each in requests)
    assert {each.interactive for each in requests} == {True, False}


def test_crash_loop_submits_one_command_again_at_a_constant_delay() -> None:
    for (first,) in draw_campaigns("crash_loop"):
        attempts = requests_of([[first]])
        assert len(attempts) >= 5
        assert len({each.command for each in attempts}) == 1
        assert len({delay_s for each in attempts for delay_s, _ in each.then}) == 1
        assert all(each.exit_code for each in attempts[:-1])
