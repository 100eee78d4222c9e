"""Trainings: single ones, sweeps, chains of resumed jobs, besteffort arrays, containers.

Each function draws one campaign: requests submitted together, with those that follow them.
"""

from __future__ import annotations

from dataclasses import replace

from footprint.site.simulated.daily_work import decoding, preprocessing
from footprint.site.simulated.desk import Campaign, Desk, Worker, in_a_row
from footprint.site.simulated.requests import Request
from footprint.site.simulated.tasks import hold_load, training_load
from footprint.site.simulated.timetable import DAY_S, HOUR_S, MINUTE_S


def sweep(desk: Desk) -> Campaign:
    """An array of short trainings, one GPU each."""
    rng = desk.rng
    worker = desk.worker()
    key, n_lines = desk.key(), int(rng.integers(4, 25))
    cluster = desk.gpu_cluster(worker.team)
    configuration, name = desk.configuration(worker), desk.name(worker)
    typical_s = desk.duration_s(30 * MINUTE_S, 1.0, 4 * MINUTE_S, 8 * HOUR_S)
    walltime_s = desk.walltime_s(6, 12, 12, 24, 48)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = desk.ending(0.78, 0.1)
        runtime_s = desk.duration_s(typical_s, 0.25, 60, 11 * HOUR_S)
        if code:
            runtime_s = max(20, int(runtime_s * rng.random()))
        lines.append(
            desk.request(
                worker,
                "training_run",
                cluster=cluster,
                load=training_load(rng, worker.team.project, runtime_s=runtime_s),
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


def training(desk: Desk) -> Campaign:
    """One training of hours to days, often stopped by hand once its curve is flat."""
    rng = desk.rng
    worker = desk.worker()
    width = rng.random()
    n_gpus = 1 if width < 0.5 else 2 if width < 0.7 else 0
    cluster = desk.gpu_cluster(worker.team, n_gpus=max(n_gpus, 1))
    runtime_s = desk.duration_s(15 * HOUR_S, 1.05, 40 * MINUTE_S, 6 * DAY_S)
    walltime_s = desk.walltime_s(24, 48, 72, 96, 168, 168, 168)
    ending, code = desk.ending(0.4, 0.44)
    if code:
        runtime_s = max(15 * MINUTE_S, int(runtime_s * rng.random()))
    suspended = None
    if runtime_s > 6 * HOUR_S and desk.chance(0.015):
        suspended = (
            int(runtime_s * 0.4),
            desk.duration_s(40 * MINUTE_S, 0.5, 10 * MINUTE_S, 3 * HOUR_S),
        )
    return [
        desk.request(
            worker,
            "training_run",
            cluster=cluster,
            load=training_load(rng, worker.team.project, runtime_s=runtime_s),
            runtime_s=runtime_s,
            walltime_s=walltime_s,
            ending=ending,
            exit_code=code,
            n_gpus=desk.gpus_there(cluster, n_gpus),
            n_nodes=desk.nodes_there(cluster, 2 if n_gpus == 0 and desk.chance(0.1) else 1),
            suspended=suspended,
        )
    ]


def chain(desk: Desk, worker: Worker | None = None, *, final: bool = False) -> Campaign:
    """A training resumed after each walltime; `final`: that of the reported model."""
    rng = desk.rng
    worker = worker or desk.worker()
    whole = desk.chance(0.75)
    cluster = desk.gpu_cluster(worker.team, n_gpus=2)
    walltime_s = desk.walltime_s(24, 48, 72, 96, 168, 168, 168)
    n_links = 2 if final else min(1 + int(rng.geometric(0.42)), 7)
    if final:
        walltime_s = desk.walltime_s(72, 96)
    key = desk.key()
    configuration = desk.configuration(worker, final=final)
    first = desk.request(
        worker,
        "training_run",
        cluster=cluster,
        load=training_load(rng, worker.team.project, runtime_s=walltime_s),
        runtime_s=walltime_s * 2,
        walltime_s=walltime_s,
        configuration=configuration,
        n_gpus=0 if whole else desk.gpus_there(cluster, 2),
        chain=key,
        resumes=True,
        reported=final,
        patience_s=None,
    )
    ending, code = desk.ending(0.5, 0.42)
    last = replace(
        first,
        runtime_s=max(HOUR_S, int(walltime_s * rng.random())),
        ending="done" if final else ending,
        exit_code=0 if final else code,
        then=_decodings_of(desk, worker, cluster, configuration) if final else (),
    )
    links = [first] * (n_links - 1) + [last]
    return [in_a_row(links, lambda: desk.duration_s(90 * MINUTE_S, 1.4, 2 * MINUTE_S, 46 * HOUR_S))]


def _decodings_of(
    desk: Desk, worker: Worker, cluster: str, configuration: str
) -> tuple[tuple[int, Request], ...]:
    """Inference with the reported model, in the days after it is trained."""
    decodings = []
    for _ in range(int(desk.rng.integers(10, 22))):
        delay_s = desk.duration_s(10 * HOUR_S, 1.2, 5 * MINUTE_S, 5 * DAY_S)
        decodings.append((delay_s, decoding(desk, worker, cluster, configuration, reported=True)))
    return tuple(decodings)


def besteffort(desk: Desk) -> Campaign:
    """An array that anybody may push aside; what was pushed aside is submitted again."""
    lines = sweep(desk) if desk.chance(0.7) else preprocessing(desk)
    return [
        replace(
            line,
            types=("besteffort", "idempotent"),
            runtime_s=max(line.runtime_s, desk.duration_s(3 * HOUR_S, 0.8, 20 * MINUTE_S, DAY_S)),
            walltime_s=48 * HOUR_S,
            resumes=True,
        )
        for line in lines[:8]
    ]


def container(desk: Desk) -> Campaign:
    """Whole nodes taken once, and trainings submitted into them."""
    rng = desk.rng
    worker = desk.worker()
    cluster = desk.gpu_cluster(worker.team, n_gpus=2)
    runtime_s = desk.duration_s(9 * HOUR_S, 0.4, 4 * HOUR_S, 20 * HOUR_S)
    inside = []
    for _ in range(int(rng.integers(3, 8))):
        inner_s = desk.duration_s(80 * MINUTE_S, 0.7, 10 * MINUTE_S, 4 * HOUR_S)
        request = desk.request(
            worker,
            "training_run",
            cluster=cluster,
            load=training_load(rng, worker.team.project, runtime_s=inner_s),
            runtime_s=inner_s,
            walltime_s=4 * HOUR_S,
            n_gpus=1 if desk.chance(0.7) else 0,
            patience_s=None,
        )
        inside.append((desk.duration_s(20 * MINUTE_S, 1.2, MINUTE_S, runtime_s * 0.6), request))
    return [
        desk.request(
            worker,
            "idle_hold",
            cluster=cluster,
            load=hold_load(rng),
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
