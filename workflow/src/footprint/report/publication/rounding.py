"""Digits of published amounts, so that a row matches no job, run or person of the job list.

Whoever can read the job list, and the power of the nodes, can compute the energy of every job. A
published row could be joined with these on every column that both have, rounded as printed. A row
is printed with the most significant digits, at most three, at which it fits nobody, or at least as
many people as the minimum; a row that no number of digits protects is withheld.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import polars as pl

from footprint.core.sums import known_sum, quotient
from footprint.report.publication.columns import ROUNDED, columns_treated
from footprint.report.publication.groups import Disclosure

MOST_DIGITS: Final = 3
SHARED_COLUMNS: Final = (
    *("n_jobs", "gpu_hours", "core_hours"),
    *("measured_kwh", "estimated_kwh", "total_kwh", "measured_frac"),
)
"""Numbers of a job, run or person that published rows have too."""

_PRINTED_TOGETHER: Final = (("total_kwh",), ("total_kwh", "measured_frac"))
"""Columns that some tables have without the others."""
_PHASES: Final = ("training", "development", "inference", "unknown")

_MOST_FIRST: Final = tuple(range(MOST_DIGITS, 0, -1))

_UNIT_KEYS: Final[Sequence[list[str]]] = ([], ["run_id"], ["project", "phase"], ["paper", "phase"])
"""What a person's jobs are summed by: all, each run, and the parts of a paper's or project's R."""


class Interval(NamedTuple):
    """Values that a printed number may stand for."""

    low: float
    high: float

    def __and__(self, other: Interval) -> Interval:
        return Interval(max(self.low, other.low), min(self.high, other.high))


def round_number(value: float, digits: int) -> float:
    """A number rounded to significant digits."""
    return float(f"{value:.{digits - 1}e}")


def interval_of(printed: float, digits: int) -> Interval:
    """Values that are printed as a number with some significant digits."""
    if printed == 0:
        return Interval(0.0, 0.0)
    size = abs(printed)
    decade = 10.0 ** math.floor(math.log10(size))
    half_unit = decade * 10.0 ** (1 - digits) / 2
    # numbers below a power of ten have a digit more: 0.95 to 1.5 is printed as 1
    below = half_unit / 10 if math.isclose(size, decade) else half_unit
    if printed < 0:
        return Interval(printed - half_unit, printed + below)
    return Interval(printed - below, printed + half_unit)


