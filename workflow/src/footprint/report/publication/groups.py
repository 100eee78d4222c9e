"""Groups of people that a publication may show by name.

People who are named in `levels.users` agreed to be shown. A group may be shown if its other people
are none, or at least `privacy.minimum_group`. The same holds for what a reader obtains by
subtraction: the total without the shown groups, and a shown group without the shown groups of
another level that lie inside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass

import polars as pl

People = Mapping[str, Set[str]]
"""People of each group, by the name of the group."""


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """Who may be shown.

    Attributes:
        minimum: `privacy.minimum_group`.
        named: Pseudonyms of the people in `levels.users`.
    """

    minimum: int
    named: frozenset[str]

    def is_safe(self, people: Set[str]) -> bool:
        """Whether a group's people who are not named are none, or at least the minimum."""
        n_others = len(people - self.named)
        return n_others == 0 or n_others >= self.minimum

    def hidden_groups(self, people: People, hidden: Collection[str] = ()) -> set[str]:
        """Groups of a division of all jobs to hide, so that the hidden ones together are safe.

        The smallest groups that add a person join the hidden ones until these are safe together:
        the total without the shown groups is then the energy of enough people.

        Args:
            people: People of all groups.
            hidden: Groups that are hidden for another reason.
        """
        found = set(hidden) | {name for name, own in people.items() if not self.is_safe(own)}
        together = set().union(*(people[name] for name in found if name in people))
        by_size = sorted(set(people) - found, key=lambda name: (len(people[name]), name))
        for name in by_size:
            if self.is_safe(together):
                break
            if people[name] - self.named - together:
                found.add(name)
                together |= people[name]
        return found if self.is_safe(together) else set(people)


def people_of(members: pl.DataFrame, level: str) -> dict[str, set[str]]:
    """People of each group of a level.

    Args:
        members: A row for each job: `user`, and the name of its group in a column for each level.
        level: The level.
    """
    pairs = members.select(pl.col(level).alias("name"), "user").drop_nulls().unique()
    rows = pairs.group_by("name").agg("user").sort("name").iter_rows()
    return {str(name): set(users) for name, users in rows}


def publishable_groups(
    members: pl.DataFrame,
    disclosure: Disclosure,
    *,
    divisions: Collection[str],
    selections: Collection[str],
    hidden: Collection[tuple[str, str]] = (),
) -> dict[str, set[str]]:
    """Names that may be shown, by level.

    Args:
        members: A row for each job: `user`, and the name of its group in a column for each level.
        disclosure: Who may be shown.
        divisions: Levels whose groups add up to the site.
        selections: Levels whose groups do not, such as papers.
        hidden: Level and name of groups that are hidden for another reason.
    """
    levels = [*divisions, *selections]
    people = {level: people_of(members, level) for level in levels}
    concealed = {level: {name for of, name in hidden if of == level} for level in levels}
    while True:
        for level in divisions:
            concealed[level] = disclosure.hidden_groups(people[level], concealed[level])
        for level in selections:
            concealed[level] |= {
                n for n, own in people[level].items() if not disclosure.is_safe(own)
            }
        shown = {level: set(people[level]) - concealed[level] for level in levels}
        exposing = exposing_groups(members, shown, disclosure)
        if not exposing:
            return shown
        for level, name in exposing:
            concealed[level].add(name)


def groups_with_safe_parts(
    members: pl.DataFrame, part: str, shown: Mapping[str, set[str]], disclosure: Disclosure
) -> dict[str, set[str]]:
    """Groups whose parts may be shown: a part, and its differences between groups, are safe.

    Args:
        members: A row for each job: `user`, the name of its group in a column for each level, and
            `part`; null: the job is in no part.
        part: Column of the part, such as the phase of a job.
        shown: Names of the groups by level.
        disclosure: Who may be shown.
    """
    found = {level: set(names) for level, names in shown.items()}
    parts = [rows for _, rows in members.drop_nulls(part).group_by(part, maintain_order=True)]
    while True:
        exposing = {
            (level, name)
            for rows in parts
            for level, names in found.items()
            for name, people in people_of(rows, level).items()
            if name in names and not disclosure.is_safe(people)
        }
        # without the groups that are not safe themselves, fewer differences follow
        if not exposing:
            exposing = {each for rows in parts for each in exposing_groups(rows, found, disclosure)}
        if not exposing:
            return found
        for level, name in exposing:
            found[level].discard(name)


def exposing_groups(
    members: pl.DataFrame, shown: Mapping[str, set[str]], disclosure: Disclosure
) -> set[tuple[str, str]]:
    """Shown groups inside a shown group of another level whose difference from it is not safe.

    Args:
        members: As in `publishable_groups`.
        shown: Names of the groups by level.
        disclosure: Who may be shown.
    """
    found = set()
    for inner in shown:
        for outer in shown:
            if inner == outer:
                continue
            inside = (
                members.filter(pl.col(inner).is_in(sorted(shown[inner])))
                .group_by(inner)
                .agg(pl.col(outer).n_unique().alias("n"), pl.col(outer).first())
                .filter(pl.col("n") == 1, pl.col(outer).is_in(sorted(shown[outer])))
            )
            for (whole,), rows in inside.group_by(outer):
                names = sorted(rows[inner])
                of_whole = members.filter(pl.col(outer) == whole)
                for part in [names, *([name] for name in names if len(names) > 1)]:
                    rest = of_whole.filter(~pl.col(inner).is_in(part).fill_null(False))
                    if not disclosure.is_safe(set(rest["user"])):
                        found |= {(inner, name) for name in part}
    return found
