"""Campaigns other than training: debugging, inference, sessions, preprocessing, idle holds.

Each `Campaign` is a list of requests that are submitted together. Requests that follow another
request hang on it (`job_requests.JobRequest.then`).
"""

from __future__ import annotations

from typing import Any

from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.load_models import (
    draw_crash_load,
    draw_hold_load,
    draw_inference_load,
    draw_processors_load,
    draw_session_load,
    draw_training_load,
)
from footprint.sources.simulated.request_sampler import (
    Campaign,
    Purpose,
    RequestSampler,
    Worker,
    follow_one_another,
)
from footprint.sources.simulated.submission_times import HOUR_S, MINUTE_S


def draw_debugging(sampler: RequestSampler) -> Campaign:
    """Draw successive attempts to get a program to run."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    whole, cores = sampler.chance(0.12), sampler.chance(0.1)
    cluster = sampler.draw_gpu_cluster(worker.team)
    purpose: Purpose = "train" if sampler.chance(0.75) else "infer"
    configuration = sampler.draw_configuration(worker)
    name = sampler.draw_name(worker)
    walltime_s = sampler.draw_walltime_s(1, 2, 12, 12, 24, 168)
    attempts: Campaign = []
    n_attempts = 1 + min(int(rng.geometric(0.42)) - 1, 9)
    for attempt in range(n_attempts):
        good = attempt == n_attempts - 1 and sampler.chance(0.4)
        ending, code = sampler.draw_ending(0.1, 0.22) if not good else ("done", 0)
        attempts.append(
            sampler.draw_request(
                worker,
                "debug",
                cluster=cluster,
                load=draw_crash_load(rng),
                runtime_s=sampler.draw_duration_s(75, 1.25, 0, 1700),
                walltime_s=walltime_s,
                purpose=purpose,
                configuration=configuration,
                name=name,
                ending=ending,
                exit_code=code,
                n_gpus=0 if whole or cores else 1,
                n_cores=2 if cores and not whole else 0,
            )
        )
    return [follow_one_another(attempts, lambda: sampler.draw_duration_s(200, 0.9, 20, 2 * HOUR_S))]


def draw_decoding(
    sampler: RequestSampler,
    worker: Worker,
    cluster: str,
    configuration: str,
    *,
    reported: bool = False,
    **rest: Any,
) -> JobRequest:
    """Draw a request to decode, enhance or score one test set with one model."""
    ending, code = sampler.draw_ending(0.85, 0.05)
    return sampler.draw_request(
        worker,
        "inference_run",
        cluster=cluster,
        load=draw_inference_load(sampler.rng),
        runtime_s=sampler.draw_duration_s(6 * MINUTE_S, 1.3, 20, 5 * HOUR_S),
        walltime_s=sampler.draw_walltime_s(1, 4, 12, 12),
        purpose="infer",
        configuration=configuration,
        ending=ending,
        exit_code=code,
        n_gpus=1,
        reported=reported,
        **rest,
    )


def draw_inference(sampler: RequestSampler) -> Campaign:
    """Draw decodings of test sets on one GPU each, as an array or one after the other."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster, configuration = (
        sampler.draw_gpu_cluster(worker.team),
        sampler.draw_configuration(worker),
    )
    n_sets = int(rng.integers(1, 9))
    if sampler.chance(0.3):
        key = sampler.new_key()
        return [
            draw_decoding(sampler, worker, cluster, configuration, array=key, array_index=line)
            for line in range(1, n_sets + 1)
        ]
    runs = [draw_decoding(sampler, worker, cluster, configuration) for _ in range(n_sets)]
    return [
        follow_one_another(runs, lambda: sampler.draw_duration_s(8 * MINUTE_S, 1.2, 30, 6 * HOUR_S))
    ]


