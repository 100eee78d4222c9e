"""Groups that levels show by name, and the row of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.vocabulary import OTHERS, SMALL_GROUPS
from footprint.levels.selection import LevelSelection

PEOPLE = {"big": {"a", "b", "c"}, "mid": {"c", "d"}, "one": {"e"}}


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("site", {"big": "big", "mid": "mid", "one": "one"}),
        ("user", {"big": "big", "mid": "mid", "one": "one"}),
        # "one" alone would be a row of one person: "mid", the smallest other group, joins it
        ("queue", {"big": "big", "mid": SMALL_GROUPS, "one": SMALL_GROUPS}),
        ("project", {"big": "big", "mid": OTHERS, "one": OTHERS}),
        ("paper", {"one": SMALL_GROUPS}),
    ],
)
def test_shown_names_by_level(level: str, expected: dict[str, str]) -> None:
    selection = LevelSelection(projects=["big", "gone"], papers=["one"], minimum_group=2)
    assert selection.shown_names(level, PEOPLE) == expected


def test_wanted_names_are_those_of_the_level() -> None:
    selection = LevelSelection(projects=["p"], users=["u"], papers=["q"], minimum_group=2)
    names = {
        level: selection.wanted_names(level) for level in ("queue", "project", "user", "paper")
    }
    assert names == {"queue": "all", "project": ["p"], "user": ["u"], "paper": ["q"]}


@given(
    st.dictionaries(
        st.text("abcd", min_size=1), st.sets(st.integers(1, 9).map(str), min_size=1), max_size=6
    ),
    st.integers(1, 5),
    st.sets(st.integers(1, 9).map(str)),
)
def test_shown_queue_has_enough_people_or_asked(
    people: dict[str, set[str]], minimum: int, asked: set[str]
) -> None:
    shown = LevelSelection(users=asked, minimum_group=minimum).shown_names("queue", people)
    assert set(shown) == set(people)
    for name, members in people.items():
        if shown[name] == name:
            assert len(members) >= minimum or members <= asked
