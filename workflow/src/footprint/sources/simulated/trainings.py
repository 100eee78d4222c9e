"""Campaigns of training: single trainings, sweeps, chains, besteffort arrays, containers.

Each `Campaign` is a list of requests that are submitted together. Requests that follow another
request hang on it (`job_requests.JobRequest.then`).
"""

from __future__ import annotations

from dataclasses import replace

from footprint.sources.simulated.daily_work import draw_decoding, draw_preprocessing
from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.load_models import draw_hold_load, draw_training_load
from footprint.sources.simulated.request_sampler import (
    Campaign,
    RequestSampler,
    Worker,
    follow_one_another,
)
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S, MINUTE_S


def draw_sweep(sampler: RequestSampler) -> Campaign:
    """Draw an array of short trainings on one GPU each."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    key, n_lines = sampler.new_key(), int(rng.integers(4, 25))
    cluster = sampler.draw_gpu_cluster(worker.team)
    configuration, name = sampler.draw_configuration(worker), sampler.draw_name(worker)
    typical_s = sampler.draw_duration_s(30 * MINUTE_S, 1.0, 4 * MINUTE_S, 8 * HOUR_S)
    walltime_s = sampler.draw_walltime_s(6, 12, 12, 24, 48)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = sampler.draw_ending(0.78, 0.1)
        runtime_s = sampler.draw_duration_s(typical_s, 0.25, 60, 11 * HOUR_S)
        if code:
            runtime_s = max(20, int(runtime_s * rng.random()))
        lines.append(
            sampler.draw_request(
                worker,
                "training_run",
                cluster=cluster,
                load=draw_training_load(rng, worker.team.project, runtime_s=runtime_s),
                runtime_s=runtime_s,
                walltime_s=walltime_s,
                configuration=configuration,
                name=name,
                ending=ending,
                exit_code=code,
                n_gpus=1,
                array=key,
                array_index=line,
            )
        )
    return lines


def draw_training(sampler: RequestSampler) -> Campaign:
    """Draw a training of hours to days, often stopped by hand once its loss is flat."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    width = rng.random()
    n_gpus = 1 if width < 0.5 else 2 if width < 0.7 else 0
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=max(n_gpus, 1))
    runtime_s = sampler.draw_duration_s(15 * HOUR_S, 1.05, 40 * MINUTE_S, 6 * DAY_S)
    walltime_s = sampler.draw_walltime_s(24, 48, 72, 96, 168, 168, 168)
    ending, code = sampler.draw_ending(0.4, 0.44)
    if code:
        runtime_s = max(15 * MINUTE_S, int(runtime_s * rng.random()))
    suspended = None
    if runtime_s > 6 * HOUR_S and sampler.chance(0.015):
        suspended = (
            int(runtime_s * 0.4),
            sampler.draw_duration_s(40 * MINUTE_S, 0.5, 10 * MINUTE_S, 3 * HOUR_S),
        )
    return [
        sampler.draw_request(
            worker,
            "training_run",
            cluster=cluster,
            load=draw_training_load(rng, worker.team.project, runtime_s=runtime_s),
            runtime_s=runtime_s,
            walltime_s=walltime_s,
            ending=ending,
            exit_code=code,
            n_gpus=sampler.available_gpus(cluster, n_gpus),
            n_nodes=sampler.available_nodes(
                cluster, 2 if n_gpus == 0 and sampler.chance(0.1) else 1
            ),
            suspended=suspended,
        )
    ]