@dataclass(frozen=True)
class JobList:
    """What a reader of the job list can compute.

    Attributes:
        jobs: A row for each job: its id, owner, groups, run, phase and `SHARED_COLUMNS`.
        units: A row for each job, each run, each person, and each person's part of the phases of a
            project or paper: `user` and `SHARED_COLUMNS`.
        disclosure: Who may be shown.
    """

    jobs: pl.DataFrame
    units: pl.DataFrame
    disclosure: Disclosure

    @classmethod
    def of_study(
        cls,
        jobs: pl.DataFrame,
        phase_of_job: pl.DataFrame,
        papers: pl.DataFrame,
        disclosure: Disclosure,
    ) -> JobList:
        """The job list of a study.

        Args:
            jobs: `schemas.JobEnergy`.
            phase_of_job: `schemas.PhaseOfJob`.
            papers: `job_id`, `paper`.
            disclosure: Who may be shown.
        """
        single = (
            jobs.join(phase_of_job.select("job_id", "run_id", "phase"), on="job_id", how="left")
            .join(papers.select("job_id", "paper"), on="job_id", how="left")
            .with_columns(n_jobs=pl.lit(1, pl.Int64))
        )
        return cls._of_jobs(single, disclosure)

    @classmethod
    def _of_jobs(cls, jobs: pl.DataFrame, disclosure: Disclosure) -> JobList:
        sums = [
            pl.len().cast(pl.Int64).alias("n_jobs"),
            *(known_sum(pl.col(name)).alias(name) for name in SHARED_COLUMNS[1:-1]),
        ]
        part = quotient(pl.col("measured_kwh"), pl.col("total_kwh")).alias("measured_frac")
        frames = [
            jobs,
            *(jobs.drop_nulls(keys).group_by("user", *keys).agg(sums) for keys in _UNIT_KEYS),
        ]
        units = [each.with_columns(part).select("user", *SHARED_COLUMNS) for each in frames]
        return cls(jobs, pl.concat(units), disclosure)

    def of_group(self, job_ids: pl.Series) -> JobList:
        """The part of the list that a reader looks at who knows the jobs of a group."""
        return self._of_jobs(
            self.jobs.filter(pl.col("job_id").is_in(job_ids.implode())), self.disclosure
        )

    def is_safe(self, fitting: pl.DataFrame) -> bool:
        """Whether the units that fit a row are of nobody who is hidden, or of enough people."""
        return self.disclosure.is_safe(set(fitting["user"].drop_nulls()))

    def digits_of_row(self, row: Mapping[str, Any]) -> int | None:
        """Most digits at which a row may be printed; None: it may not.

        Not every file has all columns: the row is joined on the total alone, on the total with its
        measured fraction, and on all of `SHARED_COLUMNS`.

        Args:
            row: Numbers by column; a null is not joined on.
        """
        known = {name: float(row[name]) for name in SHARED_COLUMNS if row.get(name) is not None}
        joins = [known, *(_of_columns(known, names) for names in _PRINTED_TOGETHER)]
        return next(
            (n for n in _MOST_FIRST if all(self._is_safe_row(join, n) for join in joins)), None
        )

    def _is_safe_row(self, numbers: Mapping[str, float], digits: int) -> bool:
        """Whether numbers may be printed to some digits, however many a reader takes them for."""
        printed = {name: round_number(value, digits) for name, value in numbers.items()}
        # 0.490 may be read as 0.49
        fewest = max((_digits_without_zeros(each) for each in printed.values()), default=digits)
        return all(
            self._is_safe_within({name: interval_of(each, n) for name, each in printed.items()})
            for n in range(min(fewest, digits), MOST_DIGITS + 1)
        )

    def _is_safe_within(self, intervals: Mapping[str, Interval]) -> bool:
        # what is 0 or unknown is nobody's
        if not any(interval.high > 0 for interval in intervals.values()):
            return True
        fits = [pl.col(name).is_between(*interval) for name, interval in intervals.items()]
        return self.is_safe(self.units.filter(fits))

    def digits_of_ratio(self, row: Mapping[str, Any]) -> int | None:
        """Most digits at which R and the energies of a paper may be printed; None: they may not.

        The reported training is often one run. Its energy is printed, and it follows from R and the
        energy of development, and from the total and the other phases.

        Args:
            row: Row of `schemas.PhaseRatio`.
        """
        return next((n for n in _MOST_FIRST if self._is_safe_ratio(row, n)), None)

    def _is_safe_ratio(self, row: Mapping[str, Any], digits: int) -> bool:
        for phase in _PHASES:
            numbers = {"total_kwh": row[f"{phase}_kwh"]}
            numbers["measured_frac"] = row.get(f"{phase}_measured_frac")
            known = {name: each for name, each in numbers.items() if each is not None}
            joins = (known, _of_columns(known, ("total_kwh",)))
            if not all(self._is_safe_row(join, digits) for join in joins):
                return False
        return row["training_kwh"] is None or all(
            self.is_safe_energy(_training_energy(row, digits, n))
            for n in range(digits, MOST_DIGITS + 1)
        )

    def is_safe_energy(self, energy: Interval) -> bool:
        """Whether an energy in kWh could be that of the jobs or runs of enough people."""
        return self._is_safe_within({"total_kwh": energy})


