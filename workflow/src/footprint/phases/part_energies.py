"""Energy of each phase and of each kind, of the site, its projects and its papers, with intervals.

The draws are those of R (`ratio_intervals`): errors of meters and estimates, and kinds of runs from
their probabilities, which are correlated within one person and command.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum
from footprint.phases import ratio
from footprint.phases.energies import ENERGY_COLUMNS, StudyErrors
from footprint.phases.kind_moves import DRAWN_KINDS, moves_between_kinds
from footprint.phases.ratio_intervals import amounts_of_parts, moves_of_kinds, uncertain_kinds
from footprint.totals.group_parts import Moves, intervals_of_parts
from footprint.totals.job_totals import measured_fraction

DIVISIONS = {"phase": ratio.DRAWN_PHASES, "kind": DRAWN_KINDS}
"""Parts into which the energy of a group is divided, by the name of the division."""

PART_SCOPES = ("site", "project", "paper")
ASSIGNED_PHASES = ("training", "inference")
"""Phases whose energy is unknown where no run is known to be of them (`ratio`)."""

_KEY = [*ratio.GROUP_KEY, "part"]


def energies_of_parts(
    rows: pl.LazyFrame,
    runs: pl.LazyFrame,
    *,
    labelled: pl.LazyFrame,
    jobs: pl.LazyFrame,
    errors: StudyErrors,
    site: str,
) -> pl.DataFrame:
    """Energy of each phase and of each kind, with 95 % intervals.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        runs: `schemas.Runs` with the column `paper` of the labels.
        labelled: `run_id`, `kind`, `role`, `phase`, from `roles.labels_of_runs`.
        jobs: `schemas.Jobs`.
        errors: Nodes of the jobs and errors of the study.
        site: Name of the site.

    Returns:
        `schemas.PhaseEnergies`, sorted by scope, name, division and in the order of `DIVISIONS`.
        Parts of a group without runs have a row where uncertain kinds move energy there.
    """
    columns = (*ratio.GROUP_KEY, "run_id", "kind", "phase", *ENERGY_COLUMNS)
    of_site = runs.filter(pl.col("kind").is_not_null()).with_columns(
        scope=pl.lit("site"), name=pl.lit(site), kind=pl.col("kind").cast(ratio.KIND_TYPE)
    )
    of_site = of_site.with_columns(phase=pl.col("phase").cast(ratio.PHASE_TYPE))
    both = pl.concat([rows.select(columns), of_site.select(columns)]).collect().lazy()
    moves: dict[str, Moves] = {
        "phase": moves_of_kinds(both, runs, labelled, jobs),
        "kind": moves_between_kinds(both, labelled, uncertain_kinds(runs, jobs)),
    }
    found = [
        _energies_of_division(both, runs, errors, division, moves[division])
        for division in DIVISIONS
    ]
    order = {part: number for parts in DIVISIONS.values() for number, part in enumerate(parts)}
    return pl.concat(found).sort(
        pl.col("scope").cast(pl.Enum(PART_SCOPES)),
        "name",
        pl.col("division").cast(pl.Enum(list(DIVISIONS))),
        pl.col("part").replace_strict(order, return_dtype=pl.Int64),
    )


def _energies_of_division(
    rows: pl.LazyFrame, runs: pl.LazyFrame, errors: StudyErrors, division: str, moves: Moves
) -> pl.DataFrame:
    parts = rows.with_columns(part=pl.col(division).cast(pl.String)).drop_nulls("part")
    sums = (
        parts.sort(*_KEY, "run_id")
        .group_by(_KEY, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("n_runs"),
            *(known_sum(pl.col(name)) for name in ENERGY_COLUMNS),
        )
        .collect()
    )
    amounts = amounts_of_parts(parts, runs, errors, "part")
    ends = intervals_of_parts(
        amounts, errors.model, side="part", over=DIVISIONS[division], moves=moves
    )
    # nothing was found of these, and energy moves there in some draws
    empty = ends.join(sums, on=_KEY, how="anti").filter(~pl.col("part").is_in(ASSIGNED_PHASES))
    nothing = empty.select(
        *_KEY,
        n_runs=pl.lit(0, pl.Int64),
        measured_kwh=pl.lit(None, pl.Float64),
        estimated_kwh=pl.lit(None, pl.Float64),
        total_kwh=pl.lit(0.0),
    )
    total = pl.col("total_kwh")
    has_ends = total.is_not_null() & pl.col("total_low_kwh").is_not_null()
    return (
        pl.concat([sums, nothing])
        .join(ends, on=_KEY, how="left")
        .with_columns(
            division=pl.lit(division),
            measured_frac=measured_fraction(),
            total_low_kwh=pl.when(has_ends).then(pl.min_horizontal("total_low_kwh", total)),
            total_high_kwh=pl.when(has_ends).then(pl.max_horizontal("total_high_kwh", total)),
        )
        .select(
            *ratio.GROUP_KEY,
            *("division", "part", "n_runs", *ENERGY_COLUMNS),
            *("total_low_kwh", "total_high_kwh", "measured_frac"),
        )
    )
