"""Readers' tables of the phases: energies and ratios, and the accuracy of the rules."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.core.vocabulary import KINDS
from footprint.energy.job_count import JOB_COUNT_NOTE
from footprint.levels.levels import LEVEL_HEADINGS
from footprint.phases.ratio import RATIO_DEFINITION, SCOPES, UNCOMPUTED_REASONS
from footprint.report.tables.formats import Column, ReaderTable
from footprint.report.wording import KIND_NAMES

CLASSIFIER_NAMES = {"rules": "Rules", "baseline": "Exit-state rule"}
WEIGHT_NAMES = {"total_kwh": "by energy", "n_jobs": "by number of jobs"}
ALL_KINDS = "all"


UNPRINTED_COLUMNS = {"idle_kwh", "ratio_all_unknown", "baseline_ratio"}
"""Columns that do not fit on a printed page."""


def phases_table(ratio: pl.DataFrame) -> ReaderTable:
    """Energy of each paper and project by phase, and R with its range, bound and baseline.

    Args:
        ratio: `schemas.PhaseRatio`.
    """
    order = pl.col("scope").cast(pl.Enum(SCOPES))
    rows = ratio.sort(
        order, "total_kwh", "name", descending=[False, True, False], nulls_last=True
    ).with_columns(
        pl.col("scope").replace_strict(LEVEL_HEADINGS, return_dtype=pl.String).alias("group"),
        pl.col("role_basis").cast(pl.String),
    )
    energies = {
        "total_kwh": "Energy",
        "training_kwh": "Training",
        "inference_kwh": "Inference",
        "development_kwh": "Development",
        "unknown_kwh": "Unknown",
        "idle_kwh": "Idle in holds",
    }
    bounds = {
        "ratio": "R",
        "ratio_low": "R low",
        "ratio_high": "R high",
        "ratio_all_unknown": "R all unknown",
        "baseline_ratio": "R exit states",
    }
    hours = Column(
        name="unknown_gpu_h", header="Energy unknown", unit="GPU h", decimals=1, printed=False
    )
    return ReaderTable(
        name="phases",
        title="Development against training of the reported model",
        note=(
            f"{RATIO_DEFINITION} R low and high: 95 % interval of R. R all "
            "unknown: R with all runs of unknown kind as development; R itself has none of them. R "
            "exit states: R by the published rule on how jobs ended. Labelled: runs whose role a "
            "label gives. Reported: whether labels name the training of the reported model "
            "(label), or the largest training is assumed to be it (assumed); inference is never "
            "assumed. Idle in holds: energy at idle power inside holds and sessions; the phases "
            "include it. R is not given for a project unless labels cover all its papers, nor "
            "where energy is neither measured nor estimated for more than 10 % of the time of "
            "development or of the reported training"
            f"{_withheld_ratios(rows)}. docs/phases.md has the rules."
        ),
        rows=rows,
        columns=[
            Column(name="name", header="Name"),
            Column(name="n_runs", header="Runs", decimals=0, printed=False),
            Column(name="n_labelled", header="Labelled", decimals=0, printed=False),
            Column(name="role_basis", header="Reported"),
            *(
                Column(
                    name=name,
                    header=text,
                    unit="kWh",
                    decimals=1,
                    printed=name not in UNPRINTED_COLUMNS,
                )
                for name, text in energies.items()
            ),
            hours,
            *(
                Column(
                    name=name,
                    header=text,
                    unit="×",
                    decimals=2,
                    printed=name not in UNPRINTED_COLUMNS,
                )
                for name, text in bounds.items()
            ),
            Column(name="ratio_reason", header="R not given", printed=False),
        ],
    )


def _withheld_ratios(rows: pl.DataFrame) -> str:
    """Rows with a known training and no R, each with its reason, as the end of a sentence.

    The column of reasons does not fit on a printed page.
    """
    reasons = rows.filter(~pl.col("ratio_reason").is_in(UNCOMPUTED_REASONS)).select(
        "name", "ratio_reason"
    )
    listed = [f"{name} ({reason})" for name, reason in reasons.iter_rows()]
    return f": {', '.join(listed)}" if listed else ""


def evaluation_table(evaluation: pl.DataFrame) -> ReaderTable:
    """Assigned kinds against true kinds of the simulated site, in per cent of each true kind.

    Args:
        evaluation: `schemas.PhaseEvaluation`.
    """
    blocks = [
        _confusion_rows(evaluation, method, weight)
        for method in CLASSIFIER_NAMES
        for weight in WEIGHT_NAMES
    ]
    return ReaderTable(
        name="evaluation",
        title="Confusion matrix of run kinds on the simulated site",
        note=(
            "On the simulated site the true kind of every job is known. A row is a true kind, a "
            "column the part of its energy, or of its jobs, that was assigned a kind. Recall: the "
            "part that was assigned its true kind; in the row all, the accuracy. The weighting by "
            "energy matters more, because most jobs are short and use almost no energy. "
            f"{JOB_COUNT_NOTE} Exit-state rule: the published rule on how jobs ended."
        ),
        rows=pl.concat(blocks),
        columns=[
            Column(name="truth", header="True kind"),
            Column(name="n_jobs", header="Jobs", decimals=0, printed=False),
            Column(name="total_kwh", header="Energy", unit="kWh", decimals=1, printed=False),
            *(
                Column(name=kind, header=name, unit="%", decimals=1, scale=100)
                for kind, name in KIND_NAMES.items()
            ),
            Column(name="recall_frac", header="Recall", unit="%", decimals=1, scale=100),
        ],
    )


def _confusion_rows(evaluation: pl.DataFrame, method: str, weight: str) -> pl.DataFrame:
    """Rows of one classifier and weight: the true kinds in order, then all kinds."""
    own = evaluation.filter(pl.col("method") == method)
    truth, kind, part = pl.col("truth"), pl.col("kind"), pl.col(weight).cast(pl.Float64)
    whole = sum_or_zero(part)
    every = pl.concat([own.with_columns(row=truth), own.with_columns(row=pl.lit(ALL_KINDS))])
    return (
        every.group_by("row")
        .agg(
            exact_sum(pl.col("n_jobs")),
            sum_or_zero(pl.col("total_kwh")),
            *(
                quotient(sum_or_zero(part.filter(kind == name)), whole).alias(name)
                for name in KINDS
            ),
            quotient(sum_or_zero(part.filter(kind == truth)), whole).alias("recall_frac"),
        )
        .sort(pl.col("row").cast(pl.Enum([*KINDS, ALL_KINDS])))
        .select(
            pl.lit(f"{CLASSIFIER_NAMES[method]}, {WEIGHT_NAMES[weight]}").alias("group"),
            pl.col("row").replace(KIND_NAMES).alias("truth"),
            pl.exclude("row"),
            is_total=pl.col("row") == ALL_KINDS,
        )
    )
