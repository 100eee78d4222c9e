"""Readers' tables of the phases: energies and ratios, and the accuracy of the kinds."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.core.vocabulary import KINDS
from footprint.energy.job_count import JOB_COUNT_NOTE
from footprint.levels.levels import LEVEL_HEADINGS
from footprint.phases.ratio import RATIO_DEFINITION, SCOPES, UNCOMPUTED_REASONS
from footprint.report.tables.formats import Column, ReaderTable, total_columns
from footprint.report.wording import CHOICE_NAMES, KIND_NAMES, LEAST_CHANGE_FRAC, STAGE_NAMES

CLASSIFIER_NAMES = {"weights": "Weights", "baseline": "Exit-state rule"}
WEIGHT_NAMES = {"total_kwh": "by energy", "n_jobs": "by number of jobs"}
ALL_KINDS = "all"
ACCURACY_NAMES = {
    "weights": "weights",
    "rules": "ordered rules",
    "baseline": "exit-state rule",
    "everything_is_training": "everything a training",
}


RATIO_INTERVAL = ("ratio", "ratio_low", "ratio_high")
PHASE_HEADERS = {"development": "Development", "training": "Training"}
UNPRINTED_HEADERS = {"inference": "Inference", "unknown": "Unknown"}
"""Phases whose columns a printed page has no room for."""


def phases_table(ratio: pl.DataFrame) -> ReaderTable:
    """Energy of each paper and project by phase with intervals, and R with its interval.

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
    bounds = {"ratio_all_unknown": "R all unknown", "baseline_ratio": "R exit states"}
    return ReaderTable(
        name="phases",
        title="Development against training of the reported model",
        note=(
            f"{RATIO_DEFINITION} Low and high: 95 % intervals, of the energy that the nodes really "
            "drew and of R, with kinds of runs drawn from their probabilities. "
            "R high is missing where R has no upper end. Measured: part of the "
            "energy that readings cover; the rest is estimated. Labelled: runs whose role a label "
            "gives. Reported: whether labels name the training of the reported model (label), or "
            "the largest training is assumed to be it (assumed); inference is never assumed. "
            "Unknown: runs of unknown kind, which R leaves out. Idle in holds: measured energy at "
            "idle power inside holds and sessions; the phases include it. R all unknown: R with "
            "all runs of unknown kind as development. R exit states: R by the published rule on "
            f"how jobs ended.{_withheld_ratios(rows)}"
            f"{_uncertain_reported(rows)} docs/phases.md has the weights."
        ),
        rows=rows,
        columns=[
            Column(name="name", header="Name"),
            Column(name="n_runs", header="Runs", decimals=0, printed=False),
            Column(name="n_labelled", header="Labelled", decimals=0, printed=False),
            Column(name="role_basis", header="Reported"),
            Column(name="n_uncertain_reported", header="Uncertain", decimals=0, printed=False),
            Column(name="total_kwh", header="Total", unit="kWh", digits=3),
            *(column for phase in PHASE_HEADERS for column in _phase_columns(phase)),
            *(
                column
                for phase, header in UNPRINTED_HEADERS.items()
                for column in _energy_columns(phase, header, printed=False)
            ),
            Column(name="idle_kwh", header="Idle in holds", unit="kWh", digits=3, printed=False),
            Column(
                name="unknown_gpu_h",
                header="Energy unknown",
                unit="GPU h",
                decimals=1,
                printed=False,
            ),
            *(
                Column(name=name, header=text, unit="×", digits=3, interval=RATIO_INTERVAL)
                for name, text in zip(RATIO_INTERVAL, ("R", "R low", "R high"), strict=True)
            ),
            *(
                Column(name=name, header=text, unit="×", digits=3, printed=False)
                for name, text in bounds.items()
            ),
            Column(name="ratio_reason", header="R not given", printed=False),
        ],
    )


