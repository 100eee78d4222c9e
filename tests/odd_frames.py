"""Studies that lack something, what is computed of them by the real functions, and its figures.

Each study is changed before the levels, ratios and phases are computed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import paper_frames
import polars as pl
from estimating import of_schema
from matplotlib.figure import Figure
from paper_frames import PROVENANCE, START, Study

from footprint import comparison, levels, simulation_check, tables
from footprint.figures import (
    concentration,
    energy_by_class,
    energy_over_time,
    energy_per_run,
    methods,
    node_week,
    paper_runs,
    phases,
)
from footprint.figures import levels as levels_figure
from footprint.figures import ratios as ratios_figure
from footprint.figures import simulation_check as check_figure
from footprint.phases import evaluation, roles
from footprint.phases import ratios as phase_ratios
from footprint.summation import known_sum

DAYS = 42
"""From 3 March to 13 April: April can be without power."""
APRIL = START + timedelta(days=29)
PAPERS = {"job_id": pl.Int64, "paper": pl.String}


@dataclasses.dataclass(frozen=True)
class Odd:
    """A study, and whom its configuration asks to be shown."""

    study: Study
    projects: Collection[str] | Literal["all"] = "all"
    papers_wanted: Collection[str] | Literal["all"] = "all"


@functools.cache
def of_clusters(*names: str) -> Odd:
    whole = paper_frames.study(n_jobs=200, days=DAYS)
    job_nodes = whole.job_nodes.filter(pl.col("cluster").is_in(names))
    ran = job_nodes.select("job_id")
    of_node = pl.col("node").str.replace(r"-\d+$", "").is_in(names)
    return Odd(
        dataclasses.replace(
            whole,
            job_nodes=job_nodes,
            job_energy=whole.job_energy.join(ran, on="job_id", how="semi"),
            estimates=whole.estimates.join(ran, on="job_id", how="semi"),
            papers=whole.papers.join(ran, on="job_id", how="semi"),
            node_energy=whole.node_energy.filter(of_node),
            quality=whole.quality.filter(of_node),
        )
    )


def whole() -> Odd:
    return of_clusters(*paper_frames.CLUSTERS)


def changed(odd: Odd, **frames: pl.DataFrame) -> Odd:
    return dataclasses.replace(odd, study=dataclasses.replace(odd.study, **frames))


def one_user() -> Odd:
    odd = whole()
    return changed(odd, job_energy=odd.study.job_energy.with_columns(user=pl.lit("u-00000001")))


def a_project_without_jobs() -> Odd:
    return dataclasses.replace(whole(), projects=["multispeech", "ghost"])


def a_paper_without_jobs() -> Odd:
    return dataclasses.replace(no_paper(), papers_wanted=["ghost-2025"])


def no_paper() -> Odd:
    return changed(whole(), papers=pl.DataFrame(schema=PAPERS))


def without_power(odd: Odd, since: datetime) -> Odd:
    """From a moment on, no node has readings: its energy is unknown, its time is no_data."""
    study = odd.study
    late = study.job_energy.filter(pl.col("started_at") >= since).select("job_id", late=True)
    measured = [name for name in study.job_nodes.columns if name.endswith("_kwh")]
    job_nodes = study.job_nodes.join(late, on="job_id", how="left").with_columns(
        *(pl.when(pl.col("late").is_null()).then(name) for name in measured),
        *(
            pl.when(pl.col("late").is_null()).then(name).otherwise(0.0)
            for name in ("covered_s", "coverage_frac")
        ),
    )
    owners = study.job_energy.select("job_id", "user", "project", "queue", "started_at").to_dicts()
    job_nodes = tables.conform(tables.JobNodeEnergy, job_nodes.drop("late"))
    job_energy = paper_frames.job_energy_frame(job_nodes, owners)
    day = pl.col("day") >= since.date()
    nodes = study.node_energy.filter(day).select("node", "day").unique().sort("node", "day").rows()
    unknown: list[tuple[str, date, str, float | None, float]] = [
        (node, at, "no_data", None, 24.0) for node, at in nodes
    ]
    node_energy = pl.concat(
        [study.node_energy.filter(~day), paper_frames.node_energy_frame(unknown)]
    )
    return changed(
        odd,
        job_nodes=job_nodes,
        job_energy=job_energy,
        node_energy=tables.conform(tables.NodeEnergy, node_energy),
        quality=study.quality.filter(~day),
        estimates=paper_frames.estimates(job_energy),
    )


def a_month_without_power() -> Odd:
    return without_power(whole(), APRIL)


def no_power_at_all() -> Odd:
    return without_power(whole(), START)


def one_cluster() -> Odd:
    return of_clusters("graffiti")


def no_gpu_cluster() -> Odd:
    return of_clusters("gros")


def only_an_unmeasured_cluster() -> Odd:
    return of_clusters(paper_frames.UNMEASURED)


def no_jobs() -> Odd:
    study = whole().study
    empty = ("job_energy", "job_nodes", "estimates", "papers")
    idle = pl.when(pl.col("class").is_in(["job", "stranded"])).then(pl.lit("idle"))
    nodes = study.node_energy.with_columns(
        idle.otherwise(pl.col("class").cast(pl.String)).alias("class")
    )
    sums = nodes.group_by("node", "day", "class", maintain_order=True).agg(
        known_sum(pl.col("energy_kwh")), pl.col("duration_s").sum() / 3600
    )
    return changed(
        whole(),
        node_energy=paper_frames.node_energy_frame(sums.rows()),
        **{name: getattr(study, name).clear() for name in empty},
    )


STUDIES: dict[str, Callable[[], Odd]] = {
    make.__name__: make
    for make in (
        one_user,
        a_project_without_jobs,
        a_paper_without_jobs,
        no_paper,
        a_month_without_power,
        no_power_at_all,
        one_cluster,
        no_gpu_cluster,
        only_an_unmeasured_cluster,
        no_jobs,
    )
}
SILENT = {"no_power_at_all", "only_an_unmeasured_cluster", "no_jobs"}
"""Studies in which no energy of a job was measured."""


@dataclasses.dataclass
class Results:
    """What the rules before figures and tables make of a study."""

    study: Study
    levels: pl.DataFrame
    ratios: pl.DataFrame
    runs: pl.DataFrame
    phases: pl.DataFrame
    evaluation: pl.DataFrame
    compared: pl.DataFrame
    check: pl.DataFrame


def hardware() -> pl.LazyFrame:
    usual = {"valid_from": START - timedelta(days=900), "cpu_model": "a", "n_cpus": 2}
    usual |= {"n_cores": 16, "n_threads": 32, "memory_gb": 128.0, "tdp_w": 85.0}
    rows = []
    for cluster, (n_nodes, has_gpu) in paper_frames.CLUSTERS.items():
        n_gpus = 4 if has_gpu else 0
        gpus: dict[str, Any] = {"gpus": list(range(n_gpus)), "gpu_models": ["RTX 2080 Ti"] * n_gpus}
        gpus |= {"gpu_generations": ["Turing"] * n_gpus, "gpu_limits_w": [250.0] * n_gpus}
        gpus |= {"gpu_mlco2_w": [250.0] * n_gpus}
        rows += [
            {"node": f"{cluster}-{i}", "cluster": cluster} | gpus for i in range(1, n_nodes + 1)
        ]
    return of_schema(tables.Hardware, *rows, **usual)


def runs_of(study: Study) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Every job a run, of the next kind in turn, with its role; and labels, which name none."""
    kinds = pl.DataFrame({"turn": range(len(tables.KINDS)), "kind": tables.KINDS})
    runs = (
        study.job_energy.with_columns((pl.col("job_id") % len(tables.KINDS)).alias("turn"))
        .join(kinds, on="turn", maintain_order="left")
        .join(study.papers, on="job_id", how="left", maintain_order="left")
        .select(
            *(pl.col("job_id").alias("run_id"), "paper", "project", "energy_kwh", "gpu_hours"),
            *("started_at", "stopped_at", "duration_s"),
            pl.col("kind").cast(pl.Enum(tables.KINDS)),
            (pl.col("energy_kwh") * 0.1).alias("idle_kwh"),
            job_ids=pl.concat_list("job_id"),
        )
        .lazy()
    )
    text = dict.fromkeys(("kind", "role", "phase"), pl.String())
    labelled = pl.LazyFrame(schema={"run_id": pl.Int64(), **text})
    return runs.join(roles.assign(runs, labelled), on="run_id"), labelled


