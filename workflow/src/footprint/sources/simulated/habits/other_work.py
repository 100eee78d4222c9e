"""Campaigns of habits other than training: servers, evaluation, data, notebooks, crash loops."""

from __future__ import annotations

from footprint.sources.simulated.habits import loads
from footprint.sources.simulated.habits.sampling import HabitSampler
from footprint.sources.simulated.job_requests import ProgramLoad
from footprint.sources.simulated.load_models import (
    draw_crash_load,
    draw_inference_load,
    draw_log_uniform,
    draw_processors_load,
)
from footprint.sources.simulated.request_sampler import Campaign, follow_one_another
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S, MINUTE_S

_CRASH_WAIT_STATUS = 256


def draw_inference_server(sampler: HabitSampler) -> Campaign:
    """Draw a model that is served for hours to days, on a GPU, two, or a node."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    n_gpus = int(rng.choice([0, 1, 1, 1, 2]))
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=max(1, n_gpus))
    return [
        sampler.draw_request(
            worker,
            "inference_run",
            cluster=cluster,
            load=loads.draw_server_load(rng),
            runtime_s=sampler.draw_duration_s(36 * HOUR_S, 1.0, 2 * HOUR_S, 7 * DAY_S),
            walltime_s=sampler.draw_walltime_s(24, 48, 96, 168, 168),
            purpose="infer",
            ending="deleted",
            n_gpus=sampler.available_gpus(cluster, n_gpus),
            # half of the servers are started again when their walltime ends them
            chain=sampler.new_key() if sampler.chance(0.5) else None,
            patience_s=None,
        )
    ]


def draw_evaluation_array(sampler: HabitSampler) -> Campaign:
    """Draw tens to hundreds of short evaluations, as an array or by a loop over oarsub."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster, configuration = (
        sampler.draw_gpu_cluster(worker.team),
        sampler.draw_configuration(worker),
    )
    n_lines = min(round(draw_log_uniform(rng, (30, 400))), sampler.max_array)
    typical_s = draw_log_uniform(rng, (MINUTE_S, 25 * MINUTE_S))
    key = sampler.new_key() if sampler.chance(0.65) else None
    walltime_s = sampler.draw_walltime_s(1, 2, 4, 12)
    command, name = (
        sampler.draw_command(worker, "infer", configuration),
        sampler.draw_name(worker, "infer"),
    )
    is_steady = sampler.chance(0.4)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = sampler.draw_ending(0.93, 0.02)
        load = loads.draw_generation_load(rng) if is_steady else draw_inference_load(rng)
        lines.append(
            sampler.draw_request(
                worker,
                "inference_run",
                cluster=cluster,
                load=load,
                runtime_s=sampler.draw_duration_s(typical_s, 0.6, 15, HOUR_S),
                walltime_s=walltime_s,
                purpose="infer",
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


def draw_corpus_generation(sampler: HabitSampler) -> Campaign:
    """Draw the generation of a corpus on GPUs for days: one job, or a few shards."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    n_gpus = int(rng.choice([0, 0, 1, 1, 2]))
    cluster = sampler.draw_gpu_cluster(worker.team, n_gpus=max(1, n_gpus))
    configuration = sampler.draw_configuration(worker)
    n_shards = 1 if sampler.chance(0.6) else int(rng.integers(2, 7))
    key = sampler.new_key() if n_shards > 1 else None
    typical_s = sampler.draw_duration_s(38 * HOUR_S / n_shards**0.5, 0.7, 3 * HOUR_S, 6 * DAY_S)
    walltime_s = sampler.draw_walltime_s(24, 48, 72, 96, 168)
    command, name = (
        sampler.draw_command(worker, "infer", configuration),
        sampler.draw_name(worker, "infer"),
    )
    shards = []
    load = loads.draw_generation_load(rng)
    for line in range(1, n_shards + 1):
        ending, code = sampler.draw_ending(0.7, 0.22)
        shards.append(
            sampler.draw_request(
                worker,
                "inference_run",
                cluster=cluster,
                load=load,
                runtime_s=sampler.draw_duration_s(typical_s, 0.15, 2 * HOUR_S, 7 * DAY_S),
                walltime_s=walltime_s,
                purpose="infer",
                configuration=configuration,
                command=command,
                name=name,
                ending=ending,
                exit_code=code,
                n_gpus=sampler.available_gpus(cluster, n_gpus),
                array=key,
                array_index=line if key is not None else 1,
                chain=sampler.new_key() if key is None else None,
                patience_s=None,
            )
        )
    return shards


def draw_processors_on_gpu_nodes(sampler: HabitSampler) -> Campaign:
    """Draw the preparation of data on the processors of GPU nodes, whose GPUs stay idle."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster = sampler.draw_gpu_cluster(worker.team)
    configuration = sampler.draw_configuration(worker)
    n_gpus = 0 if sampler.chance(0.5) else 1
    n_lines = 1 if sampler.chance(0.5) else int(rng.integers(2, 11))
    key = sampler.new_key() if n_lines > 1 else None
    typical_s = sampler.draw_duration_s(5 * HOUR_S, 1.1, 3 * MINUTE_S, 40 * HOUR_S)
    walltime_s = sampler.draw_walltime_s(6, 12, 24, 48, 72)
    lines = []
    for line in range(1, n_lines + 1):
        ending, code = sampler.draw_ending(0.85, 0.07)
        lines.append(
            sampler.draw_request(
                worker,
                "preprocessing",
                cluster=cluster,
                load=draw_processors_load(rng),
                runtime_s=sampler.draw_duration_s(typical_s, 0.4, MINUTE_S, 48 * HOUR_S),
                walltime_s=walltime_s,
                purpose="prepare",
                configuration=configuration,
                ending=ending,
                exit_code=code,
                n_gpus=n_gpus,
                array=key,
                array_index=line if key is not None else 1,
            )
        )
    return lines


def draw_open_notebook(sampler: HabitSampler) -> Campaign:
    """Draw a notebook or prompt that stays open for a day or more and is mostly idle."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    is_prompt = sampler.chance(0.4)
    forms = ("jupyter lab --no-browser --ip 0.0.0.0", "jupyter notebook --port 8888")
    command = "" if is_prompt else forms[int(sampler.words.integers(len(forms)))]
    n_gpus = 0 if sampler.chance(0.3) else 1
    return [
        sampler.draw_request(
            worker,
            "interactive",
            cluster=sampler.draw_gpu_cluster(worker.team),
            load=loads.draw_notebook_load(rng),
            runtime_s=sampler.draw_duration_s(26 * HOUR_S, 0.9, 3 * HOUR_S, 7 * DAY_S),
            walltime_s=sampler.draw_walltime_s(12, 24, 48, 96, 168),
            command=command,
            ending="left",
            n_gpus=n_gpus,
            interactive=is_prompt,
        )
    ]


def draw_crash_loop(sampler: HabitSampler) -> Campaign:
    """Draw a program that crashes and that a loop submits again until somebody stops it."""
    rng = sampler.rng
    worker = sampler.draw_worker()
    cluster = sampler.draw_gpu_cluster(worker.team)
    configuration = sampler.draw_configuration(worker)
    command, name = (
        sampler.draw_command(worker, "train", configuration),
        sampler.draw_name(worker),
    )
    n_attempts = min(round(draw_log_uniform(rng, (5, 60))), sampler.max_array)
    typical_s = draw_log_uniform(rng, (20, 30 * MINUTE_S))
    delay_s = draw_log_uniform(rng, (5, 20 * MINUTE_S))
    n_gpus = 0 if sampler.chance(0.2) else 1
    walltime_s = sampler.draw_walltime_s(2, 12, 24, 48, 168)
    attempts = []
    for attempt in range(n_attempts):
        runtime_s = sampler.draw_duration_s(typical_s, 0.3, 5, 50 * MINUTE_S)
        attempts.append(
            sampler.draw_request(
                worker,
                "debug",
                cluster=cluster,
                load=_crashing_load(sampler, worker.team.project, runtime_s),
                runtime_s=runtime_s,
                walltime_s=walltime_s,
                configuration=configuration,
                command=command,
                name=name,
                ending="deleted" if attempt == n_attempts - 1 else "done",
                exit_code=0 if attempt == n_attempts - 1 else _CRASH_WAIT_STATUS,
                n_gpus=n_gpus,
                patience_s=None,
            )
        )
    return [follow_one_another(attempts, lambda: max(1, round(delay_s)))]


def _crashing_load(sampler: HabitSampler, project: str, runtime_s: int) -> ProgramLoad:
    """Load of an attempt: it crashes while it starts, or in the first epochs of a training."""
    if sampler.chance(0.5):
        return draw_crash_load(sampler.rng)
    return loads.draw_plateau_load(sampler.rng, project, runtime_s=max(runtime_s, 60))
