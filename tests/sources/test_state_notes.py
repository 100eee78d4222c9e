"""Tests of `footprint.sources.state_notes`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.schemas.raw import States
from footprint.schemas.writing import conform
from footprint.sources import state_notes
from tests.support.api_answers import NOON_S, nodes_table, reference_node

HOUR = timedelta(hours=1)
START = datetime.fromtimestamp(NOON_S, UTC)
NODES = nodes_table(reference_node("gros-1"), reference_node("gros-2"))


def note(**changes: Any) -> dict[str, Any]:
    return {"node": "gros-1", "state": "Absent", "from": NOON_S, "to": NOON_S + 60} | changes


def states_of(*notes: Any) -> pl.DataFrame:
    return state_notes.parse_states((f"a, item {n}", each) for n, each in enumerate(notes, start=1))


def in_window(*notes: Any, start: datetime = START, end: datetime = START + HOUR) -> list[str]:
    """Return the states that touch a window, each with its start in hours after noon."""
    found = state_notes.states_in_window(states_of(*notes), start=start, end=end)
    table = conform(States, found).sort("started_at")
    began = ((at - START) / HOUR for at in table["started_at"])
    return [f"{name} {hours:g}" for name, hours in zip(table["state"], began, strict=True)]


# Notes


def test_parse_states_accepts_all_notations_of_nodes_and_times() -> None:
    found = states_of(
        note(),
        note(node="gros-2.nancy.grid5000.fr", state="DEAD", to=None),
        {"node": "gros-3", "state": "standby", "from": "2025-03-03T13:00:00+01:00"},
        note(state="alive", to="0", **{"from": f" {NOON_S}.5 "}),
        note(to=0),
        note(to=""),
    )
    half = START + timedelta(milliseconds=500)
    assert found.schema == States.create_empty().schema
    assert found.rows() == [
        ("gros-1", START, START + timedelta(minutes=1), "absent"),
        ("gros-2", START, None, "dead"),
        ("gros-3", START, None, "standby"),
        ("gros-1", half, None, "alive"),
        ("gros-1", START, None, "absent"),
        ("gros-1", START, None, "absent"),
    ]


def test_parse_states_of_no_notes_returns_an_empty_table() -> None:
    found = states_of()
    assert found.is_empty()
    assert found.schema == States.create_empty().schema


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (note(state="broken"), "state 'broken' of node 'gros-1'; states are absent, suspected,"),
        (note(state=None), "state None of node 'gros-1'"),
        (note(node=""), "state 'Absent' of node ''"),
        (note(**{"from": None}), "cannot read the time None; a time needs an offset"),
        (note(to="2025-03-03T13:00:00"), "cannot read the time '2025-03-03T13:00:00'"),
        (note(to=NOON_S - 1), "the state ends before it starts; fix the line"),
        ("gros-1", "'gros-1' is not an object; states need the columns node, state, from, to"),
        (None, "None is not an object"),
    ],
)
def test_invalid_note_raises_an_error_with_its_place(wrong: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        states_of(note(), wrong, note())
    assert str(error.value).startswith(f"a, item 2: {message}")


@pytest.mark.parametrize(
    "container", [list, lambda notes: {"items": notes}, lambda notes: notes[0]]
)
def test_read_states_accepts_json_of_a_list_a_page_or_one_note(
    tmp_path: Path, container: Any
) -> None:
    path = tmp_path / "states.json"
    path.write_text(json.dumps(container([note()])))
    assert state_notes.read_states(path, name="s").equals(states_of(note()))
    path.write_text('[{"node": "gros-1"}]')
    with pytest.raises(InputError, match=r"^s, item 1: state None of node 'gros-1'"):
        state_notes.read_states(path, name="s")


# States of a study


def test_in_window_keeps_states_that_touch_the_window() -> None:
    hours = [(-3, -2), (-2, 0), (-1, 0.5), (0.5, 0.75), (0.75, 3), (1, 2)]
    notes = [note(**{"from": NOON_S + 3600 * a, "to": NOON_S + 3600 * b}) for a, b in hours]
    # A state that ends when the window starts, or starts when it ends, does not count.
    assert in_window(*notes) == ["absent -1", "absent 0.5", "absent 0.75"]
    assert in_window(note(to=None, **{"from": NOON_S - 86_400})) == ["absent -24"]


def test_in_window_merges_repeated_states() -> None:
    assert in_window(note(), note(), note(node="gros-1.nancy.grid5000.fr")) == ["absent 0"]


def usable(*notes: Any) -> tuple[list[tuple[str, str]], list[tuple[str, int, str]]]:
    """Nodes and states that are used, and reasons, numbers and examples of the others."""
    window = state_notes.states_in_window(states_of(*notes), start=START, end=START + HOUR)
    used, rejected = state_notes.usable_states(window, nodes=NODES.lazy())
    assert set(rejected["stage"]) <= {"states"}
    return (
        sorted(used.select("node", "state").collect().rows()),
        rejected.select("reason", "n_rows", "example").rows(),
    )


def test_two_states_from_the_same_time_on_are_rejected_and_counted() -> None:
    reason = "another state of the node from the same time on: neither is used"
    for other in (note(state="dead"), note(to=NOON_S + 90)):
        used, rejected = usable(note(), other, note(node="gros-2"), note(node="gros-2"))
        assert used == [("gros-2", "absent")]
        assert rejected == [(reason, 2, "gros-1 from 2025-03-03T12:00:00Z on")]
    assert usable(note(), note(node="gros-2", state="dead"))[1] == []


def test_contradictory_states_outside_the_window_are_no_fault() -> None:
    hour_before = [
        note(state=state, **{"from": NOON_S - 3600, "to": NOON_S - 60})
        for state in ("dead", "absent")
    ]
    assert usable(*hour_before, note()) == ([("gros-1", "absent")], [])


def test_states_of_undescribed_nodes_are_rejected_and_counted() -> None:
    # of a described cluster or of another one, also where they contradict each other
    names = ("gros-1", "gros-9", "grele-1")
    used, rejected = usable(*(note(node=name) for name in names), note(node="gros-9", state="dead"))
    assert used == [("gros-1", "absent")]
    assert rejected == [("node that is not described", 3, "grele-1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"items": null}',
            "s: `items` is not a list; states need the columns node, state, from, to",
        ),
        ('{"items": 5}', "s: `items` is not a list"),
        ('[{"node": "\\ud800", "state": "dead", "from": 1741003200}]', "s, item 1: half of a surr"),
        ("node,state,from,to\n" + "x" * 131_073, "s:[12]: cannot be read as CSV .field larger"),
        ("x" * 131_073, "s:[01]: cannot be read as CSV .field larger"),
        ("[" * 100_000 + "]" * 100_000, "a.json: it is nested too deep"),
    ],
)
def test_read_states_refuses_a_malformed_file_in_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        state_notes.read_states(path, name="s")


def test_states_of_nodes_of_another_site_are_rejected(tmp_path: Path) -> None:
    names = ("gros-1.nancy.grid5000.fr", "gros-2.lyon.grid5000.fr", "gros-9.lyon.grid5000.fr")
    path = tmp_path / "a.json"
    path.write_text(json.dumps([note(node=name) for name in names]), encoding="utf-8")
    rows = state_notes.read_states(path, name="a", site="nancy")
    window = state_notes.states_in_window(rows, start=START, end=START + HOUR)
    kept, counted = state_notes.usable_states(window, nodes=NODES.lazy())
    assert kept.collect()["node"].to_list() == ["gros-1"]
    assert counted.rows() == [("states", "states of nodes", "node of another site", 2, names[1])]
