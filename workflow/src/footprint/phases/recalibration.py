"""Recalibrate probabilities of kinds by the labelled runs of the same command, user and team.

A command is the runs of a user that `alike_runs` puts together: of one group of commands, naming
one work, of alike lengths. Labels of a study say how often each kind that a classifier finds is the
labelled kind. For a run of found kind j and probabilities p(k), three scopes are visited: the
project without the user, the user without the command, and the command of the user. Each replaces
p by

    p'(k) = (c p(k) + n(j, k)) / (c + n(j)),   n(j) = sum over k of n(j, k),

the posterior mean of a Dirichlet prior around p that counts as c observations: `PRIOR_RUNS` for a
command, `PRIOR_COMMANDS` for wider scopes, because people label the runs that they doubt, which are
right less often than others. n(j, k) is the
number of labelled observations of the scope with found kind j and labelled kind k:

- For a command, each labelled run is an observation, and the observations are weighted by energy:
  n runs of energies e_i count n e_i / (sum of e) each.
- For a user or a project, each command is one observation, however often it ran: its confusion by
  energy, scaled to 1. A command with many runs therefore says no more of other commands than a
  command with one.

A scope leaves out what a narrower scope counts, so that no label counts twice for a run.
Runs without labelled observations of their found kind in any scope keep their probabilities to the
last bit.
"""

from __future__ import annotations

import math

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.labels.commands import group_of_command
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS, most_probable_kind

PRIOR_RUNS = 2.0
"""Labelled runs of a command that count as much as the classifier's own probability. It was chosen
by hand: two labels that contradict the classifier halve its probability."""

PRIOR_COMMANDS = 20.0
"""Labelled commands of a user or project that count as much as the classifier's own probability.
With 2, twenty labelled groups made the other runs of a simulated site worse (seed 101: 90.4 to 89.3
% right)."""

_COMMAND = ("user", "group")
_SCOPES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("project",), ("project", "user")),
    (("user",), _COMMAND),
)
"""Scopes wider than a command, each with the narrower scope that it leaves out."""


LENGTH_FACTOR = 3.0
"""Factor between the lengths of runs of a command that are told apart, as `MAX_DURATION_FACTOR` of
`group_agreement`: where `./run.sh` starts everything, labels of its trainings of days say nothing
of its decodings of minutes. With labels of all lengths together, twenty labelled groups made the
other runs of eight simulated sites without informing commands worse."""


def alike_runs() -> pl.Expr:
    """Key of runs that may recalibrate each other: group of command, work it names, run time.

    From `command`, `command_work` and `ran_s` (null: unknown, an own key). Run times are alike
    between two powers of `LENGTH_FACTOR` in seconds. Null without a command.
    """
    powers = pl.col("ran_s").clip(lower_bound=1.0).log() / math.log(LENGTH_FACTOR)
    length = (powers + 1e-9).floor().cast(pl.Int64).cast(pl.String)
    parts = [pl.col("command_work").cast(pl.String).fill_null(""), length.fill_null("")]
    return pl.concat_str(group_of_command(pl.col("command")), *parts, separator="\n")


