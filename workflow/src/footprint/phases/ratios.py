"""What development cost beside the training of the reported model, by paper and by project.

Three doubts stand beside each ratio: its range over other thresholds of the rules, its bound where
all that is unknown was development, and whether labels or an assumption name the reported model.
"""

from __future__ import annotations

import polars as pl

from footprint.levels import METHOD, NO_PROJECT, OTHERS, SMALL_GROUPS, Wanted
from footprint.phases import roles
from footprint.summation import exact_sum, known_sum, quotient, total
from footprint.tables import KINDS, PHASES
from footprint.vocabulary import LEAST_MEASURED_FRAC

DEFINITION = (
    "R = E_development / E_best_training: the measured energy of all runs of the paper or project "
    "whose kind is known and that neither trained the reported model nor inferred with it, over "
    "that of all runs that trained the reported model."
)
"""Printed wherever a ratio is: development over training means nothing without it."""

NO_TRAINING = "no training known"
"""`ratio_reason` where no run is known to have trained the reported model."""

SCOPES = ("paper", "project")
HOLDS = ("idle_hold", "interactive")
"""Kinds whose time at idle power is told apart: nodes kept for a person, not for a program."""

_KEY = ["scope", "name"]
_KIND, _PHASE = pl.Enum(KINDS), pl.Enum(PHASES)


def ratios(
    runs: pl.LazyFrame,
    *,
    levels: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame | None = None,
    baseline: pl.LazyFrame | None = None,
    papers_wanted: Wanted = "all",
) -> pl.LazyFrame:
    """`tables.PhaseRatio` of every paper and project that `tables.Levels` shows.

    A phase of which there are runs and none was measured has no energy (null), and what is computed
    from it is null as well. Training and inference are null where no run is known to be it: some
    run trained the model, but nobody says which.

    A ratio is null where less than `LEAST_MEASURED_FRAC` of the time of either of its sides was
    measured: share x time that the jobs held by their records, inside the study and outside it.
    `ratio_reason` is not null where `ratio` is null. The same holds for `ratio_all_unknown`, for
    `baseline_ratio` (by its own phases), and for the range, which is null where it would include
    such a ratio.

    Args:
        runs: `tables.Runs`, and `paper`, as labels have it.
        levels: `tables.Levels` of the same jobs: who has a row there has one here.
        labelled: `run_id`, `kind`, `role`, `phase`, as `roles.assign` had them.
        time: Result of `time_of_runs`.
        variants: `run_id`, `variant`, `kind` by other thresholds; those of the runs of `members`
            are enough. What labels say does not vary, what is assumed is assumed anew in each
            variant. None: no range.
        baseline: `run_id`, `phase` by the exit-state rule. None: no ratio by it.
        papers_wanted: `levels.papers` of the configuration: others are left out, as in the levels.

    Returns:
        A row each, sorted by scope and name. `ratio_low` without `ratio_high` says that by some
        thresholds no training of the reported model is left, so that there is no upper end.
        `unmeasured_gpu_h` are the GPU hours of runs without any measured energy.
    """
    shown = members(runs, levels=levels, papers_wanted=papers_wanted).collect().lazy()
    time = time.collect().lazy()
    rows = (
        shown.join(runs, on="run_id")
        .join(time, on="run_id", how="left")
        .with_columns(pl.col(TIME).fill_null(0.0))
    ).select(
        "run_id",
        *_KEY,
        pl.col("kind").cast(_KIND),
        pl.col("phase").cast(_PHASE),
        pl.col("role_basis").cast(pl.String),
        "energy_kwh",
        "idle_kwh",
        "gpu_hours",
        *TIME,
    )
    development, training = pl.col("development_kwh"), pl.col("training_kwh")
    both = _is_measured("development_coverage_frac") & _is_measured("training_coverage_frac")
    widest = both & _is_measured("with_unknown_coverage_frac")
    all_unknown = quotient(development + pl.col("unknown_kwh"), training)
    found = _sums(rows).with_columns(
        ratio=pl.when(both).then(quotient(development, training)),
        ratio_all_unknown=pl.when(widest).then(all_unknown),
    )
    found = found.with_columns(
        ratio_reason=pl.when(pl.col("ratio").is_null()).then(_reason())
    ).drop("with_unknown_coverage_frac")
    return (
        found.join(_ranges(found, runs, shown, labelled, time, variants), on=_KEY, how="left")
        .join(_by_baseline(rows, baseline), on=_KEY, how="left")
        .sort(_KEY)
    )


TIME = ("held_s", "measured_s")


