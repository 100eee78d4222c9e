"""Groups of a level that are shown by name; the others are one row.

*Disclosure*: a group of fewer people than the minimum is shown by name only when each of these
people is named in `levels.users`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from footprint.core.vocabulary import OTHERS, SMALL_GROUPS, NameSelection

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LevelSelection:
    """Groups that a study wants to show by name, by level.

    Attributes:
        projects: Names to show, or `all`. The rest is one row, `(others)`.
        users: Pseudonyms of the people who asked to be shown, or `all` for a row for each person;
            `all` selects no person, so groups smaller than the minimum stay hidden.
        papers: Names to show, or `all`.
        minimum_group: Fewest people of a queue, project or paper that is shown by name without
            being asked for. Smaller groups are merged into `others (small groups)`. If that row
            has too few people itself, the smallest of the larger groups join it.
    """

    projects: NameSelection = "all"
    users: NameSelection = "all"
    papers: NameSelection = "all"
    minimum_group: int

    def wanted_names(self, level: str) -> NameSelection:
        """Names of a level that the study wants to show, or `all`."""
        by_level = {"project": self.projects, "user": self.users, "paper": self.papers}
        return by_level.get(level, "all")

    def shown_names(self, level: str, people: Mapping[str, set[str]]) -> dict[str, str]:
        """Name under which each group of a level is shown.

        Queues, projects and users cover the whole site: groups that are not wanted become one row.
        Papers do not cover it: papers that are not wanted are left out.

        Args:
            level: The level.
            people: People of each group.
        """
        wanted = self.wanted_names(level)
        asked = frozenset() if self.users == "all" else frozenset(self.users)
        minimum = 1 if level in ("site", "user") else self.minimum_group
        rest = SMALL_GROUPS if wanted == "all" or level == "paper" else OTHERS
        named = set(people) if wanted == "all" else set(people) & set(wanted)
        small = {
            name for name in named if len(people[name]) < minimum and not people[name] <= asked
        }
        if small and wanted != "all":
            for name in sorted(small):
                LOG.warning(
                    "%s %s has fewer than privacy.minimum_group = %d people: it is part of `%s` "
                    "unless each of them is named in levels.users",
                    level,
                    name,
                    minimum,
                    rest,
                )
        hidden = small if level == "paper" else small | (set(people) - named)
        # the row of hidden groups must not be a single small group itself
        for name in sorted(named - small, key=lambda name: (len(people[name]), name)):
            together = set().union(*(people[other] for other in hidden))
            if not hidden or len(together) >= minimum or together <= asked:
                break
            if not people[name] <= asked:
                hidden.add(name)
        return {name: rest if name in hidden else name for name in sorted(named | hidden)}
