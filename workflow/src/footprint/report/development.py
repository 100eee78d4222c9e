"""The section of the summary on development and training of the reported model."""

from __future__ import annotations

import polars as pl

from footprint.phases.ratio import NO_TRAINING_REASON, RATIO_DEFINITION, UNCOVERED_REASON
from footprint.report.wording import (
    CHOICE_NAMES,
    UNKNOWN,
    Row,
    energy_texts,
    format_count,
    format_percent,
    format_range,
    format_ratio,
    format_ratio_interval,
    ratio_texts,
)

PUBLISHED_RATIOS = "3 to 256 over four projects (Douwes, Magron and Serizel, arXiv 2610.01619)"


def development_section(ratio: pl.DataFrame, sensitivities: pl.DataFrame) -> list[str]:
    """Paragraphs of the section: its heading, R of the papers, a table, and other choices.

    Args:
        ratio: `schemas.PhaseRatio`.
        sensitivities: `schemas.PhaseSensitivities`.
    """
    head = "## 3. Development against training of the reported model"
    rows = ratio.sort(pl.col("scope").cast(pl.Enum(["paper", "project"])), "name")
    reason = pl.col("ratio_reason").fill_null(NO_TRAINING_REASON)
    papers = rows.filter(pl.col("scope") == "paper", pl.col("ratio").is_not_null())
    others = rows.filter(
        pl.col("scope") == "paper", pl.col("ratio").is_null(), reason != NO_TRAINING_REASON
    )
    texts = []
    if len(papers):
        noun = "papers" if len(papers) + len(others) > 1 else "paper"
        texts.append(
            f"For {_number_of_papers(len(papers), len(others))} {noun} of this study, development "
            f"used {_times(papers)} the energy of training the reported model"
            f"{_assumption(papers)}. Published ratios: {PUBLISHED_RATIOS}."
        )
    if len(others):
        which = "; ".join(f"{r['name']} ({r['ratio_reason']})" for r in others.to_dicts())
        texts.append(f"**R cannot be given** for {which}.")
    unsure = rows.filter(pl.col("scope") == "paper", pl.col("n_uncertain_reported") > 0)
    if len(unsure):
        which = ", ".join(f"{r['name']} ({r['n_uncertain_reported']})" for r in unsure.to_dicts())
        texts.append(
            "**The kind of reported runs is uncertain**: no label gives it, and the classifier is "
            "unsure or finds trainings and inference among the reported runs of one paper. R may "
            "take one for the other, which its interval includes in part. Number of such runs by "
            f"paper: {which}. `footprint labels` lists them first."
        )
    if not texts:
        texts.append(
            "R cannot be given: no run of a paper is known to have trained a reported model."
        )
    # without labels, the reported training of a project is not defined
    rows = rows.filter(reason != UNCOVERED_REASON)
    if rows.is_empty():
        return [head, *texts]
    texts.append(
        f"{RATIO_DEFINITION} The interval (95 %) includes the errors of both energies. "
        "*Measured*: part of the energy of development, and of training, that was measured. "
        "*Assumed* means that no label names the reported training and the largest is assumed to "
        "be it."
    )
    table = [
        "| Paper or project | R (95 %) | Development | Training | Measured | Labelled runs "
        "| Reported model by |",
        "|---|--:|--:|--:|--:|--:|---|",
        *(_ratio_line(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *texts, "\n".join(table), *_sensitivity_paragraphs(sensitivities)]


def _number_of_papers(n: int, n_others: int) -> str:
    """Number of papers with a ratio, with the total where some lack one for want of energies."""
    return f"{n} of the {n + n_others}" if n_others else f"the {n}"


def _times(papers: pl.DataFrame) -> str:
    """R of the papers: of one with its interval, of several the lowest and the highest."""
    first, *rest = papers.sort("ratio", "name").to_dicts()
    if not rest:
        value, interval = ratio_texts(first["ratio"], first["ratio_low"], first["ratio_high"])
        ends = "" if interval is None else f" (95 %: {interval})"
        return f"**{value} times**{ends}"
    return (
        f"**{format_range(format_ratio(first['ratio']), format_ratio(rest[-1]['ratio']))} times**"
    )


def _assumption(papers: pl.DataFrame) -> str:
    """Note on papers without a label for the reported training; empty if there are none."""
    n = len(papers.filter(pl.col("role_basis") == "assumed"))
    which = "" if n == len(papers) else f"for {n} of them "
    return f" ({which}assumed to be the largest training)" if n else ""


def _ratio_line(row: Row) -> str:
    parts = (format_percent(row[f"{side}_measured_frac"]) for side in ("development", "training"))
    cells = [
        row["name"] if row["scope"] == "paper" else f"project {row['name']}",
        format_ratio_interval(
            row["ratio"], row["ratio_low"], row["ratio_high"], row["ratio_reason"]
        ).replace("95 %: ", ""),
        _phase_energy(row, "development"),
        _phase_energy(row, "training"),
        " and ".join(parts),
        f"{format_count(row['n_labelled'])} of {format_count(row['n_runs'])}",
        row["role_basis"] or UNKNOWN,
    ]
    return f"| {' | '.join(cells)} |"


def _phase_energy(row: Row, phase: str) -> str:
    """Energy of a phase with its interval in brackets."""
    energies = [row[f"{phase}{end}_kwh"] for end in ("", "_low", "_high")]
    if energies[0] is None:
        return UNKNOWN
    total, interval = energy_texts(*energies)
    return total if interval is None else f"{total} ({interval})"


def _sensitivity_paragraphs(sensitivities: pl.DataFrame) -> list[str]:
    """What R would be under other choices, a line for each paper; empty without papers."""
    papers = sensitivities.filter(pl.col("scope") == "paper")
    if papers.is_empty():
        return []
    lines = []
    for name in papers["name"].unique(maintain_order=True):
        own = papers.filter(pl.col("name") == name).sort(
            ~pl.col("is_headline"), maintain_order=True
        )
        texts = [
            _choice_text(choice_name, own.filter(pl.col("choice") == choice))
            for choice, choice_name in CHOICE_NAMES.items()
        ]
        lines.append(f"- **{name}**: {'; '.join(text for text in texts if text)}.")
    text = (
        "R also depends on choices, which no interval includes. Lowest and highest R by choice, "
        "other choices as used (all values: table `sensitivities`):"
    )
    return [text, "\n".join(lines)]


def _choice_text(name: str, rows: pl.DataFrame) -> str:
    """Lowest and highest R of a choice with its values; empty if R is the same for all values.

    Args:
        name: Name of the choice.
        rows: Rows of the choice in `schemas.PhaseSensitivities`.
    """
    if len(rows) < 2:
        return ""
    known = rows.drop_nulls("ratio").sort("ratio", maintain_order=True)
    unknown = ", without R for some" if len(known) < len(rows) else ""
    if known.is_empty():
        return f"{name}: without R"
    low, high = known.row(0, named=True), known.row(-1, named=True)
    if format_ratio(low["ratio"]) == format_ratio(high["ratio"]):
        return f"{name}{unknown}" if unknown else ""
    ends = [f"{format_ratio(r['ratio'])} ({r['value'].replace('_', ' ')})" for r in (low, high)]
    return f"{name} {' to '.join(ends)}{unknown}"
