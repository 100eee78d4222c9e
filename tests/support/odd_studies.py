"""Studies that lack jobs, power, papers or clusters, with their results and figures.

Each study is changed before the library's functions compute levels, ratios and phases.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from footprint.core.sums import known_sum
from footprint.core.vocabulary import KINDS
from footprint.estimators import comparison
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.phases import energies, evaluation, roles, sensitivities
from footprint.phases import ratio as phase_ratios
from footprint.report.figures import (
    concentration,
    energy_by_class,
    energy_over_time,
    energy_per_run,
    methods,
    node_week,
    paper_energy,
    paper_runs,
    phases,
)
from footprint.report.figures import levels as levels_figure
from footprint.report.figures import ratios as ratios_figure
from footprint.report.figures import sensitivities as sensitivities_figure
from footprint.report.figures import simulation_check as check_figure
from footprint.report.figures.busiest_week import busiest_week
from footprint.schemas.energy import JobNodeEnergy, NodeEnergy
from footprint.schemas.estimates import EstimateRatios, Hardware
from footprint.schemas.levels import Levels
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities
from footprint.schemas.validation import SimulationCheck
from footprint.schemas.writing import conform
from footprint.validation import against_truth
from tests.support import study_frames
from tests.support.estimator_inputs import frame_of_schema
from tests.support.study_frames import ERROR_MODEL, PROVENANCE, START, StudyFrames

STUDY_DAYS = 42
"""Length of the study, from 3 March to 13 April: April can be without power."""
APRIL_START = START + timedelta(days=29)
PAPER_SCHEMA = {"job_id": pl.Int64, "paper": pl.String}


@dataclasses.dataclass(frozen=True)
class OddStudy:
    """Study, with the projects and papers that its configuration lists."""

    study: StudyFrames
    projects: Collection[str] | Literal["all"] = "all"
    papers_wanted: Collection[str] | Literal["all"] = "all"


@functools.cache
def study_of_clusters(*names: str) -> OddStudy:
    study = study_frames.invented_study(n_jobs=200, days=STUDY_DAYS)
    job_nodes = study.job_nodes.filter(pl.col("cluster").is_in(names))
    ran = job_nodes.select("job_id")
    of_node = pl.col("node").str.replace(r"-\d+$", "").is_in(names)
    return OddStudy(
        dataclasses.replace(
            study,
            job_nodes=job_nodes,
            job_energy=study.job_energy.join(ran, on="job_id", how="semi"),
            estimates=study.estimates.join(ran, on="job_id", how="semi"),
            papers=study.papers.join(ran, on="job_id", how="semi"),
            node_energy=study.node_energy.filter(of_node),
            quality=study.quality.filter(of_node),
        )
    )


def whole_study() -> OddStudy:
    return study_of_clusters(*study_frames.CLUSTERS)


def with_frames(odd: OddStudy, **frames: pl.DataFrame) -> OddStudy:
    return dataclasses.replace(odd, study=dataclasses.replace(odd.study, **frames))


def one_user() -> OddStudy:
    odd = whole_study()
    return with_frames(odd, job_energy=odd.study.job_energy.with_columns(user=pl.lit("u-00000001")))


def a_project_without_jobs() -> OddStudy:
    return dataclasses.replace(whole_study(), projects=["multispeech", "ghost"])


def a_paper_without_jobs() -> OddStudy:
    return dataclasses.replace(no_paper(), papers_wanted=["ghost-2025"])


def no_paper() -> OddStudy:
    return with_frames(whole_study(), papers=pl.DataFrame(schema=PAPER_SCHEMA))


def without_power(odd: OddStudy, since: datetime) -> OddStudy:
    """Study whose nodes have no readings from a moment on: their class is no_data."""
    study = odd.study
    late = study.job_energy.filter(pl.col("started_at") >= since).select("job_id", late=True)
    known = [name for name in study.job_nodes.columns if name.endswith(("_kwh", "measured_frac"))]
    node_h = pl.col("share") * pl.col("duration_s") / 3600
    job_nodes = study.job_nodes.join(late, on="job_id", how="left").with_columns(
        *(pl.when(pl.col("late").is_null()).then(name) for name in known),
        pl.when(pl.col("late").is_null())
        .then(pl.col("estimate_basis").cast(pl.String))
        .otherwise(pl.lit("none")),
        pl.when(pl.col("late").is_null()).then("unknown_node_h").otherwise(node_h),
        *(
            pl.when(pl.col("late").is_null()).then(name).otherwise(0.0)
            for name in ("covered_s", "coverage_frac")
        ),
    )
    owners = study.job_energy.select("job_id", "user", "project", "queue", "started_at").to_dicts()
    job_nodes = conform(JobNodeEnergy, job_nodes.drop("late"))
    job_energy = study_frames.job_energy_frame(job_nodes, owners)
    day = pl.col("day") >= since.date()
    nodes = study.node_energy.filter(day).select("node", "day").unique().sort("node", "day").rows()
    unknown: list[tuple[str, date, str, float | None, float]] = [
        (node, at, "no_data", None, 24.0) for node, at in nodes
    ]
    node_energy = pl.concat(
        [study.node_energy.filter(~day), study_frames.node_energy_frame(unknown)]
    )
    return with_frames(
        odd,
        job_nodes=job_nodes,
        job_energy=job_energy,
        node_energy=conform(NodeEnergy, node_energy),
        quality=study.quality.filter(~day),
        estimates=study_frames.estimates_of_jobs(job_energy),
    )


def a_month_without_power() -> OddStudy:
    return without_power(whole_study(), APRIL_START)


def no_power_at_all() -> OddStudy:
    return without_power(whole_study(), START)


def one_cluster() -> OddStudy:
    return study_of_clusters("graffiti")


def no_gpu_cluster() -> OddStudy:
    return study_of_clusters("gros")


def only_an_unmeasured_cluster() -> OddStudy:
    return study_of_clusters(study_frames.UNMEASURED)


def no_jobs() -> OddStudy:
    study = whole_study().study
    empty = ("job_energy", "job_nodes", "estimates", "papers")
    idle = pl.when(pl.col("class").is_in(["job", "stranded"])).then(pl.lit("idle"))
    nodes = study.node_energy.with_columns(
        idle.otherwise(pl.col("class").cast(pl.String)).alias("class")
    )
    sums = nodes.group_by("node", "day", "class", maintain_order=True).agg(
        known_sum(pl.col("measured_kwh")), pl.col("duration_s").sum() / 3600
    )
    return with_frames(
        whole_study(),
        node_energy=study_frames.node_energy_frame(sums.rows()),
        **{name: getattr(study, name).clear() for name in empty},
    )


STUDIES: dict[str, Callable[[], OddStudy]] = {
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
STUDIES_WITHOUT_MEASUREMENT = {"no_power_at_all", "only_an_unmeasured_cluster", "no_jobs"}
"""Studies in which no energy of a job was measured."""


@dataclasses.dataclass
class StudyResults:
    """Tables that the rules before figures and readers' tables compute of a study."""

    study: StudyFrames
    levels: pl.DataFrame
    ratios: pl.DataFrame
    runs: pl.DataFrame
    phases: pl.DataFrame
    sensitivities: pl.DataFrame
    evaluation: pl.DataFrame
    compared: pl.DataFrame
    check: pl.DataFrame


