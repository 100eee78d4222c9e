"""Ratios of development to training under other choices than those of the headline.

A choice is not chance: its effect is shown beside the interval of a ratio and is no part of it. For
each choice, the value that the headline uses is a row too (`is_headline`).

- `membership`: which runs belong to the paper (`membership`).
- `reported_training`: another training as the reported one: the largest by total energy, the
  longest by allocated time, the last by its start, the smallest by total energy; or all trainings
  with the person and command of the largest together (`same_command`), as one that was resumed
  later or has several seeds. Trainings below `MIN_TRAINING_FRAC` of the largest are left out.
- `idle_holds`: runs of kind `idle_hold` in development or left out.
- `unknown_kinds`: runs of unknown kind left out or in development.
- `thresholds`: lowest and highest ratio over the thresholds of the smallest probability of a kind.
- `gate_policy`: energies under other gates of shared nodes, where they are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.vocabulary import OTHERS, SMALL_GROUPS
from footprint.phases import membership, roles
from footprint.phases.ratio import GROUP_KEY, KIND_TYPE, PHASE_TYPE, TIME_COLUMNS, ratios_by

CHOICES = (
    *("membership", "reported_training", "idle_holds"),
    *("unknown_kinds", "thresholds", "gate_policy"),
)
"""Choices in the order in which they are shown."""

MIN_TRAINING_FRAC = 0.1
"""Energy, as a fraction of that of the largest training, from which a training may be the reported
one: nobody reports a model that took minutes where others took days. It was chosen by hand."""

_VALUE_KEY = [*GROUP_KEY, "value"]
_RATIO_COLUMNS = ("phase", "total_kwh", *TIME_COLUMNS)


@dataclass(frozen=True)
class Alternatives:
    """Data of choices that runs and labels alone do not give.

    Attributes:
        jobs: `schemas.Jobs`, for `membership` and for the commands of trainings. None: not varied.
        variants: `run_id`, `variant`, `kind` under other thresholds, for `thresholds`. Labels are
            the same in every variant, assumptions are made anew in each. None: not varied.
        by_gate: `job_id`, `gate`, `total_kwh`: energies of jobs under each gate, for `gate_policy`.
            None: not varied.
        gate: The configured gate, of the headline.
    """

    jobs: pl.LazyFrame | None = None
    variants: pl.LazyFrame | None = None
    by_gate: pl.LazyFrame | None = None
    gate: str = "two_part"


def sensitivities(
    rows: pl.LazyFrame,
    ratios: pl.LazyFrame,
    *,
    runs: pl.LazyFrame,
    labelled: pl.LazyFrame,
    time: pl.LazyFrame,
    alternatives: Alternatives,
) -> pl.LazyFrame:
    """Ratios of each group by choice and value.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        ratios: `schemas.PhaseRatio`. Groups without a ratio are left out.
        runs: `schemas.Runs` with the column `paper` of the labels.
        labelled: `run_id`, `kind`, `role`, `phase`, as given to `roles.assign_roles`.
        time: Result of `ratio.time_of_runs`.
        alternatives: Data of further choices.

    Returns:
        `schemas.PhaseSensitivities`: `scope`, `name`, `choice`, `value`, `ratio`, `is_headline`,
        sorted by scope, name and in the order of choices and values.
    """
    given = (
        ratios.filter(pl.col("ratio").is_not_null())
        .select(*GROUP_KEY, "ratio", "role_basis")
        .collect()
        .lazy()
    )
    rows = rows.join(given, on=GROUP_KEY, how="semi").collect().lazy()
    parts = [
        _reported_trainings(rows, given, runs, alternatives.jobs),
        _idle_holds(rows, given),
        _unknown_kinds(rows, given),
    ]
    if alternatives.jobs is not None:
        added = membership.unlabelled_runs_of_papers(runs, alternatives.jobs)
        parts.insert(0, _memberships(rows, given, added, runs, time))
    if alternatives.variants is not None:
        inputs = roles.role_inputs(runs, labelled)
        of_variants = ratios_of_variants(rows, inputs, alternatives.variants)
        parts.append(_thresholds(given, of_variants))
    if alternatives.by_gate is not None:
        parts.append(_gates(rows, given, runs, alternatives.by_gate, alternatives.gate))
    order = pl.col("choice").cast(pl.Enum(CHOICES))
    return (
        pl.concat(parts)
        .with_columns(order.alias("choice"))
        .sort(*GROUP_KEY, "choice", ~pl.col("is_headline"), "value")
    )


def _headline(given: pl.LazyFrame, choice: str, value: pl.Expr) -> pl.LazyFrame:
    return given.select(
        *GROUP_KEY,
        choice=pl.lit(choice),
        value=value.cast(pl.String),
        ratio="ratio",
        is_headline=pl.lit(True),
    )


def _others(rows: pl.LazyFrame, choice: str) -> pl.LazyFrame:
    """Ratios of `rows`, which have `value` and `_RATIO_COLUMNS`."""
    varied = rows.select(*_VALUE_KEY, *_RATIO_COLUMNS)
    return ratios_by(varied, _VALUE_KEY).select(
        *GROUP_KEY,
        choice=pl.lit(choice),
        value=pl.col("value").cast(pl.String),
        ratio="ratio",
        is_headline=pl.lit(False),
    )


def _memberships(
    rows: pl.LazyFrame,
    given: pl.LazyFrame,
    added: pl.LazyFrame,
    runs: pl.LazyFrame,
    time: pl.LazyFrame,
) -> pl.LazyFrame:
    """Ratios with unlabelled runs added to papers; added runs are development or unknown."""
    papers = given.filter(
        pl.col("scope") == "paper", ~pl.col("name").is_in([OTHERS, SMALL_GROUPS])
    ).select(*GROUP_KEY)
    is_unknown = pl.col("kind").cast(pl.String) == "unknown"
    phase = pl.when(is_unknown).then(pl.lit("unknown")).otherwise(pl.lit("development"))
    of_added = (
        added.join(papers, left_on="paper", right_on="name")
        .join(runs.select("run_id", "kind", "total_kwh"), on="run_id")
        .join(time, on="run_id", how="left")
        .select(
            "scope",
            "value",
            pl.col("total_kwh") * pl.col("weight"),
            name="paper",
            phase=phase.cast(PHASE_TYPE),
            **{column: pl.col(column).fill_null(0.0) * pl.col("weight") for column in TIME_COLUMNS},
        )
    )
    values = pl.LazyFrame({"value": membership.ADDED_RUNS})
    labelled = rows.join(papers, on=GROUP_KEY, how="semi").join(values, how="cross")
    columns = [*_VALUE_KEY, *_RATIO_COLUMNS]
    varied = pl.concat([labelled.select(columns), of_added.select(columns)])
    headline = given.join(papers, on=GROUP_KEY, how="semi")
    return pl.concat(
        [
            _headline(headline, "membership", pl.lit(membership.LABELLED)),
            _others(varied, "membership"),
        ]
    )


def _reported_trainings(
    rows: pl.LazyFrame, given: pl.LazyFrame, runs: pl.LazyFrame, jobs: pl.LazyFrame | None
) -> pl.LazyFrame:
    """Ratios with other trainings as the reported one, and all others as development."""
    energy = pl.col("total_kwh")
    is_sizable = (energy >= MIN_TRAINING_FRAC * energy.max().over(GROUP_KEY)).fill_null(True)
    trainings = (
        rows.filter(pl.col("kind") == "training_run")
        .filter(is_sizable)
        .join(runs.select("run_id", "duration_s", "started_at"), on="run_id")
    )
    orders = {
        "largest": energy,
        "longest": pl.col("duration_s"),
        "last": pl.col("started_at"),
        "smallest": -energy,
    }
    single = {
        value: trainings.sort(order, "run_id", descending=[True, False], nulls_last=True).unique(
            GROUP_KEY, keep="first", maintain_order=True
        )
        for value, order in orders.items()
    }
    chosen = [
        found.select(*GROUP_KEY, "run_id", value=pl.lit(value)) for value, found in single.items()
    ]
    if jobs is not None:
        chosen.append(_trainings_of_command(single["largest"], trainings, jobs))
    is_chosen = pl.concat(chosen).with_columns(is_chosen=pl.lit(True))
    values = is_chosen.select(*GROUP_KEY, "value").unique()
    varied = (
        rows.join(values, on=GROUP_KEY)
        .join(is_chosen, on=[*GROUP_KEY, "value", "run_id"], how="left")
        .with_columns(
            phase=pl.when(pl.col("is_chosen"))
            .then(pl.lit("training", PHASE_TYPE))
            .when(pl.col("phase") == "training")
            .then(pl.lit("development", PHASE_TYPE))
            .otherwise("phase")
        )
    )
    return pl.concat(
        [
            _headline(given, "reported_training", pl.col("role_basis").cast(pl.String)),
            _others(varied, "reported_training"),
        ]
    )


def _trainings_of_command(
    largest: pl.LazyFrame, trainings: pl.LazyFrame, jobs: pl.LazyFrame
) -> pl.LazyFrame:
    """Trainings with the person and command of the largest: `GROUP_KEY`, `run_id`, `value`."""
    keys = ["login", "command"]
    owners = jobs.select("command", run_id="job_id", login="user").drop_nulls()
    of_largest = largest.select(*GROUP_KEY, "run_id").join(owners, on="run_id").drop("run_id")
    return (
        trainings.select(*GROUP_KEY, "run_id")
        .join(owners, on="run_id")
        .join(of_largest, on=[*GROUP_KEY, *keys], how="semi")
        .select(*GROUP_KEY, "run_id", value=pl.lit("same_command"))
    )


def _idle_holds(rows: pl.LazyFrame, given: pl.LazyFrame) -> pl.LazyFrame:
    is_hold = (pl.col("kind") == "idle_hold") & (pl.col("phase") == "development")
    without = rows.filter(~is_hold).with_columns(value=pl.lit("out"))
    return pl.concat([_headline(given, "idle_holds", pl.lit("in")), _others(without, "idle_holds")])


def _unknown_kinds(rows: pl.LazyFrame, given: pl.LazyFrame) -> pl.LazyFrame:
    counted = rows.with_columns(
        value=pl.lit("development"),
        phase=pl.when(pl.col("phase") == "unknown")
        .then(pl.lit("development", PHASE_TYPE))
        .otherwise("phase"),
    )
    return pl.concat(
        [_headline(given, "unknown_kinds", pl.lit("left_out")), _others(counted, "unknown_kinds")]
    )


def _gates(
    rows: pl.LazyFrame, given: pl.LazyFrame, runs: pl.LazyFrame, by_gate: pl.LazyFrame, gate: str
) -> pl.LazyFrame:
    run_of_job = runs.select("run_id", job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    totals = (
        by_gate.filter(pl.col("gate") != gate)
        .join(run_of_job, on="job_id")
        .group_by("run_id", value="gate")
        .agg(known_sum(pl.col("total_kwh").drop_nulls()))
    )
    gates = totals.select("value").unique()
    varied = (
        rows.drop("total_kwh")
        .join(gates, how="cross")
        .join(totals, on=["run_id", "value"], how="left")
    )
    return pl.concat(
        [_headline(given, "gate_policy", pl.lit(gate)), _others(varied, "gate_policy")]
    )


def ratios_of_variants(
    rows: pl.LazyFrame, inputs: pl.LazyFrame, variants: pl.LazyFrame
) -> pl.LazyFrame:
    """Ratios of each group by `variant`, for the variants that change a kind.

    Phases are assigned anew to the runs whose kind changes in some variant, and to the trainings
    that may then be assumed to be the reported one. All other runs, which are nearly all, are
    summed once instead of once a variant.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        inputs: Result of `roles.role_inputs` for all runs.
        variants: `run_id`, `variant`, `kind`.

    Returns:
        `scope`, `name`, `variant`, `ratio`, `is_known` (`ratio.ratios_by`).
    """
    inputs = inputs.collect().lazy()
    is_labelled = pl.col("label_kind").is_not_null() | pl.col("label_phase").is_not_null()
    changed = (
        variants.select("run_id", "variant", varied_kind=pl.col("kind").cast(KIND_TYPE))
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
        .group_by(*GROUP_KEY, "phase")
        .agg(sum_or_zero(pl.col("total_kwh", *TIME_COLUMNS)))
        .join(changing_variants, how="cross")
    )
    varied = rows.drop("phase").join(assigned, on="run_id")
    together = [varied.select(constant.collect_schema().names()), constant]
    return ratios_by(pl.concat(together), [*GROUP_KEY, "variant"])


def _thresholds(given: pl.LazyFrame, of_variants: pl.LazyFrame) -> pl.LazyFrame:
    """Lowest and highest ratio over the variants and the configured thresholds.

    Both are null where too little of a phase is known in some variant; the highest is null where
    some variant has no training.
    """
    columns = [*GROUP_KEY, "ratio", "is_known"]
    configured = given.with_columns(is_known=pl.lit(True)).select(columns)
    ratio, is_known = pl.col("ratio"), pl.col("is_known").all()
    ends = (
        pl.concat([configured, of_variants.select(columns).join(given, on=GROUP_KEY, how="semi")])
        .group_by(GROUP_KEY)
        .agg(
            lowest=pl.when(is_known).then(ratio.min()),
            highest=pl.when(is_known & ratio.is_not_null().all()).then(ratio.max()),
        )
        .unpivot(["lowest", "highest"], index=GROUP_KEY, variable_name="value", value_name="ratio")
        .select(
            *GROUP_KEY,
            choice=pl.lit("thresholds"),
            value="value",
            ratio="ratio",
            is_headline=pl.lit(False),
        )
    )
    return pl.concat([_headline(given, "thresholds", pl.lit("configured")), ends])