def time_of_runs(runs: pl.LazyFrame, of_jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Node time that the jobs of each run held by their records, and the measured part of it.

    Args:
        runs: `run_id`, `job_ids`.
        of_jobs: Result of `recorded_time.of_jobs`.

    Returns:
        `run_id`, `held_s` (share x time, in node seconds), `measured_s`.
    """
    jobs = runs.select("run_id", job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    return (
        jobs.join(of_jobs, on="job_id").group_by("run_id").agg(total(pl.col(TIME))).sort("run_id")
    )


def _coverage(counts: pl.Expr) -> pl.Expr:
    """Measured part of the time of the runs that count; null where they held nothing."""
    held_s, measured_s = (total(pl.col(name).filter(counts)) for name in TIME)
    return quotient(measured_s, held_s)


def _is_measured(coverage: str) -> pl.Expr:
    """Whether a ratio may rest on a side; one that held nothing has nothing unmeasured."""
    return (pl.col(coverage) >= LEAST_MEASURED_FRAC * (1 - 1e-9)).fill_null(True)


def _reason() -> pl.Expr:
    """Why a group has no ratio; percentages are rounded down."""
    sides = {name: f"{name}_coverage_frac" for name in ("development", "training")}
    percent = {name: (100 * pl.col(of) + 1e-9).floor().cast(pl.Int64) for name, of in sides.items()}
    development, training = (~_is_measured(of) for of in sides.values())
    return (
        pl.when(pl.col("role_basis").is_null())
        .then(pl.lit(NO_TRAINING))
        .when(development & training)
        .then(pl.format("{} % of development, {} % of training measured", *percent.values()))
        .when(training)
        .then(pl.format("{} % of training measured", percent["training"]))
        .when(development)
        .then(pl.format("{} % of development measured", percent["development"]))
        .when(pl.col("development_kwh").is_null())
        .then(pl.lit("development not measured"))
        .otherwise(pl.lit("training without measured energy"))
    )


def members(
    runs: pl.LazyFrame, *, levels: pl.LazyFrame, papers_wanted: Wanted = "all"
) -> pl.LazyFrame:
    """The rows that each run belongs to: `run_id`, `scope`, `name`, for runs that ran.

    The groups are those of the levels, to the name: what the levels merge because few people are
    behind it is merged alike, and what they leave out is left out. A row with one group more would
    tell that group by the difference.

    Args:
        runs: `run_id`, `paper`, `project`, `kind`.
        levels: `tables.Levels`.
        papers_wanted: As in `ratios`.
    """
    of_scope = pl.col("level").cast(pl.String).is_in(SCOPES)
    named = levels.filter(of_scope, pl.col("method") == METHOD).select("level", "name").collect()
    ran = runs.filter(pl.col("kind").is_not_null())
    groups = {"paper": pl.col("paper"), "project": pl.col("project").fill_null(NO_PROJECT)}
    rows = []
    for scope, group in groups.items():
        names = set(named.filter(pl.col("level").cast(pl.String) == scope)["name"])
        rest = sorted(names & {OTHERS, SMALL_GROUPS})
        own = sorted(names - {OTHERS, SMALL_GROUPS})
        # projects part the site, so that those not wanted are among the others; papers do not
        merged = (
            pl.lit(True)
            if scope == "project" or papers_wanted == "all"
            else group.is_in(sorted(papers_wanted))
        )
        name = (
            pl.when(group.is_in(own))
            .then(group)
            .when(group.is_not_null() & merged)
            .then(pl.lit(rest[0] if rest else None, pl.String))
        )
        rows.append(ran.select("run_id", pl.lit(scope).alias("scope"), name.alias("name")))
    return pl.concat(rows).drop_nulls("name").sort("scope", "name", "run_id")


def _sums(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Runs and energies of each group, by phase."""
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
        known_sum(pl.col("idle_kwh").filter(pl.col("kind").is_in(HOLDS))).alias("idle_kwh"),
        total(pl.col("gpu_hours").filter(energy.is_null())).alias("unmeasured_gpu_h"),
        *(
            _coverage(phase == name).alias(f"{name}_coverage_frac")
            for name in ("development", "training")
        ),
        _coverage(phase.is_in(["development", "unknown"])).alias("with_unknown_coverage_frac"),
    )


def _by_baseline(rows: pl.LazyFrame, baseline: pl.LazyFrame | None) -> pl.LazyFrame:
    """Development over training of each group by the phases of the exit-state rule."""
    if baseline is None:
        return pl.LazyFrame(
            schema=dict.fromkeys(_KEY, pl.String()) | {"baseline_ratio": pl.Float64()}
        )
    phase, energy = pl.col("baseline_phase"), pl.col("energy_kwh")
    return (
        rows.join(baseline.select("run_id", baseline_phase="phase"), on="run_id")
        .group_by(_KEY)
        .agg(_side_sums(phase, energy))
        .select(*_KEY, pl.when(_both_measured()).then(_RATIO).alias("baseline_ratio"))
    )