def _phase_columns(phase: str) -> list[Column]:
    """Columns of the energy of a phase, of both ends of its interval, and of its measured part."""
    name = PHASE_HEADERS[phase]
    return [
        *_energy_columns(phase, name, printed=True),
        Column(
            name=f"{phase}_measured_frac",
            header=f"{name} measured",
            unit="%",
            decimals=1,
            scale=100,
        ),
    ]


def _energy_columns(phase: str, header: str, *, printed: bool) -> list[Column]:
    """Columns of the energy of a phase and of both ends of its interval, which are not printed."""
    interval = (f"{phase}_kwh", f"{phase}_low_kwh", f"{phase}_high_kwh")
    return [
        Column(
            name=column,
            header=text,
            unit="kWh",
            digits=3,
            interval=interval,
            printed=printed and column == interval[0],
        )
        for column, text in zip(interval, (header, f"{header} low", f"{header} high"), strict=True)
    ]


def stages_table(stages: pl.DataFrame) -> ReaderTable:
    """Energy of development of each paper and project by stage, with intervals.

    Args:
        stages: `schemas.PhaseStages`.
    """
    scope = pl.col("scope").cast(pl.Enum(SCOPES))
    is_staged = pl.col("stage").is_not_null().any().over("scope", "name")
    rows = (
        stages.filter(is_staged)
        .sort(scope, "name", "stage", nulls_last=True)
        .with_columns(
            pl.when(pl.col("scope") == "paper")
            .then("name")
            .otherwise(pl.format("project {}", "name"))
            .alias("group"),
            pl.col("stage")
            .cast(pl.String)
            .replace(STAGE_NAMES)
            .fill_null("unknown")
            .alias("stage"),
        )
    )
    return ReaderTable(
        name="stages",
        title="Development by stage",
        note=(
            "Total energy of the runs of development by the stage of the work, of the papers and "
            "projects where labels give any. Unknown: runs without a labelled stage. The rows of a "
            "paper add up to its development. Low and high: 95 % intervals of the energy that the "
            "nodes really drew. Measured: part of the energy that readings cover; the rest is "
            "estimated. "
            "docs/labels.md has the stages."
        ),
        rows=rows,
        columns=[
            Column(name="stage", header="Stage"),
            Column(name="n_runs", header="Runs", decimals=0),
            *total_columns(),
        ],
    )


def sensitivities_table(sensitivities: pl.DataFrame) -> ReaderTable:
    """R of each paper and project under each choice, the choice of the jobs of a paper first.

    Args:
        sensitivities: `schemas.PhaseSensitivities`.
    """
    scope = pl.col("scope").cast(pl.Enum(SCOPES))
    choice = pl.col("choice").cast(pl.String)
    rows = sensitivities.sort(
        scope,
        "name",
        choice.cast(pl.Enum(list(CHOICE_NAMES))),
        ~pl.col("is_headline"),
        "value",
    ).with_columns(
        pl.when(pl.col("scope") == "paper")
        .then("name")
        .otherwise(pl.format("project {}", "name"))
        .alias("group"),
        choice.replace_strict(CHOICE_NAMES, return_dtype=pl.String).alias("choice"),
        pl.col("value").str.replace_all("_", " "),
        pl.when("is_headline").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("used"),
    )
    return ReaderTable(
        name="sensitivities",
        title="R under other choices",
        note=(
            "A choice is not chance, so that the interval of R does not include it. Used: the "
            "value with which R is given elsewhere. Each row changes one choice alone. A dash: too "
            "little energy is known for R, or there is no training. docs/phases.md has the "
            "choices. Printed: R as given, and the values that change it by 5 % or more."
        ),
        rows=rows,
        printed_rows=_changing_rows(rows),
        columns=[
            Column(name="choice", header="Choice"),
            Column(name="value", header="Value"),
            Column(name="ratio", header="R", unit="×", digits=3),
            Column(name="used", header="Used"),
        ],
    )


