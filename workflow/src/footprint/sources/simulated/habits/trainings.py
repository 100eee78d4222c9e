"""Campaigns of trainings of habits: late resumes, reserved nodes, sweeps, loaders, fine-tuning.

The runtime of a request is that of all its work; `requested.style_campaign` cuts it by the walltime
of the person.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from footprint.sources.simulated.habits import loads
from footprint.sources.simulated.habits.sampling import HabitSampler
from footprint.sources.simulated.job_requests import ProgramLoad
from footprint.sources.simulated.load_models import draw_log_uniform
from footprint.sources.simulated.request_sampler import Campaign, Worker, follow_one_another
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S, MINUTE_S

_LONG_WALLTIMES_H = (24, 48, 72, 96, 168)
_HOLDING_COMMANDS = (
    "sleep 7d",
    "sleep infinity",
    "sleep 604800",
    "bash -c 'while true; do sleep 3600; done'",
)


def _draw_place(sampler: HabitSampler, *, whole: float = 0.25) -> tuple[Worker, str, int]:
    """Draw a worker, a GPU cluster and the number of GPUs; 0 GPUs stand for a whole node."""
    worker = sampler.draw_worker()
    n_gpus = 0 if sampler.chance(whole) else 1 + int(sampler.chance(0.3))
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=max(1, n_gpus))
    return worker, cluster, sampler.available_gpus(cluster, n_gpus)


def draw_late_resume(sampler: HabitSampler) -> Campaign:
    """Draw a training that is resumed after hours or days, sometimes more than a week."""
    rng = sampler.rng
    worker, cluster, n_gpus = _draw_place(sampler, whole=0.4)
    configuration, chain = sampler.draw_configuration(worker), sampler.new_key()
    n_links = 2 + min(int(rng.geometric(0.5)) - 1, 3)
    total_s = n_links * 9 * HOUR_S
    load = loads.draw_plateau_load(rng, worker.team.project, runtime_s=total_s)
    first = sampler.draw_request(
        worker,
        "training_run",
        cluster=cluster,
        load=load,
        runtime_s=HOUR_S,
        walltime_s=sampler.draw_walltime_s(*_LONG_WALLTIMES_H),
        configuration=configuration,
        n_gpus=n_gpus,
        chain=chain,
        patience_s=None,
    )
    links = []
    for _ in range(n_links):
        ending, code = sampler.draw_ending(0.25, 0.55)
        runtime_s = sampler.draw_duration_s(9 * HOUR_S, 0.9, 70 * MINUTE_S, 60 * HOUR_S)
        links.append(replace(first, runtime_s=runtime_s, ending=ending, exit_code=code))
    return [
        follow_one_another(links, lambda: round(draw_log_uniform(rng, (2 * HOUR_S, 10 * DAY_S))))
    ]


def draw_reserved_node_training(sampler: HabitSampler) -> Campaign:
    """Draw a job that sleeps, with trainings started in it over ssh and idle time around them."""
    rng = sampler.rng
    worker, cluster, n_gpus = _draw_place(sampler, whole=0.6)
    runtime_s = sampler.draw_duration_s(50 * HOUR_S, 0.7, 8 * HOUR_S, 6.5 * DAY_S)
    load = loads.draw_trials_load(
        rng,
        trial_s=draw_log_uniform(rng, (2 * HOUR_S, 60 * HOUR_S)),
        pause_s=draw_log_uniform(rng, (10 * MINUTE_S, 6 * HOUR_S)),
        startup_s=draw_log_uniform(rng, (5 * MINUTE_S, 5 * HOUR_S)),
    )
    command = _HOLDING_COMMANDS[int(sampler.words.integers(len(_HOLDING_COMMANDS)))]
    walltime_s = sampler.draw_walltime_s(*_LONG_WALLTIMES_H)
    return [
        sampler.draw_request(
            worker,
            "training_run",
            cluster=cluster,
            load=load,
            # the walltime ends those that nobody deletes
            runtime_s=runtime_s if sampler.chance(0.6) else 8 * DAY_S,
            walltime_s=walltime_s,
            command=command,
            ending="deleted",
            n_gpus=n_gpus,
            patience_s=None,
        )
    ]


def draw_one_job_sweep(sampler: HabitSampler) -> Campaign:
    """Draw a sweep inside one job: short plateaus one after the other, many stopped early."""
    rng = sampler.rng
    worker, cluster, n_gpus = _draw_place(sampler)
    load = loads.draw_trials_load(
        rng,
        trial_s=draw_log_uniform(rng, (2 * MINUTE_S, 100 * MINUTE_S)),
        pause_s=draw_log_uniform(rng, (8, 240)),
        startup_s=draw_log_uniform(rng, (10, 300)),
    )
    ending, code = sampler.draw_ending(0.5, 0.35)
    return [
        sampler.draw_request(
            worker,
            "training_run",
            cluster=cluster,
            load=load,
            runtime_s=sampler.draw_duration_s(14 * HOUR_S, 1.0, HOUR_S, 5 * DAY_S),
            walltime_s=sampler.draw_walltime_s(12, 24, 48, 96, 168),
            ending=ending,
            exit_code=code,
            n_gpus=n_gpus,
            chain=sampler.new_key(),
            patience_s=None,
        )
    ]


def draw_array_sweep(sampler: HabitSampler) -> Campaign:
    """Draw a sweep of one-GPU jobs, as an array or by a loop over oarsub; many stop early."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster, configuration = (
        sampler.draw_gpu_cluster(worker.team),
        sampler.draw_configuration(worker),
    )
    n_lines = min(round(draw_log_uniform(rng, (6, 90))), sampler.max_array)
    whole_s = sampler.draw_duration_s(50 * MINUTE_S, 1.0, 5 * MINUTE_S, 12 * HOUR_S)
    key = sampler.new_key() if sampler.chance(0.6) else None
    walltime_s = sampler.draw_walltime_s(2, 6, 12, 24, 48)
    command, name = (
        sampler.draw_command(worker, "train", configuration),
        sampler.draw_name(worker),
    )
    lines = []
    for line in range(1, n_lines + 1):
        span = (0.05, 0.4) if sampler.chance(0.5) else (0.8, 1.1)
        runtime_s = max(45, round(whole_s * (span[0] + (span[1] - span[0]) * rng.random())))
        ending, code = sampler.draw_ending(0.88, 0.05)
        lines.append(
            sampler.draw_request(
                worker,
                "training_run",
                cluster=cluster,
                load=loads.draw_plateau_load(rng, worker.team.project, runtime_s=runtime_s),
                runtime_s=runtime_s,
                walltime_s=walltime_s,
                configuration=configuration,
                command=command,
                name=name,
                ending=ending,
                exit_code=code,
                n_gpus=1,
                array=key,
                array_index=line if key is not None else 1,
            )
        )
    return lines


