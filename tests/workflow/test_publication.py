"""The publication of a finished study: it joins with no job, run or person of the job list."""

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.config import publication, settings
from footprint.core.errors import InputError
from footprint.report.publication import (
    columns,
    contents,
    folder,
    frames,
    groups,
    rounding,
)
from footprint.report.publication.study import FinishedStudy
from tests.support.cli import run_cli
from tests.support.project import Project
from tests.support.publication_joins import JobListReader, contained_secrets, printed_rows
from tests.support.small_study import Study

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def config(project: Project, done: Study) -> dict[str, Any]:
    files = [project.folder / "config.yaml", done.folder / "study.yaml"]
    return settings.prepare_configuration(settings.read_configuration_files(files))


def finished(config: dict[str, Any], done: Study, where: Path, **changes: Any) -> FinishedStudy:
    """The study in a folder of its own, so that its publication is not beside its results."""
    for part in ("results", "resources"):
        (where / part).symlink_to(done.folder / part)
    study = publication.finished_study(config, where)
    return FinishedStudy(**{**vars(study), **changes})


def reader(study: FinishedStudy) -> JobListReader:
    own = study.disclosure
    return JobListReader(study.folder, minimum=own.minimum, named=own.named)


def exposed_files(study: FinishedStudy, made: Path) -> set[str]:
    return {each.row.path for each in reader(study).exposures(made)}


@pytest.fixture(scope="module")
def published(
    config: dict[str, Any], done: Study, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FinishedStudy, Path]:
    study = finished(config, done, tmp_path_factory.mktemp("publication"))
    return study, folder.publish(study)[0]


def test_publication_has_every_listed_figure_and_table(
    published: tuple[FinishedStudy, Path],
) -> None:
    made = {path.relative_to(published[1]).as_posix() for path in published[1].rglob("*.*")}
    withheld = (published[1] / "README.md").read_text().partition("Withheld:")[2]
    expected = {"README.md", "summary.md", "report.html", "archive.zip"}
    for part, items, forms in (
        ("figures", contents.FIGURES, ("svg", "pdf", "png")),
        ("tables", contents.TABLES, ("csv", "html", "tex")),
    ):
        expected |= {
            f"{part}/{item.name}.{form}"
            for item in items
            for form in forms
            if f"\n- {item.name}: " not in withheld
        }
    assert made == expected
    assert {"levels", "phases", "energy_by_class"} <= {Path(each).stem for each in made}


def test_every_result_is_published_or_withheld_with_a_reason(done: Study) -> None:
    listed = {item.name for item in (*contents.FIGURES, *contents.TABLES)} | set(contents.WITHHELD)
    made = {
        path.stem.removesuffix("_column")
        for part in ("figures", "tables")
        for path in (done.folder / "results" / part).iterdir()
    }
    assert made <= listed
    assert not {item.name for item in (*contents.FIGURES, *contents.TABLES)} & set(
        contents.WITHHELD
    )


def test_publication_joins_with_nobody(published: tuple[FinishedStudy, Path]) -> None:
    study, made = published
    rows = list(printed_rows(made))
    paths = {row.path for row in rows}
    assert {"tables/levels.csv", "tables/levels.html", "summary.md", "report.html"} <= paths
    assert "archive.zip/tables/levels.csv" in paths
    assert sum(bool(row.keys) for row in rows) > 20
    assert sum(len(row.numbers) > 2 for row in rows) > 20
    assert reader(study).exposures(made) == []


HEADERS = {
    "levels": {"name": "Name"},
    "phase_ratio": {
        "name": "Name",
        **{
            f"{phase}_{old}": f"{phase.capitalize()} {new}"
            for phase in ("training", "development")
            for old, new in (("kwh", "(kWh)"), ("measured_frac", "measured"))
        },
    },
    "nodes_by_cluster": {"cluster": "Cluster"},
    "nodes_by_step": {"day": "Day"},
    "phase_energies": {},
}
"""Headers of columns of the frames behind the figures, as readers' tables have them."""
GROUPS = {"queue": "Queues", "project": "Projects", "user": "People"}


def test_data_behind_figures_join_with_nobody(
    published: tuple[FinishedStudy, Path], tmp_path: Path
) -> None:
    """A reader measures bars and dots in an SVG: they have the digits of the frames."""
    study, _ = published
    public = frames.public_frames(study).frames
    made = {name: headers for name, headers in HEADERS.items() if name in public}
    assert len(made) >= 4
    for name, headers in made.items():
        frame = public[name]
        if "class" in frame.columns:
            frame = frame.filter(pl.col("class") == "job")
        if "method" in frame.columns:
            frame = frame.filter(method="bmc")
        for scope in {"level", "scope"} & set(frame.columns):
            group = pl.col(scope).replace_strict(GROUPS, default="", return_dtype=pl.String)
            frame = frame.with_columns(group=group)
        frame.rename(headers).write_csv(tmp_path / f"{name}.csv")
    assert {row.path for row in printed_rows(tmp_path)} == {f"{name}.csv" for name in made}
    assert reader(study).exposures(tmp_path) == []


