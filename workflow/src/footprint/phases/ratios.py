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

DEFINITION = (
    "R = E_development / E_best_training: the measured energy of all runs of the paper or project "
    "whose kind is known and that neither trained the reported model nor inferred with it, over "
    "that of all runs that trained the reported model."
)
"""Printed wherever a ratio is: development over training means nothing without it."""

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
    variants: pl.LazyFrame | None = None,
    baseline: pl.LazyFrame | None = None,
    papers_wanted: Wanted = "all",
) -> pl.LazyFrame:
    """`tables.PhaseRatio` of every paper and project that `tables.Levels` shows.

    A phase of which there are runs and none was measured has no energy (null), and what is computed
    from it is null as well. Training and inference are null where no run is known to be it: some
    run trained the model, but nobody says which.

    Args:
        runs: `tables.Runs`, and `paper`, as labels have it.
        levels: `tables.Levels` of the same jobs: who has a row there has one here.
        labelled: `run_id`, `kind`, `role`, `phase`, as `roles.assign` had them.
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
    rows = shown.join(runs, on="run_id").select(
        "run_id",
        *_KEY,
        pl.col("kind").cast(_KIND),
        pl.col("phase").cast(_PHASE),
        pl.col("role_basis").cast(pl.String),
        "energy_kwh",
        "idle_kwh",
        "gpu_hours",
    )
    development, training = pl.col("development_kwh"), pl.col("training_kwh")
    found = _sums(rows).with_columns(
        quotient(development, training).alias("ratio"),
        quotient(development + pl.col("unknown_kwh"), training).alias("ratio_all_unknown"),
    )
    return (
        found.join(_ranges(found, runs, shown, labelled, variants), on=_KEY, how="left")
        .join(_by_baseline(rows, baseline), on=_KEY, how="left")
        .sort(_KEY)
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
        .agg(
            quotient(
                total(energy.filter(phase == "development")),
                total(energy.filter(phase == "training")),
            ).alias("baseline_ratio")
        )
    )


def _ranges(
    found: pl.LazyFrame,
    runs: pl.LazyFrame,
    shown: pl.LazyFrame,
    labelled: pl.LazyFrame,
    variants: pl.LazyFrame | None,
) -> pl.LazyFrame:
    """Least and largest ratio of each group that has one, over the variants and as it is."""
    if variants is None:
        none = pl.lit(None, pl.Float64)
        return found.select(*_KEY, none.alias("ratio_low"), none.alias("ratio_high"))
    ratio = pl.col("ratio")
    return (
        found.filter(ratio.is_not_null())
        .join(_varied(runs, shown, labelled, variants), on=_KEY, how="left")
        .select(
            *_KEY,
            pl.min_horizontal("ratio", "low").alias("ratio_low"),
            pl.when(pl.col("is_open").fill_null(False))
            .then(None)
            .otherwise(pl.max_horizontal("ratio", "high"))
            .alias("ratio_high"),
        )
    )


def _varied(
    runs: pl.LazyFrame, shown: pl.LazyFrame, labelled: pl.LazyFrame, variants: pl.LazyFrame
) -> pl.LazyFrame:
    """`low`, `high` and `is_open` (some variant has no ratio) over variants that change a kind.

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
    phase, energy = pl.col("phase"), pl.col("energy_kwh")
    sums = [total(energy.filter(phase == name)).alias(name) for name in ("development", "training")]
    steadily = (
        shown.join(moving, on="run_id", how="anti")
        .join(runs.select("run_id", pl.col("phase").cast(_PHASE), "energy_kwh"), on="run_id")
        .group_by(_KEY)
        .agg(sums)
    )
    both = [
        (pl.col(name) + pl.col(f"{name}_steady").fill_null(0.0)).alias(name)
        for name in ("development", "training")
    ]
    return (
        shown.join(decided, on="run_id")
        .group_by([*_KEY, "variant"])
        .agg(sums)
        .join(steadily, on=_KEY, how="left", suffix="_steady")
        .select(*_KEY, ratio=quotient(*both))
        .group_by(_KEY)
        .agg(
            pl.col("ratio").min().alias("low"),
            pl.col("ratio").max().alias("high"),
            pl.col("ratio").is_null().any().alias("is_open"),
        )
    )
