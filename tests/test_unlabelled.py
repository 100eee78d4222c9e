"""The runs that labels do not settle: their order, their listing, and drafts of labels."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint import labels, tables
from footprint.errors import InputError
from footprint.labels import Label
from footprint.phases import unlabelled

pytestmark = pytest.mark.filterwarnings("error")

DOCS = Path(__file__).parents[1] / "docs" / "labels.md"
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def a_run(run_id: int, energy_kwh: float | None, **changes: Any) -> dict[str, Any]:
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
        "energy_kwh": energy_kwh,
        "idle_kwh": None,
        "kind": "training_run",
        "role": "other",
        "role_basis": "assumed",
        "phase": "development",
        "rule": "plateau",
        "evidence": "{}",
        "confidence": 0.9,
        "rule_set": "1",
    }
    return usual | changes


def study(runs: list[dict[str, Any]], said: dict[int, dict[str, str]] | None = None) -> Any:
    """A study of runs whose jobs are login `a`, `b`, ... by run, and what labels say of them."""
    table = tables.conform(
        tables.Runs, pl.DataFrame(runs, schema_overrides=dict.fromkeys(("energy_kwh",), pl.Float64))
    )
    jobs = table.lazy().select("run_id", job_id="job_ids").explode("job_id")
    nothing = dict.fromkeys(("paper", "kind", "role", "phase"))
    labelled = pl.DataFrame(
        [{"job_id": job, **nothing, **what} for job, what in (said or {}).items()],
        schema={"job_id": pl.Int64, **dict.fromkeys(nothing, pl.String)},
    )
    letters = pl.Series([chr(ord("a") + i) for i in range(26)])
    return unlabelled.Study(
        table.lazy(),
        tables.conform(tables.Labelled, labelled).lazy(),
        jobs.select(
            "job_id",
            user=pl.lit(letters.implode()).list.get(pl.col("run_id") - 1),
            name=pl.lit(None, pl.String),
            command=pl.format("./train.sh {}", "job_id"),
            array_id=pl.lit(None, pl.Int64),
        ),
        jobs.select("job_id", "run_id"),
    )


def ranked(some: Any, **only: str) -> pl.DataFrame:
    return unlabelled.ranked(some.runs, some.labelled, some.jobs, **only).collect()


def test_the_most_energy_comes_first_with_what_it_amounts_to() -> None:
    # 6 + 3 + 1 = 10 kWh: the first run has 0.6 of it, the first two 0.9. Unmeasured runs come last.
    runs = [
        a_run(1, 1.0),
        a_run(2, None, gpu_hours=1.0),
        a_run(3, 6.0, job_ids=[3, 9]),
        a_run(4, 3.0),
        a_run(5, None, gpu_hours=2.0),
        a_run(6, None, kind=None, role=None, role_basis=None, phase=None),  # never ran
    ]
    found = ranked(study(runs))
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
    ("said", "settled"),
    [
        ({"phase": "development"}, True),
        ({"kind": "training_run", "role": "reported"}, True),
        ({"kind": "training_run"}, False),
        ({"kind": "inference_run"}, False),
        ({"kind": "debug"}, True),
        ({"kind": "unknown"}, True),  # somebody looked, and does not know
        ({"role": "reported"}, False),
        ({"paper": "p"}, False),
        ({}, False),
    ],
)
def test_labels_settle_a_run_when_its_phase_follows(said: dict[str, str], settled: bool) -> None:
    found = ranked(study([a_run(1, 1.0)], {1: said}))
    assert found.is_empty() is settled
    if not settled:
        assert found["role"].to_list() == [said.get("role")]


def test_runs_are_narrowed_to_a_person_a_project_or_a_paper() -> None:
    some = study(
        [a_run(1, 3.0, project="text"), a_run(2, 1.0), a_run(3, 1.0, project=None)],
        {2: {"paper": "p"}},
    )
    assert ranked(some, project="text")["run_id"].to_list() == [1]
    assert ranked(some, user="b")["run_id"].to_list() == [2]
    assert ranked(some, user="u-00000003")["run_id"].to_list() == [3]
    assert ranked(some, paper="p")["run_id"].to_list() == [2]
    assert ranked(some, paper="p", user="a").is_empty()
    # the part is that of what is listed
    assert ranked(some, project="speech")["cumulated_frac"].to_list() == [1.0]


def test_energy_of_nothing_has_no_parts() -> None:
    assert ranked(study([a_run(1, 0.0), a_run(2, None)]))["cumulated_frac"].to_list() == [None] * 2


def test_the_listing_fits_its_columns() -> None:
    long = "python train.py --config " + "x" * 60
    some = study([a_run(1, 6.0, duration_s=86400.0), a_run(12, None), a_run(3, 2.0)])
    jobs = some.jobs.with_columns(
        command=pl.when(pl.col("job_id") == 1).then(pl.lit(long)),
        name=pl.when(pl.col("job_id") == 3).then(pl.lit("big\x1b[2J\n7")),
    )
    rows = unlabelled.ranked(some.runs, some.labelled, jobs).collect()
    head, first, second, _, amount = unlabelled.listing(rows, most=2).splitlines()
    assert re.split(r"  +", head.strip())[:4] == ["run", "jobs", "user", "name"]
    assert first.index(long[:45]) == head.index("command")
    assert re.split(r"  +", first.strip()) == [
        *("1", "1", "1", "a", "-", long[:45] + "..."),
        *("2025-03-10 08:00", "24.0", "4.0", "6.00", "75 %", "training_run (plateau)"),
    ]
    assert "big?[2J 7" in second  # nothing that moves a cursor
    assert amount == (
        "3 runs that labels do not settle, 8.0 kWh measured; those above hold 100 % of it."
    )
    assert "  -  " in unlabelled.listing(rows, most=3)
    assert unlabelled.listing(rows.clear(), most=3) == "Labels settle every run."


def test_the_listing_of_unmeasured_runs_claims_no_part() -> None:
    told = unlabelled.listing(ranked(study([a_run(1, None)])), most=5)
    assert told.endswith("1 runs that labels do not settle, 0.0 kWh measured.")


def test_drafts_are_as_documented_and_can_be_read(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "run_id": [2041990],
            "n_jobs": [5],
            "user": ["willow"],
            "name": ["big7"],
            "command": ["./train.sh"],
            "started_at": [T0],
            "gpu_hours": [1680.0],
            "energy_kwh": [512.25],
            "kind": ["training_run"],
            "rule": ["plateau"],
            "role": pl.Series([None], dtype=pl.String),
        }
    )
    draft = unlabelled.drafts(rows)
    (example,) = re.findall(r"<!-- example: draft -->\n```yaml\n(.*?)```", DOCS.read_text(), re.S)
    assert draft == "\n" + example
    path = tmp_path / "labels.yaml"
    path.write_text(draft)
    assert labels.read([path]) == [
        Label(where=f"{path}:3", chain=2041990, kind="training_run", role="other")
    ]
    said = rows.with_columns(role=pl.lit("reported"), started_at=None, name=None, n_jobs=1)
    (path.with_suffix(".yml")).write_text(unlabelled.drafts(said))
    (label,) = labels.read([path.with_suffix(".yml")])
    assert label.role == "reported"  # what a label has said is not contradicted


def test_drafts_of_any_command_can_be_read(tmp_path: Path) -> None:
    some = study([a_run(1, 1.0)])
    jobs = some.jobs.with_columns(command=pl.lit("a\n- chain: 5\x07\u2028: {[\r\t'\"# \x85é🙂"))
    path = tmp_path / "labels.yaml"
    path.write_text(
        unlabelled.drafts(unlabelled.ranked(some.runs, some.labelled, jobs).collect()),
        encoding="utf-8",
    )
    assert [label.chain for label in labels.read([path])] == [1]


def test_nothing_is_written_twice_or_over(tmp_path: Path) -> None:
    some = study([a_run(1, 3.0, job_ids=[1, 7]), a_run(2, 2.0), a_run(3, 1.0)])
    path = tmp_path / "labels.yaml"
    mine = "- jobs: [7]\n  paper: mine\n"
    path.write_text(mine)
    rows = ranked(some)
    published = tmp_path / "results"
    assert unlabelled.write(rows.head(2), path, some, published=published) == 1
    assert [label.chain for label in labels.read([path])] == [None, 2]
    assert unlabelled.write(rows, path, some, published=published) == 1
    assert unlabelled.write(rows, path, some, published=published) == 0
    assert path.read_text().startswith(mine)
    assert [label.chain for label in labels.read([path])] == [None, 2, 3]
    new = tmp_path / "deep" / "new.yaml"
    assert unlabelled.write(rows, new, some, published=published) == 3
    assert new.read_text().startswith("# Drafts of `footprint labels`")
    # What was written settles every run.
    said = labels.table(labels.read([new]), with_all(some.jobs), some.run_of_job)
    assert unlabelled.ranked(some.runs, said, some.jobs).collect().is_empty()


def with_all(jobs: pl.LazyFrame) -> pl.LazyFrame:
    return jobs.with_columns(started_at=pl.lit(T0), submitted_at=pl.lit(T0))


def test_label_files_stay_out_of_the_results(tmp_path: Path) -> None:
    some = study([a_run(1, 3.0)])
    path = tmp_path / "results" / "labels.yaml"
    with pytest.raises(InputError, match=r"label files hold logins, and results/ is published"):
        unlabelled.write(ranked(some), path, some, published=tmp_path / "results")
    assert not path.exists()


def test_arrays_and_chains_name_their_runs() -> None:
    some = study([a_run(1, 3.0, job_ids=[1, 7]), a_run(2, 2.0), a_run(3, 1.0)])
    jobs = some.jobs.with_columns(array_id=pl.when(pl.col("job_id") == 7).then(7))
    for label, runs in [({"array": 7}, [1]), ({"chain": 7}, [1]), ({"jobs": (2, 3, 99)}, [2, 3])]:
        named = unlabelled.named([Label(where="f:1", **label)], jobs, some.run_of_job)
        assert named.to_list() == runs
    by_user = Label(where="f:1", user="a", name="*")
    assert unlabelled.named([by_user], jobs, some.run_of_job).is_empty()
