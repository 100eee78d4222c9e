"""Notable AI models with their training compute and date of publication.

`notable_models.csv` in this package has some well-known models, with the source of each number. If
a study names a file or an address of Epoch AI's list (CC BY, https://epoch.ai/data), all models of
that list are used instead. The numbers are estimates. The authors of the list expect most to be
right within a factor of 2, and within 5 where little was published about a model (Our World in
Data, note on "Computation used to train notable artificial intelligence systems").
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint import __version__
from footprint.core import input_files
from footprint.core.sums import known_mean, sum_or_zero
from footprint.report.notable_models import list_cells
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

BUILT_IN_TABLE = Path(__file__).parent / "notable_models.csv"
BUILT_IN_SOURCE = "public papers and estimates of Epoch AI"
EPOCH_SOURCE = "Epoch AI"

DATE_ENDINGS = ("", "-01", "-01-01")
"""Endings that complete a date: a month or a year alone is its first day."""

DEEP_LEARNING_START = date(2010, 1, 1)
LARGE_SCALE_START = date(2015, 9, 1)

DOUBLING_MONTHS = {"before deep learning": 21.3, "deep learning": 5.7, "large scale": 9.9}
"""Sevilla et al. 2022, "Compute Trends Across Three Eras of Machine Learning", arXiv:2202.05924,
table 2: from 1952 to 2010, from 2010 to 2022, and of the largest models from September 2015 on."""

MOST_NAMED_LINES = 5
"""Most lines of a list that a reason names."""

FEWEST_MODELS = 8
"""Fewest models for a trend."""

DAYS_PER_YEAR = 365.25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trend:
    """A straight line through the logarithm of training compute.

    Attributes:
        doubling_months: Time in which compute doubles.
        ends: Date and compute (FLOP) of the first and the last model, on the line.
    """

    doubling_months: float
    ends: tuple[tuple[date, float], tuple[date, float]]


@cache
def built_in_models() -> pl.DataFrame:
    """Some well-known models from 1957 on (`schemas.NotableModels`)."""
    types = {"published_on": pl.Date, "training_flop": pl.Float64}
    return pl.read_csv(BUILT_IN_TABLE, schema_overrides=types).sort("model", "published_on")


class ModelList(NamedTuple):
    """Models of a list, and its rejected lines.

    Attributes:
        models: `schemas.NotableModels`.
        rejected: `schemas.RejectedRows`.
    """

    models: pl.DataFrame
    rejected: pl.DataFrame


NO_NAME_REASON = "no name or no publication date"
NO_DATE_REASON = "its publication date cannot be read"
NO_FLOP_REASON = "its training compute is not a number over 0"


def rejected_models(rows: pl.DataFrame, *, source: str) -> pl.DataFrame:
    """Rejected lines of a list.

    Args:
        rows: `reason`, `n_rows`, `example`.
        source: Key of the configuration that names the list.

    Returns:
        `schemas.RejectedRows`.
    """
    stages = pl.lit("models").alias("stage"), pl.lit(source).alias("source")
    found: pl.DataFrame = conform(RejectedRows, rows.with_columns(*stages))
    return found


def parse_epoch(content: bytes, *, where: str, source: str = "epoch.file") -> ModelList:
    """Models of Epoch AI's list of any year since 2023.

    A line without a name or a date, with a date or a number that cannot be read, or with another
    number of cells than the header, is rejected and counted with its place. Of lines with the same
    name and date, the one with most compute is kept.

    Args:
        content: The list, as CSV.
        where: Name of the list in messages.
        source: Key of the configuration that names the list.

    Raises:
        InputError: The content is not CSV, or a column is missing (`list_cells.read_cells`).
    """
    named = list_cells.read_cells(content, where=where)
    flop = pl.col("training_flop").cast(pl.Float64, strict=False)
    day = pl.coalesce(
        (pl.col("published_on") + ending).str.to_date("%Y-%m-%d", strict=False)
        for ending in DATE_ENDINGS
    )
    has_flop = (flop.is_finite() & (flop > 0)).fill_null(value=False)
    judged = named.with_columns(
        read_date=day,
        read_flop=flop,
        reason=pl.when("is_torn")
        .then(pl.lit(list_cells.TORN_LINE))
        .when(pl.col("model").is_null() | pl.col("published_on").is_null())
        .then(pl.lit(NO_NAME_REASON))
        .when(day.is_null())
        .then(pl.lit(NO_DATE_REASON))
        .when(pl.col("training_flop").is_not_null() & ~has_flop)
        .then(pl.lit(NO_FLOP_REASON)),
    )
    unused = (
        judged.drop_nulls("reason")
        .group_by("reason")
        .agg(n_rows=pl.len().cast(pl.Int64), lines=pl.col("line").sort())
        .sort("reason")
        .with_columns(example=_lines_in_words(pl.col("lines")))
    )
    for reason, n_rows, example in unused.select("reason", "n_rows", "example").iter_rows():
        log.warning("%s: %d lines: %s (%s)", where, n_rows, reason, example)
    models = (
        judged.filter(pl.col("reason").is_null())
        .select(
            "model",
            published_on="read_date",
            training_flop="read_flop",
            domain="domain",
            source=pl.lit(EPOCH_SOURCE),
        )
        .sort(
            "model",
            "published_on",
            "training_flop",
            descending=[False, False, True],
            nulls_last=True,
        )
        .unique(["model", "published_on"], keep="first", maintain_order=True)
    )
    return ModelList(models, rejected_models(unused, source=source))


def _lines_in_words(lines: pl.Expr) -> pl.Expr:
    """The first lines of a list of them: `line 3`, or `lines 3, 5, 8, ...`."""
    first = lines.list.head(MOST_NAMED_LINES).cast(pl.List(pl.String)).list.join(", ")
    n = lines.list.len()
    return pl.concat_str(
        pl.when(n == 1).then(pl.lit("line ")).otherwise(pl.lit("lines ")),
        first,
        pl.when(n > MOST_NAMED_LINES).then(pl.lit(", ...")).otherwise(pl.lit("")),
    )


def read_epoch(path: str | Path) -> ModelList:
    """Models of a copy of Epoch AI's list, which may be compressed.

    Raises:
        InputError: The file does not exist, or cannot be used.
    """
    content = input_files.read_content(Path(path), where=f"epoch.file ({path})")
    return parse_epoch(content, where=f"epoch.file ({Path(path).name})")


def fit_trend(
    models: pl.DataFrame, *, since: date | None = None, before: date | None = None
) -> Trend | None:
    """Trend of training compute, by least squares on its logarithm.

    Args:
        models: `schemas.NotableModels`.
        since: First day; None for the first model.
        before: Day after the last day; None for the last model.

    Returns:
        None if fewer than `FEWEST_MODELS` models have a known compute, or it does not grow.
    """
    rows = models.filter(
        pl.col("training_flop") > 0,
        pl.col("published_on") >= (since or date.min),
        pl.col("published_on") < (before or date.max),
    ).select(
        "published_on",
        years=(pl.col("published_on") - date(2000, 1, 1)).dt.total_days() / DAYS_PER_YEAR,
        doublings=pl.col("training_flop").log(2),
    )
    if rows.height < FEWEST_MODELS:
        return None
    years, doublings = known_mean(pl.col("years")), known_mean(pl.col("doublings"))
    off_mean = pl.col("years") - years
    fit = rows.select(
        slope=sum_or_zero(off_mean * (pl.col("doublings") - doublings)) / sum_or_zero(off_mean**2),
        years=years,
        doublings=doublings,
        first=pl.col("published_on").min(),
        last=pl.col("published_on").max(),
    ).row(0, named=True)
    slope = fit["slope"]
    if slope is None or not math.isfinite(slope) or slope <= 0:
        return None

    def point_on_line(day: date) -> tuple[date, float]:
        years = (day - date(2000, 1, 1)).days / DAYS_PER_YEAR
        return day, float(2.0 ** (fit["doublings"] + slope * (years - fit["years"])))

    return Trend(12 / slope, (point_on_line(fit["first"]), point_on_line(fit["last"])))


def list_provenance(models: pl.DataFrame) -> str:
    """Number and source of the models and the version of footprint, for the foot of the figure."""
    listed = (models["source"] == EPOCH_SOURCE).any()
    origin = "Epoch AI, notable AI models, CC BY" if listed else BUILT_IN_SOURCE
    known = models["training_flop"].count()
    of = f" of {models.height}" if known < models.height else ""
    return f"{known}{of} models · {origin} · footprint {__version__}"
