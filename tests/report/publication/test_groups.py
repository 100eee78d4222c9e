"""Groups that may be shown: hidden groups, differences, people who agreed."""

from typing import Any

import polars as pl
import pytest

from footprint.report.publication.groups import (
    Disclosure,
    groups_with_safe_parts,
    publishable_groups,
)


def disclosure(*named: str, minimum: int = 3) -> Disclosure:
    return Disclosure(minimum=minimum, named=frozenset(named))


def people(**groups: str) -> dict[str, set[str]]:
    return {name: set(letters) for name, letters in groups.items()}


@pytest.mark.parametrize(
    ("own", "named", "safe"),
    [
        ("abc", "", True),
        ("ab", "", False),
        ("", "", True),
        ("ab", "ab", True),
        ("abc", "a", False),  # the others follow from the total without a
        ("abcd", "a", True),
    ],
)
def test_group_is_safe_without_those_who_agreed(own: str, named: str, safe: bool) -> None:
    assert disclosure(*named).is_safe(set(own)) is safe


def test_small_group_takes_the_smallest_other_into_hiding() -> None:
    own = people(large="abcdefg", middle="hijkl", small="xy")
    assert disclosure().hidden_groups(own) == {"small", "middle"}


def test_hidden_groups_that_are_enough_people_hide_no_other() -> None:
    own = people(large="abcdefg", middle="hijkl", small="xy", tiny="z")
    assert disclosure().hidden_groups(own) == {"small", "tiny"}


def test_group_that_adds_nobody_is_not_hidden_in_vain() -> None:
    own = people(small="xy", same="xyabc", other="abcd")
    hidden = disclosure().hidden_groups(own)
    assert len(set().union(*(own[name] for name in hidden))) >= 3
    assert "small" in hidden


def test_no_small_group_hides_nothing() -> None:
    assert disclosure().hidden_groups(people(one="abc", two="cde")) == set()


def test_level_that_cannot_be_safe_is_hidden_as_a_whole() -> None:
    own = people(one="xy", two="x")
    assert disclosure().hidden_groups(own) == {"one", "two"}


def test_rest_of_people_who_agreed_is_not_a_single_person() -> None:
    """Four of five people agreed: the total without them would be the fifth."""
    own = {name: {name} for name in "abcde"}
    assert disclosure(*"abcd").hidden_groups(own) == set("abcde")