def time_of_jobs(job_nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Node time of jobs that held nodes of the study alone, inside its window."""
    held_s = (pl.col("share") * pl.col("duration_s")).fill_null(0.0)
    measured_s = held_s * pl.col("coverage_frac").fill_null(0.0)
    return job_nodes.select("job_id", held_s=held_s, measured_s=measured_s)


def results_of(odd: Odd) -> Results:
    study = odd.study
    frames = (study.job_energy, study.job_nodes, study.node_energy, study.papers, study.estimates)
    rows = levels.levels(
        *(frame.lazy() for frame in frames),
        site="nancy",
        projects=odd.projects,
        users={"u-00000001"},
        papers_wanted=odd.papers_wanted,
        redistribution="resource_hours",
        minimum_group=3,
    )
    of_levels = tables.conform(tables.Levels, rows)
    jobs, job_nodes = study.job_energy.lazy(), study.job_nodes.lazy()
    ratios = comparison.ratios(study.estimates.lazy(), jobs, job_nodes, hardware())
    runs, labelled = runs_of(study)
    of_phases = phase_ratios.ratios(
        runs,
        levels=of_levels.lazy(),
        labelled=labelled,
        time=phase_ratios.time_of_runs(runs, time_of_jobs(job_nodes)),
        papers_wanted=odd.papers_wanted,
    )
    error = 1 + 0.001 * pl.Series(np.random.default_rng(0).normal(size=len(study.job_energy)))
    truth = study.job_energy.select("job_id", true_kwh=pl.col("energy_kwh") * error)
    steps_w = {name: float(i + 1) for i, name in enumerate(paper_frames.CLUSTERS)}
    compared = simulation_check.compare(jobs, job_nodes, truth.lazy(), steps_w)
    return Results(
        study=study,
        levels=of_levels,
        ratios=tables.conform(tables.EstimateRatios, ratios),
        runs=runs.collect(),
        phases=tables.conform(tables.PhaseRatio, of_phases),
        evaluation=evaluation.confusion(
            {"rules": runs, "baseline": runs},
            run_of_job=runs.select("run_id", pl.col("run_id").alias("job_id")),
            truth=runs.select(pl.col("run_id").alias("job_id"), pl.col("kind").cast(pl.String)),
            job_energy=jobs,
        ),
        compared=compared.collect(),
        check=tables.conform(tables.SimulationCheck, simulation_check.summarise(compared)),
    )


def week_of(study: Study) -> Figure:
    pieces = study.job_nodes.join(
        study.job_energy.select("job_id", "started_at", "stopped_at"), on="job_id"
    ).select("job_id", "node", "share", pl.col("started_at", "stopped_at").dt.cast_time_unit("us"))
    week = node_week.busiest(study.node_energy, pieces.lazy())
    power, _ = paper_frames.power_week()
    if week is None:
        return node_week.plot(power.clear(), pieces.clear(), None, max_gap_s=90, provenance="")
    held = pieces.filter(pl.col("node") == week.node)
    shifted = pl.col("timestamp") + pl.lit(week.start - START)
    own = power.with_columns(shifted, node=pl.lit(week.node))
    return node_week.plot(own, held, week, max_gap_s=90, provenance=PROVENANCE)


def drawn(made: Results) -> dict[str, Figure]:
    foot = {"provenance": PROVENANCE}
    study, window = made.study, {"start": START, "end": START + timedelta(days=DAYS)}
    runs = made.runs.lazy()
    of_papers = paper_runs.of_papers(
        runs.drop("paper"),
        runs.select("run_id", "paper"),
        jobs=study.job_energy.lazy().with_columns(walltime_s=pl.lit(None, pl.Int64)),
        ratio=made.phases.lazy(),
        levels=made.levels.lazy(),
        end=window["end"],
    )
    return {
        "energy_by_class": energy_by_class.plot(study.node_energy, site="nancy", **foot),
        "levels": levels_figure.plot(made.levels, **foot),
        "methods": methods.plot(made.levels, pue=1.0, **foot),
        "ratios": ratios_figure.plot(made.ratios, **foot),
        "node_week": week_of(study),
        "phases": phases.plot(made.phases, **foot),
        "energy_over_time": energy_over_time.plot(
            study.node_energy, site="nancy", **window, **foot
        ),
        "concentration": concentration.plot(study.job_energy, made.runs, **foot),
        "paper_runs": paper_runs.plot(of_papers, **window, **foot),
        "energy_per_run": energy_per_run.plot(made.runs, weeks=DAYS / 7, **foot),
        "simulation_check": check_figure.plot(made.check, made.compared, **foot),
    }


@functools.cache
def made_of(study: str) -> tuple[Results, dict[str, Figure]]:
    made = results_of(STUDIES[study]())
    return made, drawn(made)
