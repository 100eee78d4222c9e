"""Readers' table of how often kinds of runs are right against their probabilities."""

from __future__ import annotations

import polars as pl

from footprint.phases.reliability import MOST_PROBABLE, N_BINS, SUBJECTS, calibration_errors
from footprint.report.tables.formats import Column, ReaderTable
from footprint.report.wording import KIND_NAMES, format_percent

BASIS_SENTENCES = {
    "truth": "Compared with the true kinds of the simulated site.",
    "labels": "Compared with the kinds that labels give to single runs; people label the runs that "
    "they doubt, so that others may be right more often.",
}
NO_KINDS_SENTENCE = "No run with energy has a label of its kind, so that nothing can be compared."
PRINTED_SUBJECTS = (MOST_PROBABLE, "training_run", "inference_run")
"""Subjects in the printed table."""
SUBJECT_NAMES = {MOST_PROBABLE: "most probable kind", **KIND_NAMES}


def reliability_table(reliability: pl.DataFrame) -> ReaderTable:
    """Mean probability and observed frequency by tenths of the probability, for each kind.

    Args:
        reliability: `schemas.KindReliability`.
    """
    percent = 100 // N_BINS
    errors = {
        subject: format_percent(error)
        for subject, error in calibration_errors(reliability)
        .select("subject", "error_frac")
        .iter_rows()
    }
    headings = {
        subject: f"{SUBJECT_NAMES[subject]}: error {error}" for subject, error in errors.items()
    }
    rows = reliability.sort(pl.col("subject").cast(pl.Enum(SUBJECTS)), "bin").with_columns(
        pl.col("subject").replace_strict(headings, return_dtype=pl.String).alias("group"),
        pl.format("{} to {}", pl.col("bin") * percent, (pl.col("bin") + 1) * percent).alias(
            "tenth"
        ),
    )
    bases = reliability["basis"].cast(pl.String).unique().to_list()
    compared = BASIS_SENTENCES[bases[0]] if bases else NO_KINDS_SENTENCE
    interval = ("observed_frac", "observed_low_frac", "observed_high_frac")
    return ReaderTable(
        name="reliability",
        title="Probabilities of kinds against how often they are right",
        note=(
            "Jobs by the probability of the kind, before any label. Mean: mean probability, "
            "weighted by energy. Right: part of the energy of the jobs that is of the kind, with "
            "its 95 % interval by bootstrap over people; a dash: jobs of one person alone. Error: "
            "mean difference of the two, weighted by energy (expected calibration error). Runs "
            f"whose kind is certain without weights are left out. {compared}"
        ),
        rows=rows,
        printed_rows=rows.filter(pl.col("subject").cast(pl.String).is_in(PRINTED_SUBJECTS)),
        columns=[
            Column(name="tenth", header="Probability (%)"),
            Column(name="n_jobs", header="Jobs", decimals=0),
            Column(name="n_users", header="People", decimals=0, printed=False),
            Column(name="total_kwh", header="Energy", unit="kWh", digits=3),
            Column(name="probability_frac", header="Mean", unit="%", decimals=1, scale=100),
            *(
                Column(
                    name=name,
                    header=header,
                    unit="%",
                    decimals=1,
                    scale=100,
                )
                for name, header in zip(interval, ("Right", "Low", "High"), strict=True)
            ),
        ],
    )
