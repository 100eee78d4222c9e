"""Scripts of energy over time, concentration and runs of papers, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import PhaseRatio, Runs
from footprint.schemas.writing import conform
from tests.support import study_frames
from tests.support.rule_scripts import figure_paths, table_paths
from tests.support.study_frames import PROVENANCE, START

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
DATES = {"start": "2025-03-03", "end": "2025-03-17"}


ENERGIES = (
    *("measured_kwh", "estimated_kwh", "total_kwh", "total_low_kwh", "total_high_kwh"),
    "measured_frac",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of the tables of an invented study, by name."""
    folder = tmp_path_factory.mktemp("results")
    study = study_frames.invented_study()
    jobs = study.job_energy
    runs = jobs.select(
        run_id="job_id",
        job_ids=pl.concat_list("job_id"),
        merged_by=pl.lit("single"),
        user="user",
        project="project",
        started_at="started_at",
        stopped_at="stopped_at",
        duration_s="duration_s",
        gpu_hours="gpu_hours",
        **{name: pl.col(name) for name in ENERGIES},
        idle_kwh=pl.lit(None, pl.Float64),
        kind=pl.lit("training_run"),
        role=pl.lit(None, pl.String),
        role_basis=pl.lit(None, pl.String),
        phase=pl.lit("development"),
        rule=pl.lit("trains"),
        features=pl.lit("{}"),
        confidence=pl.lit(0.95),
        rule_set=pl.lit("1"),
        **dict.fromkeys(PROBABILITY_COLUMNS, pl.lit(None, pl.Float64)),
    )
    labelled = jobs.select(
        "job_id",
        paper=pl.when(pl.col("job_id") % 2 == 0).then(pl.lit("enhancement-2025")),
        kind=pl.lit(None, pl.String),
        role=pl.lit(None, pl.String),
        phase=pl.lit(None, pl.String),
        stage=pl.lit(None, pl.String),
    )
    levels = pl.DataFrame(
        [("paper", "enhancement-2025", "bmc")], ["level", "name", "method"], orient="row"
    )
    frames = {
        "node_energy": study.node_energy,
        "runs": conform(Runs, runs),
        "labels": conform(JobLabels, labelled),
        "levels": levels,
        "jobs": jobs.with_columns(walltime_s=pl.lit(None, pl.Int64)),
        "ratio": pl.DataFrame(PhaseRatio.create_empty()),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in frames}
    for name, frame in frames.items():
        frame.write_parquet(paths[name])
    return paths


@pytest.mark.parametrize(
    ("rule", "inputs", "params", "expected"),
    [
        (
            "plot_energy_over_time",
            ["node_energy"],
            DATES | {"site": "nancy"},
            "Hardware without a job",
        ),
        ("plot_concentration", ["jobs", "runs"], {}, "Half of the energy"),
        (
            "plot_paper_runs",
            ["runs", "jobs", "ratio", "labels", "levels"],
            DATES | {"papers": "all"},
            "enhancement-2025 took",
        ),
    ],
)
def test_plot_script_writes_figure_with_expected_text(
    run: Run,
    results: dict[str, str],
    tmp_path: Path,
    rule: str,
    inputs: list[str],
    params: dict[str, str],
    expected: str,
) -> None:
    paths = figure_paths(tmp_path)
    log = run(
        rule,
        input={name: results[name] for name in inputs},
        output=paths,
        params=params | {"provenance": PROVENANCE},
    )
    assert log == ""
    for path in paths.values():
        assert path.stat().st_size > 1000
    assert expected in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize(
    ("rule", "inputs", "params", "expected"),
    [
        ("tabulate_energy_over_time", ["node_energy"], DATES, "2025-03-16"),
        ("tabulate_concentration", ["jobs", "runs"], {}, "fewest with half of the energy"),
    ],
)
def test_tabulate_script_writes_table_with_expected_text(
    run: Run,
    results: dict[str, str],
    tmp_path: Path,
    rule: str,
    inputs: list[str],
    params: dict[str, str],
    expected: str,
) -> None:
    paths = table_paths(tmp_path)
    log = run(
        rule,
        input={name: results[name] for name in inputs},
        output=paths,
        params=params | {"provenance": PROVENANCE},
    )
    assert log == ""
    assert all(expected in path.read_text() for path in paths.values())


def test_study_frames_end_with_the_window_of_the_rules() -> None:
    assert (START + timedelta(days=14)).date().isoformat() == DATES["end"]