def test_public_frames_have_no_column_of_jobs_and_three_digits(
    published: tuple[FinishedStudy, Path],
) -> None:
    found = frames.public_frames(published[0])
    items = (*contents.FIGURES, *contents.TABLES)
    used = {frame for item in items for frame in item.frames.values()}
    assert used == set(found.frames) | set(found.withheld)
    for name, frame in found.frames.items():
        table = "node_energy" if name.startswith("nodes_") else name
        assert not {"user", "job_id", "run_id", "started_at"} & set(frame.columns)
        # the estimated energy of nodes is a difference of two rounded numbers
        rounded = set(columns.columns_treated(table, columns.ROUNDED)) - {"estimated_kwh"}
        for column in sorted(rounded & set(frame.columns)):
            values = frame[column].drop_nulls().cast(pl.Float64)
            assert (values.round_sig_figs(3) == values).all(), (name, column)


def secrets(study: FinishedStudy, done: Study) -> list[str]:
    jobs, energy = done.resource("jobs"), done.energy("jobs")
    unnamed = set(energy["user"].drop_nulls()) - study.disclosure.named
    return [
        *(str(job) for job in jobs["job_id"]),
        *jobs["user"].drop_nulls().unique(),
        *unnamed,
        str(done.folder),
        "docs/labels/simulated.yaml",
    ]


def test_publication_contains_no_job_id_login_path_or_moment(
    published: tuple[FinishedStudy, Path], done: Study
) -> None:
    study, made = published
    assert len(secrets(study, done)) > 120
    assert contained_secrets(made, secrets(study, done)) == []