def draw_loader_bound_training(sampler: HabitSampler) -> Campaign:
    """Draw a long training whose data loader leaves the GPUs at about a quarter of their power."""
    rng = sampler.rng
    worker, cluster, n_gpus = _draw_place(sampler, whole=0.35)
    runtime_s = sampler.draw_duration_s(22 * HOUR_S, 0.8, 2 * HOUR_S, 6 * DAY_S)
    return _long_training(
        sampler,
        worker,
        cluster,
        load=loads.draw_loader_bound_load(rng, runtime_s=runtime_s),
        runtime_s=runtime_s,
        n_gpus=n_gpus,
    )


def draw_multi_node_training(sampler: HabitSampler) -> Campaign:
    """Draw a training over two to four whole nodes."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster = sampler.draw_cluster_of_several_nodes(worker.team)
    runtime_s = sampler.draw_duration_s(16 * HOUR_S, 0.8, 90 * MINUTE_S, 4 * DAY_S)
    return _long_training(
        sampler,
        worker,
        cluster,
        load=loads.draw_plateau_load(rng, worker.team.project, runtime_s=runtime_s),
        runtime_s=runtime_s,
        n_gpus=0,
        n_nodes=sampler.available_nodes(cluster, 2 + int(rng.integers(0, 3))),
    )


def _long_training(
    sampler: HabitSampler,
    worker: Worker,
    cluster: str,
    *,
    load: ProgramLoad,
    runtime_s: int,
    n_gpus: int,
    n_nodes: int = 1,
) -> Campaign:
    ending, code = sampler.draw_ending(0.35, 0.5)
    return [
        sampler.draw_request(
            worker,
            "training_run",
            cluster=cluster,
            load=load,
            runtime_s=runtime_s,
            walltime_s=sampler.draw_walltime_s(*_LONG_WALLTIMES_H),
            ending=ending,
            exit_code=code,
            n_gpus=n_gpus,
            n_nodes=n_nodes,
            chain=sampler.new_key(),
            patience_s=None,
        )
    ]


def draw_fine_tuning(sampler: HabitSampler) -> Campaign:
    """Draw fine-tunings of 5 to 40 minutes, one after the other: data sets, seeds or adapters."""
    rng = sampler.rng
    worker, cluster, n_gpus = _draw_place(sampler, whole=0.12)
    n_runs = 1 + min(int(rng.geometric(0.3)) - 1, 11)
    typical_s = draw_log_uniform(rng, (5 * MINUTE_S, 40 * MINUTE_S))
    walltime_s = sampler.draw_walltime_s(1, 2, 4, 12, 24)
    runs = []
    for _ in range(n_runs):
        ending, code = sampler.draw_ending(0.9, 0.05)
        runtime_s = sampler.draw_duration_s(typical_s, 0.2, 5 * MINUTE_S, 40 * MINUTE_S)
        runs.append(
            sampler.draw_request(
                worker,
                "training_run",
                cluster=cluster,
                load=loads.draw_plateau_load(rng, worker.team.project, runtime_s=runtime_s),
                runtime_s=runtime_s,
                walltime_s=walltime_s,
                ending=ending,
                exit_code=code,
                n_gpus=n_gpus,
            )
        )
    delay_s = draw_log_uniform(rng, (5, 3 * HOUR_S))
    return [follow_one_another(runs, lambda: round(delay_s * _jitter(rng)))]


def _jitter(rng: np.random.Generator) -> float:
    """Random factor about 1."""
    return float(0.5 + rng.random())
