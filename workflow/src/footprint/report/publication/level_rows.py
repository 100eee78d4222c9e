"""Rows of groups of people (levels, papers, projects) that are published, with their digits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import polars as pl

from footprint.core.errors import InputError
from footprint.core.vocabulary import MEASURED_METHOD, NO_PROJECT, OTHERS, SMALL_GROUPS
from footprint.levels.levels import NO_QUEUE
from footprint.report.publication import groups, rounding
from footprint.report.publication.columns import public_columns
from footprint.report.publication.rounding import MOST_DIGITS, JobList
from footprint.report.publication.study import FinishedStudy

LEVEL_COLUMNS: Final = {
    "site": "site",
    "queue": "queue",
    "project": "project",
    "user": "person",
    "paper": "paper",
}
"""Column of `group_members` by level. The groups of the site and of papers do not add up to it."""
DIVISIONS: Final = ("queue", "project", "person")
SELECTIONS: Final = ("site", "paper")
PHASE_LEVELS: Final = ("project", "paper")
"""Levels with phases of their own."""

Digits = dict[tuple[str, str], int]
"""Significant digits of the amounts of a group that is shown, by level and name."""


def frames_of_groups(
    study: FinishedStudy, jobs: pl.DataFrame, papers: pl.DataFrame, job_list: JobList
) -> tuple[dict[str, pl.DataFrame], int]:
    """Public frames whose rows are groups of people, by table, and the number of hidden groups.

    Args:
        study: The study.
        jobs: `schemas.JobEnergy`, jobs that count.
        papers: `job_id`, `paper`.
        job_list: The job list of the study.

    Raises:
        InputError: A table is missing, or the study has too few people to publish any energy.
    """
    levels, ratio = study.read("levels"), study.read("phase_ratio")
    members = group_members(jobs, papers, levels, site=study.site)
    _check_people(members, study)
    logins = study.read("jobs")["user"].drop_nulls().unique()
    hidden = names_with_logins(levels, logins)
    while True:
        shown = groups.publishable_groups(
            members, study.disclosure, divisions=DIVISIONS, selections=SELECTIONS, hidden=hidden
        )
        digits = _digits_of_levels(levels, members, shown, job_list)
        unsafe = {key for key, number in digits.items() if number is None}
        if not unsafe:
            break
        hidden |= {(LEVEL_COLUMNS[level], name) for level, name in unsafe}
    known = {key: number for key, number in digits.items() if number is not None}
    if ("site", study.site) not in known:
        raise InputError(
            "the energy of the site is that of one person, whatever its rounding",
            where="results/levels.parquet",
            do="study more people",
        )
    phases = study.read("phase_of_job").select("job_id", pl.col("phase").cast(pl.String))
    of_phases = _groups_with_safe_phases(members.join(phases, on="job_id"), known, job_list)
    of_ratio = _digits_of_ratios(ratio, members, of_phases, job_list)
    known |= of_ratio  # a total with more digits than its parts would give their digits away
    frames = {
        name: _rows_of_groups(name, study.read(name), known, scope="level")
        for name in ("levels", "carbon", "uncertainty")
    }
    frames["phase_ratio"] = _rows_of_groups("phase_ratio", ratio, of_ratio, scope="scope")
    for name in ("phase_sensitivities", "ratio_uncertainty"):
        frames[name] = _rows_of_groups(name, study.read(name), of_ratio, scope="scope")
    frames["phase_sensitivities"] = _without_exposing_ratios(
        frames["phase_sensitivities"], ratio, members, of_ratio, job_list
    )
    measured = levels.filter(pl.col("method") == MEASURED_METHOD)
    return frames, len(measured) - len(known)


def group_members(
    jobs: pl.DataFrame, papers: pl.DataFrame, levels: pl.DataFrame, *, site: str
) -> pl.DataFrame:
    """Group of each job at each level, by the name in `levels`.

    Args:
        jobs: `schemas.JobEnergy`, jobs that count.
        papers: `job_id`, `paper`.
        levels: `schemas.Levels`.
        site: Name of the site.

    Returns:
        `user`, and a column for each level (`LEVEL_COLUMNS`); null: the job is in no row of it.
    """
    named = jobs.select(
        "job_id",
        "user",
        site=pl.lit(site),
        queue=pl.col("queue").fill_null(NO_QUEUE),
        project=pl.col("project").fill_null(NO_PROJECT),
        person="user",
    ).join(papers.select("job_id", "paper"), on="job_id", how="left")
    return named.with_columns(
        _shown_name(column, levels, level)
        for level, column in LEVEL_COLUMNS.items()
        if level != "site"
    )


def _shown_name(column: str, levels: pl.DataFrame, level: str) -> pl.Expr:
    names = set(levels.filter(pl.col("level") == level)["name"])
    # papers that are left out of `levels` are in none of its rows
    rests = (SMALL_GROUPS, OTHERS) if level != "paper" else ()
    rest = next((name for name in rests if name in names), None)
    name = pl.col(column)
    in_rest = pl.when(name.is_not_null()).then(pl.lit(rest, pl.String))
    return pl.when(name.is_in(sorted(names))).then(name).otherwise(in_rest).alias(column)


def _check_people(members: pl.DataFrame, study: FinishedStudy) -> None:
    people, minimum = set(members["user"].drop_nulls()), study.disclosure.minimum
    if not people or not study.disclosure.is_safe(people):
        n_others = len(people - study.disclosure.named)
        raise InputError(
            f"the study has {n_others} people who are not named in levels.users; at least "
            f"{minimum} are needed to publish",
            where="privacy.minimum_group",
            do="study more people, or name those who agreed in levels.users",
        )


def names_with_logins(levels: pl.DataFrame, logins: Collection[str]) -> set[tuple[str, str]]:
    """Column and name of the groups whose name contains a login as a word, in capitals or not.

    Args:
        levels: `schemas.Levels`; pseudonyms contain no login.
        logins: Logins of all people.
    """
    if not len(logins):
        return set()
    words = "|".join(re.escape(login) for login in sorted(logins))
    word = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.I)
    names = levels.filter(pl.col("level").is_in(["queue", "project", "paper"]))
    found = names.select("level", "name").unique().iter_rows()
    return {(LEVEL_COLUMNS[level], name) for level, name in found if word.search(name)}


def _digits_of_levels(
    levels: pl.DataFrame,
    members: pl.DataFrame,
    shown: Mapping[str, set[str]],
    job_list: JobList,
) -> dict[tuple[str, str], int | None]:
    """Digits of each shown group and of the overhead; None: not safe."""
    found: dict[tuple[str, str], int | None] = {}
    for row in levels.filter(pl.col("method") == MEASURED_METHOD).iter_rows(named=True):
        key = row["level"], row["name"]
        if row["level"] == "overhead":
            found[key] = job_list.digits_of_row(row) or 1  # of no job, whatever it fits
        elif row["name"] in shown[LEVEL_COLUMNS[row["level"]]]:
            lists = _lists_of(key, members, job_list)
            found[key] = _fewest(each.digits_of_row(row) for each in lists)
    return found


def _fewest(digits: Iterable[int | None]) -> int | None:
    """The fewest digits, `MOST_DIGITS` of none; None if one of them is."""
    found = list(digits)
    known = [number for number in found if number is not None]
    return min(known, default=MOST_DIGITS) if len(known) == len(found) else None


def _lists_of(key: tuple[str, str], members: pl.DataFrame, job_list: JobList) -> list[JobList]:
    """Job lists that a reader could join the rows of a group with; none if all its people agreed.

    They are the jobs of the group, and all jobs if the list does not name the group.
    """
    level, name = key
    own = members.filter(pl.col(LEVEL_COLUMNS[level]) == name)
    if set(own["user"].drop_nulls()) <= job_list.disclosure.named:
        return []
    is_in_list = level in ("queue", "project") and name not in (OTHERS, SMALL_GROUPS)
    return [job_list.of_group(own["job_id"]), *([] if is_in_list else [job_list])]


def _groups_with_safe_phases(members: pl.DataFrame, digits: Digits, job_list: JobList) -> Digits:
    """Groups whose phases may be shown, beside those of the whole site.

    Args:
        members: Result of `group_members`, with `phase`.
        digits: Digits of the shown groups.
        job_list: The job list of the study.
    """
    shown: dict[str, set[str]] = {LEVEL_COLUMNS[level]: set() for level in ("site", *PHASE_LEVELS)}
    for level, name in digits:
        if LEVEL_COLUMNS.get(level) in shown:
            shown[LEVEL_COLUMNS[level]].add(name)
    safe = groups.groups_with_safe_parts(members, "phase", shown, job_list.disclosure)
    return {
        (level, name): number
        for (level, name), number in digits.items()
        if level in PHASE_LEVELS and name in safe[LEVEL_COLUMNS[level]]
    }


def _digits_of_ratios(
    ratio: pl.DataFrame, members: pl.DataFrame, digits: Digits, job_list: JobList
) -> Digits:
    """Digits of R and the phases of each shown paper and project that may have them."""
    found = {}
    for row in ratio.iter_rows(named=True):
        key = row["scope"], row["name"]
        if key in digits:
            lists = _lists_of(key, members, job_list)
            number = _fewest(each.digits_of_ratio(row) for each in lists)
            if number is not None:
                found[key] = min(number, digits[key])
    return found


def _without_exposing_ratios(
    sensitivities: pl.DataFrame,
    ratio: pl.DataFrame,
    members: pl.DataFrame,
    digits: Digits,
    job_list: JobList,
) -> pl.DataFrame:
    """Sensitivities, with null for R that gives the energy of a hidden person's run away."""
    rows = {(row["scope"], row["name"]): row for row in ratio.iter_rows(named=True)}
    lists = {key: _lists_of(key, members, job_list) for key in digits}

    def is_safe(row: Mapping[str, Any]) -> bool:
        key = row["scope"], row["name"]
        if row["is_headline"] or row["ratio"] is None:
            return True
        energy = rounding.training_of_other_ratio(rows[key], row["ratio"], digits[key])
        return all(each.is_safe_energy(energy) for each in lists[key])

    safe = [is_safe(row) for row in sensitivities.iter_rows(named=True)]
    may_be_shown = pl.Series(safe, dtype=pl.Boolean)
    return sensitivities.with_columns(ratio=pl.when(may_be_shown).then("ratio"))


def _rows_of_groups(name: str, frame: pl.DataFrame, digits: Digits, *, scope: str) -> pl.DataFrame:
    """Rows of the groups that have digits, rounded to them, in the order of the frame."""
    known = pl.DataFrame(
        [(*key, number) for key, number in digits.items()],
        schema={scope: pl.String, "name": pl.String, "digits": pl.Int64},
        orient="row",
    )
    rows = public_columns(name, frame).with_columns(pl.col(scope).cast(pl.String))
    rows = rows.join(known, on=[scope, "name"], how="inner", maintain_order="left")
    return rounding.round_rows(name, rows, pl.col("digits")).drop("digits")
