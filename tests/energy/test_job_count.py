"""All tables of a study count the same jobs."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from footprint.energy import job_count
from footprint.energy.energy_tables import EnergyTables
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.phases import evaluation
from footprint.report.tables import energy, phases, study
from footprint.report.tables.usage import concentration_table
from footprint.schemas.energy import JobEnergy, NodeEnergy
from footprint.schemas.estimates import Estimates
from footprint.schemas.levels import Levels
from footprint.schemas.phases import PhaseRatio
from footprint.schemas.validation import PhaseAccuracy, PhaseEvaluation
from footprint.schemas.writing import conform
from tests.support.study_frames import (
    ERROR_MODEL,
    job_energy_frame,
    job_node_row,
    job_nodes_frame,
    node_energy_frame,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_tables_of_a_study_count_jobs_that_held_a_node() -> None:
    # 1 on two nodes, 2 without readings, 3 ended as it began, 4 never started, 5 measured
    nodes = job_nodes_frame(
        [
            job_node_row(1, "graffiti-1", 3.0),
            job_node_row(1, "graffiti-2", 3.0),
            job_node_row(2, "gros-1", None),
            job_node_row(5, "gros-2", 1.0),
        ]
    )
    owners = [{"job_id": n, "user": "u", "project": "p", "queue": "q"} for n in (1, 2, 3, 4, 5)]
    jobs = job_energy_frame(nodes, owners)
    node_energy = node_energy_frame([("gros-1", date(2025, 3, 3), "job", 7.0, 24.0)])
    rows = levels.energy_by_level(
        EnergyTables(jobs.lazy(), nodes.lazy(), node_energy.lazy()),
        pl.LazyFrame({"job_id": [1], "paper": ["demo"]}),
        Estimates.create_empty().lazy(),
        site="nancy",
        selection=LevelSelection(minimum_group=1),
        redistribution="none",
        model=ERROR_MODEL,
    )
    of_levels = conform(Levels, rows)
    kinds = pl.LazyFrame({"run_id": [1, 2, 3, 5], "kind": ["debug"] * 4})
    found = evaluation.confusion_table(
        {"rules": kinds},
        run_of_job=jobs.lazy().select("job_id", run_id="job_id"),
        truth=pl.LazyFrame({"job_id": [1, 2, 3, 5], "kind": ["debug"] * 4}),
        job_energy=jobs.lazy(),
    )
    ratio = PhaseRatio.create_empty()
    counted = {
        "levels": of_levels.filter(level="site")["n_jobs"],
        "evaluation": found["n_jobs"],
        "concentration": concentration_table(jobs, jobs.clear()).rows.filter(name="all jobs")["n"],
        "summary": study.study_summary_table(of_levels, node_energy, ratio).rows.filter(
            name="Held by jobs"
        )["n"],
    }
    assert [(name, *counts) for name, counts in counted.items()] == [
        ("levels", 3),
        ("evaluation", 3),
        ("concentration", 3),
        ("summary", 3),
    ]


def test_notes_define_the_count() -> None:
    empty = Levels.create_empty()
    made = [
        energy.levels_table(empty, redistribution="none"),
        study.study_summary_table(empty, NodeEnergy.create_empty(), PhaseRatio.create_empty()),
        phases.evaluation_table(PhaseEvaluation.create_empty(), PhaseAccuracy.create_empty()),
        concentration_table(JobEnergy.create_empty(), JobEnergy.create_empty()),
    ]
    for table in made:
        assert job_count.JOB_COUNT_NOTE in table.note, table.name
