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
_DEVELOPMENT_OVER_TRAINING = quotient(pl.col("development"), pl.col("training"))


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
    shown = groups_of_runs(runs, levels=levels, papers_wanted=papers_wanted).collect().lazy()
    time = time.collect().lazy()
    rows = (
        shown.join(runs, on="run_id")
        .join(time, on="run_id", how="left")
        .with_columns(pl.col(TIME_COLUMNS).fill_null(0.0))
    ).select(
        "run_id",
        *_KEY,
        pl.col("kind").cast(_KIND_TYPE),
        pl.col("phase").cast(_PHASE_TYPE),
        pl.col("role_basis").cast(pl.String),
        "energy_kwh",
        "idle_kwh",
        "gpu_hours",
        *TIME_COLUMNS,
    )
    development, training = pl.col("development_kwh"), pl.col("training_kwh")
    are_both_measured = _is_measured("development_coverage_frac") & _is_measured(
        "training_coverage_frac"
    )
    are_all_measured = are_both_measured & _is_measured("with_unknown_coverage_frac")
    all_unknown = quotient(development + pl.col("unknown_kwh"), training)
    groups = _sum_phases(rows).with_columns(
        ratio=pl.when(are_both_measured).then(quotient(development, training)),
        ratio_all_unknown=pl.when(are_all_measured).then(all_unknown),
    )
    groups = groups.with_columns(
        ratio_reason=pl.when(pl.col("ratio").is_null()).then(_ratio_reason())
    ).drop("with_unknown_coverage_frac")
    return (
        groups.join(
            _ratio_ranges(groups, runs, shown, labelled, time, variants), on=_KEY, how="left"
        )
        .join(_baseline_ratios(rows, baseline), on=_KEY, how="left")
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


def _is_measured(coverage: str) -> pl.Expr:
    """Whether enough of a phase is measured for a ratio; true for a phase that held nothing."""
    return (pl.col(coverage) >= MIN_COVERAGE_FRAC * (1 - 1e-9)).fill_null(True)


def _ratio_reason() -> pl.Expr:
    """Reason for which a group has no ratio; percentages are rounded down."""
    columns = {phase: f"{phase}_coverage_frac" for phase in RATIO_PHASES}
    percent = {
        phase: (100 * pl.col(column) + 1e-9).floor().cast(pl.Int64)
        for phase, column in columns.items()
    }
    lacks_development, lacks_training = (~_is_measured(column) for column in columns.values())
    return (
        pl.when(pl.col("role_basis").is_null())
        .then(pl.lit(NO_TRAINING_REASON))
        .when(lacks_development & lacks_training)
        .then(pl.format("{} % of development, {} % of training measured", *percent.values()))
        .when(lacks_training)
        .then(pl.format("{} % of training measured", percent["training"]))
        .when(lacks_development)
        .then(pl.format("{} % of development measured", percent["development"]))
        .when(pl.col("development_kwh").is_null())
        .then(pl.lit("development not measured"))
        .otherwise(pl.lit("training without measured energy"))
    )


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
    of_scope = pl.col("level").cast(pl.String).is_in(SCOPES)
    named = (
        levels.filter(of_scope, pl.col("method") == MEASURED_METHOD)
        .select("level", "name")
        .collect()
    )
    ran = runs.filter(pl.col("kind").is_not_null())
    groups = {"paper": pl.col("paper"), "project": pl.col("project").fill_null(NO_PROJECT)}
    rows = []
    for scope, group in groups.items():
        names = set(named.filter(pl.col("level").cast(pl.String) == scope)["name"])
        rest = sorted(names & {OTHERS, SMALL_GROUPS})
        own = sorted(names - {OTHERS, SMALL_GROUPS})
        # Every run has a project, so that unlisted projects are among the others. Papers that are
        # not wanted are left out.
        is_merged = (
            pl.lit(True)
            if scope == "project" or papers_wanted == "all"
            else group.is_in(sorted(papers_wanted))
        )
        name = (
            pl.when(group.is_in(own))
            .then(group)
            .when(group.is_not_null() & is_merged)
            .then(pl.lit(rest[0] if rest else None, pl.String))
        )
        rows.append(ran.select("run_id", pl.lit(scope).alias("scope"), name.alias("name")))
    return pl.concat(rows).drop_nulls("name").sort("scope", "name", "run_id")


def _sum_phases(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Numbers of runs, energies and coverage by phase, of each group."""
    phase, basis, energy = pl.col("phase"), pl.col("role_basis"), pl.col("energy_kwh")
    trained = phase == "training"
    return rows.group_by(_KEY).agg(
        pl.len().cast(pl.Int64).alias("n_runs"),
        exact_sum(basis == "label").cast(pl.Int64).alias("n_labelled"),
        pl.when((trained & (basis == "assumed")).any())
        .then(pl.lit("assumed"))
        .when(trained.any())
        .then(pl.lit("label"))
        .alias("role_basis"),
        known_sum(energy).alias("energy_kwh"),
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


def _baseline_ratios(rows: pl.LazyFrame, baseline: pl.LazyFrame | None) -> pl.LazyFrame:
    """Development over training by the phases of the exit-state rule, of each group."""
    if baseline is None:
        return pl.LazyFrame(
            schema=dict.fromkeys(_KEY, pl.String()) | {"baseline_ratio": pl.Float64()}
        )
    phase, energy = pl.col("baseline_phase"), pl.col("energy_kwh")
    return (
        rows.join(baseline.select("run_id", baseline_phase="phase"), on="run_id")
        .group_by(_KEY)
        .agg(_energy_and_time_sums(phase, energy))
        .select(
            *_KEY,
            pl.when(_are_both_measured()).then(_DEVELOPMENT_OVER_TRAINING).alias("baseline_ratio"),
        )
    )


def _energy_and_time_sums(phase: pl.Expr, energy: pl.Expr) -> list[pl.Expr]:
    """Energy (`{phase}`) and time (`{phase}_held_s`, `_measured_s`) of each phase of a ratio."""
    return [
        sum_or_zero(values.filter(phase == name)).alias(f"{name}{suffix}")
        for name in RATIO_PHASES
        for suffix, values in [
            ("", energy),
            *((f"_{column}", pl.col(column)) for column in TIME_COLUMNS),
        ]
    ]


def _are_both_measured() -> pl.Expr:
    """Whether enough of both phases of `_energy_and_time_sums` is measured for a ratio."""
    least_frac = MIN_COVERAGE_FRAC * (1 - 1e-9)
    return pl.all_horizontal(
        pl.col(f"{phase}_measured_s") >= least_frac * pl.col(f"{phase}_held_s")
        for phase in RATIO_PHASES
    )


def _ratio_ranges(
    groups: pl.LazyFrame,
    runs: pl.LazyFrame,
    shown: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame | None,
) -> pl.LazyFrame:
    """Lowest and highest ratio over the variants and the given thresholds, of groups with a ratio.

    Null where too little of a phase is measured in one of the variants.
    """
    if variants is None:
        none = pl.lit(None, pl.Float64)
        return groups.select(*_KEY, none.alias("ratio_low"), none.alias("ratio_high"))
    ratio = pl.col("ratio")
    return (
        groups.filter(ratio.is_not_null())
        .join(_variant_ranges(runs, shown, labelled, time, variants), on=_KEY, how="left")
        .with_columns(pl.col("is_open", "is_partly_measured").fill_null(False))
        .select(
            *_KEY,
            pl.when(~pl.col("is_partly_measured"))
            .then(pl.min_horizontal("ratio", "low"))
            .alias("ratio_low"),
            pl.when(pl.col("is_open") | pl.col("is_partly_measured"))
            .then(None)
            .otherwise(pl.max_horizontal("ratio", "high"))
            .alias("ratio_high"),
        )
    )


def _variant_ranges(
    runs: pl.LazyFrame,
    shown: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame,
) -> pl.LazyFrame:
    """Range of the ratio over the variants that change a kind, of each group.

    Most runs keep their kind under all thresholds, and are summed once instead of once a variant.
    Phases of the other runs, and of trainings that may be assumed to be the reported one, are
    assigned anew in each variant.

    Returns:
        `scope`, `name`, `low`, `high`, `is_open` (some variant has no training) and
        `is_partly_measured` (too little of a phase is measured in some variant).
    """
    inputs = roles.role_inputs(runs, labelled).collect().lazy()
    is_labelled = pl.col("label_kind").is_not_null() | pl.col("label_phase").is_not_null()
    changed = (
        variants.select("run_id", "variant", pl.col("kind").cast(_KIND_TYPE).alias("varied_kind"))
        .join(inputs.filter(~is_labelled).select("run_id", "kind"), on="run_id")
        .filter(pl.col("varied_kind") != pl.col("kind"))
        .drop("kind")
        .collect()
        .lazy()
    )
    unchanged = inputs.join(changed, on="run_id", how="anti")
    varying = pl.concat(
        [changed.select("run_id"), roles.assumed_trainings(unchanged).select("run_id")]
    ).unique()
    phases = roles.add_roles_and_phases(
        inputs.join(varying, on="run_id", how="semi")
        .join(changed.select("variant").unique(), how="cross")
        .join(changed, on=["run_id", "variant"], how="left")
        .with_columns(pl.coalesce("varied_kind", "kind").alias("kind")),
        over=["variant"],
    ).select("run_id", "variant", "phase", "energy_kwh")
    sums = _energy_and_time_sums(pl.col("phase"), pl.col("energy_kwh"))
    names = [expression.meta.output_name() for expression in sums]
    constant_sums = (
        shown.join(varying, on="run_id", how="anti")
        .join(runs.select("run_id", pl.col("phase").cast(_PHASE_TYPE), "energy_kwh"), on="run_id")
        .join(time, on="run_id", how="left")
        .group_by(_KEY)
        .agg(sums)
    )
    return (
        shown.join(phases, on="run_id")
        .join(time, on="run_id", how="left")
        .group_by([*_KEY, "variant"])
        .agg(sums)
        .join(constant_sums, on=_KEY, how="left", suffix="_constant")
        .with_columns(pl.col(name) + pl.col(f"{name}_constant").fill_null(0.0) for name in names)
        .select(*_KEY, ratio=_DEVELOPMENT_OVER_TRAINING, is_measured=_are_both_measured())
        .group_by(_KEY)
        .agg(
            pl.col("ratio").min().alias("low"),
            pl.col("ratio").max().alias("high"),
            pl.col("ratio").is_null().any().alias("is_open"),
            (~pl.col("is_measured")).any().alias("is_partly_measured"),
        )
    )
