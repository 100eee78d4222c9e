"""What fills a working day: debugging, decoding, sessions at a prompt, corpora, idle holds.

Each function draws one campaign: requests submitted together, with those that follow them.
"""

from __future__ import annotations

from typing import Any

from footprint.site.simulated.desk import Campaign, Desk, Purpose, Worker, in_a_row
from footprint.site.simulated.requests import Request
from footprint.site.simulated.tasks import (
    crash_load,
    hold_load,
    inference_load,
    processors_load,
    session_load,
    training_load,
)
from footprint.site.simulated.timetable import HOUR_S, MINUTE_S


def debug(desk: Desk) -> Campaign:
    """Attempts at getting a program to run, one after the other."""
    rng = desk.rng
    worker = desk.worker()
    whole, cores = desk.chance(0.12), desk.chance(0.1)
    cluster = desk.gpu_cluster(worker.team)
    purpose: Purpose = "train" if desk.chance(0.75) else "infer"
    configuration = desk.configuration(worker)
    name = desk.name(worker)
    walltime_s = desk.walltime_s(1, 2, 12, 12, 24, 168)
    attempts: Campaign = []
    n_attempts = 1 + min(int(rng.geometric(0.42)) - 1, 9)
    for attempt in range(n_attempts):
        good = attempt == n_attempts - 1 and desk.chance(0.4)
        ending, code = desk.ending(0.1, 0.22) if not good else ("done", 0)
        attempts.append(
            desk.request(
                worker,
                "debug",
                cluster=cluster,
                load=crash_load(rng),
                runtime_s=desk.duration_s(75, 1.25, 0, 1700),
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
    return [in_a_row(attempts, lambda: desk.duration_s(200, 0.9, 20, 2 * HOUR_S))]


def decoding(
    desk: Desk,
    worker: Worker,
    cluster: str,
    configuration: str,
    *,
    reported: bool = False,
    **rest: Any,
) -> Request:
    """Decoding, enhancement or scoring of one test set with one model."""
    ending, code = desk.ending(0.85, 0.05)
    return desk.request(
        worker,
        "inference_run",
        cluster=cluster,
        load=inference_load(desk.rng),
        runtime_s=desk.duration_s(6 * MINUTE_S, 1.3, 20, 5 * HOUR_S),
        walltime_s=desk.walltime_s(1, 4, 12, 12),
        purpose="infer",
        configuration=configuration,
        ending=ending,
        exit_code=code,
        n_gpus=1,
        reported=reported,
        **rest,
    )


def inference(desk: Desk) -> Campaign:
    """Decoding of some test sets, on one GPU each, as an array or one after the other."""
    rng = desk.rng
    worker = desk.worker()
    cluster, configuration = desk.gpu_cluster(worker.team), desk.configuration(worker)
    n_sets = int(rng.integers(1, 9))
    if desk.chance(0.3):
        key = desk.key()
        return [
            decoding(desk, worker, cluster, configuration, array=key, array_index=line)
            for line in range(1, n_sets + 1)
        ]
    runs = [decoding(desk, worker, cluster, configuration) for _ in range(n_sets)]
    return [in_a_row(runs, lambda: desk.duration_s(8 * MINUTE_S, 1.2, 30, 6 * HOUR_S))]


def long_inference(desk: Desk) -> Campaign:
    """Enhancement of a large corpus: a day on two GPUs or a node, some as steady as a training."""
    rng = desk.rng
    worker = desk.worker()
    cluster = desk.gpu_cluster(worker.team, n_gpus=2)
    ending, code = desk.ending(0.8, 0.12)
    runtime_s = desk.duration_s(19 * HOUR_S, 0.35, 5 * HOUR_S, 40 * HOUR_S)
    steady = desk.chance(0.4)
    load = (
        training_load(rng, worker.team.project, runtime_s=runtime_s)
        if steady
        else inference_load(rng)
    )
    return [
        desk.request(
            worker,
            "inference_run",
            cluster=cluster,
            load=load,
            runtime_s=runtime_s,
            walltime_s=24 * HOUR_S,
            purpose="infer",
            ending=ending,
            exit_code=code,
            n_gpus=0 if desk.chance(0.45) else desk.gpus_there(cluster, 2),
        )
    ]


def interactive(desk: Desk) -> Campaign:
    """A person at a prompt: in the job itself, or beside one that sleeps or serves a notebook."""
    rng = desk.rng
    worker = desk.worker()
    width = rng.random()
    prompt = desk.chance(0.72)
    command = "" if prompt else ("sleep 12h" if desk.chance(0.5) else "jupyter lab --no-browser")
    named = worker.paper.slug if worker.paper else desk.name(worker)
    return [
        desk.request(
            worker,
            "interactive",
            cluster=desk.gpu_cluster(worker.team),
            load=session_load(rng),
            runtime_s=desk.duration_s(130 * MINUTE_S, 1.0, 40, 30 * HOUR_S),
            walltime_s=desk.walltime_s(2, 4, 8, 12, 24),
            command=command,
            name=named,
            ending="left" if desk.chance(0.88) else "done",
            n_gpus=1 if width < 0.62 else 0,
            n_cores=4 if width >= 0.92 else 0,
            interactive=prompt,
        )
    ]


def idle_hold(desk: Desk) -> Campaign:
    """Resources kept for later and forgotten."""
    rng = desk.rng
    worker = desk.worker()
    whole = desk.chance(0.55)
    return [
        desk.request(
            worker,
            "idle_hold",
            cluster=desk.gpu_cluster(worker.team),
            load=hold_load(rng),
            runtime_s=desk.duration_s(20 * HOUR_S, 0.7, 2 * HOUR_S, 80 * HOUR_S),
            walltime_s=desk.walltime_s(12, 24, 48, 72),
            command="sleep infinity"
            if desk.chance(0.7)
            else "bash -c 'while true; do sleep 60; done'",
            name=worker.paper.slug if worker.paper else desk.name(worker),
            ending="deleted",
            n_gpus=0 if whole else 1,
        )
    ]


def preprocessing(desk: Desk) -> Campaign:
    """Corpus generation or feature extraction: an array on cores, now and then a whole node."""
    rng = desk.rng
    worker = desk.worker({"orpailleur": 4.0, "capsid": 6.0})
    beside_gpus = desk.chance(0.06)
    cluster = desk.gpu_cluster(worker.team) if beside_gpus else desk.cpu_cluster(worker.team)
    key, n_lines = desk.key(), int(rng.integers(5, 41))
    n_cores = (1, 4, 8, 16)[int(rng.integers(4))]
    if desk.chance(0.45):
        n_lines, n_cores = int(rng.integers(1, 7)), 0
    typical_s = (
        desk.duration_s(50 * MINUTE_S, 1.4, 20, 12 * HOUR_S)
        if n_cores
        else desk.duration_s(14 * HOUR_S, 0.8, HOUR_S, 40 * HOUR_S)
    )
    configuration, name = desk.configuration(worker), desk.name(worker)
    walltime_s = desk.walltime_s(2, 12, 24, 48)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = desk.ending(0.88, 0.05)
        lines.append(
            desk.request(
                worker,
                "preprocessing",
                cluster=cluster,
                load=processors_load(rng),
                runtime_s=desk.duration_s(typical_s, 0.3, 5, 30 * HOUR_S),
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