def draw_long_inference(sampler: RequestSampler) -> Campaign:
    """Draw a day of enhancement on two GPUs or a node, sometimes as steady as a training."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=2)
    ending, code = sampler.draw_ending(0.8, 0.12)
    runtime_s = sampler.draw_duration_s(19 * HOUR_S, 0.35, 5 * HOUR_S, 40 * HOUR_S)
    steady = sampler.chance(0.4)
    load = (
        draw_training_load(rng, worker.team.project, runtime_s=runtime_s)
        if steady
        else draw_inference_load(rng)
    )
    return [
        sampler.draw_request(
            worker,
            "inference_run",
            cluster=cluster,
            load=load,
            runtime_s=runtime_s,
            walltime_s=24 * HOUR_S,
            purpose="infer",
            ending=ending,
            exit_code=code,
            n_gpus=0 if sampler.chance(0.45) else sampler.available_gpus(cluster, 2),
        )
    ]


def draw_interactive_session(sampler: RequestSampler) -> Campaign:
    """Draw a session: at the job's own prompt, or beside a job that sleeps or serves a notebook."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    width = rng.random()
    prompt = sampler.chance(0.72)
    command = "" if prompt else ("sleep 12h" if sampler.chance(0.5) else "jupyter lab --no-browser")
    named = worker.paper.slug if worker.paper else sampler.draw_name(worker)
    return [
        sampler.draw_request(
            worker,
            "interactive",
            cluster=sampler.draw_gpu_cluster(worker.team),
            load=draw_session_load(rng),
            runtime_s=sampler.draw_duration_s(130 * MINUTE_S, 1.0, 40, 30 * HOUR_S),
            walltime_s=sampler.draw_walltime_s(2, 4, 8, 12, 24),
            command=command,
            name=named,
            ending="left" if sampler.chance(0.88) else "done",
            n_gpus=1 if width < 0.62 else 0,
            n_cores=4 if width >= 0.92 else 0,
            interactive=prompt,
        )
    ]


def draw_idle_hold(sampler: RequestSampler) -> Campaign:
    """Draw a job that reserves resources for later use and is forgotten."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    whole = sampler.chance(0.55)
    return [
        sampler.draw_request(
            worker,
            "idle_hold",
            cluster=sampler.draw_gpu_cluster(worker.team),
            load=draw_hold_load(rng),
            runtime_s=sampler.draw_duration_s(20 * HOUR_S, 0.7, 2 * HOUR_S, 80 * HOUR_S),
            walltime_s=sampler.draw_walltime_s(12, 24, 48, 72),
            command="sleep infinity"
            if sampler.chance(0.7)
            else "bash -c 'while true; do sleep 60; done'",
            name=worker.paper.slug if worker.paper else sampler.draw_name(worker),
            ending="deleted",
            n_gpus=0 if whole else 1,
        )
    ]


def draw_preprocessing(sampler: RequestSampler) -> Campaign:
    """Draw corpus generation or feature extraction: an array on cores, sometimes whole nodes."""
    rng = sampler.rng
    worker = sampler.draw_worker({"orpailleur": 4.0, "capsid": 6.0})
    beside_gpus = sampler.chance(0.06)
    cluster = (
        sampler.draw_gpu_cluster(worker.team)
        if beside_gpus
        else sampler.draw_cpu_cluster(worker.team)
    )
    key, n_lines = sampler.new_key(), int(rng.integers(5, 41))
    n_cores = (1, 4, 8, 16)[int(rng.integers(4))]
    if sampler.chance(0.45):
        n_lines, n_cores = int(rng.integers(1, 7)), 0
    typical_s = (
        sampler.draw_duration_s(50 * MINUTE_S, 1.4, 20, 12 * HOUR_S)
        if n_cores
        else sampler.draw_duration_s(14 * HOUR_S, 0.8, HOUR_S, 40 * HOUR_S)
    )
    configuration, name = sampler.draw_configuration(worker), sampler.draw_name(worker)
    walltime_s = sampler.draw_walltime_s(2, 12, 24, 48)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = sampler.draw_ending(0.88, 0.05)
        lines.append(
            sampler.draw_request(
                worker,
                "preprocessing",
                cluster=cluster,
                load=draw_processors_load(rng),
                runtime_s=sampler.draw_duration_s(typical_s, 0.3, 5, 30 * HOUR_S),
                walltime_s=walltime_s,
                purpose="prepare",
                configuration=configuration,
                name=name,
                ending=ending,
                exit_code=code,
                n_cores=n_cores,
                array=key,
                array_index=line,
            )
        )
    return lines
