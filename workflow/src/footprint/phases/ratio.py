"""Divide the energy of development by that of training the reported model, by paper and project.

Energies are totals: measured plus estimated. Each ratio has a 95 % interval (`ratio_intervals`).
What a choice changes instead of chance is in the table of `sensitivities`.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, known_sum, quotient, sum_or_zero
from footprint.core.vocabulary import (
    KINDS,
    MEASURED_METHOD,
    MIN_COVERAGE_FRAC,
    NO_PROJECT,
    OTHERS,
    PHASES,
    SMALL_GROUPS,
    NameSelection,
)
from footprint.phases.reported_runs import count_uncertain

RATIO_DEFINITION = (
    "R = E_development / E_best_training: the total energy, measured and estimated, of all runs of "
    "the paper or project whose kind is known and that neither trained the reported model nor "
    "inferred with it, over that of all runs that trained the reported model."
)
"""Definition of R, printed with every ratio."""

NO_TRAINING_REASON = "no training known"
"""`ratio_reason` of groups in which no run is known to have trained the reported model."""

UNCOVERED_REASON = "labels do not cover all papers of the project"
"""`ratio_reason` of projects with unlabelled runs, or with a paper without a known training."""

UNCOMPUTED_REASONS = (NO_TRAINING_REASON, UNCOVERED_REASON)
"""Reasons of groups for which R is not defined; for all others, too little energy is known."""

SCOPES = ("paper", "project")
HOLDING_KINDS = ("idle_hold", "interactive")
"""Kinds whose idle energy is reported: these runs hold nodes for a person and not for a program."""

RATIO_PHASES = ("development", "training")
DRAWN_PHASES = (*RATIO_PHASES, "inference", "unknown")
"""Phases with an interval; uncertain kinds move energy between the first three."""

TIME_COLUMNS = ("held_s", "known_s")

GROUP_KEY = ["scope", "name"]
KIND_TYPE, PHASE_TYPE = pl.Enum(KINDS), pl.Enum(PHASES)

INTERVAL_COLUMNS = (
    *("ratio_low", "ratio_high"),
    *(f"{phase}_{end}_kwh" for phase in DRAWN_PHASES for end in ("low", "high")),
)


def compare_development_with_training(
    runs: pl.LazyFrame,
    *,
    levels: pl.LazyFrame,
    time: pl.LazyFrame,
    intervals: pl.LazyFrame | None = None,
    baseline: pl.LazyFrame | None = None,
    uncertain: pl.LazyFrame | None = None,
    papers_wanted: NameSelection = "all",
) -> pl.LazyFrame:
    """Total energies by phase and their ratio, for every paper and project in `schemas.Levels`.

    The energy of a phase is null where it has runs and none is known, and so is each number
    computed from it. Energies of training and inference are also null where no run is known to be
    of the phase: some run trained the model, but it is unknown which.

    A ratio is null where energy is neither measured nor estimated for more than
    1 - `MIN_COVERAGE_FRAC` of the time of one of its phases. Time is share x time held by the
    records of the jobs, inside and outside the study. The ratio of a project is also null unless
    labels cover its papers: runs of at least `MIN_COVERAGE_FRAC` of its energy are labelled with a
    paper, and each of these papers has a training of the reported model. `ratio_reason` is given
    where `ratio` is null. Where it is null, `ratio_all_unknown` and `baseline_ratio` are too.

    Args:
        runs: `schemas.Runs` with the column `paper` of the labels.
        levels: `schemas.Levels` of the same jobs, which define the groups.
        time: Result of `time_of_runs`.
        intervals: Result of `ratio_intervals.intervals_of_ratios`. None: no intervals.
        baseline: `run_id`, `phase` by the exit-state rule. None: no ratio by it.
        uncertain: Result of `reported_runs.uncertain_reported_runs`. None: no run is uncertain.
        papers_wanted: `levels.papers` of the configuration; other papers are left out, as in the
            levels.

    Returns:
        `schemas.PhaseRatio`: one row a group, sorted by scope and name. A ratio lies inside its
        interval, and so do the energies of the phases.
    """
    rows = rows_of_groups(runs, levels=levels, time=time, papers_wanted=papers_wanted)
    groups = _add_ratios(_sum_phases(rows).join(_coverage_by_labels(rows), on=GROUP_KEY))
    groups = count_uncertain(groups, rows, uncertain, GROUP_KEY)
    none = pl.lit(None, pl.Float64)
    baseline_ratios = groups.select(*GROUP_KEY, baseline_ratio=none)
    if baseline is not None:
        phases = baseline.select("run_id", "phase")
        varied = rows.drop("phase").join(phases, on="run_id")
        baseline_ratios = ratios_by(varied, GROUP_KEY).rename({"ratio": "baseline_ratio"})
    if intervals is None:
        intervals = groups.select(*GROUP_KEY, **dict.fromkeys(INTERVAL_COLUMNS, none))
    return (
        groups.join(intervals.select(*GROUP_KEY, *INTERVAL_COLUMNS), on=GROUP_KEY, how="left")
        .join(
            baseline_ratios.select(*GROUP_KEY, "baseline_ratio"),
            on=GROUP_KEY,
            how="left",
        )
        .with_columns(
            baseline_ratio=pl.when(pl.col("ratio").is_not_null()).then("baseline_ratio"),
            **_ends("ratio_low", "ratio_high", value="ratio"),
            **{
                name: end
                for phase in DRAWN_PHASES
                for name, end in _ends(
                    f"{phase}_low_kwh", f"{phase}_high_kwh", value=f"{phase}_kwh"
                ).items()
            },
        )
        .sort(GROUP_KEY)
    )


def _ends(low: str, high: str, *, value: str) -> dict[str, pl.Expr]:
    """Ends of an interval, widened to contain its value; null where the value is."""
    has_both = pl.col(value).is_not_null() & pl.col(low).is_not_null()
    return {
        low: pl.when(has_both).then(pl.min_horizontal(low, value)),
        high: pl.when(has_both & pl.col(high).is_not_null()).then(pl.max_horizontal(high, value)),
    }


def rows_of_groups(
    runs: pl.LazyFrame,
    *,
    levels: pl.LazyFrame,
    time: pl.LazyFrame,
    papers_wanted: NameSelection = "all",
) -> pl.LazyFrame:
    """Runs of each paper and project, with what their ratios are computed from.

    Args:
        runs: As in `compare_development_with_training`.
        levels: As in `compare_development_with_training`.
        time: As in `compare_development_with_training`.
        papers_wanted: As in `compare_development_with_training`.

    Returns:
        `run_id`, `scope`, `name`, `paper`, `kind`, `phase`, `role_basis`, `measured_kwh`,
        `estimated_kwh`, `total_kwh`, `idle_kwh`, `gpu_hours` and `TIME_COLUMNS`, sorted by scope,
        name and run.
    """
    return (
        groups_of_runs(runs, levels=levels, papers_wanted=papers_wanted)
        .join(runs, on="run_id")
        .join(time, on="run_id", how="left")
        .select(
            "run_id",
            *GROUP_KEY,
            "paper",
            pl.col("kind").cast(KIND_TYPE),
            pl.col("phase").cast(PHASE_TYPE),
            pl.col("role_basis").cast(pl.String),
            *("measured_kwh", "estimated_kwh", "total_kwh"),
            "idle_kwh",
            "gpu_hours",
            pl.col(TIME_COLUMNS).fill_null(0.0),
        )
        .sort(*GROUP_KEY, "run_id")
        .collect()
        .lazy()
    )


def time_of_runs(runs: pl.LazyFrame, of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Node time that the jobs of each run held by their records, and the part with known energy.

    Args:
        runs: `run_id`, `job_ids`.
        of_jobs: Result of `recorded_time.recorded_time_of_jobs`.

    Returns:
        `run_id`, `held_s` (share x time, in node seconds), `known_s`.
    """
    jobs = runs.select("run_id", job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    return (
        jobs.join(of_jobs, on="job_id")
        .group_by("run_id")
        .agg(sum_or_zero(pl.col(TIME_COLUMNS)))
        .sort("run_id")
    )


def _known_part(is_counted: pl.Expr) -> pl.Expr:
    """Part of the time of the counted runs with known energy; null where they held nothing."""
    held_s, known_s = (sum_or_zero(pl.col(name).filter(is_counted)) for name in TIME_COLUMNS)
    return quotient(known_s, held_s)


def is_enough(known_frac: pl.Expr) -> pl.Expr:
    """Whether enough of a phase is known for a ratio; true for a phase that held nothing."""
    return (known_frac >= MIN_COVERAGE_FRAC * (1 - 1e-9)).fill_null(True)


def groups_of_runs(
    runs: pl.LazyFrame, *, levels: pl.LazyFrame, papers_wanted: NameSelection = "all"
) -> pl.LazyFrame:
    """Papers and projects of each run that started.

    The groups are those of the levels: names that the levels merge, because few people are behind
    them, are merged here too, and names that they leave out are left out. A table with one group
    more would reveal that group by the difference.

    Args:
        runs: `run_id`, `paper`, `project`, `kind`.
        levels: `schemas.Levels`.
        papers_wanted: As in `compare_development_with_training`.

    Returns:
        `run_id`, `scope`, `name`, sorted by scope, name and run.
    """
    ran = runs.filter(pl.col("kind").is_not_null())
    of_papers = ran.drop_nulls("paper")
    if papers_wanted != "all":
        of_papers = of_papers.filter(pl.col("paper").is_in(sorted(papers_wanted)))
    project = pl.col("project").fill_null(NO_PROJECT)
    own = pl.concat(
        [
            of_papers.select("run_id", scope=pl.lit("paper"), group="paper"),
            ran.select("run_id", scope=pl.lit("project"), group=project),
        ]
    )
    of_levels = (
        levels.filter(pl.col("method") == MEASURED_METHOD)
        .select("name", scope=pl.col("level").cast(pl.String))
        .unique()
    )
    is_merged = pl.col("name").is_in([OTHERS, SMALL_GROUPS])
    merged = of_levels.filter(is_merged).group_by("scope").agg(merged=pl.col("name").min())
    return (
        own.join(
            of_levels.filter(~is_merged).with_columns(group="name"),
            on=["scope", "group"],
            how="left",
        )
        .join(merged, on="scope", how="left")
        .select("run_id", "scope", name=pl.coalesce("name", "merged"))
        .drop_nulls("name")
        .sort("scope", "name", "run_id")
    )


def _sum_phases(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Numbers of runs, energies and known parts by phase, of each group."""
    phase, basis, energy = pl.col("phase"), pl.col("role_basis"), pl.col("total_kwh")
    trained = phase == "training"
    return rows.group_by(GROUP_KEY).agg(
        pl.len().cast(pl.Int64).alias("n_runs"),
        exact_sum(basis == "label").cast(pl.Int64).alias("n_labelled"),
        pl.when((trained & (basis == "assumed")).any())
        .then(pl.lit("assumed"))
        .when(trained.any())
        .then(pl.lit("label"))
        .alias("role_basis"),
        *(known_sum(pl.col(name)) for name in ("measured_kwh", "estimated_kwh", "total_kwh")),
        *(
            known_sum(energy.filter(phase == name)).alias(f"{name}_kwh")
            for name in ("training", "inference")
        ),
        *(
            pl.when((phase == name).any())
            .then(known_sum(energy.filter(phase == name)))
            .otherwise(0.0)
            .alias(f"{name}_kwh")
            for name in ("development", "unknown")
        ),
        known_sum(pl.col("idle_kwh").filter(pl.col("kind").is_in(HOLDING_KINDS))).alias("idle_kwh"),
        sum_or_zero(pl.col("gpu_hours").filter(energy.is_null())).alias("unknown_gpu_h"),
        *(_measured_part(phase == name).alias(f"{name}_measured_frac") for name in RATIO_PHASES),
        *(_known_part(phase == name).alias(f"{name}_known_frac") for name in RATIO_PHASES),
        _known_part(phase.is_in(["development", "unknown"])).alias("with_unknown_known_frac"),
    )


def _measured_part(is_counted: pl.Expr) -> pl.Expr:
    """Measured part of the total energy of the counted runs; null where it is unknown or 0."""
    measured, total = (
        sum_or_zero(pl.col(name).filter(is_counted)) for name in ("measured_kwh", "total_kwh")
    )
    return quotient(measured, total).clip(0.0, 1.0)


def _coverage_by_labels(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Whether labels cover the papers of each group (`compare_development_with_training`).

    Returns:
        `scope`, `name`, `is_covered`; true for papers.
    """
    is_labelled = pl.col("paper").is_not_null()
    energy = pl.col("total_kwh")
    labelled = rows.group_by(GROUP_KEY).agg(
        labelled_frac=quotient(sum_or_zero(energy.filter(is_labelled)), sum_or_zero(energy)),
        has_paper=is_labelled.any(),
    )
    trained = (
        rows.filter(is_labelled)
        .group_by(*GROUP_KEY, "paper")
        .agg(is_trained=(pl.col("phase") == "training").any())
        .group_by(GROUP_KEY)
        .agg(pl.col("is_trained").all())
    )
    is_covered = (
        pl.col("has_paper")
        & is_enough(pl.col("labelled_frac"))
        & pl.col("is_trained").fill_null(False)
    )
    return labelled.join(trained, on=GROUP_KEY, how="left").select(
        *GROUP_KEY, is_covered=(pl.col("scope") == "paper") | is_covered
    )


def _add_ratios(groups: pl.LazyFrame) -> pl.LazyFrame:
    """Sums of `_sum_phases` with `ratio`, `ratio_reason` and `ratio_all_unknown`."""
    known = {phase: pl.col(f"{phase}_known_frac") for phase in RATIO_PHASES}
    lacks = {phase: ~is_enough(column) for phase, column in known.items()}
    development, training = pl.col("development_kwh"), pl.col("training_kwh")
    is_given = ~pl.any_horizontal(*lacks.values()) & pl.col("is_covered")
    all_unknown = quotient(development + pl.col("unknown_kwh"), training)
    # percentages are rounded down, so that no reason states the percentage that is needed
    lacking = pl.concat_str(
        *(
            pl.when(lacks[phase]).then(
                pl.format(f"{{}} % of {phase}", (100 * column + 1e-9).floor().cast(int))
            )
            for phase, column in known.items()
        ),
        separator=", ",
        ignore_nulls=True,
    )
    reason = (
        pl.when(pl.col("role_basis").is_null())
        .then(pl.lit(NO_TRAINING_REASON))
        .when(~pl.col("is_covered"))
        .then(pl.lit(UNCOVERED_REASON))
        .when(pl.any_horizontal(*lacks.values()))
        .then(lacking + " known")
        .when(development.is_null())
        .then(pl.lit("energy of development unknown"))
        .otherwise(pl.lit("energy of training unknown"))
    )
    return (
        groups.with_columns(
            ratio=pl.when(is_given).then(quotient(development, training)),
            ratio_all_unknown=pl.when(is_given & is_enough(pl.col("with_unknown_known_frac"))).then(
                all_unknown
            ),
        )
        .with_columns(ratio_reason=pl.when(pl.col("ratio").is_null()).then(reason))
        .drop("with_unknown_known_frac", "is_covered")
    )


def ratios_by(rows: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Development over training of each group; null where too little of one is known.

    Args:
        rows: `by`, `phase`, `total_kwh` and `TIME_COLUMNS`.
        by: Columns of the group.

    Returns:
        `by`, `ratio` (null: too little known, or no training), `is_known` (whether enough of both
        phases is).
    """
    phase, energy = pl.col("phase"), pl.col("total_kwh")
    return (
        rows.group_by(by)
        .agg(
            ratio=quotient(*(sum_or_zero(energy.filter(phase == name)) for name in RATIO_PHASES)),
            is_known=pl.all_horizontal(
                is_enough(_known_part(phase == name)) for name in RATIO_PHASES
            ),
        )
        .with_columns(ratio=pl.when("is_known").then("ratio"))
    )
