"""Tests of the runs that labels do not settle: order, listing, and drafts of labels."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.labels import files, matching
from footprint.labels.files import Label
from footprint.phases import labelling_queue
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import Runs
from footprint.schemas.writing import conform

pytestmark = pytest.mark.filterwarnings("error")

DOCS = Path(__file__).parents[2] / "docs" / "labels.md"
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def run_row(run_id: int, total_kwh: float | None, **changes: Any) -> dict[str, Any]:
    """Row of `schemas.Runs`: an assumed training of one job, unless changed."""
    usual: dict[str, Any] = {
        "run_id": run_id,
        "job_ids": [run_id],
        "merged_by": "single",
        "user": f"u-0000000{run_id}",
        "project": "speech",
        "paper": None,
        "started_at": T0,
        "stopped_at": None,
        "duration_s": 7200.0,
        "gpu_hours": 4.0,
        "measured_kwh": None,
        "estimated_kwh": None,
        "total_kwh": total_kwh,
        "total_low_kwh": None,
        "total_high_kwh": None,
        "measured_frac": None,
        "idle_kwh": None,
        "kind": "training_run",
        "role": "other",
        "role_basis": "assumed",
        "phase": "development",
        "rule": "plateau",
        "features": "{}",
        "confidence": 0.9,
        "rule_set": "1",
        **dict.fromkeys(PROBABILITY_COLUMNS),
    }
    return usual | changes


def study_tables(
    runs: list[dict[str, Any]], labels_by_job: dict[int, dict[str, str]] | None = None
) -> Any:
    """Tables of a study with labels, in which run 1 belongs to login `a`, run 2 to `b`, ..."""
    table = conform(
        Runs,
        pl.DataFrame(runs, schema_overrides=dict.fromkeys(("total_kwh",), pl.Float64)),
    )
    jobs = table.lazy().select("run_id", job_id="job_ids").explode("job_id")
    no_label = dict.fromkeys(("paper", "kind", "role", "phase"))
    labelled = pl.DataFrame(
        [{"job_id": job, **no_label, **label} for job, label in (labels_by_job or {}).items()],
        schema={"job_id": pl.Int64, **dict.fromkeys(no_label, pl.String)},
    )
    letters = pl.Series([chr(ord("a") + i) for i in range(26)])
    return labelling_queue.StudyTables(
        table.lazy(),
        conform(JobLabels, labelled).lazy(),
        jobs.select(
            "job_id",
            user=pl.lit(letters.implode()).list.get(pl.col("run_id") - 1),
            name=pl.lit(None, pl.String),
            command=pl.format("./train.sh {}", "job_id"),
            array_id=pl.lit(None, pl.Int64),
        ),
        jobs.select("job_id", "run_id"),
    )


def ranked_runs(study: Any, **only: str) -> pl.DataFrame:
    return labelling_queue.rank_unlabelled_runs(study, **only).collect()


def test_rank_unlabelled_runs_sorts_by_energy_with_cumulated_share() -> None:
    # 6 + 3 + 1 = 10 kWh: the first run has 0.6 of it, the first two 0.9. Runs of unknown energy
    # come last.
    runs = [
        run_row(1, 1.0),
        run_row(2, None, gpu_hours=1.0),
        run_row(3, 6.0, job_ids=[3, 9]),
        run_row(4, 3.0),
        run_row(5, None, gpu_hours=2.0),
        run_row(6, None, kind=None, role=None, role_basis=None, phase=None),  # never ran
    ]
    found = ranked_runs(study_tables(runs))
    assert found.select("rank", "run_id", "n_jobs", "user").rows() == [
        (1, 3, 2, "c"),
        (2, 4, 1, "d"),
        (3, 1, 1, "a"),
        (4, 5, 1, "e"),
        (5, 2, 1, "b"),
    ]
    assert found["cumulated_frac"].to_list() == [*map(pytest.approx, (0.6, 0.9, 1.0)), None, None]
    assert found["command"][0] == "./train.sh 3"


@pytest.mark.parametrize(
    ("label", "settled"),
    [
        ({"phase": "development"}, True),
        ({"kind": "training_run", "role": "reported"}, True),
        ({"kind": "training_run"}, False),
        ({"kind": "inference_run"}, False),
        ({"kind": "debug"}, True),
        ({"kind": "unknown"}, True),  # a person looked, and the kind stays unknown
        ({"role": "reported"}, False),
        ({"paper": "p"}, False),
        ({}, False),
    ],
)
def test_rank_unlabelled_runs_omits_runs_whose_labels_give_a_phase(
    label: dict[str, str], settled: bool
) -> None:
    found = ranked_runs(study_tables([run_row(1, 1.0)], {1: label}))
    assert found.is_empty() is settled
    if not settled:
        assert found["role"].to_list() == [label.get("role")]


def test_rank_unlabelled_runs_filters_by_user_project_and_paper() -> None:
    study = study_tables(
        [run_row(1, 3.0, project="text"), run_row(2, 1.0), run_row(3, 1.0, project=None)],
        {2: {"paper": "p"}},
    )
    assert ranked_runs(study, project="text")["run_id"].to_list() == [1]
    assert ranked_runs(study, user="b")["run_id"].to_list() == [2]
    assert ranked_runs(study, user="u-00000003")["run_id"].to_list() == [3]
    assert ranked_runs(study, paper="p")["run_id"].to_list() == [2]
    assert ranked_runs(study, paper="p", user="a").is_empty()
    # the share refers to the listed runs
    assert ranked_runs(study, project="speech")["cumulated_frac"].to_list() == [1.0]


def test_rank_unlabelled_runs_without_energy_returns_null_shares() -> None:
    assert (
        ranked_runs(study_tables([run_row(1, 0.0), run_row(2, None)]))["cumulated_frac"].to_list()
        == [None] * 2
    )


def test_format_listing_shortens_commands_and_aligns_columns() -> None:
    long = "python train.py --config " + "x" * 60
    study = study_tables([run_row(1, 6.0, duration_s=86400.0), run_row(12, None), run_row(3, 2.0)])
    jobs = study.jobs.with_columns(
        command=pl.when(pl.col("job_id") == 1).then(pl.lit(long)),
        name=pl.when(pl.col("job_id") == 3).then(pl.lit("big\x1b[2J\n7")),
    )
    rows = labelling_queue.rank_unlabelled_runs(study._replace(jobs=jobs)).collect()
    head, first, second, _, amount = labelling_queue.format_listing(rows, most=2).splitlines()
    assert re.split(r"  +", head.strip())[:4] == ["run", "jobs", "user", "name"]
    assert first.index(long[:45]) == head.index("command")
    assert re.split(r"  +", first.strip()) == [
        *("1", "1", "1", "a", "-", long[:45] + "..."),
        *("2025-03-10 08:00", "24.0", "4.0", "6.00", "75 %", "training_run (plateau)"),
    ]
    assert "big?[2J 7" in second  # no character moves the cursor
    assert amount == ("3 runs that labels do not settle, 8.0 kWh; those above hold 100 % of it.")
    assert "  -  " in labelling_queue.format_listing(rows, most=3)
    assert labelling_queue.format_listing(rows.clear(), most=3) == "Labels settle every run."


def test_format_listing_of_unknown_energies_omits_share() -> None:
    text = labelling_queue.format_listing(ranked_runs(study_tables([run_row(1, None)])), most=5)
    assert text.endswith("1 runs that labels do not settle, 0.0 kWh.")


def test_format_drafts_matches_documentation_and_is_readable(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "run_id": [2041990],
            "n_jobs": [5],
            "user": ["willow"],
            "name": ["big7"],
            "command": ["./train.sh"],
            "started_at": [T0],
            "gpu_hours": [1680.0],
            "total_kwh": [512.25],
            "kind": ["training_run"],
            "rule": ["plateau"],
            "role": pl.Series([None], dtype=pl.String),
        }
    )
    draft = labelling_queue.format_drafts(rows)
    (example,) = re.findall(r"<!-- example: draft -->\n```yaml\n(.*?)```", DOCS.read_text(), re.S)
    assert draft == "\n" + example
    path = tmp_path / "labels.yaml"
    path.write_text(draft)
    assert files.read_labels([path]) == [
        Label(where=f"{path}:3", chain=2041990, kind="training_run", role="other")
    ]
    with_role = rows.with_columns(role=pl.lit("reported"), started_at=None, name=None, n_jobs=1)
    (path.with_suffix(".yml")).write_text(labelling_queue.format_drafts(with_role))
    (label,) = files.read_labels([path.with_suffix(".yml")])
    assert label.role == "reported"  # the role of a label is kept


def test_format_drafts_of_any_command_is_readable(tmp_path: Path) -> None:
    study = study_tables([run_row(1, 1.0)])
    jobs = study.jobs.with_columns(command=pl.lit("a\n- chain: 5\x07\u2028: {[\r\t'\"# \x85é🙂"))
    path = tmp_path / "labels.yaml"
    path.write_text(
        labelling_queue.format_drafts(
            labelling_queue.rank_unlabelled_runs(study._replace(jobs=jobs)).collect()
        ),
        encoding="utf-8",
    )
    assert [label.chain for label in files.read_labels([path])] == [1]


def test_append_drafts_keeps_existing_text_and_omits_named_runs(tmp_path: Path) -> None:
    study = study_tables([run_row(1, 3.0, job_ids=[1, 7]), run_row(2, 2.0), run_row(3, 1.0)])
    path = tmp_path / "labels.yaml"
    existing = "- jobs: [7]\n  paper: mine\n"
    path.write_text(existing)
    rows = ranked_runs(study)
    published = tmp_path / "results"
    assert labelling_queue.append_drafts(rows.head(2), path, study, published=published) == 1
    assert [label.chain for label in files.read_labels([path])] == [None, 2]
    assert labelling_queue.append_drafts(rows, path, study, published=published) == 1
    assert labelling_queue.append_drafts(rows, path, study, published=published) == 0
    assert path.read_text().startswith(existing)
    assert [label.chain for label in files.read_labels([path])] == [None, 2, 3]
    new = tmp_path / "deep" / "new.yaml"
    assert labelling_queue.append_drafts(rows, new, study, published=published) == 3
    assert new.read_text().startswith("# Drafts of `footprint labels`")
    # The drafts settle every run.
    labelled = matching.labels_of_jobs(
        files.read_labels([new]), with_times(study.jobs), study.run_of_job
    )
    assert (
        labelling_queue.rank_unlabelled_runs(study._replace(labelled=labelled)).collect().is_empty()
    )


def with_times(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Jobs with the columns of times that `matching.labels_of_jobs` needs."""
    return jobs.with_columns(started_at=pl.lit(T0), submitted_at=pl.lit(T0))


def test_append_drafts_to_published_folder_raises(tmp_path: Path) -> None:
    study = study_tables([run_row(1, 3.0)])
    path = tmp_path / "results" / "labels.yaml"
    with pytest.raises(InputError, match=r"label files hold logins, and results/ is published"):
        labelling_queue.append_drafts(
            ranked_runs(study), path, study, published=tmp_path / "results"
        )
    assert not path.exists()


def test_runs_named_by_labels_accepts_jobs_arrays_and_chains() -> None:
    study = study_tables([run_row(1, 3.0, job_ids=[1, 7]), run_row(2, 2.0), run_row(3, 1.0)])
    jobs = study.jobs.with_columns(array_id=pl.when(pl.col("job_id") == 7).then(7))
    for label, runs in [({"array": 7}, [1]), ({"chain": 7}, [1]), ({"jobs": (2, 3, 99)}, [2, 3])]:
        named = labelling_queue.runs_named_by_labels(
            [Label(where="f:1", **label)], jobs, study.run_of_job
        )
        assert named.to_list() == runs
    by_user = Label(where="f:1", user="a", name="*")
    assert labelling_queue.runs_named_by_labels([by_user], jobs, study.run_of_job).is_empty()
