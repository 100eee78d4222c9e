"""Divide the energy of development by that of training the reported model, by paper and project.

Three limits accompany each ratio: its range over other thresholds of the rules, its value if every
run of unknown kind were development, and whether labels or an assumption name the training.
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
from footprint.phases import roles

RATIO_DEFINITION = (
    "R = E_development / E_best_training: the measured energy of all runs of the paper or project "
    "whose kind is known and that neither trained the reported model nor inferred with it, over "
    "that of all runs that trained the reported model."
)
"""Definition of R, printed with every ratio."""

NO_TRAINING_REASON = "no training known"
"""`ratio_reason` of groups in which no run is known to have trained the reported model."""

SCOPES = ("paper", "project")
HOLDING_KINDS = ("idle_hold", "interactive")
"""Kinds whose idle energy is reported: these runs hold nodes for a person and not for a program."""

RATIO_PHASES = ("development", "training")
TIME_COLUMNS = ("held_s", "measured_s")

_KEY = ["scope", "name"]
_KIND_TYPE, _PHASE_TYPE = pl.Enum(KINDS), pl.Enum(PHASES)


def compare_development_with_training(
    runs: pl.LazyFrame,
    *,
    levels: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame | None = None,
    baseline: pl.LazyFrame | None = None,
    papers_wanted: NameSelection = "all",
) -> pl.LazyFrame:
    """Energies by phase and their ratio, for every paper and project in `schemas.Levels`.

    The energy of a phase is null where it has runs and none is measured, and so is each number
    computed from it. Energies of training and inference are also null where no run is known to be
    of the phase: some run trained the model, but it is unknown which.

    A ratio is null where less than `MIN_COVERAGE_FRAC` of the time of one of its phases is
    measured. Time is share x time held by the records of the jobs, inside and outside the study.
    `ratio_reason` is given where `ratio` is null. The same condition holds for `ratio_all_unknown`
    and `baseline_ratio` (with its own phases). A range that would include such a ratio is null.

    Args:
        runs: `schemas.Runs` with the column `paper` of the labels.
        levels: `schemas.Levels` of the same jobs, which define the groups.
        labelled: `run_id`, `kind`, `role`, `phase`, as given to `roles.assign_roles`.
        time: Result of `time_of_runs`.
        variants: `run_id`, `variant`, `kind` under other thresholds, at least for the runs of
            `groups_of_runs`. Labels are the same in every variant, assumptions are made anew in
            each.
            None: no range.
        baseline: `run_id`, `phase` by the exit-state rule. None: no ratio by it.
        papers_wanted: `levels.papers` of the configuration; other papers are left out, as in the
            levels.

    Returns:
        `schemas.PhaseRatio`: one row a group, sorted by scope and name. Where `ratio_low` is given
        and `ratio_high` is not, some thresholds leave no training of the reported model, so that
        there is no upper end. `unmeasured_gpu_h` are the GPU hours of runs without measured energy.
    """
    rows = (
        groups_of_runs(runs, levels=levels, papers_wanted=papers_wanted)
        .join(runs, on="run_id")
        .join(time, on="run_id", how="left")
        .select(
            "run_id",
            *_KEY,
            pl.col("kind").cast(_KIND_TYPE),
            pl.col("phase").cast(_PHASE_TYPE),
            pl.col("role_basis").cast(pl.String),
            "measured_kwh",
            "idle_kwh",
            "gpu_hours",
            pl.col(TIME_COLUMNS).fill_null(0.0),
        )
        .collect()
        .lazy()
    )
    groups = _add_ratios(_sum_phases(rows))
    none = pl.lit(None, pl.Float64)
    ranges = groups.select(*_KEY, ratio_low=none, ratio_high=none)
    if variants is not None:
        of_variants = _ratios_of_variants(rows, roles.role_inputs(runs, labelled), variants)
        ranges = _ratio_ranges(groups, of_variants)
    baseline_ratios = groups.select(*_KEY, baseline_ratio=none)
    if baseline is not None:
        phases = baseline.select("run_id", "phase")
        baseline_ratios = (
            _ratios(rows.drop("phase").join(phases, on="run_id"), by=_KEY)
            .filter("is_measured")
            .select(*_KEY, baseline_ratio="ratio")
        )
    return (
        groups.join(ranges, on=_KEY, how="left")
        .join(baseline_ratios, on=_KEY, how="left")
        .sort(_KEY)
    )


def time_of_runs(runs: pl.LazyFrame, of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Node time that the jobs of each run held by their records, and its measured part.

    Args:
        runs: `run_id`, `job_ids`.
        of_jobs: Result of `recorded_time.recorded_time_of_jobs`.

    Returns:
        `run_id`, `held_s` (share x time, in node seconds), `measured_s`.
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


def _coverage(is_counted: pl.Expr) -> pl.Expr:
    """Measured share of the time of the counted runs; null where they held nothing."""
    held_s, measured_s = (sum_or_zero(pl.col(name).filter(is_counted)) for name in TIME_COLUMNS)
    return quotient(measured_s, held_s)


def _is_measured(coverage_frac: pl.Expr) -> pl.Expr:
    """Whether enough of a phase is measured for a ratio; true for a phase that held nothing."""
    return (coverage_frac >= MIN_COVERAGE_FRAC * (1 - 1e-9)).fill_null(True)


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
    """Numbers of runs, energies and coverage by phase, of each group."""
    phase, basis, energy = pl.col("phase"), pl.col("role_basis"), pl.col("measured_kwh")
    trained = phase == "training"
    return rows.group_by(_KEY).agg(
        pl.len().cast(pl.Int64).alias("n_runs"),
        exact_sum(basis == "label").cast(pl.Int64).alias("n_labelled"),
        pl.when((trained & (basis == "assumed")).any())
        .then(pl.lit("assumed"))
        .when(trained.any())
        .then(pl.lit("label"))
        .alias("role_basis"),
        known_sum(energy).alias("measured_kwh"),
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
        sum_or_zero(pl.col("gpu_hours").filter(energy.is_null())).alias("unmeasured_gpu_h"),
        *(_coverage(phase == name).alias(f"{name}_coverage_frac") for name in RATIO_PHASES),
        _coverage(phase.is_in(["development", "unknown"])).alias("with_unknown_coverage_frac"),
    )


def _add_ratios(groups: pl.LazyFrame) -> pl.LazyFrame:
    """Sums of `_sum_phases` with `ratio`, `ratio_reason` and `ratio_all_unknown`."""
    coverage = {phase: pl.col(f"{phase}_coverage_frac") for phase in RATIO_PHASES}
    lacks = {phase: ~_is_measured(column) for phase, column in coverage.items()}
    development, training = pl.col("development_kwh"), pl.col("training_kwh")
    all_unknown = quotient(development + pl.col("unknown_kwh"), training)
    is_measured = ~pl.any_horizontal(*lacks.values())
    # percentages are rounded down, so that no reason states the percentage that is needed
    lacking = pl.concat_str(
        *(
            pl.when(lacks[phase]).then(
                pl.format(f"{{}} % of {phase}", (100 * column + 1e-9).floor().cast(pl.Int64))
            )
            for phase, column in coverage.items()
        ),
        separator=", ",
        ignore_nulls=True,
    )
    reason = (
        pl.when(pl.col("role_basis").is_null())
        .then(pl.lit(NO_TRAINING_REASON))
        .when(~is_measured)
        .then(lacking + " measured")
        .when(development.is_null())
        .then(pl.lit("development not measured"))
        .otherwise(pl.lit("training without measured energy"))
    )
    return (
        groups.with_columns(
            ratio=pl.when(is_measured).then(quotient(development, training)),
            ratio_all_unknown=pl.when(
                is_measured & _is_measured(pl.col("with_unknown_coverage_frac"))
            ).then(all_unknown),
        )
        .with_columns(ratio_reason=pl.when(pl.col("ratio").is_null()).then(reason))
        .drop("with_unknown_coverage_frac")
    )


def _ratios(rows: pl.LazyFrame, *, by: list[str]) -> pl.LazyFrame:
    """Development over training of each group, and whether enough of both is measured for it.

    Args:
        rows: `by`, `phase`, `measured_kwh` and `TIME_COLUMNS`.
        by: Columns of the group.

    Returns:
        `by`, `ratio` (null: no measured training), `is_measured`.
    """
    phase, energy = pl.col("phase"), pl.col("measured_kwh")
    return rows.group_by(by).agg(
        ratio=quotient(*(sum_or_zero(energy.filter(phase == name)) for name in RATIO_PHASES)),
        is_measured=pl.all_horizontal(
            _is_measured(_coverage(phase == name)) for name in RATIO_PHASES
        ),
    )


def _ratios_of_variants(
    rows: pl.LazyFrame, inputs: pl.LazyFrame, variants: pl.LazyFrame
) -> pl.LazyFrame:
    """Ratios (`_ratios`) of each group by `variant`, for the variants that change a kind.

    Phases are assigned anew to the runs whose kind changes in some variant, and to the trainings
    that may then be assumed to be the reported one. All other runs, which are nearly all, are
    summed once instead of once a variant.

    Args:
        rows: Runs of each group, with the columns of `_ratios`.
        inputs: Result of `roles.role_inputs` for all runs.
        variants: As for `compare_development_with_training`.
    """
    inputs = inputs.collect().lazy()
    is_labelled = pl.col("label_kind").is_not_null() | pl.col("label_phase").is_not_null()
    changed = (
        variants.select("run_id", "variant", varied_kind=pl.col("kind").cast(_KIND_TYPE))
        .join(inputs.filter(~is_labelled).select("run_id", "kind"), on="run_id")
        .filter(pl.col("varied_kind") != pl.col("kind"))
        .drop("kind")
        .collect()
        .lazy()
    )
    candidates = roles.assumed_trainings(inputs.join(changed, on="run_id", how="anti"))
    varying = pl.concat([changed.select("run_id"), candidates.select("run_id")]).unique()
    changing_variants = changed.select("variant").unique()
    assigned = roles.add_roles_and_phases(
        inputs.join(varying, on="run_id", how="semi")
        .join(changing_variants, how="cross")
        .join(changed, on=["run_id", "variant"], how="left")
        .with_columns(kind=pl.coalesce("varied_kind", "kind")),
        over=["variant"],
    ).select("run_id", "variant", "phase")
    constant = (
        rows.join(varying, on="run_id", how="anti")
        .group_by(*_KEY, "phase")
        .agg(sum_or_zero(pl.col("measured_kwh", *TIME_COLUMNS)))
        .join(changing_variants, how="cross")
    )
    varied = rows.drop("phase").join(assigned, on="run_id")
    together = [varied.select(constant.collect_schema().names()), constant]
    return _ratios(pl.concat(together), by=[*_KEY, "variant"])


def _ratio_ranges(groups: pl.LazyFrame, of_variants: pl.LazyFrame) -> pl.LazyFrame:
    """Lowest and highest ratio over the variants and the given thresholds, of groups with a ratio.

    Both are null where too little of a phase is measured in some variant; the highest ratio is null
    where some variant has no training.
    """
    columns = [*_KEY, "ratio", "is_measured"]
    given = groups.drop_nulls("ratio").with_columns(is_measured=True).select(columns)
    ratio, is_measured = pl.col("ratio"), pl.col("is_measured").all()
    return (
        pl.concat([given, of_variants.select(columns).join(given, on=_KEY, how="semi")])
        .group_by(_KEY)
        .agg(
            ratio_low=pl.when(is_measured).then(ratio.min()),
            ratio_high=pl.when(is_measured & ratio.is_not_null().all()).then(ratio.max()),
        )
    )
