"""Habits of a configuration: the draw by seed, lists, shares and refused values."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from footprint.core.errors import InputError
from footprint.sources.simulated import SimulatedSite, hardware
from footprint.sources.simulated.habits.choice import (
    COMMAND_POLICIES,
    DEFAULT_SHARE,
    HABITS,
    OWN_SYSTEM,
    STYLES,
    WALLTIME_POLICIES,
    WORK_SHARES,
    choose_habits,
    draw_habits,
)

pytestmark = pytest.mark.filterwarnings("error")

# Digests of the records and true kinds of the site before it had habits.
USUAL_SITES = [
    ({"start": "2025-03-03", "end": "2025-03-17"}, "17eccf9843b72c5c"),
    (
        {
            **{"start": "2025-10-24", "end": "2025-10-31", "jobs": 150, "seed": 7},
            "nodes": {"gruss": 2, "grat": 1, "grappe": 1},
        },
        "c23469ecfae7276d",
    ),
]


def digest_of(site: SimulatedSite) -> str:
    """First digits of a hash of the jobs, allocations and true kinds."""
    records = site.jobs(start=site.start, end=site.end)
    kinds = site.true_kinds().select("job_id", "kind", "role", "phase", "paper", "chain_id")
    tables = (records.jobs, records.allocations, kinds)
    text = "".join(repr(table.collect().rows()) for table in tables)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("source", "digest"), USUAL_SITES)
def test_site_without_habits_is_unchanged(source: dict[str, Any], digest: str) -> None:
    assert digest_of(SimulatedSite.from_config(source)) == digest
    assert digest_of(SimulatedSite.from_config(source | {"habits": None})) == digest


def test_site_with_habits_is_equal_when_built_again() -> None:
    source = USUAL_SITES[1][0] | {"habits": "seed"}
    assert digest_of(SimulatedSite.from_config(source)) == digest_of(
        SimulatedSite.from_config(source)
    )


def test_choose_habits_by_seed_equals_the_list_of_drawn_names() -> None:
    for seed in range(20):
        names = draw_habits(seed)
        chosen = choose_habits({"habits": "seed"}, seed=seed)
        assert chosen == choose_habits({"habits": names}, seed=seed)
        assert chosen is not None
        assert 4 <= len(chosen.weights) <= len(WORK_SHARES)
        assert names[-len(STYLES) :] == list(STYLES)
        assert (chosen.walltimes, chosen.commands) == (WALLTIME_POLICIES, COMMAND_POLICIES)
        assert chosen.own_system
    assert {name for seed in range(20) for name in draw_habits(seed)} == set(HABITS)


def test_weight_of_habit_does_not_depend_on_the_others() -> None:
    every = choose_habits({"habits": list(WORK_SHARES)}, seed=3)
    alone = choose_habits({"habits": ["crash_loop"]}, seed=3)
    assert every is not None
    assert alone is not None
    assert alone.weights["crash_loop"] == every.weights["crash_loop"]
    assert sum(every.shares().values()) == pytest.approx(DEFAULT_SHARE)
    assert alone.shares() == pytest.approx({"crash_loop": DEFAULT_SHARE})


def test_choose_habits_of_styles_alone_leaves_all_jobs_to_usual_work() -> None:
    chosen = choose_habits({"habits": ["day_walltime", OWN_SYSTEM], "habit_share": 0.4}, seed=1)
    assert chosen is not None
    assert (chosen.share, chosen.weights, chosen.own_system) == (0.0, {}, True)
    assert (chosen.walltimes, chosen.commands) == (("day_walltime",), ("usual_commands",))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"habits": "all"}, "source.habits: 'all' is not a list of habits; set a list of habits"),
        ({"habits": []}, r"source.habits: \[\] is not a list of habits"),
        ({"habits": ["sweep"]}, "source.habits: there is no habit 'sweep'; choose among late_res"),
        ({"habit_share": 1.5}, "source.habit_share: 1.5 is not a share; set a number from 0 to 1"),
        ({"habit_share": True}, "source.habit_share: True is not a share"),
    ],
)
def test_choose_habits_of_invalid_values_raises_input_error(
    source: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        choose_habits(source, seed=1)
    # a study is refused before anything is downloaded
    with pytest.raises(InputError, match=message):
        hardware.cluster_names(source)
