"""Notes on the states of nodes, from wherever they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answers import NOON, node, nodes_table

from footprint import tables
from footprint.errors import InputError
from footprint.site import states

HOUR = timedelta(hours=1)
START = datetime.fromtimestamp(NOON, UTC)
NODES = nodes_table(node("gros-1"), node("gros-2"))


def note(**changes: Any) -> dict[str, Any]:
    return {"node": "gros-1", "state": "Absent", "from": NOON, "to": NOON + 60} | changes


def parsed(*notes: Any) -> pl.DataFrame:
    return states.parse_states((f"a, item {n}", each) for n, each in enumerate(notes, start=1))


def in_window(*notes: Any, start: datetime = START, end: datetime = START + HOUR) -> list[str]:
    """States that touch a window, with the hours after noon at which each begins."""
    found = states.in_window(parsed(*notes), nodes=NODES, where="a", start=start, end=end)
    table = tables.conform(tables.States, found).sort("started_at")
    began = ((at - START) / HOUR for at in table["started_at"])
    return [f"{name} {hours:g}" for name, hours in zip(table["state"], began, strict=True)]


# Notes


def test_notes_may_be_written_in_many_ways() -> None:
    found = parsed(
        note(),
        note(node="gros-2.nancy.grid5000.fr", state="DEAD", to=None),
        {"node": "gros-3", "state": "standby", "from": "2025-03-03T13:00:00+01:00"},
        note(state="alive", to="0", **{"from": f" {NOON}.5 "}),
        note(to=0),
        note(to=""),
    )
    half = START + timedelta(milliseconds=500)
    assert found.schema == tables.States.create_empty().schema
    assert found.rows() == [
        ("gros-1", START, START + timedelta(minutes=1), "absent"),
        ("gros-2", START, None, "dead"),
        ("gros-3", START, None, "standby"),
        ("gros-1", half, None, "alive"),
        ("gros-1", START, None, "absent"),
        ("gros-1", START, None, "absent"),
    ]


def test_no_notes_are_a_table_without_rows() -> None:
    found = parsed()
    assert found.is_empty()
    assert found.schema == tables.States.create_empty().schema


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (note(state="broken"), "state 'broken' of node 'gros-1'; states are absent, suspected,"),
        (note(state=None), "state None of node 'gros-1'"),
        (note(node=""), "state 'Absent' of node ''"),
        (note(**{"from": None}), "cannot tell the time of None; a time needs an offset"),
        (note(to="2025-03-03T13:00:00"), "cannot tell the time of '2025-03-03T13:00:00'"),
        (note(to=NOON - 1), "the state ends before it starts; mend the line"),
        ("gros-1", "this is no state; states need the columns node, state, from, to"),
        (None, "this is no state"),
    ],
)
def test_the_note_that_cannot_be_used_is_named(wrong: Any, told: str) -> None:
    with pytest.raises(InputError) as error:
        parsed(note(), wrong, note())
    assert str(error.value).startswith(f"a, item 2: {told}")


@pytest.mark.parametrize(
    "container", [list, lambda notes: {"items": notes}, lambda notes: notes[0]]
)
def test_files_of_json_are_a_list_a_page_or_one_note(tmp_path: Path, container: Any) -> None:
    path = tmp_path / "states.json"
    path.write_text(json.dumps(container([note()])))
    assert states.read_states(path, name="s").equals(parsed(note()))
    path.write_text('[{"node": "gros-1"}]')
    with pytest.raises(InputError, match=r"^s, item 1: state None of node 'gros-1'"):
        states.read_states(path, name="s")


# Those of a study


def test_states_count_that_touch_the_window() -> None:
    hours = [(-3, -2), (-2, 0), (-1, 0.5), (0.5, 0.75), (0.75, 3), (1, 2)]
    notes = [note(**{"from": NOON + 3600 * a, "to": NOON + 3600 * b}) for a, b in hours]
    # neither one that ends when the window starts, nor one that starts when it ends
    assert in_window(*notes) == ["absent -1", "absent 0.5", "absent 0.75"]
    assert in_window(note(to=None, **{"from": NOON - 86_400})) == ["absent -24"]


def test_what_is_noted_twice_counts_once() -> None:
    assert in_window(note(), note(), note(node="gros-1.nancy.grid5000.fr")) == ["absent 0"]


def test_two_states_from_the_same_time_on_contradict() -> None:
    for other in (note(state="dead"), note(to=NOON + 90)):
        told = "a: node gros-1 has two states from 2025-03-03T12:00:00Z on; keep one of them"
        with pytest.raises(InputError, match=told):
            in_window(note(), other)
    assert sorted(in_window(note(), note(node="gros-2", state="dead"))) == ["absent 0", "dead 0"]


def test_a_node_that_its_cluster_lacks_is_refused_and_other_clusters_are_not() -> None:
    assert in_window(note(node="grele-1")) == ["absent 0"]
    with pytest.raises(InputError, match="a: node gros-9 is not described"):
        in_window(note(), note(node="gros-9"))


def test_states_of_nodes_that_are_not_described_are_counted() -> None:
    rows = states.parse_states(
        [(f"a, item {key}", note(node=name)) for key, name in enumerate(("gros-1", "grele-1"))]
    )
    kept, counted = states.of_described(rows.lazy(), nodes=NODES.lazy())
    assert kept.collect()["node"].to_list() == ["gros-1"]
    reason = "node that is not described"
    assert counted.rows() == [("states", "states of nodes", reason, 1, "grele-1")]
    assert states.of_described(kept, nodes=NODES.lazy())[1].is_empty()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"items": null}', "s: `items` is no list; states need the columns node, state, from, to"),
        ('{"items": 5}', "s: `items` is no list"),
        ('[{"node": "\\ud800", "state": "dead", "from": 1741003200}]', "s, item 1: half of a surr"),
        ("node,state,from,to\n" + "x" * 131_073, "s:[12]: cannot be read as CSV .field larger"),
        ("x" * 131_073, "s:[01]: cannot be read as CSV .field larger"),
        ("[" * 100_000 + "]" * 100_000, "a.json: the JSON is nested too deep"),
    ],
)
def test_files_of_another_shape_are_refused_in_one_line(
    tmp_path: Path, content: str, told: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        states.read_states(path, name="s")


def test_nodes_of_another_site_are_set_aside(tmp_path: Path) -> None:
    names = ("gros-1.nancy.grid5000.fr", "gros-2.lyon.grid5000.fr", "gros-9.lyon.grid5000.fr")
    path = tmp_path / "a.json"
    path.write_text(json.dumps([note(node=name) for name in names]), encoding="utf-8")
    rows = states.read_states(path, name="a", site="nancy")
    window = states.in_window(rows, nodes=NODES, where="a", start=START, end=START + HOUR)
    kept, counted = states.of_described(window, nodes=NODES.lazy())
    assert kept.collect()["node"].to_list() == ["gros-1"]
    assert counted.rows() == [("states", "states of nodes", "node of another site", 2, names[1])]


def test_all_contradictions_of_states_are_listed() -> None:
    notes = [
        note(node=name, state=state)
        for name in ("gros-1", "gros-2")
        for state in ("dead", "absent")
    ]
    with pytest.raises(InputError, match=r"node gros-1 has two states .*, node gros-2 has two"):
        in_window(*notes)