def _of_columns(numbers: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Numbers of the columns that a table prints together; none without the first of them."""
    first, *others = names
    if first not in numbers:
        return {}
    return {name: numbers[name] for name in (first, *others) if name in numbers}


def _training_energy(row: Mapping[str, Any], digits: int, taken_for: int) -> Interval:
    """Energies of the reported training that agree with a printed row of `schemas.PhaseRatio`.

    Args:
        row: The row, as it is in the table.
        digits: Digits of what is printed.
        taken_for: Digits that a reader takes these numbers to have.
    """
    printed = {
        f"{name}_kwh": interval_of(round_number(row[f"{name}_kwh"] or 0.0, digits), taken_for)
        for name in (*_PHASES, "total")
    }
    found, total = printed["training_kwh"], printed["total_kwh"]
    others = [printed[f"{phase}_kwh"] for phase in ("development", "inference", "unknown")]
    found &= Interval(
        total.low - math.fsum(each.high for each in others),
        total.high - math.fsum(each.low for each in others),
    )
    if row["ratio"]:
        ratio = interval_of(round_number(row["ratio"], digits), taken_for)
        development = printed["development_kwh"]
        found &= Interval(development.low / ratio.high, development.high / ratio.low)
    # phases that do not add up to the total say less than the energy itself
    return found if found.low <= found.high else printed["training_kwh"]


def training_of_other_ratio(row: Mapping[str, Any], ratio: float, digits: int) -> Interval:
    """Energies of another training that R under another choice stands for.

    Args:
        row: Row of `schemas.PhaseRatio` of the same paper.
        ratio: R under the other choice.
        digits: Significant digits of everything printed.
    """
    both = [
        interval_of(round_number(row[name] or 0.0, digits), digits)
        for name in ("training_kwh", "development_kwh")
    ]
    printed = interval_of(round_number(ratio, digits), digits)
    low, high = math.fsum(each.low for each in both), math.fsum(each.high for each in both)
    return Interval(low / (1 + printed.high), high / (1 + printed.low))


def round_rows(table: str, frame: pl.DataFrame, digits: pl.Expr | int) -> pl.DataFrame:
    """A frame with the numbers of each row rounded to significant digits; null digits: null.

    Ends of intervals are rounded outwards where there are fewer than `MOST_DIGITS`, so that an
    interval does not become narrower than it is.

    Args:
        table: Name of the table in `columns.COLUMNS`.
        frame: The table.
        digits: Digits of each row, 1 to `MOST_DIGITS`.
    """
    number = digits if isinstance(digits, pl.Expr) else pl.lit(digits)
    names = [name for name in columns_treated(table, ROUNDED) if name in frame.columns]
    return frame.with_columns(rounded(name, frame.schema[name], number) for name in names)


def rounded(name: str, kind: pl.DataType, number: pl.Expr) -> pl.Expr:
    """A column rounded to the digits of each row, as in `round_rows`.

    Args:
        name: Name of the column; one with the word `low` or `high` is an end of an interval.
        kind: Type of the column.
        number: Digits of each row.
    """
    value = pl.col(name).cast(pl.Float64)
    choices = [pl.when(number == MOST_DIGITS).then(value.round_sig_figs(MOST_DIGITS))]
    for n in range(1, MOST_DIGITS):
        unit = pl.lit(10.0).pow(value.abs().log10().floor() - (n - 1))
        # a value that has these digits is not moved by the last bits of a quotient
        steps = (value / unit).round_sig_figs(12)
        outwards = {"low": steps.floor(), "high": steps.ceil()}
        end = next((outwards[word] for word in name.split("_") if word in outwards), None)
        printed = value if end is None else pl.when(value == 0).then(0.0).otherwise(end * unit)
        choices.append(pl.when(number == n).then(printed.round_sig_figs(n)))
    return pl.coalesce(choices).cast(kind).alias(name)


def _digits_without_zeros(value: float) -> int:
    """Significant digits of a number without the zeros at its end."""
    digits, _, _ = f"{abs(value):.12e}".partition("e")
    return max(len(digits.replace(".", "").rstrip("0")), 1)
