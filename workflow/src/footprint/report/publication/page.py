"""The page of a publication: that of the report, from public frames and without runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from footprint.report.appendix import StudyScope
from footprint.report.page import document, exhibits, scopes
from footprint.report.publication.study import FinishedStudy
from footprint.schemas.phases import PhaseEnergies

CAPTIONS = Path(exhibits.__file__).parents[1] / "captions"


def publication_page(
    study: FinishedStudy,
    frames: Mapping[str, pl.DataFrame],
    shown: Iterable[tuple[str, str, Path]],
    *,
    scope: StudyScope,
    notes: Sequence[str],
) -> str:
    """The page, which loads nothing.

    Args:
        study: The finished study.
        frames: Public frames by name.
        shown: Kind (`figure` or `table`), name and file of each published figure and table.
        scope: Site and days of the study.
        notes: What is withheld, and why.
    """
    tables = scopes.PageTables(
        levels=frames["levels"],
        ratio=frames["phase_ratio"],
        energies=frames.get("phase_energies", PhaseEnergies.create_empty()),
        carbon=frames["carbon"],
        uncertainty=frames["uncertainty"],
        runs=None,
    )
    page = scopes.page_scopes(tables, study=scope, factors=study.factors, pue=study.pue)
    params = {"pue": study.pue, "embodied": study.embodied}
    sections = exhibits.ordered_exhibits(
        (_exhibit(kind, name, path) for kind, name, path in shown), params=params
    )
    data = document.page_data(page, study=scope, runs=None)
    return document.page_html(data, sections, study=scope, provenance=study.provenance, notes=notes)


def _exhibit(kind: str, name: str, path: Path) -> dict[str, str]:
    caption = CAPTIONS / f"{name}{'_table' if kind == 'table' else ''}.rst"
    shows = name.replace("_", " ")
    return {
        "kind": kind,
        "name": name,
        "shows": shows,
        "caption": str(caption),
        "path": str(path),
    }