def draw_chain(
    sampler: RequestSampler, worker: Worker | None = None, *, final: bool = False
) -> Campaign:
    """Draw a training that resumes after each walltime; `final`: of the reported model."""
    rng = sampler.rng
    worker = worker or sampler.draw_worker()
    whole = sampler.chance(0.75)
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=2)
    walltime_s = sampler.draw_walltime_s(24, 48, 72, 96, 168, 168, 168)
    n_links = 2 if final else min(1 + int(rng.geometric(0.42)), 7)
    if final:
        walltime_s = sampler.draw_walltime_s(72, 96)
    key = sampler.new_key()
    configuration = sampler.draw_configuration(worker, final=final)
    first = sampler.draw_request(
        worker,
        "training_run",
        cluster=cluster,
        load=draw_training_load(rng, worker.team.project, runtime_s=walltime_s),
        runtime_s=walltime_s * 2,
        walltime_s=walltime_s,
        configuration=configuration,
        n_gpus=0 if whole else sampler.available_gpus(cluster, 2),
        chain=key,
        resumes=True,
        reported=final,
        patience_s=None,
    )
    ending, code = sampler.draw_ending(0.5, 0.42)
    last = replace(
        first,
        runtime_s=max(HOUR_S, int(walltime_s * rng.random())),
        ending="done" if final else ending,
        exit_code=0 if final else code,
        then=_draw_later_decodings(sampler, worker, cluster, configuration) if final else (),
    )
    links = [first] * (n_links - 1) + [last]
    return [
        follow_one_another(
            links, lambda: sampler.draw_duration_s(90 * MINUTE_S, 1.4, 2 * MINUTE_S, 46 * HOUR_S)
        )
    ]


def _draw_later_decodings(
    sampler: RequestSampler, worker: Worker, cluster: str, configuration: str
) -> tuple[tuple[int, JobRequest], ...]:
    """Draw inference with the reported model, in the days after its training."""
    decodings = []
    for _ in range(int(sampler.rng.integers(10, 22))):
        delay_s = sampler.draw_duration_s(10 * HOUR_S, 1.2, 5 * MINUTE_S, 5 * DAY_S)
        decodings.append(
            (delay_s, draw_decoding(sampler, worker, cluster, configuration, reported=True))
        )
    return tuple(decodings)


def draw_besteffort_array(sampler: RequestSampler) -> Campaign:
    """Draw a besteffort array; preempted jobs are submitted again."""
    lines = draw_sweep(sampler) if sampler.chance(0.7) else draw_preprocessing(sampler)
    return [
        replace(
            line,
            types=("besteffort", "idempotent"),
            runtime_s=max(
                line.runtime_s, sampler.draw_duration_s(3 * HOUR_S, 0.8, 20 * MINUTE_S, DAY_S)
            ),
            walltime_s=48 * HOUR_S,
            resumes=True,
        )
        for line in lines[:8]
    ]


def draw_container(sampler: RequestSampler) -> Campaign:
    """Draw a container on whole nodes, and trainings as its inner jobs."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=2)
    runtime_s = sampler.draw_duration_s(9 * HOUR_S, 0.4, 4 * HOUR_S, 20 * HOUR_S)
    inside = []
    for _ in range(int(rng.integers(3, 8))):
        inner_s = sampler.draw_duration_s(80 * MINUTE_S, 0.7, 10 * MINUTE_S, 4 * HOUR_S)
        request = sampler.draw_request(
            worker,
            "training_run",
            cluster=cluster,
            load=draw_training_load(rng, worker.team.project, runtime_s=inner_s),
            runtime_s=inner_s,
            walltime_s=4 * HOUR_S,
            n_gpus=1 if sampler.chance(0.7) else 0,
            patience_s=None,
        )
        inside.append(
            (sampler.draw_duration_s(20 * MINUTE_S, 1.2, MINUTE_S, runtime_s * 0.6), request)
        )
    return [
        sampler.draw_request(
            worker,
            "idle_hold",
            cluster=cluster,
            load=draw_hold_load(rng),
            runtime_s=runtime_s,
            walltime_s=24 * HOUR_S,
            command="sleep infinity",
            name=worker.paper.slug if worker.paper else None,
            ending="deleted",
            types=("container",),
            patience_s=None,
            inside=tuple(inside),
        )
    ]
