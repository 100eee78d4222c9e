"""Tests of proposals of groups to label: parts, order, listing, and drafts of label rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.labels import files, matching
from footprint.labels.files import Label
from footprint.phases import group_agreement, label_drafts, label_proposals
from footprint.phases.label_proposals import StudyTables
from footprint.schemas.labels import GroupLabels, JobLabels
from footprint.schemas.phases import GroupRuns, Runs
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")

DOCS = Path(__file__).parents[2] / "docs" / "labels.md"
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def run(
    run_id: int, user: str, command: str | None, hours: float, kwh: float | None, **more: Any
) -> dict[str, Any]:
    """A run of one job on one GPU, found to be a training with the confidence 0.8."""
    usual: dict[str, Any] = {
        "run_id": run_id,
        "job_ids": [run_id],
        "merged_by": "single",
        "login": user,
        "user": f"u-{user}",
        "command": command,
        "project": "speech",
        "started_at": T0 + timedelta(days=run_id),
        "duration_s": hours * 3600,
        "gpu_hours": hours,
        "total_kwh": kwh,
        "kind": "training_run",
        "rule": "plateau",
        "confidence": 0.8,
        "features": "{}",
        "rule_set": "1",
    }
    return usual | more


def study_tables(
    runs: list[dict[str, Any]],
    labels: list[dict[str, Any]] | None = None,
    group_labels: list[dict[str, Any]] | None = None,
) -> StudyTables:
    texts = dict.fromkeys(("login", "command", "project", "kind"), pl.String)
    frame = pl.DataFrame(runs, schema_overrides=texts | {"total_kwh": pl.Float64})
    jobs = frame.select("command", user="login", run_id="run_id", job_id="job_ids").explode(
        "job_id"
    )
    return StudyTables(
        runs=frame_of_schema(Runs, *runs),
        group_runs=frame_of_schema(GroupRuns),
        features=frame.select("run_id", node_share=pl.lit(1.0), n_nodes=pl.lit(1)).lazy(),
        labelled=frame_of_schema(JobLabels, *(labels or [])),
        group_labels=frame_of_schema(GroupLabels, *(group_labels or [])),
        jobs=jobs.drop("run_id")
        .with_columns(
            name=pl.lit(None, pl.String),
            array_id=pl.lit(None, pl.Int64),
            started_at=pl.lit(T0),
            submitted_at=pl.lit(T0),
        )
        .lazy(),
        run_of_job=jobs.select("job_id", "run_id").lazy(),
    )


def proposals(study: StudyTables, **only: str) -> pl.DataFrame:
    return label_proposals.propose_groups(study, **only)


TRAININGS = [run(i, "amy", f"python train.py --seed {i}", 10.0, 3.0) for i in (1, 2, 3)]


def test_proposals_are_sorted_by_energy_times_doubt() -> None:
    runs = [
        *TRAININGS,  # 9 kWh x 0.2 = 1.8 kWh in doubt
        run(4, "bob", "./serve.sh", 40.0, 12.0, confidence=0.95),  # 0.6 kWh
        run(5, "bob", "./run.sh", 10.0, 3.0, kind="unknown", confidence=0.0),  # 3 kWh
        run(6, "bob", "./odd.sh", 5.0, None),
    ]
    found = proposals(study_tables(runs))
    assert found.select("rank", "user", "command_group", "n_runs").rows() == [
        (1, "bob", "./run.sh", 1),
        (2, "amy", "python train.py --seed #", 3),
        (3, "bob", "./serve.sh", 1),
        (4, "bob", "./odd.sh", 1),
    ]
    assert found["doubt_kwh"].to_list() == [*map(pytest.approx, (3.0, 1.8, 0.6)), None]
    assert found["cumulated_frac"].to_list() == pytest.approx([3 / 5.4, 4.8 / 5.4, 1.0, 1.0])
    row = found.row(1, named=True)
    assert (row["total_kwh"], row["gpu_hours"]) == (9.0, 30.0)
    assert row["power_w"] == pytest.approx(300.0)
    assert (row["kind"], row["kind_frac"]) == ("training_run", 1.0)
    assert row["confidence"] == pytest.approx(0.8)
    assert (row["first_start"], row["last_start"]) == (
        T0 + timedelta(days=1),
        T0 + timedelta(days=3),
    )


def test_runs_of_a_command_that_differ_are_parts_selected_by_jobs() -> None:
    short = [
        run(i, "amy", f"python train.py --seed {i}", 0.1, 0.03, kind="debug", confidence=0.7)
        for i in (4, 5)
    ]
    other = run(6, "amy", "python train.py --seed 6", 1.0, 0.3, kind="inference_run")
    found = proposals(study_tables([*TRAININGS, *short, other]))
    assert found.select("is_group", "run_ids", "n_differing").rows() == [
        (True, [1, 2, 3], 3),
        (False, [6], 5),
        (False, [4, 5], 4),
    ]


def test_mixed_kinds_of_a_part_are_given_by_their_share_of_the_energy() -> None:
    mixed = [*TRAININGS[:2], run(3, "amy", "python train.py --seed 3", 10.0, 4.0, kind="unknown")]
    row = proposals(study_tables(mixed)).row(0, named=True)
    assert (row["kind"], row["kind_frac"]) == ("training_run", pytest.approx(0.6))
    text = label_drafts.format_listing(
        proposals(study_tables(mixed)), most=1, group_runs=pl.DataFrame(GroupRuns.create_empty())
    )
    assert "training_run (0.80, 60 % of the energy)" in text


@pytest.mark.parametrize(
    ("label", "is_listed"),
    [
        ({"kind": "training_run"}, False),
        ({"phase": "development"}, False),
        ({"paper": "p", "role": "other"}, True),
    ],
)
def test_runs_with_a_labelled_kind_or_phase_are_not_proposed(
    label: dict[str, str], is_listed: bool
) -> None:
    found = proposals(study_tables(TRAININGS[:1], [{"job_id": 1} | label]))
    assert len(found) == is_listed
    if is_listed:
        assert found.select("paper", "role").row(0) == ("p", "other")


def test_uncertain_reported_runs_come_first_and_alone() -> None:
    found = proposals(
        study_tables(
            [*TRAININGS, run(4, "amy", "./a.sh", 1.0, 0.1)],
            [{"job_id": job, "paper": "p", "role": "reported"} for job in (2, 4)],
        )
    )
    assert found.select("reason", "is_group", "run_ids").rows() == [
        ("low confidence", False, [2]),
        ("low confidence", False, [4]),
        (None, True, [1, 3]),
    ]
    text = label_drafts.format_listing(
        found, most=3, group_runs=pl.DataFrame(GroupRuns.create_empty())
    )
    assert "training_run (0.80, reported, low confidence)" in text
    assert text.endswith("The first 2 are reported runs of uncertain kind: R depends on them.")


def test_proposals_are_filtered_by_user_project_and_paper() -> None:
    study = study_tables(
        [
            run(1, "amy", "./a.sh", 1.0, 3.0, project="text"),
            run(2, "bob", "./b.sh", 1.0, 1.0),
            run(3, "cat", None, 1.0, 1.0, project=None),
        ],
        [{"job_id": 2, "paper": "p"}],
    )
    assert proposals(study, project="text")["run_ids"].to_list() == [[1]]
    assert proposals(study, user="bob")["run_ids"].to_list() == [[2]]
    assert proposals(study, user="u-cat")["run_ids"].to_list() == [[3]]
    assert proposals(study, paper="p")["run_ids"].to_list() == [[2]]
    assert proposals(study, paper="p", user="amy").is_empty()
    # a run without a command is selected by its jobs
    assert proposals(study)["is_group"].to_list() == [True, True, False]


def test_listing_shortens_commands_and_counts_runs() -> None:
    long = "python train.py " + "x" * 60
    runs = [run(1, "amy", long, 24.0, 6.0), run(2, "bob\x1b[2J", None, 2.0, 2.0)]
    differing = [
        {"group": 0, "run_id": i, "found_kind": "debug", "agrees": i > 1, "total_kwh": 0.5}
        for i in (1, 2, 3)
    ]
    text = label_drafts.format_listing(
        proposals(study_tables(runs)),
        most=2,
        group_runs=frame_of_schema(GroupRuns, *differing).collect(),
    )
    head, first, second, _, amount, note = text.splitlines()
    assert re.split(r"  +", head.strip())[:4] == ["user", "runs", "command", "by"]
    assert re.split(r"  +", first.strip()) == [
        *("1", "amy", "1", long[:45] + "...", "group", "2025-03-11", "24.0", "24.0", "6.00"),
        *("1.20", "75 %", "training_run (0.80)"),
    ]
    assert "bob?[2J" in second  # no character moves the cursor
    assert amount.startswith("2 groups of 2 runs without a labelled kind, 8.0 kWh, of which 1.6")
    assert note.startswith("1 of 3 runs of labelled groups (0.5 kWh) differ")
    empty = label_drafts.format_listing(
        proposals(study_tables(runs, [{"job_id": i, "kind": "debug"} for i in (1, 2)])),
        most=2,
        group_runs=pl.DataFrame(GroupRuns.create_empty()),
    )
    assert empty == "Labels give the kind of every run."


# Drafts


def test_draft_matches_the_documentation(tmp_path: Path) -> None:
    runs = [
        run(i, "willow", f"./train.sh --seed {i}", 42.0, 12.8, gpu_hours=42.0) for i in range(1, 41)
    ]
    runs += [run(41, "willow", "./train.sh --seed 41", 0.1, 0.03, kind="debug")]
    found = proposals(study_tables(runs))
    (example,) = re.findall(r"<!-- example: draft -->\n```yaml\n(.*?)```", DOCS.read_text(), re.S)
    draft = label_drafts.format_drafts(found)
    assert draft == "\n" + example
    path = tmp_path / "labels.yaml"
    path.write_text(draft)
    first, second = files.read_drafts([path])
    assert first == Label(where=f"{path}:5", user="willow", group="./train.sh --seed #")
    assert second.jobs == (41,)
    with pytest.raises(InputError, match=r"labels\.yaml:5: this row has no label"):
        files.read_labels([path])
    path.write_text(draft.replace("kind:", "kind: training_run"))
    assert [label.kind for label in files.read_labels([path])] == ["training_run"] * 2


def test_draft_of_any_command_selects_its_group(tmp_path: Path) -> None:
    command = "a\n- chain: 5\x07\u2028: {[\r\t'\"# \x85é🙂"
    study = study_tables([run(1, "no", command, 1.0, 1.0), run(2, "no", "other", 1.0, 1.0)])
    path = tmp_path / "labels.yaml"
    path.write_text(label_drafts.format_drafts(proposals(study)), encoding="utf-8")
    labels = files.read_drafts([path])
    matched = matching.match_labels_to_jobs(labels, study.jobs)
    assert matched.sort("job_id").rows() == [(0, 1), (1, 2)]


def test_append_drafts_omits_groups_and_runs_of_the_file(tmp_path: Path) -> None:
    short = run(4, "amy", "python train.py --seed 4", 0.1, 0.03)
    study = study_tables([*TRAININGS, short, run(5, "bob", "./b.sh", 1.0, 0.2)])
    path, published = tmp_path / "labels.yaml", tmp_path / "results"
    existing = "- {user: amy, group: python train.py --seed 99, kind: training_run}\n"
    path.write_text(existing)
    rows = proposals(study)
    assert label_drafts.append_drafts(rows, path, study, published=published) == 2
    assert path.read_text().startswith(existing)
    assert [label.jobs or label.group for label in files.read_drafts([path])] == [
        "python train.py --seed 99",
        "./b.sh",
        (4,),
    ]
    assert label_drafts.append_drafts(rows, path, study, published=published) == 0
    new = tmp_path / "deep" / "new.yaml"
    assert label_drafts.append_drafts(rows, new, study, published=published) == 3
    assert new.read_text().startswith("# Drafts of `footprint labels`")


def test_filled_drafts_label_every_run(tmp_path: Path) -> None:
    short = run(4, "amy", "python train.py --seed 4", 0.1, 0.03)
    study = study_tables([*TRAININGS, short, run(5, "bob", None, 1.0, 0.2)])
    path = tmp_path / "labels.yaml"
    path.write_text(label_drafts.format_drafts(proposals(study)).replace("kind:", "kind: debug"))
    matched = matching.match_label_files(files.read_labels([path]), study.jobs, study.run_of_job)
    runs = study.runs.join(study.features, on="run_id").with_columns(
        **group_agreement.power_of_runs()
    )
    checked = group_agreement.check_groups(
        runs, single=matched.single, groups=matched.groups, run_of_job=study.run_of_job
    )
    assert checked.group_runs.select("run_id", "agrees").rows() == [(i, True) for i in (1, 2, 3)]
    labelled = study._replace(labelled=checked.labels, group_labels=matched.groups)
    assert proposals(labelled).is_empty()
    # New runs of the command are selected by their jobs, since the file has the group.
    new = study_tables([run(6, "amy", "python train.py --seed 6", 90.0, 9.0), *TRAININGS])
    later = new._replace(labelled=checked.labels, group_labels=matched.groups)
    assert proposals(later).select("is_group", "run_ids").rows() == [(False, [6])]


def test_append_drafts_to_published_folder_raises(tmp_path: Path) -> None:
    study = study_tables(TRAININGS)
    path = tmp_path / "results" / "labels.yaml"
    with pytest.raises(InputError, match=r"label files hold logins, and results/ is published"):
        label_drafts.append_drafts(proposals(study), path, study, published=tmp_path / "results")
    assert not path.exists()


def test_runs_named_by_labels_accepts_jobs_arrays_and_chains() -> None:
    runs = [run(1, "a", "x", 1.0, 3.0, job_ids=[1, 7]), *TRAININGS[1:]]
    study = study_tables(runs)
    jobs = study.jobs.with_columns(array_id=pl.when(pl.col("job_id") == 7).then(7))
    for label, expected in [
        ({"array": 7}, [1]),
        ({"chain": 7}, [1]),
        ({"jobs": (2, 3, 99)}, [2, 3]),
        ({"user": "a", "name": "*"}, []),
    ]:
        named = label_drafts.runs_named_by_labels(
            [Label(where="f:1", **label)], jobs, study.run_of_job
        )
        assert named.to_list() == expected