def hardware_table() -> pl.LazyFrame:
    usual = {"valid_from": START - timedelta(days=900), "cpu_model": "a", "n_cpus": 2}
    usual |= {"n_cores": 16, "n_threads": 32, "memory_gb": 128.0, "tdp_w": 85.0}
    rows = []
    for cluster, (n_nodes, has_gpu) in study_frames.CLUSTERS.items():
        n_gpus = 4 if has_gpu else 0
        gpus: dict[str, Any] = {"gpus": list(range(n_gpus)), "gpu_models": ["RTX 2080 Ti"] * n_gpus}
        gpus |= {"gpu_generations": ["Turing"] * n_gpus, "gpu_limits_w": [250.0] * n_gpus}
        gpus |= {"gpu_mlco2_w": [250.0] * n_gpus}
        rows += [
            {"node": f"{cluster}-{i}", "cluster": cluster} | gpus for i in range(1, n_nodes + 1)
        ]
    return frame_of_schema(Hardware, *rows, **usual)


def runs_with_phases(study: StudyFrames) -> pl.LazyFrame:
    """Runs of one job each, with kinds in turn and their roles, without labels."""
    kinds = pl.DataFrame({"turn": range(len(KINDS)), "kind": KINDS})
    runs = (
        energies.add_total(study.job_energy.lazy())
        .collect()
        .with_columns((pl.col("job_id") % len(KINDS)).alias("turn"))
        .join(kinds, on="turn", maintain_order="left")
        .join(study.papers, on="job_id", how="left", maintain_order="left")
        .select(
            *(pl.col("job_id").alias("run_id"), "user", "paper", "project", "gpu_hours"),
            *("measured_kwh", "estimated_kwh", "total_kwh"),
            *("started_at", "stopped_at", "duration_s"),
            pl.col("kind").cast(pl.Enum(KINDS)),
            (pl.col("measured_kwh") * 0.1).alias("idle_kwh"),
            job_ids=pl.concat_list("job_id"),
        )
        .lazy()
    )
    text = dict.fromkeys(("kind", "role", "phase"), pl.String())
    labelled = pl.LazyFrame(schema={"run_id": pl.Int64(), **text})
    return runs.join(roles.assign_roles(runs, labelled), on="run_id")


