"""Compare the probabilities of kinds with how often they are right, by energy.

Jobs are sorted into ten bins by a probability that the weights give. In each, the observed
frequency is the part of the energy of which the kind is the true one; it would equal the mean
probability if probabilities were right (reliability diagram; Murphy and Winkler 1977). The expected
calibration error is the mean difference of the two, weighted by the energy of the bins (Naeini,
Cooper and Hauskrecht 2015).

Probabilities are those before any label, and the true kinds those of the simulated site, or else
those that labels give to single runs. Kinds of labelled groups are left out: they hold only for
runs in which the weights do not contradict them.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.energy.job_count import has_held_node
from footprint.phases.energies import add_total
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.totals.bootstrap import share_interval

N_BINS = 10
MOST_PROBABLE = "most_probable"
"""Subject of the most probable kind of each job; the others are `WEIGHED_KINDS`."""

SUBJECTS = (MOST_PROBABLE, *WEIGHED_KINDS)
BASES = ("truth", "labels")


def reliability_table(
    weighed: pl.LazyFrame,
    *,
    known: pl.LazyFrame,
    basis: str,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
) -> pl.DataFrame:
    """Return mean probability and observed frequency in each bin of probability.

    Args:
        weighed: Result of `weighed_kinds.weigh_runs`. Only runs of the rule `weights` count: others
            are certain without weights.
        known: `job_id`, `kind`: the true kind; null or `unknown` is not one.
        basis: Where the true kinds are from: a value of `BASES`.
        run_of_job: `schemas.RunOfJob`.
        job_energy: `job_id`, `user`, `n_nodes`, `total_kwh`. Jobs that held no node are left out.

    Returns:
        `schemas.KindReliability`, sorted by subject and bin; bins without energy have no row.
    """
    kind = pl.col("kind").cast(pl.String)
    jobs = (
        known.select("job_id", truth=kind)
        .filter(pl.col("truth").is_in(WEIGHED_KINDS))
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .join(weighed.filter(pl.col("rule") == "weights"), on="run_id")
        .join(add_total(job_energy).filter(has_held_node()), on="job_id")
        .filter(pl.col("total_kwh") > 0)
        .sort("job_id")
        .collect()
    )
    return pl.concat([_rows_of_subject(jobs, subject, basis) for subject in SUBJECTS])


def _rows_of_subject(jobs: pl.DataFrame, subject: str, basis: str) -> pl.DataFrame:
    columns = [f"p_{kind}" for kind in WEIGHED_KINDS]
    if subject == MOST_PROBABLE:
        probability = pl.max_horizontal(columns)
        of_truth = (pl.when(pl.col("truth") == kind).then(f"p_{kind}") for kind in WEIGHED_KINDS)
        is_right = pl.coalesce(of_truth) == probability
    else:
        probability, is_right = pl.col(f"p_{subject}"), pl.col("truth") == subject
    number = (pl.col("probability") * N_BINS).floor().clip(0, N_BINS - 1).cast(pl.Int64)
    energy = pl.col("total_kwh")
    cases = jobs.with_columns(probability=probability, is_right=is_right).with_columns(
        bin=number,
        right_kwh=pl.when("is_right").then(energy).otherwise(0.0),
        probable_kwh=pl.col("probability") * energy,
    )
    ends = [
        (number, *share_interval(own, part="right_kwh", whole="total_kwh", cluster="user"))
        for (number,), own in cases.sort("bin", "job_id").group_by("bin", maintain_order=True)
    ]
    names = ("observed_low_frac", "observed_high_frac")
    schema = {"bin": pl.Int64()} | dict.fromkeys(names, pl.Float64())
    whole = sum_or_zero(energy)
    return (
        cases.group_by("bin")
        .agg(
            n_jobs=pl.len().cast(pl.Int64),
            n_users=pl.col("user").n_unique().cast(pl.Int64),
            total_kwh=whole,
            probability_frac=quotient(sum_or_zero(pl.col("probable_kwh")), whole),
            observed_frac=quotient(sum_or_zero(pl.col("right_kwh")), whole),
        )
        .join(pl.DataFrame(ends, schema, orient="row"), on="bin")
        .sort("bin")
        .select(
            pl.lit(subject).alias("subject"),
            "bin",
            pl.lit(basis).alias("basis"),
            *("n_jobs", "n_users", "total_kwh", "probability_frac", "observed_frac", *names),
        )
    )


def calibration_errors(table: pl.DataFrame) -> pl.DataFrame:
    """Return the expected calibration error of each subject.

    Args:
        table: `schemas.KindReliability`.

    Returns:
        `subject`, `n_jobs`, `total_kwh`, `probability_frac` and `observed_frac` of all bins, and
        `error_frac`: mean difference of the two in a bin, weighted by energy; in the order of
        `SUBJECTS`.
    """
    energy = pl.col("total_kwh")
    means = ("probability_frac", "observed_frac")
    difference = (pl.col("probability_frac") - pl.col("observed_frac")).abs()
    return (
        table.group_by("subject")
        .agg(
            exact_sum(pl.col("n_jobs")),
            total_kwh=sum_or_zero(energy),
            error_frac=quotient(sum_or_zero(difference * energy), sum_or_zero(energy)),
            **{n: quotient(sum_or_zero(pl.col(n) * energy), sum_or_zero(energy)) for n in means},
        )
        .sort(pl.col("subject").cast(pl.Enum(SUBJECTS)))
    )