SIDES = ("development", "training")
_RATIO = quotient(pl.col("development"), pl.col("training"))


def _side_sums(phase: pl.Expr, energy: pl.Expr) -> list[pl.Expr]:
    """Energy of each side of a ratio by its name, and `{side}_{held_s,measured_s}`."""
    return [
        total(pl.col(of).filter(phase == side) if of else energy.filter(phase == side)).alias(
            f"{side}_{of}" if of else side
        )
        for side in SIDES
        for of in (None, *TIME)
    ]


def _both_measured() -> pl.Expr:
    """Whether enough of both sides of `_side_sums` was measured for a ratio."""
    return pl.all_horizontal(
        pl.col(f"{side}_measured_s") >= LEAST_MEASURED_FRAC * (1 - 1e-9) * pl.col(f"{side}_held_s")
        for side in SIDES
    )


def _ranges(
    found: pl.LazyFrame,
    runs: pl.LazyFrame,
    shown: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame | None,
) -> pl.LazyFrame:
    """Least and largest ratio of each group that has one, over the variants and as it is.

    Null where too little of a side was measured in one of the variants.
    """
    if variants is None:
        none = pl.lit(None, pl.Float64)
        return found.select(*_KEY, none.alias("ratio_low"), none.alias("ratio_high"))
    ratio = pl.col("ratio")
    return (
        found.filter(ratio.is_not_null())
        .join(_varied(runs, shown, labelled, time, variants), on=_KEY, how="left")
        .with_columns(pl.col("is_open", "is_part").fill_null(False))
        .select(
            *_KEY,
            pl.when(~pl.col("is_part")).then(pl.min_horizontal("ratio", "low")).alias("ratio_low"),
            pl.when(pl.col("is_open") | pl.col("is_part"))
            .then(None)
            .otherwise(pl.max_horizontal("ratio", "high"))
            .alias("ratio_high"),
        )
    )


def _varied(
    runs: pl.LazyFrame,
    shown: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    variants: pl.LazyFrame,
) -> pl.LazyFrame:
    """Range of the ratio over the variants that change a kind.

    Returns:
        `low`, `high`, `is_open` (some variant has no training), `is_part` (some variant has a side
        of which too little was measured).

    Most runs keep their kind whatever the thresholds, and need no row a variant: they are summed
    once. The rest, and the trainings that may be assumed to be the reported one, are decided again.
    """
    facts = roles.facts(runs, labelled).collect().lazy()
    said = pl.col("said_kind").is_not_null() | pl.col("said_phase").is_not_null()
    changed = (
        variants.select("run_id", "variant", pl.col("kind").cast(_KIND).alias("varied_kind"))
        .join(facts.filter(~said).select("run_id", "kind"), on="run_id")
        .filter(pl.col("varied_kind") != pl.col("kind"))
        .drop("kind")
        .collect()
        .lazy()
    )
    steady = facts.join(changed, on="run_id", how="anti")
    moving = pl.concat(
        [changed.select("run_id"), roles.candidates(steady).select("run_id")]
    ).unique()
    decided = roles.decide(
        facts.join(moving, on="run_id", how="semi")
        .join(changed.select("variant").unique(), how="cross")
        .join(changed, on=["run_id", "variant"], how="left")
        .with_columns(pl.coalesce("varied_kind", "kind").alias("kind")),
        over=["variant"],
    ).select("run_id", "variant", "phase", "energy_kwh")
    sums = _side_sums(pl.col("phase"), pl.col("energy_kwh"))
    names = [expression.meta.output_name() for expression in sums]
    steadily = (
        shown.join(moving, on="run_id", how="anti")
        .join(runs.select("run_id", pl.col("phase").cast(_PHASE), "energy_kwh"), on="run_id")
        .join(time, on="run_id", how="left")
        .group_by(_KEY)
        .agg(sums)
    )
    return (
        shown.join(decided, on="run_id")
        .join(time, on="run_id", how="left")
        .group_by([*_KEY, "variant"])
        .agg(sums)
        .join(steadily, on=_KEY, how="left", suffix="_steady")
        .with_columns(pl.col(name) + pl.col(f"{name}_steady").fill_null(0.0) for name in names)
        .select(*_KEY, ratio=_RATIO, is_whole=_both_measured())
        .group_by(_KEY)
        .agg(
            pl.col("ratio").min().alias("low"),
            pl.col("ratio").max().alias("high"),
            pl.col("ratio").is_null().any().alias("is_open"),
            (~pl.col("is_whole")).any().alias("is_part"),
        )
    )