def node_time_of_jobs(job_nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Node time of jobs that held nodes of the study alone, inside its window."""
    held_s = (pl.col("share") * pl.col("duration_s")).fill_null(0.0)
    known_s = held_s * pl.col("coverage_frac").fill_null(0.0)
    return job_nodes.select("job_id", held_s=held_s, known_s=known_s)


def compute_results(odd: OddStudy) -> StudyResults:
    study = odd.study
    rows = levels.energy_by_level(
        study.energy,
        study.papers.lazy(),
        study.estimates.lazy(),
        site="nancy",
        selection=LevelSelection(
            projects=odd.projects, users={"u-00000001"}, papers=odd.papers_wanted, minimum_group=3
        ),
        redistribution="resource_hours",
        model=ERROR_MODEL,
    )
    of_levels = conform(Levels, rows)
    jobs, job_nodes = study.job_energy.lazy(), study.job_nodes.lazy()
    ratios = comparison.ratios_by_group(study.estimates.lazy(), jobs, job_nodes, hardware_table())
    runs = runs_with_phases(study)
    of_phases = phase_ratios.compare_development_with_training(
        runs,
        levels=of_levels.lazy(),
        time=phase_ratios.time_of_runs(runs, node_time_of_jobs(job_nodes)),
        papers_wanted=odd.papers_wanted,
    )
    of_phases = conform(PhaseRatio, of_phases)
    time = phase_ratios.time_of_runs(runs, node_time_of_jobs(job_nodes))
    text = dict.fromkeys(("kind", "role", "phase"), pl.String())
    varied = sensitivities.sensitivities(
        phase_ratios.rows_of_groups(
            runs, levels=of_levels.lazy(), time=time, papers_wanted=odd.papers_wanted
        ),
        of_phases.lazy(),
        runs=runs,
        labelled=pl.LazyFrame(schema={"run_id": pl.Int64(), **text}),
        time=time,
        alternatives=sensitivities.Alternatives(),
    )
    error = 1 + 0.001 * pl.Series(np.random.default_rng(0).normal(size=len(study.job_energy)))
    truth = study.job_energy.select(
        "job_id",
        metered_kwh=pl.col("measured_kwh") * error,
        true_kwh=1.1 * pl.col("measured_kwh") * error,
    )
    steps_w = {name: float(i + 1) for i, name in enumerate(study_frames.CLUSTERS)}
    compared = against_truth.compare_with_truth(jobs, job_nodes, truth.lazy(), steps_w)
    return StudyResults(
        study=study,
        levels=of_levels,
        ratios=conform(EstimateRatios, ratios),
        runs=runs.collect(),
        phases=of_phases,
        sensitivities=conform(PhaseSensitivities, varied),
        evaluation=evaluation.confusion_table(
            {"weights": runs, "baseline": runs},
            run_of_job=runs.select("run_id", pl.col("run_id").alias("job_id")),
            truth=runs.select(pl.col("run_id").alias("job_id"), pl.col("kind").cast(pl.String)),
            job_energy=jobs,
        ),
        compared=compared.collect(),
        check=conform(SimulationCheck, against_truth.summarise_errors(compared)),
    )


def node_week_figure(study: StudyFrames) -> Figure:
    pieces = study.job_nodes.join(
        study.job_energy.select("job_id", "started_at", "stopped_at"), on="job_id"
    ).select("job_id", "node", "share", pl.col("started_at", "stopped_at").dt.cast_time_unit("us"))
    week = busiest_week(study.node_energy, pieces.lazy())
    power, _ = study_frames.power_week()
    runs = runs_with_phases(study).collect()
    if week is None:
        return node_week.plot(
            power.clear(), pieces.clear(), runs, None, max_gap_s=90, provenance=""
        )
    held = pieces.filter(pl.col("node") == week.node)
    shifted = pl.col("timestamp") + pl.lit(week.start - START)
    own = power.with_columns(shifted, node=pl.lit(week.node))
    return node_week.plot(own, held, runs, week, max_gap_s=90, provenance=PROVENANCE)


def draw_figures(made: StudyResults) -> dict[str, Figure]:
    foot = {"provenance": PROVENANCE}
    study, window = made.study, {"start": START, "end": START + timedelta(days=STUDY_DAYS)}
    runs = made.runs.lazy()
    of_papers = paper_energy.runs_of_papers(
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
        "node_week": node_week_figure(study),
        "phases": phases.plot(made.phases, made.sensitivities, **foot),
        "sensitivities": sensitivities_figure.plot(made.sensitivities, made.phases, **foot),
        "energy_over_time": energy_over_time.plot(
            study.node_energy, site="nancy", **window, **foot
        ),
        "concentration": concentration.plot(study.job_energy, made.runs, **foot),
        "paper_runs": paper_runs.plot(of_papers, **window, **foot),
        "energy_per_run": energy_per_run.plot(made.runs, weeks=STUDY_DAYS / 7, **foot),
        "simulation_check": check_figure.plot(made.check, made.compared, **foot),
    }


@functools.cache
def results_and_figures(study: str) -> tuple[StudyResults, dict[str, Figure]]:
    made = compute_results(STUDIES[study]())
    return made, draw_figures(made)