def recalibrate(runs: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Probabilities of kinds after the labelled runs of the same command, user and project.

    Args:
        runs: `run_id`, `user`, `project`, `group` (`alike_runs`; null in any of the three:
            the scope is skipped), `kind` (as found; null: never ran), `total_kwh` (null or 0
            counts as nothing where other runs of the scope have energy), and
            `PROBABILITY_COLUMNS`, which sum to 1. Other columns stay.
        labels: `run_id`, `kind` of labels. Kinds without a probability (`unknown`) are left out.

    Returns:
        `runs` in their order, with new probabilities and `recalibrated` (whether they changed).

    Raises:
        ValueError: A probability is NaN, which no weights give.
    """
    is_nan = pl.any_horizontal(pl.col(name).is_nan() for name in PROBABILITY_COLUMNS)
    odd = runs.filter(is_nan.fill_null(False))["run_id"].to_list()
    if odd:
        raise ValueError(f"the probabilities of the run {odd[0]} are not numbers")
    found = pl.col("kind").cast(pl.String)
    rows = runs.with_columns(_found=found, recalibrated=pl.lit(False))
    observed = (
        rows.filter(found.is_not_null())
        .join(labels.select("run_id", _label=pl.col("kind").cast(pl.String)), on="run_id")
        .filter(pl.col("_label").is_in(WEIGHED_KINDS))
        .sort("run_id")
    )
    shares = _shares(observed)
    for wide, narrow in _SCOPES:
        numbers = [f"_n_{kind}" for kind in WEIGHED_KINDS]
        for scope, suffix in ((wide, ""), (narrow, "_own")):
            counts = _sum_shares(shares, scope).rename(
                {name: f"{name}{suffix}" for name in numbers}
            )
            keys = [*scope, "_found"]
            rows = rows.join(counts, on=keys, how="left", maintain_order="left")
        # The difference of two equal sums is 0 up to rounding.
        rows = rows.with_columns(
            _zero_if_tiny(pl.col(name).fill_null(0.0) - pl.col(f"{name}_own").fill_null(0.0))
            for name in numbers
        )
        rows = _update(rows, prior=PRIOR_COMMANDS).drop(
            *numbers, *(f"{name}_own" for name in numbers)
        )
    of_commands = _sum_shares(shares, _COMMAND, times=pl.col("_n_runs"))
    rows = rows.join(of_commands, on=[*_COMMAND, "_found"], how="left", maintain_order="left")
    rows = rows.with_columns(pl.col(f"_n_{kind}").fill_null(0.0) for kind in WEIGHED_KINDS)
    return _update(rows, prior=PRIOR_RUNS).select(*runs.columns, "recalibrated")


def decide_kinds(
    classified: pl.DataFrame, recalibrated: pl.DataFrame, *, min_probability: float
) -> pl.DataFrame:
    """Classifications after recalibration.

    Recalibrated runs have their new probabilities, and the most probable kind where it has
    `min_probability` or more, else `unknown`. Their rule is `recalibrated`. Their features are
    those of the weights, and none where the kind changed. The confidence is the probability of
    the most probable kind. OAR's interactive jobs, which are certain, stay as they are.

    Args:
        classified: Result of `weighed_kinds.weigh_runs`.
        recalibrated: Result of `recalibrate`.
        min_probability: Smallest probability of a kind that is not `unknown`.

    Returns:
        `classified` in its order and with its columns. Runs that were not recalibrated are
        unchanged.
    """
    changed = recalibrated.filter("recalibrated").select(
        "run_id",
        *(pl.col(name).alias(f"_{name}") for name in PROBABILITY_COLUMNS),
        _best=pl.max_horizontal(PROBABILITY_COLUMNS),
        _kind=most_probable_kind(min_probability),
    )
    certain = classified.filter(pl.col("rule") == "interactive")
    changed = changed.join(certain, on="run_id", how="anti")
    rows = classified.join(changed, on="run_id", how="left", maintain_order="left")
    kind = pl.col("kind")
    return rows.with_columns(
        kind=pl.coalesce("_kind", kind),
        rule=pl.when(pl.col("_best").is_not_null()).then(pl.lit("recalibrated")).otherwise("rule"),
        features=pl.when(pl.col("_kind") != kind).then(pl.lit("")).otherwise("features"),
        confidence=pl.coalesce("_best", "confidence"),
        **{name: pl.coalesce(f"_{name}", name) for name in PROBABILITY_COLUMNS},
    ).select(classified.columns)


def _shares(observed: pl.DataFrame) -> pl.DataFrame:
    """Share of the labelled energy of each command by project, found kind and labelled kind.

    Returns:
        `project`, `user`, `group`, `_found`, `_n_runs` (labelled runs of the command), and
        `_n_<kind>`, which sum to 1 over the rows of a command.
    """
    energy = pl.col("total_kwh").fill_null(0.0)
    is_known = (energy > 0).any().over(_COMMAND)
    weight = pl.when(is_known).then(energy).otherwise(1.0)
    shares = observed.with_columns(
        _share=weight / sum_or_zero(weight).over(_COMMAND), _n_runs=pl.len().over(_COMMAND)
    )
    return shares.group_by("project", *_COMMAND, "_found", "_n_runs", maintain_order=True).agg(
        sum_or_zero(pl.col("_share").filter(pl.col("_label") == kind)).alias(f"_n_{kind}")
        for kind in WEIGHED_KINDS
    )


def _sum_shares(
    shares: pl.DataFrame, scope: tuple[str, ...], times: pl.Expr | None = None
) -> pl.DataFrame:
    """Labelled observations of each scope and found kind: `scope`, `_found`, `_n_<kind>`."""
    factor = pl.lit(1.0) if times is None else times
    return (
        shares.drop_nulls(list(scope))
        .group_by(*scope, "_found", maintain_order=True)
        .agg(
            sum_or_zero(factor * pl.col(f"_n_{kind}")).alias(f"_n_{kind}") for kind in WEIGHED_KINDS
        )
    )


def _update(rows: pl.DataFrame, *, prior: float) -> pl.DataFrame:
    """Rows with the probabilities after `_n_<kind>` observations, marked where there are any."""
    n_found = pl.sum_horizontal(f"_n_{kind}" for kind in WEIGHED_KINDS)
    return rows.with_columns(
        pl.col("recalibrated") | (n_found > 0),
        *(
            pl.when(n_found > 0)
            .then((prior * pl.col(f"p_{kind}") + pl.col(f"_n_{kind}")) / (prior + n_found))
            .otherwise(f"p_{kind}")
            .alias(f"p_{kind}")
            for kind in WEIGHED_KINDS
        ),
    )


def _zero_if_tiny(values: pl.Expr) -> pl.Expr:
    return pl.when(values > 1e-9).then(values).otherwise(0.0)