@pytest.mark.parametrize("what", ["5204183", "birch", "/labels/mine.yaml", "2025-03-31 08:15:02"])
def test_secret_in_a_page_is_found(what: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<p>run {what} of u-1</p>")
    found = contained_secrets(tmp_path, ["5204183", "birch", "/labels/mine.yaml"])
    assert [path for path, _ in found] == ["page.html"]


def test_single_run_in_a_table_is_found(
    published: tuple[FinishedStudy, Path], done: Study, tmp_path: Path
) -> None:
    """One run of a person who did not agree, rounded and without a name, is found by the join."""
    study, made = published
    runs = done.read("results/phases/runs.parquet").filter(
        ~pl.col("user").is_in(sorted(study.disclosure.named)), pl.col("total_kwh") > 0
    )
    run = runs.sort("total_kwh").row(-1, named=True)
    copy = shutil.copytree(made, tmp_path / "copy")
    shown = pl.DataFrame({"Total (kWh)": [run["total_kwh"]], "GPU time (h)": [run["gpu_hours"]]})
    rounded = shown.with_columns(pl.all().round_sig_figs(3))
    rounded.write_csv(copy / "tables/largest.csv")
    assert [each.row.path for each in reader(study).exposures(copy)] == ["tables/largest.csv"]
    (copy / "tables/largest.csv").unlink()
    rounded.write_parquet(copy / "largest.parquet")
    assert [each.people for each in reader(study).exposures(copy)] == [[run["user"]]]


def test_person_who_is_published_is_found(
    config: dict[str, Any], done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rule for groups broken, the row of one person is published and found."""
    monkeypatch.setattr(groups.Disclosure, "is_safe", lambda *_: True)
    study = finished(config, done, tmp_path)
    person = hidden_people(study)[0]
    levels = study.read("levels")
    jobs = study.read("job_energy").filter(pl.col("n_nodes") > 0, user=person)
    amounts = ("measured_kwh", "estimated_kwh", "total_kwh", "gpu_hours", "core_hours")
    sums = {name: jobs[name].sum() for name in amounts} | {"n_jobs": len(jobs)}
    own = levels.filter(level="user", method="bmc").head(1)
    own = own.with_columns(name=pl.lit(person), **{n: pl.lit(each) for n, each in sums.items()})
    read = FinishedStudy.read

    def read_with_person(study: FinishedStudy, table: str) -> pl.DataFrame:
        found = read(study, table)
        return pl.concat([found, own], how="vertical_relaxed") if table == "levels" else found

    monkeypatch.setattr(FinishedStudy, "read", read_with_person)
    made, _ = folder.publish(study)
    monkeypatch.undo()
    exposed = reader(study).exposures(made)
    assert {"tables/levels.csv", "tables/levels.html"} <= {each.row.path for each in exposed}
    assert [person] in [each.people for each in exposed]


def test_reported_training_of_one_person_is_withheld(
    config: dict[str, Any], done: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody agreed; with both checks of phases and digits broken, it is found."""
    strict = groups.Disclosure(minimum=3, named=frozenset())
    study = finished(config, done, tmp_path, disclosure=strict)
    ratio = study.read("phase_ratio").filter(scope="project").drop_nulls("training_kwh")
    assert len(ratio) > 0
    made, _ = folder.publish(study)
    assert reader(study).exposures(made) == []
    assert "Training" in (made / "tables/phases.csv").read_text()
    monkeypatch.setattr(rounding.JobList, "is_safe", lambda *_: True)
    monkeypatch.setattr(groups, "groups_with_safe_parts", lambda *arguments: arguments[2])
    folder.publish(study)
    monkeypatch.undo()
    assert "tables/phases.csv" in exposed_files(study, made)


def hidden_people(study: FinishedStudy) -> list[str]:
    """People with jobs who did not agree to be shown, by decreasing energy."""
    jobs = study.read("job_energy").filter(
        pl.col("n_nodes") > 0, ~pl.col("user").is_in(sorted(study.disclosure.named))
    )
    return (
        jobs.group_by("user")
        .agg(pl.col("total_kwh").sum())
        .sort("total_kwh")["user"]
        .to_list()[::-1]
    )


# The folder


def test_archive_holds_all_other_files(published: tuple[FinishedStudy, Path]) -> None:
    made = published[1]
    with zipfile.ZipFile(made / "archive.zip") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    files = {p.relative_to(made).as_posix(): p.read_bytes() for p in made.rglob("*") if p.is_file()}
    assert held == {name: content for name, content in files.items() if name != "archive.zip"}


def test_page_loads_nothing(published: tuple[FinishedStudy, Path]) -> None:
    page = (published[1] / "report.html").read_text()
    assert (
        re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=.?(?:https?:)?//", page) == []
    )
    assert page.count("data-figure=") == len(list((published[1] / "figures").glob("*.svg")))
    assert 'id="runs"' not in page


def test_second_publication_gives_same_bytes(
    published: tuple[FinishedStudy, Path],
) -> None:
    study, made = published
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    folder.publish(study)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_failed_publication_leaves_the_earlier_one(
    published: tuple[FinishedStudy, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, made = published
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}

    def fail(*_: Any, **__: Any) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(folder, "publication_page", fail)
    with pytest.raises(OSError, match="no space"):
        folder.publish(study)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in study.folder.iterdir()) == [
        *("publication", "resources", "results"),
    ]


def test_publish_command_refuses_a_folder_of_somebody_else(
    project: Project, config: dict[str, Any], done: Study, tmp_path: Path, monkeypatch: Any
) -> None:
    study = finished(config, done, tmp_path)
    shutil.copy2(done.folder / "study.yaml", tmp_path / "config.yaml")
    (tmp_path / "publication").mkdir()
    (tmp_path / "publication/mine.txt").write_text("kept")
    monkeypatch.chdir(project.folder)
    command = ["publish", "--directory", str(study.folder)]
    refused = run_cli(*command)
    assert refused.exit_code == 1
    assert refused.output.startswith("publication: the folder was not made by")
    assert (tmp_path / "publication/mine.txt").read_text() == "kept"
    shutil.rmtree(tmp_path / "publication")
    monkeypatch.chdir(project.folder)
    printed = run_cli(*command)
    assert printed.exit_code == 0, printed.output
    assert "- node_week: it shows single jobs, with their times" in printed.output
    assert (tmp_path / "publication/report.html").is_file()


def test_study_of_too_few_people_is_refused(
    config: dict[str, Any], done: Study, tmp_path: Path
) -> None:
    named = frozenset(done.energy("jobs")["user"].unique().sort()[2:])
    few = groups.Disclosure(minimum=3, named=named)
    study = finished(config, done, tmp_path, disclosure=few)
    with pytest.raises(
        InputError, match=r"privacy\.minimum_group: the study has 2 people who are not"
    ):
        folder.publish(study)
    assert not (tmp_path / "publication").exists()


def test_missing_results_are_refused_in_one_line(config: dict[str, Any], tmp_path: Path) -> None:
    study = publication.finished_study(config, tmp_path)
    message = r"results/energy/jobs\.parquet: there is no such file; run snakemake"
    with pytest.raises(InputError, match=message):
        folder.publish(study)
    assert list(tmp_path.iterdir()) == []


def test_results_say_that_they_are_for_the_team(done: Study) -> None:
    notice = "**For the team that runs this study.**"
    for name in ("README.md", "summary.md"):
        assert notice in (done.folder / "results" / name).read_text()
    assert (
        done.folder.joinpath("results/summary.md").read_text().split("\n\n")[2].startswith(notice)
    )
