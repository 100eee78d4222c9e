"""Runs of each paper, their cumulative energy, and the texts of the figure of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from footprint.allocation.node_allocations import held_until
from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.vocabulary import OTHERS, SMALL_GROUPS, NameSelection
from footprint.phases.ratio import NO_TRAINING_REASON, UNCOMPUTED_REASONS, groups_of_runs
from footprint.report import wording

MOST_STEPS = 400
"""Steps of a line of energy; thinning shifts it by less than a millimetre."""
PHASE_ORDER = ("development", "unknown", "inference", "training")
"""Phases in drawing order: the most frequent first, so that it does not cover the others."""


def runs_of_papers(
    runs: pl.LazyFrame,
    papers: pl.LazyFrame,
    *,
    jobs: pl.LazyFrame,
    ratio: pl.LazyFrame,
    levels: pl.LazyFrame,
    end: datetime,
    papers_wanted: NameSelection = "all",
) -> pl.DataFrame:
    """Runs of the papers in the levels, with the name of the paper.

    Args:
        runs: `schemas.Runs`.
        papers: `run_id`, `paper`: result of `roles.of_runs`.
        jobs: `schemas.Jobs`; a run without an end lasts until the latest possible end of its jobs.
        ratio: `schemas.PhaseRatio` of the same papers.
        levels: `schemas.Levels`.
        end: First moment after the study.
        papers_wanted: `levels.papers` of the configuration.

    Returns:
        `paper` (its row of the levels: small groups are merged), `run_id`, `started_at`,
        `stopped_at`, `phase`, `role_basis`, `total_kwh`, `is_ratio_withheld` (whether too little
        of the paper's development or training is known for a ratio), sorted by paper, start
        and run.
    """
    ends = (
        runs.filter(pl.col("stopped_at").is_null())
        .select("run_id", job_id="job_ids")
        .explode("job_id", empty_as_null=False, keep_nulls=False)
        .join(jobs.filter(pl.col("started_at").is_not_null()), on="job_id")
        .group_by("run_id")
        .agg(ends_at=held_until(end).max())
    )
    of_paper = ratio.filter(pl.col("scope") == "paper").select(
        paper="name",
        is_ratio_withheld=~pl.col("ratio_reason")
        .fill_null(NO_TRAINING_REASON)
        .is_in(UNCOMPUTED_REASONS),
    )
    known = runs.join(papers.select("run_id", "paper"), on="run_id", how="left")
    shown = groups_of_runs(known, levels=levels, papers_wanted=papers_wanted)
    return (
        shown.filter(pl.col("scope") == "paper")
        .select("run_id", paper="name")
        .join(runs, on="run_id")
        .join(ends, on="run_id", how="left")
        .join(of_paper, on="paper", how="left")
        .select(
            "paper",
            "run_id",
            "started_at",
            pl.coalesce("stopped_at", "ends_at"),
            pl.col("phase").cast(pl.String),
            pl.col("role_basis").cast(pl.String),
            "total_kwh",
            pl.col("is_ratio_withheld").fill_null(False),
        )
        .sort("paper", "started_at", "run_id")
        .collect()
    )


def cumulative_energy(runs: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Cumulative energy of a paper by phase; that of a run is spread evenly over its time.

    Args:
        runs: Runs of a paper from `runs_of_papers`; runs of unknown energy add nothing. A run
            without a start begins with the study, one without an end lasts to its end; the part of
            a run outside of the study has no energy.
        start: First moment of the study.
        end: First moment after the study.

    Returns:
        `moment`, a column for each phase and their sum `total_kwh` (kWh): a row for `start`, for
        each start and end of a run, and for `end`. Between rows, energy is linear in time.
    """
    stopped = pl.col("stopped_at").fill_null(end).clip(start, end)
    # a run of no length takes a second, so that its energy has a rate
    started = pl.min_horizontal(
        pl.col("started_at").fill_null(start).clip(start, end), stopped - timedelta(seconds=1)
    )
    energy = pl.col("total_kwh")
    known = runs.filter(energy.is_not_null()).select(
        "phase",
        energy,
        began=(started - start).dt.total_microseconds(),
        ended=(stopped - start).dt.total_microseconds(),
    )
    # the energy at t is slope x t + offset, both summed over what has happened until then
    slope = energy / (pl.col("ended") - pl.col("began"))
    rises = known.select("phase", at="began", slope=slope, offset=-slope * pl.col("began"))
    ends = known.select("phase", at="ended", slope=-slope, offset=energy + slope * pl.col("began"))
    events = pl.concat([rises, ends]).sort("at", "phase", "slope", "offset")
    length = (end - start) // timedelta(microseconds=1)
    course = pl.DataFrame({"at": pl.concat([events["at"], pl.Series([0, length])]).unique().sort()})
    for name in PHASE_ORDER:
        own = events.filter(pl.col("phase") == name).select(
            "at", pl.col("slope", "offset").cum_sum()
        )
        until = own.unique("at", keep="last", maintain_order=True)
        kwh = (pl.col("slope") * pl.col("at") + pl.col("offset")).fill_null(0.0)
        course = course.join_asof(until, on="at").with_columns(kwh.alias(name))
        course = course.drop("slope", "offset")
    return course.select(
        (pl.lit(start) + pl.duration(microseconds="at")).alias("moment"),
        *PHASE_ORDER,
        pl.sum_horizontal(PHASE_ORDER).alias("total_kwh"),
    )


def figure_title(runs: pl.DataFrame) -> str:
    """Title of the figure: the part of the energy that training of the reported model used."""
    energy, phase = pl.col("total_kwh"), pl.col("phase")
    papers = (
        runs.filter(is_named_paper())
        .group_by("paper")
        .agg(
            known_sum(energy),
            pl.len().alias("n_runs"),
            known_sum(energy.filter(phase == "training")).alias("training_kwh"),
            (pl.col("role_basis").filter(phase == "training") == "assumed")
            .any()
            .alias("is_assumed"),
            pl.col("is_ratio_withheld").any(),
        )
        .filter(energy > 0)
        .sort("total_kwh", "paper", descending=[True, False])
    )
    if papers.is_empty():
        return "The energy of no paper's runs is known"
    # the part of the training reveals R, so it needs the same coverage
    trained = papers.filter(pl.col("training_kwh").is_not_null(), ~pl.col("is_ratio_withheld"))
    # labelled trainings are preferred to assumed ones
    assumed = bool(trained["is_assumed"].all())
    trained = trained.filter(pl.col("is_assumed") == assumed)
    what = "the largest training" if assumed else "training of the reported model"
    first = papers.row(0, named=True)
    if len(papers) == 1:
        n_runs = (
            "1 run" if first["n_runs"] == 1 else f"{wording.format_count(first['n_runs'])} runs"
        )
        text = f"{first['paper']} took {wording.format_energy(first['total_kwh'])} in {n_runs}"
        if trained.is_empty():
            return text
        part = wording.format_percent(first["training_kwh"] / first["total_kwh"])
        return f"{text}; {what} was {part} of it"
    if trained.is_empty():
        sum_text = wording.format_energy(papers.select(sum_or_zero(energy)).item())
        return f"The runs of {len(papers)} papers took {sum_text}"
    parts = trained.select(pl.col("training_kwh") / energy).to_series().sort()
    low, high = (wording.format_percent(parts[place]) for place in (0, -1))
    range_text = low if low == high else f"{low} to {high}"
    which = "a paper" if len(trained) == 1 else f"{len(trained)} papers"
    return f"{what[0].upper()}{what[1:]} took {range_text} of the energy of {which}"


def is_named_paper() -> pl.Expr:
    """Whether `paper` is a single paper, and not the merged papers of small groups."""
    return ~pl.col("paper").is_in([OTHERS, SMALL_GROUPS])


def papers_by_energy(runs: pl.DataFrame) -> list[str]:
    """Named papers with known energy, those with most energy first."""
    return (
        runs.filter(is_named_paper())
        .group_by("paper")
        .agg(known_sum(pl.col("total_kwh")))
        .filter(pl.col("total_kwh") > 0)
        .sort("total_kwh", "paper", descending=[True, False])["paper"]
        .to_list()
    )


def omission_note(runs: pl.DataFrame, left_out: list[str]) -> str:
    """Note on the papers that the figure leaves out; empty if there are none.

    Args:
        runs: Result of `runs_of_papers`.
        left_out: Named papers with known energy for which there is no room.
    """
    texts = []
    if left_out:
        kwh = runs.filter(pl.col("paper").is_in(left_out)).select(sum_or_zero(pl.col("total_kwh")))
        which = "1 more paper" if len(left_out) == 1 else f"{len(left_out)} more papers"
        texts.append(f"{which} with less energy ({wording.format_energy(kwh.item())} together)")
    merged = runs.filter(~is_named_paper())
    if len(merged):
        kwh = merged.select(known_sum(pl.col("total_kwh"))).item()
        texts.append(f"papers of small groups ({wording.format_energy(kwh)} together)")
    counted = runs.filter(is_named_paper()).group_by("paper").agg(pl.col("total_kwh").count())
    without = counted.filter(pl.col("total_kwh") == 0)
    if len(without):
        which = "1 paper" if len(without) == 1 else f"{len(without)} papers"
        texts.append(f"{which} of unknown energy")
    return f"Not drawn: {', '.join(texts)}." if texts else ""


def thin_course(course: pl.DataFrame) -> pl.DataFrame:
    """The last row of each of `MOST_STEPS` equal parts of the time, and the first and last row."""
    if len(course) <= MOST_STEPS:
        return course
    since = (pl.col("moment") - pl.col("moment").first()).dt.total_microseconds()
    part = (since * MOST_STEPS / since.last()).floor()
    row = pl.int_range(pl.len())
    return course.filter((part != part.shift(-1)).fill_null(True) | (row == 0))
