"""Readers' table of the energy of each phase and kind of run, of the site, projects and papers."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.report.tables.formats import Column, ReaderTable, total_columns
from footprint.report.wording import KIND_NAMES

SCOPE_ORDER = ("site", "project", "paper")
MOST_PRINTED_PAPERS = 5
"""Papers in the printed table, those with most energy."""
DIVISION_TEXTS = {"phase": "by phase", "kind": "by kind"}


def phase_energies_table(energies: pl.DataFrame) -> ReaderTable:
    """Energy of each phase and kind, with intervals that include the kinds of runs.

    Args:
        energies: `schemas.PhaseEnergies`.
    """
    scope, division = pl.col("scope"), pl.col("division")
    is_shown = (scope == "paper") & pl.col("name").is_in(_largest_papers(energies))
    rows = energies.sort(
        scope.cast(pl.Enum(SCOPE_ORDER)),
        "name",
        division.cast(pl.Enum(list(DIVISION_TEXTS))),
        maintain_order=True,
    ).with_columns(
        pl.format(
            "{}, {}",
            pl.when(scope == "site")
            .then(pl.format("Jobs of {}", "name"))
            .when(scope == "project")
            .then(pl.format("project {}", "name"))
            .otherwise("name"),
            division.replace_strict(DIVISION_TEXTS, return_dtype=pl.String),
        ).alias("group"),
        pl.col("part").replace(KIND_NAMES),
    )
    return ReaderTable(
        name="phase_energies",
        title="Energy of phases and of kinds of runs",
        note=(
            "Total energy, measured and estimated, of the runs found to be of the phase or kind. "
            "Low and high: 95 % intervals of the energy of all runs that are really of it, with "
            "the errors of meters and estimates, and with kinds drawn from the probabilities of "
            "the classifier, alike for the runs of one person and command. Runs of unknown kind "
            "are in the intervals of the others as well. Training and inference as phases are runs "
            "of the reported model alone, as kinds all trainings and all inference. Measured: part "
            "of the energy that readings cover; the rest is estimated."
        ),
        rows=rows,
        printed_rows=rows.filter((scope == "site") | (division == "phase") & is_shown),
        columns=[
            Column(name="part", header="Phase or kind"),
            Column(name="n_runs", header="Runs", decimals=0),
            *total_columns(),
        ],
    )


def _largest_papers(energies: pl.DataFrame) -> list[str]:
    """Names of the papers with most energy, at most `MOST_PRINTED_PAPERS`."""
    papers = energies.filter(pl.col("scope") == "paper", pl.col("division") == "phase")
    sums = papers.group_by("name").agg(sum_or_zero(pl.col("total_kwh")))
    return sums.sort("total_kwh", "name", descending=[True, False])["name"].to_list()[
        :MOST_PRINTED_PAPERS
    ]
