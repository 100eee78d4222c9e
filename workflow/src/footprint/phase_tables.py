"""The readers' tables of the phases: energies and ratios, and how often the rules are right."""

from __future__ import annotations

import polars as pl

from footprint.job_count import COUNTED
from footprint.levels import HEADINGS
from footprint.phases.ratios import DEFINITION, NO_TRAINING, SCOPES
from footprint.report_tables import Column, ReaderTable
from footprint.summation import exact_sum, quotient, total
from footprint.tables import KINDS

KIND_NAMES = {
    "interactive": "interactive",
    "debug": "debug",
    "idle_hold": "idle hold",
    "preprocessing": "preprocessing",
    "training_run": "training",
    "inference_run": "inference",
    "unknown": "unknown",
}
"""Every kind as readers see it."""

METHODS = {"rules": "Rules", "baseline": "Exit-state rule"}
WEIGHTS = {"energy_kwh": "by energy", "n_jobs": "by number of jobs"}
ALL = "all"


BESIDE = {"idle_kwh", "ratio_all_unknown", "baseline_ratio"}
"""Columns that a printed page has no width for."""


def phases_table(ratio: pl.DataFrame) -> ReaderTable:
    """Energy of each paper and project by phase, and development over training with its doubts.

    Args:
        ratio: `tables.PhaseRatio`.
    """
    order = pl.col("scope").cast(pl.Enum(SCOPES))
    rows = ratio.sort(
        order, "energy_kwh", "name", descending=[False, True, False], nulls_last=True
    ).with_columns(
        pl.col("scope").replace_strict(HEADINGS, return_dtype=pl.String).alias("group"),
        pl.col("role_basis").cast(pl.String),
    )
    energies = {
        "energy_kwh": "Energy",
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
        name="unmeasured_gpu_h", header="Not measured", unit="GPU h", decimals=1, printed=False
    )
    return ReaderTable(
        name="phases",
        title="Development beside the training of the reported model",
        note=(
            f"{DEFINITION} R low and high: over the thresholds of the rules × 0.5, 1 and 2; high "
            "is missing beside low where by some thresholds no training is left. R all unknown: "
            "with all runs of unknown kind as development, while R has none of them. R exit "
            "states: by the published rule on how jobs ended. Labelled: runs whose role a label "
            "says. Reported: whether labels name the training of the reported model, or the "
            "largest training is assumed to be it; inference is never assumed. Idle in holds: the "
            "time at idle power inside holds and sessions, which is part of the phases. What was "
            "not measured is in no energy and in no ratio; R is not given where less than 90 % of "
            "the time of either side was measured"
            f"{_not_given(rows)}. docs/phases.md has the rules."
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
                    printed=name not in BESIDE,
                )
                for name, text in energies.items()
            ),
            hours,
            *(
                Column(name=name, header=text, unit="×", decimals=2, printed=name not in BESIDE)
                for name, text in bounds.items()
            ),
            Column(name="ratio_reason", header="R not given", printed=False),
        ],
    )


def _not_given(rows: pl.DataFrame) -> str:
    """The rows without R whose training is known, each with its reason, as the end of a sentence.

    A printed page has no width for the reasons.
    """
    reasons = rows.filter(pl.col("ratio_reason") != NO_TRAINING).select("name", "ratio_reason")
    said = [f"{name} ({reason})" for name, reason in reasons.iter_rows()]
    return f": {', '.join(said)}" if said else ""


def evaluation_table(evaluation: pl.DataFrame) -> ReaderTable:
    """Kinds found against true kinds, in per cent of each true kind, and how many are right.

    Args:
        evaluation: `tables.PhaseEvaluation`.
    """
    blocks = [_confusion(evaluation, method, weight) for method in METHODS for weight in WEIGHTS]
    return ReaderTable(
        name="evaluation",
        title="Kinds found by the rules against what jobs truly were",
        note=(
            "Simulated site, whose every job is known. A row is a true kind, a column the part of "
            "its energy, or of its jobs, that was found to be of a kind. Right: what was found to "
            "be what it is, which is the recall of a kind and, in the row of all, the accuracy. "
            f"Energy is what counts: most jobs are short and use next to nothing. {COUNTED} "
            "The exit-state rule is the published one, by how jobs ended."
        ),
        rows=pl.concat(blocks),
        columns=[
            Column(name="truth", header="True kind"),
            Column(name="n_jobs", header="Jobs", decimals=0, printed=False),
            Column(name="energy_kwh", header="Energy", unit="kWh", decimals=1, printed=False),
            *(
                Column(name=kind, header=name, unit="%", decimals=1, scale=100)
                for kind, name in KIND_NAMES.items()
            ),
            Column(name="right_frac", header="Right", unit="%", decimals=1, scale=100),
        ],
    )


def _confusion(evaluation: pl.DataFrame, method: str, weight: str) -> pl.DataFrame:
    """Rows of one method and weight: true kinds in order, then all; none of another method."""
    own = evaluation.filter(pl.col("method") == method)
    truth, kind, part = pl.col("truth"), pl.col("kind"), pl.col(weight).cast(pl.Float64)
    whole = total(part)
    every = pl.concat([own.with_columns(row=truth), own.with_columns(row=pl.lit(ALL))])
    return (
        every.group_by("row")
        .agg(
            exact_sum(pl.col("n_jobs")),
            total(pl.col("energy_kwh")),
            *(quotient(total(part.filter(kind == name)), whole).alias(name) for name in KINDS),
            quotient(total(part.filter(kind == truth)), whole).alias("right_frac"),
        )
        .sort(pl.col("row").cast(pl.Enum([*KINDS, ALL])))
        .select(
            pl.lit(f"{METHODS[method]}, {WEIGHTS[weight]}").alias("group"),
            pl.col("row").replace(KIND_NAMES).alias("truth"),
            pl.exclude("row"),
            is_total=pl.col("row") == ALL,
        )
    )