def _changing_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Row of R as given of each paper and project, and rows that change it by 5 % or more."""
    given = pl.col("ratio").filter("is_headline").first().over("group")
    is_first = pl.col("is_headline") & (pl.col("is_headline").cum_sum().over("group") == 1)
    is_changed = (pl.col("ratio") / given - 1).abs() >= LEAST_CHANGE_FRAC
    return rows.filter(given.is_not_null() & (is_first | is_changed.fill_null(False)))


def _uncertain_reported(rows: pl.DataFrame) -> str:
    """Sentence on papers with reported runs of uncertain kind; empty if there are none."""
    uncertain = rows.filter(pl.col("scope") == "paper", pl.col("n_uncertain_reported") > 0)
    listed = [
        f"{name} ({n} run{'s' if n > 1 else ''})"
        for name, n in uncertain.select("name", "n_uncertain_reported").iter_rows()
    ]
    if not listed:
        return ""
    return (
        " Uncertain: reported runs whose kind no label gives and the classifier is unsure of, so "
        f"that R may take inference for training or training for inference: {', '.join(listed)}."
    )


def _withheld_ratios(rows: pl.DataFrame) -> str:
    """Sentence on rows with a known training and no R, with reasons; empty if there are none.

    The column of reasons does not fit on a printed page.
    """
    reasons = rows.filter(~pl.col("ratio_reason").is_in(UNCOMPUTED_REASONS)).select(
        "name", "ratio_reason"
    )
    listed = [f"{name} ({reason})" for name, reason in reasons.iter_rows()]
    return f" R cannot be given for {', '.join(listed)}." if listed else ""


def evaluation_table(evaluation: pl.DataFrame, accuracy: pl.DataFrame) -> ReaderTable:
    """Assigned kinds against true kinds of the simulated site, in per cent of each true kind.

    Args:
        evaluation: `schemas.PhaseEvaluation`.
        accuracy: `schemas.PhaseAccuracy`, for the note.
    """
    blocks = {
        (method, weight): _confusion_rows(evaluation, method, weight)
        for method in CLASSIFIER_NAMES
        for weight in WEIGHT_NAMES
    }
    return ReaderTable(
        name="evaluation",
        title="Confusion matrix of run kinds on the simulated site",
        note=(
            "On the simulated site the true kind of every job is known. A row is a true kind, a "
            "column the part of its energy, or of its jobs, that was assigned a kind. Recall: the "
            "part that was assigned its true kind; in the row all, the accuracy. The weighting by "
            "energy matters more, because most jobs are short and use almost no energy. "
            f"{JOB_COUNT_NOTE} Exit-state rule: the published rule on how jobs ended."
            f"{_accuracies(accuracy)}"
        ),
        rows=pl.concat(blocks.values()),
        printed_rows=pl.concat(
            block for (_, weight), block in blocks.items() if weight == "total_kwh"
        ),
        columns=[
            Column(name="truth", header="True kind"),
            Column(name="n_jobs", header="Jobs", decimals=0, printed=False),
            Column(name="total_kwh", header="Energy", unit="kWh", digits=3, printed=False),
            *(
                Column(name=kind, header=name, unit="%", decimals=1, scale=100)
                for kind, name in KIND_NAMES.items()
            ),
            Column(name="recall_frac", header="Recall", unit="%", decimals=1, scale=100),
        ],
    )


def _accuracies(accuracy: pl.DataFrame) -> str:
    """Share of right kinds by each method with its interval, as a sentence."""
    if accuracy.drop_nulls("right_frac").is_empty():
        return ""
    known = {(row["method"], row["weight"]): row for row in accuracy.iter_rows(named=True)}
    texts = []
    for method, name in ACCURACY_NAMES.items():
        parts = []
        for weight, text in (("energy", "of the energy"), ("jobs", "of the jobs")):
            row = known.get((method, weight))
            if row is not None and row["right_frac"] is not None:
                value, low, high = (100 * row[f"right_{end}frac"] for end in ("", "low_", "high_"))
                parts.append(f"{value:.1f} % ({low:.1f} to {high:.1f}) {text}")
        if parts:
            texts.append(f"{name}: {' and '.join(parts)}")
    return f" Right kinds, with 95 % intervals by bootstrap over people: {'; '.join(texts)}."


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
