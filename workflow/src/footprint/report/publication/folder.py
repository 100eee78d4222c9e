"""The folder `publication/`: written whole into another folder, then renamed."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from footprint.core.errors import InputError
from footprint.report import rendering, summary
from footprint.report.appendix import StudyScope
from footprint.report.publication import contents
from footprint.report.publication.frames import PublicFrames, public_frames
from footprint.report.publication.page import publication_page
from footprint.report.publication.study import FinishedStudy
from footprint.report.tables import formats

FOLDER: Final = "publication"
TITLE: Final = "# Publication of a study of energy use"
"""First line of the folder's README.md; a folder without it was not made by `footprint publish`."""

SUMMARY_NOTICE: Final = (
    "Published version: without single jobs and runs and their times. Numbers have at most three "
    "significant digits, so that parts need not add up to their sums."
)


def publish(study: FinishedStudy) -> tuple[Path, list[str]]:
    """Make the folder `publication/` of a finished study; returns it and what is withheld.

    An earlier publication is replaced. When something fails, it stays as it was.

    Raises:
        InputError: A table of the study is missing, it has too few people, or the folder exists and
            is not a publication.
    """
    target = study.folder / FOLDER
    _check_replaceable(target)
    frames = public_frames(study)
    made = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=study.folder))
    try:
        notes = _write_contents(made / "new", study, frames)
        if target.exists():
            target.rename(made / "old")
        (made / "new").rename(target)
    finally:
        shutil.rmtree(made)
    return target, notes


def _check_replaceable(target: Path) -> None:
    readme = target / "README.md"
    is_ours = readme.is_file() and readme.read_text(errors="replace").startswith(TITLE)
    if target.is_symlink() or (target.exists() and not is_ours):
        raise InputError(
            "the folder was not made by `footprint publish`, which would replace it",
            where=str(target),
            do="move or rename it",
        )


def _write_contents(folder: Path, study: FinishedStudy, public: PublicFrames) -> list[str]:
    for part in ("figures", "tables"):
        (folder / part).mkdir(parents=True)
    settings = _settings(study)
    notes = [f"{name}: {why}" for name, why in contents.WITHHELD.items()]
    notes += [f"{name}: {why}" for name, why in _missing_items(public).items()]
    if public.n_hidden:
        notes.append(
            f"{public.n_hidden} rows of queues, projects, people or papers: too few people who are "
            "not named in levels.users, by themselves or by subtraction"
        )
    shown: list[tuple[str, str, Path]] = []
    for item in _available(contents.FIGURES, public):
        drawn = contents.make(item, public.frames, settings)
        paths = [folder / f"figures/{item.name}.{form}" for form in ("svg", "pdf", "png")]
        # found by name: this module does not load the drawing library to be imported
        rendering.find_function("figures.style.save_figure")(drawn, paths)
        shown.append(("figure", item.name, paths[0]))
    for item in _available(contents.TABLES, public):
        table = public.printed.round_table(contents.make(item, public.frames, settings))
        paths_by_form = {
            form: folder / f"tables/{item.name}.{form}" for form in ("csv", "html", "tex")
        }
        formats.write_table(table, paths_by_form, provenance=study.provenance)
        shown.append(("table", item.name, paths_by_form["html"]))
    text = _summary(study, public.frames)
    page = publication_page(study, public.frames, shown, scope=_scope(study), notes=notes)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "README.md").write_text(_readme(study, notes), encoding="utf-8")
    _write_archive(folder)
    return notes


def _settings(study: FinishedStudy) -> dict[str, Any]:
    names = ("site", "start", "end", "provenance", "pue", "factors", "embodied", "redistribution")
    return {name: getattr(study, name) for name in names}


def _available(items: tuple[contents.Item, ...], public: PublicFrames) -> list[contents.Item]:
    return [item for item in items if public.frames.keys() >= set(item.frames.values())]


def _missing_items(public: PublicFrames) -> dict[str, str]:
    """Reason of each item that lacks a frame."""
    return {
        item.name: why
        for item in (*contents.FIGURES, *contents.TABLES)
        for frame, why in public.withheld.items()
        if frame in item.frames.values()
    }


def _scope(study: FinishedStudy) -> StudyScope:
    return StudyScope(site=study.site, simulated=study.simulated, start=study.start, end=study.end)


def _summary(study: FinishedStudy, frames: Mapping[str, pl.DataFrame]) -> str:
    findings = summary.StudyFindings(
        scope=_scope(study),
        levels=frames["levels"],
        node_energy=frames["nodes_by_cluster"],
        ratio=frames["phase_ratio"],
        sensitivities=frames["phase_sensitivities"],
    )
    return summary.summary_markdown(
        findings,
        frames["carbon"],
        None,
        pue=study.pue,
        factors=study.factors,
        provenance=study.provenance,
        notice=SUMMARY_NOTICE,
    )


def _readme(study: FinishedStudy, notes: list[str]) -> str:
    minimum = study.disclosure.minimum
    return "\n".join(
        [
            TITLE,
            "",
            study.provenance,
            "",
            "Made by `footprint publish` from the results of the study, for readers outside of the "
            "team. It contains no job ids, single runs, times of jobs, input files or logins.",
            "",
            f"- Groups of fewer than {minimum} people are not shown by name, nor do they follow by "
            "subtraction, except where all of them agreed to be shown.",
            "- Numbers have at most three significant digits, fewer where a row would fit a job, a "
            f"run or the sums of fewer than {minimum} people. Parts need not add up to their sums.",
            "- Times are whole UTC days, weeks or months.",
            "- `archive.zip` holds all other files.",
            "",
            "Withheld:",
            "",
            *(f"- {note}" for note in notes),
            "",
        ]
    )


def _write_archive(folder: Path) -> None:
    """Write all files of the folder into `archive.zip`; equal files give equal bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