def members(*rows: tuple[str, Any, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={"user": pl.String, "project": pl.String, "paper": pl.String},
        orient="row",
    ).with_columns(site=pl.lit("nancy"))


def shown(table: pl.DataFrame, own: Disclosure, **hidden: Any) -> dict[str, set[str]]:
    return publishable_groups(
        table, own, divisions=["project"], selections=["site", "paper"], **hidden
    )


OTHERS = [(user, "other", None) for user in "mnopq"]


def test_paper_whose_project_has_one_more_person_is_hidden() -> None:
    """The project without the paper would be the energy of d."""
    rows = [*((user, "speech", "demo") for user in "abc"), ("d", "speech", None), *OTHERS]
    assert shown(members(*rows), disclosure())["paper"] == set()
    assert shown(members(*rows), disclosure())["project"] == {"speech", "other"}
    # d agreed
    assert shown(members(*rows), disclosure("d"))["paper"] == {"demo"}


def test_paper_is_shown_where_the_rest_of_its_project_is_enough_people() -> None:
    rows = [*((user, "speech", "demo") for user in "abc"), *((u, "speech", None) for u in "def")]
    assert shown(members(*rows, *OTHERS), disclosure())["paper"] == {"demo"}


def test_two_papers_that_leave_one_person_are_hidden() -> None:
    rows = [
        *((user, "speech", "one") for user in "abc"),
        *((user, "speech", "two") for user in "efg"),
        ("d", "speech", None),
    ]
    assert shown(members(*rows, *OTHERS), disclosure())["paper"] == set()


def test_paper_of_the_whole_project_is_shown() -> None:
    rows = [(user, "speech", "demo") for user in "abc"]
    assert shown(members(*rows, *OTHERS), disclosure())["paper"] == {"demo"}


def test_group_hidden_for_another_reason_takes_others_along() -> None:
    rows = [
        *((user, "speech", None) for user in "abc"),
        *OTHERS,
        *((u, "third", None) for u in "xyz"),
    ]
    found = shown(members(*rows), disclosure(), hidden=[("project", "speech")])
    assert found["project"] == {"other", "third"}


@pytest.mark.parametrize("seed", range(30))
def test_no_difference_of_shown_groups_is_of_few_people(seed: int) -> None:
    """Random groups: whatever is subtracted at one level leaves nobody or enough people."""
    import random

    chance = random.Random(seed)
    users = "abcdefghijkl"
    rows = [
        (
            chance.choice(users),
            chance.choice(["p", "q", "r", "s"]),
            chance.choice([None, "one", "two"]),
        )
        for _ in range(chance.randint(8, 40))
    ]
    table = members(*rows)
    own = disclosure(*chance.sample(users, chance.randint(0, 4)))
    found = shown(table, own)
    for level, names in found.items():
        for name in names:
            assert own.is_safe(set(table.filter(pl.col(level) == name)["user"]))
    rest = table.filter(~pl.col("project").is_in(sorted(found["project"])))
    everybody = set(table["user"])
    assert own.is_safe(set(rest["user"])) or not found["project"]
    for paper in found["paper"]:
        inside = table.filter(paper=paper)
        if found["site"]:
            assert own.is_safe(set(table.filter(pl.col("paper").ne_missing(paper))["user"]))
        if inside["project"].n_unique() == 1 and inside["project"][0] in found["project"]:
            others = table.filter(project=inside["project"][0])
            assert own.is_safe(set(others.filter(pl.col("paper").ne_missing(paper))["user"]))
    assert everybody


def phase_members(*rows: tuple[str, str, str | None, str | None]) -> pl.DataFrame:
    """Jobs of a site: person, project, paper, phase."""
    frame = pl.DataFrame(rows, schema=["user", "project", "paper", "phase"], orient="row")
    return frame.with_columns(site=pl.lit("nancy"))


SHOWN_PHASES = {"site": {"nancy"}, "project": {"speech", "vision"}, "paper": {"enhancement"}}


def safe_phases(*rows: tuple[str, str, str | None, str | None]) -> dict[str, set[str]]:
    disclosure = Disclosure(minimum=3, named=frozenset({"agreed"}))
    return groups_with_safe_parts(phase_members(*rows), "phase", SHOWN_PHASES, disclosure)


ALL_DEVELOP = [
    (user, project, None, "development") for project in ("speech", "vision") for user in "abc"
]


def test_group_with_a_phase_of_two_people_has_no_phases() -> None:
    rows = [*ALL_DEVELOP, *((user, "vision", None, "training") for user in "abc")]
    assert safe_phases(*rows)["project"] == {"speech", "vision"}
    two = [*ALL_DEVELOP, *((user, "vision", None, "training") for user in "ab")]
    assert safe_phases(*two)["project"] == {"speech"}


def test_phase_of_one_person_does_not_follow_by_subtraction_from_the_site() -> None:
    # the site's training without that of the paper would be that of `a` alone
    rows = [*ALL_DEVELOP, ("agreed", "speech", "enhancement", "training")]
    assert safe_phases(*rows)["paper"] == {"enhancement"}
    rows += [("a", "vision", None, "training")]
    assert safe_phases(*rows) == {"site": set(), "project": {"speech"}, "paper": {"enhancement"}}


def test_people_who_agreed_hide_no_phase() -> None:
    rows = [("agreed", "speech", "enhancement", phase) for phase in ("training", "development")]
    assert safe_phases(*rows, *ALL_DEVELOP)["paper"] == {"enhancement"}


def test_phase_of_one_person_does_not_follow_by_subtraction_of_a_project() -> None:
    # speech and the site have enough trainers, but the site without speech has `a` alone
    rows = [*ALL_DEVELOP, *((user, "speech", None, "training") for user in "bcd")]
    assert safe_phases(*rows)["project"] == {"speech", "vision"}
    rows += [("a", "vision", None, "training")]
    assert safe_phases(*rows)["project"] == set()
